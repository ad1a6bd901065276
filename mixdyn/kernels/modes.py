"""Sums over the modes of a mixture for the samples of one tile.

A mixture at one noise level is a mode table (a, h, lw, ratio), see `evaluation.ModeTable`. For a
sample x let logit_k = lw_k - h_k |x - a_k|^2, top their maximum (or 0) and e_k = 2^(logit_k - top).
Then

    total = sum_k e_k ratio_k,    pull = sum_k e_k (a_k - x),    move = pull/total,

in which top cancels, and the score is move/var_ref, var_ref the smallest variance: `move`, in the
units of x, is what all evaluations and steps are made of. Differences a_k - x are formed before
they are weighted: the score then keeps its digits both beside a mode and on the midpoint of two.

Five modes of two samples are taken at a time (`exp2_of`), and what fives leave over one by one. In
one and two dimensions logits, powers and sums come in one pass with no maximum (`_sums_hold`). Each
of these forms is written out, as the rounds of `noise.philox` are: LLVM vectorises the loop over
the samples of a tile only if there is no other loop in it.
"""

from __future__ import annotations

import numpy as np

from .arithmetic import exp2, exp2_of, fma, is_faint, is_wide, larger, wide
from .compiling import TILE, inlined, on_tile, pasted

# In these loops an array that is written must be told apart from those that are read before LLVM
# vectorises, and it gives up beyond eight such pairs. So the rows of a tile lie in one flat array,
# row j from j TILE on: (rows TILE,) below means that.
HALF, QUARTER = TILE // 2, TILE // 4


@pasted
def rows_of(flat, j, count):
    """Rows j..j + count - 1 of a flat array."""
    return flat[j * TILE : (j + count) * TILE]


@inlined
def begin_of(j):
    """Where row j begins in a flat array. The mask tells LLVM that it is not negative, without
    which every index could count from the end, and no loop over it is vectorised."""
    return (j & 0x7FFFFFFF) * TILE


@on_tile
def logits(x, a, h, lw, logit, top):
    """logit (N TILE,) = lw - h |x - a|^2, x (d TILE,), and its maximum over the modes (TILE,)."""
    n_modes, d = a.shape
    logit[: n_modes * TILE] = 0.0
    whole, even = n_modes - n_modes % 5, d - d % 2
    _squares_by_5(x, a, logit)
    _squares(x, a, whole, even, logit)
    _logits_of_squares(h, lw, logit, top)


@on_tile
def _logits_of_squares(h, lw, logit, top):
    """logit <- lw - h logit, and its maximum over the modes."""
    wide()
    for b in range(TILE):
        top[b] = -np.inf
    for k in range(h.shape[0]):
        row, minus_h, w = rows_of(logit, k, 1), -h[k], lw[k]
        for b in range(TILE):
            z = fma(minus_h, row[b], w)
            row[b] = z
            top[b] = larger(top[b], z)


@inlined
def _square_2d(u, v):
    return fma(v, v, u * u)


@on_tile
def _squares_by_5(x, a, square):
    """square (N TILE,) += |x - a|^2 of as many modes as fives hold and coordinates as twos do: five
    modes read x once, two coordinates write them once."""
    wide()
    for k in range(0, a.shape[0] - 4, 5):
        s = rows_of(square, k, 5)
        for j in range(0, a.shape[1] - 1, 2):
            two = rows_of(x, j, 2)
            a0, a1, a2, a3, a4 = _five(a[:, j], k)
            b0, b1, b2, b3, b4 = _five(a[:, j + 1], k)
            for b in range(TILE):
                u, v = two[b], two[TILE + b]
                s0, s1, s2, s3, s4 = _column(s, b)
                s[b] = fma(v - b0, v - b0, fma(u - a0, u - a0, s0))
                s[TILE + b] = fma(v - b1, v - b1, fma(u - a1, u - a1, s1))
                s[2 * TILE + b] = fma(v - b2, v - b2, fma(u - a2, u - a2, s2))
                s[3 * TILE + b] = fma(v - b3, v - b3, fma(u - a3, u - a3, s3))
                s[4 * TILE + b] = fma(v - b4, v - b4, fma(u - a4, u - a4, s4))


