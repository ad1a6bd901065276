"""Static dynamics of random mixtures: derivatives, splits, equilibria, crossings."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixdyn import dynamics
from mixdyn.geometry import pair, pairwise_distances
from mixdyn.geometry.dynamics import NEVER
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import ConvergenceError

pytestmark = pytest.mark.compiled

EPS = np.finfo(float).eps
CHECKED = settings(deadline=None, derandomize=True, max_examples=60)
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
@CHECKED
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
@CHECKED
def test_spectrum_is_that_of_the_jacobian_and_within_the_diameter_bound(flow):
    mixture, y, v, _ = flow
    spectrum = dynamics.flow_spectrum(mixture, y, v)
    expected = np.linalg.eigvalsh(dynamics.flow_jacobian(mixture, y, v))
    bound = pairwise_distances(mixture.means).max() ** 2 / (4 * v)
    assert np.abs(spectrum - expected).max() <= 64 * EPS * (1 + bound)
    assert (spectrum >= -1.0).all()
    assert (spectrum <= bound * (1 + 8 * EPS) - 1.0).all()


@given(flows())
@CHECKED
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
@CHECKED
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
@CHECKED
def test_best_margin_is_the_largest_margin_over_all_pairs(flow):
    mixture, y, v, _ = flow
    pairs = itertools.combinations(range(mixture.N), 2)
    margins = [dynamics.dominance_margin(mixture, y, v, pair=p) for p in pairs]
    np.testing.assert_array_equal(dynamics.dominance_margin(mixture, y, v), np.max(margins, axis=0))


@given(flows())
@CHECKED
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
@CHECKED
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
@CHECKED
def test_tau_2_is_the_last_time_at_which_the_separation_condition_holds(flow, kappa):
    mixture = flow[0]
    tau = dynamics.tau_2(mixture, SCHEDULE, kappa)
    v = SCHEDULE.effective_variance(mixture.sigma)
    for i, j in itertools.combinations(range(mixture.N), 2):
        length2 = float(np.square(mixture.means[i] - mixture.means[j]).sum())
        held = [t for t in range(SCHEDULE.T + 1) if length2 >= 4 * kappa * mixture.d * v[t]]
        assert tau[i, j] == tau[j, i] == (max(held) if held else NEVER)


@given(flows())
@CHECKED
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
@CHECKED
def test_newton_from_a_mode_of_a_well_separated_mixture_never_fails(flow):
    mixture, _, _, _ = flow
    distances = pairwise_distances(mixture.means) + np.diag(np.full(mixture.N, np.inf))
    v = float(distances.min() ** 2 / 60.0)
    for mode in mixture.means:
        found = dynamics.equilibrium(mixture, v, mode)
        assert np.linalg.norm(found.point - mode) <= 1e-3
        assert found.eigenvalues[-1] < -0.9
