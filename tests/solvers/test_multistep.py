"""The weights of the exponential multistep method integrate polynomials exactly, at any step."""

import mpmath
import numpy as np
import pytest

from mixdyn.solvers.multistep import multistep_weights

pytestmark = pytest.mark.compiled


def integral(h, k):
    """int_0^h e^(w - h) w^k dw at 50 digits."""
    with mpmath.workdps(50):
        return mpmath.quad(lambda w: mpmath.exp(w - h) * w**k, [0, mpmath.mpf(h)])


@pytest.mark.parametrize("h", [1e-6, 1e-3, 0.2, 0.999, 1.001, 3.0, 12.0])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_weights_are_exact_for_the_polynomials_through_their_nodes(order, h):
    nodes = np.array([0.0, -0.7, -1.9, -2.6])[:order] * min(h, 1.0)
    weights = multistep_weights(h, nodes)
    for k in range(order):
        exact = float(integral(h, k))
        scale = np.abs(weights * nodes**k).sum() + exact
        assert abs((weights * nodes**k).sum() - exact) <= 2e-13 * scale


def test_weights_are_not_exact_one_degree_higher():
    weights, nodes = multistep_weights(0.5, np.array([0.0, -0.4])), np.array([0.0, -0.4])
    assert abs((weights * nodes**2).sum() - float(integral(0.5, 2))) > 1e-3


def test_one_node_gives_the_weight_of_exponential_euler():
    for h in (1e-9, 0.3, 5.0):
        assert multistep_weights(h, np.zeros(1))[0] == pytest.approx(-np.expm1(-h), rel=4e-16)
