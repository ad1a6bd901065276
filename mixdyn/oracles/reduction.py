"""O3 and contraction factors: directions in which the reverse dynamics are linear.

With a common sigma m depends on y only through its projection on the affine hull of the means.
Across the hull, and everywhere once a single mode owns the point, both laws are exact: with
q = v_to/v_from,

    probability-flow ODE   offset * sqrt(q),
    reverse SDE            N(offset * q, v_to (1 - q) I).

Derived here from dy/du = m - y and the exact reverse law; arXiv 2605.06831 v1, G.1 and G.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.problem.checks import check_common_sigma, check_mixture
from mixdyn.support.checks import Array, check_points, check_positive
from mixdyn.support.errors import InputError

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_RANK_RTOL = 1e-12


@dataclass(frozen=True)
class AffineHull:
    """The affine hull of the means: origin (d,) + span of the rows of basis (rank, d)."""

    origin: Array
    basis: Array

    @property
    def rank(self) -> int:
        """Dimension of the hull, at most min(N - 1, d)."""
        return len(self.basis)

    def split(self, y: Array) -> tuple[Array, Array]:
        """Coordinates along the hull (n, rank) and the component across it (n, d)."""
        offset = y - self.origin
        along = offset @ self.basis.T
        return along, offset - along @ self.basis


def affine_hull(mixture: GaussianMixture) -> AffineHull:
    """Orthonormal basis of the affine hull of the means.

    Directions with a singular value below 1e-12 of the largest count as absent.
    """
    origin = check_mixture(mixture).means.mean(axis=0)
    _, size, rows = np.linalg.svd(mixture.means - origin, full_matrices=False)
    # Identical means give rounding noise only: compare with the size of the means as well.
    floor = max(size[0], np.abs(mixture.means).max() * 1e-3) * _RANK_RTOL
    return AffineHull(origin, rows[size > floor])


def ode_contraction(v_from: float, v_to: float) -> float:
    """sqrt(v_to/v_from): what the ODE multiplies a linear offset by; either direction, v > 0."""
    return math.sqrt(check_positive(v_to, "v_to") / check_positive(v_from, "v_from"))


def sde_contraction(v_from: float, v_to: float) -> tuple[float, float]:
    """(q, variance): the reverse SDE maps a linear offset to N(q * offset, variance I).

    v_from > v_to > 0. q = v_to/v_from, variance = v_to (1 - q), both in static coordinates.
    """
    start, end = check_positive(v_from, "v_from"), check_positive(v_to, "v_to")
    if not start > end:
        raise InputError(
            "the reverse SDE lowers the variance: v_from > v_to",
            f"v_from = {start}, v_to = {end}",
            "Swap them.",
        )
    return end / start, end * ((start - end) / start)


def orthogonal_flow(mixture: GaussianMixture, y: ArrayLike, v_from: float, v_to: float) -> Array:
    """Component of the ODE's end point across the hull of the means: y (n, d) -> (n, d)."""
    check_common_sigma(mixture, "the reduction to the hull of the means")
    points = check_points(y, mixture.d, "y")
    return affine_hull(mixture).split(points)[1] * ode_contraction(v_from, v_to)


def orthogonal_reverse(
    mixture: GaussianMixture, y: ArrayLike, v_from: float, v_to: float
) -> tuple[Array, float]:
    """Law across the hull under the reverse SDE: mean (n, d) and variance per direction."""
    check_common_sigma(mixture, "the reduction to the hull of the means")
    points = check_points(y, mixture.d, "y")
    q, variance = sde_contraction(v_from, v_to)
    return affine_hull(mixture).split(points)[1] * q, variance
