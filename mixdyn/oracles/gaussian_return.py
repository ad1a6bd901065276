r"""X15: how often a clone of one of n Gaussian data comes back to it, over data sets too.

Gaussian data. n points drawn from N(0, I_d): others are met at squared distances of a noncentral
chi-square law, and 1/(a + S) = int_0^inf exp(-t (a + S)) dt turns their sum S into a power,

    E gamma_own = E int_0^inf e^{-t} phi(t e^{|xi|^2/2})^{n-1} dt,
    phi(z) = E exp(-z exp(-|y - x|^2/(2 rho))),

averaged over data sets too. Biroli et al., arXiv 2402.18491, have its limit of large d.
"""

from __future__ import annotations

import math

import numpy as np

from mixdyn.support.checks import Array, check_integer, check_positive

from .quadrature import legendre

_NODES = 240
_REACH = 9.0  # standard deviations
_TINY = 1e-280  # of a probability


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
    x, weights = legendre(n)
    return 0.5 * (low + high) + 0.5 * (high - low) * x, 0.5 * (high - low) * weights


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
