"""Networks in many dimensions: rates, and distance to the segment along the reverse process."""

from __future__ import annotations

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.numbers import show_share
from verify.measure.networks.many_dimensions import many_dimensions

from ....drawing.palette import GREY, LOOKS, SKY, YELLOW, Look, network_look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import (
    Axes,
    Figure,
    finish,
    joint_legend,
    new_figure,
    percent_axis,
    plot_rate,
    time_axis,
)

_CLEAN = 0.6  # where a logarithmic time axis shows t = 0
_WRONG = [Region.INTERPOLATION, Region.INVALID]
_BETWEEN = {"DDIM": Look(SKY, "^"), "DDPM": Look(YELLOW, "D", "--")}


def _rates(ax: Axes, result: Result) -> None:
    """Per dimension and sampler: outside every mode, and of these between two."""
    counts = result["counts"]  # (D, S, 3)
    place = np.arange(len(counts))
    for k, name in enumerate(("DDIM", "DDPM")):
        n = int(counts[0, k].sum())
        for shift, look, hits, what in (
            (0.0, LOOKS[name], counts[:, k, _WRONG].sum(axis=1), "outside every mode"),
            (0.08, _BETWEEN[name], counts[:, k, Region.INTERPOLATION], "between two"),
        ):
            dots = Look(look.color, look.marker, " ")
            plot_rate(ax, place + 0.2 * (k - 0.5) + shift, hits, n, dots, f"{name}, {what}")
    ax.set_xticks(place, [f"{d}" for d in result["d"]])
    ax.set(xlabel="dimension d", ylabel="of a network's samples (%)")
    percent_axis(ax, 0.01, 100.0)


def _distances(ax: Axes, result: Result) -> None:
    """DDIM: the median of each network's paths, the exact score's grey below it."""
    nodes = result["nodes"]
    x = np.where(nodes == 0, _CLEAN, nodes)
    middle = len(result["levels"]) // 2
    for k, d in enumerate(result["d"]):
        exact, network = result["distances"][k, :, 0, middle]
        ax.plot(x, exact, color=GREY, lw=3.0, alpha=0.5, label="exact score" if k == 0 else "_")
        look = network_look(k)
        ax.plot(x, network, color=look.color, lw=1.1, label=f"network, d = {d}")
    ax.set(yscale="log", ylabel="median distance to the segment / l")
    ax.set_title("DDIM's paths, y = x/alpha", color=GREY)
    time_axis(ax, 1.05 * float(nodes[0]), _CLEAN)


def _span(result: Result, sampler: int) -> str:
    """The range over networks of the share outside every mode."""
    counts = result["counts"][:, sampler]
    shares = counts[:, _WRONG].sum(axis=1) / counts.sum(axis=1)
    low, high = (show_share(float(share), 2) for share in (shares.min(), shares.max()))
    return low if low == high else f"{low} to {high}"


def draw(result: Result) -> Figure:
    """Rates left, distances right."""
    figure, axes = new_figure(9.0, 4.3, columns=2)
    _rates(axes[0], result)
    _distances(axes[1], result)
    dimensions = result["d"]
    message = (
        f"In {dimensions[0]} to {dimensions[-1]} dimensions DDIM misses the modes on "
        f"{_span(result, 0)} of a network's samples, DDPM on {_span(result, 1)}"
    )
    note = (
        "25 modes by farthest-point sampling, one network a dimension; n of DDIM, of DDPM and of "
        "the paths. Bars are 95 % Clopper-Pearson intervals."
    )
    return finish(figure, message, result, note, joint_legend(axes))


FIGURE = FigureSpec(
    claims=("E.2", "E.2'"),
    source="Appendix E.2 and figure E.9 of 2605.06831",
    title="Networks in many dimensions under DDIM and DDPM",
    caption="Left, per dimension: how many of a network's samples end outside every mode, and how "
    "many of these between two. Right: along DDIM's paths the distance of y = x/alpha to the "
    "segment between its two nearest modes, in units of the closest pair's length. Hollow carets "
    "are 95 % upper limits where none was seen.",
    measure=many_dimensions,
    draw=draw,
    own_problems=True,
)
