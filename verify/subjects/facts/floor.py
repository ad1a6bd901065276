r"""More steps make it better: its error has no floor.

Statement: From 50 to 200 steps the error of the spread of Gaussian data of standard deviation 0.2
    falls to less than half, or is below 0.1 % at 200.
Hypotheses: none.
Measured: the spread of the end over that of the exact flow to its last level, less 1, at 50 and at
    200 steps, from the sampler's matrices and the data's law at its first level.
Predicted: the later error at most half of the earlier, or 0.001.
Evidence: exact.
Source: {source}
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mixdyn.affine.gaussian import convergence
from mixdyn.affine.plan import Plan
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance

from ..subject import MORE_STEPS, STD, Subject

PLACE, NAME = 1, "floor"
_SMALL = 1e-3


def register(claim: Claim, subject: Subject) -> None:
    """The row and its control."""

    @claim.exact(unit="samplers", of=subject.plans)
    def floor(case: Case, plans: list[Plan], left: float = 0.0) -> Iterator[Part]:
        """The later error. left: an error that stays in both."""
        few, _, many = np.abs(convergence(plans, [STD]).error[:, 0]) + left
        yield Side(
            "error of the spread at 200 steps",
            many,
            at_most=max(0.5 * few, _SMALL),
            tolerance=Tolerance(atol=1e-6),
            where={"at 50 steps": few, "reproduced by": subject.command(MORE_STEPS)},
        )

    claim.must_fail_narrowly(floor, "{} of the spread left for good", 1.0, left=lambda s: s)
