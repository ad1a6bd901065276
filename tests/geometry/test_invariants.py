"""Geometry under rigid motions and permutations, against brute force; static dynamics at random."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixdyn import dynamics
from mixdyn.geometry import (
    classify,
    distance_to_segment,
    nearest_pairs,
    pair,
    pairwise_distances,
    two_nearest,
)
from mixdyn.geometry.dynamics import NEVER
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import ConvergenceError

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


# -- static dynamics of random mixtures: derivatives, splits, equilibria, crossings ----------------


FEWER = settings(deadline=None, derandomize=True, max_examples=60)
SCHEDULE = NoiseSchedule.linear(T=60, beta_start=1e-3, beta_end=0.2)


@st.composite
def flows(draw):
    """A random mixture of common sigma, points around it, an effective variance, a generator.

    v runs from modes melted into one (diameter^2 / v about 1) to well separated (about 400).
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_modes, d = draw(st.integers(2, 6)), draw(st.integers(1, 4))
    means = rng.normal(size=(n_modes, d))
    v = float(pairwise_distances(means).max() ** 2 / draw(st.sampled_from([1.0, 8.0, 60.0, 400.0])))
    mixture = GaussianMixture(means, 0.05, rng.uniform(0.1, 1.0, size=n_modes))
    weights = rng.dirichlet(np.ones(n_modes), size=12)
    y = weights @ means + 0.3 * math.sqrt(v) * rng.normal(size=(12, d))
    return mixture, y, v, rng


@given(flows())
@FEWER
def test_jacobian_is_the_derivative_of_the_field(flow):
    mixture, y, v, _ = flow
    jacobian = dynamics.flow_jacobian(mixture, y, v)
    step = 1e-4 * math.sqrt(v)
    for axis in range(mixture.d):
        shift = np.zeros(mixture.d)
        shift[axis] = step
        # Fourth-order central difference: error about (step/sqrt v)^4 against rounding eps/1e-4.
        near = dynamics.mean_field(mixture, y + shift, v) - dynamics.mean_field(
            mixture, y - shift, v
        )
        far = dynamics.mean_field(mixture, y + 2 * shift, v) - dynamics.mean_field(
            mixture, y - 2 * shift, v
        )
        slope = (8 * near - far) / (12 * step)
        slope[:, axis] -= 1.0
        scale = 1.0 + np.abs(jacobian).max()
        assert np.abs(jacobian[:, :, axis] - slope).max() <= 1e-8 * scale


@given(flows())
@FEWER
def test_spectrum_is_that_of_the_jacobian_and_within_the_diameter_bound(flow):
    mixture, y, v, _ = flow
    spectrum = dynamics.flow_spectrum(mixture, y, v)
    expected = np.linalg.eigvalsh(dynamics.flow_jacobian(mixture, y, v))
    bound = pairwise_distances(mixture.means).max() ** 2 / (4 * v)
    assert np.abs(spectrum - expected).max() <= 64 * EPS * (1 + bound)
    assert (spectrum >= -1.0).all()
    assert (spectrum <= bound * (1 + 8 * EPS) - 1.0).all()


@given(flows())
@FEWER
def test_split_adds_up_to_the_field_and_to_the_two_mode_field_plus_remainders(flow):
    mixture, y, v, _ = flow
    p = pair(mixture, 1, 0)
    split = dynamics.split_drift(mixture, p, y, v)
    field = dynamics.mean_field(mixture, y, v) - y
    size = np.abs(y).max() + np.abs(mixture.means).max()
    total = split.a_dot[:, None] * (p.mu_i - p.mu_j) + split.xi_dot
    assert np.abs(total - field).max() <= 64 * EPS * size
    assert np.abs(split.xi_dot @ p.direction).max() <= 64 * EPS * size
    gamma_i = dynamics.static_responsibilities(mixture, y, v)[:, 1]
    parallel = gamma_i - split.a + split.parallel_remainder
    assert np.abs(split.a_dot - parallel).max() <= 64 * EPS * size / p.length
    assert np.abs(split.xi_dot + split.xi - split.orthogonal_remainder).max() <= 64 * EPS * size


@given(flows())
@FEWER
def test_rigid_motions_and_renumbering_carry_the_field_and_the_margins_along(flow):
    mixture, y, v, rng = flow
    turn = np.linalg.qr(rng.normal(size=(mixture.d, mixture.d)))[0]
    shift, order = rng.normal(size=mixture.d), rng.permutation(mixture.N)
    moved = GaussianMixture(
        mixture.means[order] @ turn.T + shift, mixture.sigma, mixture.weights[order]
    )
    y_moved = y @ turn.T + shift
    size = 3 + np.abs(y).max() + np.abs(mixture.means).max()
    stiffness = size**2 / v  # how much the exponents amplify the rounding of the coordinates
    field = dynamics.mean_field(mixture, y, v) @ turn.T + shift
    assert np.abs(field - dynamics.mean_field(moved, y_moved, v)).max() <= (
        64 * EPS * size * (1 + stiffness)
    )
    if mixture.N > 2:
        margin = dynamics.dominance_margin(mixture, y, v)
        margin_moved = dynamics.dominance_margin(moved, y_moved, v)
        assert np.abs(margin - margin_moved).max() <= 64 * EPS * stiffness


