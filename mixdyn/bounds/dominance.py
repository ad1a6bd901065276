"""Two-mode dominance with margin kappa, separation, and what they leave of the other modes: arXiv
2605.06831 v1, in static coordinates (docs/notation.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_integer, describe
from mixdyn.support.errors import InputError

from .inputs import pair_frame, positive, real

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture


def dominance_gap(kappa: ArrayLike, variance: ArrayLike) -> Array:
    """Excess squared distance 2 kappa variance that dominance with margin kappa > 0 asks for.

    variance: v for distances in y, sigma_t^2 for distances in x. Source: Assumption 4.1.
    """
    return 2.0 * positive(kappa, "kappa") * positive(variance, "variance")


def separation_length2(kappa: ArrayLike, d: int, v: ArrayLike) -> Array:
    """Smallest squared distance 4 kappa d v of a separated pair; any shapes, all > 0.

    Source: Assumption 4.4.
    """
    return 4.0 * positive(kappa, "kappa") * check_integer(d, "d", 1) * positive(v, "v")


def separation_variance(length: ArrayLike, kappa: ArrayLike, d: int) -> Array:
    """Largest effective variance l^2/(4 kappa d) at which a pair at distance l is separated.

    The time tau_2(kappa) is the last time at which v is below it. Source: Assumption 4.4.
    """
    size = positive(length, "length")
    return size**2 / (4.0 * positive(kappa, "kappa") * check_integer(d, "d", 1))


def responsibility_bound(
    mixture: GaussianMixture, i: int, j: int, kappa: ArrayLike, nearest: ArrayLike | None = None
) -> Array:
    """Upper bound (w_k/w_*) e^(-kappa) on gamma_k, shape of kappa + (N,); 1 for k = i and k = j.

    kappa: margins of the pair (any real, any shape). nearest: the nearer of i and j for each kappa
    (integers of the same shape), w_* its weight; when omitted w_* is the lighter of the two, which
    covers both cases. Source: G.3.
    """
    frame = pair_frame(mixture, i, j)
    margin = real(kappa, "kappa")
    if nearest is None:
        w_near = np.full(margin.shape, frame.lighter)
    else:
        index = np.asarray(nearest)
        if index.shape != margin.shape or not np.isin(index, (frame.i, frame.j)).all():
            raise InputError(
                f"nearest must hold {frame.i} or {frame.j}, one for each kappa",
                describe(index),
                "Pass the index of the nearer mode of the pair.",
            )
        w_near = mixture.weights[index]
    bound = np.exp(-margin)[..., None] * mixture.weights / w_near[..., None]
    return np.where(frame.others, bound, 1.0)


def orthogonal_remainder(mixture: GaussianMixture, i: int, j: int, kappa: ArrayLike) -> Array:
    """R = e^(-kappa) (1 - w_i - w_j)/min(w_i, w_j) max_k d(mu_k, line_ij), shape of kappa.

    Bounds the pull of all other modes off the line, in units of y. A tube of radius >= R around
    the extended segment is forward invariant while the margin lasts (Corollary 4.3). Zero for
    means on one line. Source: G.3, Theorem 4.2.
    """
    frame = pair_frame(mixture, i, j)
    mass = float(mixture.weights[frame.others].sum())
    farthest = float(frame.orthogonal[frame.others].max(initial=0.0))
    return np.exp(-real(kappa, "kappa")) * (mass / frame.lighter * farthest)


def parallel_excess(mixture: GaussianMixture, i: int, j: int, kappa: ArrayLike) -> Array:
    """How far beyond [0, 1] the other modes can hold the parallel coordinate a, in units of l.

    e^(-kappa) sum_k (w_k/min(w_i, w_j)) max(a_k - 1, -a_k, 0): the segment extended by it on both
    sides attracts a. Source: G.4 with the responsibilities bounded by G.3.
    """
    frame = pair_frame(mixture, i, j)
    beyond = np.maximum(np.maximum(frame.parallel - 1.0, -frame.parallel), 0.0)
    weighted = float((mixture.weights * beyond)[frame.others].sum())
    return np.exp(-real(kappa, "kappa")) * (weighted / frame.lighter)


def segment_remainder(mixture: GaussianMixture, i: int, j: int, kappa: ArrayLike) -> Array:
    """Remainder for the plain segment: e^(-kappa) sum_k (w_k/min(w_i, w_j)) dist(mu_k, segment).

    In units of y. Replaces R where the distance is to the segment itself, without extension:
    distance to a convex set K obeys D' <= -D + sum_k gamma_k dist(mu_k, K). Own result.
    """
    frame = pair_frame(mixture, i, j)
    beyond = np.maximum(np.maximum(frame.parallel - 1.0, -frame.parallel), 0.0) * frame.length
    distance = np.hypot(beyond, frame.orthogonal)
    weighted = float((mixture.weights * distance)[frame.others].sum())
    return np.exp(-real(kappa, "kappa")) * (weighted / frame.lighter)


def diagonal_log_ratio(
    kappa: ArrayLike,
    v: ArrayLike,
    *,
    far_to_near_weight: ArrayLike = 1.0,
    other_diagonal2: ArrayLike = 0.0,
    this_diagonal2: ArrayLike = 0.0,
) -> Array:
    """Upper bound on log(gamma_far/gamma_near) for the ends of a diagonal pair with margin kappa.

    log(w_far/w_near) - 2 kappa + (|bd|^2 - |ac|^2)/(4 v), where a, c is the dominating diagonal of
    the parallelogram a b c d (this_diagonal2 = |ac|^2, other_diagonal2 = |bd|^2). Equal diagonals,
    the default, make it a rectangle. Source: D.1; the parallelogram term is an own extension.
    """
    stretch = real(other_diagonal2, "other_diagonal2") - real(this_diagonal2, "this_diagonal2")
    log_weight = np.log(positive(far_to_near_weight, "far_to_near_weight"))
    return log_weight - 2.0 * real(kappa, "kappa") + stretch / (4.0 * positive(v, "v"))
