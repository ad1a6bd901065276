"""Modes that are not isotropic: rotated to their axes, once where all share them."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from ... import kernels
from ...problem.densities import Anisotropic
from ...problem.mixture import GaussianMixture
from ...support.checks import Array
from ..precision import Real, check_resolved
from ..protocol import Level
from . import Rollout, StepTable

_TABLE_BYTES = 2e9


class Ellipsoids:
    """Mode by mode, each with its own covariance."""

    name: ClassVar[str] = "ellipsoids"
    order: ClassVar[int] = 90

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture = mixture
        self._kept: tuple[Level, GaussianMixture] | None = None

    @classmethod
    def fits(cls, mixture: GaussianMixture, dtype: Real) -> Self | None:
        """Any mixture with covariances, in double."""
        if mixture.covariance is None:
            return None
        check_resolved(mixture, dtype)
        return cls(mixture)

    def pull(self, x: Array, at: Level, scale: float) -> Array:
        """See `Route`."""
        marginal = self._marginal(at)
        return marginal.pointwise.score(x, scale * marginal.smallest_var)

    def _marginal(self, at: Level) -> GaussianMixture:
        """Kept: the blocks of a run and the stages of a step ask at one level again."""
        if self._kept is None or self._kept[0] != at:
            self._kept = at, self.mixture.at_level(at.alpha, at.signal_var, at.noise_var)
        return self._kept[1]

    def rollout(self, steps: StepTable) -> Rollout | None:
        """One kernel call for the whole grid, where its tables of means are worth their memory and
        every level knows of the data."""
        mixture = self.mixture
        size = 16.0 * len(steps.times) * mixture.means.size
        if size > _TABLE_BYTES or not (steps.alpha > 0.0).all():
            return None
        plan = steps.with_scale(mixture.smallest_var)
        tables = self._tables(steps, plan[:, 0, 3])
        plan[:, :, 3] = 1.0
        times = steps.times.astype(np.uint64)

        def run(x: Array, first: int, seed: int) -> None:
            counters = np.uint64(first), np.uint64(seed)
            kernels.rollout_ellipsoids(x, *counters, plan, times, tables)

        return run

    def _tables(self, steps: StepTable, scale: Array) -> kernels.EllipsoidSteps:
        levels = zip(steps.alpha, steps.signal_var, steps.noise_var, strict=True)
        laws = [self.mixture.at_level(*map(float, level)) for level in levels]
        parts, turns, centres = zip(*[_parts(law) for law in laws], strict=True)
        # Fresh arrays: one that may not be written to is a type of its own to the compiler.
        return kernels.EllipsoidSteps(
            a=np.array([part.a for part in parts]),
            directions=np.array(parts[0].directions),
            inverse=np.array([part.inverse for part in parts]),
            across=np.array([part.across for part in parts]),
            lw=np.array([part.lw for part in parts]),
            scale=scale * np.array([law.smallest_var for law in laws]),
            turn=np.array(turns[0]),
            centre=np.array(centres),
        )


def _parts(law: GaussianMixture) -> tuple[kernels.EllipsoidTable, Array, Array]:
    pointwise: Anisotropic = law.pointwise  # type: ignore[assignment]
    return pointwise.parts
