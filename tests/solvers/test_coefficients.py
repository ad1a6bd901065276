"""Coefficients: a Runge-Kutta table with a wrong one, a wrong order or a wrong shape is refused,
and the weights of the exponential multistep method integrate polynomials exactly."""

import dataclasses
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from mixdyn.solvers.multistep import multistep_weights
from mixdyn.solvers.tableaus import DORMAND_PRINCE, EULER, HEUN, RK4, ButcherTableau, order_gaps
from mixdyn.support.errors import InputError

pytestmark = pytest.mark.compiled

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
