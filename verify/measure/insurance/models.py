"""Every trained model under every chain: its runs, and what the learned row of X11 shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion

from ...ledger.case import Case
from ...ledger.sides import Part
from ...ledger.verdict import Table
from ..measurement import Measurement
from ..networks.models import TrainedModel, require_models, trained_models
from ..networks.rates import ddim
from . import terms
from .chains import BoolArray, Chain, coarse_name, find_chains, find_gaps
from .terms import Insured, insure, log_gap_after

# Samples that all models together draw in the quick profile; those stopped early, each.
_DDPM, _COARSE = 2000, 6000
_DDPM_EARLY, _COARSE_EARLY = 300, 2000
_FULL = 20


@dataclass(frozen=True)
class StoredRun:
    """The arrays of an `Insured`, kept from run to run, and the name of its chain."""

    model: str
    chain: str
    log_p: float
    budget: float
    cost: Array
    mixed_up: Array
    gap: BoolArray
    final: BoolArray


def measured(case: Case, models: Sequence[TrainedModel]) -> list[Insured]:
    """Every model of the case under every chain, and those stopped early under DDPM and eta = 1."""
    del models  # they are the case's
    return case.memo("X11 learned", lambda: _restored(case))


def _restored(case: Case) -> list[Insured]:
    chains = {chain.name: chain for chain in find_chains(case)}
    kept = [dict(vars(run)) for run in insured_runs(case)]
    return [Insured(**{**run, "chain": chains[run["chain"]]}) for run in kept]


@Measurement
def insured_runs(case: Case) -> list[StoredRun]:
    """Every run of the case's models, see `measured`."""
    found = _measure(case, require_models(case))
    return [StoredRun(**{**vars(run), "chain": run.chain.name}) for run in found]


def _measure(case: Case, models: Sequence[TrainedModel]) -> list[Insured]:
    chains = find_chains(case)
    runs = [
        insure(case, chain, (model.name, model.score), n, k * n)
        for chain in chains
        for n in [_draws(case, chain, _DDPM, _COARSE) // len(models)]
        for k, model in enumerate(models)
    ]
    names = {model.name for model in models}
    early = [m for m in trained_models(case, undertrained=True) if m.name not in names]
    one = coarse_name(case.schedule, 1.0)
    some = [chain for chain in chains if _is_full(chain) or chain.name == one]
    return runs + [
        insure(case, chain, (model.name, model.score), n)
        for chain in some
        for n in [_draws(case, chain, _DDPM_EARLY, _COARSE_EARLY)]
        for model in early
    ]


def _is_full(chain: Chain) -> bool:
    return isinstance(chain.sampler, DDPM)


def _draws(case: Case, chain: Chain, full: int, coarse: int) -> int:
    quick = full if _is_full(chain) else coarse
    return case.pick(quick, _FULL * quick)


def after(case: Case, models: Sequence[TrainedModel], runs: Sequence[Insured]) -> list[Insured]:
    """The converged models' runs, asked about gaps of the output, where d = 2."""
    names, log_p = {model.name for model in models}, log_gaps_after(case)["log_p"]
    return [
        run.for_event(float(at), run.final)
        for run, at in zip(runs, log_p, strict=True)
        if run.model in names and not math.isnan(at)
    ]


@Measurement
def log_gaps_after(case: Case) -> dict[str, Array]:
    """log_p (runs,): of each of `measured`, the log of the exact chain's probability of what the
    model's own last step sends into a gap; NaN where it is not known."""
    models = require_models(case)
    scores = {model.name: model.score for model in models}
    found = [
        log_gap_after(case, run.chain, (run.model, scores[run.model]))
        if run.model in scores
        else None
        for run in measured(case, models)
    ]
    return {"log_p": np.array([math.nan if at is None else at for at in found])}


def shown(
    case: Case, models: Sequence[TrainedModel], runs: Sequence[Insured], last: Sequence[Insured]
) -> Iterator[Part]:
    """Note, numbers and tables. last: the runs asked about gaps of the output."""
    yield _note(runs)
    yield _numbers(case, models, runs)
    yield terms.table("Guarantee and rate at the last noisy time", runs)
    yield terms.table("The same for the output", last)
    yield _deterministic(case, models)


def _deterministic(case: Case, models: Sequence[TrainedModel]) -> Table:
    """What the same grid does without noise, where nothing is guaranteed."""
    sampler, gaps = ddim(case.schedule), find_gaps(case, find_chains(case)[-1])
    n, shown = case.pick(_COARSE, _FULL * _COARSE) // (2 * len(models)), []
    for model in models:
        run = sample(model.score, case.schedule, sampler, n=n, rng=case.stream("insurance"))
        hits = Proportion(int(gaps.hold(np.asarray(run.x)).sum()), n)
        shown.append((model.name, n, hits.rate, *hits.interval(), 1.0))
    columns = ("model", "paths", "output in a gap", "from", "to", "guarantee")
    return Table(
        "DDIM with η = 0 on the same grid: no guarantee from any divergence", columns, shown
    )


def _numbers(
    case: Case, models: Sequence[TrainedModel], runs: Sequence[Insured]
) -> dict[str, float | None]:
    schedule, chain = case.schedule, runs[0].chain
    v = schedule.effective_variance(float(case.mixture.sigma))
    start, end = float(v[chain.plan.t[0]]), float(v[chain.plan.t[-1]])
    growth = float(bounds.mixture_growth_exponent(case.mixture, start, end)) / math.log(10.0)
    found: dict[str, float | None] = {
        **terms.gap_costs(runs),
        "log10 of Grönwall's factor for the flow without noise": growth,
    }
    names = {model.name for model in models}
    for name in dict.fromkeys(run.chain.name for run in runs):
        group = [run for run in runs if run.chain.name == name and run.model in names]
        if group:
            found[f"{name}: mean guarantee"] = terms.mean_guarantee(group)
            found[f"{name}: mean rate"] = float(np.mean([run.rate.rate for run in group]))
    return found


def _note(runs: Sequence[Insured]) -> str:
    """Which runs got a guarantee that says something."""
    hollow = [run.name for run in runs if run.pathwise() >= 1.0]
    return f"No guarantee below 1: {', '.join(hollow)}." if hollow else ""
