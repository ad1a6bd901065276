"""Sums over modes that are not isotropic, for the samples of one tile.

Mode k has inverse variances along the rows of directions_k (r, d), orthonormal, and one across them
where r < d. No direction at all means the coordinate axes. Differences a_k - x are rotated, not
points: coordinates along narrow directions keep their digits, squares are sums of positive terms.
Modes are met once: the largest logit so far is taken off, and what was summed is scaled when a
larger one comes. A mode 2^-200 below that adds nothing, and is not rotated back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .arithmetic import exp2, fma, larger, wide
from .compiling import TILE, cached, on_tile, over_rows
from .modes import begin_of, load, rows_of, store


class EllipsoidTable(NamedTuple):
    """A mixture at one level: a (N, d) means; directions (N, r, d), (0, r, d) for the axes;
    inverse (N, r): reciprocals of the variances along them; across (N,): those beyond them, (0,)
    where r = d; lw (N,) = log2 of weight/sqrt(det Sigma_k), from their largest."""

    a: Any
    directions: Any
    inverse: Any
    across: Any
    lw: Any


_HALF_LOG2E = 0.7213475204444817
_NEGLIGIBLE = -200.0


@on_tile
def add_products(m, y, z):
    """z (r TILE,) += m y, m (r, d), y (d TILE,)."""
    rows, columns = m.shape[0] - m.shape[0] % 4, m.shape[1] - m.shape[1] % 4
    for j in range(0, rows, 4):
        for i in range(0, columns, 4):
            _add_four(m, y, z, j, i)
        for i in range(columns, m.shape[1]):
            for k in range(j, j + 4):
                _add_one(m[k, i], y, z, k, i)
    for j in range(rows, m.shape[0]):
        for i in range(m.shape[1]):
            _add_one(m[j, i], y, z, j, i)


@on_tile
def _add_four(m, y, z, j, i):
    wide()
    four, to = rows_of(y, i, 4), rows_of(z, j, 4)
    m00, m01, m02, m03 = m[j, i], m[j, i + 1], m[j, i + 2], m[j, i + 3]
    m10, m11, m12, m13 = m[j + 1, i], m[j + 1, i + 1], m[j + 1, i + 2], m[j + 1, i + 3]
    m20, m21, m22, m23 = m[j + 2, i], m[j + 2, i + 1], m[j + 2, i + 2], m[j + 2, i + 3]
    m30, m31, m32, m33 = m[j + 3, i], m[j + 3, i + 1], m[j + 3, i + 2], m[j + 3, i + 3]
    for b in range(TILE):
        y0, y1, y2, y3 = four[b], four[TILE + b], four[2 * TILE + b], four[3 * TILE + b]
        z0, z1, z2, z3 = to[b], to[TILE + b], to[2 * TILE + b], to[3 * TILE + b]
        to[b] = fma(m03, y3, fma(m02, y2, fma(m01, y1, fma(m00, y0, z0))))
        to[TILE + b] = fma(m13, y3, fma(m12, y2, fma(m11, y1, fma(m10, y0, z1))))
        to[2 * TILE + b] = fma(m23, y3, fma(m22, y2, fma(m21, y1, fma(m20, y0, z2))))
        to[3 * TILE + b] = fma(m33, y3, fma(m32, y2, fma(m31, y1, fma(m30, y0, z3))))


@on_tile
def _add_one(factor, y, z, j, i):
    wide()
    row, to = rows_of(y, i, 1), rows_of(z, j, 1)
    for b in range(TILE):
        to[b] = fma(factor, row[b], to[b])


@on_tile
def _square(a, directions, inverse, across, k, x, y, z, square):
    """square (TILE,) = (a_k - x)^T Sigma_k^-1 (a_k - x); y (d TILE,) and z (r TILE,) become
    differences across the directions and along them, each over its variance."""
    wide()
    d, r = a.shape[1], inverse.shape[1]
    for b in range(TILE):
        square[b] = 0.0
    for j in range(d):
        first, mean = begin_of(j), a[k, j]
        for b in range(TILE):
            y[first + b] = mean - x[first + b]
    if directions.shape[0] == 0:
        z[: d * TILE] = y[: d * TILE]
    else:
        z[: r * TILE] = 0.0
        add_products(directions[k], y, z)
        if across.shape[0] > 0:
            for j in range(r * TILE):
                z[j] = -z[j]
            add_products(directions[k].T, z, y)
            for j in range(r * TILE):
                z[j] = -z[j]
            _scale_squares(y, d, across[k], square)
    for j in range(r):
        _scale_squares(rows_of(z, j, 1), 1, inverse[k, j], square)


@on_tile
def _scale_squares(rows, count, inverse, square):
    """square += inverse |rows|^2, rows <- inverse rows."""
    wide()
    for j in range(count):
        first = begin_of(j)
        for b in range(TILE):
            u = rows[first + b]
            scaled = inverse * u
            square[b] = fma(u, scaled, square[b])
            rows[first + b] = scaled


@cached
def square_tiles(begin, end, out, x, a, directions, inverse, across):
    """Rows begin..end of the squared Mahalanobis distances to all modes, out (n, N)."""
    n_modes, d = a.shape
    rows, y, z = np.empty(d * TILE), np.empty(d * TILE), np.empty(d * TILE)
    square = np.empty(TILE)
    for start in range(begin, end, TILE):
        load(x, start, rows)
        for k in range(n_modes):
            _square(a, directions, inverse, across, k, rows, y, z, square)
            for b in range(min(TILE, end - start)):
                out[start + b, k] = square[b]


@on_tile
def _weigh(lw, square, top, e, keep):
    """e (TILE,) = 2^(lw - log2(e)/2 square - top) with the new maximum, keep = 2^(old - new); and
    whether any sample has a new maximum, and any a share in this mode."""
    wide()
    for b in range(TILE):
        logit = fma(-_HALF_LOG2E, square[b], lw)
        new = larger(top[b], logit)
        keep[b] = exp2(top[b] - new)
        share = exp2(logit - new)
        e[b] = share if logit - new > _NEGLIGIBLE else 0.0
        top[b] = new


@on_tile
def _changes(keep, e):
    least, most = 1.0, 0.0
    for b in range(TILE):
        least, most = min(least, keep[b]), max(most, e[b])
    return least < 1.0, most > 0.0


@on_tile
def _times(rows, count, factor):
    """rows (count TILE,) <- factor (TILE,) rows."""
    wide()
    for j in range(count):
        first = begin_of(j)
        for b in range(TILE):
            rows[first + b] *= factor[b]


@on_tile
def _add_rows(rows, count, to):
    wide()
    for j in range(count * TILE):
        to[j] += rows[j]


class _Sums(NamedTuple):
    """What sums of a tile need beside its rows: y and pull (d TILE,), z (r TILE,), else (TILE,)."""

    y: Any
    z: Any
    pull: Any
    square: Any
    top: Any
    e: Any
    keep: Any
    total: Any


@on_tile
def sums_of(d, r):
    """Room for them."""
    return _Sums(
        np.empty(d * TILE), np.empty(max(d, r) * TILE), np.empty(d * TILE), np.empty(TILE),
        np.empty(TILE), np.empty(TILE), np.empty(TILE), np.empty(TILE),
    )  # fmt: skip


@on_tile
def pull_tile(rows, scale, a, directions, inverse, across, lw, sums):
    """sums.pull = scale sum_k gamma_k Sigma_k^-1 (a_k - x) of the samples in rows (d TILE,)."""
    n_modes, d = a.shape
    r, pull, total = inverse.shape[1], sums.pull, sums.total
    pull[:], total[:], sums.top[:] = 0.0, 0.0, -1e300
    for k in range(n_modes):
        _square(a, directions, inverse, across, k, rows, sums.y, sums.z, sums.square)
        _weigh(lw[k], sums.square, sums.top, sums.e, sums.keep)
        larger_top, matters = _changes(sums.keep, sums.e)
        if larger_top:
            _times(pull, d, sums.keep)
            _times(total, 1, sums.keep)
        if matters:
            _add_rows(sums.e, 1, total)
            _times(sums.z, r, sums.e)
            if directions.shape[0] == 0:
                _add_rows(sums.z, d, pull)
            else:
                add_products(directions[k].T, sums.z, pull)
                if across.shape[0] > 0:
                    _times(sums.y, d, sums.e)
                    _add_rows(sums.y, d, pull)
    for b in range(TILE):
        total[b] = scale / total[b]
    _times(pull, d, total)


@cached
def ellipsoid_tiles(begin, end, out, x, scale, a, directions, inverse, across, lw):
    """`ellipsoid_pull` of rows begin..end."""
    d = a.shape[1]
    rows, sums = np.empty(d * TILE), sums_of(d, inverse.shape[1])
    for start in range(begin, end, TILE):
        load(x, start, rows)
        pull_tile(rows, scale, a, directions, inverse, across, lw, sums)
        store(sums.pull, start, out[:end])


def ellipsoid_pull(x: Any, scale: float, table: EllipsoidTable) -> Any:
    """scale * sum_k gamma_k Sigma_k^-1 (a_k - x) at x (n, d) -> (n, d)."""
    out = np.empty(x.shape)
    over_rows(ellipsoid_tiles, _work(table), out, x, float(scale), *table)
    return out


def squared_lengths(x: Any, table: EllipsoidTable) -> Any:
    """(x - a_k)^T Sigma_k^-1 (x - a_k) at x (n, d) -> (n, N)."""
    out = np.empty((len(x), len(table.a)))
    over_rows(square_tiles, _work(table), out, x, *table[:-1])
    return out


def _work(table: EllipsoidTable) -> int:
    return int(table.a.size * (1 if len(table.directions) == 0 else 2 * table.directions.shape[1]))
