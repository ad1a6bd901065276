"""Problems between two modes whose probability of ending near the midpoint is known exactly (O1).

Static coordinates y. A problem is a mixture, a pair, a start, two variances and a half-width theta.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array

from ...ledger.case import Case
from .stretch import HALF_WIDTH, first_pair, level_between, start_time, usable_nodes

THETAS = np.array([0.02, 0.05, 0.1, 0.15, 0.25, 0.35, 0.45])  # over l
LENGTHS = (4.0, 10.0, 30.0, 300.0)  # l/sigma of further two-mode problems


@dataclass(frozen=True)
class Place:
    """Starts y (n, d) at v_start, the end v_end, and half-widths theta in y units."""

    y: Array
    v_start: float
    v_end: float
    thetas: Array


def log_truth(mixture: GaussianMixture, pair: geometry.Pair, place: Place) -> Array:
    """(starts, thetas): log P(|A_end| <= theta) by O1, starts y (n, d) at v_start."""
    start, end = (level_between(mixture, v) for v in (place.v_start, place.v_end))
    law = oracles.reverse_mixture(
        mixture,
        start.alpha * place.y,
        start.abar,
        end.abar,
        noise_var_t=start.noise_var,
        noise_var_s=end.noise_var,
    )
    columns = [
        law.log_slab_probability(pair.direction, pair.midpoint, end.alpha * theta)
        for theta in place.thetas
    ]
    return np.column_stack(columns)


def variances(case: Case) -> list[tuple[float, float]]:
    """(v_start, v_end): nodes of the papers' grid to clean data and to the last noisy time."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    times = usable_nodes(case)
    starts = times[np.unique(np.linspace(0, max(len(times) - 4, 0), 8).astype(int))]
    return [(float(v[t]), float(v[s])) for t, s in itertools.product(starts, (0, 1)) if t > s]


@dataclass(frozen=True)
class Problems:
    """Exact log probabilities with what their bound is computed from, each (n,)."""

    truth: Array
    length: Array
    theta: Array
    v_start: Array
    v_end: Array

    @classmethod
    def join(cls, parts: list[Problems]) -> Problems:
        """All problems in one."""
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def log_bound(self, stretch: float = 1.0, variance: float = 1.0) -> Array:
        """X5 with l' = stretch times its length. variance: a factor on that of the law (mutant)."""
        if variance == 1.0:
            return bounds.log_midpoint_probability(
                stretch * self.length, self.theta, self.v_start, self.v_end
            )
        q = self.v_end / self.v_start
        c, std = (1.0 - q) * stretch * self.length / 2.0, np.sqrt(variance * self.v_end * (1.0 - q))
        return oracles.log_interval((-self.theta - c) / std, (self.theta - c) / std)

    def where(self) -> dict[str, Array]:
        """What reproduces each problem."""
        names = ("length", "theta", "v_start", "v_end")
        return {name: getattr(self, name) for name in names}


def problems_of(
    mixture: GaussianMixture, pair: geometry.Pair, length: float, place: Place
) -> Problems:
    """Every start and half-width of a place, with the length l' that its bound takes."""
    truth = log_truth(mixture, pair, place)
    shape = truth.shape
    return Problems(
        truth.ravel(),
        np.full(truth.size, length),
        np.broadcast_to(place.thetas, shape).ravel(),
        np.full(truth.size, place.v_start),
        np.full(truth.size, place.v_end),
    )


def two_modes(length: float, sigma: float) -> tuple[GaussianMixture, geometry.Pair]:
    """Two equal modes on a line, at +-length/2."""
    mixture = GaussianMixture([[0.5 * length], [-0.5 * length]], sigma)
    return mixture, geometry.pair(mixture, 0, 1)


def equal_modes(case: Case, starts: Array) -> Problems:
    """Two equal modes; starts in units of l from the midpoint."""
    sigma = float(case.mixture.sigma)
    own = first_pair(case.mixture).length
    parts = []
    for length in (own, *(r * sigma for r in LENGTHS)):
        mixture, pair = two_modes(length, sigma)
        for v_start, v_end in variances(case):
            place = Place(length * starts[:, None], v_start, v_end, length * THETAS)
            parts.append(problems_of(mixture, pair, length, place))
    return Problems.join(parts)


def unequal_modes(case: Case) -> Problems:
    """Two modes of unequal weight, from the midpoint and from the start of their curve s."""
    parts = []
    length, sigma = float(paper_regime(case).length[0]), float(case.mixture.sigma)
    for log_ratio in (0.5, 3.0):
        weights = np.array([1.0, math.exp(-log_ratio)]) / (1.0 + math.exp(-log_ratio))
        mixture = GaussianMixture([[0.5 * length], [-0.5 * length]], sigma, weights)
        for v_start, v_end in variances(case):
            shift = log_ratio / length
            y = np.array([[0.0], [-v_start * shift]])
            place = Place(y, v_start, v_end, length * THETAS)
            found = problems_of(mixture, geometry.pair(mixture, 0, 1), length, place)
            parts.append(replace(found, theta=found.theta + v_end * shift))
    return Problems.join(parts)


def symmetric(case: Case) -> Problems:
    """This mixture's half beside its closest pair's bisector with its mirror image, and random
    mixtures that are symmetric about one."""
    rng, parts = case.rng("X5"), []
    for means, weights in _halves(case, rng):
        near = int(np.argmin(means[:, 0]))
        length = 2.0 * float(means[near, 0])
        mirrored = means * np.array([-1.0] + [1.0] * (means.shape[1] - 1))
        mixture = GaussianMixture(
            np.concatenate([means, mirrored]),
            float(case.mixture.sigma),
            np.tile(weights, 2) / (2.0 * weights.sum()),
        )
        pair = geometry.pair(mixture, near, near + len(means))
        for v_start, v_end in variances(case):
            y = means[rng.integers(0, len(means), 6)]
            y = y + np.sqrt(v_start) * rng.standard_normal(y.shape)
            y[:3, 0] = 0.0  # three starts on the bisector, three from p_t
            place = Place(y, v_start, v_end, length * THETAS)
            parts.append(problems_of(mixture, pair, length, place))
    return Problems.join(parts)


def _halves(case: Case, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Means and weights on one side of the plane where the first coordinate vanishes."""
    pair = first_pair(case.mixture)
    along = pair.bisector_coordinate(case.mixture.means)
    side = along > 0.25 * pair.length
    across = case.mixture.means[side] - along[side, None] * pair.direction
    yield np.column_stack([along[side], across]), case.mixture.weights[side]
    sigma = float(case.mixture.sigma)
    for _ in range(8):
        n, d = int(rng.integers(1, 7)), int(rng.integers(1, 5))
        means = rng.uniform(1.0, 3.0, (n, d)) * sigma * np.exp(rng.uniform(0.0, 4.0))
        means[:, 1:] *= rng.choice([-1.0, 1.0], (n, d - 1))
        yield means, rng.dirichlet(np.full(n, 2.0)) + 0.01


def paper_regime(case: Case) -> Problems:
    """theta = 0.15 l from the paper's tau to clean data, for the closest pair by itself."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    length = first_pair(case.mixture).length
    mixture, pair = two_modes(length, float(case.mixture.sigma))
    thetas = np.array([HALF_WIDTH * length])
    place = Place(np.zeros((1, 1)), float(v[start_time(case)]), float(v[0]), thetas)
    return problems_of(mixture, pair, length, place)
