"""Any isotropic modes: every one is summed."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from ... import kernels
from ...problem.mixture import GaussianMixture
from ...support.checks import Array
from ..precision import Real, check_resolved, rounded
from ..protocol import Level
from . import Rollout, StepTable


class General:
    """Mode by mode, each with its own variance."""

    name: ClassVar[str] = "general"
    order: ClassVar[int] = 100

    def __init__(self, mixture: GaussianMixture, dtype: Real) -> None:
        check_resolved(mixture, dtype)
        self.mixture, self.dtype = mixture, dtype
        self._square = np.square(mixture.sigmas)
        self._log_weights = np.log(mixture.weights)

    @classmethod
    def fits(cls, mixture: GaussianMixture, dtype: Real) -> Self | None:
        """Any isotropic modes."""
        return cls(mixture, dtype) if mixture.covariance is None else None

    def pull(self, x: Array, at: Level, scale: float) -> Array:
        """See `Route`."""
        return self.pull_to(x, at.alpha, at.signal_var * self._square + at.noise_var, scale)

    def pull_to(self, x: Array, alpha: float, variances: Array, scale: float) -> Array:
        """scale times the pull to modes at alpha mu_k of variances (N,)."""
        table = kernels.mode_table(alpha * self.mixture.means, variances, self._log_weights)
        pull = kernels.scaled_pull(rounded(x, self.dtype), table, scale)
        return pull.astype(np.float64, copy=False)

    def rollout(self, steps: StepTable) -> Rollout | None:
        """One kernel call for the whole grid."""
        if not steps.holds(self.mixture):
            return None
        means = self.mixture.means
        rows = [
            kernels.mode_table(means, signal * self._square + noise, self._log_weights)[1:]
            for signal, noise in zip(steps.signal_var, steps.noise_var, strict=True)
        ]
        tables = [np.array(part).astype(self.dtype) for part in zip(*rows, strict=True)]
        plan = steps.with_scale(self._square.min()).astype(self.dtype)
        times = steps.times.astype(np.uint64)

        def run(x: Array, first: int, seed: int) -> None:
            states = rounded(x, self.dtype)
            counters = np.uint64(first), np.uint64(seed)
            kernels.rollout(states, *counters, plan, times, means, steps.alpha, *tables)
            if states is not x:
                x[...] = states

        return run
