"""Saddles, traps, growth and contraction between and at the modes, in the k and z of a pair.

Bounds that leave the range of doubles are natural logarithms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.problem.checks import check_common_sigma
from mixdyn.support.checks import Array, check_integer, check_positive
from mixdyn.support.errors import InputError, NotApplicableError

from .inputs import falling, nonnegative, positive, real

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_NEAR_BIRTH = 0.3  # of sqrt(1 - 4/k): below it a series of 16 terms has all digits


def midpoint_eigenvalues(length: ArrayLike, v: ArrayLike) -> tuple[Array, Array]:
    """Eigenvalues at the midpoint of two equal modes: l^2/(4 v) - 1 along, -1 across the pair.

    Per unit of intrinsic time. Source: arXiv 2605.06831 v1, Proposition 4.7 (1).
    """
    along = positive(length, "length") ** 2 / (4.0 * positive(v, "v")) - 1.0
    return along, np.full_like(along, -1.0)


def equilibrium_slope(k: ArrayLike, a: ArrayLike) -> Array:
    """k a (1 - a) - 1, the parallel eigenvalue of two modes at an equilibrium a (0 at j, 1 at i).

    Any weights, since gamma_i = a there. Source: arXiv 2605.06831 v1, Proposition 4.5 and B.1.
    """
    place = real(a, "a")
    return positive(k, "k") * place * (1.0 - place) - 1.0


def critical_log_weight_ratio(k: ArrayLike) -> Array:
    """An unstable equilibrium of two modes exists iff |log(w_i/w_j)| < k s/2 - 2 artanh(s).

    s = sqrt(1 - 4/k); 0 (no ratio is small enough) for k <= 4. Source: arXiv 2605.06831 v1, B.1;
    the threshold is derived from the drift's two turning points.
    """
    strength = positive(k, "k")
    s = np.sqrt(np.maximum(strength - 4.0, 0.0) / strength)
    # 2 artanh(s) = log((1 + s)^2/(1 - s^2)) and 1 - s^2 = 4/k: no digits lost as s -> 1.
    far = 0.5 * strength * s - 2.0 * np.log1p(s) + np.log(4.0 / strength)
    # Where the pair's saddle is born both terms are 2 s, which k s^3/2 and the rest of the series
    # of 2 artanh(s) leave out.
    rest = np.zeros_like(s)
    for n in range(16, 0, -1):
        rest = (rest + 1.0 / (2 * n + 1)) * s * s
    near = 0.5 * strength * s * s * s - 2.0 * s * rest
    return np.where(s < _NEAR_BIRTH, near, np.maximum(far, 0.0))


@dataclass(frozen=True)
class PaperTrap:
    """The trap of Proposition 4.7 (2), lengths in units of l.

    A start within exp(log_start) of the midpoint ends within radius; eigenvalue_start and
    eigenvalue_end are the parallel eigenvalues at both ends, u the intrinsic time between them.
    """

    radius: float
    log_start: float
    eigenvalue_start: float
    eigenvalue_end: float
    u: float


def paper_trap(length: float, v_start: float, v_end: float) -> PaperTrap:
    """r = 6 sqrt(3) lam_min/k_max^2 and the start |z_0| <= r exp(-(3/2) lam_max U).

    The saddle's eigenvalue grows along the reverse process, so lam_min is its value at v_start and
    lam_max, k_max those at v_end. NotApplicableError unless the midpoint is a saddle at v_start
    (k > 4). Source: arXiv 2605.06831 v1, Proposition 4.7 (2).
    """
    start, end = (float(v) for v in falling(v_start, v_end))
    l2 = check_positive(length, "length") ** 2
    lam_min, lam_max, k_max = l2 / (4 * start) - 1.0, l2 / (4 * end) - 1.0, l2 / end
    if lam_min <= 0:
        raise NotApplicableError(
            "the midpoint must be a saddle at v_start: l^2 > 4 v_start",
            f"l^2 = {l2}, 4 v_start = {4 * start}",
            "Start later in the reverse process.",
        )
    u = 0.5 * math.log(start / end)
    radius = 6.0 * math.sqrt(3.0) * lam_min / k_max**2
    return PaperTrap(radius, math.log(radius) - 1.5 * lam_max * u, lam_min, lam_max, u)


def exit_time(log_radius_over_start: ArrayLike, eigenvalue_max: ArrayLike) -> Array:
    """(2/(3 lam_max)) log(r/|z_0|): least intrinsic time that leaves the trap of radius r.

    log_radius_over_start = log(r/|z_0|) >= 0 (a logarithm, as z_0 may underflow). Source: arXiv
    2605.06831 v1, Proposition 4.7 (2).
    """
    logs = nonnegative(log_radius_over_start, "log_radius_over_start")
    return 2.0 * logs / (3.0 * positive(eigenvalue_max, "eigenvalue_max"))


def growth_exponent(diameter: ArrayLike, v_start: ArrayLike, v_end: ArrayLike) -> Array:
    """Lambda = (D^2/8)(1/v_end - 1/v_start) + (1/2) log(v_end/v_start), the integral of lam du.

    |y - y'| <= e^Lambda |y_0 - y_0'| for any two trajectories of any mixture with one sigma whose
    means have diameter D, since Cov_gamma <= D^2/4. For two modes D = l, whatever the weights, and
    the distance to the midpoint of equal ones obeys the same. Own result; it sharpens arXiv
    2605.06831 v1, Proposition 4.7 (2).
    """
    start, end = falling(v_start, v_end)
    size2 = positive(diameter, "diameter") ** 2
    return size2 / 8.0 * ((start - end) / (start * end)) + 0.5 * np.log(end / start)


def mixture_growth_exponent(
    mixture: GaussianMixture, v_start: ArrayLike, v_end: ArrayLike
) -> Array:
    """`growth_exponent` with the diameter of the mixture's means (N >= 2)."""
    check_common_sigma(mixture, "the growth exponent")
    offset = mixture.means[:, None, :] - mixture.means
    diameter = float(np.sqrt(np.square(offset).sum(axis=2).max()))
    if diameter == 0.0:
        raise NotApplicableError(
            "the growth exponent needs two different means",
            "all means equal",
            "With one mode every distance contracts by sqrt(v_end/v_start).",
        )
    return growth_exponent(diameter, v_start, v_end)


