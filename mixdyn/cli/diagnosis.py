"""What `mixdyn check` measures on a mixture and a schedule.

The numbers come from closed forms and bounds, not from runs, except tau_1, which needs
trajectories: DDIM's, and the exact reverse diffusion's on the same nodes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.geometry import (
    Pair,
    Region,
    classify,
    dynamics,
    mode_radius,
    pair,
    pairwise_distances,
    widest_modes,
)
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.noise import resolve_seed
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers.ddim import DDIM
from mixdyn.samplers.reverse import ExactReverse
from mixdyn.support.checks import Array, IntArray, check_integer, check_memory, check_positive
from mixdyn.support.errors import (
    ConvergenceError,
    MemoryLimitError,
    NotApplicableError,
    StartWarning,
)
from mixdyn.support.numbers import Log10

from .facts import (
    MIDDLE,
    PAPER_KAPPA,
    BudgetFacts,
    CrossingFacts,
    Diagnosis,
    PairFacts,
    PairStage,
    SaddleFacts,
    SpreadFacts,
    Stage,
    TrapFacts,
    start_facts,
)

if TYPE_CHECKING:
    from mixdyn.samplers import Sampler

_ON_SEGMENT = 2000  # places on a segment at which it is asked what a sample there would count as
_TRAP_FRACTIONS = (0.15, MIDDLE)
_TRAJECTORY_BYTES = 1 << 26
_TABLE_BYTES = 2e9
_ENDS = (("last_noisy", 1), ("clean", 0))


@dataclass(frozen=True)
class CheckRequest:
    """A mixture and a schedule, and how closely to look. No taus: one is chosen."""

    mixture: GaussianMixture
    schedule: NoiseSchedule
    kappas: tuple[float, ...] = (2.0, PAPER_KAPPA, 20.0)
    taus: tuple[int, ...] = ()
    ddim: dict[str, Any] = field(default_factory=dict)
    n_pairs: int = 5
    n_trajectories: int | None = None
    seed: int = 0


def diagnose(request: CheckRequest, progress: Callable[[int, int], None]) -> Diagnosis:
    """Measure a mixture and a schedule. Raises InputError for what the user must correct."""
    mixture, schedule = request.mixture, request.schedule
    kappas = [check_positive(kappa, "kappa") for kappa in request.kappas]
    tables = 8.0 * (4 + len(kappas)) * mixture.N**2
    check_memory(tables, _TABLE_BYTES, "the tables of all pairs of modes", "Take fewer modes.")
    taus = [check_integer(tau, "tau", 1, schedule.T) for tau in request.taus]
    seed = resolve_seed(request.seed)
    ddim = _ddim(request)
    pairs, n_shortest = _nearest(mixture, check_integer(request.n_pairs, "pairs", 1))
    crossings: list[CrossingFacts] = []
    stages: list[Stage] = []
    notes: list[str] = []
    grid = ddim.grid(schedule)
    n_trajectories = _affordable(request.n_trajectories, grid, mixture.d)
    if not pairs:
        notes.append(
            "All modes are at one place: there is no pair whose separation, saddle, trap or budget "
            "could be measured, and no interpolation."
        )
    elif mixture.has_common_sigma:
        draw = (n_trajectories, seed)
        crossings = _crossings(mixture, schedule, kappas, ddim, draw, progress)
        taus = taus or _default_tau(mixture, schedule, pairs[0], grid, notes)
        stages = [_stage(mixture, schedule, grid, pairs, tau) for tau in taus]
    else:
        notes.append(
            "tau_1, tau_2, saddles, traps and budgets need one sigma common to all modes: "
            "their theory describes a single clock."
        )
    return Diagnosis(
        _mixture_facts(mixture),
        _schedule_facts(mixture, schedule, grid),
        [start_facts(mixture, schedule, t) for t in sorted({schedule.T, int(grid.times[0])})],
        kappas,
        n_shortest,
        _pair_facts(mixture, schedule, grid, pairs, kappas),
        crossings,
        n_trajectories if crossings else 0,
        seed,
        stages,
        _spread(mixture, schedule, ddim),
        notes,
    )


def _ddim(request: CheckRequest) -> DDIM:
    ddim = DDIM(**request.ddim)
    return ddim if "steps" in request.ddim else ddim.within(request.schedule)


def _affordable(n: int | None, grid: TimeGrid, d: int) -> int:
    """n trajectories; when None 512, or as many as fit 64 MiB, but no fewer than 16.

    Raises MemoryLimitError for an n beyond what fits 64 MiB.
    """
    most = max(16, _TRAJECTORY_BYTES // (8 * d * len(grid.times)))
    if n is None:
        return min(512, most)
    if check_integer(n, "samples", 1) > most:
        raise MemoryLimitError(
            f"the trajectories of a check must fit {_TRAJECTORY_BYTES} bytes, {most} of them "
            f"on this grid of {grid.steps} steps in {d} dimensions",
            f"samples {n}",
            f"Choose samples <= {most}.",
        )
    return n


def _mixture_facts(mixture: GaussianMixture) -> dict[str, Any]:
    return {
        "N": mixture.N,
        "d": mixture.d,
        "sigma_min": float(mixture.sigmas.min()),
        "sigma_max": float(mixture.sigmas.max()),
        "weight_min": float(mixture.weights.min()),
        "weight_max": float(mixture.weights.max()),
        "digest": mixture.digest,
    }


def _schedule_facts(
    mixture: GaussianMixture, schedule: NoiseSchedule, grid: TimeGrid
) -> dict[str, Any]:
    return {
        "T": schedule.T,
        "alpha_bar_T": Log10.from_log(float(schedule.log_alpha_bar[-1])),
        "last_noise_var": float(schedule.rho[1]),
        "last_noise_var_sigma2": float(schedule.rho[1] / mixture.sigmas.min() ** 2),
        "ddim_steps": grid.steps,
        "ddim_times": grid.times.tolist(),
        "digest": schedule.digest,
    }


# -- pairs ---------------------------------------------------------------------------------------


def _nearest(mixture: GaussianMixture, count: int) -> tuple[list[Pair], int]:
    """The `count` nearest pairs at different places, and how many share the smallest distance; none
    where all modes are at one place. Of modes with one mean the widest stands for their place, as
    it does for `classify`."""
    widest = widest_modes(mixture)
    i, j = np.triu_indices(len(widest), k=1)
    lengths = pairwise_distances(mixture.means[widest])[i, j]
    i, j = widest[i], widest[j]
    if lengths.size == 0:
        return [], 0
    tied = lengths <= lengths.min() * (1.0 + 1e-9)
    order = np.lexsort((j, i, np.where(tied, lengths.min(), lengths)))[:count]
    return [pair(mixture, int(i[k]), int(j[k])) for k in order], int(tied.sum())


def _pair_facts(
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    grid: TimeGrid,
    pairs: list[Pair],
    kappas: list[float],
) -> list[PairFacts]:
    radius, sigmas, weights = mode_radius(mixture), mixture.sigmas, mixture.weights
    never = np.full((mixture.N, mixture.N), dynamics.NEVER)
    known = mixture.has_common_sigma and bool(pairs)
    tau_2 = [dynamics.tau_2(mixture, schedule, k) if known else never for k in kappas]
    facts = []
    for i, j, length in ((p.i, p.j, p.length) for p in pairs):
        raw = [_time(times[i, j]) for times in tau_2]
        facts.append(
            PairFacts(
                i,
                j,
                length,
                float(length / max(sigmas[i], sigmas[j])),
                float(length / (radius[i] + radius[j])),
                _seen_share(mixture, pair(mixture, i, j)),
                float(weights[i] / weights[j]),
                raw,
                [None if t is None else dynamics.steps_left(grid.times, t) for t in raw],
            )
        )
    return facts


def _seen_share(mixture: GaussianMixture, modes: Pair) -> float:
    """The share of the segment between two modes on which a sample counts as an interpolation."""
    a = (np.arange(_ON_SEGMENT)[:, None] + 0.5) / _ON_SEGMENT
    codes = classify(mixture, a * modes.mu_i + (1.0 - a) * modes.mu_j)
    return float(np.mean(codes == Region.INTERPOLATION))


def _time(raw: int) -> int | None:
    return None if raw == dynamics.NEVER else int(raw)


# -- tau_1 ---------------------------------------------------------------------------------------


def _crossings(
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    kappas: list[float],
    ddim: DDIM,
    draw: tuple[int, int],
    progress: Callable[[int, int], None],
) -> list[CrossingFacts]:
    grid = ddim.grid(schedule)
    n, seed = draw
    processes: list[tuple[str, Sampler]] = [("DDIM", ddim), ("reverse SDE", ExactReverse(grid))]
    facts = []
    for k, (name, sampler) in enumerate(processes):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StartWarning)  # the diagnosis says it
            run = sample(mixture, schedule, sampler, n=n, rng=seed, keep="trajectory")
        for kappa in kappas:
            times = dynamics.tau_1(mixture, schedule, run.times, np.asarray(run.trajectory), kappa)
            for crossing in ("first", "last", "last_fixed"):
                facts.append(
                    _crossing_facts((name, kappa, crossing), getattr(times, crossing), grid)
                )
        progress(k + 1, len(processes))
    return facts


def _crossing_facts(
    label: tuple[str, float, str], times: IntArray, grid: TimeGrid
) -> CrossingFacts:
    low, middle, high = (
        _time(int(t)) for t in np.quantile(times, (0.05, 0.5, 0.95), method="inverted_cdf")
    )
    steps = None if middle is None else dynamics.steps_left(grid.times, middle)
    never = float(np.mean(times == dynamics.NEVER))
    return CrossingFacts(*label, never, low, middle, high, steps)


# -- what is left at tau -------------------------------------------------------------------------


def _default_tau(
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    nearest: Pair,
    grid: TimeGrid,
    notes: list[str],
) -> list[int]:
    """The first DDIM node at which the nearest pair is separated, else where a saddle appears."""
    tau_2 = int(dynamics.tau_2(mixture, schedule, PAPER_KAPPA)[nearest.i, nearest.j])
    nodes = grid.times[(grid.times >= 1) & (grid.times <= tau_2)]
    if nodes.size:
        return [int(nodes[0])]
    v = schedule.effective_variance(mixture.sigmas[0])
    unstable = np.flatnonzero(nearest.length**2 > 4.0 * v[1:])
    where = f"the nearest modes are never separated at kappa = {PAPER_KAPPA:g} on a DDIM node"
    if unstable.size:
        notes.append(f"{where}: tau is where their midpoint turns unstable (l^2 > 4 v).")
        return [int(unstable[-1]) + 1]
    notes.append(f"{where}, and l^2 > 4 v holds at no noisy time: there is no saddle to report.")
    return []


def _stage(
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    grid: TimeGrid,
    pairs: list[Pair],
    tau: int,
) -> Stage:
    v = schedule.effective_variance(mixture.sigmas[0])
    ends = [(name, float(v[t])) for name, t in _ENDS if t < tau]
    growth = {
        name: float(bounds.mixture_growth_exponent(mixture, v[tau], v_end)) for name, v_end in ends
    }
    return Stage(
        tau,
        dynamics.steps_left(grid.times, tau),
        float(v[tau]),
        growth,
        [_budget(mixture, v, pairs[0].length, tau, end) for end in ends],
        [_pair_stage(mixture, p, float(v[tau]), ends) for p in pairs],
    )


def _budget(
    mixture: GaussianMixture, v: Array, length: float, tau: int, end: tuple[str, float]
) -> BudgetFacts:
    name, v_end = end
    sigma, radius = float(mixture.sigmas[0]), float(mode_radius(mixture)[0])
    ode = oracles.ode_contraction(float(v[tau]), v_end)
    sde = oracles.sde_contraction(float(v[tau]), v_end)[0]
    half = 0.5 * length
    needs = [
        np.flatnonzero(v >= float(ratio(max(half, radius), radius)) * v_end)
        for ratio in (bounds.ode_budget, bounds.sde_budget)
    ]
    latest = [int(times[0]) if times.size else None for times in needs]
    return BudgetFacts(name, ode, sde, half * ode / sigma, half * sde / sigma, *latest)


def _pair_stage(
    mixture: GaussianMixture, modes: Pair, v: float, ends: list[tuple[str, float]]
) -> PairStage:
    saddle, no_saddle = None, None
    try:
        saddle = _saddle_facts(modes, dynamics.saddle(mixture, modes, v))
    except NotApplicableError as error:
        no_saddle = f"{error.rule}; {error.received}"
    except ConvergenceError as error:
        no_saddle = str(error)
    growth = {name: float(bounds.growth_exponent(modes.length, v, end)) for name, end in ends}
    safe = {
        name: Log10.from_log(float(bounds.log_safe_start(MIDDLE, exponent)))
        for name, exponent in growth.items()
    }
    traps, no_traps = _traps(mixture, modes, v, ends)
    return PairStage(
        modes.i, modes.j, modes.length**2 / v, saddle, no_saddle, growth, safe, traps, no_traps
    )


def _saddle_facts(modes: Pair, found: dynamics.Equilibrium) -> SaddleFacts:
    point = found.point[None]
    return SaddleFacts(
        found.point.tolist(),
        float(modes.coordinates(point)[0][0]),
        float(np.linalg.norm(found.point - modes.midpoint)) / modes.length,
        float(modes.orthogonal_distance(point)[0]) / modes.length,
        found.eigenvalues.tolist(),
        found.residual,
    )


def _traps(
    mixture: GaussianMixture, modes: Pair, v: float, ends: list[tuple[str, float]]
) -> tuple[list[TrapFacts], str | None]:
    """Exact traps of a separable mixture, or why there are none."""
    traps = []
    for name, v_end in ends:
        for fraction in _TRAP_FRACTIONS:
            try:
                found = oracles.trap_radius(mixture, (modes.i, modes.j), fraction, v, v_end)
            except NotApplicableError as error:
                return [], f"{error.rule}; {error.received}"
            traps.append(TrapFacts(name, fraction, Log10(found.log10_radius)))
    return traps, None


# -- the last step -------------------------------------------------------------------------------


def _spread(mixture: GaussianMixture, schedule: NoiseSchedule, ddim: DDIM) -> list[SpreadFacts]:
    sigmas = sorted({float(mixture.sigmas.min()), float(mixture.sigmas.max())})
    own, full = ddim.grid(schedule), TimeGrid.full(schedule.T)
    runs = {  # by name, so that a DDIM grid of every time is not listed twice
        f"DDIM, {own.steps} steps": (own, 0.0),
        f"DDIM, {full.steps} steps": (full, 0.0),
        f"DDPM, {full.steps} steps": (full, 1.0),
    }
    facts = []
    for sigma in sigmas:
        last = sigma**2 / (sigma**2 + float(schedule.rho[1]))
        for name, (grid, eta) in runs.items():
            std = oracles.linear_recursion_std(
                schedule.alpha_bar, grid.times, eta, sigma, noise_var=schedule.noise_var
            )
            facts.append(SpreadFacts(name, sigma, float(std[-1]) / sigma, last))
    return facts
