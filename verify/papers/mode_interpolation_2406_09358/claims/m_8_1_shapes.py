r"""Hal on images of simple shapes.

Statement: A U-Net trained on SIMPLE SHAPES, on which no shape comes twice, draws images with a
    shape repeated; and a level of $\mathrm{Hal}$, the variance of $\hat x_0$ over the times 850 to
    700 of 1000, that keeps 95 % of the other images removes 95 % of these.
Hypotheses: none; the images are the paper's, at 32 x 32 in place of 64 x 64.
Measured: the share of images that repeat a shape, by connected parts compared with every shape, and
    of these the share above the level. Images are drawn by 250 ancestral steps on a uniform grid,
    as published.
Predicted: at least 95 % removed.
Evidence: learned; the network's images are counted. The level is that of the other images: holds
    only if at the highest level that may keep 95 % of all of them, fails only if at the lowest,
    the share removed is beyond doubt on its side, each with probability 1e-6 of an error. It was
    looked at twice: after 320 images, where it failed already, and after 512, to which 1,024
    planned ones were cut for that.
Source: arXiv 2406.09358 v2, section 5
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.relations import Comparison
from verify.ledger.sides import Facts, NotApplicable, Part
from verify.ledger.standard import on_standard
from verify.ledger.verdict import Origin, Table
from verify.measure.images.counts import OWN_PROBLEMS, Drawn, drawn, in_words
from verify.measure.images.generations import operating_levels, removed_at
from verify.measure.images.sampling import WINDOWS
from verify.measure.interpolation.separation import area, removed_between

CLAIM = Claim.from_docstring(
    __doc__,
    id="M8 (1)",
    short="Hal on shapes",
    rests_on={"M5": "Hal, on images"},
    does_not_show=(
        "What another network does, or one trained as long as the paper's: there is one, small and "
        "of 6,000 steps. That Hal finds images whose shapes are ill drawn and not "
        "repeated: they count among the others."
    ),
)

KEPT = REMOVED = 0.95
WAY = "ancestral-250"
_FEWEST = 5  # hallucinations, below which a share of them says nothing


def measured(case: Case) -> Drawn | NotApplicable:
    """The images of the network for shapes."""
    found = [one for one in drawn(case, "shapes") if one.sampler == WAY]
    if not found:
        return NotApplicable("Not run: no images of shapes were drawn yet.")
    if found[0].rate.successes < _FEWEST:
        return NotApplicable(
            f"{found[0].rate.successes} of {found[0].n} images repeat a shape: too few to say what "
            "share of them a level removes."
        )
    return found[0]


@CLAIM.learned(unit="images", of=on_standard(measured, OWN_PROBLEMS))
def detector(
    case: Case, images: Drawn, change: Callable[[Drawn], Drawn] = lambda images: images
) -> Iterator[Part]:
    """The share removed where 95 % of the others are kept."""
    found = change(images)
    yield _decided(found)
    yield {
        "share of images that repeat a shape": found.rate.rate,
        "95 % from": found.rate.interval()[0],
        "to": found.rate.interval()[1],
    }
    yield Facts(
        model=found.network,
        witness=lambda _: {"command": found.about["command"]},
        seed=found.seed,
        origin=None if found.drawn_again else Origin.STORED,
    )
    yield in_words([found])
    yield lambda: [_windows(found), _samplers(drawn(case, "shapes"))]


def _decided(found: Drawn) -> Comparison:
    wrong, right = found.hal[found.wrong, 0], found.hal[~found.wrong, 0]
    shown, low, high = operating_levels(right, KEPT)
    removed = [removed_at(wrong, level) for level in (low, high, shown)]
    return removed_between("share removed where 95 % are kept", removed, REMOVED)


def _windows(found: Drawn) -> Table:
    """AUC and operating points by window of times; the published one is the first."""
    rows: list[list[Any]] = []
    for k, (high, low) in enumerate(WINDOWS["shapes"]):
        wrong, right = found.hal[found.wrong, k], found.hal[~found.wrong, k]
        if min(wrong.min(), right.min()) < 0.0:
            continue  # the grid has fewer than two nodes there
        removed = removed_at(wrong, operating_levels(right, KEPT)[0])
        rows.append([f"{high} to {low}", *area(wrong, right), removed.rate, *removed.interval()])
    columns = ("times", "AUC", "standard error", "removed where 95 % are kept", "from", "to")
    return Table("Hal over windows of times, 95 % intervals", columns, rows)


def _samplers(found: Sequence[Drawn]) -> Table:
    rows: list[list[Any]] = []
    for one in found:
        ends = one.rate.interval()
        parts = one.counts.sum(axis=1)
        rows.append(
            [one.sampler, one.n, one.rate.rate, *ends, float(one.odd.mean()), *_share(parts)]
        )
    columns = (
        *("sampler", "images", "shape repeated", "from", "to", "with an odd part"),
        *(f"{k} shapes" for k in range(5)),
    )
    return Table("What the network draws; of real images one in eight is empty", columns, rows)


def _share(parts: Any) -> list[float]:
    return [float(np.mean(parts == k)) for k in range(5)]


def _blind(found: Drawn) -> Drawn:
    """Hal in an order that knows nothing of the images."""
    return replace(found, hal=np.random.default_rng(0).permutation(found.hal))


CLAIM.must_fail(detector, "Hal of other images", change=_blind)
CLAIM.must_fail(
    detector,
    "the smallest Hal in place of the largest",
    change=lambda found: replace(found, hal=-found.hal),
)
