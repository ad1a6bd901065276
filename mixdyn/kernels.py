"""Numba kernels: elementary functions, counter-based noise, mixture fields, fused rollouts.

The only module that imports Numba. It imports nothing of mixdyn, validates nothing and never
raises: the facades (`mixture`, `score`, `noise`, `samplers`) check their arguments first.

Layout. Work runs on tiles of `TILE` samples held as a struct of arrays, (d, TILE), so that every
inner loop is a plain pass over TILE contiguous doubles. The last tile is padded by repeating rows.

Arithmetic. No fast-math flag is set anywhere: each rounding is written down (`_fma` where two
operations are fused), so a sample's bits depend on its inputs alone, not on its place in a tile,
the number of threads, or whether it went through a fused rollout or a single evaluation.

Mode tables. A mixture at one noise level is (a, h, lw, r): means a (N, d), h = 1/(2 var) (N,),
lw = log weight - d/2 log(var/var_ref) (N,), and r = var_ref/var (N,) with var_ref the smallest
variance (the rest of the normalisation would only cost digits). With q_k = |x - a_k|^2 and e_k =
exp(lw_k - h_k q_k - max) the score is sum_k e_k r_k (a_k - x)/(var_ref sum_k e_k). Differences
a_k - x are formed before they are weighted: the score then keeps its digits both beside a mode
and on the midpoint of two.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import config, get_num_threads, njit, prange, set_num_threads, types
from numba.extending import intrinsic

# The NumPy error model: a check for division by zero in a loop would keep LLVM from vectorising it.
_inline = njit(inline="always", error_model="numpy")
_tile = njit(error_model="numpy")
_cached = njit(cache=True, error_model="numpy")
_rollout = njit(parallel=True, cache=True, error_model="numpy")
# Rows below which one thread does a single evaluation alone: waking a second one costs as much as
# the work, and hundreds of times more while another process holds its core.
SERIAL_BELOW = 1024


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Kernels on so many threads inside the block; None leaves the number as it is.

    Idle threads wait in a busy loop for their next kernel. Between the calls of a model that
    computes on threads of its own they would take the cores from it.
    """
    before = get_num_threads()
    set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        set_num_threads(before)


def _parallel(function: Callable[..., None]) -> Callable[..., None]:
    """A parallel kernel over the rows of its first argument, on one thread where they are few."""
    kernel = _rollout(function)

    @functools.wraps(function)
    def run(rows: Any, *arguments: Any) -> None:
        with threads(None if rows.shape[0] >= SERIAL_BELOW else 1):
            kernel(rows, *arguments)

    return run


# -- single operations ---------------------------------------------------------------------------

if config.DISABLE_JIT:
    TILE = 4

    def _fma(a: float, b: float, c: float) -> float:
        return a * b + c

    def _to_bits(x: float) -> Any:
        return np.float64(x).view(np.uint64)

    def _from_bits(i: Any) -> Any:
        return np.uint64(i).view(np.float64)

    def _scale(p: float, shifted: float) -> float:
        return math.ldexp(p, int(shifted - _ROUND))

    def _wide() -> None:
        pass

else:
    TILE = 128

    @intrinsic
    def _fma(typing_context, a, b, c):  # type: ignore[no-untyped-def]
        """a b + c with one rounding."""
        signature = types.float64(types.float64, types.float64, types.float64)
        return signature, lambda context, builder, sig, args: builder.fma(*args)

    @intrinsic
    def _to_bits(typing_context, x):  # type: ignore[no-untyped-def]
        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return builder.bitcast(args[0], context.get_value_type(types.uint64))

        return types.uint64(types.float64), generate

    @intrinsic
    def _from_bits(typing_context, i):  # type: ignore[no-untyped-def]
        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return builder.bitcast(args[0], context.get_value_type(types.float64))

        return types.float64(types.uint64), generate

    @intrinsic
    def _wide(typing_context):  # type: ignore[no-untyped-def]
        """Ask LLVM for the widest vectors in the calling function: its default on AVX-512
        machines is half of that, which costs a quarter of the speed of `_exp`."""

        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            # llvmlite knows this attribute not by name, so it goes past the check of `add`.
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
            return context.get_dummy_value()

        return types.void(), generate

    @_inline
    def _scale(p, shifted):  # type: ignore[no-untyped-def]
        """p 2^k, k the low bits of `shifted` = _ROUND + k: moved up, they add to p's exponent."""
        return _from_bits(_to_bits(p) + (_to_bits(shifted) << np.uint64(52)))


