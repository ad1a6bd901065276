"""Log likelihood ratios on paths of the exact reversed diffusion.

Paths are drawn by the engine's exact reverse kernel; their density is that of Bayes' rule, the
forward kernel and two marginals, and the sampler's is normal about the mean of its own step. No
mmse and no information enter.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import ExactReverse
from mixdyn.samplers.plan import StepPlan
from mixdyn.score import ExactScore, checked_eps
from mixdyn.support.checks import Array

from ...ledger.case import Case


def exact_paths(
    mixture: GaussianMixture, schedule: NoiseSchedule, plan: StepPlan, n: int, seed: int
) -> Array:
    """(K + 1, n, d): exact states at the plan's times before 0."""
    rng, t = np.random.default_rng(seed), int(plan.t[0])
    clean = mixture.sample(n, rng)
    noise = math.sqrt(schedule.noise_var[t]) * rng.standard_normal(clean.shape)
    run = sample(
        mixture,
        schedule,
        ExactReverse(plan.grid),
        x=schedule.alpha[t] * clean + noise,
        rng=seed,
        keep="trajectory",
    )
    assert run.trajectory is not None
    return run.trajectory[:-1]


def log_ratios(case: Case, plan: StepPlan, paths: Array) -> Array:
    """(n,) log density of exact paths over that under the sampler's steps, given the start."""
    schedule, score = case.schedule, case.memo("exact score", lambda: _score(case))
    found = np.zeros(paths.shape[1])
    for k, (a, b) in enumerate(itertools.pairwise(plan.t.tolist())):
        x, new = paths[k], paths[k + 1]
        ratio = schedule.alpha[a] / schedule.alpha[b]
        var = schedule.noise_var[a] - ratio**2 * schedule.noise_var[b]
        forward = -0.5 * (np.square(x - ratio * new) / var + math.log(var)).sum(axis=1)
        found += forward + score.log_density(new, b) - score.log_density(x, a)
        found -= _step_density(plan, k, x, new, score.eps(x, a))
    return found


def learned_ratios(case: Case, plan: StepPlan, paths: Array, model: object) -> Array:
    """(n,) log density of exact paths under the sampler with the exact score, over that with a
    model's."""
    score, found = case.memo("exact score", lambda: _score(case)), np.zeros(paths.shape[1])
    for k, t in enumerate(plan.t[:-1].tolist()):
        x, new = paths[k], paths[k + 1]
        found += _step_density(plan, k, x, new, score.eps(x, t))
        found -= _step_density(plan, k, x, new, checked_eps(model, x, t))  # type: ignore[arg-type]
    return found


def _score(case: Case) -> ExactScore:
    return ExactScore(case.mixture, case.schedule)


def _step_density(plan: StepPlan, k: int, x: Array, new: Array, eps: Array) -> Array:
    """log of the density of step k, (n,), but for (d/2) log(2 pi)."""
    c_x, c_eps, noise_std = (part[k] for part in plan.eps_form())
    away = (new - c_x * x - c_eps * eps) / noise_std
    return np.asarray(-0.5 * np.square(away).sum(axis=1) - x.shape[1] * math.log(noise_std))
