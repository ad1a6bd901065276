"""A mixture is recognised as a product of 1-D mixtures exactly when it is one."""

import itertools

import numpy as np
import pytest

from mixdyn import GaussianMixture, presets


def product(axes, weights, rng=None):
    """Means on the full grid with product weights, in random order."""
    means = np.array(list(itertools.product(*axes)))
    w = np.array([np.prod(row) for row in itertools.product(*weights)])
    order = np.arange(len(means)) if rng is None else rng.permutation(len(means))
    return GaussianMixture(means[order], 0.1, w[order])


AXES = [[0.0, 1.0, 3.0], [-1.0, 2.0], [0.5]]
WEIGHTS = [[0.2, 0.3, 0.5], [0.6, 0.4], [1.0]]


def test_a_shuffled_product_is_recognised_with_its_axes_and_weights():
    axes = product(AXES, WEIGHTS, np.random.default_rng(0)).product_axes()
    assert [values.tolist() for values, _ in axes] == AXES
    for (_, found), expected in zip(axes, WEIGHTS, strict=True):
        assert np.allclose(found, expected, rtol=1e-15)


def test_the_standard_grid_is_a_product_and_the_diamond_is_not():
    axes = presets.grid().product_axes()
    assert [len(values) for values, _ in axes] == [5, 5]
    assert presets.grid(rotate=np.pi / 4).product_axes() is None


def test_a_missing_corner_a_moved_mode_and_unequal_sigmas_are_no_products():
    means = presets.grid(3).means.copy()
    assert GaussianMixture(means[:-1], 0.1).product_axes() is None
    moved = means.copy()
    moved[4, 0] += 1e-3
    assert GaussianMixture(moved, 0.1).product_axes() is None
    assert GaussianMixture(means, np.linspace(0.1, 0.2, 9)).product_axes() is None


def test_a_cell_taken_twice_for_another_left_empty_is_no_product():
    means = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    assert GaussianMixture(means, 0.1, allow_duplicates=True).product_axes() is None


@pytest.mark.parametrize(("ulps", "recognised"), [(2, True), (64, False)])
def test_weights_count_as_a_product_up_to_rounding_only(ulps, recognised):
    w = np.outer([0.25, 0.75], [0.5, 0.5]).ravel()
    w[0] += ulps * np.spacing(w[0])
    mixture = GaussianMixture([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], 0.1, w)
    assert (mixture.product_axes() is not None) == recognised


@pytest.mark.parametrize(
    "mixture", [presets.two_modes(d=100), GaussianMixture(np.zeros((1, 200)), 1.0)]
)
def test_more_dimensions_than_a_numpy_array_has_axes_are_no_obstacle(mixture):
    axes = mixture.product_axes()
    assert len(axes) == mixture.d
    assert np.prod([len(values) for values, _ in axes]) == mixture.N
    assert all(abs(w.sum() - 1) < 1e-15 for _, w in axes)


def test_one_dimension_is_its_own_product():
    mixture = GaussianMixture([[2.0], [0.0]], 0.1, [0.25, 0.75])
    ((values, weights),) = mixture.product_axes()
    assert (values.tolist(), weights.tolist()) == ([0.0, 2.0], [0.75, 0.25])
