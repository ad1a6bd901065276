"""The basin of a midpoint: two bounds and the truth (arXiv 2605.06831 v1, Proposition 4.7)."""

from __future__ import annotations

import numpy as np

from mixdyn.support.numbers import Log10, show_number
from verify.measure.midpoint.basin import basin

from ....drawing.palette import BLACK, GREEN, GREY, ORANGE, PURPLE
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure

_STYLES = ("-", "--", ":")
_TICKS = (-10_000, -1000, -100, -10, -1, 0)


def _panel(ax: Axes, result: Result, row: int) -> None:
    taus = result["taus"]
    ax.plot(taus, result["paper"][row], "-.", color=PURPLE, label="P4.7 (2)")
    sharp = result["sharp"][row]
    ax.fill_between(taus, sharp.min(axis=0), sharp.max(axis=0), color=GREEN, alpha=0.5, lw=3)
    ax.plot([], [], color=GREEN, alpha=0.5, lw=4, label="X3")
    for line, fraction, truth in zip(
        _STYLES, result["fractions"], result["truth"][row], strict=True
    ):
        if not np.isfinite(truth).any():
            continue
        label = f"exact, ends within {fraction:g} l"
        ax.plot(taus, truth, line, color=BLACK, marker="o", ms=3, label=label)
    ax.axvline(result.number("tau_2"), color=ORANGE, lw=1.0, label=r"$\tau_2$")
    ax.set_yscale("symlog", linthresh=1.0, linscale=0.5)
    ax.set_yticks(_TICKS, [f"$10^{{{tick}}}$" if tick else "1" for tick in _TICKS])
    lowest = min(result["paper"].min(), result["sharp"].min())
    ax.set(xscale="log", ylim=(2.0 * lowest, 0), xlabel="raw time t of the start")
    ax.set_xlim(taus[-1] * 1.1, taus[0] * 0.9)
    ticks = [t for t in (2, 5, 10, 20, 50, 100) if t <= taus[-1] * 1.1]
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    end = int(result["ends"][row])
    ax.set_title(f"flow to t = {end} ({'data' if end == 0 else 'last noisy state'})", color=GREY)


def _message(result: Result) -> str:
    at = int(np.argmin(np.abs(result["taus"] - result.number("tau_2"))))
    paper, sharp = result["paper"][0, at], result["sharp"][0, 0, at]
    truth = result["truth"][0, :, at]
    exact = ", ".join(show_number(Log10(float(value)), 2) for value in truth[np.isfinite(truth)])
    within = ", ".join(f"{fraction:g}" for fraction in result["fractions"])
    known = f"the flow itself keeps {exact} l within {within} l" if exact else "no closed form here"
    return (
        f"A path from t = {int(result['taus'][at])} stays at the midpoint if it starts within "
        f"{show_number(Log10(float(paper)), 2)} l by the published bound, "
        f"{show_number(Log10(float(sharp)), 2)} l by X3; {known}"
    )


def draw(result: Result) -> Figure:
    """Start radius over start time, to the last noisy state and to the data."""
    figure, axes = new_figure(9.0, 4.3, columns=2)
    for row, ax in enumerate(axes):
        _panel(ax, result, row)
    axes[0].set_ylabel("start radius that stays / l")
    legend = axes[0].get_legend_handles_labels()
    note = (
        "Probability-flow ODE, exact score, closest pair. Exact: conserved distribution function, "
        f"in ball arithmetic; ends within {', '.join(f'{f:g}' for f in result['fractions'])} l of "
        "the midpoint. Both bounds: the pair alone; X3 for the same three (one line), P4.7 (2) for "
        "its own radius."
    )
    return finish(figure, _message(result), result, note, legend)


FIGURE = FigureSpec(
    claims=("X3", "P4.7 (2)"),
    source="Proposition 4.7 of 2605.06831",
    title="Basin of the midpoint: bounds and truth",
    caption="How close to the midpoint a path must start to end near it: the published sufficient "
    "radius, the sharp growth bound, and the exact interval, over the start time.",
    measure=basin,
    draw=draw,
)
