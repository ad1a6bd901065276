"""Deterministic methods: each converges at its declared order to the exact flow, and at no other;
a table with a wrong coefficient, order or shape is refused, and the weights of the exponential
multistep method integrate polynomials exactly.

The truth is the closed form of `mixdyn.oracles`: the flow conserves the distribution function. A
slope is taken between two step numbers; it must lie within 0.25 of the order, so the next lower and
the next higher order both fail.
"""

import dataclasses
import itertools
from fractions import Fraction

import mpmath
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
from mixdyn.solvers.multistep import multistep_weights
from mixdyn.solvers.tableaus import DORMAND_PRINCE, EULER, HEUN, RK4, ButcherTableau, order_gaps
from mixdyn.support.errors import InputError

pytestmark = pytest.mark.compiled


# -- declared orders -------------------------------------------------------------------------------


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


# -- coefficients ----------------------------------------------------------------------------------


TABLES = {table.name: table for table in (EULER, HEUN, RK4, DORMAND_PRINCE)}
NUDGE = Fraction(1, 10**6)


def nudged(row, j):
    return tuple(c + NUDGE * (k == j) for k, c in enumerate(row))


@pytest.mark.parametrize("name", TABLES)
def test_a_nudge_of_any_coefficient_breaks_the_order_conditions(name):
    table, refused = TABLES[name], 0
    changes = [{"b": nudged(table.b, j)} for j in range(len(table.b))]
    for i, row in enumerate(table.a):
        changes += [
            {"a": (*table.a[:i], nudged(row, j), *table.a[i + 1 :])} for j in range(len(row))
        ]
    if table.b_low is not None:
        changes += [{"b_low": nudged(table.b_low, j)} for j in range(len(table.b_low))]
    for change in changes:
        with pytest.raises(InputError, match="order conditions"):
            dataclasses.replace(table, **change)
        refused += 1
    assert refused == len(changes) > 0


@pytest.mark.parametrize("name", ["Euler", "Heun", "RK4"])
def test_a_table_cannot_claim_one_order_more(name):
    table = TABLES[name]
    with pytest.raises(InputError, match="order conditions"):
        dataclasses.replace(table, order=table.order + 1)


@pytest.mark.parametrize("order", [0, 6, -1, 2.0, True])
def test_orders_whose_conditions_are_not_checked_are_refused(order):
    with pytest.raises(InputError, match=r"order must be an integer in 1\.\.5"):
        dataclasses.replace(DORMAND_PRINCE, order=order)


def test_the_companion_of_dormand_prince_has_order_four_and_no_more():
    table = DORMAND_PRINCE
    assert not any(gap for _, gap in order_gaps(table.a, table.b_low, 4))
    assert any(gap for _, gap in order_gaps(table.a, table.b_low, 5))
    assert not any(gap for _, gap in order_gaps(table.a, table.b, 5))


def test_the_last_stage_of_dormand_prince_is_the_first_of_the_next_step():
    assert DORMAND_PRINCE.a[-1] == DORMAND_PRINCE.b[:-1]
    assert DORMAND_PRINCE.c[-1] == 1
    assert DORMAND_PRINCE.b[-1] == 0


@pytest.mark.parametrize(
    ("a", "b", "b_low", "rule"),
    [
        (((), (Fraction(1),)), (Fraction(1),), None, "stage i of an explicit method"),
        (((Fraction(0),),), (Fraction(1),), None, "stage i of an explicit method"),
        (((),), (Fraction(1),), (), "companion has a weight for each of the 1 stages"),
    ],
)
def test_misshapen_tables_are_refused(a, b, b_low, rule):
    with pytest.raises(InputError, match=rule):
        ButcherTableau("table", 1, a, b, b_low)


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
