"""What `mixdyn check` measures on a mixture and a schedule.

The numbers come from closed forms and bounds, not from runs, except tau_1, which needs
trajectories: DDIM's, and the exact reverse diffusion's on the same nodes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.geometry import Pair, dynamics, mode_radius, radius_in_stds
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.noise import resolve_seed
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers.ddim import DDIM
from mixdyn.samplers.reverse import ExactReverse
from mixdyn.support import errors
from mixdyn.support.checks import Array, IntArray, check_integer, check_memory, check_positive
from mixdyn.support.numbers import Log10

from . import facts
from .data_check import MOST_MODES, clone_facts, data_facts, is_data, route_facts
from .facts import MIDDLE, PAPER_KAPPA

_ON_SEGMENT = 2000  # places on a segment at which it is asked what a sample there would count as
_TRAP_FRACTIONS = (0.15, MIDDLE)
_TRAJECTORY_BYTES = 1 << 26
_TABLE_BYTES = 2e9
_ENDS = (("last_noisy", 1), ("clean", 0))
_NO_PAIR = (
    "All modes are at one place: there is no pair whose separation, saddle, trap or budget "
    "could be measured, and no interpolation."
)
_NO_CLOCK = (
    "tau_1, tau_2, saddles, traps and budgets need one sigma common to all modes: "
    "their theory describes a single clock."
)
_DATA = (
    "These are data: tau_1, tau_2, saddles, traps and budgets are of pairs of wide modes, and "
    "`GaussianMixture.fit` makes some of data."
)
_ALONG = "The sigma of a pair is the standard deviation of its modes along their line."


@dataclass(frozen=True)
class CheckRequest:
    """A mixture and a schedule, and how closely to look. No taus: one is chosen. labels (N,): the
    class of every mode or point."""

    mixture: GaussianMixture
    schedule: NoiseSchedule
    kappas: tuple[float, ...] = (2.0, PAPER_KAPPA, 20.0)
    taus: tuple[int, ...] = ()
    ddim: dict[str, Any] = field(default_factory=dict)
    n_pairs: int = 5
    n_trajectories: int | None = None
    seed: int = 0
    labels: IntArray | None = None


def diagnose(request: CheckRequest, progress: Callable[[int, int], None]) -> facts.Diagnosis:
    """Measure a mixture and a schedule. Raises InputError for what the user must correct."""
    return _Check(request).diagnosis(progress)


class _Check:
    """A request, checked, and the measurements that make its diagnosis."""

    def __init__(self, request: CheckRequest) -> None:
        path = request.schedule
        self.mixture, schedule = request.mixture, path.with_signal().as_variance_preserving()
        mixture, self.schedule, self.request = self.mixture, schedule, request
        self.kappas = [check_positive(kappa, "kappa") for kappa in request.kappas]
        self.as_data, self._few = is_data(mixture), mixture.N <= MOST_MODES
        if not self.as_data:
            tables, few = 8.0 * (4 + len(self.kappas)) * mixture.N**2, "Take fewer modes."
            check_memory(tables, _TABLE_BYTES, "the tables of all pairs of modes", few)
        self.taus = [check_integer(tau, "tau", 1, schedule.T) for tau in request.taus]
        self.seed = resolve_seed(request.seed)
        ddim = DDIM(**request.ddim)
        self.ddim = ddim if "steps" in request.ddim else ddim.within(schedule)
        n_pairs = check_integer(request.n_pairs, "pairs", 1)
        self.pairs, self.n_shortest = ([], 0) if self.as_data else _nearest(mixture, n_pairs)
        self.grid = self.ddim.grid(schedule)
        self.n_trajectories = _affordable(request.n_trajectories, self.grid, mixture.d)
        self.stds = mixture.std_range
        # The least extent that there is; none of point masses.
        self.sigma = _least_std(mixture)
        self.v = self.stds[0] ** 2 + schedule.rho
        self.notes: list[str] = [f"Measured on {path.in_words}."] if path.in_words else []

    def diagnosis(self, progress: Callable[[int, int], None]) -> facts.Diagnosis:
        crossings: list[facts.CrossingFacts] = []
        stages: list[facts.Stage] = []
        if self.as_data:
            self.notes.append(_DATA)
        elif not self.pairs:
            self.notes.append(_NO_PAIR)
        elif self.mixture.has_common_sigma:
            crossings = self._crossings(progress)
            stages = [self._stage(tau) for tau in self.taus or self._default_tau()]
        else:
            self.notes.append(_NO_CLOCK)
        if self.mixture.covariance is not None:
            self.notes.append(_ALONG)
        starts = sorted({self.schedule.T, int(self.grid.times[0])})
        return facts.Diagnosis(
            self._mixture_facts(),
            self._schedule_facts(),
            [facts.start_facts(self.mixture, self.schedule, t) for t in starts if self._few],
            self.kappas,
            self.n_shortest,
            self._pair_facts(),
            crossings,
            self.n_trajectories if crossings else 0,
            self.seed,
            stages,
            self._spread(),
            data_facts(self.request, self.schedule, self.grid) if self.as_data else None,
            clone_facts(self.request, self.schedule, progress),
            route_facts(self.mixture, self.schedule),
            self.notes,
        )

    def _mixture_facts(self) -> dict[str, Any]:
        weights = self.mixture.weights
        return {
            "N": self.mixture.N,
            "d": self.mixture.d,
            "sigma_min": self.stds[0],
            "sigma_max": self.stds[1],
            "weight_min": float(weights.min()),
            "weight_max": float(weights.max()),
            "digest": self.mixture.digest,
        }

    def _schedule_facts(self) -> dict[str, Any]:
        last = self.schedule.rho[1]
        return {
            "T": self.schedule.T,
            "alpha_bar_T": Log10.from_log(float(self.schedule.log_alpha_bar[-1])),
            "last_noise_var": float(last),
            "last_noise_var_sigma2": float(last / self.sigma**2) if self.sigma > 0.0 else None,
            "ddim_steps": self.grid.steps,
            "ddim_times": self.grid.times.tolist(),
            "digest": self.schedule.digest,
        }

    def _pair_facts(self) -> list[facts.PairFacts]:
        if not self.pairs:
            return []
        mixture, N = self.mixture, self.mixture.N
        weights, reach = mixture.weights, radius_in_stds(mixture.d)
        known, never = mixture.has_common_sigma, np.full((N, N), dynamics.NEVER)
        tau_2 = [dynamics.tau_2(mixture, self.schedule, k) if known else never for k in self.kappas]
        found = []
        for modes in self.pairs:
            i, j, length = modes.i, modes.j, modes.length
            raw = [_time(times[i, j]) for times in tau_2]
            one, other = _stds_along(mixture, modes)
            widths: tuple[float | None, float | None] = None, None
            if max(one, other) > 0.0:
                widths = length / max(one, other), length / (reach * one + reach * other)
            saddle = self._whitened(modes)
            seen, ratio = _seen_share(mixture, modes), float(weights[i] / weights[j])
            steps = [self._steps_left(t) for t in raw]
            found.append(facts.PairFacts(i, j, length, *widths, *saddle, seen, ratio, raw, steps))
        return found

    def _whitened(self, modes: Pair) -> tuple[float | None, int | None]:
        """The Mahalanobis length of a pair at the data, by the mean of its covariances, and the
        time from which on it is above 2."""
        edge, variances = _whitening(self.mixture, modes)
        with np.errstate(divide="ignore"):
            squares = [float((edge**2 / (variances + rho)).sum()) for rho in self.schedule.rho[1:]]
            clean = float((edge[edge != 0.0] ** 2 / variances[edge != 0.0]).sum())
        born = np.flatnonzero(np.array(squares) > 4.0)
        at = int(born[-1]) + 1 if born.size else None
        return (float(np.sqrt(clean)) if np.isfinite(clean) else None), at

    def _steps_left(self, raw: int | None) -> int | None:
        return None if raw is None else dynamics.steps_left(self.grid.times, raw)

    def _crossings(self, progress: Callable[[int, int], None]) -> list[facts.CrossingFacts]:
        processes = {"DDIM": self.ddim, "reverse SDE": ExactReverse(self.grid)}
        found = []
        for k, (name, sampler) in enumerate(processes.items()):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", errors.StartWarning)  # the diagnosis says it
                n, seed = self.n_trajectories, self.seed
                run = sample(self.mixture, self.schedule, sampler, n=n, rng=seed, keep="trajectory")
            paths = np.asarray(run.trajectory)
            for kappa in self.kappas:
                times = dynamics.tau_1(self.mixture, self.schedule, run.times, paths, kappa)
                for crossing in ("first", "last", "last_fixed"):
                    at = getattr(times, crossing)
                    low, middle, high = map(
                        _time, np.quantile(at, (0.05, 0.5, 0.95), method="inverted_cdf")
                    )
                    never = float(np.mean(at == dynamics.NEVER))
                    label, steps = (name, kappa, crossing), self._steps_left(middle)
                    found.append(facts.CrossingFacts(*label, never, low, middle, high, steps))
            progress(k + 1, len(processes))
        return found

    def _default_tau(self) -> list[int]:
        """The first DDIM node where the nearest pair is separated, else where a saddle appears."""
        nearest, times = self.pairs[0], self.grid.times
        tau_2 = int(dynamics.tau_2(self.mixture, self.schedule, PAPER_KAPPA)[nearest.i, nearest.j])
        nodes = times[(times >= 1) & (times <= tau_2)]
        if nodes.size:
            return [int(nodes[0])]
        unstable = np.flatnonzero(nearest.length**2 > 4.0 * self.v[1:])
        where = f"the nearest modes are never separated at kappa = {PAPER_KAPPA:g} on a DDIM node"
        if unstable.size:
            where = f"{where}: tau is where their midpoint turns unstable (l^2 > 4 v)."
        else:
            where = f"{where}, and l^2 > 4 v holds at no noisy time: there is no saddle to report."
        self.notes.append(where)
        return [int(unstable[-1]) + 1] if unstable.size else []

    def _stage(self, tau: int) -> facts.Stage:
        v = float(self.v[tau])
        ends = {name: float(self.v[t]) for name, t in _ENDS if t < tau}
        growth = {
            name: float(bounds.mixture_growth_exponent(self.mixture, v, end))
            for name, end in ends.items()
        }
        budgets = [self._budget(v, *end) for end in ends.items()]
        pairs = [_pair_stage(self.mixture, modes, v, ends) for modes in self.pairs]
        return facts.Stage(
            tau, dynamics.steps_left(self.grid.times, tau), v, growth, budgets, pairs
        )

    def _budget(self, v: float, name: str, v_end: float) -> facts.BudgetFacts:
        half, radius = 0.5 * self.pairs[0].length, float(mode_radius(self.mixture)[0])
        ode, sde = oracles.ode_contraction(v, v_end), oracles.sde_contraction(v, v_end)[0]
        latest = []
        for ratio in (bounds.ode_budget, bounds.sde_budget):
            times = np.flatnonzero(self.v >= float(ratio(max(half, radius), radius)) * v_end)
            latest.append(int(times[0]) if times.size else None)
        halves = half * ode / self.sigma, half * sde / self.sigma
        return facts.BudgetFacts(name, ode, sde, *halves, *latest)

    def _spread(self) -> list[facts.SpreadFacts]:
        schedule, own, full = self.schedule, self.grid, TimeGrid.full(self.schedule.T)
        runs = {  # by name, so that a DDIM grid of every time is not listed twice
            f"DDIM, {own.steps} steps": (own, 0.0),
            f"DDIM, {full.steps} steps": (full, 0.0),
            f"DDPM, {full.steps} steps": (full, 1.0),
        }
        found = []
        for sigma in sorted({std for std in (self.sigma, self.stds[1]) if std > 0.0}):
            last = sigma**2 / (sigma**2 + float(schedule.rho[1]))
            for name, (grid, eta) in runs.items():
                std = oracles.linear_recursion_std(
                    schedule.alpha_bar, grid.times, eta, sigma, noise_var=schedule.noise_var
                )
                found.append(facts.SpreadFacts(name, sigma, float(std[-1]) / sigma, last))
        return found


def _least_std(mixture: GaussianMixture) -> float:
    """The smallest standard deviation above 0 of a mode in any direction; 0 of point masses."""
    c = mixture.covariance
    given = [np.square(mixture.sigmas)] if c is None else [c.values.ravel()]
    if c is not None and c.rest is not None:
        given.append(c.rest)
    every = np.concatenate(given)
    return float(np.sqrt(every[every > 0.0].min(initial=np.inf))) if (every > 0.0).any() else 0.0


def _whitening(mixture: GaussianMixture, modes: Pair) -> tuple[Array, Array]:
    """The edge of a pair along the eigenvectors of the mean of its covariances, and their
    variances, (r,)."""
    edge, c = modes.mu_i - modes.mu_j, mixture.covariance
    if c is None:
        mean = 0.5 * (mixture.sigmas[modes.i] ** 2 + mixture.sigmas[modes.j] ** 2)
        return np.array([modes.length]), np.array([mean])
    eye = np.eye(mixture.d)
    whole = [c.applied(k, eye, c.functions(np.asarray)) for k in (modes.i, modes.j)]
    mean = 0.25 * (whole[0] + whole[0].T + whole[1] + whole[1].T)
    variances, vectors = np.linalg.eigh(mean)
    # Rounding of an eigenvalue that is none.
    variances = np.where(variances < 64.0 * np.finfo(float).eps * variances[-1], 0.0, variances)
    return edge @ vectors, variances


def _stds_along(mixture: GaussianMixture, modes: Pair) -> tuple[float, float]:
    """Standard deviations of the two modes of a pair along its line."""
    if (c := mixture.covariance) is None:
        return float(mixture.sigmas[modes.i]), float(mixture.sigmas[modes.j])
    line, roots = (modes.mu_i - modes.mu_j)[None] / modes.length, c.functions(np.sqrt)
    one, other = (float(np.linalg.norm(c.applied(k, line, roots))) for k in (modes.i, modes.j))
    return one, other


def _affordable(n: int | None, grid: TimeGrid, d: int) -> int:
    """n trajectories; when None 512, or as many as fit 64 MiB, but no fewer than 16.

    Raises MemoryLimitError for an n beyond what fits 64 MiB.
    """
    most = max(16, _TRAJECTORY_BYTES // (8 * d * len(grid.times)))
    if n is None:
        return min(512, most)
    if check_integer(n, "samples", 1) > most:
        raise errors.MemoryLimitError(
            f"the trajectories of a check must fit {_TRAJECTORY_BYTES} bytes, {most} of them "
            f"on this grid of {grid.steps} steps in {d} dimensions",
            f"samples {n}",
            f"Choose samples <= {most}.",
        )
    return n


def _nearest(mixture: GaussianMixture, count: int) -> tuple[list[Pair], int]:
    """The `count` nearest pairs at different places, and how many share the smallest distance; none
    where all modes are at one place. Of modes with one mean the widest stands for their place, as
    it does for `classify`."""
    widest = geometry.widest_modes(mixture)
    i, j = np.triu_indices(len(widest), k=1)
    lengths = geometry.pairwise_distances(mixture.means[widest])[i, j]
    i, j = widest[i], widest[j]
    if lengths.size == 0:
        return [], 0
    tied = lengths <= lengths.min() * (1.0 + 1e-9)
    order = np.lexsort((j, i, np.where(tied, lengths.min(), lengths)))[:count]
    return [geometry.pair(mixture, int(i[k]), int(j[k])) for k in order], int(tied.sum())


def _seen_share(mixture: GaussianMixture, modes: Pair) -> float:
    """The share of the segment between two modes on which a sample counts as an interpolation."""
    a = (np.arange(_ON_SEGMENT)[:, None] + 0.5) / _ON_SEGMENT
    codes = geometry.classify(mixture, a * modes.mu_i + (1.0 - a) * modes.mu_j)
    return float(np.mean(codes == geometry.Region.INTERPOLATION))


def _time(raw: int) -> int | None:
    return None if raw == dynamics.NEVER else int(raw)


def _pair_stage(
    mixture: GaussianMixture, modes: Pair, v: float, ends: dict[str, float]
) -> facts.PairStage:
    saddle = no_saddle = no_traps = None
    try:
        saddle = _saddle_facts(modes, dynamics.saddle(mixture, modes, v))
    except errors.NotApplicableError as error:
        no_saddle = f"{error.rule}; {error.received}"
    except errors.ConvergenceError as error:
        no_saddle = str(error)
    growth = {k: float(bounds.growth_exponent(modes.length, v, end)) for k, end in ends.items()}
    safe = {k: Log10.from_log(float(bounds.log_safe_start(MIDDLE, g))) for k, g in growth.items()}
    try:
        traps = [
            facts.TrapFacts(name, fraction, Log10(found.log10_radius))
            for name, end in ends.items()
            for fraction in _TRAP_FRACTIONS
            for found in [oracles.trap_radius(mixture, (modes.i, modes.j), fraction, v, end)]
        ]
    except errors.NotApplicableError as error:
        traps, no_traps = [], f"{error.rule}; {error.received}"
    except errors.ConvergenceError as error:  # of modes some 1e8 widths apart
        traps, no_traps = [], str(error)
    stiffness = modes.length**2 / v
    return facts.PairStage(
        modes.i, modes.j, stiffness, saddle, no_saddle, growth, safe, traps, no_traps
    )


def _saddle_facts(modes: Pair, found: dynamics.Equilibrium) -> facts.SaddleFacts:
    point = found.point[None]
    return facts.SaddleFacts(
        found.point.tolist(),
        float(modes.coordinates(point)[0][0]),
        float(np.linalg.norm(found.point - modes.midpoint)) / modes.length,
        float(modes.orthogonal_distance(point)[0]) / modes.length,
        found.eigenvalues.tolist(),
        found.residual,
    )
