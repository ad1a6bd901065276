"""The terminal midpoint probability and its bounds (arXiv 2605.06831 v1, figure E.14, P5.1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.support.numbers import Log10, show_number
from verify.measure.midpoint.terminal import terminal

from ....drawing.palette import BLACK, BLUE, GREEN, GREY, PURPLE, VERMILION
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import Axes, Figure, finish, intervals, new_figure

# Colour, line and width, in the order of the result's kinds.
_LINES = ((PURPLE, "-.", 1.8), (BLUE, ":", 1.8), (GREEN, "-", 4.0), (BLACK, "--", 1.2))


def _rates(ax: Axes, result: Result) -> None:
    t = np.arange(1, len(result["k_sup"]) + 1)
    integrals = [result.number(f"{name}_integral") for name in ("k_ratio", "k_sup")]
    theta = result.number("half_width")
    names = (
        f"K: |b| <= K |a| (integral {integrals[0]:.0f})",
        f"K: sup |b|/(2 theta) ({integrals[1]:.2f})",
    )
    ax.plot(t, result["k_ratio"], ":", color=PURPLE, label=names[0])
    ax.plot(t, result["k_sup"], "-.", color=PURPLE, label=names[1])
    ax.plot(t, result["outward"], color=VERMILION, label="outward rate lambda at theta")
    ax.plot(t, result["chord"], "--", color=BLUE, label="chord slope at 2 theta")
    ax.set(yscale="log", xlabel="raw time t", ylabel="rate per unit of int beta")
    ax.set_xlim(t[-1] + 1, 0)
    ax.set_title(f"drift along the pair, theta = {theta:g} l", color=GREY)
    ax.set_ylim(None, result["k_ratio"].max() * 300.0)
    ax.legend()


def _probabilities(ax: Axes, x: np.ndarray, logs: np.ndarray, labels: list[str]) -> None:
    """-log10 of probabilities below one on a symmetric-log axis; above one is vacuous."""
    for column, (label, (color, line, width)) in enumerate(zip(labels, _LINES, strict=True)):
        ax.plot(x, logs[:, column], line, color=color, lw=width, label=label)
    ax.set_yscale("symlog", linthresh=1.0, linscale=0.6)
    ax.set_ylim(-2000.0, 3.0)
    ax.axhspan(0.0, 3.0, color=PURPLE, alpha=0.08, lw=0)
    place: dict[str, Any] = {"transform": ax.transAxes, "ha": "right", "va": "top"}
    ax.text(0.98, 0.985, "vacuous: above 1", color=GREY, **place)
    ticks = [-1000, -100, -10, -1, 0]
    ax.set_yticks(ticks, [f"$10^{{{tick}}}$" if tick else "1" for tick in ticks])


def _measured(ax: Axes, result: Result) -> None:
    seen = result["hits"] > 0
    ends = intervals(result["hits"][seen], result.count())
    logs, bottom, top = (np.log10(side) for side in ends)
    style: dict[str, Any] = {
        "fmt": "s",
        "color": VERMILION,
        "capsize": 2.0,
        "label": "DDPM, measured",
    }
    ax.errorbar(result["theta"][seen], logs, yerr=[logs - bottom, top - logs], **style)


def _message(result: Result) -> str:
    at = int(np.argmin(np.abs(result["theta"] - result.number("half_width"))))
    paper, _, sharp, exact = result["over_theta"][at]
    word = "vacuous" if paper >= 0 else "above the truth"
    return (
        f"The published midpoint bound is {word} ({10**paper:.2f} at theta = "
        f"{result['theta'][at]:.2g} l, t = {int(result['tau'])}), the comparison bound gives "
        f"{show_number(Log10(sharp), 2)}, the exact law {show_number(Log10(exact), 2)}"
    )


def draw(result: Result) -> Figure:
    """Rates of the drift, probabilities over theta and over tau."""
    figure, axes = new_figure(12.0, 4.4, columns=3)
    labels = result.labels("kinds")
    _rates(axes[0], result)
    _probabilities(axes[1], result["theta"], result["over_theta"], labels)
    _measured(axes[1], result)
    _probabilities(axes[2], result["taus"], result["over_tau"], labels)
    axes[1].set(xlabel="theta / l", ylabel="P(|A| <= theta at the clean end)")
    axes[1].set_title(f"from the midpoint at t = {int(result['tau'])}", color=GREY)
    axes[2].set(xscale="log", xlabel="start time tau (raw)")
    axes[2].set_title(f"theta = {result.number('half_width'):g} l", color=GREY)
    ticks = [t for t in (3, 10, 30, 100, 300) if t <= result["taus"].max()]
    axes[2].set_xticks(ticks, [str(t) for t in ticks])
    axes[2].minorticks_off()
    legend = axes[1].get_legend_handles_labels()
    note = (
        "The case's closest pair alone, exact score; vertical axis linear within a factor of ten "
        "of 1. DDPM is the discrete chain, the others are laws of the continuous process."
    )
    return finish(figure, _message(result), result, note, legend)


FIGURE = FigureSpec(
    claims=("P5.1", "X5", "G.6"),
    source="Figure E.14 of 2605.06831",
    title="Terminal midpoint probability: bounds and truth",
    caption="Left: the rates of the drift that enter the published bound. Middle and right: its "
    "value, a linear-confinement bound, the comparison bound and the exact law of the reverse SDE "
    "from the midpoint, over the half width theta and the start time.",
    measure=terminal,
    draw=draw,
)
