"""X7: the spread that DDIM and DDPM return within one mode, where every step is linear.

Inside a mode at 0 the exact denoiser is sigma^2 y/v, and a DDIM(eta) step from rho_t to rho_s =
q rho_t (arXiv 2010.02502, eq. 12) turns variance V_t into

    V_s = c^2 V_t + eta^2 rho_s (1 - q),
    c   = (sigma^2 + sqrt(rho_t rho_s (1 - eta^2 (1 - q))))/v_t.

Derived here; eta = 1 on the full grid is DDPM. The last step multiplies the spread by sigma^2/v.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_array, check_nonnegative, check_positive, describe
from mixdyn.support.errors import InputError


def linear_recursion_std(
    alpha_bar: ArrayLike,
    times: ArrayLike,
    eta: float,
    sigma: float,
    *,
    noise_var: ArrayLike | None = None,
    start_std: float | None = None,
) -> Array:
    """Standard deviation of y around the mode at every time of the grid, (S + 1,).

    alpha_bar (T + 1,) indexed by time, alpha_bar[0] = 1; noise_var (T + 1,) replaces 1 - alpha_bar
    where given; times (S + 1,) integers, strictly decreasing to 0; eta >= 0 multiplies the noise's
    standard deviation and must keep 1 - eta^2 (1 - q) >= 0; sigma > 0 in data units. rho =
    noise_var/alpha_bar must be finite and fall strictly along the grid, to 0. start_std is
    the standard deviation of y at times[0], that of the exact marginal when omitted. The last
    entry is the sampler's standard deviation of x_0.
    """
    abar = check_array(alpha_bar, "alpha_bar", ndim=1)
    nu = 1.0 - abar if noise_var is None else check_array(noise_var, "noise_var", ndim=1)
    index = grid_index(times, len(abar))
    strength = check_nonnegative(eta, "eta")
    sigma2 = check_positive(sigma, "sigma") ** 2
    rho = noise_levels(abar, nu)[index]
    if rho[-1] != 0.0 or not (np.diff(rho) < 0).all():
        raise InputError(
            "the noise must fall strictly along the grid, to none at time 0",
            f"rho = noise_var/alpha_bar = {describe(rho)}",
            "Pass a schedule's arrays, indexed by time.",
        )
    variance = sigma2 + rho[0] if start_std is None else check_positive(start_std, "start_std") ** 2
    result = [variance]
    for rho_t, rho_s in itertools.pairwise(rho):
        shrink = (rho_t - rho_s) / rho_t  # 1 - q
        kept = kept_share(strength, shrink) if rho_s > 0 else 0.0
        c = (sigma2 + math.sqrt(rho_t * rho_s * kept)) / (sigma2 + rho_t)
        variance = c**2 * variance + strength**2 * rho_s * shrink
        result.append(variance)
    return np.sqrt(result)


def noise_levels(alpha_bar: Array, noise_var: Array) -> Array:
    """rho at every time, (T + 1,): finite and >= 0."""
    if noise_var.shape != alpha_bar.shape or not (alpha_bar > 0).all() or (noise_var < 0).any():
        raise InputError(
            "alpha_bar must be positive, and noise_var of its shape and not negative",
            f"alpha_bar {describe(alpha_bar)}, noise_var {describe(noise_var)}",
            "Pass a schedule's arrays, indexed by time.",
        )
    with np.errstate(over="ignore"):
        rho = noise_var / alpha_bar
    return check_array(rho, "noise_var/alpha_bar", ndim=1)


def kept_share(eta: float, shrink: float) -> float:
    """1 - eta^2 (1 - q), the share of the predicted noise's variance that a step keeps."""
    kept = 1.0 - eta**2 * shrink
    if kept < -8.0 * np.finfo(float).eps:
        raise InputError(
            "eta^2 must not exceed 1/(1 - q) at any step",
            f"eta = {eta}, 1/(1 - q) = {1.0 / shrink}",
            "Use a smaller eta or a finer grid.",
        )
    return max(kept, 0.0)  # at eta = 1/sqrt(1 - q) it is 0 up to rounding


def grid_index(times: ArrayLike, size: int) -> np.ndarray:
    """times (S + 1,) as integers that fall strictly from below `size` to 0."""
    values = check_array(times, "times", ndim=1)
    index = values.astype(np.int64)
    valid = len(index) >= 2 and (index == values).all() and (np.diff(index) < 0).all()
    if not valid or index[-1] != 0 or index[0] >= size:
        raise InputError(
            f"times must be two or more integers that fall strictly from {size - 1} or less to 0",
            describe(values),
            "Pass TimeGrid.times of the same schedule.",
        )
    return index
