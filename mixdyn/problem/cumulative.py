"""Cumulated signal and noise of a schedule, correctly rounded but for an ulp.

abar_t = prod_{s <= t} (1 - beta_s) multiplies what a rounded sum of logarithms leaves of its last
digit, and 1 - abar_t loses the digits of small betas. So both are carried as unevaluated sums of
two doubles (Dekker 1971; error-free sums and products as there): the signal as a product with its
power of two apart, since its low part would underflow, and the noise n = 1 - abar by n <- n + beta
(1 - n), whose terms never cancel. Both laws are associative: times are joined in blocks, then the
blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..support.checks import Array

_SPLIT = 134217729.0  # 2^27 + 1 halves the digits of a double
_BLOCK = 32

Pair = tuple[Array, Array]  # an unevaluated sum, the second at most half an ulp of the first


class Levels(NamedTuple):
    """alpha_bar, 1 - alpha_bar and their quotient rho = (1 - alpha_bar)/alpha_bar, each (T,)."""

    alpha_bar: Array
    noise_var: Array
    rho: Array


def cumulated(beta: Array) -> Levels:
    """The levels after each of the betas (T,), all in (0, 1)."""
    none = np.zeros_like(beta)
    after = _scan(np.stack([beta, none, *_scaled(_sum(np.ones_like(beta), -beta), none)]))
    noise, signal, power = (after[0], after[1]), (after[2], after[3]), after[4].astype(np.int64)
    alpha_bar = np.ldexp(signal[0] + signal[1], power)
    return Levels(alpha_bar, noise[0], np.ldexp(_quotient(noise, signal), -power))


def _joined(a: Array, b: Array) -> Array:
    """b after a, each (5, ...): a pair for the noise, a pair for the signal, its power of two."""
    one, other = (a[0], a[1]), (b[0], b[1])
    high, low = _times(one, other)
    noise = _plus(_plus(one, other), (-high, -low))
    return np.stack([*noise, *_scaled(_times((a[2], a[3]), (b[2], b[3])), a[4] + b[4])])


def _scan(steps: Array) -> Array:
    """Entry t joins the entries 0..t of `steps` (5, n)."""
    n = steps.shape[1]
    width = min(n, _BLOCK)
    rows = -(-n // width)
    table = np.zeros((5, rows * width))
    table[2], table[4] = 0.5, 1.0  # past the end: steps that change nothing, 0.5 * 2^1 = 1
    table[:, :n] = steps
    table = table.reshape(5, rows, width)
    for k in range(1, width):
        table[:, :, k] = _joined(table[:, :, k - 1], table[:, :, k])
    if rows > 1:
        before = _scan(table[:, :-1, -1])
        table[:, 1:] = _joined(before[:, :, None], table[:, 1:])
    return table.reshape(5, -1)[:, :n]


def _scaled(value: Pair, power: Array) -> tuple[Array, Array, Array]:
    """The same number with a high part in [0.5, 1)."""
    high, shift = np.frexp(value[0])
    return high, np.ldexp(value[1], -shift), power + shift


def _sum(a: Array, b: Array) -> Pair:
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _product(a: Array, b: Array) -> Pair:
    high = a * b
    (a_1, a_2), (b_1, b_2) = _halves(a), _halves(b)
    return high, ((a_1 * b_1 - high) + a_1 * b_2 + a_2 * b_1) + a_2 * b_2


def _halves(a: Array) -> Pair:
    wide = _SPLIT * a
    high = wide - (wide - a)
    return high, a - high


def _plus(a: Pair, b: Pair) -> Pair:
    high, low = _sum(a[0], b[0])
    return _sum(high, low + (a[1] + b[1]))


def _times(a: Pair, b: Pair) -> Pair:
    high, low = _product(a[0], b[0])
    return _sum(high, low + (a[0] * b[1] + a[1] * b[0]))


def _quotient(a: Pair, b: Pair) -> Array:
    first = a[0] / b[0]
    high, low = _product(first, b[0])
    rest: Array = first + (((a[0] - high) - low) + a[1] - first * b[1]) / b[0]
    return rest