@given(flows())
@FEWER
def test_best_margin_is_the_largest_margin_over_all_pairs(flow):
    mixture, y, v, _ = flow
    pairs = itertools.combinations(range(mixture.N), 2)
    margins = [dynamics.dominance_margin(mixture, y, v, pair=p) for p in pairs]
    np.testing.assert_array_equal(dynamics.dominance_margin(mixture, y, v), np.max(margins, axis=0))


@given(flows())
@FEWER
def test_margin_bounds_the_responsibilities_of_all_other_modes(flow):
    mixture, y, v, _ = flow
    i, j = 0, 1
    margin = dynamics.dominance_margin(mixture, y, v, pair=(i, j))
    gamma = dynamics.static_responsibilities(mixture, y, v)
    d2 = np.square(y[:, None, :] - mixture.means).sum(axis=2)
    nearer = np.where(d2[:, i] <= d2[:, j], i, j)
    rows = np.arange(len(y))
    for k in range(2, mixture.N):
        bound = mixture.weights[k] / mixture.weights[nearer] * np.exp(-margin) * gamma[rows, nearer]
        assert (gamma[:, k] <= bound * (1 + 1e-10) + 1e-300).all()


@given(flows(), st.sampled_from([0.1, 1.0, 7.0]))
@FEWER
def test_crossings_agree_with_a_search_over_all_pairs_and_nodes(flow, kappa):
    mixture, y, _, rng = flow
    times = np.array([45, 30, 21, 13, 8, 4, 1, 0])
    drift = 0.3 * rng.normal(size=(len(times), *y.shape)).cumsum(axis=0)
    static = y + drift
    found = dynamics.tau_1(
        mixture, SCHEDULE, times, static * SCHEDULE.alpha[times][:, None, None], kappa
    )
    v = SCHEDULE.effective_variance(mixture.sigma)[times]
    pairs = list(itertools.combinations(range(mixture.N), 2))
    holds = np.array(
        [
            [dynamics.dominance_margin(mixture, s, w, pair=p) >= kappa for p in pairs]
            for s, w in zip(static, v, strict=True)
        ]
    )  # nodes, pairs, samples
    some = holds.any(axis=1)
    onwards = np.logical_and.accumulate(some[::-1], axis=0)[::-1]
    fixed = np.logical_and.accumulate(holds[::-1], axis=0)[::-1].any(axis=1)
    for crossing, mask in ((found.first, some), (found.last, onwards), (found.last_fixed, fixed)):
        expected = np.where(mask.any(axis=0), times[np.argmax(mask, axis=0)], NEVER)
        np.testing.assert_array_equal(crossing, expected)


@given(flows(), st.sampled_from([0.2, 1.0, 5.0]))
@FEWER
def test_tau_2_is_the_last_time_at_which_the_separation_condition_holds(flow, kappa):
    mixture = flow[0]
    tau = dynamics.tau_2(mixture, SCHEDULE, kappa)
    v = SCHEDULE.effective_variance(mixture.sigma)
    for i, j in itertools.combinations(range(mixture.N), 2):
        length2 = float(np.square(mixture.means[i] - mixture.means[j]).sum())
        held = [t for t in range(SCHEDULE.T + 1) if length2 >= 4 * kappa * mixture.d * v[t]]
        assert tau[i, j] == tau[j, i] == (max(held) if held else NEVER)


@given(flows())
@FEWER
def test_newton_ends_on_a_fixed_point_in_the_hull_or_says_that_it_did_not(flow):
    mixture, y, v, _ = flow
    size = np.abs(mixture.means).max()
    stiffness = size**2 / v
    for start in y[:4]:
        try:
            found = dynamics.equilibrium(mixture, v, start)
        except ConvergenceError:
            continue
        field = dynamics.mean_field(mixture, found.point[None], v)[0] - found.point
        assert np.linalg.norm(field) <= 1e3 * EPS * size * (1 + stiffness)
        assert (found.point >= mixture.means.min(axis=0) - 1e-9).all()
        assert (found.point <= mixture.means.max(axis=0) + 1e-9).all()
        np.testing.assert_array_equal(
            found.eigenvalues, dynamics.flow_spectrum(mixture, found.point[None], v)[0]
        )


@given(flows())
@FEWER
def test_newton_from_a_mode_of_a_well_separated_mixture_never_fails(flow):
    mixture, _, _, _ = flow
    distances = pairwise_distances(mixture.means) + np.diag(np.full(mixture.N, np.inf))
    v = float(distances.min() ** 2 / 60.0)
    for mode in mixture.means:
        found = dynamics.equilibrium(mixture, v, mode)
        assert np.linalg.norm(found.point - mode) <= 1e-3
        assert found.eigenvalues[-1] < -0.9
