r"""Where hallucinations come from: decomposition by visits to midpoints.

Statement: Let $M$ be the event that a trajectory is within $\theta\, l$ of the midpoint of its two
    nearest modes, in static coordinates, at some node with raw time $1 \le t \le t(\tau_3)$. For
    any event $H$ of its end, $P(H) = P(H|M) P(M) + P(H|M^c) P(M^c)$.
Hypotheses: none.
Measured: DDIM with 50 quadratic steps and DDPM from noise, $\theta = 0.35$, $\tau_3$ = 11 DDIM
    steps. Exact score: P(H) from fused runs, for H = interpolation, H = "the nearest mode changed
    after $t(\tau_3)$" and H = "in the outer half of its mode", a control that always has mass.
    Trained models, H = interpolation: P(H) counted while the samplers run, and both conditionals,
    P(H|M) and P(M|H).
Predicted: the two conditional parts, counted node by node on the same runs; for trained models also
    $P(H|M) P(M) = P(M|H) P(H)$. There hallucinations come from midpoints and noise frees paths from
    them: of each model, DDIM's P(M|H) exceeds P(M), and its P(H|M) exceeds DDPM's.
Evidence: sampled; counts must agree exactly, and two rates differ where their Clopper-Pearson
    intervals, each missing with probability 1e-6, lie apart. The rates, with 95 % intervals, and
    their means over training seeds are in the tables.
Source: arXiv 2605.06831 v1, Appendix I.1
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.support.checks import Array, IntArray
from verify.ledger.claim import Basis, Case, Claim, Finding, Table, Verdict
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison, Equality, compare
from verify.measure.networks import learned_decomposition
from verify.measure.networks.models import learned_mutants, learned_rows
from verify.measure.networks.visits import (
    Decomposition,
    MidpointVisits,
    Visits,
    window_time,
    with_interval,
)
from verify.measure.paths import ddim_grid

CLAIM = Claim.from_docstring(
    __doc__,
    id="I.1",
    short="decomposition",
    rests_on={"F1": "the rates that it splits"},
    needs=(modes(2),),
    basis=(Basis.SAMPLED, Basis.LEARNED),
    does_not_show=(
        "That a visit causes a hallucination: the identity holds for every event M, and a path "
        "that ends between two modes was between them before. With the exact score there are "
        "hardly any to decompose; the row on trained models speaks about the paper's experiment. "
        "Per model, DDPM's few hallucinations decide nothing about where they come from."
    ),
)

EVENTS = ("outer half of its mode", "nearest mode changed", "interpolation")
Combine = Callable[[geometry.Mask, geometry.Mask], float]


@dataclass(frozen=True)
class Runs:
    """Per run: whether it visited a midpoint, the nearest mode at t(tau_3), and its end, once from
    the observed path and once from the fused one; each (n,) or (n, d)."""

    name: str
    visited: geometry.Mask
    nearest: IntArray
    end: Array
    fused_end: Array


def check(case: Case) -> list[Verdict]:
    """Counts of the whole against the sum of the parts; on trained models also the conditionals."""
    exact = _judge(case, lambda visited, hit: int((hit & visited).sum() + (hit & ~visited).sum()))
    return [exact, *learned_rows(CLAIM, case, partial(learned_decomposition.judge, CLAIM, case))]


def mutants(case: Case) -> dict[str, Verdict]:
    """Visits alone, conditional probabilities that are not weighted, a run too few, and exchanged
    samplers."""
    found = {
        "P(H|M) P(M) alone": _judge(case, lambda visited, hit: int((hit & visited).sum())),
        "P(H|M) + P(H|M^c)": _judge(case, _unweighted),
        "a run with H forgotten": _judge(case, lambda _, hit: max(int(hit.sum()) - 1, 0)),
    }
    judges = learned_decomposition.MUTANTS.items()
    return found | learned_mutants(
        CLAIM, case, {name: partial(judge, CLAIM, case) for name, judge in judges}
    )


def _unweighted(visited: geometry.Mask, hit: geometry.Mask) -> float:
    parts = [hit[group].mean() if group.any() else 0.0 for group in (visited, ~visited)]
    return float(len(hit) * sum(parts))


def _judge(case: Case, combine: Combine) -> Verdict:
    runs = case.memo("I.1 runs", lambda: _runs(case))
    comparisons, where, occurs = [], [], []
    for run in runs:
        whole = _events(case, run.fused_end, run.nearest)
        parts = _events(case, run.end, run.nearest)
        counts = [int(hit.sum()) for hit in whole.values()]
        sums = [combine(run.visited, hit) for hit in parts.values()]
        comparisons.append(compare(f"runs with H, {run.name}", Equality(atol=0.5), counts, sums))
        where.append(run.name)
        occurs += [count > 0 for count in counts]

    def witness(comparison: Comparison) -> dict[str, Any]:
        name = where[comparisons.index(comparison)]
        return {"sampler": name, "event": EVENTS[comparison.index]}

    finding = Finding(
        comparisons=comparisons,
        nonvacuous_share=float(np.mean(occurs)),
        witness=witness,
        unit="events",
        note=(
            f"t(τ_3) is raw time {window_time(case)}; {len(runs[0].end):,} runs of each sampler. A "
            f"single run too few would have failed; {occurs.count(False)} of {len(occurs)} events "
            "never happened."
        ),
        tables=[_table(case, runs)],
    )
    return CLAIM.judge(case, finding)


def _runs(case: Case) -> list[Runs]:
    """DDIM and DDPM from the same noise, twice each: observed, and fused."""
    mixture, schedule = case.mixture, case.schedule
    work = schedule.T * mixture.N * mixture.d
    n = int(np.clip(case.pick(3 * 10**8, 10**10) // work, 500, case.pick(8192, 100_000)))
    grid = ddim_grid(case)
    samplers: list[tuple[str, Sampler]] = [
        (f"DDIM-{grid.steps}", DDIM(spacing=grid)),
        (f"DDPM-{schedule.T}", DDPM()),
    ]
    found = []
    for name, sampler in samplers:
        seed = case.stream("I.1")
        observer = MidpointVisits(mixture, schedule, [window_time(case)])
        seen = sample(mixture, schedule, sampler, n=n, rng=seed, observers=[observer], keep="none")
        visits: Visits = seen.observations[0]
        fused = sample(mixture, schedule, sampler, n=n, rng=seed).x
        found.append(
            Runs(name, visits.visited(), visits.nearest[:, 0], visits.end, np.asarray(fused))
        )
    return found


def _events(case: Case, end: Array, nearest: IntArray) -> dict[str, geometry.Mask]:
    first, _, distance, _ = geometry.two_nearest(case.mixture.means, end)
    relative = distance / case.mixture.sigmas[first]
    hits = (
        relative > np.median(relative),
        first != nearest,
        geometry.classify(case.mixture, end) == geometry.Region.INTERPOLATION,
    )
    return dict(zip(EVENTS, hits, strict=True))


def _table(case: Case, runs: list[Runs]) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for run in runs:
        for event, hit in _events(case, run.end, run.nearest).items():
            parts = Decomposition.of(run.visited, hit)
            conditional = (parts.hit_given_visit, parts.hit_given_none, parts.p_hit)
            cells = [cell for part in conditional for cell in with_interval(part)]
            rows.append((run.name, event, parts.p_visit.rate, *cells))
    columns = (
        *("sampler", "H", "P(M)", "P(H|M)", "from", "to", "P(H|not M)", "from", "to"),
        *("P(H)", "from", "to"),
    )
    return Table("The decomposition, with 95 % intervals", columns, rows)
