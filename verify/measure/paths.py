"""What claims measure in common: noise levels, states of the marginals, reverse trajectories."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixdyn.bounds import orthogonal_remainder
from mixdyn.geometry import Mask, squared_distances, two_nearest
from mixdyn.geometry import pair as geometry_pair
from mixdyn.geometry.dominance_times import NEVER, tau_1, tau_2
from mixdyn.oracles import linear_recursion_std
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, ExactReverse, Sampler
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array, IntArray

from ..ledger.case import Case
from ..ledger.sides import Facts, Part

KAPPA = 7.0  # the dominance margin of the experiments in arXiv 2605.06831 v1
DDIM_STEPS = 50
FLOW_RTOL = 1e-11


@dataclass(frozen=True)
class Level:
    """A case's noise level at time t: abar, noise_var = 1 - abar and alpha of the schedule."""

    mixture: GaussianMixture
    t: int
    abar: float
    noise_var: float

    @property
    def alpha(self) -> float:
        """Signal amplitude sqrt(abar)."""
        return math.sqrt(self.abar)

    @property
    def sigma_t(self) -> float:
        """Standard deviation of a mode of p_t; needs a common sigma."""
        return math.sqrt(self.abar * float(self.mixture.sigma) ** 2 + self.noise_var)

    @property
    def v(self) -> float:
        """Effective variance sigma^2 + (1 - abar)/abar; needs a common sigma."""
        return float(self.mixture.sigma) ** 2 + self.noise_var / self.abar

    @functools.cached_property
    def marginal(self) -> GaussianMixture:
        """p_t."""
        return self.mixture.diffused(self.abar, noise_var=self.noise_var)


def level_at(case: Case, t: int) -> Level:
    """The noise level of a case at time t in 0..T."""
    schedule = case.schedule
    return Level(case.mixture, t, float(schedule.alpha_bar[t]), float(schedule.noise_var[t]))


def random_states(case: Case, label: str, n_times: int, n: int) -> list[tuple[Level, Array]]:
    """States at random times: two thirds from p_t, the others half-way between two of those, some
    of either pushed far outside. Up to n a time, fewer in many dimensions with many modes."""
    rng = case.rng(label)
    per_time = case.pick(2_000_000, 20_000_000) // (n_times * case.mixture.N * case.mixture.d)
    count = min(max(per_time, 9), n)
    batches = []
    for t in rng.integers(1, case.schedule.T + 1, size=n_times).tolist():
        level = level_at(case, t)
        x = level.marginal.sample(count, rng)
        x[::3] = 0.5 * (x[::3] + x[2::3][rng.integers(0, len(x[2::3]), len(x[::3]))])
        x[1::9] *= 5.0
        batches.append((level, x))
    return batches


def score_scale(level: Level, x: Array) -> Array:
    """The engine's accuracy target for the score, without its factor 1e-12, (n,).

    (|x| + max_k |alpha mu_k|)/sigma_t^2 max(1, q/1000), q the largest exponent
    |x - alpha mu_k|^2/(2 sigma_t^2) of a mode that matters: doubles resolve no more.
    """
    marginal = level.marginal
    q = relevant_exponent(level, x)
    reach = np.linalg.norm(x, axis=1) + np.linalg.norm(marginal.means, axis=1).max()
    return np.asarray(reach / marginal.smallest_var * np.maximum(1.0, q / 1e3))


def relevant_exponent(level: Level, x: Array) -> Array:
    """The largest exponent of a mode with a responsibility above about 1e-17, (n,)."""
    marginal = level.marginal
    if marginal.covariance is not None:
        return np.asarray(0.5 * marginal.squared_distances(x).min(axis=1) + 40.0)
    offset = x[:, None, :] - marginal.means
    exponent = np.square(offset).sum(axis=2) / (2.0 * np.square(marginal.sigmas))
    return np.asarray(exponent.min(axis=1) + 40.0)


