"""What the claims about saddles and traps measure in common: pairs, two-mode problems, deep traps.

The flow next to a midpoint grows by factors that doubles cannot hold. In the logarithm of the
distance it is an ordinary equation of moderate size, `flow_of_log_distance`, with arithmetic of its
own: neither the engine's, nor that of the closed forms.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mixdyn import bounds, geometry, oracles
from mixdyn.geometry import Pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.ledger.needs import coinciding_modes
from verify.ledger.sides import Side, Tolerance, Where
from verify.measure.paths import KAPPA, ddim_grid

LOG_10 = math.log(10.0)
VACUOUS_LOG_RADIUS = -30.0 * LOG_10  # a radius below 1e-30 of the segment says nothing
LOG_RTOL = 1e-6  # relative difference of two start radii that is taken for rounding
LOG = Tolerance(rtol=LOG_RTOL, log=True)
# Of an end in log z: an error near the rim, where log z is of order one, grows by up to k/16.
_RTOL, _ATOL = 1e-13, 1e-14


def neighbour_pairs(mixture: GaussianMixture, limit: int) -> list[Pair]:
    """Pairs to whose midpoint no third mode is nearer, the shortest first, at most `limit`.

    Raises NotApplicableError for modes that coincide.
    """
    if coinciding_modes(mixture) is not None:
        raise NotApplicableError(
            "a claim about pairs needs modes at different places",
            "two modes with the same mean",
            "Merge them into one mode with the sum of their weights.",
        )
    i, j = np.triu_indices(mixture.N, k=1)
    length = geometry.pairwise_distances(mixture.means)[i, j]
    order = np.argsort(length, kind="stable")[: 20 * limit]
    found: list[Pair] = []
    for p in order.tolist():
        pair = geometry.pair(mixture, int(i[p]), int(j[p]))
        nearest2 = np.square(mixture.means - pair.midpoint).sum(axis=1).min()
        if nearest2 >= (0.5 * pair.length) ** 2 * (1.0 - 1e-9):
            found.append(pair)
        if len(found) == limit:
            break
    return found


def of_distinct_length(pairs: list[Pair]) -> list[Pair]:
    """One pair of each length, up to rounding."""
    chosen: list[Pair] = []
    for pair in sorted(pairs, key=lambda p: p.length):
        if not chosen or pair.length > chosen[-1].length * (1.0 + 1e-9):
            chosen.append(pair)
    return chosen


def node_variances(case: Case) -> Array:
    """Effective variances at the nodes of the papers' grid, decreasing to sigma^2."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    return np.asarray(v[ddim_grid(case).times])


def node_below(case: Case, v_limit: float) -> int | None:
    """Index of the first noisy node of the papers' grid with v <= v_limit, None without one."""
    below = np.flatnonzero(node_variances(case)[:-1] <= v_limit)
    return int(below[0]) if below.size else None


def regime_node(case: Case, length: float, kappa: float = KAPPA) -> int | None:
    """The papers' regime: the first noisy node with l^2 >= 4 kappa d v."""
    return node_below(case, length**2 / (4.0 * kappa * case.mixture.d))


def self_consistent_radius(
    mixture: GaussianMixture, mode: int, gap: float, v: float
) -> float | None:
    """The least r with `bounds.ball_pull` at most r around a mode: that ball is invariant at v.

    gap: distance to the nearest other mode. None if there is no such r below 0.49 gap. Not below
    1e-12 gap, where the pull underflows.
    """
    radius = 1e-12 * gap
    for _ in range(200):
        pull = float(bounds.ball_pull(mixture, mode, radius, v))
        if pull <= radius:
            return radius
        radius = pull * (1.0 + 1e-6)  # so that the iteration, which rises to the root, passes it
        if radius > 0.49 * gap:
            return None
    return None


def closest_pair(mixture: GaussianMixture) -> tuple[Pair, float]:
    """The first of `neighbour_pairs`, and log(w_i/w_j) of its two modes."""
    pair = neighbour_pairs(mixture, 1)[0]
    return pair, math.log(mixture.weights[pair.i] / mixture.weights[pair.j])


def two_modes(length: float, sigma: float, log_ratio: float = 0.0) -> GaussianMixture:
    """Modes j and i at -l/2 and l/2 on a line, with log(w_i/w_j) = log_ratio, up to 700."""
    from scipy.special import expit

    half = 0.5 * length
    return GaussianMixture([[-half], [half]], sigma, expit([-log_ratio, log_ratio]))


