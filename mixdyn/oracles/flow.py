"""O2: the probability-flow ODE of separable mixtures in closed form.

In one dimension the flow conserves the distribution function, F_v'(y') = F_v(y). A product of 1-D
mixtures flows coordinate by coordinate. (Own derivation from the continuity equation.)

Between modes F is flat to far below 1e-16, so F itself cannot be inverted there. But F minus the
weight of the first j modes is conserved too, and it is a difference of two sums of normal tails,

    G_j = P_j - M_j,   P_j = sum over k > j of w_k Phi((y - m_k)/s),
                       M_j = sum over k <= j of w_k Phi((m_k - y)/s),

which logs hold at any depth. The j with the smallest |G_j| is used, and the end point solves
log(P_j' + max(-G, 0)) = log(M_j' + max(G, 0)), whose difference increases in y'.

Next to a separatrix P_j - M_j cancels and doubles lose the answer. Every result carries an error
estimate; points that miss the tolerance are solved again in ball arithmetic (`flow_arb`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr

from mixdyn.problem.checks import check_mixture
from mixdyn.support.checks import Array, IntArray, check_points, check_positive
from mixdyn.support.errors import ConvergenceError

from .flow_arb import flow_axis_arb
from .reduction import ode_contraction
from .separable import Axis, line_of_sigmas, separate

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_EPS = float(np.finfo(np.float64).eps)
_RTOL = 1e-12  # of the axis' extent plus |y'|: what the error estimate must stay below
_ROWS = 1 << 18  # (point, mode) pairs held at a time
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


def flow_map(mixture: GaussianMixture, y: ArrayLike, v_from: float, v_to: float) -> Array:
    """End points of the probability-flow ODE from effective variance v_from to v_to, (n, d).

    y (n, d) static coordinates; v_from, v_to > 0 in any order (v = sigma^2 is clean data, of a
    sigma per mode in one dimension the smallest). Errors
    stay below 1e-12 of the mixture's extent plus |y'|, the given doubles taken as exact; points
    within rounding of a separatrix are solved in ball arithmetic, milliseconds to a second each.

    Raises NotApplicableError for a sigma per mode beyond one dimension, or no separable mixture.
    """
    start, end = check_positive(v_from, "v_from"), check_positive(v_to, "v_to")
    points = check_points(y, check_mixture(mixture).d, "y")
    if mixture.d == 1 and not mixture.has_common_sigma:
        return flow_axis(line_of_sigmas(mixture), points[:, 0], start, end)[:, None]
    separation = separate(mixture)
    coordinates = separation.enter(points)
    columns = [
        flow_axis(axis, column, start, end)
        for axis, column in zip(separation.axes, coordinates.T, strict=True)
    ]
    return separation.leave(np.column_stack(columns))


def flow_axis(axis: Axis, y: Array, v_from: float, v_to: float) -> Array:
    """The flow of a 1-D mixture: y (n,) -> (n,)."""
    if len(axis.values) == 1:
        center = float(axis.values[0])
        return np.asarray(center + ode_contraction(v_from, v_to) * (y - center))
    if v_from == v_to:
        return y.copy()
    size = max(1, _ROWS // len(axis.values))
    parts = [_flow_chunk(axis, y[i : i + size], v_from, v_to) for i in range(0, len(y), size)]
    return np.concatenate(parts)


def _flow_chunk(axis: Axis, y: Array, v_from: float, v_to: float) -> Array:
    log_p, log_m = _log_tails(axis, y, v_from)
    log_abs, sign = _log_difference(log_p, log_m)
    cut = np.argmin(log_abs, axis=1)[:, None]
    log_p, log_m, log_abs, sign = (
        np.take_along_axis(a, cut, axis=1)[:, 0] for a in (log_p, log_m, log_abs, sign)
    )
    below = np.where(sign < 0, log_abs, -np.inf)
    above = np.where(sign > 0, log_abs, -np.inf)
    end = _solve(axis, cut, below, above, _bracket(axis, y, v_from, v_to), v_to)
    log_error = np.logaddexp(
        _log_rounding(log_p, log_m), _log_rounding(*_log_sides(axis, end, v_to, cut))
    ) - _log_density(axis, end, v_to)
    scale = axis.extent + np.abs(end)
    doubtful = log_error > np.log(_RTOL * scale)
    for point in np.unique(y[doubtful]):
        ball = flow_axis_arb(axis, float(point), v_from, v_to, bits=48)
        end[doubtful & (y == point)] = float(ball.mid())
    return end


def _log_tails(axis: Axis, y: Array, v: float) -> tuple[Array, Array]:
    """log P_j and log M_j, both (n, m + 1) for j = 0..m."""
    z = (y[:, None] - axis.values) / np.sqrt(v + axis.excess)
    log_w = np.log(axis.weights)
    edge = np.full((len(y), 1), -np.inf)
    above = np.logaddexp.accumulate((log_w + log_ndtr(z))[:, ::-1], axis=1)[:, ::-1]
    below = np.logaddexp.accumulate(log_w + log_ndtr(-z), axis=1)
    return np.hstack([above, edge]), np.hstack([edge, below])


def _log_sides(axis: Axis, y: Array, v: float, cut: IntArray) -> tuple[Array, Array]:
    """log P_j and log M_j at each point's own cut j, (n,) each."""
    log_p, log_m = _log_tails(axis, y, v)
    take = np.take_along_axis
    return take(log_p, cut, axis=1)[:, 0], take(log_m, cut, axis=1)[:, 0]


