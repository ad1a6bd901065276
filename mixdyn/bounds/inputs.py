"""Checks shared by the bounds: arrays of any shape with a sign, and pairs of modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.problem.checks import check_mixture, check_pair
from mixdyn.support.checks import Array, check_array, describe
from mixdyn.support.errors import InputError

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture


def real(values: ArrayLike, name: str) -> Array:
    """`values` as a finite float64 array of its own shape."""
    try:
        ndim = np.ndim(values)
    except ValueError:  # a ragged list: let check_array say so
        ndim = 1
    return check_array(values, name, ndim=ndim)


def positive(values: ArrayLike, name: str) -> Array:
    """`values` as a float64 array with every entry > 0."""
    array = real(values, name)
    if not (array > 0).all():
        raise InputError(f"{name} must be > 0", describe(values), "Pass positive numbers.")
    return array


def nonnegative(values: ArrayLike, name: str) -> Array:
    """`values` as a float64 array with every entry >= 0."""
    array = real(values, name)
    if not (array >= 0).all():
        raise InputError(f"{name} must be >= 0", describe(values), "Pass no negative number.")
    return array


def falling(v_start: ArrayLike, v_end: ArrayLike) -> tuple[Array, Array]:
    """Effective variances with v_start >= v_end > 0: the reverse direction."""
    start, end = positive(v_start, "v_start"), positive(v_end, "v_end")
    if not (start >= end).all():
        raise InputError(
            "the reverse process lowers the variance: v_start >= v_end",
            f"v_start {describe(start)}, v_end {describe(end)}",
            "Swap them.",
        )
    return start, end


@dataclass(frozen=True)
class PairFrame:
    """Coordinates of all means along and across the line through two modes.

    i, j; length l; parallel (N,) = a_k (0 at j, 1 at i); orthogonal (N,) distances to the line;
    others (N,) bool, every mode but i and j; lighter = min(w_i, w_j).
    """

    i: int
    j: int
    length: float
    parallel: Array
    orthogonal: Array
    others: np.ndarray
    lighter: float


def pair_frame(mixture: GaussianMixture, i: int, j: int) -> PairFrame:
    """The frame of modes i and j; InputError unless they are two modes with different means."""
    first, second, along, length = check_pair(check_mixture(mixture), i, j)
    offset = mixture.means - mixture.means[second]
    parallel = offset @ along / length**2
    orthogonal = np.linalg.norm(offset - parallel[:, None] * along, axis=1)
    others = np.ones(mixture.N, dtype=bool)
    others[[first, second]] = False
    lighter = float(min(mixture.weights[first], mixture.weights[second]))
    return PairFrame(first, second, length, parallel, orthogonal, others, lighter)
