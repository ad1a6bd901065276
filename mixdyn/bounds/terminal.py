"""Bounds on the probability that the reverse SDE ends near a midpoint, as natural logarithms.

A is the bisector coordinate: <x_t - alpha_t midpoint, n>, or the same over alpha_t in y units.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, log_ndtr, ndtr

from mixdyn.support.checks import Array

from .inputs import falling, nonnegative, positive, real

_LOG_4_OVER_PI = math.log(4.0 / math.pi)


def log_brownian_confinement(radius: ArrayLike, time: ArrayLike) -> Array:
    """log(4/pi) - pi^2 time/(8 radius^2) >= log P(sup_{s <= time} |B_s| <= radius).

    Source: arXiv 2605.06831 v1, G.6.
    """
    return _LOG_4_OVER_PI - math.pi**2 * nonnegative(time, "time") / (
        8.0 * positive(radius, "radius") ** 2
    )


def log_midpoint_terms(
    half_width: ArrayLike,
    noise_integral: ArrayLike,
    drift_integral: ArrayLike,
    outward_rate: ArrayLike,
    beta_max: ArrayLike,
) -> tuple[Array, Array]:
    """Logs of the two terms whose sum bounds P(|A_0| <= theta): (confinement, return).

    log(4/pi) - pi^2 Q/(32 theta^2 (2 + int K)^2) and -2 lambda theta^2/sup beta, with theta =
    half_width > 0 in x units, Q = noise_integral = int beta > 0, int K = drift_integral >= 0 where
    sup_{|a| <= 2 theta} |b(a, t)| <= 2 theta K(t), lambda = outward_rate >= 0, sup beta = beta_max.
    A confinement term above 0 (probability above 1) is vacuous. Source: arXiv 2605.06831 v1,
    Proposition 5.1.
    """
    theta = positive(half_width, "half_width")
    reach = 2.0 * theta * (2.0 + nonnegative(drift_integral, "drift_integral"))
    confined = log_brownian_confinement(reach, positive(noise_integral, "noise_integral"))
    rate = nonnegative(outward_rate, "outward_rate")
    return confined, -2.0 * rate * theta**2 / positive(beta_max, "beta_max")


def log_midpoint_probability(
    reference_length: ArrayLike, half_width: ArrayLike, v_start: ArrayLike, v_end: ArrayLike
) -> Array:
    """log[Phi((theta - c)/s) - Phi((-theta - c)/s)] >= log P(|A_end| <= theta), in y units.

    c = (1 - q) l'/2, s^2 = v_end (1 - q), q = v_end/v_start; l' = reference_length > 0, theta =
    half_width > 0, v_start > v_end > 0. Holds from any start if the drift g of A in the clock
    v_start - v obeys sgn(A) g >= sgn(A) reference_drift(A, l', v) on the whole line: A^2 then stays
    above the square of the reverse diffusion of two point masses at +-l'/2. Equality for two equal
    modes, l' = l, start on the bisector; symmetry of a larger mixture does not suffice, since a
    mode nearer to the bisector than l/2 breaks the condition. Own result; it replaces arXiv
    2605.06831 v1, Proposition 5.1.
    """
    start, end = falling(v_start, v_end)
    theta = positive(half_width, "half_width")
    lost = positive((start - end) / start, "v_start - v_end")
    c = 0.5 * lost * positive(reference_length, "reference_length")
    s = np.sqrt(end * lost)
    return _log_interval((-theta - c) / s, (theta - c) / s)


def reference_drift(a: ArrayLike, reference_length: ArrayLike, v: ArrayLike) -> Array:
    """[(l'/2) tanh(l' A/(2 v)) - A]/v: drift in the clock v_start - v of two masses at +-l'/2.

    What `log_midpoint_probability` compares with; a in y units, any shape.
    """
    place, variance = real(a, "a"), positive(v, "v")
    size = positive(reference_length, "reference_length")
    return (0.5 * size * np.tanh(0.5 * size * place / variance) - place) / variance


def log_linear_confinement(half_width: ArrayLike, growth: ArrayLike, noise: ArrayLike) -> Array:
    """log erf(2 theta e^(-Lambda)/sqrt(2 V)): confinement to |A| <= 2 theta by a linear comparison.

    growth Lambda = int lambda_t with lambda_t |a| below the outward drift for |a| <= 2 theta (chord
    slope at 2 theta), noise V = int beta e^(-2 Lambda_s) ds > 0, theta = half_width > 0. The
    Ornstein-Uhlenbeck process with that slope, started at the midpoint, is the worst case. Own
    result, for measured (learned) drifts.
    """
    log_reach = np.log(2.0 * positive(half_width, "half_width")) - real(growth, "growth")
    log_z = log_reach - 0.5 * np.log(2.0 * positive(noise, "noise"))
    small = math.log(2.0 / math.sqrt(math.pi)) + log_z  # erf(z) = 2 z/sqrt(pi) (1 - z^2/3 + ...)
    z = np.exp(np.minimum(log_z, 10.0))  # erf is 1 to rounding beyond e^2 already
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(log_z < -10.0, small, np.log(erf(z))))


def _log_interval(low: Array, high: Array) -> Array:
    """log(Phi(high) - Phi(low)) for low < high with low + high <= 0."""
    upper, lower = log_ndtr(high), log_ndtr(low)
    with np.errstate(divide="ignore"):
        one_side = upper + np.log(-np.expm1(lower - upper))
        across = np.log1p(-(ndtr(low) + ndtr(-high)))
    return np.asarray(np.where(high > 0, across, one_side))
