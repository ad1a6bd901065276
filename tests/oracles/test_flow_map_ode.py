"""The closed-form flow map agrees with an adaptive solve of the probability-flow ODE."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mixdyn import GaussianMixture, oracles, presets
from mixdyn.oracles import flow_map
from mixdyn.support.errors import NotApplicableError

pytestmark = pytest.mark.compiled


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
    per_mode = GaussianMixture([[0.0], [1.0]], [0.1, 0.2])
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
