"""The comparison routines: what holds, what fails, and what decides nothing."""

import math

import numpy as np
import pytest

from mixdyn.errors import InputError
from mixdyn.statistics import Proportion
from verify.quantities import Log10
from verify.relations import (
    Equality,
    Lower,
    Outcome,
    Rate,
    Statistical,
    Upper,
    compare,
    compare_rate,
)


@pytest.mark.parametrize("relation", [Equality(atol=1e-3), Upper(atol=1e-3), Lower(atol=1e-3)])
@pytest.mark.parametrize("shift", [0.0, 0.9e-3, 1.1e-3, -0.9e-3, -1.1e-3])
def test_a_side_fails_exactly_beyond_the_tolerance(relation, shift):
    wrong = {"equality": abs(shift), "upper": shift, "lower": -shift}[relation.kind] > 1e-3
    found = compare("x", relation, 2.0 + shift, 2.0)
    assert found.outcome is (Outcome.FAILS if wrong else Outcome.HOLDS)


def test_the_worst_point_is_the_one_farthest_beyond_in_its_own_tolerance():
    found = compare("x", Upper(rtol=1e-3), [1.0, 10.01, 100.05], [1.0, 10.0, 100.0])
    assert (found.index, found.n, found.n_held) == (1, 3, 3)
    assert found.excess == pytest.approx(1.0, abs=1e-9)
    scaled = compare("x", Equality(atol=1e-3), [1.0, 1.0], [1.1, 1.1], scale=[1.0, 1000.0])
    assert (scaled.index, scaled.n_held, scaled.outcome) == (0, 1, Outcome.FAILS)


def test_nan_decides_nothing_but_does_not_hide_a_failure():
    assert compare("x", Upper(atol=1.0), [0.0, math.nan], 1.0).outcome is Outcome.INCONCLUSIVE
    assert compare("x", Upper(atol=1.0), math.nan, 1.0).outcome is Outcome.INCONCLUSIVE
    worst = compare("x", Upper(atol=1.0), [math.nan, 5.0], 1.0)
    assert (worst.outcome, worst.index) == (Outcome.FAILS, 1)


def test_equal_infinities_are_equal():
    assert compare("x", Equality(atol=1.0), math.inf, math.inf).outcome is Outcome.HOLDS
    assert compare("x", Upper(atol=1.0), math.inf, 1.0).outcome is Outcome.FAILS


def test_logarithms_compare_by_ratio_far_below_the_smallest_double():
    relation = Upper(rtol=1e-6, log=True)
    held = compare("p", relation, -2000.0, -1999.0)
    assert held.outcome is Outcome.HOLDS
    assert held.tightness == pytest.approx(math.exp(-1.0))
    assert isinstance(held.measured, Log10)
    assert held.measured.exponent == pytest.approx(-2000.0 / math.log(10.0))
    assert compare("p", relation, -1999.99, -2000.0).outcome is Outcome.FAILS


def test_tightness_is_one_when_tight_for_upper_and_lower_bounds():
    assert compare("x", Upper(atol=1e-9), 2.0, 4.0).tightness == pytest.approx(0.5)
    assert compare("x", Lower(atol=1e-9), 4.0, 2.0).tightness == pytest.approx(0.5)
    assert compare("x", Equality(atol=9.0), 4.0, 2.0).tightness is None
    assert compare("x", Upper(atol=1e-9), 0.0, 0.0).tightness is None


def test_a_rate_is_right_only_within_its_tolerance_on_both_sides():
    orders = {1.9: Outcome.HOLDS, 2.3: Outcome.FAILS, 1.6: Outcome.FAILS}
    for order, outcome in orders.items():
        assert compare("order", Rate(atol=0.2), order, 2.0).outcome is outcome


@pytest.mark.parametrize(
    ("count", "side", "outcome"),
    [
        (0, "upper", Outcome.HOLDS),
        (40, "upper", Outcome.INCONCLUSIVE),
        (200, "upper", Outcome.FAILS),
        (0, "lower", Outcome.FAILS),
        (40, "lower", Outcome.INCONCLUSIVE),
        (200, "lower", Outcome.HOLDS),
    ],
)
def test_a_count_decides_only_when_its_interval_lies_on_one_side(count, side, outcome):
    found = compare_rate("p", Statistical(side=side), Proportion(count, 4096), 0.01)
    assert found.outcome is outcome
    assert found.interval == Proportion(count, 4096).interval(0.05)


@pytest.mark.parametrize(
    "build",
    [
        Equality,
        lambda: Upper(rtol=-1.0),
        lambda: Upper(atol=1.0, log=True),
        lambda: Statistical(side="both"),
        lambda: compare("x", Upper(atol=1.0), np.empty(0), 1.0),
    ],
)
def test_a_relation_without_a_tolerance_or_points_is_refused(build):
    with pytest.raises(InputError):
        build()
