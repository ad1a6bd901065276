"""Modes that are not isotropic: rotated to their axes, once where all share them."""

from __future__ import annotations

from typing import ClassVar, Self

from ...problem.mixture import GaussianMixture
from ...support.checks import Array
from ..precision import Real, check_resolved
from ..protocol import Level
from . import Rollout, StepTable


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
        """None: the steps are done one after the other."""
        return None
