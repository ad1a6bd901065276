"""Where a sample lies: in a mode, between the two modes nearest to it, or elsewhere."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..problem.checks import check_mixture
from ..support.checks import SMALLEST, Array, check_points
from .pairs import (
    Indices,
    Mask,
    _distance_to_segment,
    _two_smallest,
    row_blocks,
    squared_distances,
    two_nearest,
)

if TYPE_CHECKING:
    from ..problem.mixture import GaussianMixture


class Region(IntEnum):
    """Where a sample lies: in a mode, between the two modes nearest to it, or elsewhere."""

    TRUE_MODE = 0
    INTERPOLATION = 1
    INVALID = 2


def mode_radius(mixture: GaussianMixture) -> Array:
    """Radius r_k inside which a sample counts as belonging to mode k, shape (N,).

    ``5 sigma_k`` up to ten dimensions, ``sigma_k (sqrt(d) + 4)`` above, since the distance of a
    Gaussian sample to its mean grows like sqrt(d). Source: arXiv 2605.06831 v1, Appendix F.1.
    """
    return radius_in_stds(check_mixture(mixture).d) * mixture.sigmas


def radius_in_stds(d: int) -> float:
    """`mode_radius` in standard deviations, in d dimensions."""
    return 5.0 if d <= 10 else math.sqrt(d) + 4.0


def _reach(mixture: GaussianMixture) -> Array:
    """`mode_radius`, of a point mass that of a mode as wide as rounding: a draw lies in it."""
    size = float(np.abs(mixture.means).max()) + SMALLEST
    least = 64.0 * np.finfo(float).eps * size
    return radius_in_stds(mixture.d) * np.where(mixture.sigmas > 0.0, mixture.sigmas, least)


def widest_modes(mixture: GaussianMixture) -> Indices:
    """The widest mode at each place, in the order of the modes, (places,); all of them where their
    means differ. Modes with one mean differ in sigma, and the widest classifies for the others."""
    c = mixture.covariance
    width = mixture.sigmas if c is None else c.largest
    _, place = np.unique(mixture.means, axis=0, return_inverse=True)
    widest: dict[int, int] = {}
    for k, at in enumerate(place.reshape(-1).tolist()):
        if at not in widest or width[k] > width[widest[at]]:
            widest[at] = k
    return np.array(sorted(widest.values()), dtype=np.intp)


def classify(mixture: GaussianMixture, x: Array) -> NDArray[np.int8]:
    """Class of each sample x (n, d) as a :class:`Region` code, shape (n,), int8.

    ``TRUE_MODE`` within :func:`mode_radius` of a mode; else ``INTERPOLATION`` within the same
    radius of the segment that joins the two nearest modes; else ``INVALID``. Distances equal to
    the radius are inside. With one sigma per mode, each mode has its own radius (a sample inside a
    wide mode is true even where a narrow mode is nearer) and a segment the larger radius of its
    ends. Modes with one mean are one place, of the largest radius among them. With a single place
    nothing is an interpolation. A point mass (sigma 0) holds what lies at it, to rounding. Source:
    arXiv 2605.06831 v1, Appendix F.1. Of modes that are not isotropic the radius is in standard
    deviations, compared with Mahalanobis distances: to a mode its own, to a segment that of either
    of its ends. A mode without extent in a direction holds what has its mean's coordinate there, to
    rounding.
    """
    x = check_points(x, check_mixture(mixture).d)
    if mixture.covariance is not None:
        return _classify_ellipsoids(mixture, x)
    widest = widest_modes(mixture)
    means, radius = mixture.means[widest], _reach(mixture)[widest]
    codes = np.full(x.shape[0], Region.INVALID, dtype=np.int8)
    for block in row_blocks(x.shape[0], max(mixture.N, mixture.d)):
        d2 = squared_distances(x[block], means)
        inside = (np.sqrt(d2) <= radius).any(axis=1)
        code = codes[block]
        code[inside] = Region.TRUE_MODE
        outside = np.flatnonzero(~inside)
        if len(means) > 1 and outside.size:
            between = _between(means, radius, x[block][outside], d2[outside])
            code[outside[between]] = Region.INTERPOLATION
    return codes


def within_modes(mixture: GaussianMixture, x: Array) -> tuple[NDArray[np.int8], Indices, Array]:
    """Codes (n,) of samples x (n, d) by :func:`classify`; and of the m true-mode ones among them,
    in order, the nearest mode (m,) and the offset x - mu (m, d) from it.

    Nothing tells equal modes apart (data that occur twice): samples at them are dealt to each by
    its weight, in order."""
    codes = classify(mixture, x)
    inside = x[codes == Region.TRUE_MODE]
    nearest = np.zeros(len(inside), np.intp)
    if mixture.covariance is not None and len(inside):
        nearest = np.argmin(_resolved(mixture).squared_distances(inside), axis=1)
    elif mixture.N > 1 and len(inside):
        nearest = two_nearest(mixture.means, inside)[0]
    _deal(mixture, nearest)
    return codes, nearest, inside - mixture.means[nearest]


def _deal(mixture: GaussianMixture, nearest: Indices) -> None:
    """Give samples of equal modes, in place, to each by its weight."""
    first = mixture.equal_modes
    if first is None:
        return
    taken = first[nearest]
    places, counts = np.unique(first, return_counts=True)
    for place in np.intersect1d(places[counts > 1], taken):
        mine, modes = np.flatnonzero(taken == place), np.flatnonzero(first == place)
        share = np.cumsum(mixture.weights[modes]) / mixture.weights[modes].sum()
        marks = (np.arange(len(mine)) + 0.5) / len(mine)
        nearest[mine] = modes[np.minimum(np.searchsorted(share, marks), len(modes) - 1)]


def in_stds(mixture: GaussianMixture, modes: Indices, offset: Array) -> Array:
    """Offsets (m, d) from modes (m,) in standard deviations: whitened, of length the Mahalanobis
    distance. Along a direction without extent they count as 0."""
    if mixture.covariance is None:
        return offset / np.where(mixture.sigmas > 0.0, mixture.sigmas, 1.0)[modes, None]
    factors = mixture.covariance.functions(_per_std)
    out = np.empty_like(offset)
    for k in np.unique(modes):
        out[modes == k] = mixture.covariance.applied(int(k), offset[modes == k], factors)
    return out


def _per_std(variance: Array) -> Array:
    return np.where(variance > 0.0, 1.0 / np.sqrt(np.where(variance > 0.0, variance, 1.0)), 0.0)


def _resolved(mixture: GaussianMixture) -> GaussianMixture:
    """The mixture, with an extent of rounding's size where a mode has none in some direction: a
    draw lies in its mode as far as doubles tell."""
    c = mixture.covariance
    if c is None or c.smallest > 0.0:
        return mixture
    size = float(np.abs(mixture.means).max()) + math.sqrt(c.largest.max()) + SMALLEST
    return mixture.at_level(1.0, 1.0, (64.0 * np.finfo(float).eps * size) ** 2)


def _classify_ellipsoids(mixture: GaussianMixture, x: Array) -> NDArray[np.int8]:
    mixture, radius = _resolved(mixture), radius_in_stds(mixture.d)
    codes = np.full(len(x), Region.INVALID, dtype=np.int8)
    for block in row_blocks(len(x), max(mixture.N, mixture.d)):
        d2 = mixture.squared_distances(x[block])
        inside = (np.sqrt(d2) <= radius).any(axis=1)
        codes[block][inside] = Region.TRUE_MODE
        outside = np.flatnonzero(~inside)
        if mixture.N > 1 and outside.size:
            at = x[block][outside]
            first, second, _, _ = _two_smallest(squared_distances(at, mixture.means))
            reached = [_from_segment(mixture, i, (first, second), at) for i in (first, second)]
            between = np.minimum(*reached) <= radius
            codes[block][outside[between]] = Region.INTERPOLATION
    return codes


def _from_segment(
    mixture: GaussianMixture, metric: Indices, ends: tuple[Indices, Indices], x: Array
) -> Array:
    """Mahalanobis distance (m,), by the modes `metric` (m,), of points x (m, d) to the segments of
    the means `ends`."""
    i, j = (mixture.means[end] for end in ends)
    edge, offset = (in_stds(mixture, metric, part) for part in (i - j, x - j))
    square = np.maximum(np.square(edge).sum(axis=1), np.finfo(float).tiny)
    a = np.clip((edge * offset).sum(axis=1) / square, 0.0, 1.0)
    return np.asarray(np.linalg.norm(offset - a[:, None] * edge, axis=1))


def _between(means: Array, radius: Array, x: Array, d2: Array) -> Mask:
    """Whether each sample lies within the radius of the segment of its two nearest modes."""
    first, second, _, _ = _two_smallest(d2)
    distance = _distance_to_segment(x, means[first], means[second], 0.0)
    return distance <= np.maximum(radius[first], radius[second])
