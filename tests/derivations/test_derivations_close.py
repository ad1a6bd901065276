"""Every derivation closes exactly, and every wrong variant is rejected for a reason."""

import ast
import sys

import mpmath
import pytest
import sympy as sp
from sympy.core.function import UndefinedFunction

from derivations import catalogue, stored
from derivations.algebra.chain import Chain, Gap, Growth, Same
from derivations.algebra.rewriting import EXPAND, RATIONAL
from tests.derivations.sampling import evaluate, written_out

pytestmark = pytest.mark.slow
NAMES = catalogue.names()


@pytest.mark.parametrize("name", NAMES)
def test_every_link_of_the_derivation_has_residual_exactly_zero(name):
    derivation = catalogue.load(name)
    assert derivation.residual() == 0
    assert isinstance(derivation.residual(), sp.Integer)


@pytest.mark.parametrize("name", NAMES)
def test_no_wrong_variant_closes_and_each_is_false_at_its_witness(name):
    derivation = catalogue.load(name)
    assert derivation.proof.wrong, "a derivation ships at least one wrong variant"
    for wrong in derivation.proof.wrong:
        assert wrong.chain.residual() != 0
        values = {k: _table(v) for k, v in wrong.witness.items()}
        constant = {k: v for k, v in values.items() if isinstance(k, UndefinedFunction)}
        numbers = {k: v for k, v in values.items() if k not in constant}
        start, end = (
            evaluate(_with_constants(side, constant), numbers) for side in written_out(wrong.chain)
        )
        scale = max(abs(start), abs(end))
        if wrong.chain.relation == "=":
            assert abs(start - end) > 1e-3 * scale
        else:
            assert start - end > 1e-4 * scale


def _with_constants(expr, constant):
    """The expression with undefined functions that are constant."""
    for function, value in constant.items():
        expr = expr.replace(function, lambda *_, value=value: sp.Float(value)).doit()
    return expr


def _table(value):
    if isinstance(value, list):
        return mpmath.matrix(value)
    return value if isinstance(value, int) else mpmath.mpf(value)


@pytest.mark.parametrize("name", NAMES)
def test_no_link_compares_an_expression_with_itself(name):
    for chain in catalogue.load(name).proof.chains:
        assert chain.links, "a chain without links states nothing"
        source = chain.start
        for link in chain.links:
            assert source != link.target
            source = link.target


@pytest.mark.parametrize("name", NAMES)
def test_what_a_derivation_exports_says_what_it_proves(name):
    derivation = catalogue.load(name)
    assert len(derivation.statement) == len(derivation.proof.chains)
    for relation, chain in zip(derivation.statement, derivation.proof.chains, strict=True):
        assert relation.lhs == chain.start
        assert relation.rhs == chain.end
    assert derivation.title
    assert derivation.prose
    assert derivation.latex
    assert derivation.general
    assert derivation.source


def test_the_catalogue_lists_every_derivation_once_and_ids_are_unique():
    files = [p.stem for p in stored.FOLDER.glob("*/[a-z]*.py") if p.parent.name != "algebra"]
    assert sorted(files) == sorted(NAMES)
    ids = [i for name in NAMES for i in (catalogue.load(name).id, *catalogue.load(name).also)]
    assert len(set(ids)) == len(ids)
    assert [catalogue.find(catalogue.load(name).id) for name in NAMES] == list(NAMES)
    assert catalogue.find("x2") == "tube"


@pytest.mark.parametrize("name", NAMES)
def test_a_derivation_imports_sympy_and_its_siblings_alone(name):
    for path in stored.sources(name):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            else:
                continue
            for module in modules:
                top = module.partition(".")[0]
                assert top in {"sympy", "mpmath"} or top in sys.stdlib_module_names


def test_a_derivation_comes_after_those_it_uses():
    place = {name: k for k, name in enumerate(NAMES)}
    for name in NAMES:
        used = {p.stem for p in stored.sources(name)} & set(NAMES) - {name}
        assert all(place[other] < place[name] for other in used), name


# -- the checks themselves can fail --------------------------------------------------------------

X = sp.Symbol("x", real=True)
P = sp.Symbol("p", nonnegative=True)


def test_a_chain_with_a_false_equality_does_not_close():
    assert Chain("", (X + 1) ** 2).equals(X**2 + 1, EXPAND, "").residual() != 0


def test_a_true_inequality_with_a_gap_of_unknown_sign_does_not_close():
    right = Chain("", 2 * X).at_most(X**2 + 1, (X - 1) ** 2, EXPAND, "")
    assert right.residual() == 0
    assert Chain("", X - 1).at_most(X, sp.S.One + 0 * X, EXPAND, "").residual() == 0
    assert Chain("", sp.S.Zero).at_most(X, X, EXPAND, "").residual() != 0


def test_growth_needs_the_value_at_the_origin_and_the_slope():
    def claim(start, slope, origin=sp.S.Zero):
        growth = Growth(P, origin, P, Gap(slope, RATIONAL), RATIONAL)
        return Chain("", start).at_most_growing(sp.exp(P), growth, "").residual()

    assert claim(sp.S.One, sp.exp(P)) == 0
    assert claim(2 * sp.S.One, sp.exp(P)) != 0  # false at the origin
    assert claim(sp.S.One + P, sp.exp(P)) != 0  # the slope is not what was given


def test_a_chain_is_an_inequality_once_one_link_is():
    chain = Chain("", X).equals(X + 0 * X + 0, EXPAND, "").at_most(X + 1, sp.S.One, EXPAND, "")
    assert chain.relation == "<="
    assert isinstance(chain.links[0].evidence, Same)
