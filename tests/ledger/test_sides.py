"""Sides and the rows made of them: worst points, masks, witnesses, controls as data."""

import functools

import numpy as np
import pytest

from mixdyn.support.errors import InputError, MissingExtraError, NotApplicableError
from mixdyn.support.statistics import Proportion
from tests import toys
from verify.ledger import cases, rows, runner
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Outcome
from verify.ledger.sides import Facts, NotApplicable, Side, Tolerance, each_part
from verify.ledger.verdict import Basis, Hypothesis, Table

DOC = toys.doc(Hypotheses="- common_sigma: one sigma. - near: it is near.")
CLOSE = Tolerance(atol=1e-9)


@pytest.fixture
def claim():
    return toys.claim(text=DOC, basis=(), needs=(modes(2), one_sigma))


@pytest.fixture
def case():
    return toys.case()


def run(claim, case):
    check, controls = (functools.partial(how, claim) for how in (rows.check, rows.controls))
    return runner.run_claim(toys.entry(claim, check, controls), case)


# -- one side ------------------------------------------------------------------------------------


def test_the_worst_point_is_found_in_the_shape_of_the_sides_and_arrays_are_taken_there():
    left = np.zeros((3, 4))
    left[2, 1] = 5.0
    side = Side(
        "x",
        left,
        at_most=np.zeros(4),
        tolerance=CLOSE,
        where={
            "row": np.arange(3)[:, None],
            "column": np.arange(4),
            "y": np.arange(24).reshape(3, 4, 2),
            "pair": [7, 8],
        },
    )
    assert side.worst == (2, 1)
    found = side.witness()
    assert (found["row"], found["column"], found["y"].tolist()) == (2, 1, [18, 19])
    assert found["pair"] == [7, 8]


def test_points_outside_a_mask_are_not_compared_and_keep_their_places():
    left, mask = np.array([9.0, 1.0, 3.0]), np.array([False, True, True])
    side = Side("x", left, at_most=0.0, tolerance=CLOSE, among=mask, where=lambda k: {"k": k})
    assert (side.comparison.n, side.comparison.measured, side.witness()) == (2, 3.0, {"k": 2})
    assert not Side("x", left, at_most=0.0, tolerance=CLOSE, among=mask & False).asked


def test_joined_sides_say_where_the_worst_of_all_points_lies():
    pieces = [
        Side("x", np.array(v), at_most=0.0, tolerance=CLOSE, where=lambda k, v=v: {"v": v, "k": k})
        for v in ([1.0, 2.0], [3.0, 9.0, 4.0])
    ]
    side = Side.joined(pieces)
    assert (side.comparison.n, side.witness()) == (5, {"v": [3.0, 9.0, 4.0], "k": 1})
    assert pieces[0].comparison.n == 2


def test_a_count_is_compared_by_its_interval():
    side = Side("share", Proportion(0, 10_000), at_most=0.5)
    assert (side.comparison.outcome, side.comparison.n) == (Outcome.HOLDS, 10_000)
    assert Side("share", Proportion(0, 100), at_least=0.9).comparison.outcome is Outcome.FAILS


@pytest.mark.parametrize(
    "stated",
    [
        {"tolerance": CLOSE},
        {"at_most": 1.0},
        {"at_most": 1.0, "equals": 1.0, "tolerance": CLOSE},
    ],
)
def test_a_side_states_one_relation_with_its_tolerance(stated):
    with pytest.raises(InputError):
        Side("x", 1.0, **stated)


def test_an_array_that_is_not_of_the_points_is_refused():
    where = {"k": np.arange(3)}
    with pytest.raises(InputError, match="'x'"):
        Side("x", np.ones(2), at_most=0.0, tolerance=CLOSE, where=where).witness()


# -- rows ----------------------------------------------------------------------------------------


def test_a_row_says_what_its_parts_say(claim, case):
    @claim.exact(unit="tries")
    def one(case, factor=1.0):
        bound = np.array([2.0, 3.0])
        yield Side("x", factor, at_most=bound, tolerance=CLOSE, telling=bound < 2.5)
        yield Hypothesis("near", 0.5, 0.1)
        yield "First."
        yield Facts(truth=0.9)
        yield lambda: [Table("more", ("a",), [(1,)]), {"a number": 4.0}, "Last."]

    claim.must_fail(one, "tripled", factor=3.0)
    claim.must_fail(one, "never here", when=lambda case: False, factor=3.0)
    claim.must_fail_narrowly(one, "larger by {}", 2.0, factor=lambda more: 1.0 + more)
    claim.must_fail_each(one, lambda case: {f"for {case.name}": {"factor": 4.0}})
    (row,) = run(claim, case)
    assert (row.verdict, row.basis, row.unit) == (Outcome.HOLDS, Basis.EXACT, "tries")
    assert [h.name for h in row.hypotheses] == ["common_sigma", "near"]
    assert (row.applicable_share, row.nonvacuous_share, row.truth) == (0.5, 0.5, 0.9)
    assert (row.note, row.numbers, len(row.tables)) == ("First. Last.", {"a number": 4.0}, 1)
    assert row.witness == {"quantity": "x"}
    gross, narrow, each = row.mutants
    assert (gross.name, each.name) == ("tripled", "for toy")
    assert narrow.narrow


