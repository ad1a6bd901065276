r"""Guidance to a class between others.

Statement: On a line, whatever the class and the weight, every end point is monotone in the weight,
    and DDIM with the papers' 50 steps ends in the class, as the flow does.
Hypotheses:
    - common_sigma: all modes share one sigma.
Measured: towards the second mode of the line, or of the axis with most modes: how far the flow's
    end moves back as the weight grows from 0 to 15, over $\sigma$; how far from the class DDIM ends
    with weights up to 127, over the class's radius; at 33 starts.
Predicted: not at all; within it.
Evidence: sampled starts, the flow by the closed route, DDIM by the engine. The flow's drift
    $w(\mu_c - m)$ turns where $m = \mu_c$, a place that moves; and a step of DDIM from $\rho_t$ to
    $\rho_s$ multiplies an offset from that place by $r + (1-r)(\sigma^2/v - w(\rho/v)\,
    \mathrm{Var}_\gamma/v)$, $r = \sqrt{\rho_s/\rho_t}$, which large weights take below $-1$.
Source: theory of our own against arXiv 2403.01639 v1, three aligned modes; a class at the end of
    the line has neither fault (X17)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mixdyn.geometry.classes import radius_in_stds
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Table
from verify.measure.guidance import LADDER, line_with_middle, middle_ends
from verify.measure.paths import DDIM_STEPS

CLAIM = Claim.from_docstring(
    __doc__,
    id="X17'",
    short="a class between others",
    rests_on={"X17": "the flow"},
    needs=(
        modes(3),
        one_sigma.because("it is of lines that a mixture holds, and of ends in units of one width"),
    ),
    no_narrow_control={
        Basis.SAMPLED: "on a symmetric line the flow keeps to its side, and DDIM throws ends "
        "thousands of sigma at once: nothing fails by little"
    },
    does_not_show=(
        "From which weight on a given sampler leaves the class (its narrow control says from which "
        "on one of the two fails here): the factor of a step is that next "
        "to the place where the drift turns, and ends grow over several steps. It shows that "
        "there is one."
    ),
)


@CLAIM.sampled(unit="starts")
def between(case: Case, steps: int = DDIM_STEPS, most: float = LADDER[-1]) -> Iterator[Part]:
    """The flow's ends as the weight grows, and DDIM's distance from the class. most: the largest
    weight, of which the others are shares."""
    if line_with_middle(case.mixture) is None:
        yield NotApplicable("No three modes stand on one line that is an axis of the mixture.")
        return
    try:
        seen = middle_ends(case, steps, most)
    except NotApplicableError as fault:
        yield NotApplicable(str(fault))
        return
    start, weights = seen["start"], seen["weights"]
    yield Side(
        "the flow's end moves back as w grows, over σ",
        moved_back(seen["flow"]),
        at_most=0.0,
        tolerance=Tolerance(atol=1e-6),
        where=lambda k: {"start": float(start[k]), "ends": seen["flow"][:, k].tolist()},
    )
    yield Side(
        f"distance of DDIM-{seen['steps']} from the class over its radius",
        np.abs(seen["ddim"]) / radius_in_stds(1),
        at_most=1.0,
        tolerance=Tolerance(rtol=1e-9),
        where={"start": start, "w": weights[:, None]},
    )
    yield lambda: _table(seen["ddim"], weights, int(seen["steps"]))


def moved_back(ends: Array) -> Array:
    """The least of the largest rise and the largest fall of ends (W, n) with their weight, (n,): 0
    where each only rises or only falls."""
    change = np.diff(ends, axis=0)
    return np.asarray(np.minimum(change.max(axis=0), -change.min(axis=0)).clip(min=0.0))


def _table(ends: Array, weights: Array, steps: int) -> Table:
    away = np.abs(ends)
    rows = [
        (float(w), float(np.median(row)), float(row.max()), float((row > radius_in_stds(1)).mean()))
        for w, row in zip(weights, away, strict=True)
    ]
    return Table(
        f"DDIM-{steps} towards a class between others: distance from it in σ",
        ("w", "median", "largest", "share beyond the radius"),
        rows,
    )


CLAIM.must_fail(between, "with ten steps", steps=10)
CLAIM.must_fail_narrowly(between, "weights up to {}", LADDER[-1], most=lambda s: s)
