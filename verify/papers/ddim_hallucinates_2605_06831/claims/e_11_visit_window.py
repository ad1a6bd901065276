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
Predicted: both inequalities at every window and radius.
Evidence: learned; $P(M|H) > P(M)$ where their Clopper-Pearson intervals, each missing with
    probability 1e-6, lie apart, and the two samplers by Fisher's exact test of independent counts,
    which errs as rarely. The models' counts together are over runs, for the mean of these models; a
    table says how far they differ.
Source: arXiv 2605.06831 v1, Figure E.11
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mixdyn.support.numbers import show_share
from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison
from verify.ledger.sides import Facts, Part
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.networks.paths import WINDOWS
from verify.measure.networks.pooled import variation_note, variation_table
from verify.measure.networks.rates import Cell
from verify.measure.networks.visit_windows import (
    SHARES,
    THETAS,
    Choice,
    Visited,
    compare_visits,
    over_models,
    visits_by_choice,
)
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
    does_not_show=(
        "That P(H|M) itself means something: it depends on the window and the radius by orders of "
        "magnitude, while P(M|H) hardly does. A path that ends between two modes is near their "
        "midpoint in its last steps whatever it did before. Nor what another model does: P(H|M) "
        "differs between these by more than any interval of their joint counts."
    ),
)


@CLAIM.learned(unit="runs", of=networks)
def every_choice(
    case: Case,
    models: Sequence[TrainedModel],
    exchanged: bool = False,
    complement: bool = False,
) -> Iterator[Part]:
    """Both inequalities: of each model at the paper's choice, of all together at every choice.
    exchanged: DDPM's runs for DDIM's; complement: runs without a visit for those with one."""
    visited = visits_by_choice(case, models, complement=complement)
    names = list(visited)
    ddim, ddpm = (visited[name] for name in (names[::-1] if exchanged else names))
    found: list[Comparison] = []
    for model, *parts in zip(models, ddim[Choice()], ddpm[Choice()], strict=True):
        found += compare_visits(f"{model.name}, {_place(Choice())}", *parts)
    for choice in ddim:
        both = (Decomposition.pooled(runs[choice]) for runs in (ddim, ddpm))
        found += compare_visits(_place(choice), *both)
    yield from found
    yield Hypothesis("counted", len(found) / (2 * (len(ddim) + len(models))))
    yield Facts(
        model=", ".join(model.name for model in models),
        witness=lambda _: {"seed": case.stream("learned paths")},
    )
    yield lambda: _shown(case, visited, ddim)


def _place(choice: Choice) -> str:
    return f"τ_3 = {choice.steps_left}, θ = {choice.theta:g}"


Counts = Mapping[Choice, Sequence[Decomposition]]


def _shown(case: Case, visited: Visited, ddim: Counts) -> Iterator[Part]:
    shares = _shares(visited)
    yield from (_note(case, ddim), variation_note(shares))
    windows, radii = map(Choice, WINDOWS), (Choice(theta=theta) for theta in THETAS)
    yield _table(case, f"Over the window, θ = {THETA:g}", [*windows], visited)
    yield _table(case, f"Over the radius, τ_3 = {STEPS_LEFT}", [*radii], visited)
    yield variation_table(shares)


def _shares(visited: Visited) -> dict[str, list[Proportion]]:
    """The quantities of each model at the paper's choice, by sampler, where all have them."""
    found = {}
    for sampler, by_choice in visited.items():
        for name in ("P(M)", "P(H|M)", "P(M|H)"):
            shares = [getattr(part, SHARES[name]) for part in by_choice[Choice()]]
            if None not in shares:
                found[f"{name} of {sampler}"] = shares
    return found


def _note(case: Case, ddim: Counts) -> str:
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
            cells: list[Cell] = [*with_interval(hit), *with_interval(none), ratio]
            cells += with_interval(part.visit_given_hit)
            cells += over_models(by_choice[choice], "P(H|M)")
            place = (choice.steps_left, window_time(case, choice.steps_left), choice.theta)
            rows.append((name, *place, part.p_visit.rate, *cells))
    return Table(f"{caption}; all models together, with 95 % intervals", columns, rows)


CLAIM.must_fail(every_choice, "DDIM and DDPM exchanged", exchanged=True)
CLAIM.must_fail(every_choice, "no visit in place of a visit", complement=True)
