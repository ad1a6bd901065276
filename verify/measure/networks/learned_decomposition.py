"""What the learned row of I.1 shows: visits and interpolations of trained models, in words, numbers
and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mixdyn.support.statistics import Proportion

from ...ledger.case import Case
from ...ledger.sides import Part
from ...ledger.verdict import Table
from .paths import ReverseRuns, by_sampler, of_recipe
from .pooled import variation_note, variation_table
from .rates import Cell
from .visit_windows import SHARES, decompose, over_models
from .visits import THETA, Decomposition, window_time, with_interval

Parts = Mapping[str, Sequence[Decomposition]]


def shown(case: Case, runs: Sequence[ReverseRuns], parts: Parts, dropped: int) -> Iterator[Part]:
    """Note, numbers and tables. parts: every model's, by sampler; dropped: how many comparisons had
    nothing to compare."""
    pooled = {name: Decomposition.pooled(found) for name, found in parts.items()}
    yield _note(case, parts, pooled, dropped)
    yield _numbers(case, runs, pooled)
    yield _table(runs)
    yield variation_table(_shares(parts))


def _shares(parts: Parts) -> dict[str, list[Proportion]]:
    """Per quantity and sampler the share of every network that has one."""
    found = {}
    for sampler, group in parts.items():
        for name, share in SHARES.items():
            shares = [getattr(part, share) for part in group]
            found[f"{name}, {sampler}"] = [share for share in shares if share is not None]
    return {label: shares for label, shares in found.items() if shares}


def _note(case: Case, parts: Parts, pooled: Mapping[str, Decomposition], dropped: int) -> str:
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


def _numbers(
    case: Case, runs: Sequence[ReverseRuns], pooled: Mapping[str, Decomposition]
) -> dict[str, float | None]:
    numbers: dict[str, float | None] = {}
    exact = {run.sampler: decompose(run) for run in runs if not run.learned}
    groups = by_sampler(runs)
    for name, part in pooled.items():
        numbers[f"P(H|M), {name}"] = _rate(part.hit_given_visit)
        numbers[f"P(M|H), {name}"] = _rate(part.visit_given_hit)
        numbers[f"P(M) with the exact score, {name}"] = exact[name].p_visit.rate
        numbers[f"interpolations that end within θ l, {name}"] = _end_near(case, groups[name])
    return numbers


def _rate(share: Proportion | None) -> float | None:
    return None if share is None else share.rate


def _end_near(case: Case, group: Sequence[ReverseRuns]) -> float | None:
    """The share of interpolations that end within theta l of the midpoint."""
    ends = [run.visits.end_distance(case.mixture)[run.interpolates] for run in group]
    distance = np.concatenate(ends)
    return float(np.mean(distance <= THETA)) if len(distance) else None


def _table(runs: Sequence[ReverseRuns]) -> Table:
    """Per score and sampler with 95 % intervals; then the means over training seeds."""
    rows: list[tuple[Cell, ...]] = []
    for run in runs:
        part = decompose(run)
        cells = [c for share in SHARES.values() for c in with_interval(getattr(part, share))]
        rows.append((run.model.name, run.sampler, part.n, *cells))
    for sampler, group in by_sampler(runs).items():
        for recipe, members in of_recipe(group).items():
            parts = [decompose(run) for run in members]
            means = [cell for name in SHARES for cell in over_models(parts, name)]
            rows.append((f"{recipe}: over {len(members)} seeds", sampler, None, *means))
    columns = ("score", "sampler", "runs", *(c for name in SHARES for c in (name, "from", "to")))
    return Table("Visits to midpoints and interpolations, with 95 % intervals", columns, rows)
