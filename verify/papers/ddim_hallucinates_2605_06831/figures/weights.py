"""The saddle of a pair of unequal weights (arXiv 2605.06831 v1, appendix B.1)."""

from __future__ import annotations

import numpy as np

from verify.measure.saddles.weights import weights

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, ORANGE, PALETTE
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, new_figure, time_axis


def _sweep(ax: Axes, result: Result) -> None:
    for row, (k, limit) in enumerate(zip(result["k"], result["limit"], strict=True)):
        share, color = result["log_ratio"][row] / limit, PALETTE[row]
        ax.plot(
            share, result["exact"][row], color=color, label=f"$l^2/v$ = {k:g}, limit {limit:.3g}"
        )
        ax.plot(share[::4], result["engine"][row][::4], "o", color=color, ms=3.5)
    ax.plot([], [], "o", color=GREY, ms=3.5, label="engine")
    ax.axvline(1.0, color=GREY, ls=":", label="no saddle beyond")
    ax.set_xlabel(r"$\log(w_i/w_j)$ / its limit of existence")
    ax.set_ylabel("distance to the midpoint / l")
    ax.set(ylim=(-0.5, 0.02), xlim=(0.0, 1.05))
    ax.set_title("saddle at one noise level", color=GREY)
    ax.legend()


def _in_time(ax: Axes, result: Result) -> None:
    times = result["times"]
    ax.plot(times, result["saddle"], "o-", color=BLUE, ms=3.5, label="saddle of the field at t")
    ax.plot(times, result["separatrix"], "--", color=BLACK, label="separatrix: divides the starts")
    lost = times[~np.isfinite(result["saddle"])]
    if len(lost):
        ax.axvspan(lost[0], lost[-1], color=ORANGE, alpha=0.15, lw=0)
        ax.plot([], [], color=ORANGE, alpha=0.3, lw=8, label="no saddle exists")
    time_axis(ax, float(times[-1]))
    ax.set_ylim(-0.5, 0.02)
    ax.axhline(0.0, color=GREEN, lw=0.8, label="midpoint")
    ax.set_title(f"weights {result.number('ratio'):g}:1, closest pair of the case", color=GREY)
    ax.legend(loc="lower right")


def _message(result: Result) -> str:
    exists = np.flatnonzero(np.isfinite(result["saddle"]))
    if len(exists) == 0:
        return "Weights this unequal leave the closest pair no saddle at any time"
    at = int(exists[-1])
    return (
        f"The saddle moves towards the lighter mode until it vanishes; it is not the separatrix "
        f"(weights {result.number('ratio'):g}:1 at t = {int(result['times'][at])}: "
        f"{result['saddle'][at]:.2f} l against {result['separatrix'][at]:.2f} l)"
    )


def draw(result: Result) -> Figure:
    """Saddle over the weight ratio, and saddle and separatrix in time."""
    figure, (left, right) = new_figure(9.0, 4.1, columns=2)
    _sweep(left, result)
    _in_time(right, result)
    note = (
        "Two modes at -1/2 and 1/2, the upper one (i) heavier; exact score. Lines left: closed "
        "form. Separatrix: level set of the conserved distribution function."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    claims=("B.1 (1)", "B.1 (2)"),
    source="Appendix B.1 of 2605.06831",
    title="Saddle of unequal weights",
    caption="Left: the saddle between two modes against the ratio of their weights, up to the "
    "limit at which it merges with the lighter mode's equilibrium. Right: the saddle in time, and "
    "the curve that really divides the starts of the flow.",
    measure=weights,
    draw=draw,
)
