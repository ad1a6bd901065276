r"""Its error falls with the order that its makers state.

Statement: On its own grid, from 50 to 200 steps, the error of the spread of Gaussian data of
    standard deviation 0.2 falls as evaluations to the power of minus the order stated.
Hypotheses: none.
Measured: the order nearest to it of two: the slope of the error's logarithm in that of the
    evaluations, and the power in error = floor + C evaluations^-p through 50, 100 and 200 steps;
    the error is that of the exact flow's spread, from the sampler's matrices and the data's law at
    its first level.
Predicted: the order stated, at least half-way from the next lower one.
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

PLACE, NAME = 2, "order"
_LESS = 0.5


def register(claim: Claim, subject: Subject) -> None:
    """The row and its control; none where no order is stated."""
    order = subject.order
    if order is None:
        return

    @claim.exact(unit="samplers", of=subject.plans)
    def slope(case: Case, plans: list[Plan], more: float = 0.0) -> Iterator[Part]:
        """The slope against the order. more: by which that is too high."""
        found = convergence(plans, [STD])
        few, _, many = np.abs(found.error[:, 0])
        slope = np.log(few / many) / np.log(found.calls[-1] / found.calls[0])
        yield Side(
            "order on its own grid",
            np.fmax(slope, found.order[0]),
            at_least=order + more - _LESS,
            tolerance=Tolerance(atol=0.01),
            where={
                "stated": order,
                "slope": slope,
                "order above a floor": found.order[0],
                "floor": found.floor[0],
                "reproduced by": subject.command(MORE_STEPS),
            },
        )

    claim.must_fail_narrowly(slope, "an order {} higher", 10.0, more=lambda s: s)
