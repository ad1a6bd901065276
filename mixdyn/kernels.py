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

Speed. Exponentials are what a score costs. Five modes of two samples are taken at a time, with the
steps of their ten polynomials interleaved: one chain of multiply-adds alone waits for itself. Base
2 saves the reduction by log 2; in one and two dimensions logits and powers come in one pass, with
no maximum (`_sums_hold`). Axes of equally spaced modes need one exponential for all (`lattice`).
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
    slower); faint: what a sum of powers must reach to feel no floor; spread: how far variances may
    lie apart for that; coefficients, of the highest power first, of 2^r = 1 + r(ln 2 + r q(r)) on
    |r| <= 1/2, q a Chebyshev fit.
    """

    bits: int
    mantissa: int
    shift: float
    floor: float
    faint: float
    spread: float
    coefficients: tuple[float, ...]


_LN2_HIGH = 0.6931471803691238  # 21 trailing zero bits: k * _LN2_HIGH is exact
_LN2_LOW = 1.9082149292705877e-10
_LN2, _LOG2E = 0.6931471805599453, 1.4426950408889634
# fmt: off
# q of degree 9, error 3e-17
_DOUBLE = _Exp2(64, 52, 6755399441055744.0, -866.0, 2.0**-700, 2.0**100, (
    4.45410341058704e-10, 7.070977866508138e-09, 1.0178067267449427e-07, 1.3215451633221434e-06,
    1.5252733820795803e-05, 0.00015403530424776529, 0.0013333558146423213, 0.009618129107618665,
    0.05550410866482158, 0.24022650695910075, _LN2, 1.0,
))
# q of degree 4, error 7e-9
_SINGLE = _Exp2(32, 23, 12582912.0, -110.0, 2.0**-60, 2.0**20, (
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

    def _smaller(a: Any, b: Any) -> Any:
        return a if a < b else b

    def _nearest(x: Any) -> Any:
        return np.rint(x)

    def _with_sign_of(size: Any, sign: Any) -> Any:
        return np.copysign(size, sign)

    def _is_faint(total: Any) -> bool:
        return bool(total < (_SINGLE if isinstance(total, np.float32) else _DOUBLE).faint)

    def _is_wide(ratio: Any) -> bool:
        return bool(ratio > (_SINGLE if isinstance(ratio, np.float32) else _DOUBLE).spread)

    def _exp2(z: Any) -> Any:
        number: Any = np.float32 if isinstance(z, np.float32) else np.float64
        of = _SINGLE if number is np.float32 else _DOUBLE
        z = _larger(z, number(of.floor))
        k = (z + number(of.shift)) - number(of.shift)
        p = number(of.coefficients[0])
        for c in of.coefficients[1:]:
            p = _fma(p, z - k, number(c))
        return number(math.ldexp(p, int(k)))

    def _exp2_of(*groups: Any) -> tuple[Any, ...]:
        return tuple(tuple(_exp2(one) for one in z) for z in groups)

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

    def _llvm(builder: Any, name: str, *args: Any, fastmath: tuple[str, ...] = ()) -> Any:
        """LLVM's own function `name` of numbers of one type."""
        signature = ir.FunctionType(args[0].type, [arg.type for arg in args])
        name = f"llvm.{name}.{'f64' if args[0].type == ir.DoubleType() else 'f32'}"
        function = cgutils.get_or_insert_function(builder.module, signature, name)
        return builder.call(function, args, fastmath=fastmath)

    def _maximum(builder: Any, a: Any, b: Any) -> Any:
        """max(a, b) of two numbers. `max` compares and selects, of which LLVM makes a masked store
        where the result goes back to memory, and the next load has to wait for that."""
        return _llvm(builder, "maxnum", a, b, fastmath=("nnan", "nsz"))

    @intrinsic
    def _larger(typing_context, a, b):  # type: ignore[no-untyped-def]
        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return _maximum(builder, *args)

        return a(a, a), generate

    @intrinsic
    def _smaller(typing_context, a, b):  # type: ignore[no-untyped-def]
        return a(a, a), lambda context, builder, sig, args: _llvm(
            builder, "minnum", *args, fastmath=("nnan", "nsz")
        )

    @intrinsic
    def _nearest(typing_context, x):  # type: ignore[no-untyped-def]
        """The nearest whole number."""
        return x(x), lambda context, builder, sig, args: _llvm(builder, "rint", *args)

    @intrinsic
    def _with_sign_of(typing_context, size, sign):  # type: ignore[no-untyped-def]
        """|size| with the sign of `sign`."""
        return size(size, size), lambda context, builder, sig, args: _llvm(
            builder, "copysign", *args
        )

    def _of(number: Any) -> _Exp2:
        return _DOUBLE if number.type == ir.DoubleType() else _SINGLE

    @intrinsic
    def _is_faint(typing_context, total):  # type: ignore[no-untyped-def]
        """Whether a sum of powers may feel the floor of `_exp2`."""

        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return builder.fcmp_ordered("<", args[0], args[0].type(_of(args[0]).faint))

        return types.boolean(total), generate

    @intrinsic
    def _is_wide(typing_context, ratio):  # type: ignore[no-untyped-def]
        """Whether a mode is so much wider than another that its floor may be felt."""

        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return builder.fcmp_ordered(">", args[0], args[0].type(_of(args[0]).spread))

        return types.boolean(ratio), generate

    @intrinsic
    def _wide(typing_context):  # type: ignore[no-untyped-def]
        """Ask LLVM for the widest vectors in the calling function, and to align its stack to them.

        Its default on AVX-512 machines are vectors of half the width, which cost a quarter of the
        speed of `_exp2`; and a stack aligned for scalars, where what does not fit the registers
        straddles two cache lines and costs another fifth.
        """

        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            # llvmlite knows these attributes not by name, so they go past the check of `add`.
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
            set.add(builder.function.attributes, '"frame-pointer"="all"')  # or it cannot be aligned
            return context.get_dummy_value()

        return types.void(), generate

    def _powers(builder: Any, z: Any) -> list[Any]:
        """2^z of each of some numbers, step by step beside one another; z = k + r, exactly.

        Written here, in one piece, since LLVM moves a step that stands in a function of its own
        down to its use, and so undoes the interleaving.
        """
        real = z[0].type
        of = _of(z[0])
        word, shift = ir.IntType(of.bits), real(of.shift)
        z = [_maximum(builder, one, real(of.floor)) for one in z]
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
            return _powers(builder, args)[0]

        return z(z), generate

    @intrinsic
    def _exp2_of(typing_context, first, second):  # type: ignore[no-untyped-def]
        """`_exp2` of two tuples of numbers to the same bits."""

        def generate(context, builder, sig, args):  # type: ignore[no-untyped-def]
            z = [cgutils.unpack_tuple(builder, arg) for arg in args]
            powers = _powers(builder, z[0] + z[1])
            halves = powers[: len(z[0])], powers[len(z[0]) :]
            tuples = [
                context.make_tuple(builder, type_, half)
                for type_, half in zip(sig.args, halves, strict=True)
            ]
            return context.make_tuple(builder, sig.return_type, tuples)

        return types.Tuple((first, second))(first, second), generate


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


