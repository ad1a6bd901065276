"""Samplers on trained networks of other problems: rates and weights (our result X8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixdyn.geometry import Region

from .fig_x8_frontier import marked
from .spec import FigureSpec, Results
from .style import GREY, finish, intervals, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mixdyn.support.checks import Array, IntArray
    from verify.experiments import Result


def _wrong(result: Result) -> tuple[IntArray, IntArray]:
    """(M, K) samples outside the modes, and all samples."""
    counts = result["counts"]
    n = counts.sum(axis=2)
    return n - counts[:, :, Region.TRUE_MODE], n


def _places(result: Result, column: int) -> Array:
    """(M,) heights: a row for each network, the families spread within it."""
    middle = 0.5 * (len(result.labels("family")) - 1)
    return np.arange(len(result.labels("models")), dtype=np.float64) + 0.11 * (column - middle)


def _draw_rates(ax: Axes, result: Result) -> None:
    wrong, n = _wrong(result)
    for column, family in enumerate(result.labels("family")):
        look, y = marked(family), _places(result, column)
        rate, low, high = (100.0 * side for side in intervals(wrong[:, column], n[:, column]))
        seen = rate > 0
        ax.plot(rate[seen], y[seen], look.marker, mfc=look.face, color=look.color, label=family)
        ax.hlines(y[seen], np.maximum(low[seen], 1e-9), high[seen], color=look.color, lw=1.0)
        ax.plot(high[~seen], y[~seen], "<", mfc="none", color=look.color, ms=6.0)
    ax.set(xscale="log", xlabel="samples outside the modes (%)", title="rate")


def _draw_means(ax: Axes, result: Result, name: str) -> None:
    for column, family in enumerate(result.labels("family")):
        look = marked(family)
        y = _places(result, column)
        ax.plot(result[name][:, column], y, look.marker, mfc=look.face, color=look.color)


def _message(result: Result) -> str:
    wrong, n = _wrong(result)
    rate = wrong / n
    families = result.labels("family")
    ours, ddim = families.index("adaptive"), families.index("DDIM")
    _, low, high = intervals(wrong, n)
    factor = float(np.median(rate[:, ddim] / np.maximum(rate[:, ours], 1.0 / n[:, ours])))

    def below(one: int, other: int) -> int:
        return int(np.count_nonzero(high[:, one] < low[:, other]))

    words = (
        "On networks of other problems AdaptiveNoise misses the modes less often than DDIM on "
        f"{below(ours, ddim)} of {len(rate)} (by a factor of {factor:.0f} in the median)"
    )
    tested = "eta = 1 + retry"
    if tested not in families:
        return words
    best = families.index(tested)
    told = below(ours, best) + below(best, ours)
    return f"{words}; from DDIM with eta = 1 and the same tests it can be told on {told}"


def draw(results: Results) -> Figure:
    """Rate, weight error and spread, a row for each network."""
    result = results["frontier_elsewhere"]
    names = result.labels("models")
    figure, axes = new_figure(11.0, 1.6 + 0.42 * len(names), columns=3)
    _draw_rates(axes[0], result)
    _draw_means(axes[1], result, "weight_error")
    axes[1].set_xscale("symlog", linthresh=1e-3)
    axes[1].set(xlabel="(chi-square - degrees)/samples", title="error of the mode weights")
    _draw_means(axes[2], result, "spread")
    axes[2].axvline(1.0, color=GREY, ls=":")
    axes[2].set(xlabel="std within a mode / sigma", title="spread (dotted: the data)")
    axes[0].set_ylabel("trained network")
    for ax in axes:
        ax.set_yticks(np.arange(len(names)), names if ax is axes[0] else [])
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.hlines(np.arange(len(names) - 1) + 0.5, *ax.get_xlim(), color=GREY, lw=0.3)
    note = (
        "One sampler of each family at about 50 evaluations; DDPM takes T. White inside: with "
        "tests and repetitions. Bars: 95 % intervals, carets upper limits where none was seen."
    )
    return finish(figure, _message(result), result, note, axes[0].get_legend_handles_labels())


FIGURE = FigureSpec(
    id="X8E",
    source="Our own, of result X8, elsewhere",
    stem="fig_x8_elsewhere",
    title="Samplers on trained networks of other problems",
    caption="The samplers of figure X8 on every shipped network of another mixture or schedule. "
    "Lower is better on the left and in the middle, nearer to 1 on the right.",
    experiments=("frontier_elsewhere",),
    claims=(),  # of X8, whose row figure X8 illustrates
    draw=draw,
)
