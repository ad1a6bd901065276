"""The probability that the reverse SDE ends near the midpoint it started from, and its bounds.

arXiv 2605.06831 v1, Proposition 5.1 and figure E.14: K(t), lambda_t and the bound, beside a sharper
bound (comparison with two point masses), the linear confinement bound and the exact law. The closest
pair of the case as a mixture of its own, exact score, clean end. A is the coordinate along the pair
from the midpoint in x units; rates are per unit of int beta = -log abar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.mixture import GaussianMixture
from mixdyn.presets import two_modes
from mixdyn.samplers import DDPM
from mixdyn.sampling import sample
from mixdyn.schedule import NoiseSchedule
from mixdyn.validation import Array

from ..claim import Case
from ..window import HALF_WIDTH
from .common import require_window

HALF_WIDTHS = np.linspace(0.02, 0.49, 48)  # theta in l


@dataclass(frozen=True)
class Problem:
    """The pair alone, at distance `length`, under a schedule."""

    mixture: GaussianMixture
    schedule: NoiseSchedule
    length: float

    @property
    def sigma(self) -> float:
        """The common standard deviation."""
        return float(self.mixture.sigma)

    def drift(self, a: Array, t: int) -> Array:
        """b(a, t) of the engine's exact score: reverse drift along the pair per unit of int beta."""
        x = a[:, None]
        marginal = self.mixture.diffused(
            float(self.schedule.alpha_bar[t]), noise_var=float(self.schedule.noise_var[t])
        )
        return np.asarray(0.5 * a + marginal.score(x)[:, 0])

    def clock(self, tau: int) -> Array:
        """(tau,) increments of int beta at t = 1..tau."""
        return -np.diff(self.schedule.log_alpha_bar[: tau + 1])


def _rates(problem: Problem, theta: float, tau: int) -> dict[str, Array]:
    """Per t = 1..tau, (tau,): K by the supremum over |a| <= 2 theta, K by |b| <= K |a|, and the
    outward rates b(theta)/theta and b(2 theta)/(2 theta)."""
    inner = theta * np.geomspace(1e-6, 2.0, 400)
    rows = []
    for t in range(1, tau + 1):
        size = np.abs(problem.drift(inner, t))
        edge = problem.drift(theta * np.array([1.0, 2.0]), t) / (theta * np.array([1.0, 2.0]))
        rows.append((size.max() / (2.0 * theta), (size / inner).max(), *edge))
    names = ("k_sup", "k_ratio", "outward", "chord")
    return dict(zip(names, np.array(rows).T, strict=True))


def _log10_bounds(problem: Problem, theta: float, tau: int) -> list[float]:
    """log10 of the paper's bound, the linear confinement, the sharper bound and the exact law."""
    rates, clock = _rates(problem, theta, tau), problem.clock(tau)
    total = float(clock.sum())
    # In the clock int beta the noise has unit rate, so "sup beta" is 1 and lambda per unit of it.
    terms = bounds.log_midpoint_terms(
        theta, total, float(rates["k_sup"] @ clock), max(float(rates["outward"].min()), 0.0), 1.0
    )
    growth = np.cumsum((rates["chord"] * clock)[::-1])[::-1]  # from t up to tau, before the end
    linear = bounds.log_linear_confinement(
        theta, float(growth[0]), float(np.exp(-2.0 * (growth[0] - growth)) @ clock)
    )
    v = problem.schedule.effective_variance(problem.sigma)
    sharp = bounds.log_midpoint_probability(problem.length, theta, v[tau], v[0])
    logs = [float(np.logaddexp(*terms)), float(linear), float(sharp), _truth(problem, theta, tau)]
    return [value / math.log(10.0) for value in logs]


def _truth(problem: Problem, theta: float, tau: int) -> float:
    """log P(|A_0| <= theta) from the midpoint by the exact reverse law."""
    schedule = problem.schedule
    law = oracles.reverse_mixture(
        problem.mixture,
        np.zeros((1, 1)),
        float(schedule.alpha_bar[tau]),
        noise_var_t=float(schedule.noise_var[tau]),
        noise_var_s=0.0,
    )
    return float(law.log_slab_probability([1.0], [0.0], theta)[0])
