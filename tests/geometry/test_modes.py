"""Pairs, segments, tubes and nearest pairs on cases known by hand; the rule of classification."""

import math

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.geometry import (
    Region,
    classify,
    distance_to_segment,
    mode_radius,
    nearest_pairs,
    pair,
    pairwise_distances,
    row_blocks,
    two_nearest,
)
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.errors import InputError

# -- pairs -----------------------------------------------------------------------------------------


TRIANGLE = GaussianMixture([[4.0, 0.0], [0.0, 0.0], [0.0, 3.0]], 0.1)


def test_a_pair_has_length_direction_and_midpoint_from_j_to_i():
    p = pair(TRIANGLE, 0, 1)
    assert (p.i, p.j, p.length) == (0, 1, 4.0)
    np.testing.assert_array_equal(p.direction, [1.0, 0.0])
    np.testing.assert_array_equal(p.midpoint, [2.0, 0.0])


def test_coordinates_are_one_at_mode_i_zero_at_mode_j_and_half_at_the_midpoint():
    p = pair(TRIANGLE, 2, 1)
    a, xi = p.coordinates(np.array([[0.0, 3.0], [0.0, 0.0], [5.0, 1.5]]))
    np.testing.assert_array_equal(a, [1.0, 0.0, 0.5])
    np.testing.assert_array_equal(xi, [[0.0, 0.0], [0.0, 0.0], [5.0, 0.0]])


def test_bisector_coordinate_is_signed_towards_mode_i():
    p = pair(TRIANGLE, 0, 1)
    y = np.array([[4.0, 7.0], [0.0, -1.0], [2.0, 9.0]])
    np.testing.assert_array_equal(p.bisector_coordinate(y), [2.0, -2.0, 0.0])


def test_orthogonal_distance_ignores_the_position_along_the_line():
    p = pair(TRIANGLE, 0, 1)
    np.testing.assert_array_equal(
        p.orthogonal_distance(np.array([[100.0, 2.0], [-3.0, -2.0]])), [2.0, 2.0]
    )


def test_pair_arrays_cannot_be_written():
    p = pair(TRIANGLE, 0, 1)
    for values in (p.mu_i, p.direction, p.midpoint):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1.0


def test_segment_distance_is_to_the_nearest_end_beyond_the_ends():
    y = np.array([[-3.0, 4.0], [7.0, 4.0], [2.0, 4.0]])
    np.testing.assert_array_equal(distance_to_segment(y, [0.0, 0.0], [4.0, 0.0]), [5.0, 5.0, 4.0])


@pytest.mark.parametrize(("eps_seg", "expected"), [(0.0, 3.0), (0.5, 1.0), (0.75, 0.0), (9.0, 0.0)])
def test_extension_is_a_share_of_the_length_at_both_ends(eps_seg, expected):
    y = np.array([[7.0, 0.0], [-3.0, 0.0]])
    distance = distance_to_segment(y, [0.0, 0.0], [4.0, 0.0], eps_seg)
    np.testing.assert_array_equal(distance, [expected, expected])


def test_a_segment_of_length_zero_is_a_point_whatever_its_extension():
    y = np.array([[3.0, 4.0]])
    assert distance_to_segment(y, [0.0, 0.0], [0.0, 0.0], 2.0)[0] == 5.0


def test_segments_may_differ_from_row_to_row():
    y = np.array([[0.0, 1.0], [0.0, 1.0]])
    ends = np.array([[1.0, 0.0], [0.0, 0.5]])
    np.testing.assert_array_equal(distance_to_segment(y, np.zeros((2, 2)), ends), [1.0, 0.5])


def test_a_wrong_number_of_segments_is_refused_with_the_rule():
    with pytest.raises(InputError, match="one for each of the 3 points"):
        distance_to_segment(np.zeros((3, 2)), np.zeros((2, 2)), np.ones(2))


