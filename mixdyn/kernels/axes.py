"""Moves along an axis of a product mixture; one exponential for all modes that are equally spaced
(`lattice_rows` derives the forms).

These functions take whole arrays and where to look in them: a view costs as much here as some tens
of samples. Of an axis they read row q of `lattice_rows`: its form, HEAD numbers in all, and
twice as many coefficients as whole blocks hold.
"""

from __future__ import annotations

import numpy as np

from .arithmetic import exp2, exp2_of, fma, larger, nearest, smaller, wide, with_sign_of
from .compiling import TILE, on_tile, pasted
from .modes import QUARTER, begin_of, moves_1d, rows_of

MODES, POLYNOMIAL, NEAREST = 0.0, 1.0, 2.0  # forms of an axis
HEAD, BLOCK = 8, 5


@on_tile
def axis_sizes(lw):
    """How many values each axis has: rows of lw (d, M) are padded with -inf."""
    sizes = np.empty(lw.shape[0], np.int64)
    for j in range(lw.shape[0]):
        size = lw.shape[1]
        while lw[j, size - 1] == -np.inf:
            size -= 1
        sizes[j] = size
    return sizes


@pasted
def _five_of(rows, q, k):
    return rows[q, k], rows[q, k + 1], rows[q, k + 2], rows[q, k + 3], rows[q, k + 4]


@pasted
def _exponent(y, rate, largest):
    """log2 F = -|rate y|, not below -largest."""
    return larger(-with_sign_of(rate * y, largest), -largest)


@pasted
def _place(p, c):
    """(sum_i i c_i p^i)/(sum_i c_i p^i) of five c_i, the derivative beside Horner's scheme."""
    v = fma(c[4], p, c[3])
    w = fma(c[4], p, v)
    v = fma(v, p, c[2])
    w = fma(w, p, v)
    v = fma(v, p, c[1])
    return fma(w, p, v) * p / fma(v, p, c[0])


@on_tile
def _few_symmetric(x, j, rows, q, move):
    """Five modes or fewer whose weights are symmetric about their centre."""
    wide()
    centre, g, rate, largest, half = rows[q, 1], rows[q, 2], rows[q, 3], rows[q, 4], rows[q, 6]
    c5, first = _five_of(rows, q, HEAD), begin_of(j)
    for b in range(QUARTER):
        b1, b2, b3 = b + QUARTER, b + 2 * QUARTER, b + 3 * QUARTER
        y0, y1 = x[first + b] - centre, x[first + b1] - centre
        y2, y3 = x[first + b2] - centre, x[first + b3] - centre
        (p0, p1), (p2, p3) = exp2_of(
            (_exponent(y0, rate, largest), _exponent(y1, rate, largest)),
            (_exponent(y2, rate, largest), _exponent(y3, rate, largest)),
        )
        move[first + b] = fma(with_sign_of(g, y0), half - _place(p0, c5), -y0)
        move[first + b1] = fma(with_sign_of(g, y1), half - _place(p1, c5), -y1)
        move[first + b2] = fma(with_sign_of(g, y2), half - _place(p2, c5), -y2)
        move[first + b3] = fma(with_sign_of(g, y3), half - _place(p3, c5), -y3)


@on_tile
def _many(x, j, rows, q, work, move):
    """Any number of modes: coefficients five at a time, from the highest down, those of the
    sample's side. Rows 0, 1 and 2 of `work` hold F, the sum and its derivative."""
    wide()
    centre, g, rate, largest, half = rows[q, 1], rows[q, 2], rows[q, 3], rows[q, 4], rows[q, 6]
    first, width = begin_of(j), (rows.shape[1] - HEAD) // 2
    for b in range(TILE):
        work[0, b] = exp2(_exponent(x[first + b] - centre, rate, largest))
        work[1, b] = 0.0
        work[2, b] = 0.0
    for k in range(width - BLOCK, -1, -BLOCK):
        r0, r1, r2, r3, r4 = _five_of(rows, q, HEAD + k)
        l0, l1, l2, l3, l4 = _five_of(rows, q, HEAD + width + k)
        for b in range(TILE):
            p, v, w = work[0, b], work[1, b], work[2, b]
            right = x[first + b] >= centre
            w, v = fma(w, p, v), fma(v, p, r4 if right else l4)
            w, v = fma(w, p, v), fma(v, p, r3 if right else l3)
            w, v = fma(w, p, v), fma(v, p, r2 if right else l2)
            w, v = fma(w, p, v), fma(v, p, r1 if right else l1)
            work[2, b], work[1, b] = fma(w, p, v), fma(v, p, r0 if right else l0)
    for b in range(TILE):
        y = x[first + b] - centre
        place = work[2, b] * work[0, b] / work[1, b]
        move[first + b] = fma(with_sign_of(g, y), half - place, -y)


