r"""Dropping samples of large Hal before retraining keeps interpolation down.

Statement: In each pair of saved recursions of one seed, dropping the samples of largest Hal before
    the next training gives fewer interpolations in the last generation than dropping as many at
    random, and is not shown to give more in any generation between.
Hypotheses: none.
Measured: per seed, on the 5 x 5 grid with $T = 500$, at every generation that a filter has acted
    on: the share of interpolations after random filtering. Both filters drop a tenth of the
    samples, and share draws, initial networks and noise. Hal is the variance of $\hat x_0$ over the
    last four steps, chosen on the first generation of these recursions.
Predicted: above that after filtering by Hal, in the last generation.
Evidence: learned; decided only where the Clopper-Pearson intervals of two shares, each missing
    with probability 1e-6, lie apart. A generation at which they show the opposite counts against
    the claim. Of those too close to tell apart nothing is claimed: the note counts them, and says
    what difference would have been seen. The intervals are over samples of these chains, one a
    seed: nothing is said of another chain.
Source: arXiv 2406.09358 v2, section 6
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mixdyn.geometry import Region
from verify.ledger.claim import Basis, Case, Claim, Finding, Table, Verdict
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison, Outcome
from verify.measure.networks.rates import Trend, compare_order
from verify.measure.retraining import (
    Recursion,
    Recursions,
    describe,
    generation_table,
    mean_over_seeds,
    saved_mutants,
    saved_rows,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="M7",
    short="filter before retraining",
    rests_on={"M5": "the detector that filters", "M6": "retraining on own samples"},
    needs=(modes(2),),
    basis=(Basis.LEARNED,),
    does_not_show=(
        "That another chain does the same: two seeds are too few for an interval over seeds that "
        "says anything (see the numbers). That the filter keeps the distribution: the modes' "
        "weights drift as they do without it (see the table). Nor how to choose the share to drop, "
        "here several times that of the hallucinations, or the window, here the one that separates "
        "best on the first generation (M5)."
    ),
)


def check(case: Case) -> list[Verdict]:
    """Random filtering against Hal, generation by generation."""
    return saved_rows(CLAIM, case, _judge)


def mutants(case: Case) -> dict[str, Verdict]:
    """The filters' names swapped, and no filter under the name of Hal."""
    changes: dict[str, Any] = {
        "filters swapped": lambda held: held.with_filters({"hal": "random", "random": "hal"}),
        "no filter in place of Hal": lambda held: held.with_filters(
            {"none": "hal", "hal": "unused"}
        ),
    }
    return saved_mutants(CLAIM, case, _judge, changes)


def _judge(held: Recursions) -> Finding:
    pairs = held.pairs("random", "hal")
    ratios = [hal.between().rate / random.between().rate for random, hal in pairs]
    trends = {hal.seed: _order(random, hal) for random, hal in pairs}
    steps = " ".join(f"Seed {seed}: {_in_words(trend.steps)}" for seed, trend in trends.items())
    return Finding(
        comparisons=[c for trend in trends.values() for c in trend.comparisons],
        nonvacuous_share=1.0,
        witness=lambda c: {"compared": c.name, "command": held.about["command"]},
        unit="samples",
        note=f"{describe(held)} {steps}",
        numbers=mean_over_seeds("last share with Hal over random", ratios),
        tables=[generation_table(held, ("random", "hal")), _caught(held)],
        model=", ".join(run.name for pair in pairs for run in pair),
    )


def _order(random: Recursion, hal: Recursion) -> Trend:
    """The last generation, and every other that a filter has acted on."""
    shared = min(len(random.generations), len(hal.generations))
    *between, last = [
        compare_order(
            f"seed {hal.seed}, generation {hal.generations[k].index}: random above Hal",
            random.between(k),
            hal.between(k),
        )
        for k in range(1, shared)
    ]
    return Trend(last, tuple(between))


def _in_words(between: Sequence[Comparison]) -> str:
    """How many of the generations before the last are decided."""
    undecided = [c for c in between if c.outcome is Outcome.INCONCLUSIVE]
    text = f"of {len(between)} generations before the last {len(undecided)} are undecided"
    seen = [c.resolution for c in undecided if c.resolution is not None]
    if not seen:
        return f"{text}."
    size = f"{100 * max(seen):.2g}"
    return f"{text}: fewer by {size} percentage points after random filtering would have been seen."


def _caught(held: Recursions) -> Table:
    """What each filter dropped."""
    rows = []
    for run in [*held.of("random"), *held.of("hal")]:
        for g in run.generations:
            wrong = g.n - g.regions[Region.TRUE_MODE]
            left = sum(g.kept_regions) - g.kept_regions[Region.TRUE_MODE]
            true = g.regions[Region.TRUE_MODE]
            rows.append(
                (
                    *(run.filter, run.seed, g.index, wrong),
                    (wrong - left) / wrong if wrong else None,
                    g.kept_regions[Region.TRUE_MODE] / true if true else None,
                )
            )
    columns = ("filter", "seed", "generation", "hallucinations", "removed", "true modes kept")
    return Table("What the filters drop, as shares of each kind", columns, rows)
