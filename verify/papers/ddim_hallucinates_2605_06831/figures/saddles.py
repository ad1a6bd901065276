"""Eigenvalues at the saddles against time (arXiv 2605.06831 v1, figure E.12)."""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.measure.saddles.portraits import learned_saddles, saddles

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, ORANGE, network_look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, eigenvalue_axis, finish, new_figure, time_axis


def _message(result: Result) -> str:
    at = int(np.argmin(np.abs(result["times"] - result.number("tau_2"))))
    gap = np.abs(result["along"] / result["two_modes"] - 1.0)
    return (
        f"Every saddle sharpens as noise falls: {result['two_modes'][at]:.3g} at "
        f"t = {int(result['times'][at])}, {result['two_modes'][0]:.3g} at "
        f"t = {int(result['times'][0])}; from tau_2 on the full mixture differs from two modes "
        f"alone by at most {np.nanmax(gap[:, : at + 1]):.1g}"
    )


def _time_axis(ax: Axes, result: Result, latest: float, label: str = "_") -> None:
    ax.axvline(result.number("tau_2"), color=ORANGE, ls="-.", label=label)
    time_axis(ax, 1.2 * latest)


def draw(result: Result) -> Figure:
    """Along the pair and across it on a symmetric-log axis; relative difference at the right."""
    figure, (left, right) = new_figure(9.0, 4.0, columns=2, ratios=(1.35, 1.0))
    times, along, lowest = result["times"], result["along"], result["lowest"]
    exists = np.isfinite(along).any(axis=0)
    left.plot(times, result["two_modes"], color=BLACK, lw=3.5, alpha=0.3, label="two modes alone")
    across = result.case.mixture.d > 1
    if across:
        left.plot(times, np.full(len(times), -1.0), color=BLACK, lw=3.5, alpha=0.3)
    style: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 3.5}
    left.plot(times[exists], np.nanmax(along[:, exists], axis=0), color=BLUE, **style)
    left.plot(times[exists], np.nanmin(along[:, exists], axis=0), color=BLUE, **style)
    if across:
        left.plot(times[exists], np.nanmin(lowest[:, exists], axis=0), color=GREEN, **style)
    left.plot([], [], color=BLUE, label="full mixture, largest", **style)
    left.plot([], [], color=GREEN, label="full mixture, smallest", **style)
    eigenvalue_axis(left)
    left.set_ylabel("eigenvalue per unit of intrinsic time")
    gap = np.abs(along / result["two_modes"] - 1.0)
    gap = np.nanmax(gap[:, exists], axis=0)
    right.plot(times[exists], np.maximum(gap, 1e-16), "o-", color=BLUE, ms=3.5, lw=1.0)
    right.axhline(1e-16, color=GREY, lw=0.8, ls=":")
    right.set(yscale="log", ylabel="relative difference to two modes alone")
    for ax in (left, right):
        _time_axis(ax, result, float(times[-1]), r"$\tau_2$: modes separated")
    left.set_ylim(-30.0, None)
    left.legend(loc="lower right", ncols=2)
    note = (
        "Exact score; n closest pairs, extremes over them. Differences below rounding are shown at "
        "1e-16."
    )
    return finish(figure, _message(result), result, note)


P47 = FigureSpec(
    claims=("P4.7 (1)",),
    source="Figure E.12 of 2605.06831",
    title="Eigenvalues at the saddles against time",
    caption="Largest and smallest eigenvalue of Cov/v - I at the saddles between closest modes of "
    "the full mixture, and l^2/(4 v) - 1 and -1 of two modes alone. Right: how far they differ.",
    measure=saddles,
    draw=draw,
)


def _learned_message(result: Result) -> str:
    exact, growth = result["exact"], result["growth"]
    negative, places = int((growth <= 0.0).sum()), growth.size
    width, flow = np.median(result["width"][:, 0]), 10.0 ** result["ddim"][0]
    return (
        f"A trained network flattens the saddle: at t = {int(result['times'][-1])} the midpoint's "
        f"eigenvalue is {np.median(growth[:, -1]):.2g} instead of {np.median(exact[-1]):.3g} "
        f"(negative at {negative} of {places:,} places), and the trap from "
        f"t = {int(result['starts'][0])} is {width:.2g}\u00a0l wide instead of {flow:.1g}\u00a0l"
    )


def _eigenvalues(ax: Axes, result: Result) -> None:
    times = result["times"]
    exact = np.median(result["exact"], axis=1)
    ax.plot(times, exact, color=BLACK, lw=3.5, alpha=0.35)
    across = result.case.mixture.d > 1
    if across:
        ax.plot(times, np.full(len(times), -1.0), color=BLACK, lw=3.5, alpha=0.35)
    for k, name in enumerate(result.labels("models")):
        look, growth = network_look(k), result["growth"][k]
        middle = np.median(growth, axis=1)
        ax.plot(times, middle, look.marker + "-", color=look.color, ms=3.5, label=name)
        ax.fill_between(
            times, growth.min(axis=1), growth.max(axis=1), color=look.color, alpha=0.15, lw=0
        )
        if across:
            lowest = np.median(result["lowest"][k], axis=1)
            ax.plot(times, lowest, look.marker + ":", color=look.color, mfc="none", ms=3.5)
    eigenvalue_axis(ax)
    ax.set(ylabel="eigenvalue per unit of intrinsic time", title="at the midpoint")


def _widths(ax: Axes, result: Result) -> None:
    starts = result["starts"]
    ax.plot(starts, 10.0 ** result["flow"], "x-", color=BLACK, label="exact flow")
    ax.plot(starts, 10.0 ** result["ddim"], "+--", color=BLACK, label="DDIM, exact score")
    for k, name in enumerate(result.labels("models")):
        look, width = network_look(k), result["width"][k]
        middle = np.median(width, axis=1)
        ax.plot(starts, middle, look.marker + "-", color=look.color, ms=3.5, label=name)
        ax.fill_between(
            starts, width.min(axis=1), width.max(axis=1), color=look.color, alpha=0.15, lw=0
        )
    least = np.median(result["least"], axis=(0, 2))
    ax.plot(starts, least, ":", color=GREY, label="at least, by the growth")
    ax.set(yscale="log", ylabel="width of the trap / l", title="starts that end outside both modes")


def draw_learned(result: Result) -> Figure:
    """Eigenvalues left, width of the trap right, both against the time."""
    figure, (left, right) = new_figure(9.0, 4.3, columns=2, ratios=(1.2, 1.0))
    _eigenvalues(left, result)
    _widths(right, result)
    for ax in (left, right):
        _time_axis(ax, result, float(result["times"][0]))
    rates = 100.0 * result["hits"] / result.count("runs")
    note = (
        "Midpoints of the n closest pairs: medians, extremes shaded. Left: grey, the exact score; "
        "hollow, the smallest eigenvalue. Orange: modes separated. Right: the exact flow of two "
        "modes, and DDIM with 50 steps on the networks; "
        f"its runs interpolate in {', '.join(f'{rate:.2g}' for rate in rates)} % of the samples."
    )
    legend = right.get_legend_handles_labels()
    return finish(figure, _learned_message(result), result, note, legend)


E12 = FigureSpec(
    claims=("E.12",),
    source="Figure E.12 of 2605.06831, on trained networks",
    title="Trained networks: eigenvalues at the midpoints, and the traps between modes",
    caption="Largest and smallest eigenvalue of the learned Jacobian at the midpoints of closest "
    "modes beside the exact ones. Right: the part of a segment whose starts DDIM takes to neither "
    "mode, beside the same for the exact flow.",
    measure=learned_saddles,
    draw=draw_learned,
)
