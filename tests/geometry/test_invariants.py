"""Geometry under rigid motions and permutations, and against brute force."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixdyn.geometry import (
    classify,
    distance_to_segment,
    nearest_pairs,
    pair,
    two_nearest,
)
from mixdyn.problem.mixture import GaussianMixture

pytestmark = pytest.mark.compiled

EPS = np.finfo(float).eps
CHECKED = settings(deadline=None, derandomize=True, max_examples=100)


@st.composite
def scenes(draw):
    """A random mixture of 2 to 7 modes in 1 to 5 dimensions, points around it, and a generator."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_modes, d = draw(st.integers(2, 7)), draw(st.integers(1, 5))
    scale = draw(st.sampled_from([1e-6, 1.0, 1e4]))
    per_mode = draw(st.booleans())
    means = scale * rng.normal(size=(n_modes, d))
    sigma = scale * (rng.uniform(0.02, 0.3, size=n_modes) if per_mode else 0.1)
    mixture = GaussianMixture(means, sigma, rng.uniform(0.1, 1.0, size=n_modes))
    y = scale * 1.5 * rng.normal(size=(40, d))
    return mixture, y, rng


def _rotation(d, rng):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


@given(scenes(), st.floats(0.0, 2.0))
@CHECKED
def test_segment_distance_is_the_minimum_over_a_fine_grid_of_the_segment(scene, eps_seg):
    mixture, y, _ = scene
    a, b = mixture.means[:2]
    share, spacing = np.linspace(-eps_seg, 1 + eps_seg, 2001, retstep=True)
    grid = a + share[:, None] * (b - a)
    brute2 = np.square(y[:, None, :] - grid).sum(axis=2).min(axis=1)
    distance2 = np.square(distance_to_segment(y, a, b, eps_seg))
    size2 = np.square(y).sum(axis=1) + np.square(grid).sum(axis=1).max()
    assert (distance2 <= brute2 + 64 * EPS * size2).all()
    half_cell2 = (0.5 * spacing) ** 2 * np.square(b - a).sum()
    assert (brute2 <= distance2 + half_cell2 + 64 * EPS * size2).all()


@given(scenes())
@CHECKED
def test_pair_coordinates_rebuild_the_point_from_orthogonal_parts(scene):
    mixture, y, _ = scene
    p = pair(mixture, 0, 1)
    a, xi = p.coordinates(y)
    size = np.abs(y).max() + np.abs(mixture.means).max()
    rebuilt = p.mu_j + a[:, None] * (p.mu_i - p.mu_j) + xi
    assert np.abs(rebuilt - y).max() <= 16 * EPS * size
    assert np.abs(xi @ p.direction).max() <= 16 * EPS * size
    offset = p.bisector_coordinate(y) - (a - 0.5) * p.length
    assert np.abs(offset).max() <= 32 * EPS * size


@given(scenes())
@CHECKED
def test_swapping_a_pair_mirrors_its_coordinates(scene):
    mixture, y, _ = scene
    forward, back = pair(mixture, 0, 1), pair(mixture, 1, 0)
    a, xi = forward.coordinates(y)
    a_back, xi_back = back.coordinates(y)
    size = np.abs(y).max() + np.abs(mixture.means).max()
    assert np.abs(a + a_back - 1.0).max() <= 32 * EPS * size / forward.length
    assert np.abs(xi - xi_back).max() <= 32 * EPS * size
    np.testing.assert_array_equal(forward.bisector_coordinate(y), -back.bisector_coordinate(y))


@given(scenes())
@CHECKED
def test_rotation_and_translation_keep_coordinates_distances_and_classes(scene):
    mixture, y, rng = scene
    turn, shift = _rotation(mixture.d, rng), mixture.means[0] - 0.3 * mixture.means[1]
    moved = GaussianMixture(mixture.means @ turn.T + shift, mixture.sigma, mixture.weights)
    y_moved = y @ turn.T + shift
    before, after = pair(mixture, 0, 1), pair(moved, 0, 1)
    size = np.abs(y).max() + np.abs(mixture.means).max()
    a, xi = before.coordinates(y)
    a_moved, xi_moved = after.coordinates(y_moved)
    assert np.abs(a - a_moved).max() <= 200 * EPS * size / before.length
    assert np.abs(xi @ turn.T - xi_moved).max() <= 200 * EPS * size
    distance = distance_to_segment(y, before.mu_j, before.mu_i, 0.1)
    distance_moved = distance_to_segment(y_moved, after.mu_j, after.mu_i, 0.1)
    assert np.abs(distance - distance_moved).max() <= 200 * EPS * size
    np.testing.assert_array_equal(classify(mixture, y), classify(moved, y_moved))


@given(scenes())
@CHECKED
def test_renumbering_the_modes_renumbers_pairs_and_changes_no_class(scene):
    mixture, y, rng = scene
    order = rng.permutation(mixture.N)
    renamed = GaussianMixture(mixture.means[order], mixture.sigmas[order], mixture.weights[order])
    np.testing.assert_array_equal(classify(mixture, y), classify(renamed, y))
    first, second, *distances = two_nearest(mixture.means, y)
    first_new, second_new, *distances_new = two_nearest(renamed.means, y)
    np.testing.assert_array_equal(order[first_new], first)
    np.testing.assert_array_equal(order[second_new], second)
    np.testing.assert_array_equal(distances, distances_new)
    names = {frozenset(p) for p in nearest_pairs(mixture)}
    assert {frozenset(order[list(p)].tolist()) for p in nearest_pairs(renamed)} == names


@given(scenes())
@CHECKED
def test_distance_to_a_segment_is_convex_along_every_chord(scene):
    mixture, y, rng = scene
    a, b = mixture.means[:2]
    other, share = y[::-1], rng.uniform(size=(len(y), 1))
    between = distance_to_segment(share * y + (1 - share) * other, a, b, 0.2)
    ends = distance_to_segment(y, a, b, 0.2), distance_to_segment(other, a, b, 0.2)
    chord = share[:, 0] * ends[0] + (1 - share[:, 0]) * ends[1]
    assert (between <= chord + 32 * EPS * (np.abs(y).max() + np.abs(mixture.means).max())).all()


def _rule(mixture, point):
    """The classification of one point in words: modes first, then the two nearest modes."""
    away = [math.dist(point, mu) for mu in mixture.means]
    factor = 5.0 if mixture.d <= 10 else math.sqrt(mixture.d) + 4.0
    if any(away[k] <= factor * mixture.sigmas[k] for k in range(mixture.N)):
        return 0
    i, j = sorted(range(mixture.N), key=away.__getitem__)[:2]
    # Height over the base of the triangle point, mu_i, mu_j (Heron), or a side if it is obtuse.
    base = math.dist(mixture.means[i], mixture.means[j])
    p, q = away[i], away[j]
    along = (p * p - q * q + base * base) / (2 * base)
    height = math.sqrt(max(0.0, p * p - along * along)) if 0 <= along <= base else min(p, q)
    return 1 if height <= factor * max(mixture.sigmas[i], mixture.sigmas[j]) else 2


@given(scenes())
@CHECKED
def test_classes_follow_the_rule_point_by_point(scene):
    mixture, y, rng = scene
    i, j = two_nearest(mixture.means, y)[:2]
    share = rng.uniform(-0.2, 1.2, size=(len(y), 1))
    noise = mixture.sigmas.max() * 3 * rng.normal(size=y.shape)
    on_segments = mixture.means[i] + share * (mixture.means[j] - mixture.means[i]) + noise
    x = np.vstack([y, on_segments])
    np.testing.assert_array_equal(classify(mixture, x), [_rule(mixture, row) for row in x])
