"""The decomposition by visits to midpoints on runs of trained models: the learned row of I.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mixdyn.support.statistics import Proportion

from ...ledger.claim import Basis, Case, Claim, Finding, Table, Verdict
from ...ledger.relations import Comparison, Equality, compare
from .models import TrainedModel
from .paths import WINDOW, ReverseRuns, by_sampler, of_recipe, reverse_runs
from .pooled import variation_note, variation_table
from .rates import compare_order, over_seeds
from .visits import THETA, Decomposition, window_time, with_interval

Cell = float | str | None
_RATES = ("p_visit", "hit_given_visit", "hit_given_none", "visit_given_hit", "p_hit")
_NAMES = ("P(M)", "P(H|M)", "P(H|not M)", "P(M|H)", "P(H)")


def decompose(run: ReverseRuns, window: int = WINDOW, theta: float = THETA) -> Decomposition:
    """Visits and interpolations of one sampler's runs with one score."""
    return Decomposition.of(run.visits.visited(window, theta), run.interpolates)


def judge(
    claim: Claim,
    case: Case,
    models: Sequence[TrainedModel],
    *,
    weighted: bool = True,
    exchanged: bool = False,
) -> Verdict:
    """The learned row. weighted: conditional rates by their weights; exchanged: DDPM's runs taken
    for DDIM's and the reverse. Either change makes a negative control."""
    runs = reverse_runs(case, models)
    groups = by_sampler(runs)
    parts = {name: [decompose(run) for run in group] for name, group in groups.items()}
    first, second = parts.values()
    comparisons = _conditionals(models, *((second, first) if exchanged else (first, second)))
    for name, group in groups.items():
        comparisons += _products(name, group, parts[name], weighted)

    def witness(comparison: Comparison) -> dict[str, Any]:
        return {"quantity": comparison.name, "seed": case.stream("learned paths")}

    pooled = {name: Decomposition.pooled(found) for name, found in parts.items()}
    dropped = 2 * len(models) - len(_conditionals(models, first, second))
    finding = Finding(
        comparisons=comparisons,
        nonvacuous_share=float(np.mean([part.hits > 0 for part in (*first, *second)])),
        witness=witness,
        unit="runs",
        note=_note(case, parts, pooled, dropped),
        numbers=_numbers(case, runs, pooled),
        tables=[_table(case, runs), variation_table(_shares(parts))],
        model=", ".join(model.name for model in models),
    )
    return claim.judge(case, finding, Basis.LEARNED)


MUTANTS = {
    "P(H|M) + P(H|M^c), trained models": partial(judge, weighted=False),
    "DDIM and DDPM exchanged, trained models": partial(judge, exchanged=True),
}


def _products(
    name: str, group: list[ReverseRuns], parts: list[Decomposition], weighted: bool
) -> list[Comparison]:
    """P(H) from its parts, and P(H, M) by either product, as numbers of runs per model."""
    whole = [run.counted.successes for run in group]
    sums = [_rebuilt(part, weighted) for part in parts]
    forward = [part.n * _rate(part.hit_given_visit) * part.p_visit.rate for part in parts]
    backward = [part.n * _rate(part.visit_given_hit) * part.p_hit.rate for part in parts]
    one_run = Equality(atol=0.5)
    return [
        compare(f"runs with H, {name}", one_run, whole, sums),
        compare(f"runs with M and H by either product, {name}", one_run, forward, backward),
    ]


def _rate(part: Proportion | None) -> float:
    return 0.0 if part is None else part.rate  # an event that never happens has weight 0


def _rebuilt(part: Decomposition, weighted: bool) -> float:
    p = part.p_visit.rate if weighted else 1.0
    q = 1.0 - p if weighted else 1.0
    return part.n * (_rate(part.hit_given_visit) * p + _rate(part.hit_given_none) * q)


