"""Bad input to a closed form is one clear error; small cases that run without compiled code."""

import math

import numpy as np
import pytest
from flint import arb, ctx

from mixdyn import GaussianMixture, oracles
from mixdyn.support.errors import InputError, NotApplicableError

PAIR = GaussianMixture([[-1.0], [1.0]], 0.1)
GRID = GaussianMixture([[a, b] for a in (0.0, 1.0, 2.0) for b in (0.0, 1.0)], 0.1)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: oracles.flow_map(PAIR, [0.0, 1.0], 1.0, 0.5), "y must have 2 axes"),
        (lambda: oracles.flow_map(PAIR, [[0.0, 1.0]], 1.0, 0.5), r"y must have shape \(n, 1\)"),
        (lambda: oracles.flow_map(PAIR, [[np.nan]], 1.0, 0.5), "y must be finite"),
        (lambda: oracles.flow_map(PAIR, np.zeros((0, 1)), 1.0, 0.5), "n >= 1"),
        (lambda: oracles.flow_map(PAIR, [[0.0]], 0.0, 0.5), "v_from must be > 0"),
        (lambda: oracles.flow_map(PAIR, [[0.0]], 1.0, -0.5), "v_to must be > 0"),
        (lambda: oracles.flow_map_arb(PAIR, [[0.0]], 1.0, 0.0), "v_to must be > 0"),
        (lambda: oracles.flow_map_arb(PAIR, [[0.0, 0.0]], 1.0, 0.5), r"y must have shape \(n, 1\)"),
        (lambda: oracles.flow_map_arb(PAIR, [], 1.0, 0.5), r"y must have shape \(n, 1\)"),
        (lambda: oracles.flow_map_arb(PAIR, [["a"]], 1.0, 0.5), "finite real numbers"),
        (lambda: oracles.flow_map_arb(PAIR, [[math.inf]], 1.0, 0.5), "finite real numbers"),
        (lambda: oracles.flow_map_arb(PAIR, [[0.0]], 1.0, 0.5, prec=1.5), "prec must be"),
        (lambda: oracles.reverse_law(PAIR, [[0.0]], 0.9, 0.5), "alpha_bar_s > alpha_bar_t"),
        (lambda: oracles.reverse_law(PAIR, [[0.0]], 0.5, 0.5), "alpha_bar_s > alpha_bar_t"),
        (lambda: oracles.reverse_law(PAIR, [[0.0]], 0.0), r"alpha_bar_t must lie in \(0, 1\]"),
        (lambda: oracles.reverse_law(PAIR, [[0.0]], 0.5, noise_var_t=-1.0), "noise_var_t must"),
        (lambda: oracles.reverse_law(PAIR, [0.0], 0.5), "x must have 2 axes"),
        (lambda: oracles.two_mode_equilibria(0.0), "k must be > 0"),
        (lambda: oracles.two_mode_drift(np.inf, 1.0), "z must be finite"),
        (lambda: oracles.two_mode_logit(0.0, 1.0, np.nan), "log_weight_ratio must be finite"),
        (lambda: oracles.reverse_bisector_drift(0.0, 1.0, 1.5, 0.1), "alpha_bar must lie in"),
    ],
)
def test_a_value_that_breaks_a_rule_of_a_closed_form_is_named(call, rule):
    with pytest.raises(InputError, match=rule) as caught:
        call()
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("direction", "center", "half_width"),
    [([0.0], [0.0], 0.1), ([1.0, 0.0], [0.0], 0.1), ([1.0], [0.0, 1.0], 0.1), ([1.0], [0.0], 0.0)],
)
def test_a_slab_needs_a_direction_a_center_and_a_width(direction, center, half_width):
    law = oracles.reverse_mixture(PAIR, [[0.0]], 0.5)
    with pytest.raises(InputError):
        law.log_slab_probability(direction, center, half_width)


@pytest.mark.parametrize(
    ("mixture", "pair", "fraction", "levels"),
    [
        (GRID, (0, 3), 0.3, (1.0, 0.1)),  # a diagonal
        (GRID, (0, 4), 0.3, (1.0, 0.1)),  # a mode between them
        (GRID, (0, 0), 0.3, (1.0, 0.1)),
        (GRID, (0, 2), 0.5, (1.0, 0.1)),
        (GRID, (0, 2), 0.3, (0.1, 1.0)),
        (GaussianMixture([[0.0], [1.0]], [0.1, 0.2]), (0, 1), 0.3, (1.0, 0.1)),
    ],
)
def test_a_trap_without_a_closed_form_is_not_applicable(mixture, pair, fraction, levels):
    with pytest.raises(NotApplicableError):
        oracles.trap_radius(mixture, pair, fraction, *levels)


