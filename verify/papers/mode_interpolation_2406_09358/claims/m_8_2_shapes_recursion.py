r"""Training on own images of shapes, with and without Hal.

Statement: Of three generations of U-Nets, each trained on images of the one before, SIMPLE SHAPES
    first, the last repeats shapes less often where a tenth of the images, those of largest Hal, is
    dropped before every training than where as many are dropped at random.
Hypotheses: none; 24 x 24 images, small networks and a short recipe, the same for all generations.
Measured: the share of images that repeat a shape in the last generation, after random filtering.
Predicted: above that after filtering by Hal.
Evidence: learned; decided only where the Clopper-Pearson intervals of the two shares, each missing
    with probability 1e-6, lie apart: of these chains, one of each.
Source: arXiv 2406.09358 v1, section 6
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Facts, NotApplicable, Part
from verify.ledger.standard import on_standard
from verify.ledger.verdict import Origin, Table
from verify.measure.images.generations import Runs, saved_runs, shared
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
    """The saved recursions, with at least two generations under both filters."""
    held = saved_runs("shapes")
    if held is None or shared([held.of("random"), held.of("hal")]) < 2:
        return NotApplicable(
            "Not run: `python -m verify.measure.images.recursing shapes` takes hours of a core."
        )
    if None in (held.of("random"), held.of("hal")):
        return NotApplicable("Not run yet under both filters; it goes on where it stopped.")
    return held


@CLAIM.learned(
    unit="images", of=on_standard(measured, "The images are a problem of their own: see standard.")
)
def filters(
    case: Case, held: Runs, change: Callable[[Runs], Runs] = lambda held: held
) -> Iterator[Part]:
    """Random filtering against Hal in the last generation that both have."""
    found = change(held)
    random, hal = found.of("random"), found.of("hal")
    if random is None or hal is None:
        yield NotApplicable("A filter is missing.")
        return
    last = shared([random, hal]) - 1
    name = f"generation {last + 1}: random above Hal"
    yield compare_order(name, random.generations[last].rate, hal.generations[last].rate)
    yield Facts(
        model="three generations of U-Nets",
        witness=lambda _: {"command": found.about["command"]},
        seed=hal.seed,
        origin=Origin.STORED,
    )
    yield found.in_words()
    if last < 2:
        yield "Not run: the third generation."
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


CLAIM.must_fail(
    filters, "filters swapped", change=lambda held: held.renamed({"hal": "random", "random": "hal"})
)
