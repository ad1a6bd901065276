"""Hal of hallucinations and of the others, and the windows (arXiv 2406.09358 v2, figure 6)."""

from __future__ import annotations

import numpy as np

from mixdyn.support.numbers import show_share
from mixdyn.support.statistics import DISPLAY_STDS
from verify.measure.interpolation.hal_populations import hal_populations

from ....drawing.palette import BLUE, GREY, VERMILION, network_look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_MERGED = 8  # bins drawn as one


def _histogram(ax: Axes, result: Result, k: int) -> None:
    """Both populations, each of area one, and the level."""
    edges = result["edges"][::_MERGED]
    for key, color, label in (("right", BLUE, "in a mode"), ("wrong", VERMILION, "hallucinations")):
        counts = result[key][k].reshape(-1, _MERGED).sum(axis=1)
        share = 100.0 * counts / counts.sum()
        ax.stairs(share, 10.0**edges, color=color, fill=True, alpha=0.45, label=label)
    right = np.cumsum(result["right"][k]) / result["right"][k].sum()
    level = 10.0 ** result["edges"][int(np.searchsorted(right, result["kept"][k])) + 1]
    ax.axvline(level, color=GREY, ls="--", lw=1.0, label="level")
    seen = np.flatnonzero(result["right"][k] + result["wrong"][k])
    low, high = result["edges"][seen[0]], result["edges"][seen[-1] + 1]
    place = ("modes 1, 2, 3", "5 x 5 grid")[k]
    ax.set(xscale="log", xlim=(10.0**low, 10.0**high), xlabel="Hal", ylabel="share (%)")
    ax.set_ylim(0.0, 1.3 * ax.get_ylim()[1])  # room for the legend
    ax.set_title(f"{place}, last {result['window'][k]} steps")
    ax.legend(loc="upper left", fontsize=7.0)


def _short(name: str) -> str:
    """A network's name without what all have."""
    return name.removeprefix("modes-").removesuffix("-0")


def _sweep(ax: Axes, result: Result) -> None:
    """AUC against the window, every network."""
    for k, name in enumerate(result.labels("every")):
        look = network_look(k)
        ax.errorbar(
            result["windows"],
            result["area"][k],
            yerr=DISPLAY_STDS * result["error"][k],
            color=look.color,
            marker=look.marker,
            ms=3.0,
            lw=1.0,
            label=_short(name),
        )
    ax.set(xlabel="window (steps)", ylabel="AUC", ylim=(0.6, 1.0), title="Windows")
    ax.legend(fontsize=6.5, loc="lower right")


def draw(result: Result) -> Figure:
    """Two histograms and the sweep."""
    figure, axes = new_figure(10.5, 3.9, columns=3)
    for k in (0, 1):
        _histogram(axes[k], result, k)
    _sweep(axes[2], result)
    removed, kept = (100.0 * result[key] for key in ("removed", "kept"))
    message = (
        f"One level of Hal removes {removed[0]:.3g} % of the hallucinations and keeps "
        f"{kept[0]:g} % of the rest on three modes, {removed[1]:.3g} % and {kept[1]:g} % on the "
        "grid, where the window must be short; on the line of which it removes least, "
        f"{_short(str(result['weakest']))}, {show_share(result.number('weakest removed'))}"
    )
    note = "DDPM on trained networks; bars: 95 %. n counts hallucinations."
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("M5", "M5'"),
    source="Figure 6 of 2406.09358",
    title="Hal of hallucinations and of other samples, and AUC over the window",
    caption="Each population has area one; the dashed level keeps the stated share of the samples "
    "that end in a mode. The grid's window is the best of those tried; on lines it is the paper's.",
    measure=hal_populations,
    draw=draw,
    own_problems=True,
)
