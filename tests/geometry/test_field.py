"""Mean field, Jacobian and drift split on cases known by hand."""

import math

import numpy as np
import pytest

from mixdyn import dynamics, presets
from mixdyn.geometry import pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.errors import InputError, NotApplicableError

TWO = presets.two_modes(separation=2.0, sigma=0.1, d=3)
UNEQUAL = presets.two_modes(separation=2.0, sigma=0.1, d=1, weights=[0.2, 0.8])
EPS = np.finfo(float).eps


def test_two_modes_have_the_hyperbolic_tangent_as_mean_field():
    y = np.array([[0.3, 0.0, 0.0], [-1.1, 5.0, -2.0], [0.0, 0.0, 1.0]])
    v = 0.7
    m = dynamics.mean_field(TWO, y, v)
    expected = np.zeros_like(y)
    expected[:, 0] = np.tanh(y[:, 0] / v)
    np.testing.assert_allclose(m, expected, rtol=0, atol=8 * EPS)


def test_the_field_depends_on_v_and_not_on_the_sigma_of_the_mixture():
    y = np.array([[0.2, 0.1, 0.0]])
    wide = presets.two_modes(separation=2.0, sigma=0.9, d=3)
    np.testing.assert_array_equal(
        dynamics.mean_field(TWO, y, 0.5), dynamics.mean_field(wide, y, 0.5)
    )


def test_weights_shift_the_logit_of_the_responsibilities():
    gamma = dynamics.static_responsibilities(UNEQUAL, np.array([[0.0], [0.25]]), 0.5)
    logit = np.log(gamma[:, 1] / gamma[:, 0])
    np.testing.assert_allclose(logit, [math.log(4.0), math.log(4.0) + 1.0], rtol=8 * EPS)


def test_covariance_at_the_midpoint_of_two_modes_is_a_quarter_of_the_squared_length():
    cov = dynamics.covariance(TWO, np.zeros((1, 3)), 0.3)[0]
    np.testing.assert_allclose(cov, np.diag([1.0, 0.0, 0.0]), rtol=0, atol=4 * EPS)


@pytest.mark.parametrize("v", [0.01, 0.9, 1.0, 30.0])
def test_spectrum_at_the_midpoint_is_l_squared_over_4v_minus_one_and_minus_one(v):
    spectrum = dynamics.flow_spectrum(TWO, np.zeros((1, 3)), v)[0]
    np.testing.assert_allclose(spectrum, [-1.0, -1.0, 1.0 / v - 1.0], rtol=0, atol=8 * EPS / v)


def test_the_spectrum_of_a_wide_mixture_with_few_modes_is_padded_with_minus_one():
    far = presets.farthest_point(40, 3)
    y = far.means.mean(axis=0, keepdims=True)
    spectrum = dynamics.flow_spectrum(far, y, 1.0)[0]
    assert spectrum.shape == (40,)
    np.testing.assert_array_equal(spectrum[:37], -1.0)
    assert (spectrum[38:] > -1.0 + 1e-3).all()


def test_for_two_modes_the_split_has_no_remainder():
    p = pair(TWO, 1, 0)
    y = np.array([[0.25, 0.5, -0.5]])
    split = dynamics.split_drift(TWO, p, y, 0.4)
    np.testing.assert_array_equal(split.parallel_remainder, [0.0])
    np.testing.assert_array_equal(split.orthogonal_remainder, np.zeros((1, 3)))
    np.testing.assert_array_equal(split.xi_dot, -split.xi)
    logistic = 1.0 / (1.0 + math.exp(-(4.0 / 0.4) * 0.125))
    np.testing.assert_allclose(split.a_dot, [logistic - 0.625], rtol=16 * EPS)


def test_a_third_mode_off_the_line_pulls_along_and_across():
    mixture = GaussianMixture([[0.0, 0.0], [1.0, 0.0], [3.0, 2.0]], 0.1)
    p = pair(mixture, 1, 0)
    y, v = np.array([[1.5, 0.5]]), 2.0
    third = dynamics.static_responsibilities(mixture, y, v)[0, 2]
    split = dynamics.split_drift(mixture, p, y, v)
    np.testing.assert_allclose(split.parallel_remainder, [3.0 * third], rtol=4 * EPS)
    np.testing.assert_allclose(split.orthogonal_remainder, [[0.0, 2.0 * third]], atol=4 * EPS)


PER_MODE = GaussianMixture([[0.0], [1.0]], [0.1, 0.2])


@pytest.mark.parametrize(
    "call",
    [
        lambda: dynamics.mean_field(PER_MODE, np.zeros((1, 1)), 1.0),
        lambda: dynamics.flow_jacobian(PER_MODE, np.zeros((1, 1)), 1.0),
        lambda: dynamics.equilibrium(PER_MODE, 1.0, np.zeros(1)),
        lambda: dynamics.dominance_margin(PER_MODE, np.zeros((1, 1)), 1.0),
    ],
)
def test_one_sigma_per_mode_is_not_applicable(call):
    with pytest.raises(NotApplicableError, match="needs one sigma common to all modes"):
        call()


@pytest.mark.parametrize("v", [0.0, -1.0, float("nan")])
def test_an_effective_variance_that_is_not_positive_is_refused(v):
    with pytest.raises(InputError, match=r"^v must be"):
        dynamics.mean_field(TWO, np.zeros((1, 3)), v)


@pytest.mark.parametrize("function", [dynamics.covariance, dynamics.flow_spectrum])
def test_points_of_the_wrong_shape_are_refused(function):
    for bad in (np.zeros(3), np.zeros((2, 2)), np.zeros((0, 3))):
        with pytest.raises(InputError, match=r"^y must have"):
            function(TWO, bad, 1.0)
