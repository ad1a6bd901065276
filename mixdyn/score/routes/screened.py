"""Very many modes of one sigma in many dimensions: only those are summed that can be felt.

All modes are looked at in single precision, with a proof of what it may be off by; those that hold
less than a part in 10^13 of the weight together are left out. A noiseless path looks again when its
left-out modes might have come near, which is bounded from its own steps. See `kernels.screened`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from ... import kernels
from ...problem.mixture import GaussianMixture
from ...support.checks import Array, IntArray
from ..precision import Real
from ..protocol import Level
from . import Rollout, StepTable

FEWEST_MODES, FEWEST_DIMENSIONS = 1024, 4


class Screened:
    """A data set's own score, and any mixture of one sigma like it.

    work (3,): modes looked at so far in single precision, summed by matrix products in double, and
    summed one by one.
    """

    name: ClassVar[str] = "screened"
    order: ClassVar[int] = 40
    shared: ClassVar[bool] = True  # between scores of one mixture, and their threads

    def __init__(self, mixture: GaussianMixture) -> None:
        self._data_var = float(np.square(mixture.sigmas[0]))
        self._modes = kernels.screened_modes(mixture.means, np.log(mixture.weights))
        self.work: IntArray = np.zeros(3, np.int64)

    @classmethod
    def fits(cls, mixture: GaussianMixture, dtype: Real) -> Self | None:
        """Where the modes are many, of one sigma, and double precision is asked for."""
        large = mixture.N >= FEWEST_MODES and mixture.d >= FEWEST_DIMENSIONS
        fits = large and mixture.has_common_sigma and dtype is np.float64
        return cls(mixture) if fits else None

    def pull(self, x: Array, at: Level, scale: float) -> Array:
        """See `Route`."""
        out = x.copy()
        plan, time = np.array([[0.0, 0.0, 0.0, scale]]), np.zeros(1, np.uint64)
        levels = self._levels(np.array([at.alpha]), np.array([at.signal_var]), at.noise_var)
        self._run(out, 0, 0, plan, time, *levels, only_eps=True)
        return out

    def rollout(self, steps: StepTable) -> Rollout | None:
        """One kernel call for the whole grid, of methods that remember nothing."""
        if steps.coefficients.shape[1] > 1:
            return None
        plan = np.ascontiguousarray(steps.with_scale(self._data_var)[:, 0])
        times = steps.times.astype(np.uint64)
        levels = self._levels(steps.alpha, steps.signal_var, steps.noise_var)

        def run(x: Array, first: int, seed: int) -> None:
            self._run(x, first, seed, plan, times, *levels, only_eps=False)

        return run

    def _levels(self, alpha: Array, signal: Array, noise: Array | float) -> tuple[Array, Array]:
        return alpha, kernels.bits(0.5 / (signal * self._data_var + noise))

    def _run(
        self, x: Array, first: int, seed: int, plan: Array, times: Any, *levels: Array,
        only_eps: bool,
    ) -> None:  # fmt: skip
        counters = np.uint64(first), np.uint64(seed)
        self.work += kernels.screened(
            x, *counters, plan, times, self._modes, *levels, only_eps=only_eps
        )
