"""A schedule of one step leaves little to check, but breaks no check."""

from __future__ import annotations

import pytest

from mixdyn import GaussianMixture, NoiseSchedule
from verify.ledger import registry
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.runner import run_claim

CASE = Case(
    "one step",
    GaussianMixture([[0.0], [1.0], [3.0]], 0.05, [0.5, 0.3, 0.2]),
    NoiseSchedule.from_betas([0.9]),
)


@pytest.mark.parametrize("entry", registry.load_claims(), ids=lambda entry: entry.claim.id)
def test_no_check_breaks_on_a_single_step(entry):
    verdicts = run_claim(entry, CASE)
    assert verdicts
    assert all(v.verdict is not Outcome.ERROR for v in verdicts), [v.note for v in verdicts]
