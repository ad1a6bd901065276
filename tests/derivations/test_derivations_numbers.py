"""What the derivations prove symbolically also holds in numbers, at 50 digits and in doubles."""

import random

import mpmath
import pytest

from derivations import catalogue
from derivations.algebra.formula import Formula
from tests.derivations.sampling import DIGITS, LENGTHS, Table, draw, ends, is_numeric

NAMES = catalogue.names()
POINTS = 4
# The chain relates tables through an inserted definition that random numbers do not satisfy.
TIED = {("popoviciu", "variance of the numbers")}


def _real_ends(chain, rng):
    """Ends at a random point where both are real (some points leave the domain of a root)."""
    for attempt in range(60):
        try:
            start, end = ends(chain, rng, 1.0 + 9.0 * (attempt % 2))
        except ZeroDivisionError:
            continue
        if mpmath.im(start) == mpmath.im(end) == 0:
            return mpmath.re(start), mpmath.re(end)
    raise AssertionError(f"no point of the domain found for {chain.name!r}")


@pytest.mark.parametrize("name", NAMES)
def test_both_ends_of_every_chain_agree_at_random_points(name):
    rng = random.Random(name)
    chains = [c for c in catalogue.load(name).proof.chains if is_numeric(c)]
    for chain in chains:
        if (name, chain.name) in TIED:
            continue
        for _ in range(POINTS):
            start, end = _real_ends(chain, rng)
            slack = mpmath.mpf(10) ** (10 - DIGITS) * max(1, abs(start), abs(end))
            if chain.relation == "=":
                assert abs(start - end) <= slack, chain.name
            else:
                assert start <= end + slack, chain.name


def test_most_chains_are_checked_in_numbers():
    chains = [(n, c) for n in NAMES for c in catalogue.load(n).proof.chains]
    numeric = [c for n, c in chains if is_numeric(c) and (n, c.name) not in TIED]
    assert len(numeric) >= 0.85 * len(chains)


def _arguments(formula, rng, scale):
    values = []
    for argument in formula.arguments:
        if hasattr(argument, "label"):
            values.append(_sequence(formula, argument, rng))
        else:
            values.append(draw(argument, rng, scale))
    return values


def _sequence(formula, base, rng):
    """Nested lists for an indexed base, as long as any sum may need."""
    ranks = {len(e.indices) for e in formula.expr.atoms(type(base[0])) if e.base == base}
    table, size = Table(base, rng), max(LENGTHS["N"], LENGTHS["d"])
    if ranks == {2}:
        return [[float(table[k, c]) for c in range(size)] for k in range(size)]
    return [float(table[k]) for k in range(size)]


@pytest.mark.parametrize("name", NAMES)
def test_the_lambdified_doubles_agree_with_fifty_digits(name):
    rng = random.Random(f"doubles {name}")
    for key, formula in catalogue.load(name).numeric().items():
        checked = 0
        for attempt in range(60):
            drawn = _arguments(formula, rng, 1.0 + 9.0 * (attempt % 2))
            values = [float(v) if isinstance(v, mpmath.mpf) else v for v in drawn]
            try:
                exact, double = formula(*values), formula.doubles(*values)
            except (TypeError, ValueError, ZeroDivisionError):  # outside the domain of a root
                continue
            if mpmath.im(exact) != 0:
                continue
            assert abs(double - exact) <= 1e-11 * max(1, abs(exact)), key
            checked += 1
            if checked == POINTS:
                break
        assert checked >= 1, key


def test_a_formula_takes_doubles_as_exact_and_keeps_fifty_digits():
    import sympy as sp

    x = sp.Symbol("x")
    third = Formula(x / 3, (x,))(0.1)
    with mpmath.workdps(60):
        assert abs(third - mpmath.mpf(0.1) / 3) < mpmath.mpf(10) ** -51
        assert abs(third - mpmath.mpf("0.1") / 3) > mpmath.mpf(10) ** -20
