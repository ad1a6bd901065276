"""Samples on the grid and the diamond: which modes they join (arXiv 2406.09358 v2, figure 3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.measure.interpolation.networks import plane_states

from ....drawing.palette import BLUE, GREY, ORANGE, SKY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, intervals, new_figure

_COLOURS = (BLUE, VERMILION, GREY)


def _scatter(ax: Axes, result: Result, plane: str) -> None:
    x, means = result[f"{plane}_x"], result[f"{plane}_means"]
    look: dict[str, Any] = {
        "ms": 2.0,
        "color": SKY,
        "rasterized": True,
    }  # thousands of points are no line art
    ax.plot(x[:, 0], x[:, 1], ".", label="samples of DDPM", **look)
    ax.plot(means[:, 0], means[:, 1], "x", ms=5.0, color=ORANGE, label="modes")
    ax.set(aspect="equal", xlabel="first coordinate", title=plane)


def _bars(ax: Axes, result: Result) -> None:
    """Per cent of samples of each kind, plane and sampler, with 95 % intervals."""
    counts, draws = result["counts"], result["draws"]
    kinds = result.labels("kinds")
    places = np.arange(len(counts), dtype=float)
    for k, (kind, color) in enumerate(zip(kinds, _COLOURS, strict=True)):
        rate, low, high = (100.0 * side for side in intervals(counts[:, k], draws))
        at = places + 0.25 * (k - 1)
        ax.bar(at, rate, 0.23, color=color, label=kind)
        ax.vlines(at, low, high, color="#000000", lw=1.0)
    names = [
        f"{plane}\n{sampler}"
        for plane, sampler in zip(result.labels("plane"), result.labels("samplers"), strict=True)
    ]
    ax.set_xticks(places, names)
    ax.set(xlabel="network and sampler", ylabel="outside every mode (% of samples)")
    ax.legend(loc="upper right")


def draw(result: Result) -> Figure:
    """Two scatter plots and the counts."""
    figure, axes = new_figure(11.5, 4.3, columns=3)
    for ax, plane in zip(axes, result.labels("planes"), strict=False):
        _scatter(ax, result, plane)
    axes[0].set_ylabel("second coordinate")
    axes[1].legend(loc="upper left", fontsize=7.0)
    _bars(axes[2], result)
    side, diagonal, elsewhere = result["counts"].sum(axis=0).tolist()
    message = (
        f"Interpolations join nearest neighbours, however the grid is turned: {side:,} lie on sides"
        f" of cells, {diagonal:,} on diagonals, {elsewhere:,} on neither"
    )
    drawn = ", ".join(f"{count:,}" for count in np.unique(result["draws"])[::-1].tolist())
    note = (
        f"Left: n samples a plane. Right: of {drawn} samples (DDIM, DDPM), bars with 95 % "
        f"intervals; with the exact score {int(result['exact'].sum())} of all."
    )
    return finish(figure, message, result, note)


FIGURE = FigureSpec(
    claims=("M3",),
    source="Figure 3 of 2406.09358",
    title="Samples on the grid and on the diamond",
    caption="Samples of networks trained on the 5 x 5 grid and on the same grid turned by 45 "
    "degrees, and the shares outside every mode: on sides of cells, on diagonals, elsewhere.",
    measure=plane_states,
    draw=draw,
    own_problems=True,
)
