r"""What the exact score of images draws, and where a network must differ.

Statement: By the score of the training images themselves, point masses, DDIM with 50 steps draws
    copies: every image is one of theirs, and none has a wrong count. A network that draws wrong
    counts is therefore not this score; it differs where noise is so small that the score sees one
    image alone: at every level at which a training image comes back with probability 1/2 or more
    the network predicts fresh images better than the score, whose error there is that of another
    image.
Hypotheses: none; the images are of three triangles, 32 x 32.
Measured: the distance of images drawn by the engine's score to the nearest of the set, root mean
    square over pixels. On trained networks: the squared error of $\hat x_0$ on images that neither
    has seen, by level of noise, the score's less the network's.
Predicted: a distance of at most 0.01, half a hundredth of the range of a pixel; an error of the
    score above the network's by five standard errors.
Evidence: sampled; learned, by pairs on common noise.
Source: our result, on images of arXiv 2605.06831 v1, F.2; X15 says at which noise
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Facts, NotApplicable, Part, Side, Tolerance
from verify.ledger.standard import on_standard
from verify.ledger.verdict import Table
from verify.measure.images.counts import OWN_PROBLEMS
from verify.measure.images.empirical import (
    TRAINED,
    Errors,
    copies,
    longest_trained,
    prediction_errors,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="X23",
    short="images: copies",
    rests_on={"X15": "memorisation, on images"},
    does_not_show=(
        "Why a network errs as it does, or that one of another size would. That wrong counts are "
        "made at these levels: E.10 says when counts are decided."
    ),
)

_NEAR, _ERRORS = 0.01, 5.0


@CLAIM.sampled(unit="images", of=on_standard(copies, OWN_PROBLEMS))
def memorises(
    case: Case, found: dict[str, Any], moved: float = 0.0, spoilt: int = 0
) -> Iterator[Part]:
    """Copies and their counts. moved: added to every distance; spoilt: images counted wrong."""
    away = found["away"] + moved
    tolerance = Tolerance(atol=1e-12)
    yield Side("distance to the nearest training image", away, at_most=_NEAR, tolerance=tolerance)
    wrong = int(found["wrong"].sum()) + spoilt
    yield Side("wrong counts", float(wrong), at_most=0.0, tolerance=Tolerance(atol=0.5))
    yield Facts(witness=lambda _: {"seed": case.stream("copies of images")})


Networks = Sequence[tuple[str, Errors]]


def networks(case: Case) -> Networks | NotApplicable:
    """The longest-trained network of triangles of each seed, with its errors."""
    names = longest_trained()
    if not names:
        return NotApplicable("Not run: no network of triangles is shipped.")
    return [(name, prediction_errors(case, name)) for name in names]


@CLAIM.learned(unit="levels", of=on_standard(networks, OWN_PROBLEMS))
def interpolates(
    case: Case,
    found: Networks,
    change: Callable[[Errors], Errors] = lambda errors: errors,
) -> Iterator[Part]:
    """The score's error on fresh images against the network's, where it sees one image alone."""
    changed = [(name, change(errors)) for name, errors in found]
    for name, errors in changed:
        yield Side(
            f"error of the score less that of {name}, in standard errors",
            errors.gap / errors.gap_error,
            at_least=_ERRORS,
            tolerance=Tolerance(atol=1e-9),
            among=errors.own >= 0.5,
            where={"rho": errors.rho},
        )
    yield {f"rho at which half come back, {name}": errors.half for name, errors in changed[:1]}
    yield Facts(model=", ".join(name for name, _ in changed))
    yield lambda: [_table(name, errors) for name, errors in changed]


def _table(name: str, errors: Errors) -> Table:
    columns = (
        *("rho", "a training image comes back", "score, training images", "score, fresh"),
        *(f"{name}, training images", f"{name}, fresh"),
    )
    parts = (
        *(errors.rho, errors.own, errors.score_seen, errors.score_fresh),
        *(errors.network_seen, errors.network_fresh),
    )
    caption = f"Squared error of x0_hat a pixel; the score is of {TRAINED:,} images"
    return Table(caption, columns, np.column_stack(parts).tolist())


def _scaled(factor: float) -> Callable[[Errors], Errors]:
    return lambda errors: replace(errors, gap=factor * errors.gap)


CLAIM.must_fail_narrowly(memorises, "{} beside the nearest image", 1.0, moved=lambda s: s)
CLAIM.must_fail(memorises, "one wrong count", spoilt=1)
CLAIM.must_fail(interpolates, "network and score exchanged", change=_scaled(-1.0))
CLAIM.must_fail_narrowly(
    interpolates, "(1 - {}) of the difference", 1.0, change=lambda s: _scaled(1.0 - s)
)