def _log_difference(log_p: Array, log_m: Array) -> tuple[Array, Array]:
    """log|P - M| and its sign."""
    top, gap = np.maximum(log_p, log_m), np.abs(log_p - log_m)
    with np.errstate(divide="ignore"):
        return top + np.log(-np.expm1(-gap)), np.sign(log_p - log_m)


def _log_rounding(log_p: Array, log_m: Array) -> Array:
    """log of the rounding error of P - M: each tail carries a few ulp of its exponent."""
    terms = [np.log(_EPS * (4.0 + 3.0 * _finite(a))) + a for a in (log_p, log_m)]
    return np.logaddexp(*terms)


def _finite(log_value: Array) -> Array:
    return np.where(np.isfinite(log_value), np.abs(log_value), 0.0)


def _log_density(axis: Axis, y: Array, v: float) -> Array:
    z2 = np.square(y[:, None] - axis.values) / (v + axis.excess)
    terms = np.log(axis.weights) - 0.5 * z2 - 0.5 * np.log1p(axis.excess / v)
    return np.asarray(np.logaddexp.reduce(terms, axis=1) - _LOG_ROOT_2PI - 0.5 * math.log(v))


def _bracket(axis: Axis, y: Array, v_from: float, v_to: float) -> tuple[Array, Array]:
    """Between the ends r y + (1 - r) mu of the flows of single modes: where all of these lie below
    a place, the distribution function there is larger than at the start."""
    r = ode_contraction(v_from, v_to)
    ends = [r * y + (1.0 - r) * axis.values[0], r * y + (1.0 - r) * axis.values[-1]]
    if isinstance(axis.excess, np.ndarray):
        own = np.sqrt((v_to + axis.excess) / (v_from + axis.excess))
        alone = own * y[:, None] + (1.0 - own) * axis.values
        r, ends = np.maximum(1.0, own.max()), [alone.min(axis=1), alone.max(axis=1)]
    slack = 8.0 * _EPS * (1.0 + r) * (np.abs(y) + axis.extent)
    return np.minimum(*ends) - slack, np.maximum(*ends) + slack


def _solve(
    axis: Axis, cut: IntArray, below: Array, above: Array, bracket: tuple[Array, Array], v: float
) -> Array:
    """Safeguarded Newton on log(P' + below) - log(M' + above), increasing in y'."""
    low, high = bracket
    root = 0.5 * (low + high)
    active = np.arange(len(root))
    for iteration in range(200):
        y = root[active]
        value, slope = _log_balance(axis, y, v, cut[active], below[active], above[active])
        low[active] = np.where(value <= 0, y, low[active])
        high[active] = np.where(value >= 0, y, high[active])
        a, b = low[active], high[active]
        # The slope underflows where a constant term dominates: no Newton step there.
        newton = y - np.divide(value, slope, out=np.full_like(y, np.inf), where=slope > 1e-290)
        usable = (newton >= a) & (newton <= b)
        # Every fourth step halves the bracket where Newton has not settled, so it always ends.
        settled = usable & (np.abs(newton - y) <= 2 * _EPS * (np.abs(y) + np.abs(newton)))
        halve = ~usable | ((iteration % 4 == 3) & ~settled)
        root[active] = np.where(halve, 0.5 * (a + b), newton)
        done = settled | (b - a <= 2 * _EPS * np.maximum(np.abs(a), np.abs(b)))
        active = active[~done]
        if active.size == 0:
            return root
    raise ConvergenceError(f"the inverse distribution function did not settle at v = {v}")


def _log_balance(
    axis: Axis, y: Array, v: float, cut: IntArray, below: Array, above: Array
) -> tuple[Array, Array]:
    """The function that `_solve` zeroes, and its derivative."""
    log_p, log_m = _log_sides(axis, y, v, cut)
    left, right = np.logaddexp(log_p, below), np.logaddexp(log_m, above)
    log_pdf = (
        np.log(axis.weights)
        - 0.5 * np.square(y[:, None] - axis.values) / (v + axis.excess)
        - _LOG_ROOT_2PI
        - 0.5 * math.log(v)
        - 0.5 * np.log1p(axis.excess / v)
    )
    upper = np.arange(len(axis.values)) >= cut
    slope = np.exp(np.where(upper, log_pdf - left[:, None], log_pdf - right[:, None]))
    return left - right, slope.sum(axis=1)