# A normal double that no sum of exponentials >= 1 can feel. Below EXP_FLOOR `_exp` returns
# exp(EXP_FLOOR) = 2.7e-261: products with coordinates stay normal (denormals are 10x slower).
EXP_FLOOR = -600.0
# 1.5 * 2^52: adding it leaves the nearest integer in the low bits of the sum.
_ROUND = 6755399441055744.0
_LOG2E = 1.4426950408889634
_LN2_HIGH = 0.6931471803691238  # 21 trailing zero bits: k * _LN2_HIGH is exact
_LN2_LOW = 1.9082149292705877e-10


@_inline
def _exp(x):  # type: ignore[no-untyped-def]
    """exp(max(x, EXP_FLOOR)) for x <= 0 (valid to 700), at most 1 ulp off.

    x = k ln 2 + r, exp r = 1 + r + r^2 q(r) with q a Chebyshev fit of degree 9 (error 1.3e-17).
    """
    z = max(x, EXP_FLOOR)
    shifted = _fma(z, _LOG2E, _ROUND)
    k = shifted - _ROUND
    r = _fma(k, -_LN2_LOW, _fma(k, -_LN2_HIGH, z))
    p = _fma(2.5100472505694996e-08, r, 2.7620201591031547e-07)
    p = _fma(p, r, 2.7557268276905696e-06)
    p = _fma(p, r, 2.4801521057868204e-05)
    p = _fma(p, r, 0.00019841269863171557)
    p = _fma(p, r, 0.0013888888917367081)
    p = _fma(p, r, 0.008333333333330039)
    p = _fma(p, r, 0.041666666666623824)
    p = _fma(p, r, 0.16666666666666669)
    p = _fma(p, r, 0.5000000000000001)
    p = _fma(p, r, 1.0)
    p = _fma(p, r, 1.0)
    return _scale(p, shifted)


@_inline
def _log(u):  # type: ignore[no-untyped-def]
    """log u for a normal u > 0, at most 2 ulp off.

    u = 2^k m with m in (sqrt(1/2), sqrt 2], log m = 2 artanh(f), f = (m - 1)/(m + 1), by its
    Taylor series in f^2 <= 0.0295 to f^21 (remainder below 2e-18 of log m).
    """
    bits = _to_bits(u)
    k = np.float64(np.int64(bits >> _U52)) - 1023.0
    m = _from_bits((bits & _MANTISSA) | _ONE_BITS)
    high = m > 1.4142135623730951
    m = 0.5 * m if high else m
    k = k + 1.0 if high else k
    f = (m - 1.0) / (m + 1.0)
    w = f * f
    p = _fma(1.0 / 21.0, w, 1.0 / 19.0)
    p = _fma(p, w, 1.0 / 17.0)
    p = _fma(p, w, 1.0 / 15.0)
    p = _fma(p, w, 1.0 / 13.0)
    p = _fma(p, w, 1.0 / 11.0)
    p = _fma(p, w, 1.0 / 9.0)
    p = _fma(p, w, 1.0 / 7.0)
    p = _fma(p, w, 1.0 / 5.0)
    p = _fma(p, w, 1.0 / 3.0)
    tail = _fma(2.0 * f * w, p, k * _LN2_LOW)
    return _fma(k, _LN2_HIGH, _fma(2.0, f, tail))


