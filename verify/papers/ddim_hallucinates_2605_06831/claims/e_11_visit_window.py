r"""Where hallucinations come from, whatever the window and the radius of a visit.

Statement: Let $M$ be a visit to a midpoint: within $\theta\, l$ of it at some node with raw time
    $1 \le t \le t(\tau_3)$. For every $\tau_3$ from 5 to 25 DDIM steps left at $\theta$ = 0.35, and
    every $\theta$ from 0.15 to 0.45 at $\tau_3$ = 11, of the runs of the shipped models together,
    and at $\theta$ = 0.35, $\tau_3$ = 11 of each model's: among DDIM's interpolations visits are
    likelier than among all its runs, $P(M|H) > P(M)$, so that $P(H|M) > P(H|M^c)$; and a visit of
    DDIM interpolates more often than one of DDPM.
Hypotheses:
    - counted: both samplers have visits and DDIM has interpolations: else the rates mean nothing.
Measured: $P(M)$, $P(H|M)$, $P(H|M^c)$ and $P(M|H)$, H = interpolation, of DDIM with 50 quadratic
    steps and DDPM from noise, for 21 windows at $\theta$ = 0.35 and 5 radii at $\tau_3$ = 11.
Predicted: both inequalities at every window and radius. Rates differ where their intervals lie
    apart.
Evidence: learned; Clopper-Pearson intervals that miss with probability 1e-6. Those of the models'
    counts together are over runs, for the mean of these models; a table says how far they differ.
Source: arXiv 2605.06831 v1, Figure E.11
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mixdyn.support.numbers import show_share
from mixdyn.support.statistics import Proportion
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison
from verify.measure.networks.models import TrainedModel, learned_mutants, learned_rows
from verify.measure.networks.paths import WINDOWS
from verify.measure.networks.pooled import variation_note, variation_table
from verify.measure.networks.rates import compare_order, over_seeds
from verify.measure.networks.visit_windows import THETAS, Choice, Visited, visits_by_choice
from verify.measure.networks.visits import (
    STEPS_LEFT,
    THETA,
    Decomposition,
    window_time,
    with_interval,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.11",
    short="which window",
    rests_on={"I.1": "the split by visits, its window varied"},
    needs=(modes(2),),
    basis=(Basis.LEARNED,),
    does_not_show=(
        "That P(H|M) itself means something: it depends on the window and the radius by orders of "
        "magnitude, while P(M|H) hardly does. A path that ends between two modes is near their "
        "midpoint in its last steps whatever it did before. Nor what another model does: P(H|M) "
        "differs between these by more than any interval of their joint counts."
    ),
)

Cell = float | str | None


def check(case: Case) -> list[Verdict]:
    """Both inequalities at every window and radius."""
    return learned_rows(CLAIM, case, partial(_judge, case))


def mutants(case: Case) -> dict[str, Verdict]:
    """Exchanged samplers, and runs without a visit in place of those with one."""
    changed = {
        "DDIM and DDPM exchanged": partial(_judge, case, exchanged=True),
        "no visit in place of a visit": partial(_judge, case, complement=True),
    }
    return learned_mutants(CLAIM, case, changed)


def _judge(
    case: Case,
    models: Sequence[TrainedModel],
    *,
    exchanged: bool = False,
    complement: bool = False,
) -> Verdict:
    visited = visits_by_choice(case, models, complement=complement)
    names = list(visited)
    ddim, ddpm = (visited[name] for name in (names[::-1] if exchanged else names))
    comparisons = list(_comparisons(models, ddim, ddpm))
    shares = _shares(visited)

    def witness(comparison: Comparison) -> dict[str, Any]:
        return {"quantity": comparison.name, "seed": case.stream("learned paths")}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[Hypothesis("counted", len(comparisons) / (2 * (len(ddim) + len(models))))],
        nonvacuous_share=1.0,
        witness=witness,
        unit="runs",
        note=f"{_note(case, ddim)} {variation_note(shares)}",
        tables=[*_tables(case, visited), variation_table(shares)],
        model=", ".join(model.name for model in models),
    )
    return CLAIM.judge(case, finding, Basis.LEARNED)


def _comparisons(
    models: Sequence[TrainedModel],
    ddim: Mapping[Choice, Sequence[Decomposition]],
    ddpm: Mapping[Choice, Sequence[Decomposition]],
) -> Iterator[Comparison]:
    """Both inequalities: of each model at the paper's choice, of all together at every choice."""
    for model, *parts in zip(models, ddim[Choice()], ddpm[Choice()], strict=True):
        yield from _at(f"{model.name}, {_place(Choice())}", *parts)
    for choice in ddim:
        yield from _at(_place(choice), *(Decomposition.pooled(s[choice]) for s in (ddim, ddpm)))


