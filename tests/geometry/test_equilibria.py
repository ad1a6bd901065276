"""Fixed points of the mean field: modes, saddles, and the failures that must be loud."""

import math

import numpy as np
import pytest

from mixdyn import dynamics, presets
from mixdyn.geometry import nearest_pairs, pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import ConvergenceError, InputError, NotApplicableError

SCHEDULE = NoiseSchedule.linear()


def test_the_midpoint_of_two_symmetric_modes_is_an_equilibrium_at_every_v():
    two = presets.two_modes(separation=2.0, d=2)
    for v in (0.004, 0.5, 1.0, 7.0):
        found = dynamics.equilibrium(two, v, np.zeros(2))
        assert found.residual == 0.0
        assert found.n_iter == 0
        np.testing.assert_allclose(found.eigenvalues, [-1.0, 1.0 / v - 1.0], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("t", [1, 10, 22, 34])
def test_grid_neighbours_have_a_saddle_near_their_midpoint_with_the_two_mode_eigenvalues(t):
    grid = presets.grid()
    v = SCHEDULE.effective_variance(grid.sigma)[t]
    edge = pair(grid, *nearest_pairs(grid)[0])  # on the rim: the other modes pull to one side
    found = dynamics.saddle(grid, edge, v)
    stiffness = edge.length**2 / v
    leak = math.exp(-stiffness / 2)  # weight of the modes one step away from the segment
    assert np.linalg.norm(found.point - edge.midpoint) <= 4 * leak * edge.length + 1e-12
    np.testing.assert_allclose(
        found.eigenvalues, [-1.0, stiffness / 4 - 1], atol=8 * stiffness * leak, rtol=1e-9
    )


def test_the_saddle_of_unequal_weights_moves_towards_the_lighter_mode():
    two = presets.two_modes(separation=2.0, weights=[0.1, 0.9])
    p = pair(two, 1, 0)
    for v in (0.1, 0.01, 1e-4):
        found = dynamics.saddle(two, p, v)
        a = p.coordinates(found.point[None])[0][0]
        assert a < 0.5  # towards mode j = 0, the lighter one
        stiffness = 4.0 / v
        logit = math.log(a / (1 - a))
        assert abs(logit - math.log(9.0) - stiffness * (a - 0.5)) <= 1e-12 * stiffness
        np.testing.assert_allclose(found.eigenvalues, [stiffness * a * (1 - a) - 1], rtol=1e-9)


@pytest.mark.parametrize(
    ("weights", "v"), [([0.5, 0.5], 1.0), ([0.5, 0.5], 2.0), ([0.1, 0.9], 0.5)]
)
def test_without_a_two_mode_saddle_the_refusal_says_what_it_takes(weights, v):
    two = presets.two_modes(separation=2.0, weights=weights)
    with pytest.raises(NotApplicableError, match=r"need l\^2 > 4 v"):
        dynamics.saddle(two, pair(two, 0, 1), v)


def test_the_existence_limit_for_unequal_weights_is_sharp():
    v = 0.5
    s = math.sqrt(1 - v)
    limit = 2 / v * s - 2 * math.atanh(s)
    for shift, exists in ((-1e-6, True), (1e-6, False)):
        ratio = math.exp(limit + shift)
        two = presets.two_modes(separation=2.0, weights=[ratio, 1.0])
        if exists:
            assert 0 < dynamics.saddle(two, pair(two, 0, 1), v).eigenvalues[-1] < 0.01
        else:
            with pytest.raises(NotApplicableError):
                dynamics.saddle(two, pair(two, 0, 1), v)


def test_a_mode_between_two_others_removes_their_saddle():
    line = presets.line(3)
    with pytest.raises(NotApplicableError, match="in the full mixture"):
        dynamics.saddle(line, pair(line, 0, 2), 0.01)


def test_a_light_mode_in_the_middle_makes_the_midpoint_stable_before_the_pair_merges():
    # The outer pair alone would part at l^2 / v = 4.44, but the middle mode shrinks the variance.
    line = GaussianMixture([[0.0], [1.0], [2.0]], 0.1, [0.45, 0.1, 0.45])
    outer = 0.45 * math.exp(-0.5 / 0.9)
    growth = 2 * outer / (2 * outer + 0.1) / 0.9 - 1
    np.testing.assert_allclose(
        dynamics.equilibrium(line, 0.9, np.array([1.0])).eigenvalues, [growth], rtol=1e-13
    )
    assert growth < 0
    with pytest.raises(NotApplicableError, match=r"largest eigenvalue -0\.0"):
        dynamics.saddle(line, pair(line, 0, 2), 0.9)


def test_the_saddle_of_another_pair_is_not_passed_off_as_this_ones():
    # Between 0 and 2.2 Newton does find an unstable point, but it parts 0 from 2.
    line = GaussianMixture([[0.0], [2.0], [2.2]], 0.01)
    theirs = dynamics.saddle(line, pair(line, 0, 1), 0.1)
    with pytest.raises(NotApplicableError, match="for a third"):
        dynamics.saddle(line, pair(line, 0, 2), 0.1)
    reached = dynamics.equilibrium(line, 0.1, np.array([1.1]))
    np.testing.assert_allclose(reached.point, theirs.point, rtol=1e-12)


def test_the_centre_of_a_square_is_unstable_in_both_directions():
    grid = presets.grid(side=2, normalize=False)
    found = dynamics.saddle(grid, pair(grid, 0, 3), 0.1)
    np.testing.assert_allclose(found.point, [0.0, 0.0], atol=1e-13)
    np.testing.assert_allclose(found.eigenvalues, [9.0, 9.0], rtol=1e-12)


def test_newton_from_each_mode_of_the_grid_finds_a_stable_equilibrium_beside_it():
    grid = presets.grid()
    for mode in grid.means:
        found = dynamics.equilibrium(grid, 0.02, mode)
        leak = math.exp(-(0.5 / (2 * 0.02)))
        assert np.linalg.norm(found.point - mode) <= 4 * leak
        assert found.eigenvalues[-1] < -0.99


def test_newton_reaches_the_only_equilibrium_of_a_very_noisy_mixture_from_afar():
    grid = presets.grid()
    found = dynamics.equilibrium(grid, 50.0, np.array([1e3, -40.0]))
    np.testing.assert_allclose(found.point, [0.0, 0.0], atol=1e-11)
    assert found.n_iter <= 30


def test_a_fixed_point_that_has_just_vanished_is_a_convergence_error():
    # Past the fold the field has a near miss, not a root, where the lighter mode used to be.
    v = 0.5
    s = math.sqrt(1 - v)
    limit = 2 / v * s - 2 * math.atanh(s)
    two = presets.two_modes(separation=2.0, weights=[1.0, math.exp(limit + 1e-3)])
    with pytest.raises(ConvergenceError, match="may have merged with another"):
        dynamics.equilibrium(two, v, np.array([-s]))


@pytest.mark.parametrize("start", [np.zeros(3), np.zeros((2, 2)), np.array([np.nan, 0.0])])
def test_a_start_that_is_not_one_finite_point_is_refused(start):
    with pytest.raises(InputError, match=r"^y0 must"):
        dynamics.equilibrium(presets.grid(), 1.0, start)
