"""Samplers of a learned score: what they get wrong against what they cost.

Per trained model and per sampler, with every evaluation of the score that it takes (steps, pilot,
tests, repetitions): the rate of samples outside the modes, the error of the mode weights and the
spread within the modes. The families:

DDIM and DDIM(eta) on the papers' quadratic grid; DDPM; "bridge noise late", a hybrid: DDIM's
nodes above raw time 100, DDPM's below, eta = 1; "second order": the deterministic two-step solver;
"restart": DDIM, then all samples noised to a node near rho = 0.1 and run again, once or twice (in
the manner of arXiv 2306.14878); "adaptive": AdaptiveNoise. "+ retry" tests and repeats what another
sampler makes. AdaptiveNoise's ideas one after the other, on its 42 steps: "adaptive, bridge noise",
"adaptive, last step", "adaptive, kernel noise" (both), and with tests the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixdyn.problem.noise import Stream, standard_normals
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.samplers.adaptive import AdaptiveNoise
from mixdyn.samplers.retry import Retry
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.measure.ends import Ends, ends_of
from verify.measure.measurement import Measurement
from verify.measure.networks.models import elsewhere, load, require_models
from verify.measure.networks.rate_sweeps import largest_eta
from verify.measure.networks.rates import ddim
from verify.measure.paths import DDIM_STEPS

_LATE, _RESTARTED, _RESTART_RHO = 100, 35, 0.1
_OVER = 1.25  # more noise than the bridge has
_BUDGET = (250_000, 600_000)  # evaluations per model and sampler: quick, full
_BUDGET_ELSEWHERE = (100_000, 150_000)
_OF_DDPM = 4.0  # times as many for DDPM, which the others are held against
_SAMPLES = (500, 200_000)  # at least and at most


@dataclass(frozen=True)
class Method:
    """A sampler of a family: `draw(model, n, seed)` gives samples (n, d) and evaluations each;
    cost is about how many, share times the usual budget is spent on it."""

    family: str
    cost: float
    draw: Callable[[Any, int, int], tuple[Array, float]]
    share: float = 1.0


def _plain(family: str, schedule: NoiseSchedule, sampler: Sampler, share: float = 1.0) -> Method:
    def draw(model: Any, n: int, seed: int) -> tuple[Array, float]:
        run = sample(model, schedule, sampler, n=n, rng=seed)
        return np.asarray(run.x), run.n_eval

    return Method(family, sampler.grid(schedule).steps, draw, share)


def _both(
    family: str, schedule: NoiseSchedule, sampler: Sampler, share: float = 1.0
) -> list[Method]:
    """A sampler, and the same with tests and repetitions."""
    return [
        _plain(family, schedule, sampler, share),
        _plain(f"{family} + retry", schedule, Retry(sampler), share),
    ]


def _restarts(schedule: NoiseSchedule, steps: int, times: int) -> Method:
    """DDIM, then `times` returns of every sample to the node nearest rho = 0.1."""
    base = ddim(schedule, steps)
    nodes = base.grid(schedule).times[:-1]
    up = int(nodes[np.argmin(np.abs(np.log(schedule.rho[nodes] / _RESTART_RHO)))])
    cost = base.grid(schedule).steps + times * base.grid(schedule, up).steps

    def draw(model: Any, n: int, seed: int) -> tuple[Array, float]:
        x = np.asarray(sample(model, schedule, base, n=n, rng=seed).x)
        for k in range(times):
            xi = standard_normals(seed, n, x.shape[1], schedule.T + 1 + k, stream=Stream.EXTRA)
            noised = schedule.alpha[up] * x + np.sqrt(schedule.noise_var[up]) * xi
            x = np.asarray(sample(model, schedule, base, x=noised, start=up, rng=seed).x)
        return x, float(cost)

    return Method("restart", cost, draw)


def _late_bridge(schedule: NoiseSchedule, steps: int) -> Sampler:
    """DDIM's nodes above the late raw times, then all of those, with eta = 1."""
    late = min(_LATE, schedule.T)
    above = [int(t) for t in ddim(schedule, steps).grid(schedule).times if t > late]
    return DDIM(spacing=TimeGrid([*above, *range(late, -1, -1)], schedule.T), eta=1.0)


def second_order(steps: int) -> AdaptiveNoise:
    """AdaptiveNoise's two-step solver by itself, without noise."""
    return AdaptiveNoise(steps, late_rho=1e-12, rounds=0, late_noise=False, last_noise=False)


def _ideas(schedule: NoiseSchedule) -> list[Method]:
    """AdaptiveNoise's steps as its ideas are added one after the other, all but the tests."""
    how = replace(AdaptiveNoise().within(schedule), rounds=0)
    parts = {
        "adaptive, bridge noise": replace(how, late_noise=False, last_noise=False),
        "adaptive, last step": replace(how, late_noise=False),
        "adaptive, kernel noise": how,
    }
    return [_plain(family, schedule, sampler) for family, sampler in parts.items()]


