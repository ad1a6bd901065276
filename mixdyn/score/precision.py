"""What single precision takes: the range in which float32 resolves modes and states."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from ..problem.mixture import GaussianMixture
from ..support.checks import Array, check_array, check_choice
from ..support.errors import InputError

Precision = Literal["double", "single"]
Real = type[np.float32 | np.float64]
# In single precision states of this size keep every exponent finite; a sigma must be this many
# times the farthest mean, so that float32 resolves the mode.
LARGEST_SINGLE, SMALLEST_SHARE_SINGLE = 1e8, 64 * float(np.finfo(np.float32).eps)


def dtype_of(precision: Precision) -> Real:
    """What the kernels compute in."""
    remedy = "float64 is 'double', float32 'single'."
    check_choice(precision, get_args(Precision), "precision", remedy)
    return np.float32 if precision == "single" else np.float64


def check_resolved(mixture: GaussianMixture, dtype: Real) -> None:
    """Refuse modes that float32, where that is asked for, does not resolve."""
    if dtype is not np.float32:
        return
    largest, sigma = float(np.abs(mixture.means).max()), mixture.sigmas
    smallest = SMALLEST_SHARE_SINGLE * max(largest, 1.0)
    unresolved = max(largest, sigma.max()) > LARGEST_SINGLE or sigma.min() < smallest
    if unresolved:
        raise InputError(
            f"single precision needs means and sigma up to {LARGEST_SINGLE:g} in size and a "
            f"sigma >= {smallest:.3g}, 64 spacings of float32 at the farthest mean",
            f"means up to {largest:.3g}, sigma from {sigma.min():.3g} to {sigma.max():.3g}",
            "Use precision='double', or centre the mixture.",
        )


def rounded(x: Array, dtype: Real) -> Any:
    """States (n, d) as the kernels take them: x itself in double. InputError in single beyond
    1e8."""
    if dtype is np.float32:
        check_array(x, "x", ndim=2, largest=LARGEST_SINGLE)
    return np.asarray(x, dtype)
