"""The right-hand side of arXiv 2605.06831 v1, Proposition 5.1, and how often its hypotheses hold.

On a case, from a raw time on, for theta a share of the closest pairs' distance; the reading most
favourable to the bound: K by the supremum condition, lambda from [theta, 2 theta] alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.support.checks import Array

from ...ledger.claim import Case, Hypothesis
from ..paths import Level, level_at
from .stretch import DriftRange, Window, bisector_drift, drift_range, elapsed_noise

MAX_PAIRS = 40
SUP_RTOL = 1e-3  # what the grid of places may miss of a supremum


@dataclass(frozen=True)
class Bound:
    """The right-hand side and its parts, in x units: log of the confinement and return terms."""

    theta: float
    noise: float
    drift: DriftRange
    integral: float
    rate: float
    log_confinement: float
    log_return: float

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
    rate = max(float((drift.outward * step_noise).min()), 0.0)
    terms = bounds.log_midpoint_terms(
        theta, step_noise.sum(), integral, rate, float(step_noise.max())
    )
    confinement, back = (float(term) for term in terms)
    return Bound(theta, float(step_noise.sum()), drift, integral, rate, confinement, back)


def growth_and_outward(
    case: Case, window: Window, bound: Bound
) -> tuple[Hypothesis, Hypothesis, float]:
    """growth at places spread over |a| <= 2 theta; outward at states of the pair's two modes; the
    share of those states at which both held, at most that of growth."""
    rng, d = case.rng("P5.1"), case.mixture.d
    pairs = geometry.nearest_pairs(case.mixture)[:MAX_PAIRS]
    times = np.unique(np.linspace(1, window.t, min(window.t, 24)).astype(int)).tolist()
    n = case.pick(20_000, 400_000) // (len(pairs) * len(times))
    n = max(8, min(n, case.pick(10**7, 10**9) // (len(pairs) * len(times) * d * case.mixture.N)))
    step_noise, reach = elapsed_noise(case, window.t), 2.0 * bound.theta
    growth, outward, both = [], [], []

    def room(level: Level, b: Array) -> Array:
        return np.asarray(1.0 + SUP_RTOL - np.abs(b) / (reach * bound.drift.sup[level.t - 1]))

    for i, j in pairs:
        pair = geometry.pair(case.mixture, i, j)
        for t in times:
            level = level_at(case, t)
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
            outward.append(b / a * step_noise[t - 1] - bound.rate)
            both.append((outward[-1] >= 0.0) & ((np.abs(a) > reach) | (room(level, b) >= 0.0)))
    grows = Hypothesis.from_slack("growth", np.concatenate(growth))
    together = min(float(np.concatenate(both).mean()), grows.held_share)
    return grows, Hypothesis.from_slack("outward", np.concatenate(outward)), together
