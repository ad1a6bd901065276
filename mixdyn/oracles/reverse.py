"""O1: the exact law of the continuous reverse SDE between any two noise levels.

x_s given x_t is again a Gaussian mixture; in static coordinates, with q_k = v_k(s)/v_k(t),

    weights    proportional to  w_k v_k(t)^(-d/2) exp(-|y_t - mu_k|^2/(2 v_k(t))),
    means      mu_k + q_k (y_t - mu_k),
    variances  v_k(s) (1 - q_k),

times alpha_s (alpha_s^2) for x. Of covariances, C_k = Sigma_k + rho I and Q_k = C_k(s) C_k(t)^-1
stand for v_k and q_k, and the covariance is (rho_t - rho_s) Q_k. Bayes' rule within each
mode; no result of a paper is used. The discrete DDPM chain has another law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.problem.checks import check_mixture
from mixdyn.support.checks import (
    Array,
    check_alpha_bar,
    check_array,
    check_nonnegative,
    check_points,
    check_positive,
)
from mixdyn.support.errors import InputError

from .normal import log_interval, log_sum

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture


@dataclass(frozen=True)
class ReverseLaw:
    """The law of x_s given each row of x_t: a mixture per row.

    log_weights (n, N), rows sum to one after exp; means (n, N, d); variances (N,) > 0, of modes
    that are not isotropic covariances (N, d, d), in the units of x_s; alpha_s the signal
    amplitude at s, in (0, 1].
    """

    log_weights: Array
    means: Array
    variances: Array
    alpha_s: float

    @property
    def weights(self) -> Array:
        """(n, N) mode probabilities, rows sum to one."""
        return np.exp(self.log_weights)

    def moments(self) -> tuple[Array, Array]:
        """Mean (n, d) and covariance (n, d, d) of x_s."""
        weights = self.weights
        mean = np.einsum("nk,nkd->nd", weights, self.means)
        offset = self.means - mean[:, None, :]
        covariance = np.einsum("nk,nki,nkj->nij", weights, offset, offset)
        if self.variances.ndim == 3:
            return mean, covariance + np.einsum("nk,kij->nij", weights, self.variances)
        covariance += (weights @ self.variances)[:, None, None] * np.eye(mean.shape[1])
        return mean, covariance

    def log_slab_probability(
        self, direction: ArrayLike, center: ArrayLike, half_width: float
    ) -> Array:
        """log P(|<x_s - alpha_s center, n>| <= half_width) for each row, (n,).

        direction (d,), any length > 0, is normalised to n; center (d,) in static coordinates;
        half_width > 0 in units of x_s. Exact in logs, far below the smallest double.
        """
        d = self.means.shape[2]
        normal = check_array(direction, "direction", ndim=1)
        middle = check_array(center, "center", ndim=1)
        if normal.shape != (d,) or middle.shape != (d,) or not normal.any():
            raise InputError(
                f"direction (not zero) and center must have shape ({d},)",
                f"shapes {normal.shape} and {middle.shape}",
                "Pass one number per coordinate of the mixture.",
            )
        width = check_positive(half_width, "half_width")
        normal = normal / np.linalg.norm(normal)
        offset = (self.means - self.alpha_s * middle) @ normal
        matrices = self.variances.ndim == 3
        std = np.sqrt(normal @ self.variances @ normal if matrices else self.variances)
        return log_sum(
            self.log_weights + log_interval((-width - offset) / std, (width - offset) / std)
        )


def reverse_mixture(
    mixture: GaussianMixture,
    x: ArrayLike,
    alpha_bar_t: float,
    alpha_bar_s: float = 1.0,
    *,
    noise_var_t: float | None = None,
    noise_var_s: float | None = None,
) -> ReverseLaw:
    """The law O1 of x_s given x_t = x (n, d), from alpha_bar_t up to alpha_bar_s > alpha_bar_t.

    Any mixture is allowed. noise_var_t and noise_var_s replace 1 - alpha_bar where the caller
    knows it to more digits. Raises InputError unless the noise falls from t to s.
    """
    points = check_points(x, check_mixture(mixture).d)
    abar_t, nu_t = _level(alpha_bar_t, noise_var_t, "t")
    abar_s, nu_s = _level(alpha_bar_s, noise_var_s, "s")
    # The signal's gain is the noise's loss; each keeps its digits where the two are both small.
    gap = nu_t - nu_s if nu_t < 0.5 else abar_s - abar_t
    if not (gap > 0.0 and abar_t <= abar_s):
        raise InputError(
            "the reverse law runs towards the data: alpha_bar_s > alpha_bar_t",
            f"alpha_bar_t = {abar_t}, alpha_bar_s = {abar_s}",
            "Swap the two levels; for alpha_bar within an ulp of 1 pass noise_var_t.",
        )
    alpha_t, alpha_s = math.sqrt(abar_t), math.sqrt(abar_s)
    rho_t, rho_s = nu_t / abar_t, nu_s / abar_s
    if mixture.covariance is not None:
        return _of_covariances(mixture, points / alpha_t, (rho_t, rho_s, gap / abar_t), alpha_s)
    sigma2 = np.square(mixture.sigmas)
    v_t, v_s = sigma2 + rho_t, sigma2 + rho_s
    q = v_s / v_t
    offset = points[:, None, :] - alpha_t * mixture.means
    means = alpha_s * mixture.means + (q * (alpha_s / alpha_t))[:, None] * offset
    variances = v_s * (gap / abar_t / v_t)  # abar_s v_s (1 - q), and rho_t - rho_s from the gap
    log_weights = _log_posterior(mixture, points, alpha_t, abar_t * sigma2 + nu_t)
    return ReverseLaw(log_weights, means, variances, alpha_s)


def _of_covariances(
    mixture: GaussianMixture, y: Array, rhos: tuple[float, float, float], alpha_s: float
) -> ReverseLaw:
    """rhos: rho_t, rho_s and abar_s (rho_t - rho_s)."""
    if mixture.covariance is None:
        raise TypeError("only for modes with covariances")
    clean, eye = mixture.covariance.matrices(mixture.d), np.eye(mixture.d)
    c_t, c_s = clean + rhos[0] * eye, clean + rhos[1] * eye
    gain = np.linalg.solve(c_t, c_s)
    gain = 0.5 * (gain + gain.transpose(0, 2, 1))  # the two commute
    offset = y[:, None, :] - mixture.means
    means = alpha_s * (mixture.means + np.einsum("kij,nkj->nki", gain, offset))
    solved = np.linalg.solve(c_t, offset.transpose(1, 2, 0))
    square = np.einsum("nkd,kdn->nk", offset, solved)
    log_terms = np.log(mixture.weights) - 0.5 * (np.linalg.slogdet(c_t)[1] + square)
    log_weights = log_terms - log_sum(log_terms)[:, None]
    return ReverseLaw(log_weights, means, rhos[2] * gain, alpha_s)


def reverse_law(
    mixture: GaussianMixture,
    x: ArrayLike,
    alpha_bar_t: float,
    alpha_bar_s: float = 1.0,
    **noise_var: float | None,
) -> tuple[Array, Array, Array]:
    """O1 as (weights (n, N), means (n, N, d), variances (N,) or covariances (N, d, d)); arguments
    of `reverse_mixture`."""
    law = reverse_mixture(mixture, x, alpha_bar_t, alpha_bar_s, **noise_var)
    return law.weights, law.means, law.variances


def reverse_moments(
    mixture: GaussianMixture,
    x: ArrayLike,
    alpha_bar_t: float,
    alpha_bar_s: float = 1.0,
    **noise_var: float | None,
) -> tuple[Array, Array]:
    """Mean (n, d) and covariance (n, d, d) of O1; arguments of `reverse_mixture`."""
    return reverse_mixture(mixture, x, alpha_bar_t, alpha_bar_s, **noise_var).moments()


def _level(alpha_bar: float, noise_var: float | None, time: str) -> tuple[float, float]:
    abar = check_alpha_bar(alpha_bar, f"alpha_bar_{time}")
    if noise_var is None:
        return abar, 1.0 - abar
    return abar, check_nonnegative(noise_var, f"noise_var_{time}")


def _log_posterior(mixture: GaussianMixture, x: Array, alpha_t: float, var: Array) -> Array:
    """(n, N) log probabilities of the modes given x, relative to the nearest one.

    Differences of squared distances are taken as products, so that a common large distance to
    all modes costs no digits.
    """
    mu = alpha_t * mixture.means
    distance2 = np.square(x[:, None, :] - mu).sum(axis=2)
    near = np.argmin(distance2 / var, axis=1)
    ref, rows = mu[near], np.arange(len(x))
    halfway = x[:, None, :] - 0.5 * (mu + ref[:, None, :])
    excess = -2.0 * np.einsum("nkd,nkd->nk", halfway, mu - ref[:, None, :])  # |x-mu|^2 - |x-ref|^2
    energy = excess / var
    energy += (
        distance2[rows, near][:, None] * (var[near][:, None] - var) / (var * var[near][:, None])
    )
    log_terms = np.log(mixture.weights) - 0.5 * mixture.d * np.log(var) - 0.5 * energy
    return np.asarray(log_terms - log_sum(log_terms)[:, None])
