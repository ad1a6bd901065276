"""Numba kernels: elementary functions, counter-based noise, mixture fields, fused rollouts.

The only module that imports Numba. It imports nothing of mixdyn, validates nothing and never
raises: the facades (`mixture`, `score`, `noise`, `samplers`) check their arguments first.

Layout. Work runs on tiles of `TILE` samples held as a struct of arrays, (d, TILE), so that every
inner loop is a plain pass over TILE contiguous numbers. The last tile is padded by repeating rows.

Arithmetic. No fast-math flag is set anywhere: each rounding is written down (`_fma` where two
operations are fused), so a sample's bits depend on its inputs alone, not on its place in a tile,
the number of threads, or whether it went through a fused rollout or a single evaluation.

Mode tables. A mixture at one noise level is (a, h, lw, ratio), in bits (logarithms to base 2):
means a (N, d), h = log2(e)/(2 var) (N,), ratio = var/var_ref (N,) with var_ref the smallest
variance, and lw = log2(weight) - (d/2 + 1) log2(ratio) (N,). With q_k = |x - a_k|^2 and e_k =
2^(lw_k - h_k q_k - max) the score is sum_k e_k (a_k - x)/(var_ref sum_k e_k ratio_k). Differences
a_k - x are formed before they are weighted: the score then keeps its digits both beside a mode
and on the midpoint of two.

Precision. Float64, or float32 throughout where the arrays of a call are float32: Numba compiles
both from one text, and what has constants of its own (`_exp2`) has two sets of them. Noise is drawn
in double and rounded.

Speed. Exponentials are what a score costs. Modes are taken five at a time, with the steps of their
polynomials interleaved: one chain of multiply-adds alone waits for itself. Base 2 saves the
reduction by log 2.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, get_num_threads, njit, prange, set_num_threads, types
from numba.core import cgutils
from numba.extending import intrinsic

# The NumPy error model: a check for division by zero in a loop would keep LLVM from vectorising it.
_inline = njit(inline="always", error_model="numpy")
_tile = njit(error_model="numpy")


def _cached(function: Callable[..., Any], **options: Any) -> Any:
    """`function` compiled at its first call, and kept on disk where Numba finds a folder."""
    try:
        return njit(cache=True, error_model="numpy", **options)(function)
    except RuntimeError:  # no folder that Numba may write to
        _warn_uncached()
        return njit(error_model="numpy", **options)(function)


@functools.cache  # every kernel meets it: say it once
def _warn_uncached() -> None:
    text = "no folder for compiled kernels is writable, so every process compiles its own"
    warnings.warn(f"{text}. Set NUMBA_CACHE_DIR.", RuntimeWarning, stacklevel=2)


_rollout = functools.partial(_cached, parallel=True)
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


class _Exp2(NamedTuple):
    """How 2^z is computed in one precision.

    bits of a number and of its mantissa; shift = 1.5 * 2^mantissa, adding which leaves the nearest
    integer in the low bits of the sum; floor: below it 2^floor is returned, a normal number that no
    sum of powers >= 1 can feel, whose products with coordinates stay normal (denormals are 10x
    slower); coefficients, of the highest power first, of 2^r = 1 + r(ln 2 + r q(r)) on |r| <= 1/2,
    q a Chebyshev fit.
    """

    bits: int
    mantissa: int
    shift: float
    floor: float
    coefficients: tuple[float, ...]


_LN2_HIGH = 0.6931471803691238  # 21 trailing zero bits: k * _LN2_HIGH is exact
_LN2_LOW = 1.9082149292705877e-10
_LN2, _LOG2E = 0.6931471805599453, 1.4426950408889634
# fmt: off
_DOUBLE = _Exp2(64, 52, 6755399441055744.0, -866.0, (  # q of degree 9, error 3e-17
    4.45410341058704e-10, 7.070977866508138e-09, 1.0178067267449427e-07, 1.3215451633221434e-06,
    1.5252733820795803e-05, 0.00015403530424776529, 0.0013333558146423213, 0.009618129107618665,
    0.05550410866482158, 0.24022650695910075, _LN2, 1.0,
))
_SINGLE = _Exp2(32, 23, 12582912.0, -80.0, (  # q of degree 4, error 7e-9
    0.0001545316627016291, 0.00133813067805022, 0.009618083015084267, 0.055503811687231064,
    0.24022650718688965, _LN2, 1.0,
))
# fmt: on
EXP2_FLOOR, EXP2_FLOOR_SINGLE = _DOUBLE.floor, _SINGLE.floor
_ROUND = _DOUBLE.shift

if config.DISABLE_JIT:
    TILE = 4

    def _fma(a: Any, b: Any, c: Any) -> Any:
        return a * b + c

    def _to_bits(x: float) -> Any:
        return np.float64(x).view(np.uint64)

    def _from_bits(i: Any) -> Any:
        return np.uint64(i).view(np.float64)

    def _larger(a: Any, b: Any) -> Any:
        return a if a > b else b

    def _wide() -> None:
        pass

    def _exp2(z: Any) -> Any:
        number: Any = np.float32 if isinstance(z, np.float32) else np.float64
        of = _SINGLE if number is np.float32 else _DOUBLE
        z = _larger(z, number(of.floor))
        k = (z + number(of.shift)) - number(of.shift)
        p = number(of.coefficients[0])
        for c in of.coefficients[1:]:
            p = _fma(p, z - k, number(c))
        return number(math.ldexp(p, int(k)))

    def _exp2_of_5(*z: Any) -> tuple[Any, ...]:
        return tuple(_exp2(one) for one in z)

else:
    TILE = 128

    @intrinsic
    def _fma(typing_context, a, b, c):  # type: ignore[no-untyped-def]
        """a b + c with one rounding, in the precision of b (a or c may be a written constant)."""
        return b(b, b, b), lambda context, builder, sig, args: builder.fma(*args)

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

    def _maximum(builder, a, b):  # type: ignore[no-untyped-def]
        """max(a, b) of two numbers. `max` compares and selects, of which LLVM makes a masked store
        where the result goes back to memory, and the next load has to wait for that."""
        signature = ir.FunctionType(a.type, [a.type, a.type])
        name = f"llvm.maxnum.{'f64' if a.type == ir.DoubleType() else 'f32'}"
        function = cgutils.get_or_insert_function(builder.module, signature, name)
        return builder.call(function, (a, b), fastmath=("nnan", "nsz"))

    @intrinsic
    def _larger(typing_context, a, b):  # type: ignore[no-untyped-def]
        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return _maximum(builder, *args)  # type: ignore[no-untyped-call]

        return a(a, a), generate

    @intrinsic
    def _wide(typing_context):  # type: ignore[no-untyped-def]
        """Ask LLVM for the widest vectors in the calling function: its default on AVX-512
        machines is half of that, which costs a quarter of the speed of `_exp2`."""

        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            # llvmlite knows this attribute not by name, so it goes past the check of `add`.
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
            return context.get_dummy_value()

        return types.void(), generate

    def _powers(builder, z):  # type: ignore[no-untyped-def]
        """2^z of each of some numbers, step by step beside one another; z = k + r, exactly.

        Written here, in one piece, since LLVM moves a step that stands in a function of its own
        down to its use, and so undoes the interleaving.
        """
        real = z[0].type
        of = _DOUBLE if real == ir.DoubleType() else _SINGLE
        word, shift = ir.IntType(of.bits), real(of.shift)
        z = [_maximum(builder, one, real(of.floor)) for one in z]  # type: ignore[no-untyped-call]
        shifted = [builder.fadd(one, shift) for one in z]
        k = [builder.fsub(one, shift) for one in shifted]
        r = [builder.fsub(*pair) for pair in zip(z, k, strict=True)]
        p = [real(of.coefficients[0])] * len(z)
        for c in of.coefficients[1:]:
            p = [builder.fma(*pair, real(c)) for pair in zip(p, r, strict=True)]
        scaled = []
        for pair in zip(p, shifted, strict=True):
            # The low bits of `shifted` are k: moved up, they add to p's exponent.
            bits, low = (builder.bitcast(value, word) for value in pair)
            sum_ = builder.add(bits, builder.shl(low, word(of.mantissa)))
            scaled.append(builder.bitcast(sum_, real))
        return scaled

    @intrinsic
    def _exp2(typing_context, z):  # type: ignore[no-untyped-def]
        """2^max(z, floor) for z <= 0 (valid to 1000, in single to 120), at most 1 ulp off."""

        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return _powers(builder, args)[0]  # type: ignore[no-untyped-call]

        return z(z), generate

    @intrinsic
    def _exp2_of_5(typing_context, z0, z1, z2, z3, z4):  # type: ignore[no-untyped-def]
        """`_exp2` of five numbers to the same bits."""

        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            powers = _powers(builder, args)  # type: ignore[no-untyped-call]
            return context.make_tuple(builder, sig.return_type, powers)

        return types.UniTuple(z0, 5)(z0, z0, z0, z0, z0), generate


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
def _uniforms(i, t, word, k0, k1):  # type: ignore[no-untyped-def]
    """The two uniforms of block `word` of sample i at time t."""
    r0, r1, r2, r3 = _philox(i & _LOW32, i >> _U32, t, word, k0, k1)
    return _unit(r0, r1), _unit(r2, r3)


@_inline
def _box_muller(u, v):  # type: ignore[no-untyped-def]
    """Two independent standard normals from two uniforms."""
    radius = math.sqrt(-2.0 * _log(u))
    sin_v, cos_v = _sincos_turn(v)
    return radius * cos_v, radius * sin_v


@_tile
def _normal_rows(xi, uniform, first, t, stream, seed):  # type: ignore[no-untyped-def]
    """Fill xi with the normals of samples first.. at time t: rows 2p, 2p + 1 are the two normals
    of block p, so that xi has one row more than the data where their d is odd. uniform (2, TILE)
    is a place to work: doubles, whatever xi holds.

    Two loops: the counters' multiplications need other units than square roots and divisions.
    """
    _wide()
    k0, k1 = seed & _LOW32, seed >> _U32
    t = t & _LOW32  # tells LLVM that a 32-bit multiplication will do
    left, right = uniform[0], uniform[1]
    for p in range(xi.shape[0] // 2):
        word = (stream | np.uint64(p)) & _LOW32
        even, odd = xi[2 * p], xi[2 * p + 1]
        for b in range(TILE):
            u, v = _uniforms(first + np.uint64(b), t, word, k0, k1)
            left[b] = u
            right[b] = v
        for b in range(TILE):
            z0, z1 = _box_muller(left[b], right[b])
            even[b] = z0
            odd[b] = z1


@_parallel
def normals(out, first, t, stream, seed):  # type: ignore[no-untyped-def]
    """Fill out (n, d) with the normals of samples first..first + n - 1 at time t."""
    n, d = out.shape
    for tile in prange((n + TILE - 1) // TILE):
        xi, uniform = np.empty((d + d % 2, TILE)), np.empty((2, TILE))
        _normal_rows(xi, uniform, first + np.uint64(tile * TILE), t, stream, seed)
        for b in range(min(TILE, n - tile * TILE)):
            for j in range(d):
                out[tile * TILE + b, j] = xi[j, b]


@_parallel
def path_normals(out, first, times, weights, seed):  # type: ignore[no-untyped-def]
    """Fill out (n, d) with sum_r weights[r] xi(times[r]), xi the step normals of `normals`."""
    n, d = out.shape
    for tile in prange((n + TILE - 1) // TILE):
        xi, uniform = np.empty((d + d % 2, TILE)), np.empty((2, TILE))
        total = np.zeros((d, TILE))
        for r in range(times.shape[0]):
            at = first + np.uint64(tile * TILE)
            _normal_rows(xi, uniform, at, times[r], _STREAM_STEP, seed)
            for j in range(d):
                for b in range(TILE):
                    total[j, b] = _fma(weights[r], xi[j, b], total[j, b])
        for b in range(min(TILE, n - tile * TILE)):
            for j in range(d):
                out[tile * TILE + b, j] = total[j, b]


# -- mixture fields on a tile --------------------------------------------------------------------


# In these loops an array that is written must be told apart from those that are read before LLVM
# vectorises, and it gives up beyond eight such pairs. So the rows of a tile lie in one flat array,
# row j from j TILE on: (rows TILE,) below means that.


@_inline
def _rows(flat, j, count):  # type: ignore[no-untyped-def]
    """Rows j..j + count - 1 of a flat array."""
    return flat[j * TILE : (j + count) * TILE]


@_tile
def _logits(x, a, h, lw, logit, top):  # type: ignore[no-untyped-def]
    """logit (N TILE,) = lw - h |x - a|^2, x (d TILE,), and its maximum over the modes (TILE,)."""
    _wide()
    n_modes, d = a.shape
    for b in range(TILE):
        top[b] = -np.inf
    whole = n_modes - n_modes % 5
    if d == 1:
        _logits_by_5_in_1d(x, a, h, lw, logit, top)
    elif d == 2:
        _logits_by_5_in_2d(x, a, h, lw, logit, top)
    else:
        _square_distances(x, a, logit)
    for k in range(whole if d <= 2 else 0, n_modes):
        row, minus_h, w = _rows(logit, k, 1), -h[k], lw[k]
        if d == 1:
            a0 = a[k, 0]
            for b in range(TILE):
                z = _fma(minus_h, (x[b] - a0) * (x[b] - a0), w)
                row[b] = z
                top[b] = _larger(top[b], z)
        elif d == 2:
            a0, a1 = a[k, 0], a[k, 1]
            for b in range(TILE):
                z = _fma(minus_h, _square_2d(x[b] - a0, x[TILE + b] - a1), w)
                row[b] = z
                top[b] = _larger(top[b], z)
        else:
            for b in range(TILE):
                z = _fma(minus_h, row[b], w)
                row[b] = z
                top[b] = _larger(top[b], z)


@_inline
def _square_2d(u, v):  # type: ignore[no-untyped-def]
    return _fma(v, v, u * u)


@_inline
def _largest_of_5(z0, z1, z2, z3, z4, m):  # type: ignore[no-untyped-def]
    return _larger(m, _larger(_larger(_larger(z0, z1), _larger(z2, z3)), z4))


@_tile
def _logits_by_5_in_1d(x, a, h, lw, logit, top):  # type: ignore[no-untyped-def]
    """`_logits` of modes on a line, as many as fives hold."""
    _wide()
    for k in range(0, a.shape[0] - 4, 5):
        z = _rows(logit, k, 5)
        a0, a1, a2, a3, a4 = a[k, 0], a[k + 1, 0], a[k + 2, 0], a[k + 3, 0], a[k + 4, 0]
        h0, h1, h2, h3, h4 = -h[k], -h[k + 1], -h[k + 2], -h[k + 3], -h[k + 4]
        w0, w1, w2, w3, w4 = lw[k], lw[k + 1], lw[k + 2], lw[k + 3], lw[k + 4]
        for b in range(TILE):
            u = x[b]
            z0 = _fma(h0, (u - a0) * (u - a0), w0)
            z1 = _fma(h1, (u - a1) * (u - a1), w1)
            z2 = _fma(h2, (u - a2) * (u - a2), w2)
            z3 = _fma(h3, (u - a3) * (u - a3), w3)
            z4 = _fma(h4, (u - a4) * (u - a4), w4)
            z[b] = z0
            z[TILE + b] = z1
            z[2 * TILE + b] = z2
            z[3 * TILE + b] = z3
            z[4 * TILE + b] = z4
            top[b] = _largest_of_5(z0, z1, z2, z3, z4, top[b])


@_tile
def _logits_by_5_in_2d(x, a, h, lw, logit, top):  # type: ignore[no-untyped-def]
    """`_logits` of modes in the plane, as many as fives hold."""
    _wide()
    for k in range(0, a.shape[0] - 4, 5):
        z = _rows(logit, k, 5)
        a0, a1, a2, a3, a4 = a[k, 0], a[k + 1, 0], a[k + 2, 0], a[k + 3, 0], a[k + 4, 0]
        b0, b1, b2, b3, b4 = a[k, 1], a[k + 1, 1], a[k + 2, 1], a[k + 3, 1], a[k + 4, 1]
        h0, h1, h2, h3, h4 = -h[k], -h[k + 1], -h[k + 2], -h[k + 3], -h[k + 4]
        w0, w1, w2, w3, w4 = lw[k], lw[k + 1], lw[k + 2], lw[k + 3], lw[k + 4]
        for b in range(TILE):
            u, v = x[b], x[TILE + b]
            z0 = _fma(h0, _square_2d(u - a0, v - b0), w0)
            z1 = _fma(h1, _square_2d(u - a1, v - b1), w1)
            z2 = _fma(h2, _square_2d(u - a2, v - b2), w2)
            z3 = _fma(h3, _square_2d(u - a3, v - b3), w3)
            z4 = _fma(h4, _square_2d(u - a4, v - b4), w4)
            z[b] = z0
            z[TILE + b] = z1
            z[2 * TILE + b] = z2
            z[3 * TILE + b] = z3
            z[4 * TILE + b] = z4
            top[b] = _largest_of_5(z0, z1, z2, z3, z4, top[b])


@_tile
def _square_distances(x, a, square):  # type: ignore[no-untyped-def]
    """square (N TILE,) = |x - a|^2: five modes read x once, two coordinates write them once."""
    _wide()
    n_modes, d = a.shape
    for b in range(n_modes * TILE):
        square[b] = 0.0
    whole, even = n_modes - n_modes % 5, d - d % 2
    for k in range(0, whole, 5):
        s = _rows(square, k, 5)
        for j in range(0, even, 2):
            two = _rows(x, j, 2)
            a0, a1, a2, a3, a4 = a[k, j], a[k + 1, j], a[k + 2, j], a[k + 3, j], a[k + 4, j]
            b0, b1, b2 = a[k, j + 1], a[k + 1, j + 1], a[k + 2, j + 1]
            b3, b4 = a[k + 3, j + 1], a[k + 4, j + 1]
            for b in range(TILE):
                u, v = two[b], two[TILE + b]
                s0, s1, s2 = s[b], s[TILE + b], s[2 * TILE + b]
                s3, s4 = s[3 * TILE + b], s[4 * TILE + b]
                s[b] = _fma(v - b0, v - b0, _fma(u - a0, u - a0, s0))
                s[TILE + b] = _fma(v - b1, v - b1, _fma(u - a1, u - a1, s1))
                s[2 * TILE + b] = _fma(v - b2, v - b2, _fma(u - a2, u - a2, s2))
                s[3 * TILE + b] = _fma(v - b3, v - b3, _fma(u - a3, u - a3, s3))
                s[4 * TILE + b] = _fma(v - b4, v - b4, _fma(u - a4, u - a4, s4))
    for k in range(n_modes):
        row = _rows(square, k, 1)
        for j in range(even if k < whole else 0, d):
            xj, aj = _rows(x, j, 1), a[k, j]
            for b in range(TILE):
                row[b] = _fma(xj[b] - aj, xj[b] - aj, row[b])


@_tile
def _pull(x, a, ratio, logit, top, total, pull):  # type: ignore[no-untyped-def]
    """total (TILE,) = sum_k e_k ratio_k and pull (d TILE,) = sum_k e_k (a_k - x), e_k =
    2^(logit_k - top); logit is overwritten."""
    _wide()
    n_modes, d = a.shape
    for b in range(TILE):
        total[b] = 0.0
    for b in range(d * TILE):
        pull[b] = 0.0
    whole = n_modes - n_modes % 5
    if d == 1:
        _pull_by_5_in_1d(x, a, ratio, logit, top, total, pull)
    elif d == 2:
        _pull_by_5_in_2d(x, a, ratio, logit, top, total, pull)
    else:
        _weights_by_5(ratio, logit, top, total)
        _add_pull_by_5(x, a, logit, pull)
    for k in range(whole, n_modes):
        row, ratio_k = _rows(logit, k, 1), ratio[k]
        if d == 2:
            a0, a1 = a[k, 0], a[k, 1]
            for b in range(TILE):
                e = _exp2(row[b] - top[b])
                total[b] = _fma(e, ratio_k, total[b])
                pull[b] = _fma(e, a0 - x[b], pull[b])
                pull[TILE + b] = _fma(e, a1 - x[TILE + b], pull[TILE + b])
            continue
        for b in range(TILE):
            e = _exp2(row[b] - top[b])
            total[b] = _fma(e, ratio_k, total[b])
            row[b] = e
        for j in range(d):
            xj, aj, pull_j = _rows(x, j, 1), a[k, j], _rows(pull, j, 1)
            for b in range(TILE):
                pull_j[b] = _fma(row[b], aj - xj[b], pull_j[b])


@_inline
def _powers_of_5(z, b, m):  # type: ignore[no-untyped-def]
    """2^(z_k - m) of sample b, z (5 TILE,) five rows."""
    z3, z4 = z[3 * TILE + b], z[4 * TILE + b]
    return _exp2_of_5(z[b] - m, z[TILE + b] - m, z[2 * TILE + b] - m, z3 - m, z4 - m)


@_inline
def _sum_of_5(e0, e1, e2, e3, e4, f0, f1, f2, f3, f4, start):  # type: ignore[no-untyped-def]
    """start + sum_k e_k f_k, in this order."""
    return _fma(e4, f4, _fma(e3, f3, _fma(e2, f2, _fma(e1, f1, _fma(e0, f0, start)))))


@_tile
def _pull_by_5_in_1d(x, a, ratio, logit, top, total, pull):  # type: ignore[no-untyped-def]
    """What modes on a line, as many as fives hold, add to `total` and `pull`."""
    _wide()
    for k in range(0, a.shape[0] - 4, 5):
        z = _rows(logit, k, 5)
        a0, a1, a2, a3, a4 = a[k, 0], a[k + 1, 0], a[k + 2, 0], a[k + 3, 0], a[k + 4, 0]
        q0, q1, q2, q3, q4 = ratio[k], ratio[k + 1], ratio[k + 2], ratio[k + 3], ratio[k + 4]
        for b in range(TILE):
            u = x[b]
            e0, e1, e2, e3, e4 = _powers_of_5(z, b, top[b])
            total[b] = _sum_of_5(e0, e1, e2, e3, e4, q0, q1, q2, q3, q4, total[b])
            pull[b] = _sum_of_5(e0, e1, e2, e3, e4, a0 - u, a1 - u, a2 - u, a3 - u, a4 - u, pull[b])


@_tile
def _pull_by_5_in_2d(x, a, ratio, logit, top, total, pull):  # type: ignore[no-untyped-def]
    """What modes in the plane, as many as fives hold, add to `total` and `pull`."""
    _wide()
    for k in range(0, a.shape[0] - 4, 5):
        z = _rows(logit, k, 5)
        a0, a1, a2, a3, a4 = a[k, 0], a[k + 1, 0], a[k + 2, 0], a[k + 3, 0], a[k + 4, 0]
        b0, b1, b2, b3, b4 = a[k, 1], a[k + 1, 1], a[k + 2, 1], a[k + 3, 1], a[k + 4, 1]
        q0, q1, q2, q3, q4 = ratio[k], ratio[k + 1], ratio[k + 2], ratio[k + 3], ratio[k + 4]
        for b in range(TILE):
            u, v, p, q = x[b], x[TILE + b], pull[b], pull[TILE + b]
            e0, e1, e2, e3, e4 = _powers_of_5(z, b, top[b])
            total[b] = _sum_of_5(e0, e1, e2, e3, e4, q0, q1, q2, q3, q4, total[b])
            pull[b] = _sum_of_5(e0, e1, e2, e3, e4, a0 - u, a1 - u, a2 - u, a3 - u, a4 - u, p)
            pull[TILE + b] = _sum_of_5(
                e0, e1, e2, e3, e4, b0 - v, b1 - v, b2 - v, b3 - v, b4 - v, q
            )


@_tile
def _weights_by_5(ratio, logit, top, total):  # type: ignore[no-untyped-def]
    """logit <- 2^(logit - top) of as many modes as fives hold, and what they add to `total`."""
    _wide()
    for k in range(0, ratio.shape[0] - 4, 5):
        z = _rows(logit, k, 5)
        q0, q1, q2, q3, q4 = ratio[k], ratio[k + 1], ratio[k + 2], ratio[k + 3], ratio[k + 4]
        for b in range(TILE):
            e0, e1, e2, e3, e4 = _powers_of_5(z, b, top[b])
            total[b] = _sum_of_5(e0, e1, e2, e3, e4, q0, q1, q2, q3, q4, total[b])
            z[b] = e0
            z[TILE + b] = e1
            z[2 * TILE + b] = e2
            z[3 * TILE + b] = e3
            z[4 * TILE + b] = e4


@_tile
def _add_pull_by_5(x, a, weight, pull):  # type: ignore[no-untyped-def]
    """What modes of weights `weight` (N TILE,), as many as fives hold, add to the pull."""
    _wide()
    for k in range(0, a.shape[0] - 4, 5):
        e = _rows(weight, k, 5)
        for j in range(a.shape[1]):
            row, to = _rows(x, j, 1), _rows(pull, j, 1)
            a0, a1, a2, a3, a4 = a[k, j], a[k + 1, j], a[k + 2, j], a[k + 3, j], a[k + 4, j]
            for b in range(TILE):
                u, p, e0, e1, e2 = row[b], to[b], e[b], e[TILE + b], e[2 * TILE + b]
                e3, e4 = e[3 * TILE + b], e[4 * TILE + b]
                to[b] = _sum_of_5(e0, e1, e2, e3, e4, a0 - u, a1 - u, a2 - u, a3 - u, a4 - u, p)


@_tile
def _load(points, start, x):  # type: ignore[no-untyped-def]
    """x (d TILE,) = rows start.. of points (n, d); past the end, the last row again.

    Eight columns at a time: one cache line of `points` then feeds eight of x that stay in reach.
    """
    n, d = points.shape
    for first in range(0, d, 8):
        for b in range(TILE):
            i = min(start + b, n - 1)
            for j in range(first, min(first + 8, d)):
                x[j * TILE + b] = points[i, j]


@_tile
def _store(x, start, points):  # type: ignore[no-untyped-def]
    n, d = points.shape
    for first in range(0, d, 8):
        for b in range(min(TILE, n - start)):
            for j in range(first, min(first + 8, d)):
                points[start + b, j] = x[j * TILE + b]


# -- one evaluation of a mixture -----------------------------------------------------------------


@_parallel
def _density_tiles(x, a, h, lw, out):  # type: ignore[no-untyped-def]
    n, d = x.shape
    for tile in prange((n + TILE - 1) // TILE):
        rows, logit = np.empty(d * TILE), np.empty(a.shape[0] * TILE)
        top = np.empty(TILE)
        _load(x, tile * TILE, rows)
        _logits(rows, a, h, lw, logit, top)
        for b in range(min(TILE, n - tile * TILE)):
            total = 0.0
            for k in range(a.shape[0]):
                total += _exp2(logit[k * TILE + b] - top[b])
            out[tile * TILE + b] = _LN2 * (top[b] + math.log2(total))


@_tile
def _scale_row(scale, pull, total):  # type: ignore[no-untyped-def]
    """pull <- scale * pull/total, one row."""
    _wide()
    for b in range(TILE):
        pull[b] = scale * (pull[b] / total[b])


@_parallel
def _score_tiles(x, table, scale, out):  # type: ignore[no-untyped-def]
    """out (n, d) = scale * pull/total."""
    a, h, lw, ratio = table
    n, d = x.shape
    for tile in prange((n + TILE - 1) // TILE):
        rows, pull = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
        logit = np.empty(a.shape[0] * TILE, x.dtype)
        top, total = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
        _load(x, tile * TILE, rows)
        _logits(rows, a, h, lw, logit, top)
        _pull(rows, a, ratio, logit, top, total, pull)
        for j in range(d):
            _scale_row(scale, _rows(pull, j, 1), total)
        _store(pull, tile * TILE, out)


@_parallel
def _responsibility_tiles(x, a, h, lw, out):  # type: ignore[no-untyped-def]
    n, d = x.shape
    n_modes = a.shape[0]
    for tile in prange((n + TILE - 1) // TILE):
        rows, logit = np.empty(d * TILE), np.empty(n_modes * TILE)
        top = np.empty(TILE)
        _load(x, tile * TILE, rows)
        _logits(rows, a, h, lw, logit, top)
        for b in range(min(TILE, n - tile * TILE)):
            total = 0.0
            for k in range(n_modes):
                # math.exp, not _exp2: a far mode's share is reported down to zero, unfloored.
                e = math.exp(logit[k * TILE + b] - top[b])
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


_COLUMNS = 32  # of a tile in one piece: they and the sums stay in the first-level cache


@_parallel
def project(x, centre, directions, z):  # type: ignore[no-untyped-def]
    """z (n, r) = directions (x - centre), directions (r, d)."""
    n, d = x.shape
    rank = directions.shape[0]
    for tile in prange((n + TILE - 1) // TILE):
        rows, sums = np.empty(_COLUMNS * TILE), np.zeros(rank * TILE)
        for first in range(0, d, _COLUMNS):
            piece = x[:, first : first + _COLUMNS]
            _load(piece, tile * TILE, rows)
            for q in range(rank):
                _add_multiples(
                    rows, centre[first:], directions[q, first:], _rows(sums, q, 1), piece
                )
        _store(sums, tile * TILE, z)


@_tile
def _add_multiples(rows, centre, factors, total, piece):  # type: ignore[no-untyped-def]
    """total (TILE,) += sum_j factors_j (rows_j - centre_j), j over the columns of `piece`."""
    _wide()
    for j in range(piece.shape[1]):
        row, c, f = _rows(rows, j, 1), centre[j], factors[j]
        for b in range(TILE):
            total[b] = _fma(f, row[b] - c, total[b])


@_parallel
def lift(x, factor, shift, directions, along, out):  # type: ignore[no-untyped-def]
    """out (n, d) = factor x + shift + along directions, shift (d,), along (n, r)."""
    for i in prange(x.shape[0]):
        _lift_row(x[i], factor, shift, directions, along[i], out[i])


@_tile
def _lift_row(x, factor, shift, directions, along, out):  # type: ignore[no-untyped-def]
    _wide()
    for j in range(x.shape[0]):
        out[j] = _fma(factor, x[j], shift[j])
    for q in range(directions.shape[0]):
        row, a = directions[q], along[q]
        for j in range(x.shape[0]):
            out[j] = _fma(a, row[j], out[j])


def mode_table(means: Any, var: Any, log_weights: Any) -> tuple[Any, Any, Any, Any]:
    """The mode table (a, h, lw, ratio) of the module docstring, from natural log weights."""
    ratio = var / var.min()
    lw = log_weights - (0.5 * means.shape[1] + 1.0) * np.log(ratio)
    return means, bits(0.5 / var), bits(lw), ratio


def bits(logarithm: Any) -> Any:
    """A natural logarithm in base 2."""
    return _LOG2E * logarithm


def log_density(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """log p at x (n, d) -> (n,)."""
    lw = log_weights - 0.5 * means.shape[1] * np.log(var / var.min())
    out = np.empty(len(x))
    _density_tiles(x, means, bits(0.5 / var), bits(lw), out)
    out -= 0.5 * x.shape[1] * math.log(2 * math.pi * var.min())
    return out


def score(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """grad log p at x (n, d) -> (n, d)."""
    return scaled_pull(x, mode_table(means, var, log_weights), 1.0 / var.min())


def scaled_pull(x: Any, table: Any, scale: float) -> Any:
    """scale * sum_k gamma_k (a_k - x) var_ref/var_k: x (n, d) -> (n, d), in the precision of x."""
    out = np.empty_like(x)
    _score_tiles(
        x, tuple(part.astype(x.dtype, copy=False) for part in table), x.dtype.type(scale), out
    )
    return out


def responsibilities(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """Posterior mode probabilities at x (n, d) -> (n, N)."""
    lw = log_weights - 0.5 * means.shape[1] * np.log(var / var.min())
    out = np.empty((len(x), len(means)))
    _responsibility_tiles(x, means, 0.5 / var, lw, out)
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
def rollout(x, first, seed, plan, times, means, alpha, h, lw, ratio):  # type: ignore[no-untyped-def]
    """All steps of a plan in place on x (n, d), with the exact score of a general mixture.

    plan (S, 4), times (S,) uint64 the t of each step, alpha (S,), mode tables h, lw, ratio (S, N).
    In the precision of x, which plan and tables share; means and alpha are double in either.
    """
    n, d = x.shape
    n_modes = means.shape[0]
    for tile in prange((n + TILE - 1) // TILE):
        rows, pull = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
        xi, uniform = np.zeros((d + d % 2, TILE), x.dtype), np.empty((2, TILE))
        logit, a = np.empty(n_modes * TILE, x.dtype), np.empty((n_modes, d), x.dtype)
        top, total = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
        _load(x, tile * TILE, rows)
        for s in range(plan.shape[0]):
            for k in range(n_modes):
                for j in range(d):
                    a[k, j] = alpha[s] * means[k, j]
            _logits(rows, a, h[s], lw[s], logit, top)
            _pull(rows, a, ratio[s], logit, top, total, pull)
            if plan[s, 2] != 0.0:
                at = first + np.uint64(tile * TILE)
                _normal_rows(xi, uniform, at, times[s], _STREAM_STEP, seed)
            for j in range(d):
                _advance_row(_rows(rows, j, 1), _rows(pull, j, 1), total, xi[j], plan[s])
        _store(rows, tile * TILE, x)


@_tile
def _axis_sizes(lw):  # type: ignore[no-untyped-def]
    """How many values each axis has: rows of lw (d, M) are padded with -inf."""
    sizes = np.empty(lw.shape[0], np.int64)
    for j in range(lw.shape[0]):
        size = lw.shape[1]
        while lw[j, size - 1] == -np.inf:
            size -= 1
        sizes[j] = size
    return sizes


@_tile
def _five_on_an_axis(x, a, h, lw, total, pull):  # type: ignore[no-untyped-def]
    """`_axis_pull` of five values, with nothing kept between its two passes."""
    _wide()
    a0, a1, a2, a3, a4 = a[0, 0], a[1, 0], a[2, 0], a[3, 0], a[4, 0]
    w0, w1, w2, w3, w4 = lw[0], lw[1], lw[2], lw[3], lw[4]
    minus_h = -h
    for b in range(TILE):
        u0, u1, u2, u3, u4 = a0 - x[b], a1 - x[b], a2 - x[b], a3 - x[b], a4 - x[b]
        z0, z1 = _fma(minus_h, u0 * u0, w0), _fma(minus_h, u1 * u1, w1)
        z2, z3 = _fma(minus_h, u2 * u2, w2), _fma(minus_h, u3 * u3, w3)
        z4 = _fma(minus_h, u4 * u4, w4)
        m = _larger(_larger(_larger(z0, z1), _larger(z2, z3)), z4)
        e0, e1, e2, e3, e4 = _exp2_of_5(z0 - m, z1 - m, z2 - m, z3 - m, z4 - m)
        total[b] = ((e0 + e1) + (e2 + e3)) + e4
        pull[b] = _sum_of_5(e0, e1, e2, e3, e4, u0, u1, u2, u3, u4, 0.0)


@_tile
def _axis_pull(x, a, h, lw, one, logit, top, total, pull):  # type: ignore[no-untyped-def]
    """`_logits` and `_pull` of one coordinate x (TILE,) on an axis of values a (M, 1)."""
    if a.shape[0] == 5:
        _five_on_an_axis(x, a, h[0], lw, total, pull)
        return
    if a.shape[0] > 1:
        _logits(x, a, h, lw, logit, top)
        _pull(x, a, one, logit, top, total, pull)
        return
    for b in range(TILE):
        total[b] = 1.0
        pull[b] = a[0, 0] - x[b]


@_rollout
def rollout_product(x, first, seed, plan, times, axes, alpha, h, lw):  # type: ignore[no-untyped-def]
    """`rollout` for a product mixture of one sigma: axes (d, M) mode values per coordinate, lw
    (d, M) the log2 of their weights (-inf pads short axes), h (S,) = log2(e)/(2 var)."""
    n, d = x.shape
    n_values, sizes = axes.shape[1], _axis_sizes(lw)
    for tile in prange((n + TILE - 1) // TILE):
        rows, pull = np.empty(d * TILE, x.dtype), np.empty(TILE, x.dtype)
        xi, uniform = np.zeros((d + d % 2, TILE), x.dtype), np.empty((2, TILE))
        logit, a = np.empty(n_values * TILE, x.dtype), np.empty((n_values, 1), x.dtype)
        top, total = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
        h_s, one = np.empty(n_values, x.dtype), np.ones(n_values, x.dtype)
        _load(x, tile * TILE, rows)
        for s in range(plan.shape[0]):
            if plan[s, 2] != 0.0:
                at = first + np.uint64(tile * TILE)
                _normal_rows(xi, uniform, at, times[s], _STREAM_STEP, seed)
            for k in range(n_values):
                h_s[k] = h[s]
            for j in range(d):
                size, row = sizes[j], _rows(rows, j, 1)
                for k in range(size):
                    a[k, 0] = alpha[s] * axes[j, k]
                _axis_pull(row, a[:size], h_s, lw[j], one, logit, top, total, pull)
                _advance_row(row, pull, total, xi[j], plan[s])
        _store(rows, tile * TILE, x)


@_parallel
def product_pull(x, axes, h, lw, scale, out):  # type: ignore[no-untyped-def]
    """`scaled_pull` of a product mixture, with the operations of `rollout_product`: axes (d, M)
    already scaled by alpha (double), h (M,); the rest in the precision of x."""
    n, d = x.shape
    n_values, sizes = axes.shape[1], _axis_sizes(lw)
    for tile in prange((n + TILE - 1) // TILE):
        rows, pull = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
        logit, a = np.empty(n_values * TILE, x.dtype), np.empty((n_values, 1), x.dtype)
        top, total = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
        one = np.ones(n_values, x.dtype)
        _load(x, tile * TILE, rows)
        for j in range(d):
            size, to = sizes[j], _rows(pull, j, 1)
            for k in range(size):
                a[k, 0] = axes[j, k]
            _axis_pull(_rows(rows, j, 1), a[:size], h, lw[j], one, logit, top, total, to)
            _scale_row(scale, to, total)
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
            u, v = _uniforms(index, t, _STREAM_STEP | np.uint64(p), k0, k1)
            z0, z1 = _box_muller(u, v)
            for j in range(2 * p, min(2 * p + 2, d)):
                z = z0 if j == 2 * p else z1
                mu = means[mode, j]
                mean = mu + keep[mode] * (x[i, j] / alpha_t - mu)
                x[i, j] = alpha_s * mean + spread[mode] * z