@pasted
def _beside(x, first, g, inverse, last, h, one):
    """x - a_k of the nearest mode, a_n - a_k of the next, and the exponent of their odds.

    At an edge the next is the nearest itself: odds of one with no distance between them.
    """
    zero = one - one
    k = nearest(smaller(larger((x - first) * inverse, zero), last))
    u = x - fma(k, g, first)
    w = (smaller(larger(k + with_sign_of(one, u), zero), last) - k) * g
    return u, w, (h * w) * ((u - w) + u)


@pasted
def _drawn(e, u, w, one):
    """The move of a sample at u from one mode and u - w from another, of weights 1 : e."""
    return fma(e, w - u, -u) / (one + e)


@on_tile
def _nearest_two(x, j, rows, q, move):
    """Narrow modes: the nearest and the next one on the sample's side."""
    wide()
    (first, g, inverse, last, h), one = _five_of(rows, q, 1), rows[q, 6]
    begin = begin_of(j)
    for b in range(QUARTER):
        b1, b2, b3 = b + QUARTER, b + 2 * QUARTER, b + 3 * QUARTER
        u0, w0, z0 = _beside(x[begin + b], first, g, inverse, last, h, one)
        u1, w1, z1 = _beside(x[begin + b1], first, g, inverse, last, h, one)
        u2, w2, z2 = _beside(x[begin + b2], first, g, inverse, last, h, one)
        u3, w3, z3 = _beside(x[begin + b3], first, g, inverse, last, h, one)
        (e0, e1), (e2, e3) = exp2_of((z0, z1), (z2, z3))
        move[begin + b], move[begin + b1] = _drawn(e0, u0, w0, one), _drawn(e1, u1, w1, one)
        move[begin + b2], move[begin + b3] = _drawn(e2, u2, w2, one), _drawn(e3, u3, w3, one)


@on_tile
def axis_move(x, j, axes, alpha, size, h, lw, rows, q, work, move):
    """Row j of `move`: `moves` of row j of x on its axis of `size` values alpha axes[j]. work
    (3, TILE) is a place to compute in."""
    wide()
    if size == 1:
        a, first = x.dtype.type(alpha * axes[j, 0]), begin_of(j)
        for b in range(TILE):
            move[first + b] = a - x[first + b]
    elif rows[q, 0] == POLYNOMIAL:
        if rows[q, 5] == 1.0 and rows.shape[1] == HEAD + 2 * BLOCK:
            _few_symmetric(x, j, rows, q, move)
        else:
            _many(x, j, rows, q, work, move)
    elif rows[q, 0] == NEAREST:
        _nearest_two(x, j, rows, q, move)
    else:
        _mode_by_mode(x, j, axes, alpha, size, h, lw, move)


@on_tile
def _mode_by_mode(x, j, axes, alpha, size, h, lw, move):
    a, h_k, one = np.empty((size, 1), x.dtype), np.empty(size, x.dtype), np.empty(size, x.dtype)
    for k in range(size):
        a[k, 0] = alpha * axes[j, k]
        h_k[k], one[k] = h, 1.0
    logit, top, total = (
        np.empty(size * TILE, x.dtype),
        np.empty(TILE, x.dtype),
        np.empty(TILE, x.dtype),
    )
    moves_1d(rows_of(x, j, 1), a, h_k, lw[j], one, logit, top, total, rows_of(move, j, 1))