@on_tile
def _squares(x, a, whole, even, square):
    """square (N TILE,) += |x - a|^2 but for the first `even` coordinates of the first `whole`
    modes."""
    wide()
    for k in range(a.shape[0]):
        row = rows_of(square, k, 1)
        for j in range(even if k < whole else 0, a.shape[1]):
            xj, aj = rows_of(x, j, 1), a[k, j]
            for b in range(TILE):
                row[b] = fma(xj[b] - aj, xj[b] - aj, row[b])


@on_tile
def _pull(x, a, ratio, logit, top, total, pull):
    """total (TILE,) = sum_k e_k ratio_k and pull (d TILE,) = sum_k e_k (a_k - x), e_k =
    2^(logit_k - top); logit is overwritten."""
    total[:] = 0.0
    pull[: a.shape[1] * TILE] = 0.0
    _weights_by_5(ratio, logit, top, total)
    _add_pull_by_5(x, a, logit, pull)
    _add_pull(x, a, ratio, logit, top, a.shape[0] - a.shape[0] % 5, total, pull)


@on_tile
def _add_pull(x, a, ratio, logit, top, first, total, pull):
    """What the modes from `first` on add to `total` and `pull`."""
    wide()
    for k in range(first, a.shape[0]):
        row, ratio_k = rows_of(logit, k, 1), ratio[k]
        for b in range(TILE):
            e = exp2(row[b] - top[b])
            total[b] = fma(e, ratio_k, total[b])
            row[b] = e
        for j in range(a.shape[1]):
            xj, aj, pull_j = rows_of(x, j, 1), a[k, j], rows_of(pull, j, 1)
            for b in range(TILE):
                pull_j[b] = fma(row[b], aj - xj[b], pull_j[b])


@inlined
def _five(values, k):
    return values[k], values[k + 1], values[k + 2], values[k + 3], values[k + 4]


@inlined
def _minus(a, x):
    """a_k - x of five numbers."""
    return a[0] - x, a[1] - x, a[2] - x, a[3] - x, a[4] - x


@inlined
def _logits_1d(h, w, u):
    """w_k - h_k u_k^2 of five numbers."""
    z0, z1 = fma(-h[0], u[0] * u[0], w[0]), fma(-h[1], u[1] * u[1], w[1])
    z2, z3 = fma(-h[2], u[2] * u[2], w[2]), fma(-h[3], u[3] * u[3], w[3])
    return z0, z1, z2, z3, fma(-h[4], u[4] * u[4], w[4])


@inlined
def _logits_2d(h, w, u, v):
    """w_k - h_k (u_k^2 + v_k^2) of five points."""
    z0, z1 = fma(-h[0], _square_2d(u[0], v[0]), w[0]), fma(-h[1], _square_2d(u[1], v[1]), w[1])
    z2, z3 = fma(-h[2], _square_2d(u[2], v[2]), w[2]), fma(-h[3], _square_2d(u[3], v[3]), w[3])
    return z0, z1, z2, z3, fma(-h[4], _square_2d(u[4], v[4]), w[4])


@inlined
def _add_5(start, e, f):
    """start + sum_k e_k f_k, in this order."""
    sum_ = fma(e[2], f[2], fma(e[1], f[1], fma(e[0], f[0], start)))
    return fma(e[4], f[4], fma(e[3], f[3], sum_))


