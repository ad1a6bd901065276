"""A model that knows the times of a schedule only, asked at any level."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from ..problem.checks import check_schedule
from ..problem.schedule import NoiseSchedule
from ..support.checks import Array
from ..support.errors import NotApplicableError
from .protocol import Level, ScoreModel, checked_eps

_SAME = 1e-9  # of a step in log rho: a level that is a time's


class BetweenTimes:
    """Between two times the predictions at both, linearly in log rho, at the same x/alpha: two
    evaluations. Below the first time its score there; above the last its prediction there for the
    state scaled to the variance-preserving path, whose size it was trained on.
    """

    takes_levels: ClassVar[bool] = True

    def __init__(self, model: ScoreModel, schedule: NoiseSchedule) -> None:
        self.model, self.schedule = model, check_schedule(schedule)
        self.own_threads = bool(getattr(model, "own_threads", False))
        self.d = getattr(model, "d", None)
        self._log_rho = np.log(schedule.rho[1:])

    def eps(self, x: Array, at: Level) -> Array:
        """Noise prediction at x (n, d). NotApplicableError without signal or without noise."""
        if not 0.0 < at.rho < math.inf:
            raise NotApplicableError(
                "a model that predicts the noise is asked at levels with signal and noise",
                f"alpha = {at.alpha:.3g}, noise_std = {at.noise_std:.3g}",
                "Run it on a mixture.",
            )
        T, place = self.schedule.T, math.log(at.rho)
        k = float(np.interp(place, self._log_rho, np.arange(1.0, T + 1.0)))
        if place > self._log_rho[-1]:
            return checked_eps(self.model, x / math.sqrt(at.signal_var + at.noise_var), T)
        if place < self._log_rho[0]:
            less = math.exp(0.5 * (place - float(self._log_rho[0])))
            return less * self._at(x / at.alpha, 1)
        t, share = int(k), k - int(k)
        if share < _SAME:
            return self._at(x / at.alpha, t)
        if share > 1.0 - _SAME:
            return self._at(x / at.alpha, t + 1)
        return (1.0 - share) * self._at(x / at.alpha, t) + share * self._at(x / at.alpha, t + 1)

    def _at(self, y: Array, t: int) -> Array:
        return checked_eps(self.model, float(self.schedule.alpha[t]) * y, t)