_HALF, _QUARTER = TILE // 2, TILE // 4


@_inline
def _begin(j):  # type: ignore[no-untyped-def]
    """Where row j begins in a flat array. The mask tells LLVM that it is not negative, without
    which every index could count from the end, and no loop over it is vectorised."""
    return (j & 0x7FFFFFFF) * TILE


@_tile
def _logits(x, a, h, lw, logit, top):  # type: ignore[no-untyped-def]
    """logit (N TILE,) = lw - h |x - a|^2, x (d TILE,), and its maximum over the modes (TILE,)."""
    n_modes, d = a.shape
    logit[: n_modes * TILE] = 0.0
    whole, even = n_modes - n_modes % 5, d - d % 2
    _squares_by_5(x, a, logit)
    _squares(x, a, whole, even, logit)
    _logits_of_squares(h, lw, logit, top)


@_tile
def _logits_of_squares(h, lw, logit, top):  # type: ignore[no-untyped-def]
    """logit <- lw - h logit, and its maximum over the modes."""
    _wide()
    for b in range(TILE):
        top[b] = -np.inf
    for k in range(h.shape[0]):
        row, minus_h, w = _rows(logit, k, 1), -h[k], lw[k]
        for b in range(TILE):
            z = _fma(minus_h, row[b], w)
            row[b] = z
            top[b] = _larger(top[b], z)


