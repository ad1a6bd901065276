"""Intervals of doubles with outward rounding, in arrays.

What is trusted: that +, -, *, / and the square root of doubles round to nearest (IEEE 754), in any
order of summation. No function of a C library is: `exp` is a polynomial whose error is bounded
here, and a logarithm is whatever NumPy says, corrected by that `exp`. A NaN in an end means that
nothing is known: no comparison with it is true, so it proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array

Value = Any  # an Interval, or doubles: exact
ULP = 2.0**-52  # twice the error of an operation, relative
_TINY = 5e-324  # the smallest double: what underflow can lose
_LN2_HIGH = 0.6931471803691238  # 21 trailing zero bits: k * _LN2_HIGH is exact
_LN2_LOW = 1.9082149292705877e-10
_LARGEST = 709.0  # exp of it is a double, and of its negative a normal one
# Taylor's, to degree 13: on |r| <= 0.35 what is left out is 5e-18.
_TAYLOR = tuple(1.0 / math.factorial(n) for n in range(13, 1, -1))
_EXP_ERROR = 2.0**-49  # relative; see `_exp`


def down(x: Array) -> Array:
    """Below the exact result of an operation that was rounded to x."""
    return np.asarray(x - (np.abs(x) * ULP + _TINY))


def up(x: Array) -> Array:
    """Above it."""
    return np.asarray(x + (np.abs(x) * ULP + _TINY))


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """Arrays of one shape: lo <= x <= hi for what they enclose. Operators take doubles as exact."""

    lo: Array
    hi: Array

    __array_ufunc__ = None  # an array on the left leaves the operation to the interval

    @classmethod
    def of(cls, value: Value) -> Interval:
        """Doubles, which are exact, as intervals; intervals as they are."""
        if isinstance(value, Interval):
            return value
        exact = np.asarray(value, dtype=np.float64)
        return cls(exact, exact)

    @classmethod
    def join(cls, parts: Sequence[Interval]) -> Interval:
        """Along the first axis."""
        return cls(np.concatenate([p.lo for p in parts]), np.concatenate([p.hi for p in parts]))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of both ends."""
        return np.shape(self.lo)

    def __len__(self) -> int:
        return len(self.lo)

    def __getitem__(self, key: Any) -> Interval:
        return Interval(self.lo[key], self.hi[key])

    # -- arithmetic ------------------------------------------------------------------------------

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo)

    def __add__(self, other: Value) -> Interval:
        other = Interval.of(other)
        return Interval(down(self.lo + other.lo), up(self.hi + other.hi))

    def __sub__(self, other: Value) -> Interval:
        return self + -Interval.of(other)

    def __mul__(self, other: Value) -> Interval:
        other = Interval.of(other)
        ends = [self.lo * other.lo, self.hi * other.lo]
        if other.lo is not other.hi:  # not exact
            ends += [self.lo * other.hi, self.hi * other.hi]
        low, high = ends[0], ends[0]
        for end in ends[1:]:
            low, high = np.minimum(low, end), np.maximum(high, end)
        return Interval(down(low), up(high))

    def __truediv__(self, other: Value) -> Interval:
        return self * Interval.of(other).reciprocal()

    def __radd__(self, other: Value) -> Interval:
        return self + other

    def __rsub__(self, other: Value) -> Interval:
        return -self + other

    def __rmul__(self, other: Value) -> Interval:
        return self * other

    def __rtruediv__(self, other: Value) -> Interval:
        return self.reciprocal() * other

    def reciprocal(self) -> Interval:
        """1/x; NaN where x may be 0."""
        known = (self.lo > 0.0) | (self.hi < 0.0)
        low, high = np.where(known, self.lo, np.nan), np.where(known, self.hi, np.nan)
        return Interval(down(1.0 / high), up(1.0 / low))

    def square(self) -> Interval:
        """x^2, never negative."""
        small, large = self.smallest(), self.largest()
        return Interval(np.maximum(down(small * small), 0.0), up(large * large))

    def sum(self, axis: int = -1) -> Interval:
        """In whatever order NumPy adds."""
        n = self.shape[axis]
        spare = [(n * ULP) * np.abs(end).sum(axis) for end in (self.lo, self.hi)]
        low, high = self.lo.sum(axis), self.hi.sum(axis)
        return Interval(down(low - up(spare[0])), up(high + up(spare[1])))

    # -- functions -------------------------------------------------------------------------------

    def sqrt(self) -> Interval:
        """Of max(x, 0)."""
        low, high = (np.sqrt(np.maximum(end, 0.0)) for end in (self.lo, self.hi))
        return Interval(np.maximum(down(low), 0.0), up(high))

    def exp(self) -> Interval:
        """e^x; what exceeds doubles ends at infinity."""
        # The lower end stops at e^700, so that sums of it are doubles.
        low, high = _exp(np.minimum(self.lo, 700.0)), _exp(np.minimum(self.hi, _LARGEST))
        least = np.maximum(low * (1.0 - _EXP_ERROR) - _TINY, 0.0)
        most = np.where(self.hi > _LARGEST, np.inf, high * (1.0 + _EXP_ERROR) + _TINY)
        return Interval(least, np.where(np.isnan(self.hi), np.nan, most))

    def log(self) -> Interval:
        """log x for x > 0; NaN where x may not be."""
        return Interval(_log(self.lo).lo, _log(self.hi).hi)

    def tanh(self) -> Interval:
        """(1 - e)/(1 + e) with e = exp(-2 |x|), end by end."""
        return Interval(_tanh(self.lo).lo, _tanh(self.hi).hi)

    def logistic(self) -> Interval:
        """1/(1 + e^-x)."""
        return 1.0 / (1.0 + (-self).exp())

    # -- sets ------------------------------------------------------------------------------------

    def smallest(self) -> Array:
        """Least |x|."""
        return np.maximum(np.maximum(self.lo, -self.hi), 0.0)

    def largest(self) -> Array:
        """Most |x|."""
        return np.maximum(-self.lo, self.hi)

    def abs(self) -> Interval:
        """|x|."""
        return Interval(self.smallest(), self.largest())

    def mid(self) -> Array:
        """A point of it, near its middle."""
        return np.asarray(np.clip(0.5 * self.lo + 0.5 * self.hi, self.lo, self.hi))

    def radius(self) -> Array:
        """How far it reaches from `mid`, at most."""
        mid = self.mid()
        return np.maximum(up(self.hi - mid), up(mid - self.lo))

    def contains(self, x: Array) -> Array:
        """Whether doubles lie in it."""
        return np.asarray((self.lo <= x) & (x <= self.hi))

    def minimum(self, other: Value) -> Interval:
        """min(x, y)."""
        other = Interval.of(other)
        return Interval(np.minimum(self.lo, other.lo), np.minimum(self.hi, other.hi))

    def maximum(self, other: Value) -> Interval:
        """max(x, y)."""
        return -((-self).minimum(-Interval.of(other)))

    def hull(self, other: Value) -> Interval:
        """The smallest interval with both."""
        other = Interval.of(other)
        return Interval(np.minimum(self.lo, other.lo), np.maximum(self.hi, other.hi))

    def intersect(self, other: Interval) -> Interval:
        """Two enclosures of the same: what both say."""
        return Interval(np.maximum(self.lo, other.lo), np.minimum(self.hi, other.hi))


