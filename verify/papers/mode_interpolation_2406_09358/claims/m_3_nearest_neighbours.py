r"""Interpolation joins nearest neighbours only.

Statement: On a square grid of modes, and on the same grid turned by 45 degrees (the diamond), the
    shipped network interpolates along the sides of a cell, which join nearest neighbours, whatever
    their direction; it does not along the diagonals, which on the diamond lie along the axes.
Hypotheses:
    - trained: a network is shipped for the grid and for the diamond.
    - steps: with the exact score, on the same noise, at most one sample in 1,000 lies between
      modes.
Measured: among final states outside every mode, those within a mode's radius of a side and, of
    the rest, of a diagonal: under DDPM and under DDIM with 50 steps. With the exact score, on
    which the coordinates of a grid are independent, logarithms of the probabilities that exactly
    one coordinate of $\hat{x}_0$ at the last noisy time lies in a gap (a side), or that both do.
Predicted: of the states on sides and diagonals, at least 95 % on sides; more on sides than on
    diagonals. With the exact score the probability of a diagonal is at most 5 % of that of a side.
Evidence: exact for the exact score, the same for both planes, as noise and score turn with them;
    learned by counts, decided by Clopper-Pearson intervals that miss with probability 1e-6.
Source: arXiv 2406.09358 v2, section 4 and figure 3
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.relations import Comparison, Statistical, Upper, compare, compare_rate
from verify.measure.interpolation.networks import (
    DIAGONAL,
    KINDS,
    SIDE,
    PlaneCounts,
    exact_plane_log,
    on_standard,
    own_rows,
    plane_counts,
)
from verify.measure.interpolation.problems import PLANES
from verify.measure.networks.models import TrainedModel
from verify.measure.networks.rates import STEPS_ALONE, compare_order

CLAIM = Claim.from_docstring(
    __doc__,
    id="M3",
    short="nearest neighbours",
    rests_on={"D.1": "why diagonals are avoided"},
    basis=(Basis.EXACT, Basis.LEARNED),
    does_not_show=(
        "That pairs farther apart than a diagonal are never joined: states elsewhere are counted "
        "apart. One network a plane, trained for fewer samples than the paper's."
    ),
)
MOST_ON_SIDES = 0.95
_WIDE_GAP = 0.0925  # from 1/11 on, a diagonal has more than 5 % of a side
Change = Callable[[PlaneCounts], PlaneCounts]


def check(case: Case) -> list[Verdict]:
    """Both coordinates of the exact chain; counts of the networks."""
    return [*_exact(case), *_learned(case, _unchanged)]


def mutants(case: Case) -> dict[str, Verdict]:
    """A gap so probable that diagonals are as well; a tenth of the interpolations on sides moved to
    diagonals, and all of them exchanged."""
    changed = {
        f"a gap of probability {_WIDE_GAP}, exact": _exact(case, math.log(_WIDE_GAP)),
        "a tenth moved from sides to diagonals": _learned(case, _moved),
        "sides and diagonals exchanged": _learned(case, _exchanged),
    }
    return {name: row for name, rows in changed.items() for row in rows}


def _exact(case: Case, log_gap: float | None = None) -> list[Verdict]:
    """log_gap: of the probability that a coordinate lies in a gap (mutant)."""
    return on_standard(
        CLAIM,
        case,
        Basis.EXACT,
        lambda: [_judge_exact(case, exact_plane_log(case) if log_gap is None else log_gap)],
    )


def _judge_exact(case: Case, log_gap: float) -> Verdict:
    side, diagonal = math.log(2.0) + log_gap + math.log1p(-math.exp(log_gap)), 2.0 * log_gap
    share = math.log(1.0 - MOST_ON_SIDES)
    name = "probability of a diagonal against 5 % of that of a side, exact score"
    finding = Finding(
        comparisons=[compare(name, Upper(rtol=1e-3, log=True), diagonal, side + share)],
        nonvacuous_share=1.0,
        witness=lambda comparison: {"sampler": "DDPM", "log of one coordinate in a gap": log_gap},
        unit="mixtures",
    )
    return CLAIM.judge(case, finding, Basis.EXACT)


def _unchanged(counted: PlaneCounts) -> PlaneCounts:
    return counted


def _exchanged(counted: PlaneCounts) -> PlaneCounts:
    side, diagonal, elsewhere = counted.learned.tolist()
    return replace(counted, learned=np.array([diagonal, side, elsewhere]))


def _moved(counted: PlaneCounts) -> PlaneCounts:
    side, diagonal, elsewhere = counted.learned.tolist()
    moved = side // 10
    return replace(counted, learned=np.array([side - moved, diagonal + moved, elsewhere]))


def _learned(case: Case, change: Change) -> list[Verdict]:
    def measure(models: Sequence[TrainedModel]) -> Verdict:
        counts = [change(counted) for counted in plane_counts(case)]
        found = {c.plane for c in counts}
        alone = [STEPS_ALONE - float(c.exact.sum()) / c.n for c in counts]
        hypotheses = [Hypothesis("trained", len(found) / len(PLANES))]
        if alone:
            hypotheses.append(Hypothesis.from_slack("steps", np.array(alone)))
        finding = Finding(
            comparisons=[c for counted in counts for c in _compare(counted)],
            hypotheses=hypotheses,
            nonvacuous_share=1.0,
            witness=lambda comparison: {
                "compared": comparison.name,
                "seed": case.stream("interpolation planes"),
            },
            unit="samples",
            note=_note(counts),
            tables=[_table(counts)],
            model=", ".join(dict.fromkeys(c.model for c in counts)),
        )
        return CLAIM.judge(case, finding, Basis.LEARNED)

    return own_rows(CLAIM, case, measure)


def _compare(counted: PlaneCounts) -> list[Comparison]:
    """Sides against diagonals; and their share, however few were seen."""
    where = f"{counted.plane}, {counted.sampler}"
    side, diagonal = counted.of(SIDE), counted.of(DIAGONAL)
    return [
        compare_order(f"{where}: sides above diagonals", side, diagonal),
        compare_rate(
            f"{where}: share on sides", Statistical("lower"), counted.joined(SIDE), MOST_ON_SIDES
        ),
    ]


_ENOUGH = math.ceil(math.log(1e-6 / 2.0) / math.log(MOST_ON_SIDES))  # all on sides would decide


def _note(counts: Sequence[PlaneCounts]) -> str:
    few = [f"{c.plane}, {c.sampler}" for c in counts if c.joined(SIDE).trials < _ENOUGH]
    return (
        f"Too few interpolations to decide a share of {MOST_ON_SIDES:.0%}: {'; '.join(few)}."
        if few
        else ""
    )


def _table(counts: Sequence[PlaneCounts]) -> Table:
    rows: list[list[str | int | float]] = []
    for c in counts:
        cells: list[float] = []
        for kind in KINDS:
            cells += [c.of(kind).rate, *c.of(kind).interval()]
        share = c.joined(SIDE)
        exact = int(c.exact.sum())
        rows.append([c.plane, c.sampler, c.n, *cells, share.rate, *share.interval(), exact])
    columns: list[str] = ["plane", "sampler", "samples"]
    for kind in (*KINDS, "sides among both"):
        columns += [kind, "from", "to"]
    caption = "Where final states outside every mode lie, with 95 % intervals"
    return Table(caption, (*columns, "outside with the exact score"), rows)
