"""Score errors of known size for the guarantee: a push that spends its cost well, and a blur.

A push is the same vector everywhere at one time, so that every path costs the same, known number.
Along the steps it is proportional to the noise variance times what a mode's contraction leaves of
a displacement until the last noisy time: of all pushes of one cost this moves the state farthest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mixdyn.score import ExactScore, PerturbedScore
from mixdyn.support.checks import Array, IntArray

from .chains import Chain


@dataclass(frozen=True, eq=False)
class Push:
    """A constant score error along one coordinate: size (S - 1,) at the noisy steps, in units of
    the score; cost: what every path pays."""

    axis: int
    times: IntArray
    size: Array
    cost: float

    def model(self, exact: ExactScore) -> PerturbedScore:
        """The exact score and the push."""
        sizes = dict(zip(self.times.tolist(), self.size.tolist(), strict=True))

        def error(x: Array, t: int) -> Array:
            out = np.zeros_like(x)
            out[:, self.axis] = sizes.get(t, 0.0)
            return out

        return PerturbedScore(exact, exact.schedule, error)


def push(chain: Chain, sigma: float, axis: int, cost: float) -> Push:
    """The push of this cost along a coordinate, best at moving a state within a mode.

    By the step's formula: an error e moves y_s by (1 - r) rho_t alpha_t e against the noise
    variance S = eta^2 rho_s (1 - q), r^2 = q (1 - eta^2 (1 - q)), at cost of its square over 2 S.
    """
    schedule = chain.plan.schedule
    rho, alpha_t = schedule.rho[chain.plan.grid.times[:-1]], schedule.alpha[chain.plan.t[:-1]]
    q, eta2 = rho[1:] / rho[:-1], np.square(chain.eta)
    r = np.sqrt(np.maximum(q * (1.0 - eta2 * (1.0 - q)), 0.0))
    variance = eta2 * rho[1:] * (1.0 - q)
    contraction = (sigma**2 + r * rho[:-1]) / (sigma**2 + rho[:-1])
    left = np.append(np.cumprod(contraction[:0:-1])[::-1], 1.0)
    shift = variance * left
    shift *= math.sqrt(cost / (np.square(shift) / (2.0 * variance)).sum())
    return Push(axis, chain.plan.t[:-1], shift / ((1.0 - r) * rho[:-1] * alpha_t), cost)