def log_safe_start(radius: ArrayLike, exponent: ArrayLike) -> Array:
    """log(radius) - Lambda: starts this close to the midpoint (or to each other) end within radius.

    Sufficient, not necessary. radius > 0 in any unit; exponent from `growth_exponent`. Own result.
    """
    return np.log(positive(radius, "radius")) - real(exponent, "exponent")


def ode_budget(distance: ArrayLike, radius: ArrayLike) -> Array:
    """Ratio v_start/v_end = (distance/radius)^2 that the ODE needs to bring `distance` to `radius`.

    For a point that one mode owns: |y - mu| contracts by sqrt(v_end/v_start). Own result.
    """
    return (positive(distance, "distance") / positive(radius, "radius")) ** 2


def sde_budget(distance: ArrayLike, radius: ArrayLike) -> Array:
    """Ratio v_start/v_end = distance/radius that the reverse SDE's mean needs for the same.

    The conditional mean contracts by v_end/v_start. Own result, from the exact reverse kernel.
    """
    return positive(distance, "distance") / positive(radius, "radius")


def ball_pull(mixture: GaussianMixture, i: int, radius: float, v: ArrayLike) -> Array:
    """Upper bound on |m(y, v) - mu_i| in the ball of `radius` around mode i; shape of v, y units.

    sum_k (w_k/w_i) L_k exp(-(L_k^2 - 2 radius L_k)/(2 v)), L_k = |mu_k - mu_i|. The ball is forward
    invariant and holds an equilibrium where this is at most `radius` (by D' <= -D + pull and
    Brouwer). Own form of arXiv 2605.06831 v1, Proposition 4.5.
    """
    return _far_moment(mixture, i, radius, v, power=1)


def tracking_rate(mixture: GaussianMixture, i: int, radius: float, v: ArrayLike) -> Array:
    """Lower bound on 1 - lam_max(Cov_gamma/v) in the ball of `radius` around mode i, shape of v.

    1 - (1/v) sum_k (w_k/w_i) L_k^2 exp(-(L_k^2 - 2 radius L_k)/(2 v)): two trajectories in an
    invariant ball approach each other at least at this rate per unit of u (convexity). Source:
    arXiv 2605.06831 v1, Corollary 4.6, with Cov_gamma bounded by sum_k gamma_k L_k^2.
    """
    return 1.0 - _far_moment(mixture, i, radius, v, power=2) / positive(v, "v")


def _far_moment(
    mixture: GaussianMixture, i: int, radius: float, v: ArrayLike, *, power: int
) -> Array:
    """sum over k != i of a bound on gamma_k, times |mu_k - mu_i|^power."""
    check_common_sigma(mixture, "the bound around a mode")
    center = check_integer(i, "i", 0, mixture.N - 1)
    size, variance = check_positive(radius, "radius"), positive(v, "v")
    gap = np.linalg.norm(mixture.means - mixture.means[center], axis=1)
    far = gap > 0
    gap, weights = gap[far], mixture.weights[far] / mixture.weights[center]
    if not (gap > 2.0 * size).all():
        raise InputError(
            "radius must stay below half the distance to the nearest other mode",
            f"{size}, half distance {gap.min() / 2}",
            "Use a smaller ball.",
        )
    log_gamma = -gap * (gap - 2.0 * size) / (2.0 * variance[..., None])
    return np.asarray((weights * gap**power * np.exp(log_gamma)).sum(axis=-1))