@on_tile
def _sums_1d(x, a, h, lw, ratio, total, pull):
    """`_pull` of modes on a line, of their logits as they are: no maximum, one pass."""
    wide()
    for b in range(TILE):
        total[b] = 0.0
        pull[b] = 0.0
    whole, centres = a.shape[0] - a.shape[0] % 5, a[:, 0]
    for k in range(0, whole, 5):
        a5, h5, w5, q5 = _five(centres, k), _five(h, k), _five(lw, k), _five(ratio, k)
        for b in range(HALF):
            c = b + HALF
            u, s = _minus(a5, x[b]), _minus(a5, x[c])
            e, f = exp2_of(_logits_1d(h5, w5, u), _logits_1d(h5, w5, s))
            total[b], pull[b] = _add_5(total[b], e, q5), _add_5(pull[b], e, u)
            total[c], pull[c] = _add_5(total[c], f, q5), _add_5(pull[c], f, s)
    for k in range(whole, a.shape[0]):
        a0, minus_h, w, ratio_k = a[k, 0], -h[k], lw[k], ratio[k]
        for b in range(TILE):
            u0 = a0 - x[b]
            e0 = exp2(fma(minus_h, u0 * u0, w))
            total[b], pull[b] = fma(e0, ratio_k, total[b]), fma(e0, u0, pull[b])


@on_tile
def _sums_2d(x, a, h, lw, ratio, total, pull):
    """`_sums_1d` of modes in the plane."""
    wide()
    for b in range(TILE):
        total[b] = 0.0
        pull[b] = 0.0
        pull[TILE + b] = 0.0
    whole, first, second = a.shape[0] - a.shape[0] % 5, a[:, 0], a[:, 1]
    for k in range(0, whole, 5):
        a5, b5, h5, w5, q5 = (
            _five(first, k),
            _five(second, k),
            _five(h, k),
            _five(lw, k),
            _five(ratio, k),
        )
        for b in range(HALF):
            c = b + HALF
            u, v = _minus(a5, x[b]), _minus(b5, x[TILE + b])
            s, t = _minus(a5, x[c]), _minus(b5, x[TILE + c])
            e, f = exp2_of(_logits_2d(h5, w5, u, v), _logits_2d(h5, w5, s, t))
            total[b], pull[b] = _add_5(total[b], e, q5), _add_5(pull[b], e, u)
            pull[TILE + b] = _add_5(pull[TILE + b], e, v)
            total[c], pull[c] = _add_5(total[c], f, q5), _add_5(pull[c], f, s)
            pull[TILE + c] = _add_5(pull[TILE + c], f, t)
    for k in range(whole, a.shape[0]):
        a0, a1, minus_h, w, ratio_k = a[k, 0], a[k, 1], -h[k], lw[k], ratio[k]
        for b in range(TILE):
            u0, v0 = a0 - x[b], a1 - x[TILE + b]
            e0 = exp2(fma(minus_h, _square_2d(u0, v0), w))
            total[b], pull[b] = fma(e0, ratio_k, total[b]), fma(e0, u0, pull[b])
            pull[TILE + b] = fma(e0, v0, pull[TILE + b])


@on_tile
def moves(x, a, h, lw, ratio, logit, top, total, move):
    """move (d TILE,) = sum_k e_k (a_k - x)/sum_k e_k ratio_k, what a sample is drawn by."""
    d = a.shape[1]
    if d == 1:
        moves_1d(x, a, h, lw, ratio, logit, top, total, move)
        return
    if d == 2:
        _sums_2d(x, a, h, lw, ratio, total, move)
        if not _sums_hold(ratio, total):
            _sum_again(x, a, h, lw, ratio, logit, top, total, move)
    else:
        logits(x, a, h, lw, logit, top)
        _pull(x, a, ratio, logit, top, total, move)
    _divide(d, total, move)


@on_tile
def moves_1d(x, a, h, lw, ratio, logit, top, total, move):
    """`moves` on a line."""
    _sums_1d(x, a, h, lw, ratio, total, move)
    if not _sums_hold(ratio, total):
        _sum_again(x, a, h, lw, ratio, logit, top, total, move)
    _divide(a.shape[1], total, move)


@on_tile
def _divide(d, total, move):
    """move <- move/total."""
    wide()
    one = total.dtype.type(1.0)  # a written 1.0 would divide in double
    for b in range(TILE):
        total[b] = one / total[b]
    for j in range(d):
        first = begin_of(j)
        for b in range(TILE):
            move[first + b] *= total[b]


