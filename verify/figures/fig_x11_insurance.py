"""Trained networks: what noise guarantees, and what is measured, against eta (X11)."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from mixdyn import bounds
from mixdyn.statistics import clopper_pearson
from mixdyn.validation import Array

from .spec import FigureSpec, Results
from .style import (
    BLUE,
    GREY,
    VERMILION,
    Look,
    explain_limits,
    finish,
    new_figure,
    percent_axis,
    plot_rate,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from verify.experiments import Result

_MEASURED = Look(VERMILION, "o", "-")


def _guarantees(result: Result, grid: str, exceeded: Array) -> Array:
    """The pathwise form at shares P(C > K) (E,)."""
    budget, log_p = result[f"{grid}_budget"], result[f"{grid}_log_p"]
    return bounds.pathwise_probability(exceeded, budget, log_p)


def _panel(ax: Axes, result: Result, grid: str) -> None:
    eta, models = result[f"{grid}_eta"], len(result.labels("models"))
    n = models * result.count(f"{grid}_n")
    exceeded = result[f"{grid}_exceeded"].sum(axis=0)
    ends = np.array([clopper_pearson(int(k), n) for k in exceeded]).T
    low, mid, high = (_guarantees(result, grid, p) for p in (ends[0], exceeded / n, ends[1]))
    ax.plot(eta, 100.0 * mid, "s-", color=BLUE, label="guarantee")
    ax.fill_between(eta, 100.0 * low, 100.0 * high, color=BLUE, alpha=0.2, lw=0.0)
    plot_rate(ax, eta, result[f"{grid}_gap"].sum(axis=0), n, _MEASURED, "measured")
    plain = 100.0 * result[f"{grid}_plain"].sum() / n
    ax.axhline(plain, color=GREY, ls=":", label="eta = 0: measured, no guarantee")
    explain_limits(ax)
    percent_axis(ax, 50.0 / n, 150.0)
    ax.set(
        title=f"{result.count(f'{grid}_steps')} steps",
        xlabel="eta (times the standard deviation of the bridge noise)",
        ylabel="paths in a gap between modes (%)",
    )
    ax.legend()


def _orders_agree(result: Result, grid: str) -> tuple[int, int]:
    """Pairs of eta whose measured rates differ beyond their 95 % intervals: how many the guarantee
    orders in the same way, and how many there are."""
    n = len(result.labels("models")) * result.count(f"{grid}_n")
    hits, exceeded = (result[f"{grid}_{name}"].sum(axis=0) for name in ("gap", "exceeded"))
    bound = _guarantees(result, grid, exceeded / n)
    ends = [clopper_pearson(int(k), n) for k in hits]
    same = total = 0
    for i, j in itertools.combinations(range(len(hits)), 2):
        if ends[i][0] > ends[j][1] or ends[j][0] > ends[i][1]:
            total += 1
            same += (hits[i] > hits[j]) == (bound[i] > bound[j])
    return same, total


def _message(result: Result) -> str:
    n = len(result.labels("models")) * result.count("coarse_n")
    bound = 100.0 * _guarantees(result, "coarse", result["coarse_exceeded"].sum(axis=0) / n)
    rates = 100.0 * result["coarse_gap"].sum(axis=0) / n
    one = int(np.argmin(np.abs(result["coarse_eta"] - 1.0)))
    pairs = [_orders_agree(result, grid) for grid in ("coarse", "full")]
    same, total = (sum(pair[k] for pair in pairs) for k in (0, 1))
    count = "all" if same == total else f"{same} of"
    order = f"; {count} {total} pairs of eta that differ in rate are in the guarantee's order"
    return (
        f"At eta = 1 and {result.count('coarse_steps')} steps the noise guarantees that at most "
        f"{bound[one]:.2g} % of a trained network's paths are in a gap, and {rates[one]:.2g} % "
        f"are{order if total else ''}"
    )


def draw(results: Results) -> Figure:
    """The papers' 50 steps left, all steps right."""
    result = results["insurance_eta"]
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
    id="X11",
    stem="fig_x11_insurance",
    title="Trained networks: guaranteed and measured rate of gaps against the noise factor",
    caption="The guarantee P(C > K) + 2 exp(-(sqrt L - sqrt K)^2) from the cost C of a network's "
    "own paths and the exact chain's probability exp(-L), beside the measured rate, for DDIM(eta) "
    "on 50 quadratic steps and on all steps (eta = 1 there is DDPM).",
    experiments=("insurance_eta",),
    claims=("X11",),
    draw=draw,
)
