"""How much of a sampler's output can lie outside every mode although its score is exact.

In continuous time the output has the law of the data, whose mass outside balls of radius r around
the means is at most Q = P(chi^2_d > r^2/sigma^2). What a sampler adds comes from its start, from
its steps, and from its last step, which lands on the posterior mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc, logsumexp

from mixdyn.problem.checks import check_common_sigma, check_mixture
from mixdyn.support.checks import (
    Array,
    check_alpha_bar,
    check_nonnegative,
    check_positive,
    describe,
)
from mixdyn.support.errors import InputError

from .inputs import real

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_ORDERS = np.geomspace(1e-3, 1e8, 1200)  # a - 1
_SHARES = np.geomspace(1e-6, 1.0, 400, endpoint=False)  # delta over the radius


def log_start_probability(
    mixture: GaussianMixture,
    log_probability: ArrayLike,
    alpha_bar: float,
    *,
    noise_var: float | None = None,
) -> Array:
    """Upper bound on log P(E) for a standard normal start, from log P(E) for a start from p_T.

    E is any event of the start, so any outcome of a map or of a sampler with noise of its own.
    Holder's inequality with order a > 1: ``log P_N <= (1 - 1/a) log P_p + (1/a) log M_a``, with
    M_a = int N(0, I)^a p_T^(1 - a) bounded mode by mode, smallest over a. log_probability <= 0,
    any shape; alpha_bar that of the last time T; noise_var replaces 1 - alpha_bar where the caller
    knows more digits. Own result.
    """
    logs = real(log_probability, "log_probability")
    if not (logs <= 0.0).all():
        raise InputError(
            "the logarithm of a probability is at most 0", describe(log_probability), "Check it."
        )
    abar = check_alpha_bar(alpha_bar)
    noise = 1.0 - abar if noise_var is None else check_nonnegative(noise_var, "noise_var")
    s2 = abar * np.square(mixture.sigmas) + noise
    if not (s2 > 0.0).all():
        raise InputError("the start needs noise", f"alpha_bar = {alpha_bar}", "Pass a time >= 1.")
    shift2 = abar * np.square(check_mixture(mixture).means).sum(axis=1)
    order = 1.0 + _ORDERS[:, None]
    scaled = order * s2 - _ORDERS[:, None]  # a s^2 - (a - 1): the integral exists where positive
    exists = (scaled > 0.0).all(axis=1)
    order, scaled = order[exists], scaled[exists]
    per_coordinate = 0.5 * (order * np.log(s2) - np.log(scaled))
    log_terms = mixture.d * per_coordinate + 0.5 * order * (order - 1.0) * shift2 / scaled
    log_moment = logsumexp(np.log(mixture.weights) + log_terms, axis=1)
    bound = (1.0 - 1.0 / order[:, 0]) * logs[..., None] + log_moment / order[:, 0]
    return np.minimum(bound.min(axis=-1, initial=0.0), 0.0)


def last_step_probability(mixture: GaussianMixture, rho: float, radius: float) -> float:
    """Upper bound on P(farther than radius from every mean) after a last step from p_1, in y units.

    rho > 0: the last noise level, v = sigma^2 + rho; the step goes to the posterior mean. A state
    of mode k ends within ``(sigma^2/v) |y - mu_k| + (rho/v) sum_q gamma_q L_q`` of its mean, and by
    Markov's inequality for the root of gamma_q, for every delta in (0, radius),

        P <= P(chi_d > (radius - delta) sqrt(v)/sigma^2)
             + sum_{k != q} sqrt(w_k w_q (N - 1) rho L_kq/(v delta)) exp(-L_kq^2/(8 v));

    the smallest over delta. Own result.
    """
    sigma = check_common_sigma(mixture, "the bound on the last step")
    noise, size = check_positive(rho, "rho"), check_positive(radius, "radius")
    v = sigma**2 + noise
    first, second = np.triu_indices(mixture.N, k=1)
    gaps = np.linalg.norm(mixture.means[first] - mixture.means[second], axis=1)
    weights = np.sqrt(mixture.weights[first] * mixture.weights[second])
    delta = size * _SHARES[:, None]
    most = (mixture.N - 1) * noise * gaps / (v * delta)  # over it gamma_q would have to exceed 1
    overlap = 2.0 * weights * np.sqrt(most) * np.exp(-np.square(gaps) / (8.0 * v))
    between = np.where(most > 1.0, overlap, 0.0).sum(axis=1)
    reach = (size - delta[:, 0]) * np.sqrt(v) / sigma**2
    own = gammaincc(0.5 * mixture.d, 0.5 * np.square(reach))
    return float(min(1.0, (own + between).min()))
