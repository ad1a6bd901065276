"""What noise guarantees about trained models, and what they do, against the noise factor eta.

DDIM(eta) on the papers' 50 steps and on all of them (eta = 1 there is DDPM), eta lowered to the
largest that a step allows. Without noise nothing is guaranteed: DDIM's rate stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mixdyn.samplers import DDIM
from mixdyn.sampling import sample
from mixdyn.score import ExactScore
from verify.claim import Case
from verify.insurance import insure
from verify.insured_chains import CappedDDIM, Chain, find_gaps
from verify.models import TrainedModel
from verify.paths import DDIM_STEPS

from .common import describe_models, require_models, require_window

ETAS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
FULL_ETAS = (0.5, 1.0, 1.5, 2.0)
_COARSE, _FULL = 12_000, 1800  # samples of all models together in the quick profile
_MORE = 30  # times as many in the full one


def run(case: Case) -> dict[str, Any]:
    """models (M,); for the coarse and the full grid, names starting so: steps, n per model, eta
    (E,), log_p and budget (E,), exceeded and gap (M, E) counts at the last noisy time, mean_cost
    (M, E), plain (M,) counts without noise."""
    require_window(case)
    models = require_models(case)
    steps = min(DDIM_STEPS, case.schedule.T)
    coarse = _sweep(case, models, DDIM(steps), ETAS, case.pick(_COARSE, _MORE * _COARSE))
    every = DDIM(case.schedule.T, "full")
    full = _sweep(case, models, every, FULL_ETAS, case.pick(_FULL, _MORE * _FULL))
    return {
        "models": describe_models(models),
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
    return {
        "steps": len(chains[0].plan.t),
        "n": n,
        "eta": np.array(etas),
        "log_p": [run.log_p for run in runs[0]],
        "budget": [run.budget for run in runs[0]],
        "exceeded": [[run.exceeded.successes for run in row] for row in runs],
        "gap": [[run.rate.successes for run in row] for row in runs],
        "mean_cost": [[float(run.cost.mean()) for run in row] for row in runs],
        "plain": [
            _plain(case, chains[0], base, m, range(k * n, (k + 1) * n))
            for k, m in enumerate(models)
        ],
    }


def _plain(case: Case, chain: Chain, base: DDIM, model: TrainedModel, rows: range) -> int:
    """How many paths without noise are in a gap at the same last noisy time."""
    out = sample(
        model.score,
        case.schedule,
        base,
        n=len(rows),
        rng=case.stream("insurance"),
        first=rows.start,
        keep="trajectory",
    )
    x, t = np.asarray(out.trajectory)[-2], int(out.times[-2])
    x_0 = ExactScore(case.mixture, case.schedule).x0(x, t)
    return int(find_gaps(case, chain).hold(x_0).sum())
