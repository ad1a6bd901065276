"""The reverse dynamics in static coordinates: mean field, drift split, equilibria.

Written in docs/notation.md; the clock u is zero at v_tau. The flow dy/du = m - y (arXiv 2605.06831
v1, Lemmas G.1 and G.2) has the Jacobian Cov_gamma(mu)/v - I: symmetric, no eigenvalue below -1.

Points are (n, d) in the units of the means; v > 0 is in those units squared. Every function that
takes a mixture raises NotApplicableError when its modes do not share one sigma, and InputError for
points or a v that are not finite. v may be below sigma^2, which the process never reaches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..problem.checks import check_common_sigma, check_mixture
from ..problem.mixture import GaussianMixture
from ..support.checks import Array, check_array, check_points, check_positive
from ..support.errors import ConvergenceError, InputError, NotApplicableError
from .dominance_times import NEVER, DominanceTimes, dominance_margin, steps_left, tau_1, tau_2
from .pairs import Pair, row_blocks

__all__ = [
    "NEVER",
    "DominanceTimes",
    "DriftSplit",
    "Equilibrium",
    "covariance",
    "dominance_margin",
    "equilibrium",
    "flow_jacobian",
    "flow_spectrum",
    "mean_field",
    "saddle",
    "split_drift",
    "static_responsibilities",
    "steps_left",
    "tau_1",
    "tau_2",
]

# -- the field and its derivative ----------------------------------------------------------------


def _static_law(mixture: GaussianMixture, v: float) -> GaussianMixture:
    """The marginal in static coordinates: the same means and weights at variance v."""
    check_common_sigma(mixture, "the dynamics in static coordinates")
    return mixture.rescaled(1.0, math.sqrt(check_positive(v, "v")))


def static_responsibilities(mixture: GaussianMixture, y: Array, v: float) -> Array:
    """gamma_k(y, v), shape (n, N), for points y (n, d); rows sum to one."""
    return _static_law(mixture, v).responsibilities(y)


def mean_field(mixture: GaussianMixture, y: Array, v: float) -> Array:
    """m(y, v) = sum_k gamma_k(y, v) mu_k, shape (n, d), for points y (n, d).

    Not the posterior mean of the data, which is ``(sigma^2 y + (v - sigma^2) m) / v``. Source:
    arXiv 2605.06831 v1, Lemma G.1.
    """
    return static_responsibilities(mixture, y, v) @ mixture.means


def _spread_blocks(mixture: GaussianMixture, y: Array, v: float) -> Iterator[tuple[slice, Array]]:
    """Per block of rows, the factor B (b, N, d) with rows sqrt(gamma_k) (mu_k - m): Cov = B^T B."""
    law = _static_law(mixture, v)
    for block in row_blocks(y.shape[0], mixture.N * mixture.d):
        gamma = law.responsibilities(y[block])
        centred = mixture.means - (gamma @ mixture.means)[:, None, :]
        yield block, np.sqrt(gamma)[:, :, None] * centred


def covariance(mixture: GaussianMixture, y: Array, v: float) -> Array:
    """Cov_gamma(mu) = sum_k gamma_k (mu_k - m)(mu_k - m)^T, shape (n, d, d), symmetric, >= 0."""
    y = check_points(y, check_mixture(mixture).d, name="y")
    cov = np.empty((y.shape[0], mixture.d, mixture.d))
    for block, factor in _spread_blocks(mixture, y, v):
        np.matmul(factor.transpose(0, 2, 1), factor, out=cov[block])
    return cov


def flow_jacobian(mixture: GaussianMixture, y: Array, v: float) -> Array:
    """Jacobian Cov_gamma(mu)/v - I of the field m - y at points y (n, d), shape (n, d, d)."""
    return covariance(mixture, y, v) / v - np.eye(mixture.d)


def flow_spectrum(mixture: GaussianMixture, y: Array, v: float) -> Array:
    """Eigenvalues of :func:`flow_jacobian`, ascending, shape (n, d), none below -1.

    From singular values of the N x d factor of the covariance, so the cost grows only linearly
    with a large d and no eigenvalue is lost in rounding between -1 and the largest.
    """
    y = check_points(y, check_mixture(mixture).d, name="y")
    spectrum = np.full((y.shape[0], mixture.d), -1.0)
    for block, factor in _spread_blocks(mixture, y, v):
        values = np.square(np.linalg.svd(factor, compute_uv=False)[:, ::-1]) / v - 1.0
        spectrum[block, mixture.d - values.shape[1] :] = values
    return spectrum


# -- the drift seen from one pair ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class DriftSplit:
    """The field m - y along and across the line of a pair, at n points.

    a (n,), xi (n, d): coordinates of the points. a_dot (n,), xi_dot (n, d): their derivatives in
    intrinsic time, so ``m - y = a_dot (mu_i - mu_j) + xi_dot``. parallel_remainder (n,) and
    orthogonal_remainder (n, d): the share of the other modes k, ``sum gamma_k a_k`` and
    ``sum gamma_k xi_k``, in ``a_dot = gamma_i - a + parallel_remainder`` and
    ``xi_dot = -xi + orthogonal_remainder``. a is in units of the pair's length, xi in those of y.
    """

    a: Array
    xi: Array
    a_dot: Array
    xi_dot: Array
    parallel_remainder: Array
    orthogonal_remainder: Array


def split_drift(mixture: GaussianMixture, pair: Pair, y: Array, v: float) -> DriftSplit:
    """Split the field at points y (n, d) along and across a pair of modes of the mixture.

    Source: arXiv 2605.06831 v1, Lemma G.3.
    """
    gamma = static_responsibilities(mixture, y, v)
    a, xi = pair.coordinates(y)
    mode_a, mode_xi = pair.coordinates(mixture.means)
    gamma_i = gamma[:, pair.i].copy()
    gamma[:, [pair.i, pair.j]] = 0.0
    parallel, orthogonal = gamma @ mode_a, gamma @ mode_xi
    return DriftSplit(a, xi, gamma_i - a + parallel, orthogonal - xi, parallel, orthogonal)


# -- equilibria ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A point with m(y, v) = y, the residual |m - y| there and the Jacobian's spectrum.

    point (d,); eigenvalues (d,) ascending: a saddle has a positive one. n_iter: accepted steps.
    """

    point: Array
    v: float
    residual: float
    eigenvalues: Array
    n_iter: int