@_inline
def _square_2d(u, v):  # type: ignore[no-untyped-def]
    return _fma(v, v, u * u)


@_tile
def _squares_by_5(x, a, square):  # type: ignore[no-untyped-def]
    """square (N TILE,) += |x - a|^2 of as many modes as fives hold and coordinates as twos do: five
    modes read x once, two coordinates write them once."""
    _wide()
    for k in range(0, a.shape[0] - 4, 5):
        s = _rows(square, k, 5)
        for j in range(0, a.shape[1] - 1, 2):
            two = _rows(x, j, 2)
            a0, a1, a2, a3, a4 = _five(a[:, j], k)
            b0, b1, b2, b3, b4 = _five(a[:, j + 1], k)
            for b in range(TILE):
                u, v = two[b], two[TILE + b]
                s0, s1, s2, s3, s4 = _column(s, b)
                s[b] = _fma(v - b0, v - b0, _fma(u - a0, u - a0, s0))
                s[TILE + b] = _fma(v - b1, v - b1, _fma(u - a1, u - a1, s1))
                s[2 * TILE + b] = _fma(v - b2, v - b2, _fma(u - a2, u - a2, s2))
                s[3 * TILE + b] = _fma(v - b3, v - b3, _fma(u - a3, u - a3, s3))
                s[4 * TILE + b] = _fma(v - b4, v - b4, _fma(u - a4, u - a4, s4))


@_tile
def _squares(x, a, whole, even, square):  # type: ignore[no-untyped-def]
    """square (N TILE,) += |x - a|^2 but for the first `even` coordinates of the first `whole`
    modes."""
    _wide()
    for k in range(a.shape[0]):
        row = _rows(square, k, 1)
        for j in range(even if k < whole else 0, a.shape[1]):
            xj, aj = _rows(x, j, 1), a[k, j]
            for b in range(TILE):
                row[b] = _fma(xj[b] - aj, xj[b] - aj, row[b])


@_tile
def _pull(x, a, ratio, logit, top, total, pull):  # type: ignore[no-untyped-def]
    """total (TILE,) = sum_k e_k ratio_k and pull (d TILE,) = sum_k e_k (a_k - x), e_k =
    2^(logit_k - top); logit is overwritten."""
    total[:] = 0.0
    pull[: a.shape[1] * TILE] = 0.0
    _weights_by_5(ratio, logit, top, total)
    _add_pull_by_5(x, a, logit, pull)
    _add_pull(x, a, ratio, logit, top, a.shape[0] - a.shape[0] % 5, total, pull)


@_tile
def _add_pull(x, a, ratio, logit, top, first, total, pull):  # type: ignore[no-untyped-def]
    """What the modes from `first` on add to `total` and `pull`."""
    _wide()
    for k in range(first, a.shape[0]):
        row, ratio_k = _rows(logit, k, 1), ratio[k]
        for b in range(TILE):
            e = _exp2(row[b] - top[b])
            total[b] = _fma(e, ratio_k, total[b])
            row[b] = e
        for j in range(a.shape[1]):
            xj, aj, pull_j = _rows(x, j, 1), a[k, j], _rows(pull, j, 1)
            for b in range(TILE):
                pull_j[b] = _fma(row[b], aj - xj[b], pull_j[b])


@_inline
def _five(values, k):  # type: ignore[no-untyped-def]
    return values[k], values[k + 1], values[k + 2], values[k + 3], values[k + 4]


@_inline
def _minus(a, x):  # type: ignore[no-untyped-def]
    """a_k - x of five numbers."""
    return a[0] - x, a[1] - x, a[2] - x, a[3] - x, a[4] - x


@_inline
def _logits_1d(h, w, u):  # type: ignore[no-untyped-def]
    """w_k - h_k u_k^2 of five numbers."""
    z0, z1 = _fma(-h[0], u[0] * u[0], w[0]), _fma(-h[1], u[1] * u[1], w[1])
    z2, z3 = _fma(-h[2], u[2] * u[2], w[2]), _fma(-h[3], u[3] * u[3], w[3])
    return z0, z1, z2, z3, _fma(-h[4], u[4] * u[4], w[4])


