"""O4: two modes, where the mean field is a logistic function of one coordinate.

With k and z of the pair (mode i at z = 1/2, mode j at -1/2) and b = log(w_i/w_j),

    logit gamma_i = k z + b,    dz/du = f(z) = logistic(k z + b) - 1/2 - z.

arXiv 2605.06831 v1, section 4 (equal weights: tanh(k z/2) = 2 z) and appendix B.1 (unequal).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from mixdyn.support.checks import (
    Array,
    check_alpha_bar,
    check_array,
    check_nonnegative,
    check_positive,
)

_FAINT = 1e-60  # a log weight ratio of which every root takes in its leading term alone


def two_mode_logit(z: ArrayLike, k: float, log_weight_ratio: float = 0.0) -> Array:
    """logit of the responsibility of mode i at z (any shape); k = l^2/v > 0."""
    return np.asarray(check_positive(k, "k") * _real(z, "z") + _number(log_weight_ratio))


def two_mode_drift(z: ArrayLike, k: float, log_weight_ratio: float = 0.0) -> Array:
    """dz/du, the parallel velocity of the probability-flow ODE, in units of l; z any shape.

    With x = (k z + b)/2 it is tanh(x)/2 - z = ((k - 4) z + b)/4 - (x - tanh x)/2, whose terms are
    those that meet at a bifurcation: near k = 4, z = 0 no digit of the other form is left.
    """
    place, strength = _real(z, "z"), check_positive(k, "k")
    log_odds = two_mode_logit(place, strength, log_weight_ratio)
    # Measured from the nearer mode, so that the tiny pull right at a mode keeps its digits.
    upward, downward = expit(log_odds), expit(-log_odds)
    far = np.where(place < 0, upward - (0.5 + place), (0.5 - place) - downward)
    x = np.clip(0.5 * log_odds, -1.0, 1.0)
    bend = _cosh_excess(x) / np.cosh(x)  # x - tanh x
    near = 0.25 * ((strength - 4.0) * place + _number(log_weight_ratio)) - 0.5 * bend
    return np.asarray(np.where(np.abs(log_odds) < 2.0, near, far))


def _cosh_excess(x: Array) -> Array:
    """x cosh x - sinh x for |x| <= 1, every term of one sign: sum of 2n x^(2n+1)/(2n+1)!."""
    total = np.zeros_like(x)
    for n in range(10, 0, -1):
        total = (total + 2.0 * n / math.factorial(2 * n + 1)) * x * x
    return np.asarray(x * total)


def two_mode_slope(z: ArrayLike, k: float) -> Array:
    """f'(z) at an equilibrium z of the two-mode drift: k (1/4 - z^2) - 1.

    At an equilibrium gamma_i = z + 1/2, for any weights; elsewhere it is not the slope.
    """
    place = _real(z, "z")
    return check_positive(k, "k") * (0.25 - place**2) - 1.0


def two_mode_equilibria(k: float, log_weight_ratio: float = 0.0) -> Array:
    """All equilibria, increasing: one, or three (mode j, the unstable saddle, mode i).

    Three iff k > 4 and |log(w_i/w_j)| < k s/2 - 2 artanh(s), s = sqrt(1 - 4/k): the drift's local
    minimum is negative and its local maximum positive. Limits of exactly that kind count as one.
    """
    strength, bias = check_positive(k, "k"), _number(log_weight_ratio)
    if abs(bias) <= _FAINT:
        middle, upper = _faint_root(strength, bias), _pitchfork_branch(strength)
        return np.array([-upper, middle, upper] if upper > 0.0 else [middle])

    def drift(z: float) -> float:
        return float(two_mode_drift(z, strength, bias))

    # At a root |b| <= k |z| + 2 artanh(2 |z|), below (k + 5) |z| up to 1/4: none is closer to 0.
    nearest = 0.5 * min(0.25, abs(bias) / (strength + 5.0))
    knots = [-0.5, -nearest, nearest, 0.5]
    if strength > 4.0:
        edge = _turning_logit(strength)
        turns = [(r - bias) / strength for r in (-edge, edge)]
        knots = sorted({*knots, *(t for t in turns if nearest < abs(t) < 0.5)})
    roots = []
    for low, high in itertools.pairwise(knots):
        ends = drift(low), drift(high)
        if ends[0] == 0.0:  # the pull underflows at a mode: the equilibrium is the mode itself
            roots.append(low)
        elif min(ends) < 0.0 < max(ends):
            roots.append(_root(drift, low, high))
        elif ends[1] == 0.0 and high == 0.5:
            roots.append(high)
    return np.array(roots)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """The sign change between two numbers of one sign, however many decades apart."""
    from scipy.optimize import brentq

    rising = function(low) < 0.0
    while max(low / high, high / low) > 4.0:
        middle = math.copysign(math.sqrt(low * high), low)
        if (function(middle) < 0.0) == rising:
            low = middle
        else:
            high = middle
    return float(brentq(function, low, high, xtol=5e-324, rtol=8.9e-16))


def _faint_root(k: float, bias: float) -> float:
    """The root next to 0 for |b| <= 1e-60, down to the least double.

    At a root b = 2 artanh(2 z) - k z = (4 - k) z + 16 z^3/3 + ..., where |4 - k| is 0 or more than
    4e-16: a single term carries all digits, and the outer roots do not see b.
    """
    if bias == 0.0:
        return 0.0
    return math.cbrt(0.1875) * math.cbrt(bias) if k == 4.0 else bias / (4.0 - k)


def _turning_logit(k: float) -> float:
    """2 artanh(s), s = sqrt(1 - 4/k) for k > 4: the logit at which the drift turns."""
    s = math.sqrt((k - 4.0) / k)
    return 2.0 * math.atanh(s) if s < 0.5 else 2.0 * math.log(0.5 * (1.0 + s) * math.sqrt(k))


def _pitchfork_branch(k: float) -> float:
    """The root z > 0 of tanh(k z/2) = 2 z, 0 for k <= 4, where it leaves 0 as sqrt(3 (k - 4))/4.

    With x = k z/2 it is x/tanh x - 1 = (k - 4)/4, whose sides keep their digits at any k > 4.
    """
    from scipy.optimize import brentq

    excess = 0.25 * (k - 4.0)
    if excess <= 0.0:
        return 0.0

    def gap(x: float) -> float:
        if x < 1.0:
            return float(_cosh_excess(np.array(x))) / math.sinh(x) - excess
        return (x / math.tanh(x) - 1.0) - excess

    # x - 1 <= x/tanh x - 1 <= x^2/3, widened by more than their rounding.
    low, high = math.sqrt(3.0 * excess) * (1.0 - 1e-9), (1.0 + excess) * (1.0 + 1e-9)
    return 0.5 * math.tanh(
        float(brentq(gap, min(low, high / 2.0), high, xtol=5e-324, rtol=8.9e-16))
    )


def reverse_bisector_drift(
    a: ArrayLike, length: float, alpha_bar: float, sigma: float, *, noise_var: float | None = None
) -> Array:
    """Drift of the reverse SDE along the pair, per unit of int beta: b(a, t)/beta_t.

    a: <x - alpha midpoint, n> in units of x, any shape; length l and sigma in the units of the
    data; two equal modes. From dx = [x/2 + score] beta dt + sqrt(beta) dB with the two-mode score.
    """
    place, l_data = _real(a, "a"), check_positive(length, "length")
    abar = check_alpha_bar(alpha_bar)
    nu = 1.0 - abar if noise_var is None else check_nonnegative(noise_var, "noise_var")
    sigma_t2 = abar * check_positive(sigma, "sigma") ** 2 + nu
    half = 0.5 * math.sqrt(abar) * l_data
    return 0.5 * place + (half * np.tanh(half * place / sigma_t2) - place) / sigma_t2


def _number(log_weight_ratio: float) -> float:
    return float(check_array(log_weight_ratio, "log_weight_ratio", ndim=0))


def _real(values: ArrayLike, name: str) -> Array:
    return check_array(values, name, ndim=np.ndim(values))