@_inline
def _sincos_turn(v):  # type: ignore[no-untyped-def]
    """(sin, cos) of 2 pi v for v in [0, 1), at most 2 ulp off.

    4 v = q + f exactly, |f| <= 1/2; Taylor series of the angle f pi/2, |angle| <= pi/4.
    """
    shifted = 4.0 * v + _ROUND
    quadrant = _to_bits(shifted)
    y = (4.0 * v - (shifted - _ROUND)) * 1.5707963267948966
    w = y * y
    s = _fma(-1.0 / 1307674368000.0, w, 1.0 / 6227020800.0)
    s = _fma(s, w, -1.0 / 39916800.0)
    s = _fma(s, w, 1.0 / 362880.0)
    s = _fma(s, w, -1.0 / 5040.0)
    s = _fma(s, w, 1.0 / 120.0)
    s = _fma(s, w, -1.0 / 6.0)
    sin_y = _fma(s * w, y, y)
    c = _fma(1.0 / 20922789888000.0, w, -1.0 / 87178291200.0)
    c = _fma(c, w, 1.0 / 479001600.0)
    c = _fma(c, w, -1.0 / 3628800.0)
    c = _fma(c, w, 1.0 / 40320.0)
    c = _fma(c, w, -1.0 / 720.0)
    c = _fma(c, w, 1.0 / 24.0)
    c = _fma(c, w, -0.5)
    cos_y = _fma(c, w, 1.0)
    odd = (quadrant & _U1) != _U0
    sin_v = cos_y if odd else sin_y
    cos_v = sin_y if odd else cos_y
    sin_v = -sin_v if (quadrant & _U2) != _U0 else sin_v
    cos_v = -cos_v if ((quadrant + _U1) & _U2) != _U0 else cos_v
    return sin_v, cos_v


# -- counter-based noise -------------------------------------------------------------------------

_U0, _U1, _U2 = np.uint64(0), np.uint64(1), np.uint64(2)
_U12, _U32, _U52 = np.uint64(12), np.uint64(32), np.uint64(52)
_LOW32 = np.uint64(0xFFFFFFFF)
_MANTISSA, _ONE_BITS = np.uint64(0xFFFFFFFFFFFFF), np.uint64(0x3FF0000000000000)
# Multipliers and Weyl increments of Philox4x32 (Salmon et al., SC11).
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_STREAM_START, _STREAM_STEP, _STREAM_EXTRA = np.uint64(0), np.uint64(1 << 24), np.uint64(2 << 24)


