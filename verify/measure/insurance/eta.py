"""What noise guarantees about trained models, and what they do, against the noise factor eta.

DDIM(eta) on the papers' 50 steps and on all of them (eta = 1 there is DDPM), eta lowered to the
largest that a step allows. Without noise nothing is guaranteed: DDIM's rate stands beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.score import ExactScore
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import clopper_pearson
from verify.ledger.case import Case
from verify.measure.insurance.chains import CappedDDIM, Chain, find_gaps
from verify.measure.insurance.terms import Insured, insure
from verify.measure.measurement import Measurement
from verify.measure.midpoint.stretch import require_window
from verify.measure.networks.models import TrainedModel, require_models
from verify.measure.networks.paths import NodeStates
from verify.measure.paths import DDIM_STEPS

ETAS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
FULL_ETAS = (0.5, 1.0, 1.5, 2.0)
_COARSE, _FULL = 12_000, 2400  # samples of all models together in the quick profile
_MORE = 30  # times as many in the full one


@Measurement
def insurance_eta(case: Case) -> dict[str, Any]:
    """models (M,); for the coarse and the full grid, names starting so: steps, n per model, eta
    (E,), log_p and budget (E,), exceeded and gap (M, E) counts at the last noisy time, mean_cost
    (M, E), plain (M,) counts without noise; guarantee (3, E), pathwise for the mean over models,
    with its 95 % limits around it; agree (2,), the pairs of eta that differ in rate beyond 95 %
    limits, and how many of them the guarantee puts in the same order."""
    require_window(case)
    models = require_models(case)
    steps = min(DDIM_STEPS, case.schedule.T)
    coarse = _sweep(case, models, DDIM(steps), ETAS, case.pick(_COARSE, _MORE * _COARSE))
    every = DDIM(case.schedule.T, "full")
    full = _sweep(case, models, every, FULL_ETAS, case.pick(_FULL, _MORE * _FULL))
    return {
        "models": [model.label for model in models],
        "n": coarse["n"],
        **{f"coarse_{name}": value for name, value in coarse.items()},
        **{f"full_{name}": value for name, value in full.items()},
    }


def _sweep(
    case: Case,
    models: Sequence[TrainedModel],
    base: DDIM,
    etas: Sequence[float],
    total: int,
) -> dict[str, Any]:
    """Every model on one grid at every eta."""
    n = max(total // len(models), 1)
    samplers = [CappedDDIM(base.steps, base.spacing, eta) for eta in etas]
    chains = [Chain.of(f"{s.spacing} η = {s.eta:g}", s, case.schedule) for s in samplers]
    runs = [
        [insure(case, chain, (m.name, m.score), n, k * n) for chain in chains]
        for k, m in enumerate(models)
    ]
    exceeded, gap = (
        np.array([[getattr(run, name).successes for run in row] for row in runs])
        for name in ("exceeded", "rate")
    )
    bound = _guarantees(runs[0], exceeded.sum(axis=0), n * len(models))
    return {
        "steps": len(chains[0].plan.t),
        "n": n,
        "eta": np.array(etas),
        "log_p": [run.log_p for run in runs[0]],
        "budget": [run.budget for run in runs[0]],
        "exceeded": exceeded,
        "gap": gap,
        "guarantee": bound,
        "agree": _agreement(gap.sum(axis=0), bound[1], n * len(models)),
        "mean_cost": [[float(run.cost.mean()) for run in row] for row in runs],
        "plain": [
            _plain(case, chains[0], base, m, range(k * n, (k + 1) * n))
            for k, m in enumerate(models)
        ],
    }


def _guarantees(runs: Sequence[Insured], exceeded: IntArray, n: int) -> Array:
    """(3, E) lower limit, value and upper limit of the pathwise form, from n paths at each eta."""
    shares = np.array([_limits(int(k), n) for k in exceeded]).T
    budget, log_p = np.array([(run.budget, run.log_p) for run in runs]).T
    return bounds.pathwise_probability(shares, budget, log_p)


def _limits(hits: int, n: int) -> tuple[float, float, float]:
    low, high = clopper_pearson(hits, n)
    return low, hits / n, high


def _agreement(hits: IntArray, bound: Array, n: int) -> list[int]:
    """Pairs whose 95 % intervals lie apart; those among them that the guarantee orders alike."""
    ends = [_limits(int(k), n) for k in hits]
    apart = [
        (i, j) for i, j in itertools.permutations(range(len(hits)), 2) if ends[i][0] > ends[j][2]
    ]
    return [len(apart), sum(bool(bound[i] > bound[j]) for i, j in apart)]


def _plain(case: Case, chain: Chain, base: DDIM, model: TrainedModel, rows: range) -> int:
    """How many paths without noise are in a gap at the same last noisy time."""
    t = int(chain.plan.t[-1])
    out = sample(
        model.score,
        case.schedule,
        base,
        n=len(rows),
        rng=case.stream("insurance"),
        first=rows.start,
        observers=[NodeStates(case.schedule, np.array([t]), rows.start, len(rows))],
        keep="none",
    )
    x = case.schedule.alpha[t] * out.observations[0][0]
    x_0 = ExactScore(case.mixture, case.schedule).x0(x, t)
    return int(find_gaps(case, chain).hold(x_0).sum())