@_inline
def _logits_2d(h, w, u, v):  # type: ignore[no-untyped-def]
    """w_k - h_k (u_k^2 + v_k^2) of five points."""
    z0, z1 = _fma(-h[0], _square_2d(u[0], v[0]), w[0]), _fma(-h[1], _square_2d(u[1], v[1]), w[1])
    z2, z3 = _fma(-h[2], _square_2d(u[2], v[2]), w[2]), _fma(-h[3], _square_2d(u[3], v[3]), w[3])
    return z0, z1, z2, z3, _fma(-h[4], _square_2d(u[4], v[4]), w[4])


@_inline
def _add_5(start, e, f):  # type: ignore[no-untyped-def]
    """start + sum_k e_k f_k, in this order."""
    sum_ = _fma(e[2], f[2], _fma(e[1], f[1], _fma(e[0], f[0], start)))
    return _fma(e[4], f[4], _fma(e[3], f[3], sum_))


@_tile
def _sums_1d(x, a, h, lw, ratio, total, pull):  # type: ignore[no-untyped-def]
    """`_pull` of modes on a line, of their logits as they are: no maximum, one pass."""
    _wide()
    for b in range(TILE):
        total[b] = 0.0
        pull[b] = 0.0
    whole, centres = a.shape[0] - a.shape[0] % 5, a[:, 0]
    for k in range(0, whole, 5):
        a5, h5, w5, q5 = _five(centres, k), _five(h, k), _five(lw, k), _five(ratio, k)
        for b in range(_HALF):
            c = b + _HALF
            u, s = _minus(a5, x[b]), _minus(a5, x[c])
            e, f = _exp2_of(_logits_1d(h5, w5, u), _logits_1d(h5, w5, s))
            total[b], pull[b] = _add_5(total[b], e, q5), _add_5(pull[b], e, u)
            total[c], pull[c] = _add_5(total[c], f, q5), _add_5(pull[c], f, s)
    for k in range(whole, a.shape[0]):
        a0, minus_h, w, ratio_k = a[k, 0], -h[k], lw[k], ratio[k]
        for b in range(TILE):
            u0 = a0 - x[b]
            e0 = _exp2(_fma(minus_h, u0 * u0, w))
            total[b], pull[b] = _fma(e0, ratio_k, total[b]), _fma(e0, u0, pull[b])


@_tile
def _sums_2d(x, a, h, lw, ratio, total, pull):  # type: ignore[no-untyped-def]
    """`_sums_1d` of modes in the plane."""
    _wide()
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
        for b in range(_HALF):
            c = b + _HALF
            u, v = _minus(a5, x[b]), _minus(b5, x[TILE + b])
            s, t = _minus(a5, x[c]), _minus(b5, x[TILE + c])
            e, f = _exp2_of(_logits_2d(h5, w5, u, v), _logits_2d(h5, w5, s, t))
            total[b], pull[b] = _add_5(total[b], e, q5), _add_5(pull[b], e, u)
            pull[TILE + b] = _add_5(pull[TILE + b], e, v)
            total[c], pull[c] = _add_5(total[c], f, q5), _add_5(pull[c], f, s)
            pull[TILE + c] = _add_5(pull[TILE + c], f, t)
    for k in range(whole, a.shape[0]):
        a0, a1, minus_h, w, ratio_k = a[k, 0], a[k, 1], -h[k], lw[k], ratio[k]
        for b in range(TILE):
            u0, v0 = a0 - x[b], a1 - x[TILE + b]
            e0 = _exp2(_fma(minus_h, _square_2d(u0, v0), w))
            total[b], pull[b] = _fma(e0, ratio_k, total[b]), _fma(e0, u0, pull[b])
            pull[TILE + b] = _fma(e0, v0, pull[TILE + b])


@_tile
def _move(x, a, h, lw, ratio, logit, top, total, move):  # type: ignore[no-untyped-def]
    """move (d TILE,) = sum_k e_k (a_k - x)/sum_k e_k ratio_k, what a sample is drawn by."""
    d = a.shape[1]
    if d == 1:
        _move_1d(x, a, h, lw, ratio, logit, top, total, move)
        return
    if d == 2:
        _sums_2d(x, a, h, lw, ratio, total, move)
        if not _sums_hold(ratio, total):
            _sum_again(x, a, h, lw, ratio, logit, top, total, move)
    else:
        _logits(x, a, h, lw, logit, top)
        _pull(x, a, ratio, logit, top, total, move)
    _divide(d, total, move)


