"""M5': the law of the variance of x0_hat over a window of steps (Hal of arXiv 2406.09358 v2).

Inside one mode DDPM's x0_hat is Gaussian with Cov(x0_hat_t, x0_hat_s) = sigma^4 V_t/v_t^2 for
s < t, per coordinate, so the variance over the window, averaged over d coordinates, is
sum_k w_k chi^2_d/d with w the eigenvalues of the centred covariance over the window's
length. Under the exact reverse law of any mixture x0_hat is a martingale, and the mean is a
weighted sum of the denoiser's mean squared errors. Derived here; between modes nothing beyond the
mean has a closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_array, check_integer, check_positive, describe
from mixdyn.support.errors import InputError

from .linear import grid_index, linear_recursion_std, noise_levels

_STEP, _FALL = 0.04, 40.0  # of the trapezoidal rule; exponent at which its integrand is cut
_HALF_WIDTH = 12.0  # standard deviations on either side in the integral over a pair's coordinate


@dataclass(frozen=True)
class QuadraticForm:
    """The law of sum_k weights_k chi^2_k/d, independent chi-squares of d degrees each.

    weights : (w - 1,) positive, in squared units of the data.
    """

    weights: Array
    d: int

    @property
    def mean(self) -> float:
        """Sum of the weights."""
        return float(self.weights.sum())

    @property
    def variance(self) -> float:
        """2/d times the sum of their squares."""
        return float(2.0 / self.d * np.square(self.weights).sum())

    def tail(self, x: float) -> float:
        """P(form > x), x > 0, to about 1e-13.

        The inverse Laplace transform of the generating function over s, on a parabola around its
        branch cut on which the integrand falls without oscillating (Rice, SIAM J. Sci. Stat.
        Comput. 1 (1980)), by the trapezoidal rule.
        """
        ratio = check_positive(x, "x") / self.mean
        scale = 2.0 * self.weights / (self.d * self.mean)
        start = 0.5 / scale.max()  # between the pole at 0 and the branch point
        reach = math.asinh(math.sqrt(_FALL / (start * ratio)))
        nodes = np.linspace(-reach, reach, 2 * math.ceil(reach / _STEP) + 1)
        tau, d_tau = np.sinh(nodes), np.cosh(nodes)
        s = start * (1.0 + tau**2 + 2j * tau)
        logs = -0.5 * self.d * np.log(1.0 - scale[:, None] * s).sum(axis=0)
        values = np.exp(logs - s * ratio) / s * 2.0 * start * (tau + 1j) * d_tau
        total = float(values.imag.sum()) * (nodes[1] - nodes[0]) / (2.0 * math.pi)
        return min(1.0, max(0.0, total))

    def quantile(self, share: float) -> float:
        """The x with P(form <= x) = share, share in (0, 1)."""
        part = check_positive(share, "share")
        if part >= 1.0:
            raise InputError("share must be below 1", share, "The form has no largest value.")

        def excess(log_x: float) -> float:
            return 1.0 - self.tail(math.exp(log_x)) - part

        middle = math.log(self.mean)
        return math.exp(_root(excess, middle - 40.0, middle + 8.0))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-12, rtol=1e-12))


def window_covariance(
    alpha_bar: ArrayLike,
    times: ArrayLike,
    window: int,
    sigma: float,
    *,
    noise_var: ArrayLike | None = None,
) -> Array:
    """Covariance of DDPM's x0_hat inside one mode over the last `window` steps, (w, w) per
    coordinate, in the order of sampling.

    alpha_bar, noise_var (T + 1,), times (S + 1,) and sigma as `linear_recursion_std` takes them;
    the chain starts from the exact marginal at times[0].
    """
    index = grid_index(times, len(np.asarray(alpha_bar)))
    length = check_integer(window, "window", 2)
    if length >= len(index):
        raise InputError(
            f"window must not exceed the {len(index) - 1} steps of the grid",
            window,
            "Shorten it.",
        )
    abar = check_array(alpha_bar, "alpha_bar", ndim=1)
    nu = 1.0 - abar if noise_var is None else check_array(noise_var, "noise_var", ndim=1)
    spread = linear_recursion_std(abar, times, 1.0, sigma, noise_var=nu)[-1 - length : -1]
    v = sigma**2 + noise_levels(abar, nu)[index[-1 - length : -1]]
    of_first = sigma**4 * np.square(spread) / np.square(v)
    order = np.arange(length)
    covariance: Array = of_first[np.minimum(order[:, None], order)]
    return covariance


def window_variance_law(covariance: ArrayLike, d: int) -> QuadraticForm:
    """Law of the variance over the window, averaged over d coordinates of that covariance (w, w)
    each."""
    k = check_array(covariance, "covariance", ndim=2)
    if k.shape[0] != k.shape[1] or len(k) < 2 or not np.array_equal(k, k.T):
        raise InputError(
            "a covariance over a window is symmetric, at least 2 x 2", describe(k), "Check it."
        )
    centred = k - k.mean(axis=0) - k.mean(axis=1)[:, None] + k.mean()
    weights = np.linalg.eigvalsh(centred)[1:] / len(k)
    positive = weights > len(k) * np.finfo(float).eps * np.abs(weights).max()
    return QuadraticForm(weights[positive], check_integer(d, "d", 1))


def expected_window_variance(errors: ArrayLike) -> float:
    """Mean over the exact reverse law of the variance of x0_hat over a window.

    errors (w,) : mean squared error of the denoiser at the window's steps in the order of
    sampling, hence falling; per coordinate or averaged over coordinates, as the result is.
    """
    m = check_array(errors, "errors", ndim=1)
    w = len(m)
    if w < 2 or (np.diff(m) > 0.0).any():
        raise InputError(
            "errors of a denoiser fall along the reverse process, over two steps or more",
            describe(m),
            "Give them in the order of sampling.",
        )
    return float((w - 1 - 2 * np.arange(w)) @ m) / w**2


def pair_error(length: float, sigma: float, rho: float) -> float:
    """Mean squared error of the exact denoiser along two equal modes `length` apart, at noise
    level rho = noise_var/alpha_bar: one integral over the coordinate of the pair, to about 1e-12 of
    length^2."""
    l, noise = check_positive(length, "length"), check_positive(rho, "rho")
    sigma2 = check_positive(sigma, "sigma") ** 2
    v = sigma2 + noise
    # By symmetry y is drawn from the mode at l/2; gamma (1 - gamma) = 1/(4 cosh^2(l y/(2 v))).
    from scipy.integrate import quad

    def weighted(z: float) -> float:
        y = 0.5 * l + math.sqrt(v) * z
        half = min(abs(0.5 * l * y / v), 350.0)
        density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        return density / (4.0 * math.cosh(half) ** 2)

    middle = max(-_HALF_WIDTH, -0.5 * l / math.sqrt(v))
    parts = ((-_HALF_WIDTH, middle), (middle, _HALF_WIDTH))
    undecided = sum(quad(weighted, a, b, limit=400, epsabs=1e-14)[0] for a, b in parts if b > a)
    return sigma2 * noise / v + (noise / v) ** 2 * l**2 * undecided