def variances(case: Case) -> Array:
    """(T + 1,) effective variances of the narrowest mode in its narrowest direction, by time: the
    clock of the solvers."""
    mixture, schedule = case.mixture, case.schedule
    if mixture.has_common_sigma and mixture.smallest_var > 0.0:
        return schedule.effective_variance(float(mixture.sigma))
    return np.asarray(mixture.smallest_var + schedule.rho)


def ddim_grid(case: Case) -> TimeGrid:
    """The nodes of the papers' sampler, DDIM with 50 quadratic steps, or fewer if T is less."""
    return TimeGrid.quadratic(case.schedule.T, min(DDIM_STEPS, case.schedule.T))


def thinned(values: np.ndarray[Any, Any], most: int) -> np.ndarray[Any, Any]:
    """At most so many of the values, evenly chosen, the first and the last among them."""
    last, count = len(values) - 1, min(len(values), most)
    return values[np.unique(np.linspace(0, last, count).astype(int))]


def recursion_end(
    case: Case, times: IntArray, eta: float, sigma: float, start_std: float | None = None
) -> float:
    """The standard deviation in y that DDIM(eta) on the nodes `times` leaves within one mode, by
    the linear recursion, of `start_std` or else the marginal's."""
    schedule = case.schedule
    steps = linear_recursion_std(
        schedule.alpha_bar,
        times,
        eta,
        sigma,
        noise_var=schedule.noise_var,
        start_std=start_std,
    )
    return float(steps[-1])


@dataclass(frozen=True)
class Paths:
    """Reverse trajectories at the nodes of a grid, in static coordinates y = x/alpha.

    times (S + 1,) decreasing raw times, the last 0; v (S + 1,) effective variances; y
    (S + 1, n, d).
    """

    times: IntArray
    v: Array
    y: Array

    @property
    def n(self) -> int:
        """Number of trajectories."""
        return self.y.shape[1]

    def states(self, case: Case) -> Array:
        """x = alpha y, (S + 1, n, d)."""
        return self.y * case.schedule.alpha[self.times][:, None, None]


def _start(case: Case) -> Array:
    """States of p_t at the first node of the papers' grid, (n, d)."""
    n = min(case.pick(2048, 20_000), case.pick(65_536, 2_000_000) // case.mixture.d)
    t = int(ddim_grid(case).times[0])
    return level_at(case, t).marginal.sample(n, case.rng("start"))


def flow_from(case: Case, y: Array, node: int = 0) -> Paths:
    """The flow from y (n, d) at a node of the papers' grid down, to the last noisy one where the
    data have no extent in some direction."""
    times = ddim_grid(case).times[node:]
    times = times[: len(times) - (case.mixture.smallest_var == 0.0)]
    v = variances(case)[times]
    solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL * extent(case.mixture))
    solution = integrate_ode(case.mixture, y, v, solver, keep="trajectory")
    return Paths(times, v, np.asarray(solution.trajectory))


def flow_paths(case: Case) -> Paths:
    """Solutions of the probability-flow ODE from p_t, at the papers' nodes."""
    first = int(ddim_grid(case).times[0])
    return case.memo(
        "flow paths", lambda: flow_from(case, _start(case) / case.schedule.alpha[first])
    )


def node_of_tau_2(case: Case, kappa: float) -> int | None:
    """Index of the first node at which the closest pair is separated (A4.4), None without one."""
    tau = tau_2(case.mixture, case.schedule, kappa)
    closest = int(tau[np.triu_indices(case.mixture.N, k=1)].min())
    times = ddim_grid(case).times
    return int(np.argmax(times <= closest)) if closest >= 1 else None


def sampler_paths(case: Case, sampler: Sampler, label: str) -> Paths:
    """Trajectories of a sampler on the papers' nodes, from the starts of `flow_paths`."""

    def run() -> Paths:
        seed = case.stream(label)
        out = sample(
            case.mixture, case.schedule, sampler, x=_start(case), rng=seed, keep="trajectory"
        )
        v = variances(case)[out.times]
        alpha = case.schedule.alpha[out.times][:, None, None]
        return Paths(out.times, v, np.asarray(out.trajectory) / alpha)

    return case.memo(f"paths {label}", run)