def _methods(schedule: NoiseSchedule) -> list[Method]:
    """The samplers compared, family by family."""
    counts = [s for s in (10, 20, 50, 100, 200, 500) if s <= schedule.T]
    few = [s for s in counts if 20 <= s <= 100]
    over = [s for s in few if s == 50 and largest_eta(schedule, s) >= _OVER]
    found = [_plain("DDIM", schedule, ddim(schedule, s)) for s in counts if s not in few]
    for s in few:
        found += _both("DDIM", schedule, ddim(schedule, s))
        found += _both("eta = 1", schedule, ddim(schedule, s, 1.0))
        found += _both("second order", schedule, second_order(s))
    for s in over:
        found += _both(f"eta = {_OVER}", schedule, ddim(schedule, s, _OVER))
    found += [_plain("bridge noise late", schedule, _late_bridge(schedule, s)) for s in few[:1]]
    found += [_restarts(schedule, _RESTARTED, k) for k in (1, 2) if schedule.T >= _RESTARTED]
    found += _ideas(schedule)
    sizes = [s for s in (15, 20, 30, 42, 60, 100) if s <= schedule.T]
    found += [_plain("adaptive", schedule, AdaptiveNoise(s)) for s in sizes]
    return [*found, *_both("DDPM", schedule, DDPM(), _OF_DDPM)]


def _headline(schedule: NoiseSchedule) -> list[Method]:
    """One sampler of each family, at about 50 evaluations where it has the choice, and DDPM."""
    found = [
        *_both("DDIM", schedule, ddim(schedule)),
        *_both("eta = 1", schedule, ddim(schedule, eta=1.0)),
        _plain("second order + retry", schedule, Retry(second_order(DDIM_STEPS).within(schedule))),
        _plain("adaptive", schedule, AdaptiveNoise().within(schedule)),
    ]
    return [*found, _plain("DDPM", schedule, DDPM(), _OF_DDPM)]


def _ends(case: Case, model: Any, method: Method, budget: float) -> Ends:
    """What a sampler makes of a model with about `budget` evaluations."""
    n = int(np.clip(method.share * budget / method.cost, *_SAMPLES))
    x, n_eval = method.draw(model, n, case.stream("frontier"))
    return ends_of(case.mixture, x, n_eval)


@Measurement
def frontier(case: Case) -> dict[str, Any]:
    """models (M,); family (K,); n_eval, spread, weight_error (M, K); counts (M, K, 3); n (2,) the
    smallest and largest number of samples of a sampler.

    weight_error is (chi-square - degrees of freedom)/samples of the mode weights, free of how many
    samples were drawn; spread is in units of sigma.
    """
    models = require_models(case)
    compared = _methods(case.schedule)
    budget = case.pick(*_BUDGET)
    found = [[_ends(case, model.score, method, budget) for method in compared] for model in models]
    return {
        "models": [model.label for model in models],
        "family": [method.family for method in compared],
        **_tabulate(found, [case.mixture.N] * len(models)),
    }


@Measurement
def frontier_elsewhere(case: Case) -> dict[str, Any]:
    """One sampler of each family on every shipped network of another mixture or schedule. models
    (M,), the checkpoints' names; all else as in `frontier`.

    Of AdaptiveNoise the median in `calibration` and the first steps of its grid were chosen
    with these in view; all else with the networks of the standard problem.
    """
    problems = elsewhere(case)
    if case.name != "standard" or not problems:
        raise NotApplicableError(
            "this experiment compares the standard problem with the other shipped networks",
            f"case {case.name} with {len(problems)} of them",
            "Run it on the standard problem.",
        )
    budget = case.pick(*_BUDGET_ELSEWHERE)
    found = []
    for problem, checkpoint in problems:
        score = load(checkpoint).score
        found.append([_ends(problem, score, m, budget) for m in _headline(problem.schedule)])
    return {
        "models": [checkpoint.name for _, checkpoint in problems],
        "family": [method.family for method in _headline(case.schedule)],
        **_tabulate(found, [problem.mixture.N for problem, _ in problems]),
    }


def _tabulate(found: Sequence[Sequence[Ends]], n_modes: Sequence[int]) -> dict[str, Any]:
    """The arrays of `run` that rows of ends make, one row a model with so many modes."""
    counts = np.array([[e.counts for e in row] for row in found])
    samples = counts.sum(axis=2)
    chi_square = np.array([[e.chi_square for e in row] for row in found])
    return {
        "n_eval": np.array([[e.n_eval for e in row] for row in found]),
        "counts": counts,
        "n": np.array([samples.min(), samples.max()]),
        "weight_error": (chi_square - (np.array(n_modes)[:, None] - 1)) / samples,
        "spread": np.array([[e.spread for e in row] for row in found]),
    }
