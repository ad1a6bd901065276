"""How large a symmetric two-mode problem the drift along a pair dominates.

For a mixture whose drift along a pair does not depend on the place across it, the coordinate A
along the pair is a diffusion of its own: in y units and the clock r = v_start - v, dA = g dr + dB
with g = (m - A)/v. Take any solution s of ds/dr = g(s, v). Then A - s has drift
h = (m(A) - m(s) - (A - s))/v, which vanishes at 0, and if on the whole line

    sgn(A - s) (m(A, v) - m(s, v)) >= (l'/2) tanh(l' |A - s|/(2 v)),

(A - s)^2 stays above the square of the reverse diffusion of two point masses at +-l'/2. So
|A_end| <= theta has at most the probability that the latter ends within theta + |s_end|, from any
start. With s = 0 this needs a mixture symmetric about the bisector. For two modes of unequal weight
s = -(v/l) log(w_i/w_j) gives l' = l exactly, and here s ends where that curve does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array

from ...ledger.case import Case

LEVELS = 48
PLACES = np.concatenate([np.geomspace(1e-5, 1.0, 240), np.linspace(1.02, 8.0, 120)])  # over l
_BISECTIONS = 60
# Rounding of the two mean fields, relative to l; what the condition may miss.
_SLACK = 1e-9


@dataclass(frozen=True)
class Reference:
    """length: the largest l' found on the grid of places and levels. v (L,), center (L,): the curve
    s at increasing variances from the end. n: places times levels looked at."""

    length: float
    v: Array
    center: Array
    n: int

    def log_probability(self, theta: float, stretch: float = 1.0) -> float:
        """Upper bound on log P(|A_end| <= theta) from any start at the largest of the variances.

        stretch: a factor on l', 1 for the bound itself.
        """
        reach, length = theta + abs(float(self.center[0])), stretch * self.length
        return float(bounds.log_midpoint_probability(length, reach, self.v[-1], self.v[0]))


def is_autonomous(mixture: GaussianMixture, pair: geometry.Pair) -> bool:
    """Whether the drift along the pair depends on the coordinate along it alone."""
    centred = mixture.means - mixture.means.mean(axis=0)
    if np.linalg.matrix_rank(centred) == 1:
        return True
    along = np.abs(pair.direction)
    return mixture.product_axes() is not None and bool(along.max() > 1.0 - 1e-12)


def find_reference(
    mixture: GaussianMixture, pair: geometry.Pair, v_start: float, v_end: float
) -> Reference | None:
    """The reference of a pair from v_start down to v_end, None where there is none."""
    if not is_autonomous(mixture, pair):
        return None
    places = pair.bisector_coordinate(mixture.means)
    line = GaussianMixture(places[:, None], 1.0, mixture.weights, allow_duplicates=True)
    sides = [
        np.abs(places - at) < 1e-9 * pair.length for at in (0.5 * pair.length, -0.5 * pair.length)
    ]
    weights = [float(mixture.weights[side].sum()) for side in sides]
    v = np.geomspace(v_end, v_start, LEVELS)
    center = _center(line, v, -v_end / pair.length * math.log(weights[0] / weights[1]))
    length = min(
        _length(line, float(s), float(level), pair.length)
        for s, level in zip(center, v, strict=True)
    )
    n = 2 * len(PLACES) * LEVELS
    return Reference((1.0 - _SLACK) * length, v, center, n) if length > 0.0 else None


def reference_from(case: Case, pair: geometry.Pair, t: int) -> Reference | None:
    """The reference of a case's pair from raw time t down to clean data."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    key = f"reference {pair.i} {pair.j} {t}"
    return case.memo(key, lambda: find_reference(case.mixture, pair, float(v[t]), float(v[0])))


def _field(line: GaussianMixture, a: Array, v: float) -> Array:
    return dynamics.mean_field(line, np.atleast_1d(a)[:, None], v)[:, 0]


def _center(line: GaussianMixture, v: Array, end: float) -> Array:
    """s at every level from its value at the first: ds/dlog v = s - m(s), stable upwards."""
    from scipy.integrate import solve_ivp

    clock = np.log(v)
    solved = solve_ivp(
        lambda w, s: s - _field(line, s, math.exp(w)),
        (clock[0], clock[-1]),
        np.array([end]),
        method="LSODA",
        t_eval=clock,
        rtol=1e-9,
        atol=1e-14,
    )
    return np.asarray(solved.y[0])


def _length(line: GaussianMixture, s: float, v: float, scale: float) -> float:
    """The largest l' at one level: p = l'/2 with p tanh(p |A - s|/v) = |m(A) - m(s)|, smallest
    over the places; 0 where the drift does not even point away from s."""
    offset = scale * np.concatenate([PLACES, -PLACES])
    pull = np.sign(offset) * (_field(line, s + offset, v) - _field(line, np.array([s]), v))
    low, high = np.zeros_like(offset), np.full_like(offset, 2.0 * scale)
    for _ in range(_BISECTIONS):
        p = 0.5 * (low + high)
        below = p * np.tanh(p * np.abs(offset) / v) <= pull
        low, high = np.where(below, p, low), np.where(below, high, p)
    return 2.0 * float(low.min())


def literal_slack(
    mixture: GaussianMixture, pair: geometry.Pair, v: float, rng: np.random.Generator
) -> Array:
    """Slack of the condition with s = 0 and l' = l over l, at places along the pair, (n,).

    Offsets across the pair are those of states drawn from the mixture at variance v. Differences
    below rounding count as 0.
    """
    along = pair.length * np.concatenate([PLACES[::3], -PLACES[::3]])
    drawn = mixture.means[rng.choice(mixture.N, len(along), p=mixture.weights)]
    y = drawn + math.sqrt(v) * rng.standard_normal(drawn.shape)
    y += (along - pair.bisector_coordinate(y))[:, None] * pair.direction
    pull = pair.bisector_coordinate(dynamics.mean_field(mixture, y, v))
    half = 0.5 * pair.length
    slack = (np.sign(along) * pull - half * np.tanh(half * np.abs(along) / v)) / pair.length
    return np.where(np.abs(slack) < _SLACK, 0.0, slack)