def _conditionals(
    models: Sequence[TrainedModel], ddim: list[Decomposition], ddpm: list[Decomposition]
) -> list[Comparison]:
    """Per model: a visit makes DDIM's interpolation likelier, and more so than DDPM's."""
    found = []
    for model, one, other in zip(models, ddim, ddpm, strict=True):
        if one.visit_given_hit is not None:
            name = f"P(M|H) of DDIM above P(M), {model.name}"
            found.append(compare_order(name, one.visit_given_hit, one.p_visit))
        if one.hit_given_visit is not None and other.hit_given_visit is not None:
            name = f"P(H|M) of DDIM above DDPM's, {model.name}"
            found.append(compare_order(name, one.hit_given_visit, other.hit_given_visit))
    return found


def _end_near(case: Case, group: Sequence[ReverseRuns]) -> float | None:
    """The share of interpolations that end within theta l of the midpoint."""
    ends = [run.visits.end_distance(case.mixture)[run.interpolates] for run in group]
    distance = np.concatenate(ends)
    return float(np.mean(distance <= THETA)) if len(distance) else None


def _note(
    case: Case,
    parts: Mapping[str, Sequence[Decomposition]],
    pooled: Mapping[str, Decomposition],
    dropped: int,
) -> str:
    """What the networks did, together and apart, and what could not be asked of some of them."""
    (ddim, first), (ddpm, second) = pooled.items()
    note = (
        f"t(τ_3) is raw time {window_time(case)}. {ddim}: {first.both:,} of {first.hits:,} "
        f"interpolations visited a midpoint, and {first.both:,} of {first.visits:,} visits "
        f"interpolate; {ddpm}: {second.both:,} of {second.hits:,}, and {second.both:,} of "
        f"{second.visits:,}."
    )
    note += f" {variation_note(_shares(parts))}"
    if dropped:
        note += f" {dropped} comparisons of conditionals had no run to condition on."
    return note


def _shares(parts: Mapping[str, Sequence[Decomposition]]) -> dict[str, list[Proportion]]:
    """Per quantity and sampler the share of every network that has one."""
    found = {}
    for name, group in parts.items():
        for label, rate in zip(_NAMES, _RATES, strict=True):
            shares = [getattr(part, rate) for part in group]
            found[f"{label}, {name}"] = [share for share in shares if share is not None]
    return {label: shares for label, shares in found.items() if shares}


def _numbers(
    case: Case, runs: Sequence[ReverseRuns], pooled: Mapping[str, Decomposition]
) -> dict[str, float | None]:
    numbers: dict[str, float | None] = {}
    exact = {run.sampler: decompose(run) for run in runs if not run.learned}
    groups = by_sampler(runs)
    for name, part in pooled.items():
        numbers[f"P(H|M), {name}"] = None if not part.visits else _rate(part.hit_given_visit)
        numbers[f"P(M|H), {name}"] = None if not part.hits else _rate(part.visit_given_hit)
        numbers[f"P(M) with the exact score, {name}"] = exact[name].p_visit.rate
        numbers[f"interpolations that end within θ l, {name}"] = _end_near(case, groups[name])
    return numbers


def _table(case: Case, runs: Sequence[ReverseRuns]) -> Table:
    """Per score and sampler with 95 % intervals; then the means over training seeds."""
    rows: list[tuple[Cell, ...]] = []
    for run in runs:
        part = decompose(run)
        shares = [with_interval(getattr(part, rate)) for rate in _RATES]
        rows.append((run.model.name, run.sampler, part.n, *(c for cells in shares for c in cells)))
    for name, group in by_sampler(runs).items():
        for recipe, members in of_recipe(group).items():
            parts = [decompose(run) for run in members]
            means = [_seed_cells(parts, rate) for rate in _RATES]
            label = f"{recipe}: over {len(members)} seeds"
            rows.append((label, name, None, *(c for cells in means for c in cells)))
    columns = ("score", "sampler", "runs", *(c for name in _NAMES for c in (name, "from", "to")))
    return Table("Visits to midpoints and interpolations, with 95 % intervals", columns, rows)


def _seed_cells(parts: Sequence[Decomposition], rate: str) -> list[Cell]:
    shares = [getattr(part, rate) for part in parts]
    if any(share is None for share in shares):
        return [None, None, None]
    values = [share.rate for share in shares]
    return [float(np.mean(values)), *(over_seeds(values) or (None, None))]
