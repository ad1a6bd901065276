"""Dominance margin, tau_1 and tau_2 on cases known by hand and on the standard problem."""

import numpy as np
import pytest

from mixdyn import dynamics, presets
from mixdyn.geometry import nearest_pairs
from mixdyn.geometry.dynamics import NEVER
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.support.errors import InputError

LINE = GaussianMixture([[0.0], [1.0], [3.0]], 0.1)
SCHEDULE = NoiseSchedule.linear()


def test_the_best_margin_compares_the_third_nearest_mode_with_the_nearest():
    margin = dynamics.dominance_margin(LINE, np.array([[0.25]]), 0.5)
    assert margin[0] == 2.75**2 - 0.25**2


def test_the_margin_of_a_fixed_pair_is_negative_where_a_third_mode_is_nearest():
    y = np.array([[0.25], [2.5]])
    np.testing.assert_array_equal(
        dynamics.dominance_margin(LINE, y, 1.0, pair=(1, 0)),
        [(2.75**2 - 0.25**2) / 2, (0.5**2 - 1.5**2) / 2],
    )


def test_two_modes_always_dominate():
    two = presets.two_modes()
    assert dynamics.dominance_margin(two, np.zeros((1, 1)), 1.0)[0] == np.inf
    assert dynamics.dominance_margin(two, np.zeros((1, 1)), 1.0, pair=(0, 1))[0] == np.inf


@pytest.mark.parametrize(("kappa", "raw", "steps"), [(7.0, 25, 9), (20.0, 13, 7), (2.0, 51, 13)])
def test_neighbours_of_the_standard_grid_separate_at_the_documented_times(kappa, raw, steps):
    grid = presets.grid()
    tau = dynamics.tau_2(grid, SCHEDULE, kappa)
    assert {int(tau[i, j]) for i, j in nearest_pairs(grid)} == {raw}
    assert dynamics.steps_left(TimeGrid.quadratic(1000, 50).times, raw) == steps


def test_separation_holds_at_tau_2_and_not_one_step_earlier():
    grid = presets.farthest_point(6, 9)
    tau = dynamics.tau_2(grid, SCHEDULE, 3.0)
    v = SCHEDULE.effective_variance(grid.sigma)
    for i, j in [(0, 1), (2, 7)]:
        length2 = float(np.square(grid.means[i] - grid.means[j]).sum())
        assert length2 >= 4 * 3.0 * 6 * v[tau[i, j]]
        assert length2 < 4 * 3.0 * 6 * v[tau[i, j] + 1]


def test_modes_closer_than_their_own_width_are_never_separated():
    close = presets.two_modes(separation=0.1, sigma=0.05)
    np.testing.assert_array_equal(dynamics.tau_2(close, SCHEDULE, 1.5), np.full((2, 2), NEVER))


def _trajectory(times, points):
    """States x_t of one sample that sits at the given static positions."""
    y = np.asarray(points, dtype=float)[:, None, None]
    return SCHEDULE.alpha[np.asarray(times)][:, None, None] * y


def test_the_three_crossings_differ_when_the_margin_is_not_monotone():
    # At 2.5 the squared distances are 6.25, 2.25, 0.25: the third mode is 6 behind the nearest. At
    # 1.5 they are 2.25, 0.25, 2.25, so with a slack above 2 no pair dominates. At 0.5 modes 0
    # and 1 tie.
    times = np.array([6, 5, 4, 3, 2, 1, 0])
    x = _trajectory(times, [2.5, 1.5, 2.5, 2.5, 0.5, 0.5, 0.5])
    v = SCHEDULE.effective_variance(0.1)
    kappa = 2.1 / (2 * v[5])
    found = dynamics.tau_1(LINE, SCHEDULE, times, x, kappa)
    assert (found.first[0], found.last[0], found.last_fixed[0]) == (6, 4, 2)
    np.testing.assert_array_equal(found.pair[0], [0, 1])
    weaker = dynamics.tau_1(LINE, SCHEDULE, times, x, 1.9 / (2 * v[5]))
    assert (weaker.first[0], weaker.last[0], weaker.last_fixed[0]) == (6, 6, 2)


def test_one_dominant_mode_leaves_its_partner_open():
    times = np.array([3, 2])
    found = dynamics.tau_1(LINE, SCHEDULE, times, _trajectory(times, [3.0, 3.0]), 10.0)
    np.testing.assert_array_equal(found.pair[0], [2, NEVER])
    assert found.last_fixed[0] == 3


def test_a_sample_that_is_never_dominated_reports_never():
    square = GaussianMixture([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 0.1)
    times = np.array([2, 1, 0])
    x = 0.5 * SCHEDULE.alpha[times][:, None, None] * np.ones((1, 1, 2))
    found = dynamics.tau_1(square, SCHEDULE, times, x, 1.0)
    assert (found.first[0], found.last[0], found.last_fixed[0]) == (NEVER, NEVER, NEVER)
    np.testing.assert_array_equal(found.pair[0], [NEVER, NEVER])


def test_a_first_crossing_that_is_lost_again_has_no_last_crossing():
    times = np.array([1, 0])
    found = dynamics.tau_1(LINE, SCHEDULE, times, _trajectory(times, [0.0, 1.5]), 110.0)
    assert (found.first[0], found.last[0]) == (1, NEVER)


@pytest.mark.parametrize("times", [[0, 1], [1001, 0], [2, 2], [1.0, 0.0], [1, -1], []])
def test_times_that_are_not_decreasing_schedule_times_are_refused(times):
    with pytest.raises(InputError, match=r"times must be integers in 0..1000 that decrease"):
        dynamics.tau_1(LINE, SCHEDULE, np.array(times), np.zeros((2, 1, 1)), 1.0)


def test_a_trajectory_that_does_not_match_its_times_is_refused():
    for shape in ((3, 1, 1), (2, 1, 2), (2, 0, 1)):
        with pytest.raises(InputError, match=r"trajectory must have shape \(2, n, 1\)"):
            dynamics.tau_1(LINE, SCHEDULE, np.array([1, 0]), np.zeros(shape), 1.0)


def test_crossings_of_a_single_mode_are_refused():
    single = GaussianMixture([[0.0]], 0.1)
    calls = (
        lambda: dynamics.tau_2(single, SCHEDULE, 1.0),
        lambda: dynamics.tau_1(single, SCHEDULE, np.array([1]), np.zeros((1, 1, 1)), 1.0),
        lambda: dynamics.dominance_margin(single, np.zeros((1, 1)), 1.0),
    )
    for call in calls:
        with pytest.raises(InputError, match="at least two modes"):
            call()


@pytest.mark.parametrize("pair", [(0, 0), (0, 3), (-1, 1)])
def test_a_margin_for_a_pair_that_does_not_exist_is_refused(pair):
    with pytest.raises(InputError):
        dynamics.dominance_margin(LINE, np.zeros((1, 1)), 1.0, pair=pair)
