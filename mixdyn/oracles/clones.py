r"""X15, X16: whether two draws of the reversed diffusion from one noisy state end alike.

With y = x_0 + sqrt(v) xi and gamma the posterior of where x_0 lies, a draw comes back to the mode
(or the data point) that y was made of with probability E gamma_own = E sum_k gamma_k^2, the chance
that two of them, clones, end in one mode.

Two modes. With k = l^2/v and b = log(w_i/w_j) clones part with probability

    sqrt(w_i w_j) exp(-k/8) E sech(L/2),    L ~ N(b, k).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_array, check_positive
from mixdyn.support.errors import InputError

_LOGITS = 90.0  # sech(L/2) is below 1e-19 of its largest value beyond


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
    # Where sech falls as e^(-L/2) it moves the normal's mass down by k/2.
    low = np.maximum(ratio - 0.5 * strength - 14.0 * std, -_LOGITS)
    high = np.minimum(ratio + 14.0 * std, _LOGITS + ratio)
    # Half a unit of L apart sech(L/2) is known to exp(-2 pi^2/0.5).
    count = int(np.clip(2.0 * (high - low).max(initial=0.0), 400, 4000))
    logit = low + (high - low) * np.linspace(0.0, 1.0, count + 1)
    step = (high - low) / count
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

    # 2 nats >= log(lambda/rho) of the largest, and sum log(1 + lambda/rho) <= d lambda/rho.
    top = math.log(spectrum.max())
    ends = top - 2.0 * wanted - 1.0, top + math.log(spectrum.size / wanted) + 1.0
    return math.exp(float(brentq(excess, *ends, xtol=1e-14)))
