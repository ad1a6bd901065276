"""Trained networks: what noise guarantees, and what is measured, against eta (X11)."""

from __future__ import annotations

import math

import numpy as np

from verify.measure.insurance.eta import insurance_eta

from ....drawing.palette import BLUE, GREY, VERMILION, Look
from ....drawing.spec import FigureSpec, Result
from ....drawing.style import (
    Axes,
    Figure,
    explain_limits,
    finish,
    new_figure,
    percent_axis,
    plot_rate,
)

_MEASURED = Look(VERMILION, "o", "-")


def _floor(result: Result) -> float:
    """Half a path of the larger sample, in per cent: the same axis in both panels."""
    most = max(result.count(f"{grid}_n") for grid in ("coarse", "full"))
    return 50.0 / (most * len(result.labels("models")))


def _panel(ax: Axes, result: Result, grid: str) -> None:
    eta, models = result[f"{grid}_eta"], len(result.labels("models"))
    n = models * result.count(f"{grid}_n")
    low, mid, high = result[f"{grid}_guarantee"]
    ax.plot(eta, 100.0 * mid, "s-", color=BLUE, label="guarantee")
    ax.fill_between(eta, 100.0 * low, 100.0 * high, color=BLUE, alpha=0.2, lw=0.0)
    plot_rate(ax, eta, result[f"{grid}_gap"].sum(axis=0), n, _MEASURED, "measured")
    plain = 100.0 * result[f"{grid}_plain"].sum() / n
    ax.axhline(plain, color=GREY, ls=":", label="eta = 0: measured, no guarantee")
    explain_limits(ax)
    percent_axis(ax, _floor(result), 150.0)
    ax.set(
        title=f"{result.count(f'{grid}_steps')} steps",
        xlabel="eta (times the standard deviation of the bridge noise)",
        ylabel="paths in a gap between modes (%)",
    )
    ax.legend()


def _message(result: Result) -> str:
    n = len(result.labels("models")) * result.count("coarse_n")
    bound = 100.0 * result["coarse_guarantee"][1]
    rates = 100.0 * result["coarse_gap"].sum(axis=0) / n
    one = int(np.argmin(np.abs(result["coarse_eta"] - 1.0)))
    total, same = result["coarse_agree"] + result["full_agree"]
    count = "all" if same == total else f"{same} of"
    order = f"; {count} {total} pairs of eta that differ in rate are in the guarantee's order"
    return (
        f"At eta = 1 and {result.count('coarse_steps')} steps the noise guarantees that at most "
        f"{bound[one]:.2g} % of a trained network's paths are in a gap, and {rates[one]:.2g} % "
        f"are{order if total else ''}"
    )


def draw(result: Result) -> Figure:
    """The papers' 50 steps left, all steps right."""
    figure, (left, right) = new_figure(9.0, 4.2, columns=2)
    _panel(left, result, "coarse")
    _panel(right, result, "full")
    rarity = -result["coarse_log_p"] / math.log(10.0)
    note = (
        f"Means over {len(result.labels('models'))} trained networks; bars and band: 95 % "
        "intervals. Gap: some coordinate of the last noisy state's exact denoiser lies between two "
        "grid lines, over 5 sigma from both. With the exact score that has a probability of "
        f"10^-{rarity[0]:.0f} (least eta) to 10^-{rarity[-1]:.0f} (largest) on the left. Each eta "
        "is lowered to the largest that a step allows."
    )
    return finish(figure, _message(result), result, note)


FIGURE = FigureSpec(
    claims=("X11",),
    source="Our own, of result X11",
    title="Trained networks: guaranteed and measured rate of gaps against the noise factor",
    caption="The guarantee P(C > K) + 2 exp(-(sqrt L - sqrt K)^2) from the cost C of a network's "
    "own paths and the exact chain's probability exp(-L), beside the measured rate, for DDIM(eta) "
    "on 50 quadratic steps and on all steps (eta = 1 there is DDPM).",
    measure=insurance_eta,
    draw=draw,
)
