r"""Training on own digits, with Hal and at random.

Statement: Of three generations of class-conditional U-Nets with classifier-free guidance, each
    trained on digits of the one before, real ones first, the last is nearer to real digits by FID
    where a tenth of each class, those of largest Hal, is dropped before every training than where
    as many are dropped at random.
Hypotheses: none; the digits are scikit-learn's, 8 x 8, in place of MNIST's.
Measured: FID of the last generation, in the features of a small classifier trained on real digits,
    after random filtering.
Predicted: above that after filtering by Hal.
Evidence: learned; decided only where the two lie five standard errors apart, by resampling: of
    these chains, one of each.
Source: arXiv 2406.09358 v2, section 6
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import NotApplicable, Part
from verify.ledger.standard import on_standard
from verify.ledger.verdict import Table
from verify.measure.images.counts import OWN_PROBLEMS, drawn
from verify.measure.images.generations import (
    Runs,
    compare_values,
    samples_needed,
    told,
    under_both,
)
from verify.measure.images.quality import (
    COLUMNS,
    classifier,
    of_normal_laws,
    of_real_halves,
    quality,
    rows_of,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="M8 (3)",
    short="retraining on digits",
    rests_on={"M7": "the filter, on real images"},
    does_not_show=(
        "What another chain does. That FID in the features of a small classifier ranks digits as "
        "an eye does, or of finite samples without bias: the table has real digits against real "
        "ones. What Hal drops of digits: no digit is known to be impossible."
    ),
)


def measured(case: Case) -> Runs | NotApplicable:
    """The saved recursions."""
    return under_both("digits", "an hour of a core")


@CLAIM.learned(unit="digits", of=on_standard(measured, OWN_PROBLEMS))
def filters(
    case: Case, held: Runs, change: Callable[[Runs], Runs] = lambda held: held
) -> Iterator[Part]:
    """Random filtering against Hal in the last generation that both have."""
    found = change(held)
    k, random, hal = found.last()
    one, other = random.quality, hal.quality
    error = math.hypot(one.fid_error, other.fid_error)
    name = f"FID of generation {k}: random above Hal"
    order = compare_values(name, one.fid, other.fid, error, one.n)
    yield order
    yield samples_needed(order, error)
    yield {"accuracy of the classifier on unseen real digits": classifier().accuracy.rate}
    yield from told(found)
    yield lambda: _table(case, found)


def _table(case: Case, found: Runs) -> Table:
    rows: list[list[Any]] = [["half of the real ones", "", *of_real_halves().cells()]]
    laws = of_normal_laws(1_500, case.stream("digits of normal laws"))
    rows.append(["ten normal laws, full covariance", "", *laws.cells()])
    for one in drawn(case, "digits"):
        rows.append([one.network, 1, *quality(rows_of(one.pixels), one.labels).cells()])
    for run in found.runs:
        rows += [[run.filter, k, *g.quality.cells()] for k, g in enumerate(run.generations, 1)]
    caption = "Digits against real ones, 95 % intervals; FID of finite samples is too large"
    return Table(caption, ("filter", "generation", *COLUMNS), rows)


CLAIM.must_fail(filters, "filters swapped", change=Runs.swapped)