@_inline
def _philox_round(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    p0 = c0 * _M0
    p1 = c2 * _M1
    return (p1 >> _U32) ^ c1 ^ k0, p1 & _LOW32, (p0 >> _U32) ^ c3 ^ k1, p0 & _LOW32


@_inline
def _philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Philox4x32-10: four 32-bit counter words and two key words, each held in a uint64.

    Ten rounds written out: LLVM vectorises the surrounding loop only without an inner one.
    """
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, k0, k1)
    j0, j1 = (k0 + np.uint64(1) * _W0) & _LOW32, (k1 + np.uint64(1) * _W1) & _LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(2) * _W0) & _LOW32, (k1 + np.uint64(2) * _W1) & _LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(3) * _W0) & _LOW32, (k1 + np.uint64(3) * _W1) & _LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(4) * _W0) & _LOW32, (k1 + np.uint64(4) * _W1) & _LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(5) * _W0) & _LOW32, (k1 + np.uint64(5) * _W1) & _LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(6) * _W0) & _LOW32, (k1 + np.uint64(6) * _W1) & _LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(7) * _W0) & _LOW32, (k1 + np.uint64(7) * _W1) & _LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(8) * _W0) & _LOW32, (k1 + np.uint64(8) * _W1) & _LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(9) * _W0) & _LOW32, (k1 + np.uint64(9) * _W1) & _LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    return c0, c1, c2, c3


@_cached
def philox4x32(counter, key):  # type: ignore[no-untyped-def]
    """One Philox4x32-10 block: counter (4,), key (2,) uint64 words -> (4,) uint64 words."""
    out = np.empty(4, np.uint64)
    out[0], out[1], out[2], out[3] = _philox(
        counter[0], counter[1], counter[2], counter[3], key[0], key[1]
    )
    return out


@_inline
def _unit(high, low):  # type: ignore[no-untyped-def]
    """52 of 64 random bits as (integer + 1/2)/2^52, strictly inside (0, 1) and exact."""
    bits = ((high << _U32) | low) >> _U12
    return (np.float64(np.int64(bits)) + 0.5) * 2.220446049250313e-16


@_inline
def _two_normals(i, t, word, k0, k1):  # type: ignore[no-untyped-def]
    """Two independent standard normals of sample i at time t, by Box-Muller."""
    r0, r1, r2, r3 = _philox(i & _LOW32, i >> _U32, t, word, k0, k1)
    radius = math.sqrt(-2.0 * _log(_unit(r0, r1)))
    sin_v, cos_v = _sincos_turn(_unit(r2, r3))
    return radius * cos_v, radius * sin_v


@_tile
def _normal_rows(xi, first, t, stream, seed):  # type: ignore[no-untyped-def]
    """Fill xi (d, TILE) with the normals of samples first.. at time t: rows 2p, 2p + 1 are the
    two normals of block p (the second is dropped where d is odd)."""
    _wide()
    k0, k1 = seed & _LOW32, seed >> _U32
    d = xi.shape[0]
    spare = np.empty(TILE)
    for p in range((d + 1) // 2):
        word = stream | np.uint64(p)
        even = xi[2 * p]
        odd = xi[2 * p + 1] if 2 * p + 1 < d else spare
        for b in range(TILE):
            z0, z1 = _two_normals(first + np.uint64(b), t, word, k0, k1)
            even[b] = z0
            odd[b] = z1


@_parallel
def normals(out, first, t, stream, seed):  # type: ignore[no-untyped-def]
    """Fill out (n, d) with the normals of samples first..first + n - 1 at time t."""
    n, d = out.shape
    for tile in prange((n + TILE - 1) // TILE):
        xi = np.empty((d, TILE))
        _normal_rows(xi, first + np.uint64(tile * TILE), t, stream, seed)
        for b in range(min(TILE, n - tile * TILE)):
            for j in range(d):
                out[tile * TILE + b, j] = xi[j, b]


@_parallel
def path_normals(out, first, times, weights, seed):  # type: ignore[no-untyped-def]
    """Fill out (n, d) with sum_r weights[r] xi(times[r]), xi the step normals of `normals`."""
    n, d = out.shape
    for tile in prange((n + TILE - 1) // TILE):
        xi = np.empty((d, TILE))
        total = np.zeros((d, TILE))
        for r in range(times.shape[0]):
            _normal_rows(xi, first + np.uint64(tile * TILE), times[r], _STREAM_STEP, seed)
            for j in range(d):
                for b in range(TILE):
                    total[j, b] = _fma(weights[r], xi[j, b], total[j, b])
        for b in range(min(TILE, n - tile * TILE)):
            for j in range(d):
                out[tile * TILE + b, j] = total[j, b]


# -- mixture fields on a tile --------------------------------------------------------------------


@_tile
def _logits(x, a, h, lw, logit, top):  # type: ignore[no-untyped-def]
    """logit (N, TILE) = lw - h |x - a|^2 and its maximum over the modes, top (TILE,)."""
    _wide()
    d = x.shape[0]
    for b in range(TILE):
        top[b] = -np.inf
    for k in range(a.shape[0]):
        row, minus_h, w = logit[k], -h[k], lw[k]
        x0, a0 = x[0], a[k, 0]
        if d == 1:
            for b in range(TILE):
                u = x0[b] - a0
                z = _fma(minus_h, u * u, w)
                row[b] = z
                top[b] = max(top[b], z)
        elif d == 2:
            x1, a1 = x[1], a[k, 1]
            for b in range(TILE):
                u, v = x0[b] - a0, x1[b] - a1
                z = _fma(minus_h, _fma(v, v, u * u), w)
                row[b] = z
                top[b] = max(top[b], z)
        else:
            for b in range(TILE):
                u = x0[b] - a0
                row[b] = u * u
            for j in range(1, d):
                xj, aj = x[j], a[k, j]
                for b in range(TILE):
                    u = xj[b] - aj
                    row[b] = _fma(u, u, row[b])
            for b in range(TILE):
                z = _fma(minus_h, row[b], w)
                row[b] = z
                top[b] = max(top[b], z)


@_tile
def _pull(x, a, r, logit, top, total, pull):  # type: ignore[no-untyped-def]
    """total (TILE,) = sum_k e_k and pull (d, TILE) = sum_k e_k r_k (a_k - x), e_k = exp(logit_k
    - top); logit is overwritten by e_k r_k."""
    _wide()
    d = x.shape[0]
    for b in range(TILE):
        total[b] = 0.0
    for j in range(d):
        for b in range(TILE):
            pull[j, b] = 0.0
    for k in range(a.shape[0]):
        row, r_k = logit[k], r[k]
        x0, a0, pull0 = x[0], a[k, 0], pull[0]
        if d == 1:
            for b in range(TILE):
                e = _exp(row[b] - top[b])
                total[b] += e
                pull0[b] = _fma(e * r_k, a0 - x0[b], pull0[b])
        elif d == 2:
            x1, a1, pull1 = x[1], a[k, 1], pull[1]
            for b in range(TILE):
                e = _exp(row[b] - top[b])
                total[b] += e
                e *= r_k
                pull0[b] = _fma(e, a0 - x0[b], pull0[b])
                pull1[b] = _fma(e, a1 - x1[b], pull1[b])
        else:
            for b in range(TILE):
                e = _exp(row[b] - top[b])
                total[b] += e
                row[b] = e * r_k
            for j in range(d):
                xj, aj, pull_j = x[j], a[k, j], pull[j]
                for b in range(TILE):
                    pull_j[b] = _fma(row[b], aj - xj[b], pull_j[b])


@_tile
def _load(points, start, x):  # type: ignore[no-untyped-def]
    """x (d, TILE) = rows start.. of points (n, d); past the end, the last row again."""
    n, d = points.shape
    for b in range(TILE):
        i = min(start + b, n - 1)
        for j in range(d):
            x[j, b] = points[i, j]


@_tile
def _store(x, start, points):  # type: ignore[no-untyped-def]
    n, d = points.shape
    for b in range(min(TILE, n - start)):
        for j in range(d):
            points[start + b, j] = x[j, b]


# -- one evaluation of a mixture -----------------------------------------------------------------


@_parallel
def _density_tiles(x, a, h, lw, out):  # type: ignore[no-untyped-def]
    n, d = x.shape
    for tile in prange((n + TILE - 1) // TILE):
        rows, logit = np.empty((d, TILE)), np.empty((a.shape[0], TILE))
        top = np.empty(TILE)
        _load(x, tile * TILE, rows)
        _logits(rows, a, h, lw, logit, top)
        for b in range(min(TILE, n - tile * TILE)):
            total = 0.0
            for k in range(a.shape[0]):
                total += _exp(logit[k, b] - top[b])
            out[tile * TILE + b] = top[b] + math.log(total)


@_parallel
def _score_tiles(x, table, scale, out):  # type: ignore[no-untyped-def]
    """out (n, d) = scale * pull/total."""
    a, h, lw, r = table
    n, d = x.shape
    for tile in prange((n + TILE - 1) // TILE):
        rows, pull = np.empty((d, TILE)), np.empty((d, TILE))
        logit = np.empty((a.shape[0], TILE))
        top, total = np.empty(TILE), np.empty(TILE)
        _load(x, tile * TILE, rows)
        _logits(rows, a, h, lw, logit, top)
        _pull(rows, a, r, logit, top, total, pull)
        for j in range(d):
            for b in range(TILE):
                pull[j, b] = scale * (pull[j, b] / total[b])
        _store(pull, tile * TILE, out)


@_parallel
def _responsibility_tiles(x, a, h, lw, out):  # type: ignore[no-untyped-def]
    n, d = x.shape
    n_modes = a.shape[0]
    for tile in prange((n + TILE - 1) // TILE):
        rows, logit = np.empty((d, TILE)), np.empty((n_modes, TILE))
        top = np.empty(TILE)
        _load(x, tile * TILE, rows)
        _logits(rows, a, h, lw, logit, top)
        for b in range(min(TILE, n - tile * TILE)):
            total = 0.0
            for k in range(n_modes):
                # math.exp, not _exp: a far mode's share is reported down to zero, unfloored.
                e = math.exp(logit[k, b] - top[b])
                out[tile * TILE + b, k] = e
                total += e
            for k in range(n_modes):
                out[tile * TILE + b, k] /= total


@_parallel
def _jacobian_rows(x, means, var, gamma, out):  # type: ignore[no-untyped-def]
    n, d = x.shape
    for i in prange(n):
        score, s_k = np.zeros(d), np.empty(d)
        for k in range(means.shape[0]):
            for j in range(d):
                score[j] += gamma[i, k] * ((means[k, j] - x[i, j]) / var[k])
        for k in range(means.shape[0]):
            if gamma[i, k] == 0.0:
                continue
            for j in range(d):
                s_k[j] = (means[k, j] - x[i, j]) / var[k] - score[j]
            for j in range(d):
                out[i, j, j] -= gamma[i, k] / var[k]
                for m in range(j + 1):
                    out[i, j, m] += gamma[i, k] * s_k[j] * s_k[m]
        for j in range(d):
            for m in range(j):
                out[i, m, j] = out[i, j, m]


def mode_table(means: Any, var: Any, log_weights: Any) -> tuple[Any, Any, Any, Any]:
    """The mode table (a, h, lw, r) of the module docstring."""
    r = var.min() / var
    return means, 0.5 / var, log_weights + 0.5 * means.shape[1] * np.log(r), r


def log_density(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """log p at x (n, d) -> (n,)."""
    a, h, lw, _ = mode_table(means, var, log_weights)
    out = np.empty(len(x))
    _density_tiles(x, a, h, lw, out)
    out -= 0.5 * x.shape[1] * math.log(2 * math.pi * var.min())
    return out


def score(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """grad log p at x (n, d) -> (n, d)."""
    return scaled_pull(x, mode_table(means, var, log_weights), 1.0 / var.min())


def scaled_pull(x: Any, table: Any, scale: float) -> Any:
    """scale * sum_k gamma_k r_k (a_k - x): x (n, d) -> (n, d)."""
    out = np.empty_like(x)
    _score_tiles(x, table, scale, out)
    return out


def responsibilities(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """Posterior mode probabilities at x (n, d) -> (n, N)."""
    a, h, lw, _ = mode_table(means, var, log_weights)
    out = np.empty((len(x), len(means)))
    _responsibility_tiles(x, a, h, lw, out)
    return out


def score_jacobian(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """Hessian of log p at x (n, d) -> (n, d, d)."""
    out = np.zeros((len(x), x.shape[1], x.shape[1]))
    _jacobian_rows(x, means, var, responsibilities(x, means, var, log_weights), out)
    return out


# -- rollouts of x_s = keep x_t + denoise x0_hat + noise_std xi ----------------------------------
#
# A plan row is (c_x, c_eps, c_noise, eps_scale): x_s = c_x x + c_eps eps + c_noise xi with
# eps = eps_scale pull/total (eps_scale = -noise_std_t/var_ref_t). The generic loop calls `step`
# on the eps of any model; the rollouts do the same operations in the same order.


@_inline
def _advance(x, eps, xi, c_x, c_eps, c_noise):  # type: ignore[no-untyped-def]
    return _fma(c_x, x, _fma(c_eps, eps, c_noise * xi))


@_parallel
def step(x, eps, xi, c_x, c_eps, c_noise):  # type: ignore[no-untyped-def]
    """One step in place: x (n, d) from eps (n, d) and noise xi (n, d) (unread if c_noise is 0)."""
    for i in prange(x.shape[0]):
        for j in range(x.shape[1]):
            z = xi[i, j] if c_noise != 0.0 else 0.0
            x[i, j] = _advance(x[i, j], eps[i, j], z, c_x, c_eps, c_noise)


@_tile
def _advance_row(x, pull, total, xi, row):  # type: ignore[no-untyped-def]
    _wide()
    c_x, c_eps, c_noise, eps_scale = row[0], row[1], row[2], row[3]
    for b in range(TILE):
        x[b] = _advance(x[b], eps_scale * (pull[b] / total[b]), xi[b], c_x, c_eps, c_noise)


@_rollout
def rollout(x, first, seed, plan, times, means, alpha, h, lw, r):  # type: ignore[no-untyped-def]
    """All steps of a plan in place on x (n, d), with the exact score of a general mixture.

    plan (S, 4), times (S,) uint64 the t of each step, alpha (S,), mode tables h, lw, r (S, N).
    """
    n, d = x.shape
    n_modes = means.shape[0]
    for tile in prange((n + TILE - 1) // TILE):
        rows, pull, xi = np.empty((d, TILE)), np.empty((d, TILE)), np.zeros((d, TILE))
        logit, a = np.empty((n_modes, TILE)), np.empty((n_modes, d))
        top, total = np.empty(TILE), np.empty(TILE)
        _load(x, tile * TILE, rows)
        for s in range(plan.shape[0]):
            for k in range(n_modes):
                for j in range(d):
                    a[k, j] = alpha[s] * means[k, j]
            _logits(rows, a, h[s], lw[s], logit, top)
            _pull(rows, a, r[s], logit, top, total, pull)
            if plan[s, 2] != 0.0:
                _normal_rows(xi, first + np.uint64(tile * TILE), times[s], _STREAM_STEP, seed)
            for j in range(d):
                _advance_row(rows[j], pull[j], total, xi[j], plan[s])
        _store(rows, tile * TILE, x)


@_rollout
def rollout_product(x, first, seed, plan, times, axes, alpha, h, lw):  # type: ignore[no-untyped-def]
    """`rollout` for a product mixture of one sigma: axes (d, M) mode values per coordinate, lw
    (d, M) their log weights (-inf pads short axes), h (S,) = 1/(2 var)."""
    n, d = x.shape
    n_values = axes.shape[1]
    for tile in prange((n + TILE - 1) // TILE):
        rows, pull, xi = np.empty((d, TILE)), np.empty((1, TILE)), np.zeros((d, TILE))
        logit, a = np.empty((n_values, TILE)), np.empty((n_values, 1))
        h_s, r = np.empty(n_values), np.ones(n_values)
        top, total = np.empty(TILE), np.empty(TILE)
        _load(x, tile * TILE, rows)
        for s in range(plan.shape[0]):
            if plan[s, 2] != 0.0:
                _normal_rows(xi, first + np.uint64(tile * TILE), times[s], _STREAM_STEP, seed)
            h_s[:] = h[s]
            for j in range(d):
                for k in range(n_values):
                    a[k, 0] = alpha[s] * axes[j, k]
                _logits(rows[j : j + 1], a, h_s, lw[j], logit, top)
                _pull(rows[j : j + 1], a, r, logit, top, total, pull)
                _advance_row(rows[j], pull[0], total, xi[j], plan[s])
        _store(rows, tile * TILE, x)


@_parallel
def product_pull(x, axes, h, lw, scale, out):  # type: ignore[no-untyped-def]
    """`scaled_pull` of a product mixture, with the operations of `rollout_product`: axes (d, M)
    already scaled by alpha, h (M,)."""
    n, d = x.shape
    n_values = axes.shape[1]
    for tile in prange((n + TILE - 1) // TILE):
        rows, pull = np.empty((d, TILE)), np.empty((d, TILE))
        logit, a = np.empty((n_values, TILE)), np.empty((n_values, 1))
        r, top, total = np.ones(n_values), np.empty(TILE), np.empty(TILE)
        _load(x, tile * TILE, rows)
        for j in range(d):
            a[:, 0] = axes[j]
            _logits(rows[j : j + 1], a, h, lw[j], logit, top)
            _pull(rows[j : j + 1], a, r, logit, top, total, pull[j : j + 1])
            for b in range(TILE):
                pull[j, b] = scale * (pull[j, b] / total[b])
        _store(pull, tile * TILE, out)


@_parallel
def reverse_draw(x, first, t, seed, means, log_weights, var_t, keep, spread, level):  # type: ignore[no-untyped-def]
    """One exact reverse step x_t -> x_s in place (time reversal of the forward diffusion).

    Draw mode k with its posterior probability at x_t, then x_s = alpha_s [mu_k + keep_k (y_t -
    mu_k)] + spread_k xi. var_t, keep, spread (N,): variance of mode k at t in x units, ratio of
    effective variances, standard deviation in x_s units; level = (alpha_t, alpha_s).
    """
    n, d = x.shape
    n_modes = means.shape[0]
    alpha_t, alpha_s = level
    k0, k1 = seed & _LOW32, seed >> _U32
    for i in prange(n):
        index = first + np.uint64(i)
        logit = np.empty(n_modes)
        for k in range(n_modes):
            square = 0.0
            for j in range(d):
                u = x[i, j] - alpha_t * means[k, j]
                square += u * u
            logit[k] = log_weights[k] - 0.5 * (square / var_t[k] + d * math.log(var_t[k]))
        top = logit.max()
        total = 0.0
        for k in range(n_modes):
            logit[k] = math.exp(logit[k] - top)
            total += logit[k]
        r0, r1, _, _ = _philox(index & _LOW32, index >> _U32, t, _STREAM_EXTRA, k0, k1)
        left = _unit(r0, r1) * total
        mode = 0
        while mode < n_modes - 1 and left > logit[mode]:
            left -= logit[mode]
            mode += 1
        for p in range((d + 1) // 2):
            z0, z1 = _two_normals(index, t, _STREAM_STEP | np.uint64(p), k0, k1)
            for j in range(2 * p, min(2 * p + 2, d)):
                z = z0 if j == 2 * p else z1
                mu = means[mode, j]
                mean = mu + keep[mode] * (x[i, j] / alpha_t - mu)
                x[i, j] = alpha_s * mean + spread[mode] * z
