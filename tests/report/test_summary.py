"""A summary counts every row once and names the case on which the room was least."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from mixdyn.support.numbers import dump_json
from tests import toys
from verify.ledger import cases
from verify.ledger.relations import Equality, Outcome, Upper, compare
from verify.ledger.verdict import Basis, Finding, Hypothesis, NegativeControl
from verify.report.summary import COLUMNS, print_summary, summarise, to_markdown

DOC = toys.doc(Statement="Something | is small.", Hypotheses="- given: some hypothesis.")
CLAIM = toys.claim("G.3", DOC, basis=(Basis.SAMPLED,))


def row(k: int, measured: float | None, share: float = 1.0, nonvacuous: float = 1.0, mutants=()):
    """A row on random problem k: measured <= 1 with tolerance 0.1, and an equality beside it."""
    case = cases.random(k)
    comparisons = []
    if measured is not None:
        comparisons = [
            compare("size", Upper(atol=0.1), np.array([0.0, measured]), 1.0),
            compare("identity", Equality(atol=1.0), 0.25, 0.0),
        ]
    finding = Finding(
        comparisons=comparisons,
        hypotheses=[Hypothesis("given", share)],
        nonvacuous_share=nonvacuous,
        witness=lambda comparison: {"place": comparison.index},
    )
    found = CLAIM.judge(case, finding).as_row()
    found["mutants"] = [vars(m) for m in mutants]
    return found


def broken(k: int):
    return CLAIM.broken(cases.random(k), "no luck").as_row()


ROWS = [row(1, 0.5), row(2, 0.9, 0.5, 0.25), row(3, None, 0.0), row(4, 1.7), row(5, 0.2, 1.0, 0.0)]


def test_every_row_is_counted_under_its_verdict():
    (line,) = summarise([*ROWS, broken(6)]).lines
    assert line.verdicts == {
        "holds": 2,
        "fails": 1,
        "vacuous": 1,
        "not applicable": 1,
        "error": 1,
    }
    assert (line.cases, line.applicable, line.nonvacuous) == (6, 4, 3)
    assert sum(line.verdicts.values()) == line.cases


def test_the_worst_case_is_named_with_its_excess_slack_and_tightness():
    (line,) = summarise(ROWS).lines
    assert (line.excess.case, line.excess.comparison) == ("random-4", "size")
    assert line.excess.value == pytest.approx(7.0, rel=1e-12)
    assert (line.relative_slack.case, line.relative_slack.comparison) == ("random-4", "size")
    assert line.relative_slack.value == pytest.approx(-0.7 / 1.7, rel=1e-12)
    assert (line.tightness.case, line.tightness.value) == ("random-4", 1.7)


def test_a_failing_identity_outweighs_a_loose_inequality():
    (line,) = summarise(ROWS[:2]).lines
    assert (line.excess.comparison, line.excess.value) == ("identity", 0.25)
    assert (line.relative_slack.case, line.relative_slack.value) == (
        "random-2",
        pytest.approx(0.1, rel=1e-12),
    )


def test_shares_are_least_and_mean_over_the_cases_that_apply():
    (line,) = summarise(ROWS).lines
    assert line.applicable_share == (0.5, 0.875)
    assert line.nonvacuous_share == (0.0, pytest.approx((1.0 + 0.25 + 1.0 + 0.0) / 4, rel=1e-15))


def test_what_never_applies_has_no_extremes():
    (line,) = summarise([row(1, None, 0.0), row(2, None, 0.0)]).lines
    assert (line.applicable, line.nonvacuous) == (0, 0)
    assert line.excess is line.relative_slack is line.tightness is line.applicable_share is None


def test_a_mutant_that_holds_is_counted_as_a_case_without_power():
    passed = NegativeControl("mutant", Outcome.HOLDS)
    caught = NegativeControl("other", Outcome.FAILS)
    (line,) = summarise(
        [row(1, 0.5, mutants=(passed, caught)), row(2, 0.5, mutants=(caught,))]
    ).lines
    assert line.powerless == 1


def test_kinds_of_evidence_and_claims_are_kept_apart_in_their_order():
    rows = [*ROWS[:1], {**ROWS[0], "basis": "exact"}, {**ROWS[1], "id": "X2"}]
    summary = summarise(rows)
    assert [(line.id, line.basis) for line in summary.lines] == [
        ("G.3", "sampled"),
        ("G.3", "exact"),
        ("X2", "sampled"),
    ]
    assert summary.cases == ("random-1", "random-2")


def test_derivations_are_left_out():
    summary = summarise([ROWS[0], {**ROWS[0], "basis": "derived", "verdict": "fails"}])
    assert [line.basis for line in summary.lines] == ["sampled"]


def test_rows_read_back_from_the_document_give_the_same_summary():
    stored = json.loads(dump_json({"rows": ROWS}))["rows"]
    assert summarise(stored) == summarise(ROWS)
    dump_json(summarise(ROWS).as_data())


def test_the_markdown_table_has_one_line_a_claim_and_its_columns():
    text = to_markdown(summarise([*ROWS, {**ROWS[1], "id": "X2"}]))
    table = [part for part in text.splitlines() if part.startswith("|")]
    assert len(table) == 4
    assert all(part.replace(r"\|", "").count("|") == len(COLUMNS) + 1 for part in table)
    assert "Over 5 problems" in text
    assert "7 on random-4" in text


def test_the_terminal_says_which_claims_had_no_power():
    passed = NegativeControl("mutant", Outcome.HOLDS)
    out = io.StringIO()
    print_summary(Console(file=out, width=160), summarise([row(1, 0.5, mutants=(passed,))]))
    assert "✓ 1 holds" in out.getvalue()
    assert "A negative control also held: G.3 (1) cases." in out.getvalue()


def test_an_empty_ledger_has_an_empty_summary():
    summary = summarise([])
    assert (summary.cases, summary.lines) == ((), ())
    assert to_markdown(summary).startswith("Over 0 problems.")
