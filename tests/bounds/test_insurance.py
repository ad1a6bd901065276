"""From path divergence to probabilities: inversions, the two forms, limits of means."""

import math

import mpmath
import numpy as np
import pytest

from mixdyn import bounds
from mixdyn.support.errors import InputError


def kl(x, p):
    """Binary divergence in 60 digits."""
    with mpmath.workdps(60):
        x, p = mpmath.mpf(x), mpmath.mpf(p)
        rest = 0 if x == 1 else (1 - x) * (mpmath.log(1 - x) - mpmath.log(1 - p))
        return x * mpmath.log(x / p) + rest


@pytest.mark.parametrize("log_p", [-0.7, -5.0, -52.0, -690.0])
@pytest.mark.parametrize("divergence", [1e-14, 1e-6, 0.01, 0.6])
def test_the_inverse_solves_the_binary_divergence(divergence, log_p):
    with mpmath.workdps(60):
        p = mpmath.exp(mpmath.mpf(log_p))
        found = float(bounds.log_kl_inverse(divergence, log_p))
        x = mpmath.exp(mpmath.mpf(found))
        assert float(kl(x * (1 + mpmath.mpf(2e-12)), p)) > divergence
        assert float(kl(max(x * (1 - mpmath.mpf(2e-12)), p), p)) < divergence


def test_the_inverse_far_below_the_range_of_doubles_is_the_divergence_over_the_rarity():
    log_x = float(bounds.log_kl_inverse(1.0, -1e5))
    x = math.exp(log_x)
    assert x * (log_x + 1e5) + (1 - x) * math.log1p(-x) == pytest.approx(1.0, rel=1e-9)


def test_no_divergence_leaves_the_probability_and_enough_of_it_allows_everything():
    assert bounds.log_kl_inverse(0.0, -40.0) == pytest.approx(-40.0, abs=1e-12)
    assert bounds.log_kl_inverse([40.0, 41.0], -40.0) == pytest.approx([0.0, 0.0], abs=0.0)
    assert bounds.log_kl_inverse(39.0, -40.0) < 0.0
    assert bounds.log_kl_inverse(0.3, 0.0) == 0.0


def test_the_inverse_stays_below_its_closed_form():
    divergence, rarity = np.array([0.01, 0.1, 1.0, 5.0])[:, None], np.array([5.0, 50.0, 500.0])
    found = np.exp(bounds.log_kl_inverse(divergence, -rarity))
    assert (found <= (divergence + math.log(2.0)) / rarity).all()
    assert (found >= np.minimum(divergence / rarity, 1.0)).all()


def test_the_pathwise_form_adds_the_two_balanced_exponents():
    k, rarity = 9.0, 36.0
    b = 2.0 * math.sqrt(k) * (math.sqrt(rarity) - math.sqrt(k))
    terms = math.exp(-(b**2) / (4.0 * k)) + math.exp(k + b - rarity)
    assert bounds.pathwise_probability(0.01, k, -rarity) == pytest.approx(0.01 + terms, rel=1e-12)


def test_a_budget_beyond_the_rarity_says_nothing():
    assert bounds.pathwise_probability(0.0, [36.0, 40.0], -36.0) == pytest.approx([1.0, 1.0])
    assert bounds.pathwise_probability(0.9, 1.0, -2.0) == 1.0


def test_the_budget_leaves_its_level_to_the_second_term():
    for level in (1e-2, 1e-4):
        k = bounds.path_budget(-40.0, level)
        assert bounds.pathwise_probability(0.0, k, -40.0) == pytest.approx(level, rel=1e-12)
    assert bounds.path_budget(-3.0, 1e-4) == 0.0


def test_the_stopped_form_adds_the_paths_that_cost_more():
    alone = float(np.exp(bounds.log_kl_inverse(0.2, -30.0)))
    assert bounds.stopped_probability(0.2, 0.01, -30.0) == pytest.approx(alone + 0.01, rel=1e-12)
    assert bounds.stopped_probability(0.2, 1.0, -30.0) == 1.0


def test_a_coin_that_pays_what_it_must_meets_the_divergence_form_with_equality():
    """The law that puts x on an event of probability p has divergence kl(x || p)."""
    p, x = 1e-9, 0.02
    log_bound = bounds.log_kl_inverse(float(kl(x, p)), math.log(p))
    assert float(np.exp(log_bound)) == pytest.approx(x, rel=1e-10)


def test_the_limit_of_a_mean_of_zeros_is_elementary():
    limit = bounds.bounded_mean_limit(0.0, 5.0, 100, 1e-6)
    assert limit == pytest.approx(-5.0 * math.expm1(math.log(1e-6) / 100), rel=1e-12)


def test_the_limit_of_a_mean_solves_hoeffdings_inequality():
    limit = bounds.bounded_mean_limit(0.6, 3.0, 400, 1e-3)
    assert float(kl(0.2, limit / 3.0)) == pytest.approx(math.log(1e3) / 400, rel=1e-9)
    assert limit > 0.6


def test_the_limit_of_a_mean_is_rarely_too_small():
    rng = np.random.default_rng(0)
    truth, misses = 0.1 * 4.0, 0
    for _ in range(400):
        values = np.where(rng.random(50) < 0.1, 4.0, 0.0)
        misses += bounds.bounded_mean_limit(float(values.mean()), 4.0, 50, 0.05) < truth
    assert misses <= 45  # binomial(400, 0.05) exceeds 45 with probability below 1e-8


@pytest.mark.parametrize(
    "call",
    [
        lambda: bounds.log_kl_inverse(-1.0, -3.0),
        lambda: bounds.log_kl_inverse(1.0, 0.5),
        lambda: bounds.pathwise_probability(1.5, 1.0, -3.0),
        lambda: bounds.path_budget(-3.0, 2.0),
        lambda: bounds.bounded_mean_limit(2.0, 1.0, 10, 0.1),
        lambda: bounds.bounded_mean_limit(0.5, 1.0, 10, 1.0),
    ],
)
def test_values_outside_their_range_are_refused(call):
    with pytest.raises(InputError):
        call()
