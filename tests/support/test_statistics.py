"""Intervals and sample sizes against the binomial law itself; shares shown in per cent."""

import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, chi2_contingency

from mixdyn.support.errors import InputError
from mixdyn.support.numbers import show_share
from mixdyn.support.statistics import (
    VERDICT_STDS,
    Proportion,
    clopper_pearson,
    detectable_rate,
    heterogeneity,
    log_binomial_tail,
    log_order_tail,
    pareto_shape,
    standard_error,
    systematic,
    trials_to_bound,
    trials_to_tell,
)


@pytest.mark.parametrize(("k", "n"), [(1, 10), (3, 17), (500, 1000), (9, 3_000_000)])
@pytest.mark.parametrize("miss", [0.05, 1e-6])
def test_each_end_is_where_the_binomial_tail_equals_half_the_miss(k, n, miss):
    low, high = clopper_pearson(k, n, miss)
    assert binom.sf(k - 1, n, low) == pytest.approx(miss / 2, rel=1e-7)
    assert binom.cdf(k, n, high) == pytest.approx(miss / 2, rel=1e-7)
    assert low < k / n < high


@pytest.mark.parametrize("n", [1, 20, 10**9])
def test_without_a_success_the_upper_end_is_exact_and_the_lower_is_zero(n):
    low, high = clopper_pearson(0, n, 0.05)
    assert low == 0.0
    assert n * math.log1p(-high) == pytest.approx(math.log(0.025), rel=1e-12)
    assert clopper_pearson(n, n, 0.05) == pytest.approx((1.0 - high, 1.0), rel=1e-9)


def test_the_interval_covers_every_rate_at_least_as_often_as_promised():
    n, miss = 30, 0.05
    counts = np.arange(n + 1)
    ends = np.array([clopper_pearson(int(k), n, miss) for k in counts])
    for rate in np.linspace(0.01, 0.99, 37):
        inside = (ends[:, 0] <= rate) & (rate <= ends[:, 1])
        assert binom.pmf(counts, n, rate)[inside].sum() >= 1.0 - miss


def test_the_number_of_trials_to_bound_a_rate_is_the_least_that_does():
    n = trials_to_bound(1e-4, miss=1e-6)
    assert clopper_pearson(0, n, 1e-6)[1] <= 1e-4 < clopper_pearson(0, n - 1, 1e-6)[1]


def test_log_tail_reaches_below_the_smallest_double():
    assert log_binomial_tail(2, 3, 0.5) == pytest.approx(math.log(0.5), rel=1e-12)
    assert log_binomial_tail(100, 100, 1e-9) == pytest.approx(100 * math.log(1e-9), rel=1e-12)
    assert log_binomial_tail(0, 5, 0.2) == 0.0


@pytest.mark.parametrize(("one", "two"), [((3, 7), (1, 9)), ((0, 4), (2, 3)), ((5, 5), (3, 3))])
def test_the_order_tail_counts_the_ways_to_share_the_successes(one, two):
    (k, m), (j, n) = one, two
    ways = [math.comb(m, i) * math.comb(n, k + j - i) for i in range(k + j + 1)]
    chance = Fraction(sum(ways[k:]), sum(ways))
    found = log_order_tail(Proportion(*one), Proportion(*two))
    assert found == pytest.approx(math.log(chance), rel=1e-12, abs=1e-12)


def test_the_order_tail_reaches_below_the_smallest_double():
    found = log_order_tail(Proportion(400, 400), Proportion(0, 4000))
    assert found == pytest.approx(-math.log(math.comb(4400, 400)), rel=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: clopper_pearson(3, 2),
        lambda: clopper_pearson(-1, 2),
        lambda: clopper_pearson(0, 0),
        lambda: clopper_pearson(1, 2, miss=1.0),
        lambda: clopper_pearson(1, 2, miss=0.0),
        lambda: Proportion(2, 1),
        lambda: heterogeneity([1], [10]),
        lambda: heterogeneity([1, 2], [10]),
        lambda: heterogeneity([1, 11], [10, 10]),
        lambda: trials_to_bound(1.0),
        lambda: log_binomial_tail(1, 2, 1.5),
    ],
)
def test_impossible_counts_rates_and_misses_are_refused(call):
    with pytest.raises(InputError):
        call()


@pytest.mark.parametrize(("bound", "n"), [(0.02, 4096), (0.5, 60), (1e-6, 10**6), (0.0, 10)])
def test_a_detectable_rate_is_seen_with_the_stated_probability_and_no_smaller_one(bound, n):
    counts = np.arange(min(n, 3000) + 1)
    decided = np.array([clopper_pearson(int(k), n, 1e-3)[0] > bound for k in counts])
    rate = detectable_rate(bound, n, miss=1e-3, power=0.9)

    def seen(p):
        return binom.pmf(counts, n, p)[decided].sum() + binom.sf(counts[-1], n, p)

    assert seen(rate) == pytest.approx(0.9, abs=1e-9)
    assert seen(bound + 0.99 * (rate - bound)) < 0.9
    mirrored = detectable_rate(1.0 - bound, n, "lower", miss=1e-3)
    assert mirrored == pytest.approx(1.0 - rate, abs=1e-12)


def test_too_few_trials_detect_no_rate():
    assert detectable_rate(0.5, 10, miss=1e-6) is None
    assert detectable_rate(0.5, 30, miss=1e-6) is not None


