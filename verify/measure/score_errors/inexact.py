"""Synthetic score errors of known size and slope, and the dynamics under them.

The score used is s + e. In static coordinates y = x/alpha and intrinsic time the probability-flow
ODE becomes dy/du = m - y + (sigma_t^2/alpha) e, since dy/du = sigma_t^2 s/alpha. An error here is

    e(x, t) = e_max(t) phi(y),    phi(y) = sum_r c_r u_r g_r(<w_r, y - origin>),

with unit vectors u_r, |g_r| <= 1 and sum |c_r| <= 1, so that |e| <= e_max. Its derivative in x is
(e_max/alpha) sum_r c_r u_r w_r^T g_r', at most e_max max_r |w_r|/alpha in norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from mixdyn.geometry import Pair, pairwise_distances
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.score import ExactScore, PerturbedScore
from mixdyn.solvers.field import MixtureField
from mixdyn.support.checks import Array
from mixdyn.support.errors import ConvergenceError


class Curve(Enum):
    """A bounded function of one variable with its derivative; slope at most 1."""

    CONSTANT = "constant"
    SINE = "sine"
    TANH = "tanh"

    def at(self, s: Array) -> Array:
        """g(s)."""
        if self is Curve.CONSTANT:
            return np.ones_like(s)
        return np.sin(s) if self is Curve.SINE else np.tanh(s)

    def slope(self, s: Array) -> Array:
        """g'(s)."""
        if self is Curve.CONSTANT:
            return np.zeros_like(s)
        return np.cos(s) if self is Curve.SINE else 1.0 - np.square(np.tanh(s))


@dataclass(frozen=True, eq=False)
class Ridge:
    """One term c u g(<w, y - origin>): coefficient c, direction u (d,), wave w (d,), curve g."""

    coefficient: float
    direction: Array
    wave: Array
    curve: Curve = Curve.TANH


@dataclass(frozen=True, eq=False)
class ErrorField:
    """An error of the score. size: e_max in units of the score, as a function of v."""

    name: str
    origin: Array
    ridges: tuple[Ridge, ...]
    size: Callable[[float], float]

    def shape(self, y: Array) -> Array:
        """phi (n, d), of norm at most 1."""
        out = np.zeros_like(y)
        for ridge in self.ridges:
            phase = (y - self.origin) @ ridge.wave
            value = ridge.coefficient * ridge.curve.at(phase)
            out += value[:, None] * ridge.direction
        return out

    def shape_jacobian(self, y: Array) -> Array:
        """D phi (n, d, d) in y."""
        out = np.zeros((*y.shape, y.shape[1]))
        for ridge in self.ridges:
            phase = (y - self.origin) @ ridge.wave
            slope = ridge.coefficient * ridge.curve.slope(phase)
            out += slope[:, None, None] * np.outer(ridge.direction, ridge.wave)
        return out


def fixed(e_max: float) -> Callable[[float], float]:
    """A size that does not change in time."""
    return lambda v: e_max


def amplitude(v: float, sigma: float) -> float:
    """sigma_t^2/alpha = alpha v: what turns a score error into a velocity dy/du."""
    return v / math.sqrt(1.0 + max(v - sigma**2, 0.0))


class PerturbedField:
    """m - y + (sigma_t^2/alpha) e for the flow solvers of `mixdyn.solvers.integrators`.

    errors: one, or several of which each has as many rows as the next, in their order, so that one
    solve follows all. length: the distance of the two closest modes (N >= 2).
    """

    def __init__(self, mixture: GaussianMixture, *errors: ErrorField) -> None:
        self.d = mixture.d
        self.errors = errors
        self._sigma = float(mixture.sigma)
        self._exact = MixtureField(mixture)
        i, j = np.triu_indices(mixture.N, k=1)
        self.length = float(pairwise_distances(mixture.means)[i, j].min())

    def pull(self, y: Array, v: float) -> Array:
        """dy/du, (n, d)."""
        rows = zip(self.errors, np.split(y, len(self.errors)), strict=True)
        pushes = [error.size(v) * error.shape(own) for error, own in rows]
        return self._exact.pull(y, v) + amplitude(v, self._sigma) * np.concatenate(pushes)

    def jacobian(self, y: Array, v: float) -> Array:
        """Of the pull at y (n, d) by differences of fourth order, (n, d, d)."""
        waves = [r.wave for error in self.errors for r in error.ridges]
        steepest = max(map(float, map(np.linalg.norm, waves)), default=0.0)
        step = 1e-2 / max(self.length / v, steepest, 1.0 / math.sqrt(v))
        columns = []
        for unit in np.eye(self.d):
            near, far = (
                self.pull(y + k * step * unit, v) - self.pull(y - k * step * unit, v)
                for k in (1.0, 2.0)
            )
            columns.append((8.0 * near - far) / (12.0 * step))
        return np.stack(columns, axis=2)


def perturbed_model(
    mixture: GaussianMixture, schedule: NoiseSchedule, error: ErrorField
) -> PerturbedScore:
    """The same error for the samplers."""
    sigma2 = float(mixture.sigma) ** 2

    def value(x: Array, t: int) -> Array:
        size = error.size(sigma2 + float(schedule.rho[t]))
        return np.asarray(size * error.shape(x / schedule.alpha[t]))

    return PerturbedScore(ExactScore(mixture, schedule), schedule, value)


def perturbed_equilibrium(field: PerturbedField, v: float, y0: Array) -> Array:
    """The zero of the perturbed pull that Newton's method reaches from y0 (d,)."""
    y = y0[None].astype(float)
    for _ in range(60):
        value = field.pull(y, v)[0]
        step = np.linalg.solve(field.jacobian(y, v)[0], -value)
        y = y + step
        if np.linalg.norm(step) <= 4e-15 * (field.length + np.linalg.norm(y)):
            return y[0]
    residual = float(np.linalg.norm(field.pull(y, v)))
    if residual > 1e-10 * field.length:
        raise ConvergenceError(f"no equilibrium of the perturbed field near the start: {residual}")
    return y[0]


def across(pair: Pair) -> Array | None:
    """A unit vector orthogonal to the pair, or None on a line."""
    d = len(pair.direction)
    if d == 1:
        return None
    trial = np.eye(d)[int(np.argmin(np.abs(pair.direction)))]
    trial = trial - (trial @ pair.direction) * pair.direction
    return np.asarray(trial / np.linalg.norm(trial))