@_tile
def _move_1d(x, a, h, lw, ratio, logit, top, total, move):  # type: ignore[no-untyped-def]
    """`_move` on a line."""
    _sums_1d(x, a, h, lw, ratio, total, move)
    if not _sums_hold(ratio, total):
        _sum_again(x, a, h, lw, ratio, logit, top, total, move)
    _divide(1, total, move)


@_tile
def _divide(d, total, move):  # type: ignore[no-untyped-def]
    """move <- move/total."""
    _wide()
    one = total.dtype.type(1.0)  # a written 1.0 would divide in double
    for b in range(TILE):
        total[b] = one / total[b]
    for j in range(d):
        first = _begin(j)
        for b in range(TILE):
            move[first + b] *= total[b]


@_tile
def _sums_hold(ratio, total):  # type: ignore[no-untyped-def]
    """Whether every sum of a tile is far above what the floor of `_exp2` adds to it.

    A power needs no maximum taken off its exponent unless a sample lies so far from every mode,
    some 30 sigma, that its sum comes near that floor.
    """
    _wide()
    least, widest = -total[0], ratio[0]
    for b in range(TILE):
        least = _larger(least, -total[b])
    for k in range(ratio.shape[0]):
        widest = _larger(widest, ratio[k])
    return not (_is_faint(-least) or _is_wide(widest))


@_tile
def _sum_again(x, a, h, lw, ratio, logit, top, total, pull):  # type: ignore[no-untyped-def]
    """`_sums_1d` or `_sums_2d` of a tile with a maximum taken off where a sum did not hold; the
    other samples come to the same bits as before."""
    logit[: a.shape[0] * TILE] = 0.0
    _squares(x, a, 0, 0, logit)
    _logits_of_squares(h, lw, logit, top)
    _drop_unneeded(ratio, total, top)
    total[:] = 0.0
    pull[: a.shape[1] * TILE] = 0.0
    _add_pull(x, a, ratio, logit, top, 0, total, pull)


@_tile
def _drop_unneeded(ratio, total, top):  # type: ignore[no-untyped-def]
    """top <- 0 where a sum held without it."""
    for k in range(ratio.shape[0]):
        if _is_wide(ratio[k]):
            return
    for b in range(TILE):
        if not _is_faint(total[b]):
            top[b] = 0.0


@_tile
def _weights_by_5(ratio, logit, top, total):  # type: ignore[no-untyped-def]
    """logit <- 2^(logit - top) of as many modes as fives hold, and what they add to `total`."""
    _wide()
    for k in range(0, ratio.shape[0] - 4, 5):
        z, q5 = _rows(logit, k, 5), _five(ratio, k)
        for b in range(_HALF):
            c = b + _HALF
            e, f = _exp2_of(_minus(_column(z, b), top[b]), _minus(_column(z, c), top[c]))
            total[b], total[c] = _add_5(total[b], e, q5), _add_5(total[c], f, q5)
            z[b], z[TILE + b], z[2 * TILE + b], z[3 * TILE + b], z[4 * TILE + b] = e
            z[c], z[TILE + c], z[2 * TILE + c], z[3 * TILE + c], z[4 * TILE + c] = f


@_inline
def _column(rows, b):  # type: ignore[no-untyped-def]
    """Sample b of five rows."""
    return rows[b], rows[TILE + b], rows[2 * TILE + b], rows[3 * TILE + b], rows[4 * TILE + b]


@_tile
def _add_pull_by_5(x, a, weight, pull):  # type: ignore[no-untyped-def]
    """What modes of weights `weight` (N TILE,), as many as fives hold, add to the pull."""
    _wide()
    for k in range(0, a.shape[0] - 4, 5):
        e = _rows(weight, k, 5)
        for j in range(a.shape[1]):
            row, to, a5 = _rows(x, j, 1), _rows(pull, j, 1), _five(a[:, j], k)
            for b in range(TILE):
                to[b] = _add_5(to[b], _column(e, b), _minus(a5, row[b]))


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
def _scale(scale, move):  # type: ignore[no-untyped-def]
    """move <- scale * move."""
    _wide()
    for b in range(move.shape[0]):
        move[b] *= scale