def _place(choice: Choice) -> str:
    return f"τ_3 = {choice.steps_left}, θ = {choice.theta:g}"


def _at(where: str, ddim: Decomposition, ddpm: Decomposition) -> Iterator[Comparison]:
    if ddim.visit_given_hit is not None:
        yield compare_order(
            f"P(M|H) of DDIM above P(M), {where}", ddim.visit_given_hit, ddim.p_visit
        )
    if ddim.hit_given_visit is not None and ddpm.hit_given_visit is not None:
        name = f"P(H|M) of DDIM above DDPM's, {where}"
        yield compare_order(name, ddim.hit_given_visit, ddpm.hit_given_visit)


def _shares(visited: Visited) -> dict[str, list[Proportion]]:
    """The quantities of each model at the paper's choice, by sampler, where all have them."""
    found = {}
    for sampler, by_choice in visited.items():
        parts = by_choice[Choice()]
        for name, shares in (
            ("P(M)", [p.p_visit for p in parts]),
            ("P(H|M)", [p.hit_given_visit for p in parts]),
            ("P(M|H)", [p.visit_given_hit for p in parts]),
        ):
            known = [share for share in shares if share is not None]
            if len(known) == len(parts):
                found[f"{name} of {sampler}"] = known
    return found


def _note(case: Case, ddim: Mapping[Choice, Sequence[Decomposition]]) -> str:
    """From the longest to the shortest window."""
    ends = WINDOWS[0], WINDOWS[-1]
    first, last = (window_time(case, steps) for steps in ends)
    long, short = (Decomposition.pooled(ddim[Choice(steps)]) for steps in ends)
    return (
        f"Windows from raw time {first} to {last}. At θ = {THETA:g} DDIM's P(M) goes from "
        f"{_percent(long.p_visit)} to {_percent(short.p_visit)}, P(H|M) from "
        f"{_percent(long.hit_given_visit)} to {_percent(short.hit_given_visit)}, P(M|H) from "
        f"{_percent(long.visit_given_hit)} to {_percent(short.visit_given_hit)}."
    )


def _percent(part: Proportion | None) -> str:
    return "no count" if part is None else show_share(part.rate)


def _tables(case: Case, visited: Visited) -> list[Table]:
    over_windows = [Choice(steps) for steps in WINDOWS]
    over_radii = [Choice(theta=theta) for theta in THETAS]
    return [
        _table(case, f"Over the window, θ = {THETA:g}", over_windows, visited),
        _table(case, f"Over the radius, τ_3 = {STEPS_LEFT}", over_radii, visited),
    ]


def _table(case: Case, caption: str, choices: Sequence[Choice], visited: Visited) -> Table:
    columns = (
        *("sampler", "τ_3", "t(τ_3)", "θ", "P(M)", "P(H|M)", "from", "to"),
        *("P(H|not M)", "from", "to", "ratio", "P(M|H)", "from", "to"),
        *("P(H|M) over seeds", "from", "to"),
    )
    rows: list[tuple[Cell, ...]] = []
    for name, by_choice in visited.items():
        for choice in choices:
            part = Decomposition.pooled(by_choice[choice])
            hit, none = part.hit_given_visit, part.hit_given_none
            ratio = hit.rate / none.rate if hit and none and none.successes else None
            place = (choice.steps_left, window_time(case, choice.steps_left), choice.theta)
            conditional = [*with_interval(hit), *with_interval(none), ratio]
            seeds = _over_models(by_choice[choice])
            rows.append(
                (
                    *(name, *place, part.p_visit.rate, *conditional),
                    *with_interval(part.visit_given_hit),
                    *seeds,
                )
            )
    return Table(f"{caption}; all models together, with 95 % intervals", columns, rows)


def _over_models(parts: Sequence[Decomposition]) -> list[Cell]:
    """Mean of P(H|M) over the models and Student's interval."""
    values = [part.hit_given_visit.rate for part in parts if part.hit_given_visit is not None]
    if len(values) < len(parts):
        return [None, None, None]
    return [float(np.mean(values)), *(over_seeds(values) or (None, None))]
