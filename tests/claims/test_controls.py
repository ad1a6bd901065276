"""Every claim of the ledger on one small problem: it can fail, narrowly, where it applies."""

import pytest

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from verify.ledger import registry, runner
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import NARROW

# X11 takes most of a minute on any problem; tests/claims/test_insurance_rows.py has its rows.
ENTRIES = {e.claim.id: e for e in registry.load_claims() if e.claim.id != "X11"}


@pytest.fixture(scope="module")
def rows():
    """The rows of a claim on four modes at the corners of a rectangle, run once."""
    corners = [[x, y] for x in (-1.0, 0.9) for y in (-0.8, 0.7)]
    mixture = GaussianMixture(corners, 0.09, [0.25] * 4)
    case = Case("user", mixture, NoiseSchedule.linear(60, 1e-3, 0.3))
    found = {}

    def run(claim_id):
        if claim_id not in found:
            found[claim_id] = runner.run_claim(ENTRIES[claim_id], case)
        return found[claim_id]

    return run


@pytest.mark.parametrize("claim_id", ENTRIES)
def test_a_row_that_holds_rejects_a_narrow_mutant_or_says_why_it_has_none(rows, claim_id):
    for row in rows(claim_id):
        assert row.verdict is not Outcome.ERROR, row.note
        if row.verdict is Outcome.HOLDS:
            caught = [m for m in row.mutants if m.caught]
            assert caught, f"{row.basis}: no mutant fails"
            reason = ENTRIES[claim_id].claim.no_narrow_control.get(row.basis)
            assert reason or any(1.0 < m.excess <= NARROW for m in caught), row.controls


@pytest.mark.parametrize("claim_id", ENTRIES)
def test_a_row_applies_on_no_larger_a_share_than_any_of_its_hypotheses(rows, claim_id):
    for row in rows(claim_id):
        least = min((h.held_share for h in row.hypotheses), default=1.0)
        assert row.applicable_share is None or row.applicable_share <= least + 1e-12, (
            row.basis,
            {h.name: h.held_share for h in row.hypotheses},
        )


@pytest.mark.parametrize("claim_id", ENTRIES)
def test_only_a_row_that_measured_something_speaks_of_its_controls(rows, claim_id):
    for row in rows(claim_id):
        assert row.measured is not None or row.controls is None, row.controls
