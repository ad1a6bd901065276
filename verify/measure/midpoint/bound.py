"""The right-hand side of arXiv 2605.06831 v1, Proposition 5.1, and how often its hypotheses hold.

On a case, from a raw time on, for theta a share of the closest pairs' distance; the reading most
favourable to the bound: K by the supremum condition, lambda from [theta, 2 theta] alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion

from ...ledger.case import Case
from ...ledger.verdict import Hypothesis
from ..paths import Level, level_at
from .stretch import HALF_WIDTH, DriftRange, Window, bisector_drift, drift_range, elapsed_noise

MAX_PAIRS = 40
SUP_RTOL = 1e-3  # what the grid of places may miss of a supremum


@dataclass(frozen=True)
class Bound:
    """The right-hand side and its parts, in x units: log of the confinement and return terms.

    noise, beta_max: sum and largest of int beta over the steps. least: the smallest outward rate.
    """

    theta: float
    noise: float
    beta_max: float
    drift: DriftRange
    integral: float
    least: float
    log_confinement: float
    log_return: float

    @property
    def rate(self) -> float:
        """lambda, 0 where the drift does not point outward."""
        return max(self.least, 0.0)

    @property
    def log_total(self) -> float:
        """log of the sum."""
        return float(np.logaddexp(self.log_confinement, self.log_return))


def published_bound(case: Case, window: Window, half_width: float, t: int) -> Bound:
    """The bound from raw time t for theta = half_width l: the extremes over all closest pairs."""
    theta = half_width * window.pair.length
    step_noise = elapsed_noise(case, t)
    drift = drift_range(case, window.pair, theta, t)
    integral = float(drift.sup @ step_noise)
    least = float((drift.outward * step_noise).min())
    noise, beta_max = float(step_noise.sum()), float(step_noise.max())
    terms = bounds.log_midpoint_terms(theta, noise, integral, max(least, 0.0), beta_max)
    confinement, back = (float(term) for term in terms)
    return Bound(theta, noise, beta_max, drift, integral, least, confinement, back)


def own_bound(case: Case, window: Window) -> Bound:
    """The bound in the papers' own regime: theta = 0.15 l, from the window's start."""
    return case.memo("own bound", lambda: published_bound(case, window, HALF_WIDTH, window.t))


def growth_and_outward(case: Case, window: Window) -> tuple[Hypothesis, Hypothesis, float]:
    """Of the own bound: growth at places spread over |a| <= 2 theta; outward at states of the
    pair's two modes; the share of those states at which both held, at most that of growth."""
    return case.memo("growth and outward", lambda: _growth_and_outward(case, window))


def _growth_and_outward(case: Case, window: Window) -> tuple[Hypothesis, Hypothesis, float]:
    bound = own_bound(case, window)
    rng, d = case.rng("P5.1"), case.mixture.d
    pairs = geometry.nearest_pairs(case.mixture)[:MAX_PAIRS]
    times = np.unique(np.linspace(1, window.t, min(window.t, 24)).astype(int)).tolist()
    levels = [level_at(case, t) for t in times]
    n = case.pick(20_000, 400_000) // (len(pairs) * len(times))
    n = max(8, min(n, case.pick(10**7, 10**9) // (len(pairs) * len(times) * d * case.mixture.N)))
    step_noise, reach = elapsed_noise(case, window.t), 2.0 * bound.theta
    growth, outward, both = [], [], []

    def room(level: Level, b: Array) -> Array:
        return np.asarray(1.0 + SUP_RTOL - np.abs(b) / (reach * bound.drift.sup[level.t - 1]))

    for i, j in pairs:
        pair = geometry.pair(case.mixture, i, j)
        for level in levels:
            xi = level.sigma_t * rng.standard_normal((n, d))
            xi -= (xi @ pair.direction)[:, None] * pair.direction
            a = rng.uniform(-reach, reach, n)
            b = bisector_drift(level, pair, a, xi)
            growth.append(room(level, b))
            side = np.where(rng.random(n) < 0.5, -0.5, 0.5)
            a = side * level.alpha * pair.length + level.sigma_t * rng.standard_normal(n)
            b = bisector_drift(level, pair, a, xi)
            kept = np.abs(a) >= bound.theta
            a, b = a[kept], b[kept]
            outward.append(b / a * step_noise[level.t - 1] - bound.rate)
            both.append((outward[-1] >= 0.0) & ((np.abs(a) > reach) | (room(level, b) >= 0.0)))
    grows = Hypothesis.from_slack("growth", np.concatenate(growth))
    together = min(float(np.concatenate(both).mean()), grows.held_share)
    return grows, Hypothesis.from_slack("outward", np.concatenate(outward)), together


def ended_near(case: Case, window: Window, model: Any, work: int, label: str) -> Proportion:
    """How many DDPM runs from the midpoint at the window's start end within theta of it. work:
    runs times steps times dimensions, of at least 16 runs."""
    n = max(16, work // (case.mixture.d * window.t))
    x = np.tile(case.schedule.alpha[window.t] * window.pair.midpoint, (n, 1))
    seed = case.stream(label)
    out = sample(model, case.schedule, DDPM(), x=x, start=window.t, rng=seed)
    inside = np.abs(window.pair.bisector_coordinate(np.asarray(out.x)))
    return Proportion(int((inside <= HALF_WIDTH * window.pair.length).sum()), n)
