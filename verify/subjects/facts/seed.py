r"""A seed names the sample.

Statement: Two runs from one start with one seed, handed over as the library takes it, end at the
    same point, whatever the state of other generators; so do two runs on the same normals.
Hypotheses: none.
Measured: whether the library's own two runs differ (1 or 0), and the largest difference of two runs
    on normals that are handed over.
Predicted: 0.
Evidence: exact: ten steps from one start each, equal to 1e-8, below a rounding of single precision.
Source: {source}
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side, Tolerance

from ..subject import Subject

PLACE, NAME = 3, "seed"
_STEPS = 10
_START = np.linspace(-1.0, 1.0, 8).reshape(4, 2)


def register(claim: Claim, subject: Subject) -> None:
    """The row and its control."""

    def repeats(case: Case) -> bool:
        return subject.driver(_STEPS).repeats()

    @claim.exact(unit="runs", of=repeats)
    def seed(case: Case, repeats: bool, hidden: float = 0.0) -> Iterator[Part]:
        """Two pairs of runs. hidden: what an unseeded source adds to the start of the last."""
        yield Side(
            "runs that differ on one seed",
            float(not repeats),
            equals=0.0,
            tolerance=Tolerance(atol=0.5),
            where={"reproduced by": subject.command(_STEPS)},
        )
        first = case.memo(f"{subject.name}, run", lambda: _run(subject, case, 0.0))
        yield Side(
            "difference of ends on the same normals",
            np.abs(_run(subject, case, hidden) - first),
            equals=0.0,
            tolerance=Tolerance(atol=1e-8),
            where={"start": _START, "reproduced by": subject.command(_STEPS)},
        )

    claim.must_fail_narrowly(seed, "{} of hidden noise", 1.0, hidden=lambda s: s)


def _run(subject: Subject, case: Case, hidden: float) -> Array:
    rng = case.rng("seed")

    def draw(shape: tuple[int, ...], time: int | None = None) -> Array:
        return np.asarray(rng.standard_normal(shape))

    return subject.driver(_STEPS).run(_START + hidden, lambda x, at: 0.5 * x, draw)
