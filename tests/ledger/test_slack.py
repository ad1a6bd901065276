"""How close a comparison came to failing: in tolerances, relative, and for counted rates."""

from __future__ import annotations

import math

import pytest

from mixdyn.support.numbers import Log10, plain
from mixdyn.support.statistics import Proportion
from verify.ledger import slack
from verify.ledger.relations import Equality, Lower, Statistical, Upper, compare, compare_rate


def row(comparison):
    return plain(comparison.as_row())


def test_excess_of_a_measured_side_is_the_relations_own():
    found = row(compare("x", Upper(atol=0.25), 1.5, 1.0))
    assert slack.excess(found) == 2.0


def test_excess_of_a_nan_is_unknown_and_the_comparison_undecided():
    found = row(compare("x", Equality(atol=1.0), math.nan, 1.0))
    assert slack.excess(found) is None
    assert slack.is_undecided(found)


@pytest.mark.parametrize("successes", [0, 5, 11, 20, 40, 80, 200])
@pytest.mark.parametrize("side", ["upper", "lower"])
def test_a_rate_fails_above_an_excess_of_one_and_holds_below_minus_one(successes, side):
    found = row(compare_rate("x", Statistical(side), Proportion(successes, 1000), 0.02))
    excess = slack.excess(found)
    if found["outcome"] == "fails":
        assert excess > 1.0
    elif found["outcome"] == "holds":
        assert excess < -1.0
    else:
        assert -1.0 < excess < 1.0
        assert not slack.is_undecided(found)


@pytest.mark.parametrize(
    ("relation", "measured", "bound", "expected"),
    [
        (Upper(atol=1.0), 3.0, 4.0, 0.25),
        (Upper(atol=1.0), 4.0, 3.0, -0.25),
        (Lower(atol=1.0), 4.0, 3.0, 0.25),
        (Upper(atol=1.0), -4.0, -3.0, 0.25),
        (Upper(atol=1.0), 0.0, 0.0, None),
        (Equality(atol=1.0), 3.0, 4.0, None),
    ],
)
def test_relative_slack_is_the_room_over_the_larger_side(relation, measured, bound, expected):
    found = slack.relative_slack(row(compare("x", relation, measured, bound)))
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-14))


def test_relative_slack_survives_values_beyond_double_range():
    found = row(compare("x", Upper(rtol=1e-6, log=True), -5000.0 + math.log(0.5), -5000.0))
    assert isinstance(compare("x", Upper(rtol=1.0, log=True), -5000.0, 0.0).measured, Log10)
    assert slack.relative_slack(found) == pytest.approx(0.5, rel=1e-9)
    found = row(compare("x", Lower(rtol=1e-6, log=True), -9000.0, -5000.0))
    assert slack.relative_slack(found) == -1.0


def test_a_family_forgets_the_numbers_of_a_case_but_not_the_words():
    a = slack.family("share outside from raw time 22 on, δ = 0.02")
    assert a == slack.family("share outside from raw time 1,042 on, δ = 1e-06")
    assert a != slack.family("share inside from raw time 22 on, δ = 0.02")


def test_every_relation_that_an_interval_decides_wants_samples_where_it_is_undecided():
    from verify.ledger.relations import compare_not_worse
    from verify.measure.networks.pooled import compare_over_seeds

    few = Proportion(1, 1000)
    for found in (compare_not_worse("x", few, few), compare_over_seeds("x", [0.1], [0.2])):
        assert found.outcome == "inconclusive"
        assert not slack.is_undecided(row(found))
