"""X8: the spread of AdaptiveNoise within one mode, where every step is linear.

Inside a mode at 0 the exact denoiser is x0_hat = D_t y, D_t = sigma^2/(sigma^2 + rho_t). The early
steps are deterministic, so y is a multiple g of its start. With x0_hat extrapolated to the middle
of the step, in log rho, from its value at the node u before (two-step, arXiv 2211.01095),

    g_s = c g_t + (1 - c) m,  c = sqrt(rho_s/rho_t),  m = D_t g_t + (D_t g_t - D_u g_u)/(2 r),
    r = log(rho_u/rho_t)/log(rho_t/rho_s).

A late step keeps q + (1 - q) D_t = v_s/v_t of y, q = rho_s/rho_t, v = sigma^2 + rho, and injects
the bridge's variance and the posterior's,

    V_s = (v_s/v_t)^2 V_t + rho_s (1 - q) + (1 - q)^2 sigma^2 rho_t/v_t,

so that V_s - v_s = (v_s/v_t)^2 (V_t - v_t): the marginal's variance is kept, and what the early
steps got wrong is forgotten. Derived here (derivations/insurance/kernel_variance.py).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_array, check_positive, describe
from mixdyn.support.errors import InputError

from .linear import grid_index, noise_levels


def late_noise_std(
    alpha_bar: ArrayLike,
    times: ArrayLike,
    late_rho: float,
    sigma: float,
    *,
    noise_var: ArrayLike | None = None,
    start_std: float | None = None,
    posterior: tuple[bool, bool] = (True, True),
) -> Array:
    """Standard deviation of y around the mode at every time of the grid, (S + 1,).

    alpha_bar, times, sigma, noise_var, start_std as in `linear_recursion_std`; late_rho > 0 is the
    rho from which down steps inject noise. posterior : whether late steps, and whether the last
    one, add the posterior's variance. The last entry is the standard deviation of x_0, before any
    test of the samples.
    """
    abar = check_array(alpha_bar, "alpha_bar", ndim=1)
    nu = 1.0 - abar if noise_var is None else check_array(noise_var, "noise_var", ndim=1)
    rho = noise_levels(abar, nu)[grid_index(times, len(abar))]
    threshold, sigma2 = check_positive(late_rho, "late_rho"), check_positive(sigma, "sigma") ** 2
    if rho[-1] != 0.0 or not (np.diff(rho) < 0).all():
        raise InputError(
            "the noise must fall strictly along the grid, to none at time 0",
            f"rho = noise_var/alpha_bar = {describe(rho)}",
            "Pass a schedule's arrays, indexed by time.",
        )
    start = math.sqrt(sigma2 + rho[0]) if start_std is None else check_positive(start_std, "start")
    early = int(np.count_nonzero(rho[:-1] > threshold))
    gains = _gains(rho, sigma2, min(early, len(rho) - 2))
    variances = [(start * gain) ** 2 for gain in gains]
    for k in range(len(variances) - 1, len(rho) - 1):
        added = posterior[1] if k == len(rho) - 2 else posterior[0]
        variances.append(_late(variances[-1], rho[k], rho[k + 1], sigma2, added))
    return np.sqrt(variances)


def _gains(rho: Array, sigma2: float, steps: int) -> list[float]:
    """g at the first steps + 1 nodes."""
    gains, before = [1.0], None
    for k in range(steps):
        factor = math.sqrt(rho[k + 1] / rho[k])
        denoised = middle = sigma2 / (sigma2 + rho[k]) * gains[-1]
        if before is not None:
            stretch = math.log(rho[k] / rho[k + 1]) / math.log(rho[k - 1] / rho[k])
            middle += 0.5 * stretch * (denoised - before)
        gains.append(factor * gains[-1] + (1.0 - factor) * middle)
        before = denoised
    return gains


def _late(var: float, rho_t: float, rho_s: float, sigma2: float, posterior: bool) -> float:
    v_t, v_s, fresh = sigma2 + rho_t, sigma2 + rho_s, (rho_t - rho_s) / rho_t
    unknown = fresh**2 * sigma2 * rho_t / v_t if posterior else 0.0
    return (v_s / v_t) ** 2 * var + rho_s * fresh + unknown
