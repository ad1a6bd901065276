"""Confinement between two equal modes: a linear comparison, and the exact probability at nodes.

A is the coordinate along the pair in x units, from the midpoint; int beta = -log abar is the clock.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array

from ..paths import Level
from .stretch import level_between

CELLS = 80
MOST_PLACES = 2000
RESOLUTION = 1.0  # spacing of the quadrature's places over the kernel's standard deviation


@dataclass(frozen=True)
class Comparison:
    """growth Lambda = int lambda_t, noise V = int beta e^(-2 Lambda_s), log_bound from them."""

    growth: float
    noise: float
    log_bound: float


def linear_comparison(
    pair: GaussianMixture, theta: float, v_start: float, v_end: float
) -> Comparison:
    """The bound on P(|A| <= 2 theta throughout) for two equal modes at +-l/2 on a line.

    lambda_t is the chord slope of the drift at 2 theta, in each cell the smaller of its two end
    values: a valid rate wherever the slope is monotone in v over a cell.
    """
    v = np.geomspace(v_start, v_end, CELLS + 1)
    levels = [level_between(pair, float(x)) for x in v]
    slope = np.array([_chord(level, 2.0 * theta) for level in levels])
    rate = np.minimum(slope[:-1], slope[1:])
    length = np.diff([math.log(level.abar) for level in levels])
    growth = np.concatenate([[0.0], np.cumsum(rate * length)])
    # int_0^h e^(-2 (Lambda + rate s)) ds = h e^(-2 Lambda) (1 - e^(-2 rate h))/(2 rate h)
    twice = 2.0 * rate * length
    share = np.where(np.abs(twice) < 1e-12, 1.0, -np.expm1(-twice) / np.where(twice, twice, 1.0))
    noise = float((length * np.exp(-2.0 * growth[:-1]) * share).sum())
    log_bound = float(bounds.log_linear_confinement(theta, growth[-1], noise))
    return Comparison(float(growth[-1]), noise, log_bound)


def _chord(level: Level, a: float) -> float:
    """b(a)/a of the engine's score, per unit of int beta."""
    return 0.5 + float(level.marginal.score(np.array([[a]]))[0, 0]) / a


def log_confined_at_nodes(
    pair: GaussianMixture, theta: float, v_start: float, v_end: float
) -> float | None:
    """log P(|A| <= 2 theta at every node from v_start to v_end), started at the midpoint.

    At most 24 nodes, fewer where they would be closer than 5 % in v. Exact reverse kernels and
    Gauss-Legendre quadrature, to about 1e-8; None where that would take over 2000 places. Paths may
    leave between nodes, so this is at least the probability of never leaving.
    """
    steps = int(np.clip(math.log(v_start / v_end) / 0.05, 2, 24))
    levels = [level_between(pair, float(x)) for x in np.geomspace(v_start, v_end, steps + 1)]
    count = _place_count(theta, levels)
    if count > MOST_PLACES:
        return None
    node, weight = _quadrature(count)
    place, weight = 2.0 * theta * node, 2.0 * theta * weight
    mass, at = np.ones(1), np.zeros(1)
    for t, s in itertools.pairwise(levels[:-1]):
        law = _kernel(pair, at, t, s)
        std = np.sqrt(law.variances)
        z = (place[:, None, None] - law.means[None, :, :, 0]) / std
        density = (law.weights * np.exp(-0.5 * z**2) / (std * math.sqrt(2.0 * math.pi))).sum(axis=2)
        mass, at = weight * (density @ mass), place
    last = _kernel(pair, at, levels[-2], levels[-1])
    inside = last.log_slab_probability(np.ones(1), np.zeros(1), 2.0 * theta)
    with np.errstate(divide="ignore"):
        return float(np.logaddexp.reduce(np.log(mass) + inside))


def _place_count(theta: float, levels: list[Level]) -> int:
    """Places on [-2 theta, 2 theta] that resolve the narrowest kernel; pi/n is their spacing on
    [-1, 1] in the middle."""
    narrow = min(
        s.alpha * math.sqrt(s.v * (1.0 - s.v / t.v)) for t, s in itertools.pairwise(levels[:-1])
    )
    return 32 + math.ceil(2.0 * theta * math.pi / (RESOLUTION * narrow))


@functools.cache
def _quadrature(count: int) -> tuple[Array, Array]:
    node, weight = np.polynomial.legendre.leggauss(count)
    return node, weight


def _kernel(pair: GaussianMixture, a: Array, t: Level, s: Level) -> oracles.ReverseLaw:
    return oracles.reverse_mixture(
        pair, a[:, None], t.abar, s.abar, noise_var_t=t.noise_var, noise_var_s=s.noise_var
    )
