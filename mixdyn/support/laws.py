"""Tails and quantiles of common laws, from special functions: `scipy.stats` takes 0.8 s to import.

Arguments are numbers or arrays, probabilities lie in (0, 1). A quantile is that of the upper tail
where its name says so, and keeps its digits there however small the probability is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .checks import Array


def normal_quantile(p: ArrayLike) -> Array:
    """x with P(X <= x) = p for X standard normal; minus this is the upper tail's."""
    return np.asarray(special.ndtri(p))


def normal_share(x: ArrayLike) -> Array:
    """P(X <= x) for X standard normal."""
    return np.asarray(special.ndtr(x))


def student_upper(p: ArrayLike, degrees: ArrayLike) -> Array:
    """x with P(X > x) = p for Student's law."""
    return np.asarray(-special.stdtrit(degrees, p))


def chi2_tail(x: ArrayLike, degrees: ArrayLike) -> Array:
    """P(X > x) for a chi-square."""
    return np.asarray(special.chdtrc(degrees, x))


def chi2_quantile(p: ArrayLike, degrees: ArrayLike) -> Array:
    """x with P(X <= x) = p for a chi-square."""
    return 2.0 * np.asarray(special.gammaincinv(0.5 * np.asarray(degrees), p))


def chi2_upper(p: ArrayLike, degrees: ArrayLike) -> Array:
    """x with P(X > x) = p for a chi-square."""
    return np.asarray(special.chdtri(degrees, p))


def beta_quantile(p: float, a: float, b: float) -> float:
    """x with P(X <= x) = p for X beta(a, b)."""
    return float(special.betaincinv(a, b, p))


def beta_upper(p: float, a: float, b: float) -> float:
    """x with P(X > x) = p for X beta(a, b)."""
    return float(special.betainccinv(a, b, p))


def binomial_tail(k: int, n: int, rate: float) -> float:
    """P(X > k) for X binomial(n, rate)."""
    if k < 0:
        return 1.0
    return float(special.betainc(k + 1, n - k, rate)) if k < n else 0.0


def binomial_upper(p: float, n: int, rate: float) -> int:
    """The least k with P(X > k) <= p for X binomial(n, rate)."""
    low, high = -1, n  # P(X > n) = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if binomial_tail(middle, n, rate) <= p else (middle, high)
    return high


def binomial_quantile(p: float, n: int, rate: float) -> int:
    """The least k with P(X <= k) >= p for X binomial(n, rate)."""
    return binomial_upper(1.0 - p, n, rate)


def log_binomial_mass(k: ArrayLike, n: int, rate: float) -> Array:
    """log P(X = k) for X binomial(n, rate)."""
    count = np.asarray(k, dtype=float)
    choices = -math.log(n + 1) - special.betaln(n - count + 1.0, count + 1.0)
    return np.asarray(choices + special.xlogy(count, rate) + special.xlog1py(n - count, -rate))