@_parallel
def _score_tiles(x, table, scale, out):  # type: ignore[no-untyped-def]
    """out (n, d) = scale * pull/total."""
    a, h, lw, ratio = table
    n, d = x.shape
    for tile in prange((n + TILE - 1) // TILE):
        rows, move = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
        logit = np.empty(a.shape[0] * TILE, x.dtype)
        top, total = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
        _load(x, tile * TILE, rows)
        _move(rows, a, h, lw, ratio, logit, top, total, move)
        _scale(scale, move)
        _store(move, tile * TILE, out)


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
def _advance_row(x, j, move, m, xi, plan, s):  # type: ignore[no-untyped-def]
    """Row j of x by row m of its moves and row j of the normals, in step s of a plan."""
    _wide()
    c_x, c_eps, c_noise, eps_scale = plan[s, 0], plan[s, 1], plan[s, 2], plan[s, 3]
    first, to = _begin(j), _begin(m)
    for b in range(TILE):
        eps = eps_scale * move[to + b]
        x[first + b] = _advance(x[first + b], eps, xi[j, b], c_x, c_eps, c_noise)


@_rollout
def rollout(x, first, seed, plan, times, means, alpha, h, lw, ratio):  # type: ignore[no-untyped-def]
    """All steps of a plan in place on x (n, d), with the exact score of a general mixture.

    plan (S, 4), times (S,) uint64 the t of each step, alpha (S,), mode tables h, lw, ratio (S, N).
    In the precision of x, which plan and tables share; means and alpha are double in either.
    """
    n, d = x.shape
    n_modes = means.shape[0]
    for tile in prange((n + TILE - 1) // TILE):
        rows, move = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
        xi, uniform = np.zeros((d + d % 2, TILE), x.dtype), np.empty((2, TILE))
        logit, a = np.empty(n_modes * TILE, x.dtype), np.empty((n_modes, d), x.dtype)
        top, total = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
        _load(x, tile * TILE, rows)
        for s in range(plan.shape[0]):
            for k in range(n_modes):
                for j in range(d):
                    a[k, j] = alpha[s] * means[k, j]
            _move(rows, a, h[s], lw[s], ratio[s], logit, top, total, move)
            if plan[s, 2] != 0.0:
                at = first + np.uint64(tile * TILE)
                _normal_rows(xi, uniform, at, times[s], _STREAM_STEP, seed)
            for j in range(d):
                _advance_row(rows, j, move, j, xi, plan, s)
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


# An axis of equally spaced modes, by row q of `lattice.lattice_rows`: its form, HEAD numbers in
# all, and twice as many coefficients as whole blocks hold. These functions take whole arrays and
# where to look in them: a view costs as much here as some tens of samples.

MODES, POLYNOMIAL, NEAREST = 0.0, 1.0, 2.0
HEAD, BLOCK = 8, 5


@_inline
def _five_of(rows, q, k):  # type: ignore[no-untyped-def]
    return rows[q, k], rows[q, k + 1], rows[q, k + 2], rows[q, k + 3], rows[q, k + 4]


@_inline
def _exponent(y, rate, largest):  # type: ignore[no-untyped-def]
    """log2 F = -|rate y|, not below -largest."""
    return _larger(-_with_sign_of(rate * y, largest), -largest)


@_inline
def _place(p, c):  # type: ignore[no-untyped-def]
    """(sum_i i c_i p^i)/(sum_i c_i p^i) of five c_i, the derivative beside Horner's scheme."""
    v = _fma(c[4], p, c[3])
    w = _fma(c[4], p, v)
    v = _fma(v, p, c[2])
    w = _fma(w, p, v)
    v = _fma(v, p, c[1])
    return _fma(w, p, v) * p / _fma(v, p, c[0])


@_tile
def _few_symmetric(x, j, rows, q, move, m):  # type: ignore[no-untyped-def]
    """Five modes or fewer whose weights are symmetric about their centre."""
    _wide()
    centre, g, rate, largest, half = rows[q, 1], rows[q, 2], rows[q, 3], rows[q, 4], rows[q, 6]
    c5, first, to = _five_of(rows, q, HEAD), _begin(j), _begin(m)
    for b in range(_QUARTER):
        b1, b2, b3 = b + _QUARTER, b + 2 * _QUARTER, b + 3 * _QUARTER
        y0, y1 = x[first + b] - centre, x[first + b1] - centre
        y2, y3 = x[first + b2] - centre, x[first + b3] - centre
        (p0, p1), (p2, p3) = _exp2_of(
            (_exponent(y0, rate, largest), _exponent(y1, rate, largest)),
            (_exponent(y2, rate, largest), _exponent(y3, rate, largest)),
        )
        move[to + b] = _fma(_with_sign_of(g, y0), half - _place(p0, c5), -y0)
        move[to + b1] = _fma(_with_sign_of(g, y1), half - _place(p1, c5), -y1)
        move[to + b2] = _fma(_with_sign_of(g, y2), half - _place(p2, c5), -y2)
        move[to + b3] = _fma(_with_sign_of(g, y3), half - _place(p3, c5), -y3)


@_tile
def _many(x, j, rows, q, work, move, m):  # type: ignore[no-untyped-def]
    """Any number of modes: coefficients five at a time, from the highest down, those of the
    sample's side. Rows 0, 1 and 2 of `work` hold F, the sum and its derivative."""
    _wide()
    centre, g, rate, largest, half = rows[q, 1], rows[q, 2], rows[q, 3], rows[q, 4], rows[q, 6]
    first, to, width = _begin(j), _begin(m), (rows.shape[1] - HEAD) // 2
    for b in range(TILE):
        work[0, b] = _exp2(_exponent(x[first + b] - centre, rate, largest))
        work[1, b] = 0.0
        work[2, b] = 0.0
    for k in range(width - BLOCK, -1, -BLOCK):
        r0, r1, r2, r3, r4 = _five_of(rows, q, HEAD + k)
        l0, l1, l2, l3, l4 = _five_of(rows, q, HEAD + width + k)
        for b in range(TILE):
            p, v, w = work[0, b], work[1, b], work[2, b]
            right = x[first + b] >= centre
            w, v = _fma(w, p, v), _fma(v, p, r4 if right else l4)
            w, v = _fma(w, p, v), _fma(v, p, r3 if right else l3)
            w, v = _fma(w, p, v), _fma(v, p, r2 if right else l2)
            w, v = _fma(w, p, v), _fma(v, p, r1 if right else l1)
            work[2, b], work[1, b] = _fma(w, p, v), _fma(v, p, r0 if right else l0)
    for b in range(TILE):
        y = x[first + b] - centre
        place = work[2, b] * work[0, b] / work[1, b]
        move[to + b] = _fma(_with_sign_of(g, y), half - place, -y)


@_inline
def _beside(x, first, g, inverse, last, h, one):  # type: ignore[no-untyped-def]
    """x - a_k of the nearest mode, a_n - a_k of the next, and the exponent of their odds.

    At an edge the next is the nearest itself: odds of one with no distance between them.
    """
    zero = one - one
    k = _nearest(_smaller(_larger((x - first) * inverse, zero), last))
    u = x - _fma(k, g, first)
    w = (_smaller(_larger(k + _with_sign_of(one, u), zero), last) - k) * g
    return u, w, (h * w) * ((u - w) + u)


@_inline
def _drawn(e, u, w, one):  # type: ignore[no-untyped-def]
    """The move of a sample at u from one mode and u - w from another, of weights 1 : e."""
    return _fma(e, w - u, -u) / (one + e)


@_tile
def _nearest_two(x, j, rows, q, move, m):  # type: ignore[no-untyped-def]
    """Narrow modes: the nearest and the next one on the sample's side."""
    _wide()
    (first, g, inverse, last, h), one = _five_of(rows, q, 1), rows[q, 6]
    begin, to = _begin(j), _begin(m)
    for b in range(_QUARTER):
        b1, b2, b3 = b + _QUARTER, b + 2 * _QUARTER, b + 3 * _QUARTER
        u0, w0, z0 = _beside(x[begin + b], first, g, inverse, last, h, one)
        u1, w1, z1 = _beside(x[begin + b1], first, g, inverse, last, h, one)
        u2, w2, z2 = _beside(x[begin + b2], first, g, inverse, last, h, one)
        u3, w3, z3 = _beside(x[begin + b3], first, g, inverse, last, h, one)
        (e0, e1), (e2, e3) = _exp2_of((z0, z1), (z2, z3))
        move[to + b], move[to + b1] = _drawn(e0, u0, w0, one), _drawn(e1, u1, w1, one)
        move[to + b2], move[to + b3] = _drawn(e2, u2, w2, one), _drawn(e3, u3, w3, one)


@_tile
def _axis_move(x, j, axes, alpha, size, h, lw, rows, q, work, move, m):  # type: ignore[no-untyped-def]
    """Row m of `move`: `_move` of row j of x on its axis of `size` values alpha axes[j]. work
    (3 + M, TILE), M the largest size, is a place to compute in."""
    _wide()
    if size == 1:
        a, first, to = x.dtype.type(alpha * axes[j, 0]), _begin(j), _begin(m)
        for b in range(TILE):
            move[to + b] = a - x[first + b]
    elif rows[q, 0] == POLYNOMIAL:
        if rows[q, 5] == 1.0 and rows.shape[1] == HEAD + 2 * BLOCK:
            _few_symmetric(x, j, rows, q, move, m)
        else:
            _many(x, j, rows, q, work, move, m)
    elif rows[q, 0] == NEAREST:
        _nearest_two(x, j, rows, q, move, m)
    else:
        _mode_by_mode(x, j, axes, alpha, size, h, lw, work, move, m)


@_tile
def _mode_by_mode(x, j, axes, alpha, size, h, lw, work, move, m):  # type: ignore[no-untyped-def]
    a, h_k, ones = np.empty((size, 1), x.dtype), np.empty(size, x.dtype), np.ones(size, x.dtype)
    for k in range(size):
        a[k, 0] = alpha * axes[j, k]
        h_k[k] = h
    logit, to = work[2 : 2 + size].reshape(-1), _rows(move, m, 1)
    _move_1d(_rows(x, j, 1), a, h_k, lw[j, :size], ones, logit, work[0], work[1], to)


@_rollout
def rollout_product(x, first, seed, plan, times, axes, alpha, h, lw, lattice):  # type: ignore[no-untyped-def]
    """`rollout` for a product mixture of one sigma: axes (d, M) mode values per coordinate, lw
    (d, M) the log2 of their weights (-inf pads short axes), h (S,) = log2(e)/(2 var), lattice
    (S, axes of two values or more, W) their rows of `lattice.lattice_rows`."""
    n, d = x.shape
    sizes = _axis_sizes(lw)
    for tile in prange((n + TILE - 1) // TILE):
        rows, move = np.empty(d * TILE, x.dtype), np.empty(TILE, x.dtype)
        xi, uniform = np.zeros((d + d % 2, TILE), x.dtype), np.empty((2, TILE))
        work = np.empty((3 + axes.shape[1], TILE), x.dtype)
        _load(x, tile * TILE, rows)
        for s in range(plan.shape[0]):
            if plan[s, 2] != 0.0:
                at = first + np.uint64(tile * TILE)
                _normal_rows(xi, uniform, at, times[s], _STREAM_STEP, seed)
            q, of_step = 0, lattice[s]
            for j in range(d):
                _axis_move(rows, j, axes, alpha[s], sizes[j], h[s], lw, of_step, q, work, move, 0)
                _advance_row(rows, j, move, 0, xi, plan, s)
                q += sizes[j] > 1
        _store(rows, tile * TILE, x)


@_parallel
def product_pull(x, axes, alpha, h, lw, scale, lattice, out):  # type: ignore[no-untyped-def]
    """`scaled_pull` of a product mixture, with the operations of `rollout_product`: axes (d, M)
    and alpha double, lattice (axes of two values or more, W); the rest in the precision of x."""
    n, d = x.shape
    sizes = _axis_sizes(lw)
    for tile in prange((n + TILE - 1) // TILE):
        rows, move = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
        work = np.empty((3 + axes.shape[1], TILE), x.dtype)
        _load(x, tile * TILE, rows)
        q = 0
        for j in range(d):
            _axis_move(rows, j, axes, alpha, sizes[j], h, lw, lattice, q, work, move, j)
            q += sizes[j] > 1
        _scale(scale, move)
        _store(move, tile * TILE, out)


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
