"""Betas from a table of noise levels: what other code calls alphas_cumprod, sigmas, log SNR.

beta_t = 1 - abar_t/abar_{t-1} = (rho_t - rho_{t-1})/(1 + rho_t), and a sigma of the
variance-exploding or EDM parametrisation (arXiv 2206.00364) is sqrt(rho). Differences are taken of
what is given, before squares and exponentials: beta then has all the digits that the table has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..support.checks import Array, check_array
from ..support.errors import InputError

LARGEST_SIGMA, _LARGEST_LOG_SNR = 1e150, 700.0  # keep rho and its reciprocal doubles
RANGE = f"at least {1.0 / LARGEST_SIGMA:g} and at most {LARGEST_SIGMA:g}"


def out_of_range(values: Array) -> NDArray[np.bool_]:
    """Where a square, or its reciprocal, is no double of full precision."""
    return (values < 1.0 / LARGEST_SIGMA) | (values > LARGEST_SIGMA)


def betas_from_alphas_cumprod(values: ArrayLike) -> Array:
    """(T,) betas of abar_1 > ... > abar_T, strictly between 0 and 1; abar_T may be 0."""
    abar = _table(values, "alphas_cumprod")
    outside = (abar <= 0.0) | (abar >= 1.0)
    outside[-1] &= len(abar) == 1 or abar[-1] != 0.0
    if outside.any():
        rule = "every alphas_cumprod must lie strictly between 0 and 1, the last may be 0"
        raise _unfit(rule, abar, outside)
    _check_falling(abar, "alphas_cumprod")
    before = np.concatenate([[1.0], abar[:-1]])
    return (before - abar) / before


def betas_from_sigmas(values: ArrayLike) -> Array:
    """(T,) betas of noise levels sigma_1 < ... < sigma_T, noise over signal, all > 0.

    A decreasing list, with or without a final 0, as samplers walk through it, is turned round.
    """
    sigma = _table(values, "sigmas")
    if len(sigma) > 1 and sigma[0] > sigma[-1]:
        sigma = np.ascontiguousarray(sigma[::-1])
        sigma = sigma[1:] if sigma[0] == 0.0 else sigma
    outside = out_of_range(sigma)
    if outside.any():
        raise _unfit(f"every sigma must be > 0, {RANGE}", sigma, outside)
    _check_falling(-sigma, "sigmas, from noise to data or back,")
    before = np.concatenate([[0.0], sigma[:-1]])
    # A quotient first: rho alone may be beyond a double's square.
    return (sigma - before) / sigma * ((sigma + before) / (sigma + 1.0 / sigma))


def betas_from_log_snr(values: ArrayLike) -> Array:
    """(T,) betas of log(abar_t/(1 - abar_t)), strictly decreasing, at most 700 in size."""
    log_snr = _table(values, "log_snr")
    outside = np.abs(log_snr) > _LARGEST_LOG_SNR
    if outside.any():
        raise _unfit(f"log_snr must be at most {_LARGEST_LOG_SNR:g} in size", log_snr, outside)
    _check_falling(log_snr, "log_snr")
    share = 1.0 / (1.0 + np.exp(log_snr))  # rho_t/(1 + rho_t)
    rise = np.append(1.0, -np.expm1(np.diff(log_snr)))  # 1 - rho_{t-1}/rho_t
    return rise * share


def _table(values: ArrayLike, name: str) -> Array:
    table = check_array(values, name, ndim=1)
    if table.size == 0:
        raise InputError(f"{name} must hold at least one number", "none", "Pass times 1..T.")
    return table


def _check_falling(values: Array, name: str) -> None:
    rising = np.append(False, np.diff(values) >= 0.0)
    if rising.any():
        t = int(np.argmax(rising)) + 1
        raise InputError(
            f"{name} must be strictly monotone: each time is noisier than the one before",
            f"times {t - 1} and {t} that are not",
            "Order the table from the first noisy time to the last.",
        )


def _unfit(rule: str, values: Array, outside: NDArray[np.bool_]) -> InputError:
    t = int(np.argmax(outside)) + 1
    remedy = "Leave out time 0, which is clean."
    if t == len(values) > 1:
        remedy = "End in little signal, or in none, abar_T = 0, where the path is given by abar."
    return InputError(rule, f"{values[t - 1]} at time {t}", remedy)
