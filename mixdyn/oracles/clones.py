r"""X15, X16: whether two draws of the reversed diffusion from one noisy state end alike.

With y = x_0 + sqrt(v) xi and gamma the posterior of where x_0 lies, a draw comes back to the mode
(or the data point) that y was made of with probability E gamma_own = E sum_k gamma_k^2, the chance
that two of them, clones, end in one mode.

Two modes. With k = l^2/v and b = log(w_i/w_j) clones part with probability

    sqrt(w_i w_j) exp(-k/8) E sech(L/2),    L ~ N(b, k).

Gaussian data. n points drawn from N(0, I_d): others are met at squared distances of a noncentral
chi-square law, and 1/(a + S) = int_0^inf exp(-t (a + S)) dt turns their sum S into a power,

    E gamma_own = E int_0^inf e^{-t} phi(t e^{|xi|^2/2})^{n-1} dt,
    phi(z) = E exp(-z exp(-|y - x|^2/(2 rho))),

averaged over data sets too. Biroli et al., arXiv 2402.18491, have its limit of large d.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_array, check_integer, check_positive
from mixdyn.support.errors import InputError

_LOGITS = 90.0  # sech(L/2) is below 1e-19 of its largest value beyond
_NODES = 240
_REACH = 9.0  # standard deviations
_TINY = 1e-280  # of a probability


def log_two_mode_parting(k: ArrayLike, log_weight_ratio: ArrayLike = 0.0) -> Array:
    """log of the probability that two clones of a path end in different ones of two modes.

    k = l^2/v > 0, of one covariance C the squared Mahalanobis length, and log(w_i/w_j), any shapes
    that broadcast. The trapezoidal rule, exponentially exact here.
    """
    given = check_array(k, "k", ndim=np.ndim(k))
    bias = check_array(log_weight_ratio, "log_weight_ratio", ndim=np.ndim(log_weight_ratio))
    if (given <= 0.0).any():
        raise InputError("k must be > 0", float(given.min()), "Pass l^2/v.")
    strength, ratio = np.broadcast_arrays(given, np.abs(bias))
    strength, ratio = strength[..., None], ratio[..., None]
    std = np.sqrt(strength)
    low = np.maximum(ratio - 14.0 * std, -_LOGITS)
    high = np.minimum(ratio + 14.0 * std, _LOGITS + ratio)
    logit = low + (high - low) * np.linspace(0.0, 1.0, 1201)
    step = (high - low) / 1200.0
    # log sech(L/2) = log 2 - |L|/2 - log(1 + e^-|L|)
    exponent = -0.5 * np.square((logit - ratio) / std) - 0.5 * np.abs(logit)
    exponent -= np.log1p(np.exp(-np.abs(logit)))
    top = exponent.max(axis=-1, keepdims=True)
    total = np.log(np.exp(exponent - top).sum(axis=-1)) + top[..., 0]
    total += np.log(2.0 * step[..., 0] / std[..., 0]) - 0.5 * math.log(2.0 * math.pi)
    # log sqrt(w_i w_j) of weights that sum to one
    ratio = ratio[..., 0]
    root = -0.5 * ratio - np.log1p(np.exp(-ratio))
    return np.asarray(root - strength[..., 0] / 8.0 + total)


def two_mode_return(k: ArrayLike, log_weight_ratio: ArrayLike = 0.0) -> Array:
    """The probability that two clones of a path end in one of two modes; arguments of
    `log_two_mode_parting`. Of equal weights 0.775 where the saddle is born, k = 4."""
    return np.asarray(-np.expm1(log_two_mode_parting(k, log_weight_ratio)))


def information_rho(eigenvalues: ArrayLike, nats: float) -> float:
    """The noise variance rho at which Gaussian data of a covariance with these eigenvalues (d,) >=
    0 share so many nats > 0 with a noisy state: (1/2) sum log(1 + lambda_i/rho) = nats.

    With nats = log n the collapse of Biroli et al., 1/(n^(2/d) - 1) of unit eigenvalues. No other
    data of this covariance share more at any rho, so theirs lies no higher.
    """
    from scipy.optimize import brentq

    spectrum = check_array(eigenvalues, "eigenvalues", ndim=1)
    wanted = check_positive(nats, "nats")
    if spectrum.size == 0 or (spectrum < 0.0).any() or not spectrum.any():
        raise InputError(
            "eigenvalues must be >= 0, one of them positive",
            f"{spectrum.size} from {spectrum.min(initial=0.0)} to {spectrum.max(initial=0.0)}",
            "Pass variances.",
        )
    spectrum = spectrum[spectrum > 0.0]

    def excess(log_rho: float) -> float:
        # Also where lambda/rho overflows: then log(1 + x) is log x.
        terms = np.logaddexp(0.0, np.log(spectrum) - log_rho)
        return 0.5 * float(terms.sum()) - wanted

    # sum log(1 + lambda/rho) lies between that of the largest alone and d times it.
    top = math.log(spectrum.max())
    each = math.log(math.expm1(2.0 * wanted)) if wanted < 300.0 else 2.0 * wanted
    shared = math.log(math.expm1(2.0 * wanted / spectrum.size)) if wanted < 300.0 else (
        2.0 * wanted / spectrum.size
    )  # fmt: skip
    return math.exp(float(brentq(excess, top - each - 1.0, top - shared + 1.0, xtol=1e-14)))


def gaussian_return(n: int, d: int, rho: float) -> float:
    """E gamma_own of n points drawn from N(0, I_d), over data sets, points and noise, at noise
    variance rho: how often a clone of a point comes back to it. n >= 2, d >= 1; to 1e-6."""
    others, d = check_integer(n, "n", 2) - 1, check_integer(d, "d", 1)
    rho = check_positive(rho, "rho")
    middle, total = math.sqrt(d), 0.0
    r, each = _nodes(max(middle - _REACH, 0.0), middle + _REACH, 32)
    each = each * np.exp(_log_chi(r, d, 0.0))
    for radius, weight in zip(r.tolist(), each, strict=True):
        total += weight * _return_at(others, d, rho, radius)
    return float(total / each.sum())


def _nodes(low: float, high: float, n: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss and Legendre: densities of lengths are not flat at 0."""
    x, weights = _legendre(n)
    return 0.5 * (low + high) + 0.5 * (high - low) * x, 0.5 * (high - low) * weights


