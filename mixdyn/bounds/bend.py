"""What one covariance of all modes makes of Theorem 4.2: every eigen-direction has its own clock.

Along an eigenvector of variance lam the flow from rho_start to rho_end returns the average of the
start and of the mean field under a measure with the tail sqrt((lam + rho_end)/(lam + rho)): the
averages of different directions part, and the end leaves the hull of the means (own result, X12).
Lengths are in the units of the means, variances and rho in those squared; rho_end may be 0 where
every variance is positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, describe
from mixdyn.support.errors import InputError

from .inputs import falling, nonnegative, real

_REFERENCES = 33  # common measures to which those of a hull are compared: any gives a bound


def clock_gap(
    variance: ArrayLike, other: ArrayLike, rho_start: ArrayLike, rho_end: ArrayLike
) -> Array:
    """tau in [0, 1): by how much averages of one function of swing 1 along two directions differ.

    The largest difference of the tails of two variances >= 0, at rho_end + p q (p + q) with p, q
    the cube roots of variance + rho_end, or at rho_start where that comes first. Shapes broadcast.
    """
    one, two = nonnegative(variance, "variance"), nonnegative(other, "other")
    start, end = nonnegative(rho_start, "rho_start"), nonnegative(rho_end, "rho_end")
    ends = [falling(each + start, each + end)[1] for each in (one, two)]
    p, q = np.cbrt(ends[0]), np.cbrt(ends[1])
    passed = np.minimum(start - end, p * q * (p + q))
    tails = [np.sqrt(each / (each + passed)) for each in ends]
    return np.asarray(np.abs(tails[0] - tails[1]))


def pair_bend(
    difference: ArrayLike, variances: ArrayLike, rho_start: ArrayLike, rho_end: ArrayLike
) -> Array:
    """How far off the segment of two modes a start on it can end, of the shape of the rhos.

    difference (d,): D = mu_i - mu_j, not zero, along the eigenvectors of the covariance; variances
    (d,). sqrt(sum_(e<f) D_e^2 D_f^2 tau_ef^2)/|D|, 0 for one variance. With a responsibility that
    stays within a range s < 1 it is s times as much; off the segment every direction of the start's
    distance shrinks by sqrt(v_end/v_start).
    """
    along, lam = _both(difference, variances)
    length = float(np.linalg.norm(along))
    if length == 0.0:
        raise InputError(
            "a segment joins two different means", describe(difference), "Choose another pair."
        )
    start, end = (np.asarray(rho, float)[..., None] for rho in (rho_start, rho_end))
    e, f = np.triu_indices(len(along), k=1)
    parts = along[e] / length * along[f] * clock_gap(lam[e], lam[f], start, end)
    return np.asarray(np.sqrt(np.square(parts).sum(axis=-1)))


def hull_bend(
    ranges: ArrayLike, variances: ArrayLike, rho_start: ArrayLike, rho_end: ArrayLike
) -> Array:
    """How far off the hull of all means a start in it can end, of the shape of the rhos.

    ranges (d,): largest less smallest coordinate of the means along each eigenvector of the
    covariance; variances (d,). |(tau_e R_e)_e| with tau_e against one common measure, the best of
    some; 0 for one variance.
    """
    width, lam = _both(ranges, variances)
    start, end = (np.asarray(rho, float)[..., None] for rho in (rho_start, rho_end))
    found = []
    for share in np.linspace(0.0, 1.0, _REFERENCES):
        # Geometric in variance + rho_end, on which the measures depend.
        common = (lam.min() + end) ** (1.0 - share) * (lam.max() + end) ** share - end
        gaps = clock_gap(lam, np.maximum(common, 0.0), start, end)
        found.append(np.square(width * gaps).sum(axis=-1))
    return np.asarray(np.sqrt(np.min(found, axis=0)))


def _both(lengths: ArrayLike, variances: ArrayLike) -> tuple[Array, Array]:
    along, lam = real(lengths, "lengths"), nonnegative(variances, "variances")
    if along.ndim != 1 or along.shape != lam.shape:
        raise InputError(
            "one length and one variance for each eigenvector, (d,)",
            f"shapes {along.shape} and {lam.shape}",
            "Pass coordinates along the eigenvectors of the covariance.",
        )
    return along, lam