def test_a_hypothesis_that_is_stated_and_measured_nowhere_does_not_pass_for_met(claim, case):
    @claim.exact()
    def one(case):
        yield Side("x", 1.0, at_most=2.0, tolerance=CLOSE)

    (row,) = run(claim, cases.standard())
    assert row.verdict is Outcome.ERROR
    assert "near of G.9 in no row" in row.note
    assert run(claim, case)[0].verdict is Outcome.HOLDS

    @claim.sampled()
    def other(case):
        yield Side("y", 1.0, at_most=2.0, tolerance=CLOSE)
        yield Hypothesis("near", 1.0)

    assert [row.verdict for row in run(claim, cases.standard())] == [Outcome.HOLDS] * 2


def test_what_only_the_report_shows_is_not_asked_for_by_a_control(claim, case):
    asked = []

    @claim.exact()
    def one(case, factor=1.0):
        yield Side("x", factor, at_most=2.0, tolerance=CLOSE)
        yield lambda: asked.append(factor) or {}

    claim.must_fail(one, "tripled", factor=3.0)
    run(claim, case)
    assert asked == [1.0]


@pytest.mark.parametrize(
    ("given", "verdicts", "note"),
    [
        (None, [Outcome.HOLDS], ""),
        (NotApplicable("no network"), [Outcome.HOLDS, Outcome.NOT_APPLICABLE], "no network"),
        (MissingExtraError("torch"), [Outcome.HOLDS, Outcome.NOT_APPLICABLE], "torch"),
        (InputError("rule", "NaN", "remedy"), [Outcome.HOLDS, Outcome.ERROR], "NaN"),
    ],
)
def test_a_row_without_what_it_measures_leaves_the_others_unharmed(
    claim, case, given, verdicts, note
):
    def source(case):
        if isinstance(given, Exception):
            raise given
        return given

    @claim.exact()
    def one(case, factor=1.0):
        return Side("x", factor, at_most=2.0, tolerance=CLOSE)

    @claim.learned(of=source)
    def network(case, models, factor=1.0):
        raise AssertionError

    claim.must_fail(one, "tripled", factor=3.0)
    claim.must_fail(network, "tripled network", factor=3.0)
    found = run(claim, case)
    assert [row.verdict for row in found] == verdicts
    assert note in found[-1].note


def test_what_is_measured_is_given_and_can_be_given_by_hand(claim, case):
    @claim.learned(of=lambda case: [1.5])
    def network(case, models):
        yield Side("x", models[0], at_most=2.0, tolerance=CLOSE)
        yield Facts(model="a network", seed=7)

    (row,) = rows.check(claim, case)
    assert (row.verdict, row.measured, row.model, row.seed) == (
        Outcome.HOLDS,
        1.5,
        "a network",
        7,
    )
    assert rows.row_of(claim, case, network, [2.5]).verdict is Outcome.FAILS


def test_a_function_may_find_that_there_is_nothing_to_measure(claim, case):
    @claim.exact()
    def one(case):
        yield NotApplicable("no pair")

    @claim.sampled()
    def other(case):
        yield Hypothesis("near", 0.0)

    first, second = run(claim, case)
    assert (first.verdict, first.note) == (Outcome.NOT_APPLICABLE, "no pair")
    assert (second.verdict, second.basis) == (Outcome.NOT_APPLICABLE, Basis.SAMPLED)
    assert "near" in second.note


def test_a_refusal_of_the_engine_is_one_row_of_the_claim(claim, case):
    @claim.exact()
    def one(case):
        raise NotApplicableError("rule", "case", "remedy")

    (row,) = run(claim, case)
    assert row.verdict is Outcome.NOT_APPLICABLE


def test_a_control_is_of_a_registered_function(claim):
    with pytest.raises(InputError, match=r"G\.9"):
        claim.must_fail(print, "anything")


def test_sides_that_do_not_broadcast_and_parts_of_no_kind_are_one_line():
    with pytest.raises(InputError, match=r"tail: \(4,\), \(3,\)"):
        Side("tail", np.ones(4), at_most=np.ones(3), tolerance=Tolerance(rtol=1e-9))
    with pytest.raises(InputError, match="a row is made of"):
        list(each_part([3]))
