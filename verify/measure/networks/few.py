"""Samplers of a learned score at 10, 20 and 50 evaluations: what each buys.

Per trained model and sampler, with every evaluation counted (steps, derivatives at d evaluations
each, pilots, checks, repetitions): the rate of samples outside the modes, the sliced Wasserstein-2
distance from the data, the error of the mode weights, the spread within the modes. "+ checks" is
what tests its samples and repeats some. SDE-DPM-Solver++ is the scheduler of diffusers, read off as
a plan (its levels lie between the networks' times: interpolated, and counted once), and left out
where that is not installed. Beside them, of the exact score, the divergence in nats of the exact
paths from those of Gaussian kernels.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

import mixdyn
from mixdyn.affine.plan import Plan
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM
from mixdyn.samplers.adaptive import AdaptiveNoise
from mixdyn.samplers.analytic import AnalyticNoise
from mixdyn.samplers.checked import CheckedNoise
from mixdyn.samplers.retry import Retry
from mixdyn.score.between import BetweenTimes
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.measure.ends import Ends, ends_of
from verify.measure.measurement import Measurement
from verify.measure.networks.models import require_models
from verify.measure.reverse_kernels import nats_of

EVALUATIONS = (10, 20, 50)
CHECKS = " + checks"
_SAMPLES, _DDPM_SAMPLES = (2_000, 20_000), (300, 5_000)
_DIRECTIONS, _REFERENCE = 24, 10  # of the sliced distance; times as many samples of the data
_TESTS = 5  # evaluations that checks, repetitions and a pilot take, to the next whole one
_SDE = "diffusers:DPMSolverMultistepScheduler"


def _methods(d: int, schedule: NoiseSchedule) -> list[tuple[str, int, Any]]:
    """Family, budget and sampler."""
    found: list[tuple[str, int, Any]] = []
    usual = schedule == NoiseSchedule.linear()
    for budget in (b for b in EVALUATIONS if b <= schedule.T):
        tested, whole = budget - _TESTS, max(budget // (1 + d), 2)
        found += [
            ("DDIM, eta = 1", budget, DDIM(budget, eta=1.0)),
            ("Analytic-DPM", budget, AnalyticNoise(budget, covariance="average")),
            ("full kernel", budget, AnalyticNoise(whole)),
            ("adaptive", budget, AdaptiveNoise(budget, rounds=0)),
            ("checked", budget, CheckedNoise(budget, rounds=0)),
            (f"DDIM, eta = 1{CHECKS}", budget, Retry(DDIM(tested, eta=1.0))),
            (f"adaptive{CHECKS}", budget, AdaptiveNoise(tested)),
            (f"checked{CHECKS}", budget, CheckedNoise(tested)),
        ]
        if usual and importlib.util.find_spec("diffusers"):
            plan = mixdyn.transcribe(
                _SDE, budget, algorithm_type="sde-dpmsolver++", use_karras_sigmas=True
            )
            found.append(("SDE-DPM-Solver++", budget, plan))
    return [*found, ("DDPM", schedule.T, DDPM())]


def sliced_w2(mixture: GaussianMixture, x: Array, rng: np.random.Generator) -> float:
    """Sliced Wasserstein-2 distance of samples x (n, d) from the mixture, in x units; of samples of
    the mixture it is about the square root of their variance over n."""
    data = mixture.sample(_REFERENCE * len(x), rng)
    directions = rng.standard_normal((_DIRECTIONS, mixture.d))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    ours = np.sort(x @ directions.T, axis=0)
    theirs = np.sort(data @ directions.T, axis=0).reshape(len(x), _REFERENCE, -1).mean(axis=1)
    return float(np.sqrt(np.square(ours - theirs).mean()))


@Measurement
def few(case: Case) -> dict[str, Any]:
    """models (M,); family, budget (K,), tested (K,) whether it is one with checks, of the family
    plain (K,); n_eval, distance, weight_error, spread (M, K); counts
    (M, K, 3); floor: the distance of samples of the data; n (2,) samples of the others and of DDPM;
    kernel (J,), steps (I,) and nats (I, J): of Gaussian kernels, before the last step."""
    models = require_models(case)
    if case.mixture.N == 1:
        raise NotApplicableError("weights need modes", "one mode", "Use a mixture of several.")
    methods = _methods(case.mixture.d, case.schedule)
    sizes = [case.pick(*(_DDPM_SAMPLES if f == "DDPM" else _SAMPLES)) for f, _, _ in methods]
    rows: list[list[Ends]] = []
    distance = np.empty((len(models), len(methods)))
    for k, model in enumerate(models):
        rows.append([])
        between = BetweenTimes(model.score, case.schedule)
        for j, (_, _, sampler) in enumerate(methods):
            seed = case.stream("few")
            score = between if isinstance(sampler, Plan) else model.score
            run = sample(score, case.schedule, sampler, n=sizes[j], rng=seed)
            x = np.asarray(run.x)
            rows[-1].append(ends_of(case.mixture, x, run.n_eval))
            distance[k, j] = sliced_w2(case.mixture, x, case.rng("sliced"))
    steps = [s for s in (5, 10, 20, 50, 100) if s <= case.schedule.T]
    nats = [nats_of(case, s, case.pick(30, 300), 20) for s in steps]
    data = case.mixture.sample(max(sizes), case.rng("floor"))
    return {
        "models": [model.label for model in models],
        "family": [family for family, _, _ in methods],
        "plain": [family.removesuffix(CHECKS) for family, _, _ in methods],
        "tested": [family.endswith(CHECKS) for family, _, _ in methods],
        "budget": [budget for _, budget, _ in methods],
        "n_eval": np.array([[e.n_eval for e in row] for row in rows]),
        "counts": np.array([[e.counts for e in row] for row in rows]),
        "weight_error": np.array([[e.weight_error for e in row] for row in rows]),
        "spread": np.array([[e.spread for e in row] for row in rows]),
        "distance": distance,
        "floor": sliced_w2(case.mixture, data, case.rng("sliced")),
        "n": np.array([max(sizes), min(sizes)]),
        "kernel": list(nats[0]),
        "steps": np.array(steps),
        "nats": np.array([[noisy for noisy, _ in found.values()] for found in nats]),
    }
