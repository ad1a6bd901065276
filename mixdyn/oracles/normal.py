"""Normal probabilities in logs, accurate in both tails and on narrow intervals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, erfcx

from mixdyn.support.checks import Array

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)
_ROOT_2 = math.sqrt(2.0)


def log_interval(low: ArrayLike, high: ArrayLike, log_width: ArrayLike | None = None) -> Array:
    """log(Phi(high) - Phi(low)) for standard normal limits low <= high, elementwise.

    log_width: log(high - low), for limits that differ by less than doubles resolve. Three forms,
    each free of cancellation where it is used: the midpoint rule with its second term on narrow
    intervals, a sum of two error functions across zero, scaled complementary error functions on
    one side of zero.
    """
    a, b = np.broadcast_arrays(np.asarray(low, float), np.asarray(high, float))
    flip = a > 0
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    width, mid = b - a, 0.5 * (a + b)
    with np.errstate(divide="ignore"):
        narrow = np.log(width) if log_width is None else np.asarray(log_width, float)
    narrow = narrow - _LOG_ROOT_2PI - 0.5 * mid**2
    narrow += np.log1p((mid**2 - 1.0) * np.minimum(width, 1e-3 / (1.0 + np.abs(mid))) ** 2 / 24.0)
    across = _log_across(np.minimum(a, 0.0), np.maximum(b, 0.0))
    one_side = _log_one_side(np.minimum(a, 0.0), np.minimum(b, 0.0))
    wide = np.where(b > 0, across, one_side)
    return np.where(width * (1.0 + np.abs(mid)) < 1e-3, narrow, wide)


def _log_across(a: Array, b: Array) -> Array:
    """The interval contains zero: both error functions count positively."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(0.5 * (erf(b / _ROOT_2) - erf(a / _ROOT_2))))


def _log_one_side(a: Array, b: Array) -> Array:
    """a <= b <= 0: take exp(-b^2/2) out of both tails."""
    near, far = erfcx(-b / _ROOT_2), erfcx(-a / _ROOT_2)
    drop = -np.expm1(0.5 * (b - a) * (b + a))  # 1 - exp(-(a^2 - b^2)/2)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(0.5 * (near - far + far * drop)) - 0.5 * b**2)


def log_sum(log_terms: Array) -> Array:
    """log of the sum of exp(log_terms) over the last axis."""
    top = log_terms.max(axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(log_terms - top).sum(axis=-1)) + top[..., 0])