@functools.cache
def _legendre(n: int) -> tuple[Array, Array]:
    x, weights = np.polynomial.legendre.leggauss(n)
    return np.asarray(x), np.asarray(weights)


def _log_chi(r: Array, d: int, m: float) -> Array:
    """Log density at r (n,) of |m e + N(0, I_d)|, e a unit vector, m >= 0."""
    if d == 1:  # the two normal densities, also at r = 0
        pair = np.logaddexp(-0.5 * np.square(r - m), -0.5 * np.square(r + m))
        return np.asarray(pair - 0.5 * math.log(2.0 * math.pi))
    from scipy.special import gammaln, ive

    order = 0.5 * d - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        if m == 0.0:
            value = (d - 1) * np.log(r) - 0.5 * np.square(r) - order * math.log(2.0)
            value = value - gammaln(0.5 * d)
        else:
            value = np.log(r) + order * np.log(r / m) - 0.5 * np.square(r - m)
            # SciPy gives up on arguments beyond 1e9.
            z = np.minimum(r * m, 1e8)
            value = value + np.log(ive(order, z)) + 0.5 * np.log(z / (r * m))
    return np.asarray(np.where(r > 0.0, value, -np.inf))


def _return_at(others: int, d: int, rho: float, radius: float) -> float:
    """E gamma_own given |y| = sqrt(1 + rho) radius.

    xi given y is sqrt(rho/(1 + rho)) of its direction's radius plus N(0, I/(1 + rho)); s = G +
    |xi|^2/2 with e^G exponential stands for log(t) + |xi|^2/2.
    """
    from scipy.interpolate import CubicSpline

    away = math.sqrt(rho) * radius
    middle = math.hypot(away, math.sqrt(d))
    length, own = _nodes(max(middle - _REACH, 0.0), middle + _REACH, 160)
    own = own * np.exp(_log_chi(length, d, away))
    half_square = 0.5 * np.square(length) / (1.0 + rho)
    g = np.linspace(-20.0, 4.0, 160)
    of_g = np.exp(g - np.exp(g)) * (g[1] - g[0])
    s = np.linspace(half_square[0] + g[0], half_square[-1] + g[-1], _NODES)
    # log(-log phi), nearly straight, on the grid of s, then at every sum of the two by a cubic.
    missed = np.clip(_missed(s, d, rho, math.sqrt(1.0 + rho) * radius), _TINY, 1.0 - 1e-15)
    curve = CubicSpline(s, np.log(-np.log1p(-missed)))
    values = np.exp(-others * np.exp(curve(half_square[:, None] + g)))
    return float((own[:, None] * of_g * values).sum() / (own.sum() * of_g.sum()))


def _missed(s: Array, d: int, rho: float, away: float) -> Array:
    """E[1 - exp(-e^(s - D^2/(2 rho)))] at s (m,), D = |y - x| for x of N(0, I_d), |y| = away."""
    farthest = min(math.sqrt(2.0 * rho * (s[-1] + 45.0)), away + math.sqrt(d) + 12.0)
    nearest = max(0.0, away - math.sqrt(d) - 38.0)
    r, each = _nodes(nearest, farthest, 240)
    each = each * np.exp(_log_chi(r, d, away))
    exponent = s[:, None] - 0.5 * np.square(r) / rho
    return np.asarray(-np.expm1(-np.exp(exponent)) @ each)