_MAX_ITER = 100
_MAX_HALVINGS = 40
_SUFFICIENT_DECREASE = 1e-4  # the usual Armijo constant: any small positive value serves
_RESIDUAL_ULPS = 16.0
_TIE_RTOL = 1e-6  # responsibilities this close at a computed equilibrium count as equal


def equilibrium(mixture: GaussianMixture, v: float, y0: Array) -> Equilibrium:
    """The fixed point of the mean field that a damped Newton iteration reaches from y0 (d,).

    Steps are halved until |m - y| falls, and the iteration runs until rounding stops the descent.
    Raises ConvergenceError when the residual is then above what rounding explains: |m - y| has
    local minima that are no roots, as past a fold where two equilibria merged. Near a bifurcation
    the point itself is known to `residual` plus rounding over the smallest |eigenvalue| only.
    """
    y, n_iter = _check_start(y0, check_mixture(mixture).d), 0
    law = _static_law(mixture, v)
    field = law.responsibilities(y) @ mixture.means - y
    while n_iter < _MAX_ITER and field.any():
        step = _newton_step(mixture, y, v, field[0])
        trial = _descend(law, y, field, step)
        if trial is None:
            break
        y, field = trial
        n_iter += 1
    residual = float(np.linalg.norm(field))
    tolerance = _rounding_of_field(mixture, y[0], v)
    if residual > tolerance:
        raise ConvergenceError(
            f"no fixed point of the mean field found from the start given at v = {v:.6g}: after "
            f"{n_iter} steps |m - y| = {residual:.3g} is above the rounding level {tolerance:.3g}. "
            "Start closer, or change v: the equilibrium may have merged with another."
        )
    return Equilibrium(y[0], float(v), residual, flow_spectrum(mixture, y, v)[0], n_iter)


def _check_start(y0: Array, d: int) -> Array:
    start = check_array(y0, "y0", ndim=1)
    if start.size != d:
        raise InputError(
            f"y0 must have shape ({d},): one start",
            f"shape {start.shape}",
            "Pass one point with the mixture's number of coordinates.",
        )
    return start[None, :]


def _newton_step(mixture: GaussianMixture, y: Array, v: float, field: Array) -> Array:
    """Solve (I - B^T B / v) step = field in the singular vectors of B, N x d.

    An eigenvalue within 1e-8 of zero is pushed out to 1e-8: the step stays finite at a fold, and
    the residual test decides what the result is worth.
    """
    ((_, factor),) = _spread_blocks(mixture, y, v)
    _, singular, right = np.linalg.svd(factor[0], full_matrices=False)
    ratio = np.square(singular) / v
    slope = ratio - 1.0
    slope = np.copysign(np.maximum(np.abs(slope), 1e-8), slope)
    return np.asarray(field + (-ratio / slope * (right @ field)) @ right)


