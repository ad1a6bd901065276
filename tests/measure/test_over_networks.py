"""Networks are not samples: what a few training seeds decide, and what pooled counts leave open."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mixdyn.support.statistics import Proportion
from verify.ledger.relations import Outcome
from verify.measure.networks.pooled import (
    MEAN_ONLY,
    SEED_MISS,
    compare_over_seeds,
    variation_note,
    variation_table,
)


def test_fewer_than_three_seeds_a_side_decide_nothing_however_far_apart():
    for smaller, larger in (([1e-9], [1e-3]), ([1e-9, 2e-9], [1e-3, 2e-3, 1e-3])):
        found = compare_over_seeds("", smaller, larger)
        assert found.outcome is Outcome.INCONCLUSIVE
        assert (found.excess, found.resolution, found.interval) == (0.0, None, None)


@pytest.mark.parametrize(
    ("smaller", "larger", "outcome"),
    [
        ([1.0e-5, 1.1e-5, 0.9e-5], [4.0e-5, 4.4e-5, 3.7e-5], Outcome.HOLDS),
        ([4.0e-5, 4.4e-5, 3.7e-5], [1.0e-5, 1.1e-5, 0.9e-5], Outcome.FAILS),
        ([1.0e-5, 5.0e-5, 2.0e-5], [4.0e-5, 4.4e-5, 3.7e-5], Outcome.INCONCLUSIVE),
        ([2e-5] * 3, [2e-5] * 3, Outcome.INCONCLUSIVE),
    ],
)
def test_three_seeds_decide_by_students_interval_of_the_mean_logarithms(smaller, larger, outcome):
    found = compare_over_seeds("", smaller, larger)
    assert found.outcome is outcome
    assert found.measured == pytest.approx(
        stats.gmean(np.array(smaller)) / stats.gmean(np.array(larger)), rel=1e-12
    )


def test_the_level_and_the_interval_are_those_of_welchs_test():
    smaller, larger = [1.0e-5, 1.6e-5, 0.9e-5], [4.0e-5, 4.4e-5, 2.7e-5, 5.1e-5]
    found = compare_over_seeds("", smaller, larger)
    welch = stats.ttest_ind(np.log(smaller), np.log(larger), equal_var=False)
    deciding = stats.t.isf(SEED_MISS / 2, welch.df)
    assert found.excess == pytest.approx(welch.statistic / deciding, rel=1e-12)
    ends = welch.confidence_interval(0.95)
    np.testing.assert_allclose(found.interval, np.exp([ends.low, ends.high]), rtol=1e-12)
    assert (found.n, found.n_held) == (12, 12)


def test_a_rise_of_the_resolution_fails_with_the_stated_power(false_alarm_budget):
    """Eight seeds a side, of the spread that the resolution was computed from."""
    rng, n = np.random.default_rng(0), 2000
    seeds = np.array([-1.0, 1.0] * 4) * 0.3 * math.sqrt(7.0 / 8.0)  # sample deviation 0.3
    seen = compare_over_seeds("", np.exp(seeds), np.exp(seeds)).resolution
    draws = np.exp(0.3 * rng.standard_normal((n, 2, 8)))
    fails = sum(
        compare_over_seeds("", (1.0 + seen) * low, high).outcome is Outcome.FAILS
        for low, high in draws
    )
    false_alarm_budget.draw(1e-9)
    low, high = Proportion(fails, n).interval(1e-9)
    assert low < 0.9 + 0.01  # Welch's degrees of freedom stray from draw to draw
    assert high > 0.9 - 0.01


# -- pooled counts -------------------------------------------------------------------------------

ALIKE = [Proportion(k, 10_000) for k in (100, 108, 95)]
APART = [Proportion(k, 10_000) for k in (50, 60, 250)]


def test_a_table_shows_the_range_that_the_pooled_interval_hides():
    (alike, apart) = (variation_table({"share": parts}).rows[0] for parts in (ALIKE, APART))
    assert alike[:2] == ["share", 3]
    for row, parts in ((alike, ALIKE), (apart, APART)):
        _, _, pooled, low, high, least, largest, chi_square, degrees, p = row
        counts = np.array([[q.successes, q.trials - q.successes] for q in parts])
        assert pooled == pytest.approx(counts[:, 0].sum() / 30_000)
        assert (low, high) == Proportion(int(counts[:, 0].sum()), 30_000).interval()
        assert (least, largest) == (counts[:, 0].min() / 10_000, counts[:, 0].max() / 10_000)
        other = stats.chi2_contingency(counts, correction=False)
        assert (chi_square, degrees, p) == pytest.approx((other.statistic, other.dof, other.pvalue))
    assert apart[5] < apart[3] < apart[4] < apart[6]  # every network but the mean lies outside


def test_the_note_says_that_a_pooled_interval_is_no_networks_and_names_what_differs():
    assert variation_note({"x": ALIKE}) == MEAN_ONLY
    note = variation_note({"x": ALIKE, "y": APART})
    assert MEAN_ONLY in note
    assert "y (0.5 % to 2.5 %" in note
    assert "x (" not in note
    assert "unknown" in variation_note({"x": ALIKE[:1]})
