"""The classification rule: true mode, interpolation, invalid."""

import math

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.geometry import Region, classify, mode_radius
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.errors import InputError

TRUE, BETWEEN, INVALID = Region.TRUE_MODE, Region.INTERPOLATION, Region.INVALID


def test_codes_are_the_documented_numbers():
    assert (int(TRUE), int(BETWEEN), int(INVALID)) == (0, 1, 2)


def test_five_sigma_bound_the_mode_and_the_segment():
    mixture = GaussianMixture([[0.0, 0.0], [4.0, 0.0]], 0.125)  # radius 0.625, exact in binary
    x = np.array(
        [
            [0.0, 0.625],
            [0.0, 0.6251],
            [0.6251, 0.0],
            [2.0, 0.625],
            [2.0, 0.6251],
            [-0.6251, 0.0],
            [4.0, -0.5],
        ]
    )
    expected = [TRUE, INVALID, BETWEEN, BETWEEN, INVALID, INVALID, TRUE]
    np.testing.assert_array_equal(classify(mixture, x), expected)


def test_only_the_segment_of_the_two_nearest_modes_counts():
    # (2, 2) lies on the diagonal 0-3, but its two nearest modes are 4 and 0, a segment off it.
    means = [[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0], [2.0, 4.0]]
    mixture = GaussianMixture(means, 0.1)
    assert classify(mixture, np.array([[2.0, 2.0]]))[0] == INVALID
    assert classify(GaussianMixture(means[:1] + means[3:4], 0.1), np.array([[2.0, 2.0]]))[0] == (
        BETWEEN
    )


@pytest.mark.parametrize(
    ("d", "factor"), [(1, 5.0), (10, 5.0), (11, math.sqrt(11) + 4), (64, 12.0)]
)
def test_above_ten_dimensions_the_radius_grows_with_the_root_of_the_dimension(d, factor):
    mixture = presets.two_modes(separation=100.0, sigma=0.5, d=d)
    np.testing.assert_allclose(mode_radius(mixture), [0.5 * factor] * 2, rtol=1e-15)
    x = np.zeros((2, d))
    x[:, 0] = 50.0 + 0.5 * factor * np.array([1 - 1e-12, 1 + 1e-12])
    np.testing.assert_array_equal(classify(mixture, x), [TRUE, INVALID])


def test_each_mode_has_the_radius_of_its_own_sigma_and_a_segment_the_larger_one():
    mixture = GaussianMixture([[0.0, 0.0], [10.0, 0.0]], [0.1, 0.4])  # radii 0.5 and 2
    x = np.array([[0.6, 0.0], [8.1, 0.0], [0.0, 0.6], [5.0, 1.9], [5.0, 2.1], [-0.6, 0.0]])
    expected = [BETWEEN, TRUE, BETWEEN, BETWEEN, INVALID, BETWEEN]
    np.testing.assert_array_equal(classify(mixture, x), expected)


def test_a_sample_of_a_wide_mode_is_true_where_a_narrow_mode_is_nearer():
    mixture = GaussianMixture([[0.0], [2.0]], [0.01, 1.0])
    assert classify(mixture, np.array([[0.5]]))[0] == TRUE


def test_modes_with_one_mean_are_one_place_of_the_largest_radius():
    means, x = [[0.0, 0.0], [0.0, 0.0], [3.0, 0.0]], np.array([[1.4, 0.0], [2.2, 0.3], [1.4, 1.2]])
    narrow = GaussianMixture(means, [0.1, 0.2, 0.05])  # the pair of one place has no segment
    np.testing.assert_array_equal(classify(narrow, x), [BETWEEN, BETWEEN, INVALID])
    wide = GaussianMixture(means, [0.1, 1.0, 0.2])
    np.testing.assert_array_equal(classify(wide, np.array([[1.5, 0.0], [-4.9, 0.0]])), [TRUE, TRUE])
    alone = GaussianMixture(means[:2], [0.1, 0.2])
    np.testing.assert_array_equal(
        classify(alone, np.array([[0.9, 0.0], [1.1, 0.0]])), [TRUE, INVALID]
    )


def test_with_one_mode_everything_is_true_or_invalid():
    mixture = GaussianMixture([[0.0]], 1.0)
    np.testing.assert_array_equal(classify(mixture, np.array([[4.9], [5.1]])), [TRUE, INVALID])


def test_the_code_of_a_point_does_not_depend_on_the_batch_it_comes_in():
    mixture = presets.grid()
    x = np.random.default_rng(0).uniform(-1.6, 1.6, size=(30_000, 2))
    whole = classify(mixture, x)
    pieces = np.concatenate([classify(mixture, part) for part in np.array_split(x, 7)])
    np.testing.assert_array_equal(whole, pieces)
    assert set(np.unique(whole)) == {0, 1, 2}


@pytest.mark.parametrize("bad", [np.zeros((0, 2)), np.zeros((4, 3)), [[np.inf, 0.0]]])
def test_points_that_are_not_finite_rows_of_the_right_width_are_refused(bad):
    with pytest.raises(InputError, match=r"^x must"):
        classify(presets.grid(), bad)
