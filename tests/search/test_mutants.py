"""The adversary against a claim of the ledger: its mutants fall, the claim itself does not."""

from __future__ import annotations

import dataclasses

import pytest

from verify.ledger import registry
from verify.search.adversary import Limits, search
from verify.search.trial import Kind

LIMITS = Limits(problems=120, explore_seconds=60.0, shrink_seconds=30.0)


def entry_of(claim_id):
    (entry,) = registry.select(registry.load_claims(), [claim_id])
    return entry


def mutant_of(entry, name):
    """The claim with one of its mutants in place of its check."""
    return dataclasses.replace(entry, check=lambda case: entry.mutants(case)[name])


@pytest.mark.parametrize(
    ("claim_id", "mutant", "comparison"),
    [
        ("D.1", "e^(-3κ) in place of e^(-2κ)", "γ_far/γ_near"),
        ("D.1", "sides in place of diagonals", "rectangle identity"),
    ],
)
def test_a_mutant_of_the_ledger_falls_to_the_adversary(claim_id, mutant, comparison, tmp_path):
    entry = entry_of(claim_id)
    result = search(mutant_of(entry, mutant), 0, LIMITS, tmp_path)
    found = result.found(Kind.VIOLATION)
    assert found is not None
    assert found.confirmed
    assert found.call.excess > 10.0
    assert found.call.problem.mixture.N == 4
    assert comparison in found.call.label


def test_the_claim_itself_survives_where_its_mutant_fell(tmp_path):
    result = search(entry_of("D.1"), 0, LIMITS, tmp_path)
    assert result.tally.applied > 10
    assert [w.call.kind for w in result.witnesses] == [Kind.CLOSEST]
    assert result.witnesses[0].call.excess <= 1.0
