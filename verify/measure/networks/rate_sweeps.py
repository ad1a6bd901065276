"""The trained models of a case under DDIM and DDPM: over the number of steps, and over eta.

Each sweep is measured once per case: arXiv 2605.06831 v1, figures 1 and 3 show the first, figure
E.13 the second.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixdyn import oracles
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.samplers import DDPM
from mixdyn.support.checks import Array

from ...ledger.claim import Case
from ..paths import DDIM_STEPS
from .models import TrainedModel
from .rates import Rates, Run, count_models, ddim

# Steps of DDIM, and how many samples all models together draw with them in the quick profile.
_STEPS = {DDIM_STEPS: 24_000, 100: 16_000, 200: 8_000, 500: 4_000, 1000: 5_000}
_DDPM = 10_000
_DDPM_LEAST = 2_500  # per model: none in so many is a rate below 0.58 % at the verdict's level
ETAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25)
_ETA_SAMPLES, _ETA_ENDS = 12_000, 24_000  # at eta = 0 and 1, which are judged one by one, more
_FULL = 15  # the full profile draws so many times more


def _each(case: Case, total: int, models: Sequence[TrainedModel]) -> int:
    return max(case.pick(total, _FULL * total) // len(models), 1)


def ddim_name(steps: int) -> str:
    """The name of DDIM with so many steps in tables."""
    return f"DDIM-{steps}"


def ddpm_name(schedule: NoiseSchedule) -> str:
    """The name of DDPM on all steps of a schedule in tables."""
    return f"DDPM-{schedule.T}"


def allowed_steps(schedule: NoiseSchedule) -> list[int]:
    """The step counts of figure 3 that a schedule has, or its own T where it has none."""
    return [s for s in _STEPS if s <= schedule.T] or [schedule.T]


def step_rates(case: Case, models: Sequence[TrainedModel]) -> Rates:
    """DDIM with each of `allowed_steps`, then DDPM with all T."""

    def measure() -> Rates:
        schedule = case.schedule
        runs = [
            Run(ddim_name(s), ddim(schedule, s), _each(case, _STEPS.get(s, _DDPM), models))
            for s in allowed_steps(schedule)
        ]
        n = max(_each(case, _DDPM, models), case.pick(_DDPM_LEAST, _FULL * _DDPM_LEAST))
        return count_models(case, models, [*runs, Run(ddpm_name(schedule), DDPM(), n)])

    return case.memo("learned rates over steps", measure)


def largest_eta(schedule: NoiseSchedule, steps: int = DDIM_STEPS) -> float:
    """The largest eta <= 1/sqrt(1 - rho_s/rho_t) at every noisy step of DDIM."""
    rho = schedule.rho[ddim(schedule, steps).grid(schedule).times[:-1]]
    return float(1.0 / np.sqrt(np.max(1.0 - rho[1:] / rho[:-1], initial=0.25)))


def within_mode_std(case: Case, eta: float, steps: int = DDIM_STEPS) -> float:
    """What DDIM(eta) leaves as standard deviation within one mode by the linear recursion, in data
    units."""
    schedule = case.schedule
    std: Array = oracles.linear_recursion_std(
        schedule.alpha_bar,
        ddim(schedule, steps).grid(schedule).times,
        eta,
        float(case.mixture.sigma),
        noise_var=schedule.noise_var,
    )
    return float(std[-1])


def allowed_etas(schedule: NoiseSchedule) -> list[float]:
    """The values of figure E.13, and one beyond, that the steps of DDIM allow."""
    return [eta for eta in ETAS if eta <= largest_eta(schedule)]


def eta_name(eta: float) -> str:
    """The name of DDIM with this noise factor in tables."""
    return f"eta = {eta:g}"


def eta_rates(case: Case, models: Sequence[TrainedModel]) -> Rates:
    """DDIM with 50 steps at each of `allowed_etas`."""

    def measure() -> Rates:
        schedule = case.schedule
        few, many = (_each(case, n, models) for n in (_ETA_SAMPLES, _ETA_ENDS))
        runs = [
            Run(eta_name(eta), ddim(schedule, eta=eta), many if eta in (0.0, 1.0) else few)
            for eta in allowed_etas(schedule)
        ]
        return count_models(case, models, runs)

    return case.memo("learned rates over eta", measure)
