"""O4: two modes, where the mean field is a logistic function of one coordinate.

For modes at distance l write k = l^2/v and z for the coordinate along the pair, in units of l,
measured from the midpoint (mode i at 1/2, mode j at -1/2). With b = log(w_i/w_j),

    logit gamma_i = k z + b,    dz/du = f(z) = logistic(k z + b) - 1/2 - z.

arXiv 2605.06831 v1, section 4 (equal weights: tanh(k z/2) = 2 z) and appendix B.1 (unequal).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from mixdyn.validation import Array, check_alpha_bar, check_array, check_nonnegative, check_positive


def two_mode_logit(z: ArrayLike, k: float, log_weight_ratio: float = 0.0) -> Array:
    """logit of the responsibility of mode i at z (any shape); k = l^2/v > 0."""
    return np.asarray(check_positive(k, "k") * _real(z, "z") + _number(log_weight_ratio))


def two_mode_drift(z: ArrayLike, k: float, log_weight_ratio: float = 0.0) -> Array:
    """dz/du, the parallel velocity of the probability-flow ODE, in units of l; z any shape."""
    place = _real(z, "z")
    level = two_mode_logit(place, k, log_weight_ratio)
    # Measured from the nearer mode, so that the tiny pull right at a mode keeps its digits.
    upward, downward = expit(level), expit(-level)
    return np.asarray(np.where(place < 0, upward - (0.5 + place), (0.5 - place) - downward))


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
    from scipy.optimize import brentq

    strength, bias = check_positive(k, "k"), _number(log_weight_ratio)

    def drift(z: float) -> float:
        return float(two_mode_drift(z, strength, bias))

    knots = [-0.5, 0.5]
    if strength > 4.0:
        s = math.sqrt(1.0 - 4.0 / strength)
        turns = [(float(logit((1.0 + r) / 2.0)) - bias) / strength for r in (-s, s)]
        knots = [-0.5, *(t for t in turns if -0.5 < t < 0.5), 0.5]
    roots = []
    for low, high in itertools.pairwise(knots):
        ends = drift(low), drift(high)
        if ends[0] == 0.0:  # the pull underflows at a mode: the equilibrium is the mode itself
            roots.append(low)
        elif ends[0] * ends[1] < 0.0:
            roots.append(float(brentq(drift, low, high, xtol=1e-300, rtol=8.9e-16)))
        elif ends[1] == 0.0 and high == 0.5:
            roots.append(high)
    return np.array(roots)


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
