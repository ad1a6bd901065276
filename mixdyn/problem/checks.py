"""Checks of what a user passes as a mixture or a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..support.checks import Array, check_integer, check_kind
from ..support.errors import InputError, NotApplicableError

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


def check_pair(mixture: GaussianMixture, i: int, j: int) -> tuple[int, int, Array, float]:
    """Two modes at different places: their indices, mu_i - mu_j (d,) and its length."""
    i = check_integer(i, "i", 0, mixture.N - 1)
    j = check_integer(j, "j", 0, mixture.N - 1)
    edge = mixture.means[i] - mixture.means[j]
    length = float(np.linalg.norm(edge))
    if length == 0.0:
        raise InputError(
            "a pair needs two modes at different places",
            f"modes {i} and {j} with the same mean",
            "Name two modes with different means, or merge the duplicates.",
        )
    return i, j, edge, length


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
