"""Mixtures that scikit-learn was fitted to, and its fits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..support.checks import (
    LARGEST,
    check_array,
    check_choice,
    check_integer,
    check_real_array,
    describe,
)
from ..support.errors import InputError, MissingExtraError

_KINDS = ("full", "tied", "diag", "spherical")


def fitted_parameters(fitted: Any) -> dict[str, Any]:
    """The keywords of a GaussianMixture for a fitted one: sigma where all covariances are multiples
    of I to rounding."""
    names = ("means_", "covariances_", "weights_")
    if isinstance(fitted, type) or not all(hasattr(fitted, name) for name in names):
        raise InputError(
            "from_sklearn takes a fitted mixture of scikit-learn",
            describe(fitted),
            "Call its fit first: it then has means_, covariances_ and weights_.",
        )
    means = check_array(fitted.means_, "means_", ndim=2, largest=LARGEST)
    return {"means": means, "weights": fitted.weights_} | _spread(fitted, *means.shape)


def _spread(fitted: Any, n_modes: int, d: int) -> dict[str, Any]:
    given = check_real_array(fitted.covariances_, "covariances_")
    shapes = ((n_modes, d, d), (d, d), (n_modes, d), (n_modes,))
    # Of as many modes as dimensions "diag" and "tied" have one shape.
    said = getattr(fitted, "covariance_type", None)
    fits = [
        kind
        for kind, shape in zip(_KINDS, shapes, strict=True)
        if given.shape == shape and (said == kind or said not in _KINDS)
    ]
    if not fits:
        raise InputError(
            f"covariances_ of {n_modes} modes in {d} dimensions have shape (N,), (N, d), (N, d, d) "
            "or (d, d)",
            f"shape {given.shape}",
            "Pass the fitted object as scikit-learn left it.",
        )
    if fits[0] == "spherical":
        return {"sigma": np.sqrt(given)}
    matrices = given[:, :, None] * np.eye(d) if fits[0] == "diag" else given
    stack = np.broadcast_to(matrices, (n_modes, d, d))
    variances = np.trace(stack, axis1=1, axis2=2) / d
    off = np.abs(stack - variances[:, None, None] * np.eye(d)).max(axis=(1, 2))
    if (off <= 64 * d * np.finfo(float).eps * variances).all():
        return {"sigma": np.sqrt(variances)}
    # Not `given`, which is of double precision: how symmetric matrices are goes by their own.
    return {"variances" if fits[0] == "diag" else "covariance": fitted.covariances_}


def fit(data: ArrayLike, n_modes: int, covariance: str, seed: int) -> Any:
    """scikit-learn's mixture of `n_modes` modes, fitted to data (n, d)."""
    points = check_array(data, "data", ndim=2, largest=LARGEST)
    if len(points) < 2 or points.shape[1] == 0:
        raise InputError(
            "a fit needs two or more points in one dimension or more",
            f"shape {points.shape}",
            "Pass an (n, d) array.",
        )
    count = check_integer(n_modes, "n_modes", 1, len(points))
    check_choice(covariance, _KINDS, "covariance", "See scikit-learn's covariance_type.")
    random_state = check_integer(seed, "seed", 0, 2**32 - 1)
    try:
        from sklearn.mixture import GaussianMixture
    except ImportError:
        raise MissingExtraError(
            "GaussianMixture.fit needs scikit-learn. Install it: pip install scikit-learn."
        ) from None
    found = GaussianMixture(count, covariance_type=covariance, random_state=random_state)
    return found.fit(points)