def dot(matrix: ArrayLike, x: Interval) -> Interval:
    """matrix (m, k), exact, times x (..., k): (..., m) by matrix products.

    The sum of k products is off by k ulp of the sum of their sizes at most, in any order, with or
    without fused operations, and by what underflow loses.
    """
    a = np.asarray(matrix, dtype=np.float64)
    more, less, size = np.maximum(a, 0.0).T, np.minimum(a, 0.0).T, np.abs(a).T
    spare = x.largest() @ size
    spare = up(spare * ((2 * a.shape[1] + 4) * ULP) + 8 * a.shape[1] * _TINY)
    low, high = x.lo @ more + x.hi @ less, x.hi @ more + x.lo @ less
    return Interval(down(low - spare), up(high + spare))


def exp_above(x: Array) -> Array:
    """Above e^x, at least e^-700 and infinite beyond 709: for whole arrays, which it overwrites."""
    beyond = x > _LARGEST
    np.clip(x, -700.0, _LARGEST, out=x)
    p, k = _reduced(x)
    # 2^k is a normal number here, by its bits.
    p *= ((k.astype(np.int64) + 1023) << 52).view(np.float64)
    p *= 1.0 + _EXP_ERROR
    p[beyond] = np.inf
    return p


def _exp(x: Array) -> Array:
    """exp(x) for x <= 709 to 2^-49, relative, and half of the smallest double."""
    p, k = _reduced(np.maximum(x, -800.0))  # where it is 0
    half = np.trunc(0.5 * k)  # 2^k may be no normal number: in two steps only the last one rounds
    with np.errstate(invalid="ignore"):
        steps = half.astype(np.int64), (k - half).astype(np.int64)
    return np.asarray(np.ldexp(np.ldexp(p, steps[0].astype(np.int32)), steps[1].astype(np.int32)))


def _reduced(x: Array) -> tuple[Array, Array]:
    """p and whole numbers k with exp(x) = p 2^k to 2^-49, relative.

    x = k ln 2 + r. k ln2_high and its difference from x are exact, so r is off by its own rounding,
    2^-55, and that of k ln2_low, 2^-75. exp r = 1 + r q(r): in Horner's form the roundings weigh
    less than 2 |r| e^|r| + 1 of 2^-53, and the result is 0.7 at least: less than 4 * 2^-53 in all.
    """
    k = np.rint(x * (1.0 / math.log(2.0)))
    r = np.asarray(x - k * _LN2_HIGH)
    r -= k * _LN2_LOW
    p = np.full_like(r, _TAYLOR[0])
    for c in (*_TAYLOR[1:], 1.0, 1.0):
        p *= r
        p += c
    return p, k


def _log(x: Array) -> Interval:
    """log of doubles: a guess g, and log(x e^-g) = log(1 + t), between t - t^2 and t for |t| < 1/2.

    Beyond exp's reach there is no bound but NaN.
    """
    x = np.where((x > 0.0) & (x < np.inf), x, np.nan)
    m, e = np.frexp(x)  # the exponential is taken of numbers between 1/2 and 1 alone
    guess, exponent = np.log(m), e.astype(np.float64)
    t = Interval.of(-guess).exp() * m - 1.0
    low_part = Interval(down(np.asarray(_LN2_LOW)), up(np.asarray(_LN2_LOW)))
    rest = Interval((t - t.square()).lo, t.hi)
    return low_part * exponent + exponent * _LN2_HIGH + guess + rest


def _tanh(x: Array) -> Interval:
    e = Interval.of(-2.0 * np.abs(x)).exp()
    size = (1.0 - e) / (1.0 + e)
    return Interval(np.where(x < 0.0, -size.hi, size.lo), np.where(x < 0.0, -size.lo, size.hi))
