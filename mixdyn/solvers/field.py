"""The drift of the reverse processes in static coordinates y = x/alpha: exact, or from a model.

v is the effective variance of the mode with the smallest sigma, v = sigma_min^2 + rho with rho =
(1 - abar)/abar; see `integrators` for the equations it drives.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import numpy as np

from .. import kernels
from ..problem.checks import check_mixture, check_schedule
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score import ScoreModel, checked_eps, lent
from ..support.checks import Array, check_nonnegative
from ..support.errors import InputError


@runtime_checkable
class Field(Protocol):
    """The drift of the PF ODE in intrinsic time."""

    d: int

    def pull(self, y: Array, v: float) -> Array:
        """m(y, v) - y = v grad log p(y, v): y (n, d) -> (n, d)."""
        ...


class MixtureField:
    """The exact field of a mixture at any v >= sigma_min^2."""

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture = check_mixture(mixture)
        self.d = mixture.d
        square = np.square(mixture.sigmas)
        self._excess = square - square.min()
        self._floor = float(square.min())
        self._log_weights = np.log(mixture.weights)

    def pull(self, y: Array, v: float) -> Array:
        """sum_k gamma_k (v/v_k)(mu_k - y), v_k the effective variance of mode k."""
        if v < self._floor * (1 - 1e-12):
            raise InputError(
                f"v must not fall below the variance of the clean data, {self._floor:.6g}",
                v,
                "End the grid there.",
            )
        table = kernels.mode_table(self.mixture.means, v + self._excess, self._log_weights)
        return kernels.scaled_pull(y, table, 1.0)


class ModelField:
    """The field of a model that knows integer times only; `data_var` (>= 0) is the sigma^2 of the
    clock v = data_var + rho_t. Any v that is no rho_t of the schedule is refused."""

    def __init__(
        self, model: ScoreModel, schedule: NoiseSchedule, d: int, *, data_var: float = 0.0
    ) -> None:
        self.model = model
        self.schedule = check_schedule(schedule)
        self.d = d
        self._v = check_nonnegative(data_var, "data_var") + schedule.rho

    def pull(self, y: Array, v: float) -> Array:
        """v alpha score(alpha y)."""
        t = int(np.argmin(np.abs(self._v - v)))
        if t == 0 or abs(self._v[t] - v) > 1e-12 * v:
            raise InputError(
                "a model given at integer times can only be evaluated there",
                f"v = {v:.6g}, between the times of the schedule",
                "Use a method that evaluates at grid nodes only, on v = data_var + rho[t], t >= 1.",
            )
        alpha_t, nu = self.schedule.alpha[t], self.schedule.noise_var[t]
        return -(v * alpha_t / math.sqrt(nu)) * checked_eps(self.model, alpha_t * y, t)


def pulled(field: Field, y: Array, v: float) -> Array:
    """The field's pull at y; a field that is not ours may write on what it gets, and hand back the
    same buffer at every call."""
    if isinstance(field, MixtureField | ModelField):
        return field.pull(y, v)
    return np.asarray(field.pull(lent(y), v), dtype=np.float64).copy()


def v_grid(schedule: NoiseSchedule, grid: TimeGrid, mixture: GaussianMixture) -> Array:
    """(S + 1,) effective variances of a time grid, decreasing to sigma_min^2."""
    rho = check_schedule(schedule).rho[grid.times]
    return float(np.square(check_mixture(mixture).sigmas).min()) + rho
