"""The learned rows of the guarantee: every trained model under every chain."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mixdyn import bounds
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.support.statistics import Proportion

from ...ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from ...ledger.quantities import nearest_double
from ...ledger.relations import Comparison, Statistical, compare_rate
from ..networks.models import TrainedModel, learned_mutants, learned_rows, trained_models
from ..networks.rates import ddim
from . import terms
from .chains import Chain, coarse_name, find_chains, find_gaps
from .terms import Insured, after_last_step, insure

# Samples that all models together draw in the quick profile; those stopped early, each.
_DDPM, _COARSE = 3600, 15_000
_DDPM_EARLY, _COARSE_EARLY = 300, 2000
_FULL = 20

Bound = Callable[[Insured], float]


def rows(claim: Claim, case: Case) -> list[Verdict]:
    """The learned row, or why there is none."""
    return learned_rows(claim, case, functools.partial(_judge, claim, case, GUARANTEES))


def mutants(claim: Claim, case: Case) -> dict[str, Verdict]:
    """Guarantees that forget the expensive paths, or divide by a standard deviation."""
    changed: dict[str, Bound] = {
        "paths that exceed the budget forgotten": lambda run: float(
            bounds.pathwise_probability(0.0, run.budget, run.log_p)
        ),
        "standard deviation of the noise in place of its variance": _mixed_up,
    }
    judges = {
        name: functools.partial(_judge, claim, case, {name: bound})
        for name, bound in changed.items()
    }
    found = learned_mutants(claim, case, judges)
    return {name: row for name, row in found.items() if row.bound is not None}


def _mixed_up(run: Insured) -> float:
    return terms.with_cost(run, run.mixed_up).pathwise()


GUARANTEES: Mapping[str, Bound] = {
    "pathwise": lambda run: run.pathwise(),
    "stopped kl": lambda run: run.stopped(),
}


def _judge(
    claim: Claim, case: Case, given: Mapping[str, Bound], models: Sequence[TrainedModel]
) -> Verdict:
    """given: the guarantees by name (mutants replace them)."""
    runs = measured(case, models)
    last = case.memo("X11 last step", lambda: _after(case, models, runs))
    found = _comparisons(runs, given) + _comparisons(last, given, "after its own last step, ")
    every = [bound(run) for bound in given.values() for run in runs]
    finding = Finding(
        comparisons=sorted(found, key=lambda c: -nearest_double(c.tightness or 0.0)),
        hypotheses=[Hypothesis("common_sigma", 1.0, 0.0), Hypothesis("product_grid", 1.0, 0.0)],
        nonvacuous_share=sum(value < 1.0 for value in every) / len(every),
        witness=lambda c: {"compared": c.name, "seed": case.stream("insurance")},
        unit="samples",
        note=_note(runs),
        numbers=_numbers(case, models, runs),
        tables=[
            Table("Guarantee and rate at the last noisy time", terms.COLUMNS, _table(runs)),
            Table("The same for the output", terms.COLUMNS, _table(last)),
            case.memo("X11 deterministic", lambda: _deterministic(case, models)),
        ],
        model=", ".join(dict.fromkeys(run.model for run in runs)),
    )
    return claim.judge(case, finding, Basis.LEARNED)


def measured(case: Case, models: Sequence[TrainedModel]) -> list[Insured]:
    """Every model under every chain, and those stopped early under DDPM and eta = 1."""
    return case.memo("X11 learned", lambda: _measure(case, models))


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


def _after(case: Case, models: Sequence[TrainedModel], runs: Sequence[Insured]) -> list[Insured]:
    """The converged models' runs, asked about gaps of the output."""
    scores = {model.name: model.score for model in models}
    found = [after_last_step(case, run, scores[run.model]) for run in runs if run.model in scores]
    return [run for run in found if run is not None]


def _comparisons(
    runs: Sequence[Insured], bounding: Mapping[str, Bound], what: str = ""
) -> list[Comparison]:
    return [
        compare_rate(
            f"share in a gap, {what}{run.name}, {name}", Statistical(), run.rate, bound(run)
        )
        for run in runs
        for name, bound in bounding.items()
    ]


def _table(runs: Sequence[Insured]) -> list[tuple[str | float, ...]]:
    return [terms.table_row(run) for run in runs]


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
