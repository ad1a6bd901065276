r"""Training on own images of shapes, with and without Hal.

Statement: Of three generations of U-Nets, each trained on images of the one before, SIMPLE SHAPES
    first, the last repeats shapes less often where a tenth of the images, those of largest Hal, is
    dropped before every training than where as many are dropped at random.
Hypotheses: none; 24 x 24 images, small networks and a short recipe, the same for all generations.
Measured: the share of images that repeat a shape in the last generation, after random filtering.
Predicted: above that after filtering by Hal.
Evidence: learned; decided only where the Clopper-Pearson intervals of the two shares, each missing
    with probability 1e-6, lie apart: of these chains, one of each.
Source: arXiv 2406.09358 v2, section 6
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import NotApplicable, Part
from verify.ledger.standard import on_standard
from verify.ledger.verdict import Table
from verify.measure.images.counts import OWN_PROBLEMS
from verify.measure.images.generations import Runs, told, under_both
from verify.measure.networks.order import compare_order

CLAIM = Claim.from_docstring(
    __doc__,
    id="M8 (2)",
    short="retraining on shapes",
    rests_on={"M7": "the filter, on images", "M8 (1)": "the detector that filters"},
    does_not_show=(
        "What another chain does, or networks trained to convergence: the recipe is short, and its "
        "own errors are among what is repeated."
    ),
)


def measured(case: Case) -> Runs | NotApplicable:
    """The saved recursions."""
    return under_both("shapes", "20 minutes of a core")


@CLAIM.learned(unit="images", of=on_standard(measured, OWN_PROBLEMS))
def filters(
    case: Case, held: Runs, change: Callable[[Runs], Runs] = lambda held: held
) -> Iterator[Part]:
    """Random filtering against Hal in the last generation that both have."""
    found = change(held)
    k, random, hal = found.last()
    yield compare_order(f"generation {k}: random above Hal", random.rate, hal.rate)
    yield from told(found)
    yield lambda: _table(found)


def _table(found: Runs) -> Table:
    rows: list[list[Any]] = []
    for run in found.runs:
        for k, g in enumerate(run.generations, 1):
            dropped = (~g.kept & g.repeated).sum() / max(int(g.repeated.sum()), 1)
            right = (g.kept & ~g.repeated).sum() / max(int((~g.repeated).sum()), 1)
            ends = g.rate.rate, *g.rate.interval()
            rows.append([run.filter, k, len(g.hal), *ends, float(dropped), float(right)])
    columns = (
        *("filter", "generation", "images", "shape repeated", "from", "to"),
        *("repeated ones dropped", "others kept"),
    )
    return Table("Generations, with 95 % intervals", columns, rows)


CLAIM.must_fail(filters, "filters swapped", change=Runs.swapped)