@on_tile
def _sums_hold(ratio, total):
    """Whether every sum of a tile is far above what the floor of `exp2` adds to it.

    A power needs no maximum taken off its exponent unless a sample lies so far from every mode,
    some 30 sigma, that its sum comes near that floor.
    """
    wide()
    least, widest = -total[0], ratio[0]
    for b in range(TILE):
        least = larger(least, -total[b])
    for k in range(ratio.shape[0]):
        widest = larger(widest, ratio[k])
    return not (is_faint(-least) or is_wide(widest))


@on_tile
def _sum_again(x, a, h, lw, ratio, logit, top, total, pull):
    """`_sums_1d` or `_sums_2d` of a tile with a maximum taken off where a sum did not hold; the
    other samples come to the same bits as before."""
    none = 0 * a.shape[0]  # a number to the compiler, which makes another form for a written 0
    logit[: a.shape[0] * TILE] = 0.0
    _squares(x, a, none, none, logit)
    _logits_of_squares(h, lw, logit, top)
    _drop_unneeded(ratio, total, top)
    total[:] = 0.0
    pull[: a.shape[1] * TILE] = 0.0
    _add_pull(x, a, ratio, logit, top, none, total, pull)


@on_tile
def _drop_unneeded(ratio, total, top):
    """top <- 0 where a sum held without it."""
    for k in range(ratio.shape[0]):
        if is_wide(ratio[k]):
            return
    for b in range(TILE):
        if not is_faint(total[b]):
            top[b] = 0.0


@on_tile
def _weights_by_5(ratio, logit, top, total):
    """logit <- 2^(logit - top) of as many modes as fives hold, and what they add to `total`."""
    wide()
    for k in range(0, ratio.shape[0] - 4, 5):
        z, q5 = rows_of(logit, k, 5), _five(ratio, k)
        for b in range(HALF):
            c = b + HALF
            e, f = exp2_of(_minus(_column(z, b), top[b]), _minus(_column(z, c), top[c]))
            total[b], total[c] = _add_5(total[b], e, q5), _add_5(total[c], f, q5)
            z[b], z[TILE + b], z[2 * TILE + b], z[3 * TILE + b], z[4 * TILE + b] = e
            z[c], z[TILE + c], z[2 * TILE + c], z[3 * TILE + c], z[4 * TILE + c] = f


@inlined
def _column(rows, b):
    """Sample b of five rows."""
    return rows[b], rows[TILE + b], rows[2 * TILE + b], rows[3 * TILE + b], rows[4 * TILE + b]


@on_tile
def _add_pull_by_5(x, a, weight, pull):
    """What modes of weights `weight` (N TILE,), as many as fives hold, add to the pull."""
    wide()
    for k in range(0, a.shape[0] - 4, 5):
        e = rows_of(weight, k, 5)
        for j in range(a.shape[1]):
            row, to, a5 = rows_of(x, j, 1), rows_of(pull, j, 1), _five(a[:, j], k)
            for b in range(TILE):
                to[b] = _add_5(to[b], _column(e, b), _minus(a5, row[b]))


@on_tile
def load(points, start, x):
    """x (d TILE,) = rows start.. of points (n, d); past the end, the last row again."""
    load_columns(points, start, 0 * start, points.shape[1], x)


@on_tile
def load_columns(points, start, begin, end, x):
    """`load` of columns begin..end alone.

    Eight columns at a time: one cache line of `points` then feeds eight of x that stay in reach.
    """
    n = points.shape[0]
    for first in range(begin, end, 8):
        for b in range(TILE):
            i = min(start + b, n - 1)
            for j in range(first, min(first + 8, end)):
                x[(j - begin) * TILE + b] = points[i, j]


@on_tile
def store(x, start, points):
    """Rows start.. of points (n, d) = x (d TILE,), no further than they go."""
    n, d = points.shape
    for first in range(0, d, 8):
        for b in range(min(TILE, n - start)):
            for j in range(first, min(first + 8, d)):
                points[start + b, j] = x[j * TILE + b]


@on_tile
def scale_tile(scale, move):
    """move <- scale * move."""
    wide()
    for b in range(move.shape[0]):
        move[b] *= scale
