"""Pairs of modes, their segments, tubes and bisectors.

Euclidean geometry of the means in their own coordinates: static ones, or the sample space at t = 0.
Of a pair (i, j), a = 1 at mu_i and 0 at mu_j; the extended segment is -eps_seg <= a <= 1 + eps_seg.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..problem.checks import check_mixture, check_pair
from ..support.checks import (
    Array,
    check_array,
    check_memory,
    check_nonnegative,
    check_points,
    frozen,
)
from ..support.errors import InputError

if TYPE_CHECKING:
    from ..problem.mixture import GaussianMixture

Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]

_TABLE_BYTES = 2e9
_BLOCK_ENTRIES = 1 << 18  # doubles held at once by a row-blocked loop: 2 MiB


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Slices that cover n rows, each block of at most about 2 MiB of doubles of the given width."""
    rows = max(1, _BLOCK_ENTRIES // max(1, width))
    for start in range(0, n, rows):
        yield slice(start, min(n, start + rows))


# -- distances -----------------------------------------------------------------------------------


def squared_distances(y: Array, means: Array) -> Array:
    """Squared distances |y - mu_k|^2, shape (n, N), from differences: squares do not cancel."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(y, means, "sqeuclidean"))


def pairwise_distances(means: Array) -> Array:
    """Distances between all means, shape (N, N), symmetric with a zero diagonal.

    Raises MemoryLimitError for a table beyond 2e9 bytes, about 15,000 modes.
    """
    means = check_array(means, "means", 2)
    table = 8.0 * len(means) ** 2
    check_memory(table, _TABLE_BYTES, "the distances of all pairs of modes", "Take fewer modes.")
    return np.sqrt(squared_distances(means, means))


def two_nearest(means: Array, y: Array) -> tuple[Indices, Indices, Array, Array]:
    """The nearest and the second nearest mean of each point; ties go to the lower index.

    means: (N, d) with N >= 2; y: (n, d). Returns ``(first, second, d_first, d_second)``, each
    (n,): the pair of modes a point belongs to. Raises InputError for a single mean.
    """
    means = check_array(means, "means", 2)
    require_pair(means.shape[0])
    y = check_points(y, means.shape[1], name="y")
    n = y.shape[0]
    first, second = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    d_first, d_second = np.empty(n), np.empty(n)
    for block in row_blocks(n, means.shape[0]):
        d2 = squared_distances(y[block], means)
        first[block], second[block], d_first[block], d_second[block] = _two_smallest(d2)
    return first, second, d_first, d_second


def _two_smallest(d2: Array) -> tuple[Indices, Indices, Array, Array]:
    """Columns of the two smallest entries of each row and their square roots; overwrites d2."""
    rows = np.arange(d2.shape[0])
    first = np.argmin(d2, axis=1)
    d_first = np.sqrt(d2[rows, first])
    d2[rows, first] = np.inf
    second = np.argmin(d2, axis=1)
    return first, second, d_first, np.sqrt(d2[rows, second])


def distance_to_segment(y: Array, a: Array, b: Array, eps_seg: float = 0.0) -> Array:
    """Distance of each point to the segment from a to b, longer by eps_seg |b - a| at both ends.

    y: (n, d). a, b: (d,), one segment for all points, or (n, d), one segment a row. eps_seg >= 0
    in units of the length. A segment of length zero is a point. Returns (n,).
    """
    eps_seg = check_nonnegative(eps_seg, "eps_seg")
    start = np.atleast_2d(np.asarray(a, dtype=np.float64))
    start = check_points(start, start.shape[1], name="a")
    end = check_points(np.atleast_2d(b), start.shape[1], name="b")
    y = check_points(y, start.shape[1], name="y")
    for name, rows in (("a", start.shape[0]), ("b", end.shape[0])):
        if rows not in (1, y.shape[0]):
            raise InputError(
                f"{name} holds one end point, or one for each of the {y.shape[0]} points of y",
                f"{rows} rows",
                "Pass shape (d,) or (n, d).",
            )
    return _distance_to_segment(y, start, end, eps_seg)


def _distance_to_segment(y: Array, start: Array, end: Array, eps_seg: float) -> Array:
    edge = end - start
    offset = y - start
    length2 = np.einsum("nd,nd->n", edge, edge)
    along = np.einsum("nd,nd->n", offset, np.broadcast_to(edge, offset.shape))
    place = np.divide(along, length2, out=np.zeros_like(along), where=length2 > 0.0)
    # The clip is the projection itself: beyond an end, the nearest point of a segment is that end.
    np.clip(place, -eps_seg, 1.0 + eps_seg, out=place)
    return np.linalg.norm(offset - place[:, None] * edge, axis=1)


# -- pairs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pair:
    """Two modes i and j and the frame between them; build one with :func:`pair`.

    length: l = |mu_i - mu_j|. direction: n = (mu_i - mu_j) / l. midpoint: (mu_i + mu_j) / 2.
    Lengths are in the units of the means.
    """

    i: int
    j: int
    mu_i: Array
    mu_j: Array
    length: float
    direction: Array
    midpoint: Array

    def coordinates(self, y: Array) -> tuple[Array, Array]:
        """Parallel coordinate a (n,) and orthogonal offset xi (n, d) of points y (n, d).

        ``y = mu_j + a (mu_i - mu_j) + xi`` with xi orthogonal to n. Source: arXiv 2605.06831 v1,
        Section 4.
        """
        offset = check_points(y, self.mu_i.shape[0], name="y") - self.mu_j
        along = offset @ self.direction
        return along / self.length, offset - along[:, None] * self.direction

    def orthogonal_distance(self, y: Array) -> Array:
        """Distance |xi| of points y (n, d) to the line through the two modes, shape (n,)."""
        return np.linalg.norm(self.coordinates(y)[1], axis=1)

    def bisector_coordinate(self, y: Array) -> Array:
        """Signed distance <y - midpoint, n> to the bisecting hyperplane, (n,); l/2 at mu_i."""
        return (check_points(y, self.mu_i.shape[0], name="y") - self.midpoint) @ self.direction


def pair(mixture: GaussianMixture, i: int, j: int) -> Pair:
    """The pair of modes i and j (0 <= i, j < N, different modes at different places).

    Raises InputError for a mixture of one mode, an index out of range, i = j, or equal means.
    """
    require_pair(check_mixture(mixture).N)
    i, j, edge, length = check_pair(mixture, i, j)
    mu_i, mu_j = mixture.means[i], mixture.means[j]
    return Pair(i, j, mu_i, mu_j, length, frozen(edge / length), frozen(0.5 * (mu_i + mu_j)))


def nearest_pairs(mixture: GaussianMixture, rtol: float = 1e-9) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, whose distance is the smallest of the mixture up to rtol.

    On the 5 x 5 grid these are its 40 edges. Raises InputError for N = 1 and for duplicate modes.
    """
    require_pair(check_mixture(mixture).N)
    rtol = check_nonnegative(rtol, "rtol")
    distances = pairwise_distances(mixture.means)
    upper_i, upper_j = np.triu_indices(mixture.N, k=1)
    lengths = distances[upper_i, upper_j]
    shortest = float(lengths.min())
    if shortest == 0.0:
        at = int(np.argmin(lengths))
        raise InputError(
            "the nearest pair needs modes at different places",
            f"modes {upper_i[at]} and {upper_j[at]} with the same mean",
            "Merge duplicate modes and add their weights.",
        )
    near = np.flatnonzero(lengths <= shortest * (1.0 + rtol))
    return [(int(upper_i[p]), int(upper_j[p])) for p in near]


def require_pair(n_modes: int) -> None:
    """Raise InputError unless there are two modes to pair."""
    if n_modes < 2:
        raise InputError(
            "a pair of modes needs a mixture of at least two modes",
            f"{n_modes} mode",
            "Use a mixture with N >= 2.",
        )
