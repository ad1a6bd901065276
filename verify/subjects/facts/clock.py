r"""Every call is made at the level that it states.

Statement: On data at one point $m$ the state that is handed to the model at level $(a_k, b_k)$ of
    the library's own table has the law $N(a_k m, b_k^2)$: its noise over its signal is that of the
    level, to 1 %.
Hypotheses: none.
Measured: mean and spread of the state at each of 50 steps, from the sampler's matrices.
Predicted: $|\log(true/asked)|$ at most 0.01.
Evidence: exact.
Source: {source}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from mixdyn.affine.plan import Plan
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance

from ..subject import Subject

PLACE, NAME = 0, "clock"
_ALLOWED = 0.01


def register(claim: Claim, subject: Subject) -> None:
    """The row and its control; none of what is told the level by the one who calls it."""
    if not subject.levels:
        return

    @claim.exact(unit="calls", of=subject.plans)
    def clock(case: Case, plans: list[Plan], moved: float = 0.0) -> Iterator[Part]:
        """Levels of the calls. moved: log of the factor by which the last one is moved."""
        plan = plans[0]
        noise_var = plan.noise_var.copy()
        noise_var[-2] *= np.exp(2.0 * moved)
        found = dataclasses.replace(plan, noise_var=noise_var).clock()
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.abs(np.log(found.true / found.asked))[:-1]
        noisy = np.isfinite(found.asked[:-1]) & (found.asked[:-1] > 0.0)
        yield Side(
            "|log of true over asked noise|",
            np.where(noisy, off, 0.0),
            at_most=_ALLOWED,
            tolerance=Tolerance(atol=1e-5),
            among=noisy,
            where={
                "call": np.arange(1, plan.calls + 1),
                "asked": found.asked[:-1],
                "true": found.true[:-1],
                "reproduced by": subject.command(),
            },
        )

    claim.must_fail_narrowly(clock, "its last level moved by {}", 0.5, moved=lambda s: s)
