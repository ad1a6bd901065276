"""Convergence to the tube around a segment, deterministic and with high probability.

`remainder` is the supremum of `orthogonal_remainder` (or `segment_remainder`) over the time that is
left; e^(-u) = sqrt(v_end/v_start), whatever the schedule (arXiv 2605.06831 v1, G.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_integer
from mixdyn.support.errors import InputError

from .inputs import falling, nonnegative, positive, real


def laurent_massart_threshold(d: int, delta: ArrayLike) -> Array:
    """t = d + 2 sqrt(d L) + 2 L with L = log(1/delta): P(chi^2_d >= t) <= delta.

    d >= 1, 0 < delta <= 1. Source: arXiv 2605.06831 v1, G.5 (Laurent and Massart 2000, Lemma 1).
    """
    chance = positive(delta, "delta")
    if not (chance <= 1).all():
        raise InputError("delta must lie in (0, 1]", chance, "delta is a probability.")
    log_inverse = -np.log(chance)
    degrees = check_integer(d, "d", 1)
    return np.asarray(degrees + 2.0 * np.sqrt(degrees * log_inverse) + 2.0 * log_inverse)


def tube_distance_u(distance: ArrayLike, u: ArrayLike, remainder: ArrayLike) -> Array:
    """e^(-u) distance + (1 - e^(-u)) remainder: distance to the tube's axis after u, in y units.

    All >= 0, shapes broadcast. Source: arXiv 2605.06831 v1, Theorem 4.2.
    """
    time = nonnegative(u, "u")
    pull = -np.expm1(-time) * nonnegative(remainder, "remainder")
    return np.exp(-time) * nonnegative(distance, "distance") + pull


def tube_distance(
    distance: ArrayLike, v_start: ArrayLike, v_end: ArrayLike, remainder: ArrayLike
) -> Array:
    """The same bound from effective variances v_start >= v_end > 0, in y units."""
    start, end = falling(v_start, v_end)
    return tube_distance_u(distance, 0.5 * np.log(start / end), remainder)


def tube_distance_x(
    distance: ArrayLike,
    sigma_start: ArrayLike,
    sigma_end: ArrayLike,
    alpha_end: ArrayLike,
    remainder: ArrayLike,
) -> Array:
    """(sigma_t/sigma_tau) distance_x + alpha_t remainder: the bound in the coordinates x.

    distance: of x_tau, in x units; sigma_start, sigma_end: standard deviations of a mode of the
    marginals at tau and t; alpha_end: alpha_t; remainder in y units. Own form of arXiv 2605.06831
    v1, Theorem 4.2: distance shrinks exactly as the marginal's standard deviation.
    """
    ratio = positive(sigma_end, "sigma_end") / positive(sigma_start, "sigma_start")
    pull = positive(alpha_end, "alpha_end") * nonnegative(remainder, "remainder")
    return ratio * nonnegative(distance, "distance") + pull


def tube_distance_high_probability(
    d: int, delta: ArrayLike, sigma_end: ArrayLike, alpha_end: ArrayLike, remainder: ArrayLike
) -> Array:
    """sigma_t sqrt(t_delta) + alpha_t remainder, t_delta the Laurent-Massart threshold of chi^2_d.

    Probability at most delta that the pair dominates from a fixed tau on and the distance of x_t,
    in x units, exceeds this at some later t. (The start is within sigma_tau sqrt(t_delta) of the
    mode it was drawn from, and the dominating pair holds the nearest mode.) Source: arXiv
    2605.06831 v1, Theorem 4.2 with G.5.
    """
    radius = np.sqrt(laurent_massart_threshold(d, delta))
    pull = positive(alpha_end, "alpha_end") * nonnegative(remainder, "remainder")
    return positive(sigma_end, "sigma_end") * radius + pull


def convex_set_rate(
    distance: ArrayLike, responsibilities: ArrayLike, mode_distances: ArrayLike
) -> Array:
    """-D + sum_k gamma_k dist(mu_k, K): upper bound on dD/du for D = dist(y, K), K convex, (n,).

    distance (n,); responsibilities (n, N); mode_distances (N,) = dist(mu_k, K). Any convex K, any
    weights, no dominance. Own result: distance is convex, and an Euler step of the flow is a convex
    combination of y and the means.
    """
    gamma = nonnegative(responsibilities, "responsibilities")
    gaps = nonnegative(mode_distances, "mode_distances")
    here = nonnegative(distance, "distance")
    if gamma.ndim != 2 or gamma.shape != (*here.shape, *gaps.shape):
        raise InputError(
            "shapes must be distance (n,), responsibilities (n, N), mode_distances (N,)",
            f"{here.shape}, {gamma.shape}, {gaps.shape}",
            "Pass one row per point and one column per mode.",
        )
    return np.asarray(gamma @ gaps - real(here, "distance"))
