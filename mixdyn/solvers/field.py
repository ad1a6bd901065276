"""The drift of the reverse processes in static coordinates: exact, or from a model.

v is that of the mode with the smallest sigma; see `integrators` for the equations it drives.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import numpy as np

from ..problem.checks import check_mixture, check_schedule
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.protocol import Level, ScoreModel, checked_eps, lent, takes_levels, time_on
from ..score.routes.ellipsoids import Ellipsoids
from ..score.routes.general import General
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
    """The exact field of a mixture at any v >= sigma_min^2: the pull of the general route, in
    another clock (variances v + sigma_k^2 - sigma_min^2 about the means themselves); of covariances
    that of theirs, sigma_min^2 the smallest variance in any direction."""

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture = check_mixture(mixture)
        self.d = mixture.d
        self._floor = mixture.smallest_var
        self._ellipsoids = Ellipsoids.fits(mixture, np.float64)
        if self._ellipsoids is None:
            self._excess = np.square(mixture.sigmas) - self._floor
            self._route = General(mixture, np.float64)

    def pull(self, y: Array, v: float) -> Array:
        """v sum_k gamma_k C_k^-1 (mu_k - y), C_k the effective covariance of mode k."""
        if v < self._floor * (1 - 1e-12):
            raise InputError(
                f"v must not fall below the variance of the clean data, {self._floor:.6g}",
                v,
                "End the grid there.",
            )
        if self._ellipsoids is not None:
            return self._ellipsoids.pull(y, Level(1.0, max(v - self._floor, 0.0)), 1.0)
        return self._route.pull_to(y, 1.0, v + self._excess, 1.0)


class ModelField:
    """The field of a model; `data_var` (>= 0) is the sigma^2 of the clock v = data_var + rho.

    One that takes levels is asked at that of rho = v - data_var on the variance-preserving path;
    one that knows integer times only is refused at any v that is no rho_t of the schedule.
    """

    def __init__(
        self, model: ScoreModel, schedule: NoiseSchedule, d: int, *, data_var: float = 0.0
    ) -> None:
        self.model = model
        self.schedule = check_schedule(schedule)
        self.d = d
        self._data_var = check_nonnegative(data_var, "data_var")
        self._v = self._data_var + schedule.rho

    def pull(self, y: Array, v: float) -> Array:
        """v alpha score(alpha y)."""
        if takes_levels(self.model):
            at = Level.of_rho(v - self._data_var)
            eps = checked_eps(self.model, at.alpha * y, at)
            return -(v * at.alpha / at.noise_std) * eps
        t = time_on(self._v, v)
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
    if rho[0] == math.inf:
        raise InputError(
            "static coordinates y = x/alpha need signal",
            f"alpha = 0 at t = {grid.times[0]}",
            "Start the grid below it.",
        )
    return check_mixture(mixture).smallest_var + rho
