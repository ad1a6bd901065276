"""Every claim of the ledger on one small problem: it can fail, narrowly, where it applies; and a
schedule of one step leaves little to check, but breaks no check."""

import dataclasses

import pytest

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from verify.ledger import registry
from verify.ledger.case import Case
from verify.ledger.relations import Outcome
from verify.ledger.verdict import NARROW, Basis

CLAIMS = [entry.claim for entry in registry.load_claims()]
IDS = [claim.id for claim in CLAIMS]
# X11 takes most of a minute on any problem; tests/claims/test_insurance_rows.py has its rows.
QUICK = [claim_id for claim_id in IDS if claim_id != "X11"]
LEARNED = [claim.id for claim in CLAIMS if Basis.LEARNED in claim.basis and claim.id in QUICK]
CORNERS = Case(
    "user",
    GaussianMixture([[x, y] for x in (-1.0, 0.9) for y in (-0.8, 0.7)], 0.09, [0.25] * 4),
    NoiseSchedule.linear(60, 1e-3, 0.3),
)
ONE_STEP = Case(
    "one step",
    GaussianMixture([[0.0], [1.0], [3.0]], 0.05, [0.5, 0.3, 0.2]),
    NoiseSchedule.from_betas([0.9]),
)


@pytest.mark.slow
@pytest.mark.parametrize("claim_id", IDS)
def test_no_check_breaks_on_a_single_step(ledger, claim_id):
    rows = ledger.rows(claim_id, ONE_STEP).values()
    assert rows
    assert all(row.verdict is not Outcome.ERROR for row in rows), [row.note for row in rows]


@pytest.mark.parametrize("claim_id", QUICK)
def test_a_row_that_holds_rejects_a_narrow_mutant_or_says_why_it_has_none(ledger, claim_id):
    for row in ledger.rows(claim_id, CORNERS).values():
        assert row.verdict is not Outcome.ERROR, row.note
        if row.verdict is Outcome.HOLDS:
            caught = [m for m in row.mutants if m.caught]
            assert caught, f"{row.basis}: no mutant fails"
            reason = ledger.entries[claim_id].claim.no_narrow_control.get(row.basis)
            assert reason or any(1.0 < m.excess <= NARROW for m in caught), row.controls


@pytest.mark.parametrize("claim_id", QUICK)
def test_a_row_applies_on_no_larger_a_share_than_any_of_its_hypotheses(ledger, claim_id):
    for row in ledger.rows(claim_id, CORNERS).values():
        least = min((h.held_share for h in row.hypotheses), default=1.0)
        assert row.applicable_share is None or row.applicable_share <= least + 1e-12, (
            row.basis,
            {h.name: h.held_share for h in row.hypotheses},
        )


@pytest.mark.parametrize("claim_id", QUICK)
def test_only_a_row_that_measured_something_speaks_of_its_controls(ledger, claim_id):
    for row in ledger.rows(claim_id, CORNERS).values():
        assert row.measured is not None or row.controls is None, row.controls


@pytest.mark.parametrize("claim_id", LEARNED)
def test_a_problem_without_networks_has_a_row_that_says_so_and_a_drawn_one_none(ledger, claim_id):
    row = ledger.rows(claim_id, CORNERS)[Basis.LEARNED]
    assert row.verdict is Outcome.NOT_APPLICABLE
    assert row.note
    drawn = ledger.rows(claim_id, dataclasses.replace(ONE_STEP, random=True), controls=False)
    assert Basis.LEARNED not in drawn
