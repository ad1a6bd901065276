"""The presets are the mixtures of the papers, number by number."""

import itertools

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.support.errors import InputError


def unit_variance(mixture):
    centred = mixture.means - mixture.weights @ mixture.means
    per_axis = (mixture.weights @ centred**2).mean()
    return per_axis + mixture.sigma**2


def test_the_standard_problem_has_the_numbers_of_the_paper():
    mixture = presets.grid()
    scale = np.sqrt(8.0004)  # tr Cov / d of spacing 2: 2^2 * 2, plus 0.02^2
    raw = np.array(list(itertools.product([-4, -2, 0, 2, 4], repeat=2)))
    assert np.allclose(mixture.means, raw / scale, rtol=1e-15)
    assert np.isclose(mixture.sigma, 0.02 / scale, rtol=1e-15)
    assert f"{mixture.sigma:.7f}" == "0.0070709"
    assert f"{2 / scale:.5f}" == "0.70709"
    assert np.isclose(unit_variance(mixture), 1.0, rtol=1e-14)


def test_a_grid_without_normalisation_keeps_raw_units():
    mixture = presets.grid(3, 1.5, 0.1, normalize=False)
    assert np.unique(mixture.means).tolist() == [-1.5, 0.0, 1.5]
    assert mixture.sigma == 0.1


def test_the_diamond_has_the_modes_of_the_public_data_set():
    diamond = presets.diamond()
    # Five rows of five, from (-2, 0) to (2, 0) in steps of (0.5, 0.5) and (0.5, -0.5), times 2.
    raw = [(-4 + i + j, i - j) for i in range(5) for j in range(5)]
    scale = (0.05**2 + 8) ** 0.5
    assert np.allclose(np.sort(diamond.means, axis=0), np.sort(np.array(raw) / scale, axis=0))
    gaps = np.linalg.norm(diamond.means[:, None] - diamond.means, axis=2)
    assert round(float(gaps[gaps > 0].min()), 3) == 0.5
    assert round(diamond.sigma, 4) == 0.0177


def test_rotating_turns_the_grid_counterclockwise():
    grid, diamond = (
        presets.grid(2, normalize=False),
        presets.grid(2, normalize=False, rotate=np.pi / 4),
    )
    assert np.allclose(diamond.means, grid.means @ [[0.5**0.5, 0.5**0.5], [-(0.5**0.5), 0.5**0.5]])
    assert np.allclose(presets.grid(2, normalize=False, rotate=np.pi / 2).means[0], [1.0, -1.0])
    assert diamond.sigma == grid.sigma


def test_the_line_of_the_one_dimensional_experiment():
    assert presets.line(3).means.ravel().tolist() == [1.0, 2.0, 3.0]
    assert presets.line(3).sigma == 0.05
    assert presets.line(2, 3.0, d=3, start=-1.0).means.tolist() == [[-1, 0, 0], [2, 0, 0]]


def test_a_normalised_line_has_unit_variance_about_its_mean():
    mixture = presets.line(4, 2.0, 0.3, normalize=True)
    assert np.isclose(unit_variance(mixture), 1.0, rtol=1e-14)


def test_two_modes_are_symmetric_about_the_origin():
    mixture = presets.two_modes(3.0, 0.1, d=2, weights=[1, 3])
    assert mixture.means.tolist() == [[-1.5, 0], [1.5, 0]]
    assert mixture.weights.tolist() == [0.25, 0.75]


def test_a_ring_has_its_radius_and_equal_angles():
    mixture = presets.ring(7, 2.0)
    z = mixture.means[:, 0] + 1j * mixture.means[:, 1]
    assert np.allclose(z**7, 2.0**7, rtol=1e-13)
    assert len(np.unique(np.round(z, 9))) == 7


def brute_farthest(points, count):
    """Greedy farthest-point sampling, the slow way."""
    chosen = [0]
    for _ in range(count - 1):
        gaps = [min(np.sum((p - points[c]) ** 2) for c in chosen) for p in points]
        chosen.append(int(np.argmax(gaps)))
    return points[chosen]


def test_farthest_points_of_a_small_lattice_are_the_greedy_ones():
    lattice = np.array(list(itertools.product([-4.0, -2.0, 0.0, 2.0, 4.0], repeat=2)))
    mixture = presets.farthest_point(2, 9, normalize=False)
    assert (mixture.means == brute_farthest(lattice, 9)).all()
    assert {tuple(row) for row in mixture.means[:4]} == set(itertools.product([-4, 4], repeat=2))


@pytest.mark.parametrize("d", [8, 64])
def test_farthest_points_of_a_large_lattice_are_distinct_lattice_points_fixed_by_the_seed(d):
    mixture = presets.farthest_point(d, 25, normalize=False, seed=3)
    assert np.isin(mixture.means, [-4, -2, 0, 2, 4]).all()
    assert (mixture.means[0] == -4).all()
    assert len(np.unique(mixture.means, axis=0)) == 25
    assert mixture == presets.farthest_point(d, 25, normalize=False, seed=3)
    if 2**d > 100_000:  # else every corner is a candidate, and corners are the farthest
        assert mixture != presets.farthest_point(d, 25, normalize=False, seed=4)


@pytest.mark.parametrize("d", [2, 64])
def test_normalised_farthest_points_have_unit_variance(d):
    mixture = presets.farthest_point(d)
    assert mixture.N == 25
    assert np.isclose(unit_variance(mixture), 1.0, rtol=1e-13)


@pytest.mark.parametrize(
    "build",
    [
        lambda: presets.grid(0),
        lambda: presets.grid(True),
        lambda: presets.grid(2.0),
        lambda: presets.grid(spacing=0.0),
        lambda: presets.grid(sigma=-1.0),
        lambda: presets.grid(rotate=float("inf")),
        lambda: presets.grid(rotate="45"),
        lambda: presets.line(0),
        lambda: presets.line(d=0),
        lambda: presets.line(spacing=float("nan")),
        lambda: presets.line(start=float("nan")),
        lambda: presets.ring(radius=0.0),
        lambda: presets.ring(radius=np.array([1.0])),
        lambda: presets.two_modes(0.0),
        lambda: presets.two_modes(weights=[1, -1]),
        lambda: presets.farthest_point(0),
        lambda: presets.farthest_point(1, 6),
        lambda: presets.farthest_point(2, 26),
        lambda: presets.farthest_point(64, seed=1.5),
        lambda: presets.farthest_point(64, seed=-1),
    ],
)
def test_bad_arguments_are_refused(build):
    with pytest.raises(InputError):
        build()
