"""Checks of finished samples by the posterior that the model itself has of them.

Noise a sample, y = x_0 + sqrt(rho) xi, and ask what it was. Of a true sample (x_0, y) is a draw
from the joint law, so x_0 is one from the posterior given y: inside a mode of variance s^2 per
coordinate |x_0 - x0_hat(y)|^2 is rho s^2/(rho + s^2) times a chi-square of d degrees, whatever rho
is. With noise far above s^2 that is s^2, where `retry` allows rho: a sample is sent back that lies
a few s from the mode to which noise of a tenth of the data leads it. The traps that a network has
near the data do not hold it, as there are none at that noise.

s^2 is the model's middle mode (`calibration`). A sample that exceeds it is asked for its own
mode's: by the slope of x0_hat around the point that it was denoised to, two evaluations. So wider
modes than the middle one keep their samples. A sample far outside all of the pilot's starts anew:
there a network may find anything plausible.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..problem.schedule import NoiseSchedule
from ..support.checks import Array, IntArray
from .retry import RetryStepper, Testing
from .step import Rows, Stepper, Use

# Levels of noise over the signal at which samples are checked, first and last.
_MOST_RHO, _LEAST_RHO = 0.01, 0.001
_STEEPEST = 0.99  # slope of x0_hat: one nearer to 1 tells no width
_FAR = 3.0  # times the pilot's reach


class Piloted(Stepper, Protocol):
    """A stepper that knows its model's samples (n, d) and the variance of a mode."""

    @property
    def pilot(self) -> Array:
        """Samples."""
        ...

    @property
    def variance(self) -> float:
        """Of the middle mode, per coordinate."""
        ...


class PosteriorRetryStepper(RetryStepper):
    """Tests by the posterior, and repeats as `RetryStepper`."""

    def __init__(self, base: Piloted, schedule: NoiseSchedule, how: Testing) -> None:
        super().__init__(base, schedule, how)
        levels = np.geomspace(_MOST_RHO, _LEAST_RHO, how.checks)
        self._times: list[int] = np.unique(schedule.nearest_times(levels))[::-1].tolist()
        self._piloted = base

    def _check(self, x: Array, on: IntArray, rows: Rows, attempt: int) -> None:
        from ..support.laws import chi2_upper

        self._start_anew(x, on, last=attempt == self.how.rounds)
        quantile, s2 = float(chi2_upper(self.how.level, x.shape[1])), self._piloted.variance
        for t in self._times:
            todo = on[self._failed[on] == 0.0]
            if len(todo) == 0:
                return
            rho, x_0 = float(self.schedule.rho[t]), x[todo]
            xi = rows.choose(todo, attempt).normals(Use.CHECK, t, x_0.shape)
            x0_hat = self._denoised(x_0 + np.sqrt(rho) * xi, t)
            square = np.square(x0_hat - x_0).sum(axis=1)
            suspect = np.flatnonzero(square > quantile * rho * (s2 / (rho + s2)))
            if len(suspect) == 0:
                continue
            own = np.maximum(self._variance(x0_hat[suspect], xi[suspect]), s2)
            failed = suspect[square[suspect] > quantile * rho * (own / (rho + own))]
            self._failed[todo[failed]] = square[failed]

    def _start_anew(self, x: Array, on: IntArray, *, last: bool) -> None:
        """Send samples far outside the pilot's back to the first node, without a memory of them."""
        center = self._piloted.pilot.mean(axis=0)
        reach = np.square(self._piloted.pilot - center).sum(axis=1).max()
        far = on[np.square(x[on] - center).sum(axis=1) > _FAR**2 * reach]
        self._failed[far] = np.inf
        if not last:
            x[far] = center

    def _denoised(self, y: Array, t: int) -> Array:
        """x0_hat at y (n, d); counted."""
        self._own += len(y)
        return y - np.sqrt(self.schedule.rho[t]) * self.eps(self.schedule.alpha[t] * y, t)

    def _variance(self, center: Array, xi: Array) -> Array:
        """(n,) of the mode around each point, per coordinate, by the slope of x0_hat along xi at
        the least noise of the checks."""
        t = self._times[-1]
        rho = float(self.schedule.rho[t])
        step = np.sqrt(rho) * xi
        rise = self._denoised(center + step, t) - self._denoised(center - step, t)
        slope = (rise * step).sum(axis=1) / (2.0 * np.square(step).sum(axis=1))
        slope = np.clip(slope, 0.0, _STEEPEST)
        return np.asarray(rho * slope / (1.0 - slope))
