"""Stochastic schemes converge at their declared orders, weakly and along one Brownian path.

Weak errors carry no Monte Carlo noise: the density of a 1-D chain is carried through the scheme's
own Gaussian steps by quadrature (the trapezoid rule, exact to rounding for kernels a few nodes
wide) and compared with the closed-form law of the reversed diffusion. A slope must lie within 0.15
of the order: order 1/2, and a method that does not converge, both fail.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from mixdyn import DDPM, ExactScore, GaussianMixture, NoiseSchedule, TimeGrid, integrate_sde
from mixdyn.oracles import reverse_mixture
from mixdyn.solvers.field import MixtureField
from mixdyn.solvers.integrators import EulerMaruyama, ExponentialSde

pytestmark = pytest.mark.compiled

MIXTURE = GaussianMixture([[-1.0], [0.4], [1.5]], 0.5, [0.3, 0.4, 0.3])
CLEAN = MIXTURE.sigma**2
V_FROM, START = 4.0, -0.2
NODES = np.linspace(-6, 7, 601)
METHODS = {"Euler-Maruyama": EulerMaruyama(), "exponential": ExponentialSde()}


def expectations(points, probability):
    """Two smooth bounded functions: the share of the right mode, and a finer structure."""
    return np.array([f @ probability for f in (np.tanh(3 * (points - 0.9)), np.cos(2 * points))])


def exact_expectations(x, alpha_bar_t):
    law = reverse_mixture(MIXTURE, [[x]], alpha_bar_t)
    fine = np.linspace(-9, 9, 6001)
    density = stats.norm.pdf(fine[:, None], law.means[0, :, 0], np.sqrt(law.variances))
    return expectations(fine, density @ law.weights[0] * (fine[1] - fine[0]))


def spread(mean, std):
    """Probability of each node from each mean, (nodes, means): one Gaussian step."""
    z = (NODES[:, None] - mean) / std
    return np.exp(-0.5 * z**2) * (NODES[1] - NODES[0]) / (std * np.sqrt(2 * np.pi))


def assert_first_order(errors, within=0.15):
    slopes = np.log2(errors[:-1] / errors[1:])
    assert (np.abs(slopes - 1) <= within).all(), slopes
    return slopes


@pytest.mark.parametrize("name", METHODS)
def test_a_scheme_is_weakly_of_first_order(name, record_property):
    method, field = METHODS[name], MixtureField(MIXTURE)
    truth = exact_expectations(START / np.sqrt(1 + V_FROM - CLEAN), 1 / (1 + V_FROM - CLEAN))
    errors = []
    for steps in (16, 32, 64):
        v = np.geomspace(V_FROM, CLEAN, steps + 1)
        points, probability = np.array([[START]]), np.ones(1)
        for v_t, v_s in itertools.pairwise(v):
            mean = method.mean(points, field.pull(points, v_t), v_t, v_s)[:, 0]
            probability = spread(mean, np.sqrt(method.noise_var(v_t, v_s))) @ probability
            points = NODES[:, None]
        assert abs(probability.sum() - 1) <= 1e-6  # what left the grid
        errors.append(np.abs(expectations(NODES, probability) - truth))
    slopes = assert_first_order(np.array(errors))
    assert method.weak_order == 1
    record_property("weak slopes", slopes.tolist())


@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_the_ddpm_chain_tends_to_the_reversed_diffusion_as_its_steps_shrink(
    variance, record_property
):
    errors = []
    for T in (20, 40, 80):
        schedule = NoiseSchedule.from_betas(-np.expm1(-np.diff(3 * np.linspace(0, 1, T + 1) ** 2)))
        model = ExactScore(MIXTURE, schedule)
        c_x, c_eps, c_noise = DDPM(variance).plan(schedule, TimeGrid.full(T)).eps_form()
        points, probability = np.array([[START]]), np.ones(1)
        for k, t in enumerate(range(T, 1, -1)):
            mean = c_x[k] * points + c_eps[k] * model.eps(points, t)
            probability = spread(mean[:, 0], c_noise[k]) @ probability
            points = NODES[:, None]
        last = (c_x[-1] * points + c_eps[-1] * model.eps(points, 1))[:, 0]
        truth = exact_expectations(START, schedule.alpha_bar[T])
        errors.append(np.abs(expectations(last, probability) - truth))
    slopes = assert_first_order(np.array(errors))
    record_property("weak slopes", slopes.tolist())


@pytest.mark.parametrize("name", METHODS)
def test_a_scheme_is_strongly_of_first_order_along_one_brownian_path(name, record_property):
    method, finest = METHODS[name], 1024
    fine = np.geomspace(V_FROM, CLEAN, finest + 1)
    y = np.linspace(-4, 4, 1000)[:, None]
    reference = integrate_sde(MIXTURE, y, fine, method, rng=1).y
    errors = []
    for steps in (16, 32, 64):
        coarse = integrate_sde(MIXTURE, y, fine[:: finest // steps], method, rng=1, fine=fine)
        assert coarse.n_eval == steps
        errors.append(np.sqrt(np.mean((coarse.y - reference) ** 2)))
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    record_property("strong slopes", slopes.tolist())
    assert (np.abs(slopes - 1) <= 0.15).all(), slopes


def test_both_schemes_meet_on_one_brownian_path():
    fine = np.geomspace(V_FROM, CLEAN, 513)
    y = np.linspace(-4, 4, 200)[:, None]
    a, b = (integrate_sde(MIXTURE, y, fine, method, rng=1).y for method in METHODS.values())
    assert np.sqrt(np.mean((a - b) ** 2)) <= 0.005
    other = integrate_sde(MIXTURE, y, fine, EulerMaruyama(), rng=2).y
    assert np.sqrt(np.mean((a - other) ** 2)) >= 0.2


@pytest.mark.parametrize("name", METHODS)
def test_a_single_mode_has_the_exact_mean_for_the_exponential_scheme_only(name):
    """There m is constant, so the exponential scheme's law is exact at any step."""
    mixture, method = GaussianMixture([[0.5]], 0.3), METHODS[name]
    field = MixtureField(mixture)
    v = np.array([4.0, 1.0, 0.09])
    mean, var = 2.0, 0.0
    for v_t, v_s in itertools.pairwise(v):
        at = np.array([[mean], [mean + 1]])
        ends = method.mean(at, field.pull(at, v_t), v_t, v_s)[:, 0]
        mean, var = ends[0], var * (ends[1] - ends[0]) ** 2 + method.noise_var(v_t, v_s)
    q = v[-1] / v[0]
    gap = abs(mean - (0.5 + q * 1.5)) + abs(var - v[-1] * (1 - q))
    assert gap <= 1e-14 if name == "exponential" else gap > 0.1


