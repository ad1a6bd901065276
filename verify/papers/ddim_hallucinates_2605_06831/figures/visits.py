"""Trained networks: visits to midpoints by window and radius (arXiv 2605.06831 v1, figure E.11)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.measure.networks.visit_windows import visits_by_window

from ....drawing.palette import BLACK, GREY, LOOKS
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, intervals, new_figure, percent_axis

Counts = NDArray[Any]
_SAMPLERS = ("DDIM", "DDPM")


def _line(ax: Axes, x: Counts, hits: Counts, trials: Counts, style: dict[str, Any]) -> None:
    """A rate per point with its 95 % band; points without a trial are left out."""
    some = trials > 0
    rate, low, high = (100.0 * side for side in intervals(hits[some], trials[some]))
    ax.fill_between(x[some], low, high, color=style["color"], alpha=0.15, lw=0)
    ax.plot(x[some], np.where(rate > 0.0, rate, np.nan), markersize=3.5, **style)


def _conditionals(ax: Axes, x: Counts, counts: Counts) -> None:
    """P(H|M) and P(H|not M) of either sampler, all networks together."""
    for name, found in zip(_SAMPLERS, counts, strict=True):
        n, visits, hits, joint = found.sum(axis=1).T
        look = LOOKS[name]
        style = {"color": look.color, "marker": look.marker}
        _line(ax, x, joint, visits, {**style, "label": f"{name}: P(H|M)"})
        dotted = {**style, "ls": ":", "mfc": "none", "label": f"{name}: P(H|not M)"}
        _line(ax, x, hits - joint, n - visits, dotted)
    lowest = 30.0 / counts[0, 0, :, 0].sum()
    percent_axis(ax, lowest, 150.0)


def _visits(ax: Axes, result: Result) -> None:
    """P(M) and P(M|H) against the window."""
    for name, found in zip(_SAMPLERS, result["by_window"], strict=True):
        n, visits, hits, joint = found.sum(axis=1).T
        look = LOOKS[name]
        style = {"color": look.color, "marker": look.marker}
        _line(ax, result["windows"], visits, n, {**style, "label": f"{name}: P(M)"})
        dashed = {**style, "ls": "--", "mfc": "none", "label": f"{name}: P(M|H)"}
        _line(ax, result["windows"], joint, hits, dashed)
    ax.set(ylim=(0.0, 105.0), ylabel="share of runs (%)")


def _message(result: Result) -> str:
    windows = result["windows"].tolist()
    counts = result["by_window"][0].sum(axis=1)
    long, short = counts[0], counts[-1]
    rates = [100.0 * part[3] / max(part[1], 1) for part in (short, long)]
    shares = [100.0 * part[3] / max(part[2], 1) for part in (short, long)]
    return (
        f"DDIM on trained networks: from {windows[-1]} to {windows[0]} DDIM steps of window P(H|M) "
        f"goes from {rates[0]:.0f} to {rates[1]:.2g} %, while {shares[0]:.3g} to {shares[1]:.3g} "
        f"% of the interpolations have visited a midpoint"
    )


def draw(result: Result) -> Figure:
    """Visits, conditional rates by window, conditional rates by radius."""
    figure, axes = new_figure(12.0, 4.2, columns=3)
    _visits(axes[0], result)
    _conditionals(axes[1], result["windows"], result["by_window"])
    _conditionals(axes[2], result["theta"], result["by_theta"])
    theta, tau = result.number("theta_fixed"), int(result["tau_3_fixed"])
    axes[0].set_title(f"visits within {theta:g} l of a midpoint", color=GREY)
    axes[1].set_title(f"interpolations, theta = {theta:g}", color=GREY)
    axes[2].set_title(f"interpolations, {tau} DDIM steps left", color=GREY)
    for ax in axes[:2]:
        ax.set_xlabel("window tau_3 (DDIM steps left)")
        ax.set_xticks(result["windows"][::5])
        ax.axvline(tau, color=BLACK, lw=0.8, ls=":")
    axes[1].set_ylabel("interpolations (% of these runs)")
    axes[2].set_xlabel("radius theta of a visit / l")
    axes[2].axvline(theta, color=BLACK, lw=0.8, ls=":")
    for ax in axes:
        ax.legend(fontsize=7.0)
    note = (
        f"H: interpolation, M: visit; {len(result['models'])} networks together, n runs of DDIM "
        "and DDPM a network. Bands: 95 % intervals; rates of 0 are left out. Dotted line: the "
        "paper's choice."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    claims=("E.11", "I.1"),
    source="Figure E.11 of 2605.06831",
    title="Trained networks: visits to midpoints against window and radius",
    caption="A visit: within theta l of the midpoint of the two nearest modes at some node of the "
    "window. Left: how many runs, and how many interpolations, have one. Middle and right: how "
    "many runs with and without a visit interpolate.",
    measure=visits_by_window,
    draw=draw,
)