def test_a_trap_needs_modes_of_the_mixture():
    with pytest.raises(InputError, match=r"integer in 0\.\.5"):
        oracles.trap_radius(GRID, (0, 6), 0.3, 1.0, 0.1)


def test_one_mode_contracts_linearly_and_no_time_changes_nothing():
    single = GaussianMixture([[0.5, -0.5]], 0.1)
    y = np.array([[1.5, 0.5], [0.5, -3.0]])
    expected = single.means + 0.5 * (y - single.means)
    assert oracles.flow_map(single, y, 0.4, 0.1) == pytest.approx(expected, rel=1e-15)
    assert (oracles.flow_map(GRID, y, 0.3, 0.3) == y).all()


def test_duplicate_modes_and_grid_lines_within_rounding_are_merged():
    split = GaussianMixture(
        [[-1.0, 0.0], [-1.0, 0.0], [1.0, 1e-17]], 0.1, [0.2, 0.3, 0.5], allow_duplicates=True
    )
    merged = GaussianMixture([[-1.0, 0.0], [1.0, 0.0]], 0.1)
    y = np.array([[0.3, 0.2], [-0.1, 0.5]])
    assert oracles.flow_map(split, y, 1.0, 0.1) == pytest.approx(
        oracles.flow_map(merged, y, 1.0, 0.1), rel=1e-13
    )


def test_a_reverse_law_has_the_documented_shapes_and_weights_that_sum_to_one():
    mixture = GaussianMixture([[0.0, 0], [1, 0], [3, 1]], [0.1, 0.2, 0.1])
    weights, means, variances = oracles.reverse_law(mixture, np.zeros((4, 2)), 0.3)
    assert (weights.shape, means.shape, variances.shape) == ((4, 3), (4, 3, 2), (3,))
    assert weights.sum(axis=1) == pytest.approx(np.ones(4), rel=1e-14)
    assert (variances > 0).all()


def test_reverse_weights_stay_exact_far_outside_all_modes():
    # Squared distances near 1e16 differ by 4 in the exponent: a difference of squares loses it.
    weights, _, _ = oracles.reverse_law(PAIR, [[1e8]], 0.5, noise_var_t=0.5)
    log_odds = 2 * 1e8 * math.sqrt(0.5) / (0.5 * 0.01 + 0.5)
    assert weights[0, 1] == pytest.approx(1.0, rel=1e-15)
    near = oracles.reverse_mixture(PAIR, [[1e8]], 0.5).log_weights[0]
    assert near[0] - near[1] == pytest.approx(-log_odds, rel=1e-14)


def test_reverse_weights_of_near_modes_ignore_a_mode_very_far_away():
    mixture = GaussianMixture([[-1e8], [0.0], [1.0]], 0.5)
    law = oracles.reverse_mixture(mixture, [[0.4]], 0.64)  # on the bisector of the near two
    assert law.log_weights[0, 2] - law.log_weights[0, 1] == pytest.approx(0.0, abs=1e-15)
    assert law.weights[0] == pytest.approx([0.0, 0.5, 0.5], abs=1e-15)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (-1.0, 2.0), (-40.0, -39.0), (39.0, 40.0), (-1e-9, 1e-9), (-30.0, -30.0 + 1e-9),
        (-150.0, -149.5), (0.0, 1e-300), (5.0, 1e8), (-2.0, -2.0 + 1.1e-3), (1e-3, 1.5e-3),
        (-1e5 - 1, -1e5),
    ],
)  # fmt: skip
def test_log_probabilities_of_intervals_keep_their_digits(low, high):
    with ctx.workprec(2000):
        a, b = arb(low) / arb(2).sqrt(), arb(high) / arb(2).sqrt()
        truth = ((a.erfc() - b.erfc()) / 2) if low > 0 else (((-b).erfc() - (-a).erfc()) / 2)
        expected = float(truth.log().mid())
    value = float(oracles.log_interval(low, high))
    # Doubles hold the width of the interval to |low| ulp only.
    ulps = 4e-16 * (abs(low) + 1) / (high - low) if high - low < 1 else 0.0
    assert value == pytest.approx(expected, rel=1e-13, abs=1e-12 + ulps)


def test_an_empty_interval_has_probability_zero_and_a_given_width_is_used():
    assert oracles.log_interval(1.0, 1.0) == -math.inf
    value = oracles.log_interval(1.0, 1.0, -5000.0)
    assert value == pytest.approx(-5000 - 0.5 - 0.5 * math.log(2 * math.pi), rel=1e-14)