@pytest.mark.parametrize("eps_seg", [-0.1, float("nan"), float("inf")])
def test_a_negative_or_infinite_extension_is_refused(eps_seg):
    with pytest.raises(InputError, match="eps_seg"):
        distance_to_segment(np.zeros((1, 2)), np.zeros(2), np.ones(2), eps_seg)


def test_pairwise_distances_of_a_3_4_5_triangle():
    expected = [[0.0, 4.0, 5.0], [4.0, 0.0, 3.0], [5.0, 3.0, 0.0]]
    np.testing.assert_array_equal(pairwise_distances(TRIANGLE.means), expected)


def test_the_five_by_five_grid_has_forty_nearest_pairs_of_one_length():
    grid = presets.grid()
    pairs = nearest_pairs(grid)
    lengths = [pair(grid, i, j).length for i, j in pairs]
    assert len(pairs) == len(set(pairs)) == 40
    assert all(i < j for i, j in pairs)
    np.testing.assert_allclose(lengths, 0.70709, rtol=2e-6)


def test_the_rotated_grid_keeps_its_forty_pairs_despite_rounding():
    assert nearest_pairs(presets.grid(rotate=0.7)) == nearest_pairs(presets.grid())


def test_two_nearest_orders_the_modes_by_distance():
    first, second, d_first, d_second = two_nearest(TRIANGLE.means, np.array([[0.0, 2.0]]))
    assert (first[0], second[0], d_first[0], d_second[0]) == (2, 1, 1.0, 2.0)


def test_two_nearest_gives_ties_to_the_lower_index():
    first, second, *_ = two_nearest(np.array([[1.0], [-1.0], [3.0]]), np.array([[0.0], [2.0]]))
    np.testing.assert_array_equal(first, [0, 0])
    np.testing.assert_array_equal(second, [1, 2])


def test_row_blocks_cover_every_row_once_and_hold_at_most_two_mebibytes():
    blocks = list(row_blocks(100_000, 25))
    covered = np.concatenate([np.arange(b.start, b.stop) for b in blocks])
    np.testing.assert_array_equal(covered, np.arange(100_000))
    assert max(b.stop - b.start for b in blocks) * 25 * 8 <= 2**21


SINGLE = GaussianMixture([[0.0, 0.0]], 0.1)


@pytest.mark.parametrize(
    "needs_a_pair",
    [
        lambda: pair(SINGLE, 0, 0),
        lambda: nearest_pairs(SINGLE),
        lambda: two_nearest(SINGLE.means, np.zeros((1, 2))),
    ],
)
def test_a_single_mode_is_refused_wherever_a_pair_is_needed(needs_a_pair):
    with pytest.raises(InputError, match=r"at least two modes; received 1 mode. Use a mixture"):
        needs_a_pair()


@pytest.mark.parametrize(("i", "j"), [(0, 3), (-1, 0), (0, 1.0), (True, 0)])
def test_an_index_that_names_no_mode_is_refused(i, j):
    with pytest.raises(InputError, match=r"must be an integer in 0..2"):
        pair(TRIANGLE, i, j)


def test_two_modes_at_one_place_form_no_pair():
    scale_mixture = GaussianMixture([[0.0], [0.0], [1.0]], [0.1, 0.2, 0.1])
    with pytest.raises(InputError, match="modes 0 and 1 with the same mean"):
        pair(scale_mixture, 0, 1)
    with pytest.raises(InputError, match="modes 0 and 1 with the same mean"):
        nearest_pairs(scale_mixture)
    with pytest.raises(InputError, match="same mean"):
        pair(TRIANGLE, 1, 1)


def test_points_of_the_wrong_width_are_refused():
    p = pair(TRIANGLE, 0, 1)
    for bad in (np.zeros((3, 1)), np.zeros(2), np.full((1, 2), np.nan)):
        with pytest.raises(InputError, match=r"^y must"):
            p.coordinates(bad)


# -- classes ---------------------------------------------------------------------------------------


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