def ddim_paths(case: Case) -> Paths:
    """DDIM with 50 quadratic steps."""
    return sampler_paths(case, DDIM(spacing=ddim_grid(case)), "DDIM")


def reverse_paths(case: Case) -> Paths:
    """The reverse SDE by exact draws: its law at the nodes has no discretisation error."""
    return sampler_paths(case, ExactReverse(ddim_grid(case)), "reverse SDE")


def states_at_nodes(case: Case, first: int, most: int) -> Iterator[tuple[Array, float]]:
    """Every state y (n, d) and v at up to `most` nodes from the `first` on, of the flow, then of
    the reverse SDE."""
    for paths in (flow_paths(case), reverse_paths(case)):
        for k in thinned(np.arange(first, len(paths.times)), most):
            yield paths.y[k], float(paths.v[k])


def stacked(pieces: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """The arrays of each name behind one another."""
    listed = list(pieces)
    return {name: np.concatenate([piece[name] for piece in listed]) for name in listed[0]}


def extent(mixture: GaussianMixture) -> float:
    """The scale of rounding: the largest coordinate of a mean, or a mode's width if larger."""
    return float(max(np.abs(mixture.means).max(), mixture.std_range[1]))


def log_panels(rho: tuple[float, float], floor: float, panels: int) -> tuple[Array, Array]:
    """Nodes rho (m,), rising, and weights of an integral over rho from the first to the second:
    Gauss and Legendre's rule of eight points on panels even in log(floor + rho)."""
    x, w = np.polynomial.legendre.leggauss(8)
    first, last = (math.log(floor + end) for end in rho)
    edges = np.linspace(first, last, panels + 1)
    half = 0.5 * np.diff(edges)[:, None]
    v = np.exp((edges[:-1, None] + half * (1.0 + x)).ravel())
    return v - floor, (half * w).ravel() * v


def flow_tolerance(case: Case) -> float:
    """What the error of a flow path's coordinates stays below, except next to a separatrix."""
    return 1e3 * FLOW_RTOL * extent(case.mixture)


@dataclass(frozen=True)
class Tails:
    """The part of each path on which one fixed pair of modes dominates.

    start (n,): index of the first such node, S + 1 where there is none. pair (n, 2): that pair.
    distance (S + 1, n): d_perp of y to the line of the path's own pair, NaN where it has none.
    """

    mixture: GaussianMixture
    kappa: float
    start: IntArray
    pair: IntArray
    distance: Array

    @property
    def dominated(self) -> Mask:
        """(n,): paths whose tail has a later node."""
        return self.start < len(self.distance) - 1

    def at_start(self, values: Array) -> Array:
        """(n,) of values (S + 1, n) or (S + 1,): those at the first node of each path's tail, at
        the last node where it has none."""
        first = np.minimum(self.start, len(self.distance) - 1)
        return values[first] if values.ndim == 1 else values[first, np.arange(len(first))]

    def later(self) -> Mask:
        """(S + 1, n): nodes after the first of the path's tail."""
        return np.arange(len(self.distance))[:, None] > self.start

    def per_path(self, value: Callable[[int, int], float]) -> Array:
        """(n,) values of a function of the pair, NaN where a path has none."""
        out = np.full(len(self.start), np.nan)
        for (i, j), rows in self.groups:
            out[rows] = value(i, j)
        return out

    @functools.cached_property
    def remainders(self) -> Array:
        """R of each path's own pair, (n,), NaN without one."""
        return self.per_path(
            lambda i, j: float(orthogonal_remainder(self.mixture, i, j, self.kappa))
        )

    @functools.cached_property
    def lengths(self) -> Array:
        """Length of each path's own pair, (n,), NaN without one."""
        return self.per_path(lambda i, j: geometry_pair(self.mixture, i, j).length)

    def along(self, paths: Paths, value: Callable[[int, int, Array], Array]) -> Array:
        """(S + 1, n) values of a function of the pair and of states (m, d), NaN where a path has
        none."""
        out = np.full(paths.y.shape[:2], np.nan)
        for (i, j), rows in self.groups:
            states = paths.y[:, rows]
            out[:, rows] = value(i, j, states.reshape(-1, states.shape[2])).reshape(-1, len(rows))
        return out

    @functools.cached_property
    def groups(self) -> list[tuple[tuple[int, int], IntArray]]:
        """Each pair with the indices of the paths that it dominates."""
        dominated = np.flatnonzero(self.pair[:, 0] >= 0)
        pairs, label = np.unique(self.pair[dominated], axis=0, return_inverse=True)
        return [
            ((i, j), dominated[label.reshape(-1) == k]) for k, (i, j) in enumerate(pairs.tolist())
        ]


def pair_margins(case: Case, paths: Paths, pair: IntArray) -> Array:
    """(S + 1, n): the dominance margin of each path's own pair (n, 2) at every node.

    Infinite where there is no third mode, NaN for paths without a pair.
    """
    margins = np.full(paths.y.shape[:2], np.nan)
    rows = np.flatnonzero(pair[:, 0] >= 0)
    if rows.size == 0:
        return margins
    i, j = pair[rows].T
    place = np.arange(len(rows))
    for k, v in enumerate(paths.v):
        d2 = squared_distances(paths.y[k, rows], case.mixture.means)
        nearer = np.minimum(d2[place, i], d2[place, j])
        d2[place, i] = d2[place, j] = np.inf
        margins[k, rows] = (d2.min(axis=1) - nearer) / (2.0 * v)
    return margins


def dominated_tails(case: Case, paths: Paths, kappa: float = KAPPA) -> Tails:
    """Where A4.1 holds along paths with one fixed pair and margin kappa, at the nodes."""
    found = tau_1(case.mixture, case.schedule, paths.times, paths.states(case), kappa)
    place = {int(t): k for k, t in enumerate(paths.times)} | {NEVER: len(paths.times)}
    start = np.array([place[int(t)] for t in found.last_fixed])
    pair = found.pair.copy()
    alone = np.flatnonzero((pair[:, 0] >= 0) & (pair[:, 1] < 0))
    if alone.size:  # one mode dominates by itself: its second nearest is as good a partner as any
        y = paths.y[start[alone], alone]
        first, second, _, _ = two_nearest(case.mixture.means, y)
        pair[alone, 1] = np.where(first == pair[alone, 0], second, first)
    tails = Tails(case.mixture, kappa, start, pair, np.empty(0))

    def distance(i: int, j: int, y: Array) -> Array:
        return geometry_pair(case.mixture, i, j).orthogonal_distance(y)

    return replace(tails, distance=tails.along(paths, distance))


def flow_tails(case: Case, kappa: float) -> Tails:
    """`dominated_tails` of `flow_paths`."""
    key = f"flow tails {kappa:g}"
    return case.memo(key, lambda: dominated_tails(case, flow_paths(case), kappa))


def ddim_tails(case: Case) -> Tails:
    """`dominated_tails` of `ddim_paths`."""
    return case.memo("DDIM tails", lambda: dominated_tails(case, ddim_paths(case)))


def told_by_tube(tails: Tails) -> Iterator[Part]:
    """The paths about which a tube of radius R says something: R is below their pair's distance."""
    if np.nanmax(tails.distance) > 1e-9 * np.nanmax(tails.lengths):
        within = tails.remainders < tails.lengths
        yield Facts(nonvacuous=float(np.mean(within[tails.dominated])))
    else:
        yield Facts(nonvacuous=0.0)
        yield "Every state lies on every line through two modes."


def tail_place(paths: Paths, tails: Tails, node: int, path: int) -> dict[str, Any]:
    """What reproduces one place of a tail: its start, its pair and its time."""
    start = min(int(tails.start[path]), node)
    return {
        "y_start": paths.y[start, path],
        "t_start": int(paths.times[start]),
        "t": int(paths.times[node]),
        "pair": tails.pair[path],
    }