def _log_rate(log_z: Array, k: float) -> Array:
    """d(log z)/du = tanh(k z/2)/(2 z) - 1 of two equal modes, z > 0 in units of l."""
    small = log_z < math.log(2e-5 / k)  # there x = k z/2 < 1e-5 and tanh(x)/x is 1 - x^2/3
    # A trial stage may overshoot: from e^300 on the ratio is 0 to rounding, so that a cap is exact.
    x = 0.5 * k * np.exp(np.where(small, 0.0, np.minimum(log_z, 300.0)))
    slope = np.where(small, 1.0, np.tanh(x) / x)
    return np.asarray(0.25 * k * slope - 1.0)


def flow_of_log_distance(log_z: ArrayLike, k_from: float, k_to: float) -> Array:
    """log of the distance to the midpoint of two equal modes, in units of l, carried by the flow.

    log_z (n,) any real; k = l^2/v, growing along the reverse process. k_to < k_from runs it
    backwards. The two are tied by u = log(k/k_from)/2. Errors: `log_error`.
    """
    from scipy.integrate import solve_ivp

    span = 0.5 * math.log(k_to / k_from)
    start = np.atleast_1d(np.asarray(log_z, dtype=float))

    def rate(u: float, state: Array) -> Array:
        return _log_rate(state, k_from * math.exp(2.0 * u))

    solved = solve_ivp(rate, (0.0, span), start, method="DOP853", rtol=_RTOL, atol=_ATOL)
    return np.asarray(solved.y[:, -1])


def log_error(k: ArrayLike) -> Array:
    """How far `flow_of_log_distance` may be off a log of a start radius, k = l^2/v at its end.

    The log of the trap of z_end, about -k (1/2 - z_end)^2/2, changes by up to k/16 per unit of log
    z_end: rounding there is what is lost, a few times its share.
    """
    return np.asarray(1e-9 + 16.0 * np.finfo(float).eps * np.asarray(k, dtype=float))


def against_truth(
    log_exact: ArrayLike, log_truth: ArrayLike, k: ArrayLike, where: Where | None = None
) -> Side:
    """Logs of start radii from the flow of log z against ball arithmetic, k = l^2/v at the end."""
    return Side(
        "start radius: flow of log z against ball arithmetic",
        log_exact,
        equals=log_truth,
        tolerance=LOG,
        scale=1.0 + log_error(k) / LOG_RTOL,
        where=where,
    )


def exact_log_trap(length: float, fraction: float, v_start: float, v_end: float) -> float:
    """log of the start radius of two equal modes that ends within `fraction`, in units of l.

    From the conserved distribution function, in ball arithmetic.
    """
    # A sigma only makes the mixture: the trap depends on the two variances alone.
    mixture = two_modes(length, math.sqrt(v_end))
    trap = oracles.trap_radius(mixture, (1, 0), fraction, v_start, v_end)
    return trap.log10_radius * LOG_10


def full_trap(
    mixture: GaussianMixture, pair: Pair, fraction: float, v_start: float, v_end: float
) -> oracles.Trap | None:
    """The same of the full mixture, None where it has no closed form: it has one for a separable
    mixture whose pair is adjacent on an axis."""
    try:
        return oracles.trap_radius(mixture, (pair.i, pair.j), fraction, v_start, v_end)
    except NotApplicableError:
        return None


def exit_clock(log_z: float, log_radius: float, k_from: float, k_to: float) -> float:
    """Intrinsic time until |z| reaches the radius, inf if not before k_to."""
    from scipy.integrate import solve_ivp

    def rate(u: float, state: Array) -> Array:
        return _log_rate(state, k_from * math.exp(2.0 * u))

    def reached(u: float, state: Array) -> float:
        return float(state[0] - log_radius)

    reached.terminal = True  # type: ignore[attr-defined]
    span = 0.5 * math.log(k_to / k_from)
    solved = solve_ivp(
        rate, (0.0, span), [log_z], method="DOP853", rtol=_RTOL, atol=_ATOL, events=reached
    )
    times = solved.t_events[0]
    return float(times[0]) if len(times) else math.inf


def separatrix(length: float, log_ratio: float, v: float) -> float:
    """Where as much of mode i lies below as of mode j above, in units of l from the midpoint.

    The flow carries that point of the distribution function along, and it divides the two basins.
    """
    from scipy.optimize import brentq
    from scipy.special import log_ndtr

    scale = length / math.sqrt(v)

    def balance(z: float) -> float:
        return float(log_ratio + log_ndtr((z - 0.5) * scale) - log_ndtr(-(z + 0.5) * scale))

    reach = 1.0
    while balance(-reach) > 0.0 or balance(reach) < 0.0:
        reach *= 2.0
    return float(brentq(balance, -reach, reach, xtol=1e-15, rtol=8.9e-16))
