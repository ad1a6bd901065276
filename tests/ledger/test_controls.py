"""How close a comparison came to failing, and how small a fault a check still rejects."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from mixdyn.support.numbers import Log10, plain
from mixdyn.support.statistics import Proportion
from tests import toys
from verify.ledger import slack
from verify.ledger.controls import narrowest
from verify.ledger.relations import (
    Equality,
    Lower,
    Outcome,
    Statistical,
    Upper,
    compare,
    compare_rate,
)
from verify.ledger.verdict import NARROW, Finding, NegativeControl

# -- in tolerances, relative, and for counted rates ------------------------------------------------


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


# -- narrow negative controls, found from a gross one ----------------------------------------------


CLAIM, CASE = toys.claim(), toys.case()


def mutant(excess, sizes=None):
    """A check whose sides come apart by excess(size) tolerances of 1e-9."""

    def judge(size):
        if sizes is not None:
            sizes.append(size)
        sides = [(1e-9 * value, 0.0) for value in np.atleast_1d(excess(size))]
        comparisons = [compare("x", Upper(atol=1e-9), *side) for side in sides]
        return CLAIM.judge(CASE, Finding(comparisons, witness=lambda c: {"x": 1}))

    return judge


KINDS = {
    "two sides that meet": lambda s: 3e8 * s,
    "a loose bound": lambda s: 5e7 * s - 2e7,
    "a bound that all but holds": lambda s: 1e3 * s - 990.0,
    "two comparisons of which one begins late": lambda s: [4e5 * s - 3e5, 1e11 * (s - 0.01) - 4e5],
    "one that grows as a square": lambda s: 1e9 * s**2 - 1e4,
    "one that is beyond all range at first": lambda s: np.exp(700.0 * s) - 1e3,
}


def test_where_the_claim_itself_fails_the_search_ends_early_with_the_gross_fault():
    sizes = []
    found = narrowest("off by {}", mutant(lambda s: 1e6 + s, sizes), 0.5)
    assert set(found) == {"off by 0.5"}
    assert len(sizes) < 8
    assert 0.0 in sizes


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_found_that_fails_narrowly_and_the_name_gives_its_size(kind):
    sizes = []
    ((name, found),) = narrowest("off by {}", mutant(KINDS[kind], sizes), 1.0).items()
    control = NegativeControl.of(name, found)
    assert control.caught
    assert 1.0 < control.excess <= NARROW
    size = float(name.removeprefix("off by "))
    again = NegativeControl.of(name, mutant(KINDS[kind])(size))
    assert again.excess == control.excess
    assert len(sizes) <= 40


def test_a_gross_fault_that_is_narrow_itself_is_judged_once():
    sizes = []
    ((name, _),) = narrowest("off by {}", mutant(lambda s: 40.0 * s, sizes), 0.5).items()
    assert name == "off by 0.5"
    assert sizes == [0.5]


def test_a_check_that_jumps_keeps_the_smallest_fault_that_it_was_seen_to_reject():
    ((name, found),) = narrowest("{}", mutant(lambda s: 1e6 if s > 0.3 else 0.0), 1.0).items()
    assert found.verdict is Outcome.FAILS
    assert 0.3 < float(name) < 0.3001
    assert not NegativeControl.of(name, found).narrow


def test_a_fault_that_no_size_reveals_makes_no_control():
    assert narrowest("off by {}", mutant(lambda s: 0.0), 1.0) == {}


def test_a_size_that_decides_nothing_counts_as_not_seen():
    """Below 0.2 this check gives NaN, which is no rejection."""

    def judge(size):
        found = mutant(lambda s: 1e6 * s)(size)
        return dataclasses.replace(found, verdict=Outcome.INCONCLUSIVE) if size < 0.2 else found

    ((name, found),) = narrowest("{}", judge, 1.0).items()
    assert found.verdict is Outcome.FAILS
    assert float(name) >= 0.2
