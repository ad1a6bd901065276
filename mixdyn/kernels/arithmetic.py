"""Single operations on numbers in registers: rounding as written, and the powers that scores cost.

No fast-math flag is set anywhere: each rounding is written down (`fma` where two operations are
fused). Without the compiler plain Python stands in, in which an `fma` rounds twice.

Powers are of base 2, which saves the reduction by log 2. `exp2_of` takes ten at a time, the steps
of their polynomials interleaved: one chain of multiply-adds alone waits for itself.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiling import inlined


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
LN2, LOG2E = 0.6931471805599453, 1.4426950408889634
# fmt: off
# q of degree 9, error 3e-17
_DOUBLE = _Exp2(64, 52, 6755399441055744.0, -866.0, 2.0**-700, 2.0**100, (
    4.45410341058704e-10, 7.070977866508138e-09, 1.0178067267449427e-07, 1.3215451633221434e-06,
    1.5252733820795803e-05, 0.00015403530424776529, 0.0013333558146423213, 0.009618129107618665,
    0.05550410866482158, 0.24022650695910075, LN2, 1.0,
))
# q of degree 4, error 7e-9
_SINGLE = _Exp2(32, 23, 12582912.0, -110.0, 2.0**-60, 2.0**20, (
    0.0001545316627016291, 0.00133813067805022, 0.009618083015084267, 0.055503811687231064,
    0.24022650718688965, LN2, 1.0,
))
# fmt: on
EXP2_FLOOR, EXP2_FLOOR_SINGLE = _DOUBLE.floor, _SINGLE.floor
_ROUND = _DOUBLE.shift
_U0, _U1, _U2, _U52 = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(52)
_MANTISSA, _ONE_BITS = np.uint64(0xFFFFFFFFFFFFF), np.uint64(0x3FF0000000000000)

if config.DISABLE_JIT:

    def fma(a: Any, b: Any, c: Any) -> Any:
        return a * b + c

    def _to_bits(x: float) -> Any:
        return np.float64(x).view(np.uint64)

    def _from_bits(i: Any) -> Any:
        return np.uint64(i).view(np.float64)

    def larger(a: Any, b: Any) -> Any:
        return a if a > b else b

    def wide() -> None:
        pass

    def smaller(a: Any, b: Any) -> Any:
        return a if a < b else b

    def nearest(x: Any) -> Any:
        return np.rint(x)

    def with_sign_of(size: Any, sign: Any) -> Any:
        return np.copysign(size, sign)

    def is_faint(total: Any) -> bool:
        return bool(total < (_SINGLE if isinstance(total, np.float32) else _DOUBLE).faint)

    def is_wide(ratio: Any) -> bool:
        return bool(ratio > (_SINGLE if isinstance(ratio, np.float32) else _DOUBLE).spread)

    def exp2(z: Any) -> Any:
        number: Any = np.float32 if isinstance(z, np.float32) else np.float64
        of = _SINGLE if number is np.float32 else _DOUBLE
        z = larger(z, number(of.floor))
        k = (z + number(of.shift)) - number(of.shift)
        p = number(of.coefficients[0])
        for c in of.coefficients[1:]:
            p = fma(p, z - k, number(c))
        return number(math.ldexp(p, int(k)))

    def exp2_of(*groups: Any) -> tuple[Any, ...]:
        return tuple(tuple(exp2(one) for one in z) for z in groups)

else:

    @intrinsic
    def fma(typing_context, a, b, c):
        """a b + c with one rounding, in the precision of b (a or c may be a written constant)."""
        return b(b, b, b), lambda context, builder, sig, args: builder.fma(*args)

    @intrinsic
    def _to_bits(typing_context, x):
        def generate(context, builder, sig, args):
            return builder.bitcast(args[0], context.get_value_type(types.uint64))

        return types.uint64(types.float64), generate

    @intrinsic
    def _from_bits(typing_context, i):
        def generate(context, builder, sig, args):
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
    def larger(typing_context, a, b):
        def generate(context, builder, sig, args):
            return _maximum(builder, *args)

        return a(a, a), generate

    @intrinsic
    def smaller(typing_context, a, b):
        return a(a, a), lambda context, builder, sig, args: _llvm(
            builder, "minnum", *args, fastmath=("nnan", "nsz")
        )

    @intrinsic
    def nearest(typing_context, x):
        """The nearest whole number."""
        return x(x), lambda context, builder, sig, args: _llvm(builder, "rint", *args)

    @intrinsic
    def with_sign_of(typing_context, size, sign):
        """|size| with the sign of `sign`."""
        return size(size, size), lambda context, builder, sig, args: _llvm(
            builder, "copysign", *args
        )

    def _of(number: Any) -> _Exp2:
        return _DOUBLE if number.type == ir.DoubleType() else _SINGLE

    @intrinsic
    def is_faint(typing_context, total):
        """Whether a sum of powers may feel the floor of `exp2`."""

        def generate(context, builder, sig, args):
            return builder.fcmp_ordered("<", args[0], args[0].type(_of(args[0]).faint))

        return types.boolean(total), generate

    @intrinsic
    def is_wide(typing_context, ratio):
        """Whether a mode is so much wider than another that its floor may be felt."""

        def generate(context, builder, sig, args):
            return builder.fcmp_ordered(">", args[0], args[0].type(_of(args[0]).spread))

        return types.boolean(ratio), generate

    @intrinsic
    def wide(typing_context):
        """Ask LLVM for the widest vectors in the calling function, and to align its stack to them.

        Its default on AVX-512 machines are vectors of half the width, which cost a quarter of the
        speed of `exp2`; and a stack aligned for scalars, where what does not fit the registers
        straddles two cache lines and costs another fifth.
        """

        def generate(context, builder, sig, args):
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
    def exp2(typing_context, z):
        """2^max(z, floor) for z <= 0 (valid to 1000, in single to 120), at most 1 ulp off."""

        def generate(context, builder, sig, args):
            return _powers(builder, args)[0]

        return z(z), generate

    @intrinsic
    def exp2_of(typing_context, first, second):
        """`exp2` of two tuples of numbers to the same bits."""

        def generate(context, builder, sig, args):
            z = [cgutils.unpack_tuple(builder, arg) for arg in args]
            powers = _powers(builder, z[0] + z[1])
            halves = powers[: len(z[0])], powers[len(z[0]) :]
            tuples = [
                context.make_tuple(builder, type_, half)
                for type_, half in zip(sig.args, halves, strict=True)
            ]
            return context.make_tuple(builder, sig.return_type, tuples)

        return types.Tuple((first, second))(first, second), generate


@inlined
def log(u):
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
    p = fma(1.0 / 21.0, w, 1.0 / 19.0)
    p = fma(p, w, 1.0 / 17.0)
    p = fma(p, w, 1.0 / 15.0)
    p = fma(p, w, 1.0 / 13.0)
    p = fma(p, w, 1.0 / 11.0)
    p = fma(p, w, 1.0 / 9.0)
    p = fma(p, w, 1.0 / 7.0)
    p = fma(p, w, 1.0 / 5.0)
    p = fma(p, w, 1.0 / 3.0)
    tail = fma(2.0 * f * w, p, k * _LN2_LOW)
    return fma(k, _LN2_HIGH, fma(2.0, f, tail))


@inlined
def sincos_turn(v):
    """(sin, cos) of 2 pi v for v in [0, 1), at most 2 ulp off.

    4 v = q + f exactly, |f| <= 1/2; Taylor series of the angle f pi/2, |angle| <= pi/4.
    """
    shifted = 4.0 * v + _ROUND
    quadrant = _to_bits(shifted)
    y = (4.0 * v - (shifted - _ROUND)) * 1.5707963267948966
    w = y * y
    s = fma(-1.0 / 1307674368000.0, w, 1.0 / 6227020800.0)
    s = fma(s, w, -1.0 / 39916800.0)
    s = fma(s, w, 1.0 / 362880.0)
    s = fma(s, w, -1.0 / 5040.0)
    s = fma(s, w, 1.0 / 120.0)
    s = fma(s, w, -1.0 / 6.0)
    sin_y = fma(s * w, y, y)
    c = fma(1.0 / 20922789888000.0, w, -1.0 / 87178291200.0)
    c = fma(c, w, 1.0 / 479001600.0)
    c = fma(c, w, -1.0 / 3628800.0)
    c = fma(c, w, 1.0 / 40320.0)
    c = fma(c, w, -1.0 / 720.0)
    c = fma(c, w, 1.0 / 24.0)
    c = fma(c, w, -0.5)
    cos_y = fma(c, w, 1.0)
    odd = (quadrant & _U1) != _U0
    sin_v = cos_y if odd else sin_y
    cos_v = sin_y if odd else cos_y
    sin_v = -sin_v if (quadrant & _U2) != _U0 else sin_v
    cos_v = -cos_v if ((quadrant + _U1) & _U2) != _U0 else cos_v
    return sin_v, cos_v
