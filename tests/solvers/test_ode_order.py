"""Every deterministic method converges at its declared order to the exact flow, and at no other.

The truth is the closed form of `mixdyn.oracles`: the flow conserves the distribution function. A
slope is taken between two step numbers; it must lie within 0.25 of the order, so the next lower and
the next higher order both fail.
"""

import itertools

import numpy as np
import pytest

from mixdyn import DDIM, GaussianMixture, NoiseSchedule, TimeGrid, integrate_ode, presets, sample
from mixdyn.oracles import flow_map
from mixdyn.solvers.field import MixtureField
from mixdyn.solvers.integrators import (
    DormandPrince,
    ExponentialEuler,
    ExponentialMidpoint,
    ExponentialMultistep,
    RungeKutta,
    euler,
    heun,
    rk4,
)
from mixdyn.solvers.tableaus import DORMAND_PRINCE

pytestmark = pytest.mark.compiled

MIXTURE = GaussianMixture([[-1.0], [0.4], [1.5]], 0.35, [0.3, 0.4, 0.3])
CLEAN = MIXTURE.sigma**2
Y = np.linspace(-4, 4, 23)[:, None]
V_FROM = 16.0

# method, evaluations a step, step numbers at which its error is asymptotic and above rounding
METHODS = {
    "Euler": (euler(), 1, (80, 160)),
    "Heun": (heun(), 2, (40, 80)),
    "RK4": (rk4(), 4, (40, 80)),
    "Dormand-Prince, fixed": (RungeKutta(DORMAND_PRINCE), 7, (40, 80)),
    "exponential Euler": (ExponentialEuler(), 1, (80, 160)),
    "exponential midpoint": (ExponentialMidpoint(), 2, (80, 160)),
    "exponential multistep": (ExponentialMultistep(), 1, (160, 320)),
    "exponential multistep, order 1": (ExponentialMultistep(1), 1, (80, 160)),
}
GRIDS = {
    "even in u": lambda steps: np.geomspace(V_FROM, CLEAN, steps + 1),
    "uneven in u": lambda steps: np.linspace(V_FROM**0.125, CLEAN**0.125, steps + 1) ** 8,
}


@pytest.fixture(scope="module")
def truth():
    return flow_map(MIXTURE, Y, V_FROM, CLEAN)


def slope(errors):
    return float(np.log2(errors[0] / errors[1]))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", METHODS)
def test_a_fixed_step_method_has_its_declared_order_and_cost(name, grid, truth, record_property):
    method, per_step, steps = METHODS[name]
    errors = []
    for count in steps:
        solution = integrate_ode(MIXTURE, Y, GRIDS[grid](count), method)
        assert solution.n_eval == per_step * count
        assert solution.n_rejected == 0
        errors.append(np.abs(solution.y - truth).max())
    record_property("slope", float(slope(errors)))
    assert errors[1] > 1e-11, "an error at rounding level has no slope"
    assert abs(slope(errors) - method.order) <= 0.25


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_long_multistep_has_its_order_from_noise_and_less_elsewhere(grid, order, truth):
    """It starts with one node, then two: errors of second order where m moves there already."""
    noise, start = 1e5, 300 * Y
    far = flow_map(MIXTURE, start, noise, CLEAN)
    steps = np.linspace(0, 1, 481)
    if grid == "even in u":
        grids = [np.geomspace(noise, CLEAN, n + 1) for n in (240, 480)]
    else:
        fine = noise * (CLEAN / noise) ** (steps + 0.15 * np.sin(np.pi * steps) ** 2)
        grids = [fine[::2], fine]
    method = ExponentialMultistep(order)
    errors = [np.abs(integrate_ode(MIXTURE, start, v, method).y - far).max() for v in grids]
    assert errors[1] > 1e-11, "an error at rounding level has no slope"
    assert abs(slope(errors) - order) <= 0.35
    errors = [
        np.abs(integrate_ode(MIXTURE, Y, GRIDS[grid](n), method).y - truth).max()
        for n in (320, 640)
    ]
    assert slope(errors) <= 2.75


@pytest.mark.parametrize("spacing", ["full", "quadratic", "log_snr"])
def test_ddim_is_first_order(spacing, record_property):
    schedule = NoiseSchedule.from_betas(-np.expm1(-np.diff(6 * np.linspace(0, 1, 8001) ** 2)))
    x = np.linspace(-3, 3, 23)[:, None]
    errors = []
    for steps in (80, 160):
        if spacing == "full":  # every time of a schedule as long as the run
            short = NoiseSchedule.from_betas(
                -np.expm1(-np.diff(6 * np.linspace(0, 1, steps + 1) ** 2))
            )
            run = sample(MIXTURE, short, DDIM(spacing="full"), x=x, rng=0)
            v, alpha = CLEAN + short.rho[steps], short.alpha[steps]
        else:
            sampler = DDIM(steps, spacing)
            run = sample(MIXTURE, schedule, sampler, x=x, rng=0)
            v, alpha = CLEAN + schedule.rho[run.times[0]], schedule.alpha[run.times[0]]
        assert run.n_eval == steps
        errors.append(np.abs(run.x - flow_map(MIXTURE, x / alpha, v, CLEAN)).max())
    record_property("slope", float(slope(errors)))
    assert abs(slope(errors) - 1) <= 0.1


