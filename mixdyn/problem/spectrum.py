"""Eigenvalues of symmetric matrices to relative accuracy, however small beside the largest.

`eigh` leaves an error of an ulp of the largest eigenvalue in all of them: of a condition number of
1e12 the smallest keep four digits, and a score divides by these. So only eigenvalues within a
factor of 32 of the largest are taken from it. On the span of the other vectors the matrix is
projected in more than 100 bits, and this smaller one is solved alike. What it is tilted against the
true subspace changes it to second order only. Products carry their digits in slices so short that
every sum of a float64 matrix product of two of them is exact (Ozaki, Ogita, Oishi and Rump 2012).
"""

from __future__ import annotations

import math

import numpy as np

from ..support.checks import Array

_RATIO = 32.0
_BITS = 106
_NOTHING = 2.0**-100  # of the largest eigenvalue: what the projection itself leaves


def eigenpairs(matrix: Array) -> tuple[Array, Array]:
    """(d,) eigenvalues, descending, and (d, d) orthonormal eigenvectors in rows, of a symmetric
    matrix (d, d). Relative errors are some 1e-14 where an eigenvalue is positive."""
    d = len(matrix)
    size = float(np.abs(matrix).max())
    if size == 0.0:
        return np.zeros(d), np.eye(d)
    unit = 2.0 ** math.frexp(size)[1]
    scaled = matrix / unit
    values, vectors = np.empty(d), np.eye(d)
    first, block = 0, scaled
    while first < d:
        found, turned = np.linalg.eigh(block)
        found, turned = found[::-1], turned[:, ::-1]
        vectors[:, first:] = vectors[:, first:] @ turned
        values[first:] = found
        done = found[0] <= _NOTHING
        first = d if done else first + int((found > found[0] / _RATIO).sum())
        if first < d:
            block = _projected(scaled, vectors[:, first:])
    return values * unit, np.ascontiguousarray(vectors.T)


def _projected(matrix: Array, vectors: Array) -> Array:
    """vectors^T matrix vectors, symmetric, with an error far below an ulp of its largest terms."""
    moved = _product(_slices(matrix, None), _slices(vectors, None))
    out = _product(_slices(vectors.T, None), _slices(*moved))[0]
    return 0.5 * (out + out.T)


def _slices(high: Array, low: Array | None) -> list[Array]:
    """Parts of high + low, entries of each multiples of one power of two, few enough bits that sums
    of as many products as high has rows or columns are exact."""
    width = (52 - math.ceil(math.log2(max(high.shape)))) // 2
    top = math.frexp(float(np.abs(high).max()))[1]
    parts = []
    for k in range(1, -(-_BITS // width) + 1):
        anchor = math.ldexp(0.75, 53 - width * k + top + 1)
        part = (high + anchor) - anchor
        parts.append(part)
        high = high - part
        if low is not None:
            total = high + low
            high, low = total, low - (total - high)
    return parts


def _product(left: list[Array], right: list[Array]) -> tuple[Array, Array]:
    """The product of two sums of slices as an unevaluated sum of two matrices."""
    count = len(left)
    high = low = np.zeros((left[0].shape[0], right[0].shape[1]))
    for order in range(count - 1, -1, -1):
        for i in range(order + 1):
            term = left[i] @ right[order - i]
            total = high + term
            part = total - high
            low = low + ((high - (total - part)) + (term - part))
            high = total
    total = high + low
    return total, low - (total - high)
