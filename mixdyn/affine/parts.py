"""The error of a plan on Gaussian data in three parts: its grid, its pairing, its solver."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from ..support.checks import Array
from .gaussian import end_law, exact, start_law

if TYPE_CHECKING:
    from .plan import Plan


@dataclasses.dataclass(frozen=True)
class ErrorParts:
    """On N(mean, std^2), each the Wasserstein-2 distance of two laws over std, where one thing is
    replaced by the right one.

    grid : of the data from the exact flow, run from the sampler's own start at the level of its
        first call to the level at which it returns: what start and last level cost alone.
    pairing : of the end, from the data's law at the first level, from the end of the same steps
        where the exact flow takes every input, before the model sees it, from the level at which
        it stands to the one asked for.
    solver : of the end of these steps from that of the exact flow at the same level.

    The level at which something stands is that on data at one point, where steps of any order are
    exact; every step is judged from an input at the level asked for.
    """

    grid: float
    pairing: float
    solver: float


@dataclasses.dataclass(frozen=True)
class _Law:
    mean: float
    std: float

    def off(self, other: _Law, std: float) -> float:
        return math.hypot(self.mean - other.mean, self.std - other.std) / std


def error_parts(plan: Plan, mean: float, std: float) -> ErrorParts:
    """See `ErrorParts`; std > 0. Raises NotApplicableError for a plan without a recursion, without
    a start that has the law of its first level, or that asks for what does not exist there."""
    per_mean, end_std = end_law(plan, np.array([std**2]), "true")
    found = _Law(float(per_mean[0]) * mean, float(end_std[0]))
    point, data = _paired(plan, std)
    paired = _Law(data.mean * mean, data.std)
    flow = _Law(point.mean * mean, math.hypot(point.mean * std, point.std))
    return ErrorParts(
        grid=_from_own_start(plan, flow, mean, std).off(_Law(mean, std), std),
        pairing=found.off(paired, std),
        solver=paired.off(flow, std),
    )


def _from_own_start(plan: Plan, end: _Law, mean: float, std: float) -> _Law:
    """Where the exact flow, which takes the data's law at the first level to `end`, takes the
    sampler's own first input."""
    own = math.hypot(plan.start[0] * plan.start_std, float(np.linalg.norm(plan.noises[0])))
    widened = end.std / math.hypot(plan.alpha[0] * std, plan.noise_std[0])
    return _Law(end.mean - widened * float(plan.alpha[0]) * mean, widened * own)


def _paired(plan: Plan, std: float) -> tuple[_Law, _Law]:
    """The ends on data at the point 1 and on N(1, std^2), where the exact flow takes every input
    from its level to the one asked for."""
    steps, variances = plan.recursion, np.array([0.0, std**2])
    slope, offset = exact(plan, variances)
    start_mean, start_var = start_law(plan, variances, "true")
    # Of both problems: the mean, and the factors of the standardised start and of the draws.
    ahead = np.zeros((1 + steps.memory, 2, 2 + plan.draws))
    ahead[0, :, 0] = plan.start[0] * start_mean
    ahead[0, :, 1] = plan.start[0] * np.sqrt(start_var)
    ahead[0, :, 2:] = plan.noises[0]
    for k in range(plan.calls):
        u = _at_level(ahead[0], variances, plan.alpha[k], plan.noise_std[k])
        output = slope[k][:, None] * u
        output[:, 0] += offset[k]
        ahead = np.concatenate([ahead[1:], np.zeros((1, 2, u.shape[1]))])
        ahead += np.multiply.outer(steps.on_state[k], u)
        ahead += np.multiply.outer(steps.on_output[k], output)
        for j in np.flatnonzero(steps.steps == k):
            ahead[:, :, 2 + j] += steps.on_draw[j][:, None]
    point, data = (_Law(float(u[0]), float(np.linalg.norm(u[1:]))) for u in ahead[0])
    return point, data


def _at_level(u: Array, variances: Array, alpha: float, noise_std: float) -> Array:
    """Inputs of both problems, taken by the exact flow from the level of the first to another."""
    signal, noise = u[0, 0], np.linalg.norm(u[0, 1:])
    from_std = np.sqrt(signal**2 * variances + noise**2)
    to_std = np.sqrt(alpha**2 * variances + noise_std**2)
    widened = np.divide(to_std, from_std, out=np.zeros(2), where=from_std > 0.0)
    moved = widened[:, None] * u
    moved[:, 0] += alpha - widened * signal
    return moved
