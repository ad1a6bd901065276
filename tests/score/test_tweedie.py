"""Tweedie's identities: the score is the posterior mean, its Jacobian the posterior covariance.

x_t = alpha x_0 + noise, so with nu = 1 - alpha_bar

    E[x_0 | x_t] = (x_t + nu s)/alpha,    Cov[x_0 | x_t] = nu (I + nu D s)/alpha^2.

The left sides come from quadrature over x_0 of the prior times the forward kernel, which knows
nothing of scores; the trapezoid rule is exact to rounding for sums of Gaussians on a fine grid.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixdyn import ExactScore, GaussianMixture, NoiseSchedule

pytestmark = pytest.mark.compiled

SCHEDULE = NoiseSchedule.linear(100, 0.002, 0.2)


@st.composite
def lines(draw):
    """A 1-D mixture, a time and two points where p_t is not negligible."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_modes = draw(st.integers(1, 4))
    sigma = np.exp(rng.uniform(np.log(0.05), 0, n_modes))
    sigma = sigma if draw(st.booleans()) else float(sigma[0])
    means = rng.uniform(-2, 2, (n_modes, 1))
    mixture = GaussianMixture(means, sigma, rng.uniform(0.1, 1, n_modes))
    t = draw(st.integers(1, SCHEDULE.T))
    k = rng.integers(n_modes, size=2)
    std_t = np.sqrt(ExactScore(mixture, SCHEDULE).variances(t))
    x = SCHEDULE.alpha[t] * means[k, 0] + 3 * std_t[k] * rng.standard_normal(2)
    return mixture, t, x


def posterior_moments(mixture, x, t):
    """(log p_t(x), E[x0 | x], Var[x0 | x]) by quadrature over x0."""
    alpha, nu = SCHEDULE.alpha[t], SCHEDULE.noise_var[t]
    x0 = np.linspace(-20, 20, 40_001)
    prior = -((x0[:, None] - mixture.means[:, 0]) ** 2) / (2 * mixture.sigmas**2)
    prior += np.log(mixture.weights / mixture.sigmas)
    joint = np.logaddexp.reduce(prior, axis=1) - (x - alpha * x0) ** 2 / (2 * nu)
    top = joint.max()
    density = np.exp(joint - top)
    total = density.sum()
    mean = (density @ x0) / total
    log_p = top + np.log(total * (x0[1] - x0[0]) / (2 * np.pi * np.sqrt(nu)))
    return log_p, mean, density @ (x0 - mean) ** 2 / total


@given(lines())
def test_score_and_jacobian_are_the_posterior_mean_and_variance(scene):
    mixture, t, points = scene
    model = ExactScore(mixture, SCHEDULE)
    alpha, nu = SCHEDULE.alpha[t], SCHEDULE.noise_var[t]
    for x in points:
        log_p, mean, variance = posterior_moments(mixture, x, t)
        at = np.array([[x]])
        score, jacobian = model.score(at, t)[0, 0], model.jacobian(at, t)[0, 0, 0]
        x0, eps = model.x0(at, t)[0, 0], model.eps(at, t)[0, 0]
        # The smallest posterior standard deviation spans 20 nodes; logs of size q round to q ulp.
        assert abs(x0 - mean) <= 1e-12 * (1 + abs(x) / alpha)
        assert abs((x + nu * score) / alpha - mean) <= 1e-12 * (1 + abs(x)) / alpha
        assert abs((x - np.sqrt(nu) * eps) / alpha - mean) <= 1e-12 * (1 + abs(x)) / alpha
        assert abs(nu * (1 + nu * jacobian) / alpha**2 - variance) <= 1e-11 * nu / alpha**2
        assert abs(model.log_density(at, t)[0] - log_p) <= 1e-12 * (10 + abs(log_p))


@given(lines(), st.integers(1, 3))
def test_the_posterior_covariance_in_several_dimensions_is_that_of_bayes(scene, extra):
    """Modes by Bayes' rule: each is Gaussian with precision 1/sigma^2 + alpha^2/nu."""
    mixture, t, points = scene
    d = 1 + extra
    rng = np.random.default_rng(int(abs(points[0]) * 1e6))
    means = np.column_stack([mixture.means, rng.uniform(-2, 2, (mixture.N, extra))])
    wide = GaussianMixture(means, mixture.sigma, mixture.weights)
    model = ExactScore(wide, SCHEDULE)
    alpha, nu = SCHEDULE.alpha[t], SCHEDULE.noise_var[t]
    x = alpha * means[:1] + 2 * np.sqrt(model.variances(t)[0]) * rng.standard_normal((1, d))
    var = 1 / (1 / wide.sigmas**2 + alpha**2 / nu)
    centre = var[:, None] * (means / wide.sigmas[:, None] ** 2 + alpha * x / nu)
    gamma = model.responsibilities(x, t)[0]
    mean = gamma @ centre
    spread = centre - mean
    covariance = np.einsum("k,ki,kj->ij", gamma, spread, spread) + gamma @ var * np.eye(d)
    tweedie = nu * (np.eye(d) + nu * model.jacobian(x, t)[0]) / alpha**2
    assert np.abs(tweedie - covariance).max() <= 1e-11 * nu / alpha**2 * (1 + np.abs(x).max())
    assert np.abs(model.x0(x, t)[0] - mean).max() <= 1e-13 * (1 + np.abs(x).max() / alpha)
