"""Checks of what a user passes as a mixture or a schedule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..support.checks import (
    LARGEST,
    SMALLEST,
    Array,
    check_array,
    check_integer,
    check_kind,
    check_real_array,
    frozen,
)
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


def refuse_fitted(value: object) -> None:
    """Refuse a fitted object of scikit-learn in place of an array."""
    if hasattr(value, "covariances_") or hasattr(value, "covariance_type"):
        raise InputError(
            "means are an (N, d) array",
            f"a {type(value).__name__} of scikit-learn",
            "Use GaussianMixture.from_sklearn(fitted): its covariances are variances.",
        )


def check_sigma(sigma: float | ArrayLike | None, n_modes: int) -> float | Array:
    """`sigma` as one float or (N,) floats, >= 0."""
    refuse_fitted(sigma)
    given = check_real_array(sigma, "sigma")  # type: ignore[arg-type]  # None is refused there
    if given.ndim > 1:
        plain = ", else a.ravel()" if given.size in (1, n_modes) else ""
        raise InputError(
            f"sigma is one number or a ({n_modes},) array of standard deviations",
            f"an array of shape {given.shape}",
            "Matrices go to covariance, variances along the axes to variances, fitted ones to "
            "GaussianMixture.from_sklearn(fitted); in one dimension pass "
            f"np.sqrt(a).ravel(){plain}.",
        )
    values = check_array(np.atleast_1d(given), "sigma", ndim=1, largest=LARGEST)
    if given.ndim == 1 and len(values) != n_modes:
        raise InputError(
            f"sigma must be one number or one for each of the {n_modes} modes",
            f"{len(values)} values",
            "Match the number of rows of means.",
        )
    bad = np.flatnonzero((values < SMALLEST) & (values != 0.0))
    if bad.size:
        where = f" at index ({bad[0]},)" if given.ndim else ""
        raise InputError(
            f"sigma must be 0, a point mass, or at least {SMALLEST:g}",
            f"{values[bad[0]]}{where}",
            "Standard deviations are not negative.",
        )
    if (values == values[0]).all():
        return float(values[0])
    return frozen(values.copy())


def check_weights(weights: ArrayLike | None, n_modes: int) -> Array:
    """`weights` as (N,) floats that sum to one, equal where there are none."""
    if weights is None:
        return frozen(np.full(n_modes, 1.0 / n_modes))
    values = check_array(weights, "weights", ndim=1, largest=LARGEST)
    if len(values) != n_modes:
        raise InputError(
            f"weights must hold one number for each of the {n_modes} modes",
            f"{len(values)} values",
            "Match the number of rows of means.",
        )
    if (values <= 0).any():
        raise InputError(
            "weights must be > 0",
            f"{values.min()} at index ({int(values.argmin())},)",
            "Drop modes of weight zero; weights need not sum to one.",
        )
    total = math.fsum(values)
    already = abs(total - 1.0) <= 4 * np.finfo(float).eps
    normalised = values.copy() if already else values / total
    if (normalised < np.finfo(float).tiny).any():
        raise InputError(
            "weights must stay representable after normalisation",
            f"a ratio of {values.min() / total} to their sum",
            "Drop the negligible modes.",
        )
    return frozen(normalised)
