"""What claims about traps share: pairs, deep flows, the basins' boundary, distances to hulls."""

import math

import numpy as np
import pytest

from mixdyn import GaussianMixture, bounds, geometry, oracles, presets
from mixdyn.support.errors import NotApplicableError
from verify.ledger.relations import Outcome
from verify.measure.convex import distance_to_hull
from verify.measure.midpoint import traps


def test_the_neighbours_of_the_grid_are_its_40_edges():
    mixture = presets.grid()
    pairs = traps.neighbour_pairs(mixture, 60)
    edges = {(p.i, p.j) for p in pairs if p.length == pytest.approx(pairs[0].length, rel=1e-9)}
    assert edges == set(geometry.nearest_pairs(mixture))
    # The diagonals of a square share their midpoint: no third mode is nearer than its own ends.
    assert len(traps.of_distinct_length(pairs)) == 2


def test_a_pair_with_a_mode_between_is_no_pair_of_neighbours():
    line = presets.line(4)
    assert [(p.i, p.j) for p in traps.neighbour_pairs(line, 10)] == [(0, 1), (1, 2), (2, 3)]


def test_modes_that_coincide_make_no_pair():
    twice = GaussianMixture([[0.0], [0.0], [1.0]], 0.1, allow_duplicates=True)
    with pytest.raises(NotApplicableError, match="different places"):
        traps.neighbour_pairs(twice, 3)


def test_the_papers_regime_starts_at_raw_time_22(own_case):
    case = own_case
    length = traps.neighbour_pairs(case.mixture, 1)[0].length
    v = case.schedule.effective_variance(case.mixture.sigma)
    assert traps.node_variances(case)[traps.regime_node(case, length)] == v[22]
    assert traps.node_below(case, 0.9 * v[1]) is None


@pytest.mark.parametrize("fraction", [1e-6, 0.15, 0.35, 0.45])
@pytest.mark.parametrize(("k_start", "k_end"), [(6.0, 40.0), (70.0, 3000.0)])
def test_the_flow_of_log_distance_meets_ball_arithmetic_to_seven_digits(fraction, k_start, k_end):
    log_start = traps.flow_of_log_distance(math.log(fraction), k_end, k_start)[0]
    truth = traps.exact_log_trap(1.0, fraction, 1.0 / k_start, 1.0 / k_end)
    assert abs(log_start - truth) < 1e-7
    back = traps.flow_of_log_distance(log_start, k_start, k_end)[0]
    assert abs(back - math.log(fraction)) < 1e-6


def test_far_below_the_linear_range_log_distance_grows_by_the_exponent():
    exponent = float(bounds.growth_exponent(1.0, 1 / 5.0, 1 / 200.0))
    start = np.array([-1e4, -500.0])
    grown = traps.flow_of_log_distance(start, 5.0, 200.0) - start
    assert grown == pytest.approx(np.full(2, exponent), abs=1e-6)


def test_the_flow_of_log_distance_meets_the_trap_at_any_depth():
    for k_end in (1e6, 1e8):  # 1e-27,000 and 1e-2,700,000
        truth = traps.exact_log_trap(1.0, 0.15, 1 / 5.0, 1 / k_end)
        start = traps.flow_of_log_distance(math.log(0.15), k_end, 5.0)[0]
        assert truth < -0.06 * k_end
        assert start == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("fraction", [0.15, 0.35, 0.45])
@pytest.mark.parametrize("k_end", [5e6, 1e8, 1e10])
def test_rounding_near_the_rim_spoils_a_deep_trap_by_its_share_of_k_and_no_more(fraction, k_end):
    truth = traps.exact_log_trap(1.0, fraction, 1 / 1800.0, 1 / k_end)
    start = traps.flow_of_log_distance(math.log(fraction), k_end, 1800.0)[0]
    assert abs(start - truth) < traps.log_error(k_end)
    found = traps.against_truth(start, truth, k_end).comparison
    assert found.outcome is Outcome.HOLDS
    assert found.resolution == pytest.approx(1e-6 + float(traps.log_error(k_end)), rel=1e-9)
    apart = 2.0 * found.resolution
    assert traps.against_truth(start + apart, truth, k_end).comparison.outcome is Outcome.FAILS


def test_the_exit_clock_inverts_the_flow():
    log_start, log_radius, k_start, k_end = math.log(1e-4), math.log(1e-2), 8.0, 100.0
    u = traps.exit_clock(log_start, log_radius, k_start, k_end)
    reached = traps.flow_of_log_distance(log_start, k_start, k_start * math.exp(2 * u))[0]
    assert reached == pytest.approx(log_radius, abs=1e-7)
    assert traps.exit_clock(-500.0, log_radius, k_start, 8.1) == math.inf


@pytest.mark.parametrize("ratio", [0.1, 1.0, 3.0])
def test_the_flow_carries_the_separatrix_along(ratio):
    b = math.log(ratio)
    two = traps.two_modes(1.0, 0.1, b)
    start, end = (traps.separatrix(1.0, b, v) for v in (0.2, 0.03))
    assert oracles.flow_map(two, [[start]], 0.2, 0.03)[0, 0] == pytest.approx(end, abs=1e-12)
    assert start * b <= 0.0  # towards the lighter mode


def test_two_modes_have_the_weight_ratio_asked_for():
    for b in (-600.0, -2.0, 0.0, 3.0):
        weights = traps.two_modes(1.0, 0.1, b).weights
        assert math.log(weights[1]) - math.log(weights[0]) == pytest.approx(b, abs=1e-12)


def test_the_self_consistent_radius_is_the_least_one():
    mixture = GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.0, 1.3]], 0.1, [0.3, 0.5, 0.2])
    for v in (0.1, 0.06, 0.03):
        radius = traps.self_consistent_radius(mixture, 0, 1.0, v)
        assert bounds.ball_pull(mixture, 0, radius, v) <= radius
        smaller = radius * (1 - 1e-4)
        assert bounds.ball_pull(mixture, 0, smaller, v) > smaller
    assert traps.self_consistent_radius(mixture, 0, 1.0, 1.0) is None


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_hull_of_two_points_is_the_segment(d):
    rng = np.random.default_rng(d)
    a, b = rng.standard_normal((2, d))
    y = 3.0 * rng.standard_normal((200, d))
    segment = geometry.distance_to_segment(y, a, b)
    assert distance_to_hull(y, np.array([a, b])) == pytest.approx(segment, abs=1e-13)


def test_the_distance_to_a_hull_meets_its_variational_inequality():
    """D = |y - p| for p in the hull, and no vertex lies beyond the plane through p."""
    rng = np.random.default_rng(7)
    vertices, y = rng.standard_normal((7, 3)), 2.0 * rng.standard_normal((300, 3))
    distance = distance_to_hull(y, vertices)
    assert 0.02 < np.mean(distance < 1e-12) < 0.9
    # The distance's gradient is (y - p)/D; D - <gradient, y> is minus the hull's support function.
    for point, gap in zip(y, distance, strict=True):
        if gap < 1e-9:
            continue
        step = 1e-6
        moved = distance_to_hull(point + step * np.eye(3), vertices)
        gradient = (moved - gap) / step
        assert np.linalg.norm(gradient) == pytest.approx(1.0, abs=1e-4)
        support = (vertices @ gradient).max()
        assert point @ gradient - support == pytest.approx(gap, abs=1e-4)


def test_modes_of_a_hull_are_in_it():
    vertices = presets.ring(6).means
    assert distance_to_hull(vertices, vertices).max() < 1e-15
