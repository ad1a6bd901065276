"""Interpolation rate against the number of DDIM steps (arXiv 2605.06831 v1, figure 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.checks import IntArray
from mixdyn.support.numbers import show_share

from .spec import FigureSpec, Results
from .style import (
    GREY,
    LOOKS,
    explain_limits,
    finish,
    intervals,
    new_figure,
    percent_axis,
    plot_rate,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result


def ddpm_reference(ax: Axes, hits: int, n: int) -> None:
    """DDPM's rate as a line across the panel with its 95 % interval, or its upper limit."""
    rate, low, high = (100.0 * float(side[0]) for side in intervals(hits, n))
    label = "DDPM, all T steps" if hits else "DDPM, all T steps: none seen"
    color = LOOKS["DDPM"].color
    if hits:
        ax.axhline(rate, color=color, ls="--", label=label)
        ax.axhspan(low, high, color=color, alpha=0.18, lw=0)
    else:
        ax.axhline(high, color=color, ls=":", label=f"{label}, upper limit")


def step_axis(ax: Axes, steps: IntArray) -> None:
    """A logarithmic horizontal axis with a tick at every number of steps."""
    ax.set(xscale="log", xlabel="DDIM steps")
    ax.set_xticks(steps, [str(s) for s in steps], minor=False)
    ax.minorticks_off()


def _panel(ax: Axes, result: Result, row: int) -> None:
    steps, n = result["steps"], result.count()
    plot_rate(ax, steps, result["ddim"][row, :, Region.INTERPOLATION], n, LOOKS["DDIM"], "DDIM")
    ddpm_reference(ax, int(result["ddpm"][row, Region.INTERPOLATION]), n)
    explain_limits(ax)
    percent_axis(ax, 50.0 / n)
    step_axis(ax, steps)
    ax.legend()


def _message(result: Result) -> str:
    exact, blurred = result["ddim"][:, :, Region.INTERPOLATION] / result.count()
    last = 100.0 * blurred[-1]
    reference = 100.0 * result["ddpm"][1, Region.INTERPOLATION] / result.count()
    seen = np.flatnonzero(exact)
    first = int(seen[-1]) + 1 if len(seen) else 0
    if first < len(exact):
        clean = f"none from {int(result['steps'][first])} steps on"
    else:
        clean = f"{show_share(exact[-1], 2)}"
    return (
        f"With a score error DDIM still makes {last:.2g} % interpolations at "
        f"{int(result['steps'][-1])} steps, DDPM {reference:.2g} %; with the exact score DDIM "
        f"makes {clean}"
    )


def draw(results: Results) -> Figure:
    """Both scores, DDIM against its number of steps, DDPM as a reference."""
    result = results["steps"]
    figure, axes = new_figure(9.0, 3.9, columns=2)
    for row, (ax, name) in enumerate(
        zip(axes, ("exact score", "score with a synthetic error"), strict=True)
    ):
        _panel(ax, result, row)
        ax.set_title(name, color=GREY)
    axes[0].set_ylabel("interpolations (% of samples)")
    note = (
        f"Synthetic error: exact score with responsibilities blurred by "
        f"{result.number('blur'):g} of the shortest mode distance. Bars and band: 95 % intervals."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    id="3",
    source="Figure 3 of 2605.06831",
    stem="fig_3_steps",
    title="Interpolation rate against DDIM steps",
    caption="Left: the exact score, whose only error is the step size. Right: a synthetic score "
    "error (responsibilities blurred by a quarter of the mode distance) that stands in for a "
    "learned score. Hollow carets are 95 % upper limits where no interpolation was seen.",
    experiments=("steps",),
    claims=("M1",),
    draw=draw,
)
