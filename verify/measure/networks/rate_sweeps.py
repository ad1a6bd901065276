"""Rates of a case's scores under DDIM and DDPM: over the number of steps, and over eta.

Of its trained models, or of the score with a synthetic error (`blurred`); the exact one runs on the
same samples. DDIM with 50 steps and DDPM are counted on the runs that all claims about learned
paths share. arXiv 2605.06831 v1, figures 1 and 3 show the first sweep, figure E.13 the second: the
rate of DDIM falls with its number of steps and stays above that of DDPM, and noise lowers it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.samplers import DDPM, Sampler

from ...ledger.case import Case
from ..measurement import Measurement, pack
from ..midpoint.stretch import require_window
from ..paths import DDIM_STEPS, recursion_end
from ..score_errors.blurred import BLUR
from .models import BLURRED, NETWORKS, named_scores, require_models
from .paths import STREAM, ReverseRuns, by_sampler, reverse_runs, samplers
from .rates import Draws, Ends, Rates, Run, count_models, ddim, sort_ends

# Steps of DDIM beyond 50, and how many samples all models together draw with them in the quick
# profile: with 1000, as many as tell its share from those with 50 and of DDPM with `POWER`, with
# fewer steps as many as show a rise at a step by what it shows at the last one.
_STEPS = {100: 6_000, 200: 4_000, 500: 2_800, 1000: 3_600}
_FEW = (10, 20)  # with which the exact score interpolates as well
ETAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25)  # beyond 1: more noise than the exact bridge has
_ETA_SAMPLES = 8_000  # 2,000 a network: a share at eta = 1 a seventh of that at 0 is told from it
_FULL = 15  # the full profile draws so many times more
_SYNTHETIC = (20_000, 100_000)  # with the synthetic error, whose score costs little


def ddim_name(steps: int) -> str:
    """The name of DDIM with so many steps in tables."""
    return f"DDIM-{steps}"


def ddpm_name(schedule: NoiseSchedule) -> str:
    """The name of DDPM on all steps of a schedule in tables."""
    return f"DDPM-{schedule.T}"


def allowed_steps(schedule: NoiseSchedule, scores: str = NETWORKS) -> list[int]:
    """The step counts of figure 3 that a schedule has, or its own T where it has none."""
    every = [*(_FEW if scores == BLURRED else ()), DDIM_STEPS, *_STEPS]
    return [s for s in every if s <= schedule.T] or [schedule.T]


def _samples(case: Case, scores: str, n_models: int, total: int) -> int:
    """How many samples each model draws, of a total in the quick profile."""
    if scores == BLURRED:
        return case.pick(*_SYNTHETIC)
    return case.pick(total, _FULL * total) // n_models


@Measurement
def common_rates(case: Case) -> Rates:
    """DDIM with 50 steps and DDPM, of the case's models on the samples of `reverse_runs`."""
    models, mixture = require_models(case), case.mixture
    groups = by_sampler(reverse_runs(case, models))
    of_models = list(zip(*groups.values(), strict=True))

    def exact(run: ReverseRuns, sampler: Sampler) -> Ends:
        n, seed = len(run.visits.end), case.stream(STREAM)
        return Draws(case.schedule, n, seed, run.first).ends(mixture, mixture, sampler)

    return Rates.counted(
        models,
        list(groups),
        [[sort_ends(mixture, run.visits.end) for run in runs] for runs in of_models],
        [[*map(exact, runs, samplers(case).values())] for runs in of_models],
    )


@Measurement
def rates_over_steps(case: Case, scores: str = NETWORKS) -> Rates:
    """DDIM with each of `allowed_steps`, then DDPM with all T. scores: as in `named_scores`."""
    schedule, models = case.schedule, named_scores(case, [scores])
    runs = [
        Run(ddim_name(s), ddim(schedule, s), _samples(case, scores, len(models), _STEPS.get(s, 0)))
        for s in allowed_steps(schedule, scores)
    ]
    if scores == BLURRED:
        ddpm = Run(ddpm_name(schedule), DDPM(), runs[0].n)
        return count_models(case, models, [*runs, ddpm])
    common = common_rates(case)
    return common.only(0).beside(count_models(case, models, runs[1:]), common.only(1))


def largest_eta(schedule: NoiseSchedule, steps: int = DDIM_STEPS) -> float:
    """The largest eta <= 1/sqrt(1 - rho_s/rho_t) at every noisy step of DDIM."""
    rho = schedule.rho[ddim(schedule, steps).grid(schedule).times[:-1]]
    return float(1.0 / np.sqrt(np.max(1.0 - rho[1:] / rho[:-1], initial=0.25)))


def within_mode_std(case: Case, eta: float, steps: int = DDIM_STEPS) -> float:
    """What DDIM(eta) leaves as standard deviation within one mode by the linear recursion, in data
    units."""
    times = ddim(case.schedule, steps).grid(case.schedule).times
    return recursion_end(case, times, eta, float(case.mixture.sigma))


def allowed_etas(schedule: NoiseSchedule) -> list[float]:
    """The values of figure E.13, and one beyond, that the steps of DDIM allow."""
    return [eta for eta in ETAS if eta <= largest_eta(schedule)]


def eta_name(eta: float) -> str:
    """The name of DDIM with this noise factor in tables."""
    return f"eta = {eta:g}"


@Measurement
def rates_over_eta(case: Case, scores: str = NETWORKS) -> Rates:
    """DDIM with 50 steps at each of `allowed_etas`. scores: as in `named_scores`."""
    models = named_scores(case, [scores])
    n = _samples(case, scores, len(models), _ETA_SAMPLES)
    runs = [
        Run(eta_name(eta), ddim(case.schedule, eta=eta), n) for eta in allowed_etas(case.schedule)
    ]
    if scores == BLURRED:
        return count_models(case, models, runs)
    plain = common_rates(case).only(0)
    return plain.reordered([runs[0].name]).beside(count_models(case, models, runs[1:]))


# -- for figures ---------------------------------------------------------------------------------


@Measurement
def steps(case: Case, scores: str = NETWORKS) -> dict[str, Any]:
    """`rates_over_steps` as named arrays, DDPM's last; models (M,) in words; steps (S,); n samples
    a model, by sampler where they differ; blur: width of the synthetic error in distances."""
    rates = rates_over_steps(case, scores)
    return {**_named(case, rates, scores), "steps": allowed_steps(case.schedule, scores)}


@Measurement
def eta(case: Case, scores: str = NETWORKS) -> dict[str, Any]:
    """`rates_over_eta` as in `steps`; eta (E,); spread and exact_spread (M, E) in units of sigma,
    as recursion (E,), what the linear recursion leaves where one mode owns the point."""
    require_window(case)
    rates, etas, sigma = (
        rates_over_eta(case, scores),
        allowed_etas(case.schedule),
        case.mixture.sigma,
    )
    return {
        **_named(case, rates, scores),
        "eta": etas,
        "spread": rates.spread / sigma,
        "exact_spread": rates.exact_spread / sigma,
        "recursion": np.array([within_mode_std(case, eta) for eta in etas]) / sigma,
    }


def _named(case: Case, rates: Rates, scores: str) -> dict[str, Any]:
    labels = [model.label for model in named_scores(case, [scores])]
    return {**dict(pack(rates)), "models": labels, "n": rates.n, "blur": BLUR}
