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

from collections.abc import Callable, Iterator, Sequence

from mixdyn.geometry import Region
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison, Outcome
from verify.ledger.sides import Part
from verify.ledger.verdict import Table
from verify.measure.networks.order import Trend, compare_order
from verify.measure.retraining import Recursion, Recursions, recursions, shown

CLAIM = Claim.from_docstring(
    __doc__,
    id="M7",
    short="filter before retraining",
    rests_on={"M5": "the detector that filters", "M6": "retraining on own samples"},
    needs=(modes(2),),
    does_not_show=(
        "That another chain does the same: two seeds are too few for an interval over seeds that "
        "says anything (see the numbers). That the filter keeps the distribution: the modes' "
        "weights drift as they do without it (see the table). Nor how to choose the share to drop, "
        "here several times that of the hallucinations, or the window, here the one that separates "
        "best on the first generation (M5)."
    ),
)


@CLAIM.learned(unit="samples", of=recursions)
def filters(
    case: Case,
    held: Recursions,
    change: Callable[[Recursions], Recursions] = lambda held: held,
) -> Iterator[Part]:
    """Random filtering against Hal, generation by generation, seed by seed."""
    held = change(held)
    pairs = held.pairs("random", "hal")
    trends = [_order(random, hal) for random, hal in pairs]
    for trend in trends:
        yield from trend.comparisons
    ratios = [hal.between().rate / random.between().rate for random, hal in pairs]
    runs = [run for pair in pairs for run in pair]
    yield from shown(held, runs, "last share with Hal over random", ratios)
    for (_, hal), trend in zip(pairs, trends, strict=True):
        yield f"Seed {hal.seed}: {_in_words(trend.steps)}"
    yield _caught(held)


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
            true, kept = g.regions[Region.TRUE_MODE], g.kept_regions[Region.TRUE_MODE]
            wrong, left = g.n - true, sum(g.kept_regions) - kept
            removed = (wrong - left) / wrong if wrong else None
            place = run.filter, run.seed, g.index
            rows.append((*place, wrong, removed, kept / true if true else None))
    columns = ("filter", "seed", "generation", "hallucinations", "removed", "true modes kept")
    return Table("What the filters drop, as shares of each kind", columns, rows)


CLAIM.must_fail(
    filters,
    "filters swapped",
    change=lambda held: held.with_filters({"hal": "random", "random": "hal"}),
)
CLAIM.must_fail(
    filters,
    "no filter in place of Hal",
    change=lambda held: held.with_filters({"none": "hal", "hal": "unused"}),
)