def test_the_trials_to_tell_two_rates_suffice_and_a_few_fewer_do_not():
    n = trials_to_tell(2 / 3, 3 / 4)
    assert detectable_rate(2 / 3, n) <= 3 / 4
    assert detectable_rate(2 / 3, int(0.97 * n)) > 3 / 4
    assert n == pytest.approx(1180, rel=0.05)  # of the normal law
    with pytest.raises(InputError):
        trials_to_tell(0.5, 0.5)


def test_heterogeneity_is_that_of_the_table_of_successes_and_failures():
    counts, trials = [12, 30, 55, 21], [400, 500, 600, 450]
    table = np.array([counts, np.subtract(trials, counts)])
    expected = chi2_contingency(table, correction=False)
    found = heterogeneity(counts, trials)
    assert found == pytest.approx((expected.statistic, expected.dof, expected.pvalue), rel=1e-12)


def test_groups_of_one_rate_are_rarely_called_different_and_groups_of_two_rates_are():
    rng = np.random.default_rng(3)
    same = [heterogeneity(rng.binomial(2000, 0.05, 4).tolist(), [2000] * 4)[2] for _ in range(400)]
    assert 0.01 < np.mean(np.array(same) < 0.05) < 0.1
    chi_square, degrees, p_value = heterogeneity([60, 100, 140, 200], [2000] * 4)
    assert degrees == 3
    assert chi_square > 80.0
    assert p_value < 1e-15
    assert heterogeneity([0, 0], [10, 20]) == (0.0, 1, 1.0)
    assert heterogeneity([10, 20], [10, 20]) == (0.0, 1, 1.0)


# -- 100 % is said of all alone, and 0 % of none ---------------------------------------------------


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("count", "n", "text"),
    [
        (99_995, 100_000, "99.995 %"),
        (99_999, 100_000, "99.999 %"),
        (4_095, 4_096, "99.976 %"),
        (993, 1000, "99.3 %"),
        (9_960, 10_000, "99.6 %"),
        (10, 10, "100 %"),
        (0, 10, "0 %"),
        (1, 100_000, "0.001 %"),
        (1, 3, "33.3 %"),
        (2, 3, "66.7 %"),
        (1, 2, "50 %"),
    ],
)
def test_a_count_is_shown_with_the_digits_that_tell_it_from_all_and_none(count, n, text):
    assert show_share(count / n) == text


@pytest.mark.parametrize("digits", [1, 2, 3, 4])
@pytest.mark.parametrize("missing", range(1, 40))
def test_no_share_below_one_rounds_to_all_of_it(digits, missing):
    for n in (50, 10**3, 10**5, 10**9):
        text = show_share(1.0 - missing / n, digits)
        assert float(text.removesuffix(" %")) < 100.0
        if missing / n < 0.5:
            shown = 100.0 - float(text.removesuffix(" %"))
            assert shown == pytest.approx(100.0 * missing / n, rel=0.05)


@pytest.mark.parametrize("digits", [1, 2, 3, 4])
def test_all_ten_per_cent_and_none_have_no_exponent(digits):
    shown = [show_share(share, digits) for share in (1.0, 0.1, 0.0996, 0.0, 12.0)]
    assert shown[:2] == ["100 %", "10 %"]
    assert shown[3:] == ["0 %", "1200 %"]
    assert "e" not in shown[2]


def test_no_share_is_a_dash():
    assert show_share(None) == "–"


def test_every_text_leaves_the_rounding_of_shares_to_the_one_function():
    # A constant of the source has the digits that it is written with.
    own = re.compile(r"\{100(?:\.0)? ?\* [^{}]*:\.\d[gf]\} ?%|\{(?!_?[A-Z_]+:)[^{}]*:\.\d%\}")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("mixdyn", "verify")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if own.search(line)
    ]
    assert found == []


def test_systematic_draws_come_as_often_as_weights_say_to_one_and_without_bias():
    weights, rng, n = np.array([0.0, 2.0, 0.5, 1.0, 0.0]), np.random.default_rng(0), 10
    counts = np.array([np.bincount(systematic(weights, n, rng), minlength=5) for _ in range(4000)])
    wanted = n * weights / weights.sum()
    assert (np.abs(counts - wanted) < 1.0).all()
    assert (np.abs(counts.mean(axis=0) - wanted) < 6.0 * standard_error(counts, 0) + 1e-12).all()


def test_a_standard_error_is_that_of_the_mean():
    values = np.random.default_rng(1).normal(3.0, 2.0, (2000, 100))
    spread = (values.mean(axis=1) - 3.0).std()
    assert standard_error(values).mean() == pytest.approx(spread, rel=0.1)
    assert (np.abs(values.mean(axis=1) - 3.0) < VERDICT_STDS * 2.0 / 10.0).all()


@pytest.mark.parametrize("shape", [0.25, 0.6, 1.2])
def test_the_exponent_of_a_tail_is_found(shape):
    values = np.random.default_rng(2).pareto(1.0 / shape, 100_000)
    assert pareto_shape(np.log(values)) == pytest.approx(shape, abs=0.12)


def test_light_tails_and_few_values():
    rng = np.random.default_rng(3)
    assert pareto_shape(np.log(rng.random(10_000))) < 0.0
    assert abs(pareto_shape(np.log(rng.exponential(size=10_000)))) < 0.15
    assert pareto_shape(np.zeros(500)) == 0.0
    assert np.isnan(pareto_shape(np.zeros(99)))
    assert np.isnan(pareto_shape(np.full(200, -np.inf)))
