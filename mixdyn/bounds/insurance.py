"""What a sampler's noise guarantees about a learned score: from path divergence to probabilities.

Two chains with the same noise and scores that differ draw paths whose log likelihood ratio is known
step by step. C = sum_t |m_learned - m_exact|^2/(2 noise_var_t) is the cost of a path, its mean over
learned paths the divergence. An event that the exact chain meets with probability P_exact = exp(-L)
can be met by the learned one only as often as its paths can pay for. Derived here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_integer, check_nonnegative, check_positive, describe
from mixdyn.support.errors import InputError

from .inputs import nonnegative, real

_BISECTIONS = 100  # from a bracket of 1e5 in the logarithm to rounding, with room to spare
_PLACES = np.arange(1, 64) / 64.0  # of a bracket, at once: for a few numbers they cost no more
_NEAR = 0.05  # where the series is used


def log_kl_inverse(divergence: ArrayLike, log_p: ArrayLike) -> Array:
    """log of the largest x with kl(x || p) <= divergence, kl that of two coins; shapes broadcast.

    divergence >= 0; log_p <= 0, finite: p itself may lie far below the smallest double. About
    divergence/log(1/p) for small p. Data processing makes it a bound: an event of probability p
    under one law has at most this probability under any law whose divergence from it is so large.
    """
    allowed, log_small = np.broadcast_arrays(
        nonnegative(divergence, "divergence"), _log_probability(log_p)
    )
    low, high = log_small.astype(float), np.zeros(log_small.shape)
    for _ in range(_BISECTIONS):
        if (np.nextafter(low, high) >= high).all():
            break
        between = low[..., None] + (high - low)[..., None] * _PLACES
        below = _divergence_from(between, log_small[..., None]) <= allowed[..., None]
        low = np.where(below, between, low[..., None]).max(axis=-1)
        high = np.where(below, high[..., None], between).min(axis=-1)
    return np.where(allowed >= -log_small, 0.0, high)


def log_kl_coverage(divergence: ArrayLike, log_p: ArrayLike) -> Array:
    """log of the smallest q with kl(p || q) <= divergence, kl that of two coins; shapes broadcast.

    divergence >= 0, infinity allowed (then -inf); log_p <= 0, finite. Data processing makes it a
    guarantee: an event of probability p under one law has at least this probability under any law
    from which that one's divergence is so large. About p exp(-divergence/p), for a rare event
    nothing.
    """
    allowed, log_large = np.broadcast_arrays(
        np.maximum(np.asarray(divergence, float), 0.0), _log_probability(log_p)
    )
    nonnegative(np.where(np.isinf(allowed), 0.0, divergence), "divergence")
    p = np.exp(log_large)
    finite = np.isfinite(allowed)
    # p log(p/q) <= divergence + the entropy of the coin, at most log 2.
    most = (np.where(finite, allowed, 0.0) + math.log(2.0)) / p
    low, high = log_large - most, log_large.astype(float)
    for _ in range(_BISECTIONS):
        if (np.nextafter(low, high) >= high).all():
            break
        between = low[..., None] + (high - low)[..., None] * _PLACES
        beyond = _divergence_to(log_large[..., None], between) > allowed[..., None]
        low = np.where(beyond, between, low[..., None]).max(axis=-1)
        high = np.where(beyond, high[..., None], between).min(axis=-1)
    return np.where(finite, high, -math.inf)


def _divergence_to(log_p: Array, log_q: Array) -> Array:
    """kl(p || q) for q <= p, without cancellation at q = p: q g(p/q) + (1 - q) g((1-p)/(1-q))."""
    p, q = np.exp(log_p), np.exp(log_q)
    ratio = log_p - log_q
    excess = np.expm1(np.minimum(ratio, 1.0))  # beyond it the plain form is used
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(excess < 1.0, q * _growth(excess), p * ratio - p + q)
        rest = -np.expm1(log_q)
        second = np.where(rest > 0.0, rest * _growth(-(p - q) / rest), 0.0)
    return first + second


def _divergence_from(log_x: Array, log_p: Array) -> Array:
    """kl(x || p) for x >= p, without cancellation at x = p: p g(x/p) + (1 - p) g((1-x)/(1-p)),
    g(r) = r log r - r + 1."""
    x, p = np.exp(log_x), np.exp(log_p)
    excess = np.expm1(np.minimum(log_x - log_p, 1.0))  # beyond it the plain form is used
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(excess < 1.0, p * _growth(excess), x * (log_x - log_p) - x + p)
        second = -np.expm1(log_p) * _growth(-(x - p) / -np.expm1(log_p))
    return first + np.where(log_p == 0.0, 0.0, second)


def _growth(a: Array) -> Array:
    """(1 + a) log(1 + a) - a for a >= -1."""
    small = np.clip(a, -_NEAR, _NEAR)  # elsewhere the series is not used
    series = [(-1.0) ** k / (k * (k - 1)) for k in range(13, 1, -1)]
    near = small * small * np.polyval(series, small)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(a > -1.0, (1.0 + a) * np.log1p(a) - a, 1.0)
    return np.where(np.abs(a) < _NEAR, near, far)


def pathwise_probability(exceeded: ArrayLike, budget: ArrayLike, log_p: ArrayLike) -> Array:
    """P(C > K) + 2 exp(-(sqrt L - sqrt K)^2) >= P_learned(E); shapes broadcast.

    exceeded: P_learned(C > K), or an upper limit of it, in [0, 1]; budget K >= 0, fixed before C is
    seen; log_p = -L = log P_exact(E) <= 0. 1 where K >= L: then it says nothing. No moment of C
    enters, so that rare expensive paths do not spoil it.
    """
    share, cost = _probability(exceeded, "exceeded"), nonnegative(budget, "budget")
    rarity = -_log_probability(log_p)
    rest = 2.0 * np.exp(-np.square(np.sqrt(rarity) - np.sqrt(cost)))
    return np.where(cost < rarity, np.minimum(share + rest, 1.0), 1.0)


def path_budget(log_p: ArrayLike, level: float = 1e-4) -> Array:
    """The K at which the second term of `pathwise_probability` is `level` in (0, 2), 0 for none."""
    room = check_positive(level, "level")
    if room >= 2.0:
        raise InputError("level must be below 2", level, "It is part of a probability.")
    slack = np.sqrt(-_log_probability(log_p)) - math.sqrt(math.log(2.0 / room))
    return np.square(np.maximum(slack, 0.0))


def stopped_probability(divergence: ArrayLike, exceeded: ArrayLike, log_p: ArrayLike) -> Array:
    """kl^-1(E min(C, K); P_exact) + P(C > K) >= P_learned(E), with K >= 0 fixed before.

    divergence: E min(C, K), or an upper limit; exceeded: P_learned(C > K). The chain that turns to
    the exact score before its cost exceeds K has divergence at most E min(C, K), and differs from
    the learned one on paths with C > K alone. K = infinity is the divergence of the whole chain.
    """
    inverse = np.exp(log_kl_inverse(divergence, log_p))
    return np.minimum(inverse + _probability(exceeded, "exceeded"), 1.0)


def bounded_mean_limit(mean: float, largest: float, count: int, miss: float) -> float:
    """Upper limit for the expectation of independent values in [0, largest], from the mean of
    `count` of them; too small with probability at most miss in (0, 1).

    The largest m with count kl(mean/largest || m/largest) <= log(1/miss). Source: Hoeffding, J. Am.
    Stat. Assoc. 58 (1963), Theorem 1. No distribution is assumed.
    """
    size = check_positive(largest, "largest")
    share = check_nonnegative(mean, "mean") / size
    chance = check_positive(miss, "miss")
    if share > 1.0 or chance >= 1.0:
        raise InputError(
            "mean must not exceed largest, and miss lie in (0, 1)",
            f"mean {mean}, largest {largest}, miss {miss}",
            "Cap the values first.",
        )
    allowed = math.log(1.0 / chance) / check_integer(count, "count", 1)
    low, high = share, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        low, high = (middle, high) if _coin(share, middle) <= allowed else (low, middle)
    return high * size


def _coin(x: float, m: float) -> float:
    """kl(x || m) for 0 <= x <= m <= 1."""
    first = 0.0 if x == 0.0 else x * math.log(x / m)
    if x == 1.0:
        return first
    return math.inf if m == 1.0 else first + (1.0 - x) * (math.log1p(-x) - math.log1p(-m))


def _log_probability(values: ArrayLike) -> Array:
    array = real(values, "log_p")
    if not (array <= 0.0).all():
        raise InputError("the logarithm of a probability is at most 0", describe(values), "Check.")
    return array


def _probability(values: ArrayLike, name: str) -> Array:
    array = nonnegative(values, name)
    if not (array <= 1.0).all():
        raise InputError(f"{name} must be a probability", describe(values), "Pass a share.")
    return array
