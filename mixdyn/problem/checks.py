"""Checks of what a user passes as a mixture or a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..support.checks import check_kind
from ..support.errors import NotApplicableError

if TYPE_CHECKING:
    from .mixture import GaussianMixture
    from .schedule import NoiseSchedule


def check_mixture(value: object) -> GaussianMixture:
    """`value`, which must be a GaussianMixture."""
    from .mixture import GaussianMixture

    remedy = "Build one: GaussianMixture(means, sigma, weights)."
    if hasattr(value, "covariances_") or type(value).__module__.startswith("sklearn"):
        remedy = "Turn a fitted one into ours: mixdyn.GaussianMixture.from_sklearn(fitted)."
    mixture: GaussianMixture = check_kind(value, GaussianMixture, "mixture", remedy)
    return mixture


def check_schedule(value: object) -> NoiseSchedule:
    """`value`, which must be a NoiseSchedule."""
    from .schedule import NoiseSchedule

    schedule: NoiseSchedule = check_kind(
        value, NoiseSchedule, "schedule", "Build one, for example NoiseSchedule.linear()."
    )
    return schedule


def check_common_sigma(mixture: GaussianMixture, what: str) -> float:
    """The standard deviation that all modes share, or an error that names `what` needs it."""
    check_mixture(mixture)
    if not isinstance(mixture.sigma, float):
        raise NotApplicableError(
            f"{what} needs one sigma common to all modes",
            f"{mixture.N} modes with sigma from {mixture.sigmas.min()} to {mixture.sigmas.max()}",
            "Use a mixture with a scalar sigma.",
        )
    return mixture.sigma