def test_one_step_of_ddim_and_of_exponential_euler_agree_where_both_are_exact():
    """For a frozen clean prediction both follow the same straight line; one mode of sigma -> 0."""
    point = GaussianMixture([[0.7]], 1e-8)
    schedule = NoiseSchedule.linear(50)
    run = sample(point, schedule, DDIM(spacing=TimeGrid([50, 20, 0])), x=[[1.3]], keep="trajectory")
    v = schedule.rho[[50, 20]] + 1e-16
    y = integrate_ode(point, run.trajectory[0] / schedule.alpha[50], v, ExponentialEuler()).y
    assert np.allclose(run.trajectory[1] / schedule.alpha[20], y, rtol=1e-13)


def test_steps_of_the_exponential_methods_are_those_of_their_formulas():
    """m frozen at the node, or at half the step in u, or extrapolated from the last two nodes."""
    field = MixtureField(MIXTURE)

    def m(y, v):
        return y + field.pull(y, v)

    v = [4.0, 1.0, 0.5]
    r = [np.sqrt(b / a) for a, b in itertools.pairwise(v)]
    first = m(Y, v[0]) + r[0] * (Y - m(Y, v[0]))
    assert np.allclose(integrate_ode(MIXTURE, Y, v[:2], ExponentialEuler()).y, first, atol=1e-14)
    half = m(Y, v[0]) + np.sqrt(r[0]) * (Y - m(Y, v[0]))
    middle = m(half, np.sqrt(v[0] * v[1]))
    expected = middle + r[0] * (Y - middle)
    assert np.allclose(
        integrate_ode(MIXTURE, Y, v[:2], ExponentialMidpoint()).y, expected, atol=1e-14
    )
    h0, h1 = -np.log(r[0]), -np.log(r[1])
    now = m(first, v[1])
    slope_m = (now - m(Y, v[0])) / h0
    # int_0^h e^(w - h) (m + m' w) dw = (1 - e^-h) m + (h - 1 + e^-h) m'
    expected = r[1] * first + (1 - r[1]) * now + (h1 - 1 + r[1]) * slope_m
    assert np.allclose(integrate_ode(MIXTURE, Y, v, ExponentialMultistep()).y, expected, atol=1e-14)


# -- the adaptive method -------------------------------------------------------------------------


@pytest.mark.parametrize("rtol", [1e-3, 1e-5, 1e-7, 1e-9, 1e-11])
def test_dormand_prince_meets_its_tolerance_at_the_cost_of_its_order(rtol, truth):
    solution = integrate_ode(MIXTURE, Y, [V_FROM, CLEAN], DormandPrince(rtol, 1e-2 * rtol))
    error = np.abs(solution.y - truth).max()
    assert error <= 5 * rtol
    assert error >= 1e-3 * rtol, "far more work than the tolerance asks for"
    # Six evaluations a step and one to begin with; steps grow as rtol^(-1/5).
    assert (solution.n_eval - 1) % 6 == 0
    assert solution.n_eval <= 12 * rtol**-0.2
    assert solution.n_rejected <= 15


def test_dormand_prince_on_the_standard_problem_agrees_with_the_closed_form():
    mixture = presets.grid()
    y = 4 * np.random.default_rng(0).normal(size=(50, 2))
    solution = integrate_ode(mixture, y, [16.0, mixture.sigma**2], DormandPrince(1e-10, 1e-12))
    exact = flow_map(mixture, y, 16.0, mixture.sigma**2)
    assert np.abs(solution.y - exact).max() <= 1e-10


def test_nodes_in_between_do_not_move_the_adaptive_solution(truth):
    nodes = [V_FROM, 5.0, 1.0, 0.3, CLEAN]
    solution = integrate_ode(MIXTURE, Y, nodes, DormandPrince(1e-9, 1e-11), keep="trajectory")
    assert np.abs(solution.y - truth).max() <= 5e-9
    assert (solution.trajectory[0] == Y).all()
    assert (solution.trajectory[-1] == solution.y).all()
    for v, state in zip(nodes[1:], solution.trajectory[1:], strict=True):
        assert np.abs(state - flow_map(MIXTURE, Y, V_FROM, v)).max() <= 5e-9


def test_each_row_keeps_the_tolerance_beside_rows_that_are_harder():
    rows = np.vstack([Y[:1], [[0.01]]])
    easy, both = (
        integrate_ode(MIXTURE, y, [V_FROM, CLEAN], DormandPrince(1e-8, 1e-10))
        for y in (rows[:1], rows)
    )
    assert np.abs(easy.y - both.y[:1]).max() <= 1e-7
    assert both.n_eval >= easy.n_eval
