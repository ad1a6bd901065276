"""The closed-form flow map: what it conserves, in ball arithmetic on random mixtures and any start,
and an adaptive solve of the probability-flow ODE.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.special import ndtr

from mixdyn import GaussianMixture, oracles, presets
from mixdyn.oracles import flow_map
from mixdyn.oracles.flow_arb import flow_axis_arb
from mixdyn.oracles.separable import line_of_sigmas
from mixdyn.support.errors import NotApplicableError

pytestmark = pytest.mark.compiled


# -- what it conserves, in ball arithmetic ---------------------------------------------------------


BITS = 16000  # F itself is compared, which is within e^-8000 of a constant in gaps and tails


def cdf(mixture: GaussianMixture, y: float, v: float) -> arb:
    total = arb(0)
    for m, w in zip(mixture.means[:, 0], mixture.weights, strict=True):
        total += arb(float(w)) * ((arb(float(m)) - arb(y)) / (2 * arb(v)).sqrt()).erfc() / 2
    return total


def pdf(mixture: GaussianMixture, y: float, v: float) -> arb:
    total = arb(0)
    for m, w in zip(mixture.means[:, 0], mixture.weights, strict=True):
        offset = arb(y) - arb(float(m))
        total += arb(float(w)) * (-(offset * offset) / (2 * arb(v))).exp()
    return total / (2 * arb.pi() * arb(v)).sqrt()


@st.composite
def mixtures(draw) -> GaussianMixture:
    n = draw(st.integers(1, 5))
    means = draw(
        st.lists(st.floats(-1, 1).map(lambda m: round(m, 3)), min_size=n, max_size=n, unique=True)
    )
    weights = draw(st.lists(st.floats(0.01, 1), min_size=n, max_size=n))
    return GaussianMixture(np.array(means)[:, None], 0.01, weights)


def extent(mixture: GaussianMixture) -> float:
    return float(max(np.ptp(mixture.means), np.abs(mixture.means).max(), 1e-3))


VARIANCES = st.floats(-3, 1.5).map(lambda a: 10.0**a)
PAIR = GaussianMixture([[-1.0], [1.0]], 0.01)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(mixture=mixtures(), y=st.floats(-3, 3), v_from=VARIANCES, v_to=VARIANCES)
@example(mixture=PAIR, y=0.0, v_from=1.0, v_to=1e-3)  # exactly on a separatrix
@example(mixture=PAIR, y=1e-200, v_from=1e-1, v_to=1e-4)  # as near to it as doubles go
@example(mixture=PAIR, y=0.3, v_from=1e-4, v_to=1.0)  # deep in the gap, towards noise
@example(mixture=PAIR, y=0.3, v_from=1e-4, v_to=2e-4)
@example(mixture=PAIR, y=-3.0, v_from=1e-3, v_to=2e-2)  # far in a tail
def test_the_flow_conserves_the_distribution_function_everywhere(mixture, y, v_from, v_to):
    end = float(oracles.flow_map(mixture, [[y]], v_from, v_to)[0, 0])
    with ctx.workprec(BITS):
        miss = (cdf(mixture, end, v_to) - cdf(mixture, y, v_from)) / pdf(mixture, end, v_to)
        distance = float(abs(miss).upper())  # first order, exact enough at 1e-12
    tolerance = 1e-12 * (extent(mixture) + abs(end))
    assert distance / tolerance == pytest.approx(0.0, abs=1.0)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(mixture=mixtures(), y=st.floats(-3, 3), levels=st.lists(VARIANCES, min_size=3, max_size=3))
def test_flowing_in_two_legs_towards_noise_equals_flowing_in_one(mixture, y, levels):
    v1, v2, v3 = sorted(levels)
    direct = oracles.flow_map(mixture, [[y]], v1, v3)
    legs = oracles.flow_map(mixture, oracles.flow_map(mixture, [[y]], v1, v2), v2, v3)
    # Distances grow at most by the ratio of standard deviations towards noise.
    scale = extent(mixture) + abs(float(legs[0, 0]))
    tolerance = 2e-12 * scale * (1 + math.sqrt(v3 / v2))
    assert np.abs(direct - legs).max() / tolerance == pytest.approx(0.0, abs=1.0)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(mixture=mixtures(), y=st.floats(-3, 3), levels=st.lists(VARIANCES, min_size=2, max_size=2))
def test_the_way_to_noise_and_back_returns_to_the_start(mixture, y, levels):
    low, high = sorted(levels)
    up = oracles.flow_map_arb(mixture, [[y]], low, high, prec=3000)
    back = oracles.flow_map_arb(mixture, [[up[0][0].mid()]], high, low, prec=200)[0][0]
    assert float(abs(back - y).upper()) <= 2.0**-150


def test_the_flow_is_increasing_through_every_gap_and_tail(standard):
    mixture = GaussianMixture(standard.mixture.means[:5, 1:], standard.mixture.sigma)
    y = np.linspace(-3, 3, 4001)[:, None]
    for v_from, v_to in [(standard.v[22], standard.v[0]), (standard.v[0], standard.v[801])]:
        end = oracles.flow_map(mixture, y, v_from, v_to)
        # Neighbours may swap by rounding where the flow squeezes them together, and no more.
        assert (np.diff(end[:, 0]) > -1e-14 * np.abs(end).max()).all()


def test_certified_balls_enclose_the_double_result_and_honour_their_precision(standard):
    y = standard.mixture.means[3] + np.array([[0.1, 0.05], [0.3, -0.2]])
    args = (standard.v[100], standard.v[1])
    doubles = oracles.flow_map(standard.mixture, y, *args)
    for prec in (40, 300, 2000):
        balls = oracles.flow_map_arb(standard.mixture, y, *args, prec=prec)
        for row, ball_row in zip(doubles, balls, strict=True):
            for value, ball in zip(row, ball_row, strict=True):
                assert float(abs(ball - float(value)).upper()) < 1e-12
                assert ball.rad() < arb(4) * arb(2) ** (-prec)


def test_a_ball_wider_than_its_separatrix_allows_is_refused():
    from mixdyn.support.errors import ConvergenceError

    start = arb(0, 1e-30)
    with pytest.raises(ConvergenceError, match="too few digits"):
        oracles.flow_map_arb(PAIR, [[start]], 1.0, 1e-4)


@pytest.mark.parametrize(
    ("end", "fraction", "expected"),
    [
        (1, 0.15, 5.6e-88),
        (1, 0.35, 3.1e-15),
        (1, 0.45, 0.161),
        (0, 0.15, 1.46e-265),
        (0, 0.35, 4.8e-48),
        (0, 0.45, 3.7e-4),
    ],
)
def test_the_exact_trap_of_the_standard_problem(standard, end, fraction, expected):
    trap = oracles.trap_radius(
        standard.mixture, standard.pair, fraction, standard.v[standard.tau], standard.v[end]
    )
    assert trap.radius == pytest.approx(expected, rel=0.02)
    assert trap.log10_radius == pytest.approx(math.log10(expected), abs=0.01)
    # Other modes move the centre by less than the radius resolves: that is no zero.
    assert math.isnan(trap.center_offset) or 0.0 < abs(trap.center_offset) < 1e-12


def test_the_trap_is_what_the_flow_does_at_its_edge_and_just_outside(standard):
    from flint import arb as ball

    mixture = GaussianMixture(standard.mixture.means[[6, 11]], standard.mixture.sigma)
    v_from, v_to = standard.v[standard.tau], standard.v[1]
    trap = oracles.trap_radius(mixture, (1, 0), 0.35, v_from, v_to)
    assert trap.center_offset == 0.0  # by symmetry
    with ctx.workprec(400):
        length = ball(float(mixture.means[1, 0])) - ball(float(mixture.means[0, 0]))
        middle = (ball(float(mixture.means[1, 0])) + ball(float(mixture.means[0, 0]))) / 2
        other = ball(float(mixture.means[0, 1]))
        for factor in (0.99, 1.0, 1.01):
            start = middle + length * ball(trap.radius) * factor
            end = oracles.flow_map_arb(mixture, [[start, other]], v_from, v_to)[0][0]
            reached = float(((end - middle) / length).mid())
            assert (reached < 0.35) == (factor < 1.0) or factor == 1.0
            if factor == 1.0:
                assert reached == pytest.approx(0.35, abs=1e-6)


def test_the_trap_of_unequal_weights_is_centred_off_the_midpoint_towards_the_lighter_mode():
    mixture = GaussianMixture([[0.0], [1.0]], 0.01, [0.8, 0.2])
    trap = oracles.trap_radius(mixture, (1, 0), 0.3, 0.1, 1e-3)
    # First order in the weights: the CDF level 0.8 at v = 0.1, far from 1/2.
    inside = oracles.flow_map(mixture, [[0.5 + trap.center_offset]], 0.1, 1e-3)[0, 0]
    assert trap.center_offset > 0.05
    assert abs(inside - 0.5) < 0.3
    outside = 0.5 + trap.center_offset + 1.01 * trap.radius * np.array([[-1.0], [1.0]])
    if trap.radius > 1e-12:
        ends = oracles.flow_map(mixture, outside, 0.1, 1e-3)
        assert (np.abs(ends - 0.5) > 0.3).all()
    assert oracles.trap_radius(mixture, (0, 1), 0.3, 0.1, 1e-3).center_offset == (
        -trap.center_offset
    )


# -- against an adaptive solve of the ODE ----------------------------------------------------------


def ode_end(mixture, y, v_from, v_to):
    """dy/du = m(y, v) - y in plain NumPy, all points in one system; u = log(v_from/v)/2."""
    shape = y.shape

    def field(u, flat):
        points = flat.reshape(shape)
        v = v_from * math.exp(-2 * u)
        energy = np.square(points[:, None, :] - mixture.means).sum(axis=2) / (2 * v)
        gamma = mixture.weights * np.exp(-(energy - energy.min(axis=1, keepdims=True)))
        gamma /= gamma.sum(axis=1, keepdims=True)
        return (gamma @ mixture.means - points).ravel()

    u_end = 0.5 * math.log(v_from / v_to)
    scale = 1e-13 * np.abs(mixture.means).max()
    solution = solve_ivp(field, (0, u_end), y.ravel(), "DOP853", rtol=1e-12, atol=scale)
    return solution.y[:, -1].reshape(shape)


def stretch(mixture, y, v_from, v_to, h=1e-6):
    """How much the flow stretches distances at y, by central differences, (n,)."""
    columns = []
    for axis in np.eye(mixture.d):
        ends = [oracles.flow_map(mixture, y + s * h * axis, v_from, v_to) for s in (1, -1)]
        columns.append((ends[0] - ends[1]) / (2 * h))
    return np.abs(np.stack(columns, axis=2)).sum(axis=2).max(axis=1)


CASES = {
    "one dimension, unequal weights": GaussianMixture(
        [[-1.0], [0.2], [1.5]], 0.05, [0.6, 0.1, 0.3]
    ),
    "one mode": GaussianMixture([[0.4, -1.0]], 0.2),
    "grid": presets.grid(sigma=0.05),
    "product weights in two dimensions": GaussianMixture(
        [[a, b] for a in (-1.0, 2.0) for b in (0.0, 1.0, 1.8)],
        0.1,
        np.multiply.outer([0.3, 0.7], [0.2, 0.5, 0.3]).ravel(),
    ),
    "product in three dimensions": GaussianMixture(
        [[a, b, c] for a in (-1.0, 1.0) for b in (0.0, 1.5) for c in (3.0,)], 0.1
    ),
    "oblique line in three dimensions": GaussianMixture(
        np.array([0.5, 0.0, 1.0]) + np.outer([0.0, 1.0, 3.0], [1.0, 2.0, -2.0]),
        0.1,
        [0.5, 0.3, 0.2],
    ),
}


@pytest.mark.parametrize("mixture", CASES.values(), ids=CASES)
@pytest.mark.parametrize(("start", "end"), [(4.0, "clean"), ("clean", 4.0), (1.0, 0.1)])
def test_flow_map_equals_an_adaptive_solve_away_from_separatrices(mixture, start, end):
    clean = mixture.sigma**2
    v_from, v_to = (clean if v == "clean" else v for v in (start, end))
    rng = np.random.default_rng(3)
    y = mixture.means[rng.integers(mixture.N, size=40)]
    y = y + math.sqrt(v_from) * rng.standard_normal(y.shape)
    calm = stretch(mixture, y, v_from, v_to) < 20.0 * max(1.0, math.sqrt(v_to / v_from))
    assert calm.mean() > 0.6  # the comparison is not made vacuous by the exclusion
    y = y[calm]
    difference = oracles.flow_map(mixture, y, v_from, v_to) - ode_end(mixture, y, v_from, v_to)
    scale = np.abs(mixture.means).max() + np.abs(y).max()
    assert np.abs(difference).max() / (1e-10 * scale) == pytest.approx(0.0, abs=1.0)


def test_the_flow_is_refused_where_it_has_no_closed_form():
    triangle = GaussianMixture([[0.0, 0], [1, 0], [0, 1]], 0.1)
    skewed = GaussianMixture([[0.0, 0], [1, 0], [0, 1], [1, 1]], 0.1, [0.4, 0.2, 0.2, 0.2])
    per_mode = GaussianMixture([[0.0, 0], [1, 0]], [0.1, 0.2])
    for mixture in (triangle, skewed, per_mode):
        with pytest.raises(NotApplicableError):
            oracles.flow_map(mixture, np.zeros((1, mixture.d)), 1.0, 0.5)
        with pytest.raises(NotApplicableError):
            oracles.flow_map_arb(mixture, np.zeros((1, mixture.d)), 1.0, 0.5)


def test_seventy_dimensions_flow_like_one_along_the_axis_and_shrink_across_it():
    means = np.zeros((2, 70))
    means[:, -1] = -1.0, 1.0
    mixture, line = GaussianMixture(means, 0.1), GaussianMixture([[-1.0], [1.0]], 0.1)
    y = np.random.default_rng(0).standard_normal((5, 70))
    moved = flow_map(mixture, y, 2.0, 0.5)
    np.testing.assert_allclose(moved[:, -1], flow_map(line, y[:, -1:], 2.0, 0.5)[:, 0], atol=1e-13)
    np.testing.assert_allclose(moved[:, :-1], 0.5 * y[:, :-1], atol=1e-13)


# -- a sigma per mode on a line --------------------------------------------------------------------


def per_mode(seed, n=4):
    rng = np.random.default_rng(seed)
    return GaussianMixture(
        rng.uniform(-1, 1, (n, 1)), np.exp(rng.uniform(-4, -1, n)), rng.uniform(0.1, 1, n)
    )


def tails(mixture, y, rho):
    """P(Y <= y) and P(Y > y) at noise rho, by SciPy."""
    z = (y - mixture.means[:, 0]) / np.sqrt(mixture.sigmas**2 + rho)
    return mixture.weights @ ndtr(z), mixture.weights @ ndtr(-z)


@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0.01, 4.0), y=st.floats(-3, 3))
def test_a_sigma_per_mode_conserves_the_distribution_function(seed, noise, y):
    mixture = per_mode(seed)
    least = float(mixture.sigmas.min() ** 2)
    end = float(flow_map(mixture, [[y]], least + noise, least)[0, 0])
    before, after = tails(mixture, y, noise), tails(mixture, end, 0.0)
    lighter = int(np.argmin(before))
    slope = np.exp(mixture.log_density([[end]]))[0]
    allowed = 1e-11 * (1 + abs(end)) * slope + 1e-10 * before[lighter] + 1e-13
    assert abs(after[lighter] - before[lighter]) <= allowed


def test_a_sigma_per_mode_flows_as_the_ode_does_and_as_the_balls_say():
    mixture = per_mode(3)
    square = mixture.sigmas**2
    starts = [-0.7, 0.1, 0.9]

    def slope(rho, y):  # dy/drho = 1/2 sum_k gamma_k (y - mu_k)/v_k, from the densities themselves
        v = square + rho
        offset = y[:, None] - mixture.means[:, 0]
        terms = mixture.weights / np.sqrt(v) * np.exp(-0.5 * offset**2 / v)
        return 0.5 * (terms * offset / v).sum(1) / terms.sum(1)

    found = solve_ivp(slope, (0.5, 0.0), starts, method="DOP853", rtol=1e-12, atol=1e-13)
    least = float(square.min())
    ends = flow_map(mixture, np.array(starts)[:, None], least + 0.5, least)[:, 0]
    assert np.allclose(ends, found.y[:, -1], rtol=0, atol=1e-9)
    axis = line_of_sigmas(mixture)
    for start, end in zip(starts, ends, strict=True):
        ball = flow_axis_arb(axis, start, least + 0.5, least, 60)
        assert abs(float(ball.mid()) - end) < 1e-12
