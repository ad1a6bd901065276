"""The comparison routines: what holds, what fails, and what decides nothing."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from mixdyn.support.errors import InputError
from mixdyn.support.numbers import Log10
from mixdyn.support.statistics import Proportion
from verify.ledger.relations import (
    Equality,
    Lower,
    NotWorse,
    Outcome,
    Rate,
    Statistical,
    Upper,
    compare,
    compare_not_worse,
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


def test_the_tolerance_of_logarithms_grows_with_the_scale_of_its_point():
    found = compare("p", Equality(rtol=1e-6, log=True), [-2000.0, -10.0], -10.0, scale=[2e9, 0.5])
    assert found.outcome is Outcome.HOLDS
    assert found.resolution == pytest.approx(2e3)
    apart = [-10.0 + 0.9e-6, -10.0]
    found = compare("p", Equality(rtol=1e-6, log=True), apart, -10.0, scale=[0.5, 1.0])
    assert (found.outcome, found.index) == (Outcome.FAILS, 0)


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


@pytest.mark.parametrize("side", ["upper", "lower"])
@pytest.mark.parametrize(("count", "bound"), [(0, 0.01), (37, 0.01), (40, 0.01), (90, 0.01)])
def test_the_excess_of_a_count_passes_one_exactly_where_its_interval_passes_the_bound(
    count, side, bound
):
    measured = Proportion(count, 4096)
    low, high = measured.interval(1e-6)
    relation = Statistical(side)
    sign = 1.0 if side == "upper" else -1.0
    if low > 0.0:
        assert relation.excess(measured, low) == pytest.approx(sign, rel=1e-6)
    assert relation.excess(measured, high) == pytest.approx(-sign, rel=1e-6)
    outcome = compare_rate("p", relation, measured, bound)
    assert (outcome.excess > 1.0) is (outcome.outcome is Outcome.FAILS)


def test_a_comparison_says_what_difference_would_have_failed():
    found = compare("x", Upper(atol=1e-3, rtol=1e-2), [1.0, 2.0], [1.5, 2.0], scale=[1.0, 4.0])
    assert found.resolution == pytest.approx(4e-3 + 2e-2)
    assert compare("x", Upper(atol=1e-3), 2.0 + 1.01e-3, 2.0).outcome is Outcome.FAILS
    assert compare("p", Upper(rtol=1e-6, log=True), -2000.0, -1999.0).resolution == 1e-6
    few = compare_rate("p", Statistical(), Proportion(0, 2000), 0.001)
    many = compare_rate("p", Statistical(), Proportion(0, 200_000), 0.001)
    assert few.resolution > 5 * many.resolution > 0.0
    assert compare_rate("p", Statistical(), Proportion(0, 5), 0.5).resolution is None


def test_overlapping_intervals_do_not_make_a_sampler_not_worse():
    reference = Proportion(1, 2000)
    assert compare_not_worse("x", Proportion(1, 2000), reference).outcome is Outcome.INCONCLUSIVE
    twenty_times = compare_not_worse("x", Proportion(22, 2000), reference)
    assert twenty_times.outcome is Outcome.INCONCLUSIVE  # and not `holds`
    assert twenty_times.resolution is None  # 23 events tell no ratio from two


@pytest.mark.parametrize(
    ("successes", "outcome"),
    [(150, Outcome.HOLDS), (400, Outcome.INCONCLUSIVE), (700, Outcome.FAILS)],
)
def test_not_worse_is_decided_by_what_enough_events_show(successes, outcome):
    found = compare_not_worse("x", Proportion(successes, 400_000), Proportion(200, 400_000))
    assert found.outcome is outcome
    assert found.bound == pytest.approx(2.0 * 200 / 400_000)
    assert (found.excess > 1.0) is (outcome is Outcome.FAILS)


def test_the_number_of_samples_that_not_worse_asks_for_sees_three_times_the_rate():
    rule, rate = NotWorse(), 6e-4
    n = rule.needed(Proportion(600, 1_000_000))
    rng = np.random.default_rng(1)
    counts = rng.binomial(n, [[3 * rate], [rate]], size=(2, 400))
    failed = [
        compare_not_worse("x", Proportion(int(a), n), Proportion(int(b), n)).outcome
        is Outcome.FAILS
        for a, b in counts.T
    ]
    assert 0.8 < np.mean(failed) < 0.98  # 0.9 +- 5 standard deviations, and half do not suffice
    assert rule.needed(Proportion(0, 1000)) is None


@pytest.mark.parametrize("p", [0.002, 0.05, 0.3])
def test_a_sampler_at_the_margin_passes_as_rarely_as_promised(p):
    """Binomial counts, not Poisson ones: conditioning on their sum is conservative for them."""
    n, miss = 120, 0.05
    first, second = np.arange(n + 1)[:, None], np.arange(n + 1)[None, :]
    chance = binom.pmf(first, n, 2 * p) * binom.pmf(second, n, p)
    rule = NotWorse(miss=miss)
    passes = np.array(
        [
            [
                compare_not_worse("x", Proportion(a, n), Proportion(b, n), rule).outcome
                is Outcome.HOLDS
                if chance[a, b] > 1e-9
                else False
                for b in range(n + 1)
            ]
            for a in range(n + 1)
        ]
    )
    assert chance[passes].sum() <= miss / 2 + 1e-5


@pytest.mark.parametrize(
    "build",
    [
        lambda: NotWorse(margin=0.5),
        lambda: NotWorse(margin=3.0),
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
