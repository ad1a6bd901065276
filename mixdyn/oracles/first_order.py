"""X19: the error that DDIM's first order leaves, closed within one mode and by levels on lines.

DDIM is Euler's method in s = sqrt(rho). Within one mode, with s = sigma tan(theta), a grid returns
the product of cos(theta_k - theta_{k+1}) of the standard deviation. On a line with the grid s =
S(1 - k/K) a path ends where the distribution function is lower by c/K than where it started,

    c = 1/2 int S'^2 y'' p_s dtau,   y'' = -g - s^2 (g g' + g''),   g = d/dy log p_s,

along the exact path, which keeps its level (O2). (Own derivation.)
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from mixdyn.support.checks import Array, check_array, check_positive, describe
from mixdyn.support.errors import InputError, NotApplicableError

from .separable import separate

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_HALVINGS, _REACH = 60, 9.0  # of standard deviations beyond the means: levels beyond 1e-18


def first_order_std(noise_std: ArrayLike, sigma: float) -> float:
    """The share of a mode's standard deviation that DDIM returns, its start that of the marginal.

    noise_std (K + 1,): sqrt(rho) at the nodes, decreasing to 0; sigma > 0. W2 from the mode is
    sqrt(d) sigma (1 - this), at least that of equal angles, 1 - cos(theta/K)^K.
    """
    theta = np.arctan(_falling(noise_std) / check_positive(sigma, "sigma"))
    return float(np.prod(np.cos(np.diff(theta))))


@dataclasses.dataclass(frozen=True)
class LevelError:
    """constant (n,): K times what each path's level loses, as K grows. place,
    density (n,): where the exact path ends in the data, and their density there."""

    constant: Array
    place: Array
    density: Array


def first_order_levels(
    mixture: GaussianMixture, levels: ArrayLike, noise_std: ArrayLike
) -> LevelError:
    """The errors of DDIM on a line, of paths at these levels (in 1e-18..1) of its distribution.

    noise_std (M + 1,): the grid S(1 - tau) at even tau in 0..1, sqrt(rho) decreasing to 0, so dense
    that sums stand for integrals. NotApplicableError beyond one dimension or one sigma.
    """
    if mixture.d > 1:
        raise NotApplicableError(
            "errors of levels are of a line", f"d = {mixture.d}", "Take an axis of it."
        )
    (axis,) = separate(mixture, "the error of a level").axes
    level = check_array(levels, "levels", ndim=1)
    s = _falling(noise_std)[:, None, None]
    std = np.sqrt(float(mixture.sigma) ** 2 + s**2)
    y = _quantiles(axis.values, axis.weights, level, std)
    bend = _bend_density(axis.values, axis.weights, y, s, std)
    speed = np.gradient(s[:, 0, 0]) * (len(s) - 1)
    weight = np.full(len(s), 1.0 / (len(s) - 1))
    weight[[0, -1]] /= 2
    constant = (weight * speed**2) @ bend / 2
    z = (y[-1][:, None] - axis.values) / std[-1]
    density = np.exp(-(z**2) / 2) @ axis.weights / (std[-1, 0, 0] * np.sqrt(2 * np.pi))
    return LevelError(constant, y[-1], density)


def _quantiles(values: Array, weights: Array, level: Array, std: Array) -> Array:
    """Where the marginals of modes of std (M, 1, 1) have these levels (n,), (M, n)."""
    reach = np.abs(values).max() + _REACH * std[:, :, 0] * np.ones_like(level)
    low, high = -reach, reach
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        under = ndtr((middle[..., None] - values) / std) @ weights < level
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return np.asarray((low + high) / 2)


def _bend_density(values: Array, weights: Array, y: Array, s: Array, std: Array) -> Array:
    """y'' p_s at y (M, n)."""
    z = (y[..., None] - values) / std
    mass = weights * np.exp(-(z**2) / 2)
    total = mass.sum(axis=2)
    share = mass / np.maximum(total, np.finfo(float).tiny)[..., None]
    own = -z / std  # the score of each mode; p''/p and p'''/p by Hermite's polynomials
    first = (share * own).sum(axis=2)
    second = (share * (own**2 - 1 / std**2)).sum(axis=2)
    third = (share * (own**3 - 3 * own / std**2)).sum(axis=2)
    slope, curve = second - first**2, third - 3 * second * first + 2 * first**3
    bend = -first - s[..., 0] ** 2 * (first * slope + curve)
    return np.asarray(bend * total / (std[..., 0] * np.sqrt(2 * np.pi)))


def _falling(noise_std: ArrayLike) -> Array:
    s = check_array(noise_std, "noise_std", ndim=1)
    if len(s) < 2 or s[-1] != 0.0 or not (np.diff(s) < 0.0).all():
        raise InputError(
            "noise levels fall strictly to 0", describe(noise_std), "Pass sqrt(rho) at the nodes."
        )
    return s
