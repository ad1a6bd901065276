"""Diagonals against nearest neighbours (arXiv 2605.06831 v1, appendix D.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.measure.diagonals import diagonals

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, intervals, new_figure, percent_axis

_BARS = {"first side": BLUE, "second side": SKY, "diagonal": VERMILION, "neither": GREY}
_CELLS = (("square", GREEN, "o"), ("sheared", ORANGE, "^"))


def _ratios(ax: Axes, result: Result) -> None:
    """log(gamma_far/gamma_near) where a diagonal dominates, and the bound -2 kappa."""
    for name, color, marker in _CELLS:
        kappa, ratio = result[f"{name}_kappa"], result[f"{name}_log_ratio"]
        label = "square" if name == "square" else f"sheared by {result.number('shear'):g}"
        style: dict[str, Any] = {"color": color, "ms": 2.5, "alpha": 0.6, "rasterized": True}
        ax.plot(kappa, ratio, marker, ls="none", label=label, **style)
    right = max(float(result[f"{name}_kappa"].max()) for name, _, _ in _CELLS)
    ax.plot([0, right], [0, -2 * right], color=BLACK, label=r"bound $e^{-2\kappa}$ of a rectangle")
    ax.set(xlabel=r"margin $\kappa$ by which the diagonal dominates")
    ax.set(ylabel=r"$\log(\gamma_{far}/\gamma_{near})$ of its ends")
    ax.set_title("where a diagonal dominates, exact field", color=GREY)
    ax.legend(loc="lower left", markerscale=2)


def _shares(ax: Axes, result: Result) -> None:
    n, kinds, names = result.count(), result.labels("kinds"), result.labels("lattices")
    place = np.arange(len(names))
    for offset, kind in enumerate(kinds):
        x = place + 0.2 * (offset - 1.5)
        rate, low, high = (100.0 * side for side in intervals(result["counts"][:, offset], n))
        ax.bar(x, rate, 0.18, color=_BARS[kind], label=kind)
        bars = [rate - low, high - rate]
        ax.errorbar(x, rate, yerr=bars, fmt="none", ecolor=BLACK, elinewidth=0.9, capsize=1.5)
    ax.set_xticks(place, [name.replace(" ", "\n", 1) for name in names])
    percent_axis(ax, 20.0 / n, 60.0)
    ax.set(ylabel="samples outside every mode (%)", xlabel="lattice of 25 modes")
    ax.set_title("what DDIM's interpolations join, synthetic score error", color=GREY)
    ax.legend(ncols=4, columnspacing=1.0, handlelength=1.2)


def _message(result: Result) -> str:
    kinds, names = result.labels("kinds"), result.labels("lattices")
    counts = result["counts"]
    straight = counts[names.index("square")]
    slanted = counts[-1]
    diagonal = kinds.index("diagonal")
    share = [100.0 * row[diagonal] / max(row.sum(), 1) for row in (straight, slanted)]
    return (
        f"Interpolations join neighbours, not diagonals: {share[0]:.2g} % of them on the square "
        f"grid; a diagonal as short as a side escapes ({share[1]:.2g} % on the grid {names[-1]})"
    )


def draw(result: Result) -> Figure:
    """The responsibilities left, the sampled shares right."""
    figure, (left, right) = new_figure(10.0, 4.2, columns=2, ratios=(1.0, 1.35))
    _ratios(left, result)
    _shares(right, result)
    short = result["sheared_log_ratio"] <= result["sheared_bound"] + 1e-9
    note = (
        f"Left: {int(short.sum())} of {len(short)} sheared points obey a parallelogram's bound, "
        f"exp(-2 kappa + (|bd|^2 - |ac|^2)/(4 v)). Right: 5 x 5 lattices, l/sigma = 100. Synthetic "
        f"error: responsibilities blurred by {result.number('blur'):g} of the shortest mode "
        f"distance. Sheared by 0.5, second side and short diagonal are equally long (20 and 16 "
        f"segments). Bars: 95 % intervals; kinds in this order, each sample once."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    claims=("D.1",),
    source="Appendix D.1 of 2605.06831",
    title="Diagonal against nearest-neighbour interpolations",
    caption="Left: the ends of a dominating diagonal have unequal responsibilities, by "
    "e^(-2 kappa) on a rectangle; the short diagonal of a sheared cell may exceed that. Right: "
    "which modes the interpolations of DDIM join under a synthetic score error (responsibilities "
    "blurred by a quarter of the mode distance).",
    measure=diagonals,
    draw=draw,
    own_problems=True,
)
