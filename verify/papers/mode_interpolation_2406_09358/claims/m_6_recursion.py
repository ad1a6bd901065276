r"""Training on one's own samples makes interpolation grow.

Statement: In each of the saved recursions, in which every generation is trained on the samples of
    the one before, the share of samples between two modes is larger in the last generation than in
    the first, and is not shown to fall at any step between.
Hypotheses: none.
Measured: per seed, on the 5 x 5 grid with $T = 500$: the share of interpolations among the samples
    of the last generation, and from each generation to the next. Every generation is sampled by
    DDPM, and the next one is trained on all of it.
Predicted: above that of the first generation.
Evidence: learned; decided only where the Clopper-Pearson intervals of two shares, each missing
    with probability 1e-6, lie apart. A fall from one generation to the next counts against the
    claim where its intervals show it. Of neighbours too close to tell apart nothing is claimed:
    the note counts them, and says what fall would have been seen. The intervals are over samples of
    these chains; one chain a seed, so that nothing is said of another chain.
Source: arXiv 2406.09358 v2, section 6
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison
from verify.ledger.sides import Part
from verify.measure.networks.order import Trend, compare_order
from verify.measure.retraining import Recursion, Recursions, recursions, shown

CLAIM = Claim.from_docstring(
    __doc__,
    id="M6",
    short="training on samples",
    needs=(modes(2),),
    does_not_show=(
        "That the share grows at each step, or in another chain: two seeds are too few for an "
        "interval over seeds that says anything (see the numbers). Where the growth ends, or that "
        "it is interpolation alone: the modes' weights drift and their spread changes as well."
    ),
)


@CLAIM.learned(unit="samples", of=recursions)
def growth(
    case: Case,
    held: Recursions,
    change: Callable[[Recursions], Recursions] = lambda held: held,
) -> Iterator[Part]:
    """The share of interpolations over the generations, recursion by recursion."""
    held = change(held)
    runs = held.of("none")
    trends = [_trend(run) for run in runs]
    for trend in trends:
        yield from trend.comparisons
    ratios = [run.between().rate / run.between(0).rate for run in runs if run.between(0).successes]
    yield from shown(held, runs, "last share over first", ratios)
    for run, trend in zip(runs, trends, strict=True):
        yield f"{run.name}: {trend.in_words('rise', 'fall')}"


def _trend(run: Recursion) -> Trend:
    """The last generation above the first, and every step from one to the next."""

    def above(later: int, earlier: int) -> Comparison:
        names = [run.generations[k].index for k in (later, earlier)]
        name = f"{run.name}: generation {names[0]} above {names[1]}"
        return compare_order(name, run.between(later), run.between(earlier))

    last = len(run.generations) - 1
    return Trend(above(last, 0), tuple(above(k, k - 1) for k in range(1, last + 1)))


CLAIM.must_fail(growth, "generations in reverse", change=Recursions.backwards)
CLAIM.must_fail(
    growth,
    "filtered by Hal",
    change=lambda held: held.with_filters({"hal": "none", "none": "unused"}),
)
