"""Bounds and closed forms, which share no code, must fit together: never crossed, and sharp."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixdyn import GaussianMixture, bounds, oracles

pytestmark = pytest.mark.compiled


@st.composite
def lines(draw, equal_weights=False) -> GaussianMixture:
    n = draw(st.integers(2, 5))
    grid = draw(st.lists(st.integers(-20, 20), min_size=n, max_size=n, unique=True))
    weights = None if equal_weights else draw(st.lists(st.floats(0.05, 1), min_size=n, max_size=n))
    return GaussianMixture(np.array(sorted(grid))[:, None] / 10, 0.05, weights)


LEVELS = st.lists(st.floats(-2.5, 0.5).map(lambda a: 10.0**a), min_size=2, max_size=2, unique=True)


def plain_responsibilities(mixture, y, v):
    energy = np.square(y[:, None, :] - mixture.means).sum(axis=2) / (2 * v)
    terms = np.log(mixture.weights) - energy
    terms -= terms.max(axis=1, keepdims=True)
    return np.exp(terms) / np.exp(terms).sum(axis=1, keepdims=True)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mixture=lines(), y=st.lists(st.floats(-3, 3), min_size=2, max_size=2), levels=LEVELS)
def test_no_two_flows_of_a_mixture_part_faster_than_the_growth_exponent(mixture, y, levels):
    v_end, v_start = sorted(levels)
    ends = oracles.flow_map(mixture, np.array(y)[:, None], v_start, v_end)[:, 0]
    exponent = float(bounds.mixture_growth_exponent(mixture, v_start, v_end))
    if exponent < 700:
        allowed = math.exp(exponent) * abs(y[0] - y[1]) + 1e-11
        assert abs(ends[0] - ends[1]) <= allowed


def test_the_growth_exponent_is_attained_between_two_modes_at_the_midpoint():
    mixture = GaussianMixture([[-0.5], [0.5]], 0.05)
    exponent = float(bounds.growth_exponent(1.0, 0.2, 0.02))
    step = 1e-9
    end = float(oracles.flow_map(mixture, [[step]], 0.2, 0.02)[0, 0])
    assert end / step == pytest.approx(math.exp(exponent), rel=1e-3)
    assert end < step * math.exp(exponent)


def test_the_sufficient_trap_lies_inside_the_exact_one(standard):
    v = standard.v
    for end in (1, 0):
        exponent = float(bounds.growth_exponent(standard.length, v[standard.tau], v[end]))
        for fraction in (0.15, 0.35, 0.45):
            trap = oracles.trap_radius(
                standard.mixture, standard.pair, fraction, v[standard.tau], v[end]
            )
            log_safe = float(bounds.log_safe_start(fraction, exponent))
            assert log_safe < trap.log10_radius * math.log(10)
        published = bounds.paper_trap(standard.length, v[standard.tau], v[end])
        sharp = float(bounds.log_safe_start(published.radius, exponent))
        assert published.log_start < sharp


def test_the_sharp_midpoint_bound_is_the_truth_for_two_modes_from_the_midpoint(standard):
    mixture = GaussianMixture(standard.mixture.means[list(standard.pair)], standard.mixture.sigma)
    schedule, v = standard.schedule, standard.v
    direction = np.subtract(*mixture.means)
    for t, s in [(22, 0), (22, 1), (200, 30), (9, 0)]:
        law = oracles.reverse_mixture(
            mixture,
            (standard.midpoint * schedule.alpha[t])[None],
            schedule.alpha_bar[t],
            schedule.alpha_bar[s],
            noise_var_t=schedule.noise_var[t],
            noise_var_s=schedule.noise_var[s],
        )
        half_width = 0.15 * standard.length
        truth = law.log_slab_probability(
            direction, standard.midpoint, half_width * schedule.alpha[s]
        )[0]
        bound = bounds.log_midpoint_probability(standard.length, half_width, v[t], v[s])
        assert bound == pytest.approx(truth, rel=1e-12)
        shorter = bounds.log_midpoint_probability(0.9 * standard.length, half_width, v[t], v[s])
        assert shorter > bound


@settings(max_examples=100, deadline=None, derandomize=True)
@given(offset=st.floats(-1.5, 1.5), levels=LEVELS, half_width=st.floats(0.01, 0.4))
def test_the_midpoint_bound_holds_from_every_start(offset, levels, half_width):
    mixture = GaussianMixture([[-0.5], [0.5]], 0.05)
    v_end, v_start = sorted(levels)
    if v_end < 0.05**2 or v_start / v_end < 1.001:
        return
    rho = np.array([v_start, v_end]) - 0.05**2
    abar = 1 / (1 + rho)
    law = oracles.reverse_mixture(
        mixture, [[offset * math.sqrt(abar[0])]], abar[0], abar[1],
        noise_var_t=rho[0] * abar[0], noise_var_s=rho[1] * abar[1],
    )  # fmt: skip
    truth = law.log_slab_probability([1.0], [0.0], half_width * math.sqrt(abar[1]))[0]
    bound = float(bounds.log_midpoint_probability(1.0, half_width, v_start, v_end))
    assert truth <= bound + 1e-9 * (1 + abs(bound))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(mixture=lines(), seed=st.integers(0, 2**31), log_v=st.floats(-2.5, 0))
def test_responsibilities_of_other_modes_stay_below_their_bound(mixture, seed, log_v):
    v = 10.0**log_v
    y = np.random.default_rng(seed).uniform(-3, 3, (20, 1))
    gamma = plain_responsibilities(mixture, y, v)
    distance2 = np.square(y - mixture.means[:, 0])
    for row, d2 in zip(gamma, distance2, strict=True):
        order = np.argsort(d2)
        i, j = (int(k) for k in order[:2])
        others = np.delete(np.arange(mixture.N), [i, j])
        kappa = (d2[others].min() - d2[i]) / (2 * v) if len(others) else 1.0
        sharp = bounds.responsibility_bound(mixture, i, j, kappa, i)
        worst = bounds.responsibility_bound(mixture, i, j, kappa)
        assert (row <= sharp * (1 + 1e-12)).all()
        assert (sharp[others] <= worst[others] * (1 + 1e-12)).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), log_v=st.floats(-2, 0.5), eps_seg=st.floats(0, 1))
def test_the_distance_to_a_convex_set_never_grows_faster_than_its_rate(seed, log_v, eps_seg):
    rng = np.random.default_rng(seed)
    mixture = GaussianMixture(rng.uniform(-2, 2, (5, 2)), 0.05, rng.uniform(0.1, 1, 5))
    v, step = 10.0**log_v, 1e-6
    ends = mixture.means[:2] + eps_seg * np.array([[1.0], [-1.0]]) * np.diff(
        mixture.means[[1, 0]], axis=0
    )

    def distance(points):
        along = ends[1] - ends[0]
        place = np.clip((points - ends[0]) @ along / (along @ along), 0, 1)
        return np.linalg.norm(points - ends[0] - place[:, None] * along, axis=1)

    y = rng.uniform(-3, 3, (50, 2))
    gamma = plain_responsibilities(mixture, y, v)
    moved = y + step * (gamma @ mixture.means - y)
    rate = bounds.convex_set_rate(distance(y), gamma, distance(mixture.means))
    assert ((distance(moved) - distance(y)) / step <= rate + 1e-8).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(mixture=lines(), mode=st.integers(0, 4), share=st.floats(0.05, 0.95), log_v=st.floats(-3, 0))
def test_pull_and_tracking_rate_around_a_mode_bound_the_exact_field(mixture, mode, share, log_v):
    i, v = mode % mixture.N, 10.0**log_v
    gap = np.abs(np.delete(mixture.means[:, 0], i) - mixture.means[i, 0]).min()
    radius = 0.499 * share * gap
    y = mixture.means[i] + np.linspace(-radius, radius, 41)[:, None]
    gamma = plain_responsibilities(mixture, y, v)
    mean = gamma @ mixture.means[:, 0]
    variance = gamma @ mixture.means[:, 0] ** 2 - mean**2
    pull = float(bounds.ball_pull(mixture, i, radius, v))
    rate = float(bounds.tracking_rate(mixture, i, radius, v))
    assert np.abs(mean - mixture.means[i, 0]).max() <= pull * (1 + 1e-9) + 1e-13
    assert (1 - variance / v).min() >= rate - 1e-9 * (1 + abs(rate)) - 1e-12 / v


def test_the_tube_bound_holds_along_the_exact_flow_and_is_sharp_for_two_modes():
    mixture = GaussianMixture([[-1.0, 0], [1, 0], [-1, 1.5], [1, 1.5]], 0.05)
    v_start, v_end = 0.2, 0.01
    y = np.array([[0.3, 0.2], [-0.7, -0.4], [0.05, 0.3]])
    levels = np.geomspace(v_start, v_end, 60)
    path = np.stack([oracles.flow_map(mixture, y, v_start, v) for v in levels])
    for n in range(len(y)):
        d2 = np.square(path[:, n, None, :] - mixture.means).sum(axis=2)
        margin = (d2[:, 2:].min(axis=1) - d2[:, :2].min(axis=1)) / (2 * levels)
        assert margin.min() > 0.5
        # Between grid levels the margin moves little: 0.9 of the least covers it.
        remainder = bounds.orthogonal_remainder(mixture, 1, 0, 0.9 * margin.min())
        bound = bounds.tube_distance(abs(y[n, 1]), v_start, levels, remainder)
        assert (np.abs(path[:, n, 1]) <= bound + 1e-12).all()
    pair = GaussianMixture([[-1.0, 0], [1, 0]], 0.05)
    end = oracles.flow_map(pair, y, v_start, v_end)
    assert np.abs(end[:, 1]) == pytest.approx(
        bounds.tube_distance(np.abs(y[:, 1]), v_start, v_end, 0.0), rel=1e-13
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), log_v=st.floats(-1.5, 0.5))
def test_the_far_end_of_a_dominating_diagonal_stays_below_its_exponent(seed, log_v):
    rng = np.random.default_rng(seed)
    v = 10.0**log_v
    a, u, w = rng.uniform(-1, 1, (3, 2))
    corners = np.array([a, a + u, a + u + w, a + w])  # a b c d, diagonals ac and bd
    mixture = GaussianMixture(corners, 0.05, rng.uniform(0.2, 1, 4))
    diagonals = [float(np.sum((corners[k] - corners[k + 2]) ** 2)) for k in (0, 1)]
    y = a + rng.uniform(-1, 2, (200, 1)) * (u + w) + 0.3 * rng.standard_normal((200, 2))
    d2 = np.square(y[:, None, :] - corners).sum(axis=2)
    gamma = plain_responsibilities(mixture, y, v)
    near = np.where(d2[:, 0] <= d2[:, 2], 0, 2)
    kappa = (d2[:, [1, 3]].min(axis=1) - d2[np.arange(200), near]) / (2 * v)
    log_ratio = np.log(gamma[np.arange(200), 2 - near] / gamma[np.arange(200), near] + 1e-300)
    bound = bounds.diagonal_log_ratio(
        kappa,
        v,
        far_to_near_weight=mixture.weights[2 - near] / mixture.weights[near],
        other_diagonal2=diagonals[1],
        this_diagonal2=diagonals[0],
    )
    resolved = log_ratio > -600
    assert (log_ratio <= bound + 1e-9 * (1 + np.abs(bound)))[resolved].all()