def test_fine_steps_of_the_exponential_scheme_compose_to_the_coarse_one_where_m_is_constant():
    mixture, y = GaussianMixture([[0.5]], 0.3), np.linspace(-3, 3, 40)[:, None]
    fine = np.array([4.0, 3.1, 2.5, 1.2, 0.5, 0.2, 0.09])
    ends = [
        integrate_sde(mixture, y, v, ExponentialSde(), rng=7, fine=fine).y
        for v in (fine, fine[[0, 3, 6]], fine[[0, 6]])
    ]
    assert np.abs(ends[1] - ends[0]).max() <= 1e-13
    assert np.abs(ends[2] - ends[0]).max() <= 1e-13


def test_shared_fine_nodes_give_the_step_noise_of_the_bridge(plausible):
    """Two coarse steps over one and many fine ones have the same law: mean zero, variance one."""
    mixture = GaussianMixture([[0.0]], 0.3)
    y = np.zeros((20_000, 1))
    v = [4.0, 1.0]
    fine = np.geomspace(4.0, 1.0, 17)
    fine[0], fine[-1] = v
    for method in METHODS.values():
        for grid in (None, fine):
            end = integrate_sde(mixture, y, v, method, rng=3, fine=grid).y[:, 0]
            std = np.sqrt(method.noise_var(*v))
            plausible(stats.kstest(end / std, "norm").pvalue)