def _descend(
    law: GaussianMixture, y: Array, field: Array, step: Array
) -> tuple[Array, Array] | None:
    """The first of y + step, y + step/2, ... with a smaller residual, and its field; or None."""
    residual = float(np.linalg.norm(field))
    fraction = 1.0
    for _ in range(_MAX_HALVINGS):
        trial = y + fraction * step
        trial_field = law.responsibilities(trial) @ law.means - trial
        decrease = 1.0 - _SUFFICIENT_DECREASE * fraction
        if float(np.linalg.norm(trial_field)) < decrease * residual:
            return trial, trial_field
        fraction *= 0.5
    return None


def _rounding_of_field(mixture: GaussianMixture, y: Array, v: float) -> float:
    """A bound on the rounding error of m - y at y: that of the exponents, then of the sums.

    An exponent |y - mu|^2 / (2 v) inherits eps |y| |y - mu| / v from the coordinates, and moves m
    by at most the distance of the modes that matter, those about as near as the nearest.
    """
    near = math.sqrt(float(np.square(mixture.means - y).sum(axis=1).min()))
    size = float(np.linalg.norm(y)) + near
    eps = float(np.finfo(float).eps)
    return _RESIDUAL_ULPS * eps * (size + near * (size * near / v))


def saddle(mixture: GaussianMixture, pair: Pair, v: float) -> Equilibrium:
    """The unstable equilibrium of the full mixture between the two modes of a pair.

    Starts from the saddle of the pair alone, ``logit(a) = log(w_i / w_j) + (l^2 / v)(a - 1/2)``,
    which exists iff l^2 > 4 v and the weights are not too unequal. Raises NotApplicableError where
    the pair alone has none, or where the equilibrium reached is stable or some third mode has a
    larger responsibility there than i or j (ties are allowed: the centre of a square), so that it
    is not theirs; ConvergenceError as :func:`equilibrium`. Source: arXiv 2605.06831 v1,
    Proposition 4.7 and Appendix B.
    """
    a = _pair_saddle(mixture, pair, check_positive(v, "v"))
    found = equilibrium(mixture, v, pair.mu_j + a * (pair.mu_i - pair.mu_j))
    gamma = static_responsibilities(mixture, found.point[None], v)[0]
    lesser = min(gamma[pair.i], gamma[pair.j])
    gamma[[pair.i, pair.j]] = 0.0
    if found.eigenvalues[-1] <= 0.0 or lesser < (1.0 - _TIE_RTOL) * gamma.max():
        raise NotApplicableError(
            f"modes {pair.i} and {pair.j} need a saddle between them in the full mixture",
            f"an equilibrium with largest eigenvalue {found.eigenvalues[-1]:.3g}, responsibility "
            f"{lesser:.3g} for one of them and {gamma.max():.3g} for a third, at v = {v:.6g}",
            "Choose a pair of neighbours or a smaller v.",
        )
    return found


def _pair_saddle(mixture: GaussianMixture, pair: Pair, v: float) -> float:
    """The unstable root a of the two-mode parallel drift, by bisection where it is monotone."""
    stiffness = pair.length**2 / v
    log_ratio = math.log(mixture.weights[pair.i]) - math.log(mixture.weights[pair.j])
    span = math.sqrt(max(0.0, stiffness - 4.0) / stiffness)
    # k s/2 - 2 artanh s, in which 2 s cancels.
    limit = math.inf
    if span < 1.0:
        limit = 0.5 * stiffness * span**3 - 2.0 * _artanh_excess(span)
    if abs(log_ratio) >= limit:
        raise NotApplicableError(
            f"modes {pair.i} and {pair.j} need l^2 > 4 v, and weights not too unequal, for a "
            "saddle between them",
            f"l^2/v = {stiffness:.4g} and log(w_i/w_j) = {log_ratio:.4g}",
            "Choose a smaller v.",
        )
    # Between its two turning points z = -s/2 and s/2 the equation has one sign change.
    low, high = -0.5 * span, 0.5 * span
    for _ in range(200):
        z = 0.5 * (low + high)
        if not low < z < high:
            break
        if 2.0 * _artanh_excess(2.0 * z) - log_ratio - (stiffness - 4.0) * z > 0.0:
            low = z
        else:
            high = z
    return 0.5 + z


def _artanh_excess(w: float) -> float:
    """artanh(w) - w, all its digits: two modes' equation where their saddle is born."""
    if abs(w) > 0.3:
        return math.atanh(w) - w
    total = 0.0
    for n in range(16, 0, -1):
        total = (total + 1.0 / (2 * n + 1)) * w * w
    return w * total
