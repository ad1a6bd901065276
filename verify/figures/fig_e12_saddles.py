"""Eigenvalues at the saddles against time (arXiv 2605.06831 v1, figure E.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .spec import FigureSpec, Results
from .style import BLACK, BLUE, GREEN, GREY, ORANGE, finish, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from verify.experiments import Result


def _message(result: Result) -> str:
    at = int(np.argmin(np.abs(result["times"] - result.number("tau_2"))))
    gap = np.abs(result["along"] / result["two_modes"] - 1.0)
    return (
        f"Every saddle sharpens as noise falls: {result['two_modes'][at]:.3g} at "
        f"t = {int(result['times'][at])}, {result['two_modes'][0]:.3g} at "
        f"t = {int(result['times'][0])}; from tau_2 on the full mixture differs from two modes "
        f"alone by at most {np.nanmax(gap[:, : at + 1]):.1g}"
    )


def draw(results: Results) -> Figure:
    """Along the pair and across it on a symmetric-log axis; relative difference at the right."""
    result = results["saddles"]
    figure, (left, right) = new_figure(9.0, 4.0, columns=2, ratios=(1.35, 1.0))
    times, along, lowest = result["times"], result["along"], result["lowest"]
    exists = np.isfinite(along).any(axis=0)
    left.plot(times, result["two_modes"], color=BLACK, lw=3.5, alpha=0.3, label="two modes alone")
    across = result.recipe["mixture"]["d"] > 1
    if across:
        left.plot(times, np.full(len(times), -1.0), color=BLACK, lw=3.5, alpha=0.3)
    style: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 3.5}
    left.plot(times[exists], np.nanmax(along[:, exists], axis=0), color=BLUE, **style)
    left.plot(times[exists], np.nanmin(along[:, exists], axis=0), color=BLUE, **style)
    if across:
        left.plot(times[exists], np.nanmin(lowest[:, exists], axis=0), color=GREEN, **style)
    left.plot([], [], color=BLUE, label="full mixture, largest", **style)
    left.plot([], [], color=GREEN, label="full mixture, smallest", **style)
    left.axhline(0.0, color=GREY, lw=0.8)
    left.set_yscale("symlog", linthresh=1.0)
    left.set(yticks=[-1, 0, 1, 10, 100, 1000], yticklabels=["-1", "0", "1", "10", "100", "1000"])
    left.set_ylabel("eigenvalue per unit of intrinsic time")
    gap = np.abs(along / result["two_modes"] - 1.0)
    gap = np.nanmax(gap[:, exists], axis=0)
    right.plot(times[exists], np.maximum(gap, 1e-16), "o-", color=BLUE, ms=3.5, lw=1.0)
    right.axhline(1e-16, color=GREY, lw=0.8, ls=":")
    right.set(yscale="log", ylabel="relative difference to two modes alone")
    for ax in (left, right):
        ax.axvline(
            result.number("tau_2"), color=ORANGE, ls="-.", label=r"$\tau_2$: modes separated"
        )
        ax.set(xscale="log", xlabel="raw time t (noise left, data right)")
        ax.set_xlim(times[-1] * 1.2, 0.9)
        ticks = [t for t in (1, 3, 10, 30, 100, 300) if t <= times[-1] * 1.2]
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.minorticks_off()
    left.set_ylim(-30.0, None)
    left.legend(loc="lower right", ncols=2)
    note = (
        "Exact score; n closest pairs, extremes over them. Differences below rounding are shown at "
        "1e-16."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    id="E.12",
    source="Figure E.12 of 2605.06831",
    stem="fig_e12_saddles",
    title="Eigenvalues at the saddles against time",
    caption="Largest and smallest eigenvalue of Cov/v - I at the saddles between closest modes of "
    "the full mixture, and l^2/(4 v) - 1 and -1 of two modes alone. Right: how far they differ.",
    experiments=("saddles",),
    claims=("P4.7 (1)",),
    draw=draw,
)
