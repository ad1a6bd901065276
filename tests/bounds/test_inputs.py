"""Bad input to a bound is one clear error, and bounds broadcast over arrays of levels."""

import numpy as np
import pytest

from mixdyn import GaussianMixture, bounds
from mixdyn.support.errors import InputError, NotApplicableError

THREE = GaussianMixture([[0.0, 0], [1, 0], [0, 1]], 0.1)
PER_MODE = GaussianMixture([[0.0, 0], [1, 0], [0, 1]], [0.1, 0.2, 0.1])
TWINS = GaussianMixture([[0.0], [0.0]], [0.1, 0.2])


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: bounds.dominance_gap(-1.0, 1.0), "kappa must be > 0"),
        (lambda: bounds.separation_length2(1.0, 0, 1.0), "d must be an integer >= 1"),
        (lambda: bounds.separation_length2(1.0, 2.0, 1.0), "d must be an integer >= 1"),
        (lambda: bounds.separation_variance(np.nan, 1.0, 2), "length must be finite"),
        (lambda: bounds.separation_variance([[1.0], [1, 2]], 1.0, 2), "rectangular array"),
        (lambda: bounds.laurent_massart_threshold(3, 0.0), "delta must be > 0"),
        (lambda: bounds.laurent_massart_threshold(3, 1.5), "delta must lie in"),
        (lambda: bounds.orthogonal_remainder(THREE, 0, 0, 1.0), "two modes with different means"),
        (lambda: bounds.orthogonal_remainder(TWINS, 0, 1, 1.0), "two modes with different means"),
        (lambda: bounds.orthogonal_remainder(THREE, 0, 3, 1.0), "j must be an integer in 0..2"),
        (lambda: bounds.segment_remainder(THREE, -1, 1, 1.0), "i must be an integer in 0..2"),
        (lambda: bounds.responsibility_bound(THREE, 0, 1, [1.0], [2]), "nearest must hold 0 or 1"),
        (lambda: bounds.responsibility_bound(THREE, 0, 1, [1.0], [0, 1]), "nearest must hold"),
        (lambda: bounds.tube_distance(1.0, 0.1, 0.2, 0.0), "v_start >= v_end"),
        (lambda: bounds.tube_distance(-1.0, 0.2, 0.1, 0.0), "distance must be >= 0"),
        (lambda: bounds.tube_distance_u(1.0, -0.1, 0.0), "u must be >= 0"),
        (lambda: bounds.convex_set_rate([0.0], [0.5, 0.5], [1.0, 1]), "shapes must be"),
        (lambda: bounds.growth_exponent(0.0, 0.2, 0.1), "diameter must be > 0"),
        (lambda: bounds.tracking_rate(THREE, 0, 0.5, 0.1), "half the distance"),
        (lambda: bounds.ball_pull(THREE, 0, 0.0, 0.1), "radius must be > 0"),
        (lambda: bounds.log_midpoint_probability(1.0, 0.1, 0.1, 0.1), "v_start - v_end"),
        (lambda: bounds.log_midpoint_terms(0.1, 1.0, -1.0, 1.0, 1.0), "drift_integral must be"),
        (lambda: bounds.exit_time(-1.0, 1.0), "log_radius_over_start must be >= 0"),
    ],
)
def test_a_value_that_breaks_a_rule_is_named_with_the_rule(call, rule):
    with pytest.raises(InputError, match=rule) as caught:
        call()
    assert caught.value.remedy


@pytest.mark.parametrize(
    "call",
    [
        lambda: bounds.mixture_growth_exponent(PER_MODE, 0.2, 0.1),
        lambda: bounds.ball_pull(PER_MODE, 0, 0.1, 0.1),
        lambda: bounds.mixture_growth_exponent(GaussianMixture([[1.0]], 0.1), 0.2, 0.1),
        lambda: bounds.paper_trap(1.0, 0.25, 0.1),
    ],
)
def test_a_bound_outside_its_hypotheses_is_not_applicable(call):
    with pytest.raises(NotApplicableError):
        call()


def test_bounds_broadcast_over_arrays_of_levels_as_over_numbers():
    v = np.array([0.3, 0.2, 0.1])
    cases = [
        (lambda x: bounds.growth_exponent(1.0, 0.4, x), v),
        (lambda x: bounds.tube_distance(0.5, 0.4, x, 0.01), v),
        (lambda x: bounds.log_midpoint_probability(1.0, 0.1, 0.4, x), v),
        (lambda x: bounds.tracking_rate(THREE, 0, 0.2, x), v),
        (lambda x: bounds.orthogonal_remainder(THREE, 0, 1, x), v),
        (lambda x: bounds.critical_log_weight_ratio(x), 1.0 / v),
    ]
    for function, values in cases:
        assert function(values) == pytest.approx([float(function(x)) for x in values], rel=1e-15)


def test_a_pair_without_other_modes_has_no_remainder():
    pair = GaussianMixture([[0.0], [1.0]], 0.1)
    assert bounds.orthogonal_remainder(pair, 0, 1, 1.0) == 0.0
    assert bounds.segment_remainder(pair, 0, 1, 1.0) == 0.0
    assert bounds.parallel_excess(pair, 0, 1, 1.0) == 0.0
