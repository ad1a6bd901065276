"""Modes that are not isotropic: rotated to their axes, once where all share them."""

from __future__ import annotations

from typing import ClassVar, Self

from ...problem.densities import Anisotropic
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
        self._at: tuple[Level, Anisotropic] | None = None

    @classmethod
    def fits(cls, mixture: GaussianMixture, dtype: Real) -> Self | None:
        """Any mixture with covariances, in double."""
        if mixture.covariance is None:
            return None
        check_resolved(mixture, dtype)
        return cls(mixture)

    def pull(self, x: Array, at: Level, scale: float) -> Array:
        """See `Route`."""
        kept = self._at  # the blocks of a run and the stages of a step ask at one level again
        if kept is None or kept[0] != at:
            marginal = self.mixture.at_level(at.alpha, at.signal_var, at.noise_var)
            self._at = kept = at, marginal.pointwise
        smallest = at.signal_var * self.mixture.smallest_var + at.noise_var
        return kept[1].score(x, scale * smallest)

    def rollout(self, steps: StepTable) -> Rollout | None:
        """None: the steps are done one after the other."""
        return None
