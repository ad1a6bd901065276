r"""An inexact score shifts the saddle's eigenvalue.

In $y$ the perturbed field is $m - y + S\,e(\alpha y)/\alpha$, whose Jacobian gains $S\,De$. Along
the pair the quadratic form is $\lambda + S\langle n, De\,n\rangle$. If $n$ is an eigenvector of
$De$, that is the eigenvalue itself and the midpoint is stable along $n$ iff $S\langle
n,De\,n\rangle < -\lambda$. In general it is the first-order shift of the eigenvalue and, for
symmetric $De$, a lower bound on the largest eigenvalue. It is not an equivalence: in two
dimensions the matrix with entries $-\epsilon$ along, $-1$ across and $b$ off the diagonal has the
negative form $-\epsilon$ along $n$ but determinant $\epsilon - b^2$, so for $b^2 > \epsilon$ a
positive eigenvalue.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import alpha, c, d, e, f, over_coordinates
from ..algebra.rewriting import DERIVATIVES, EXPAND, RATIONAL, SUMS

lam = sp.Symbol("lambda", real=True)
S, epsilon, excess = sp.symbols("S epsilon t", positive=True)
n = sp.IndexedBase("n", real=True)
E = sp.IndexedBase("E", real=True)  # De
mu, b, point = sp.symbols("mu b y", real=True)
err = sp.Function("e", real=True)


def _chain_rule(factor: sp.Expr) -> Chain:
    x = sp.Symbol("x", real=True)
    inner = err(alpha * point)
    at_x = sp.Derivative(err(x), x)
    return Chain(
        "derivative of S e(alpha y)/alpha, per component", sp.Derivative(S * inner / alpha, point)
    ).equals(factor * S * sp.Subs(at_x, x, alpha * point), DERIVATIVES >> EXPAND, "chain rule")


def _form(weight: sp.Expr) -> Chain:
    """J = lambda n n^T - (I - n n^T); n^T (J + S E) n with |n|^2 = q."""
    square = over_coordinates(n[c] ** 2)
    product = over_coordinates(
        n[e]
        * (lam * n[e] * square - (n[e] - n[e] * square) + S * over_coordinates(E[e, f] * n[f], f)),
        e,
    )
    target = (
        lam * square**2
        - (square - square**2)
        + weight * S * over_coordinates(over_coordinates(n[e] * E[e, f] * n[f], e), f)
    )
    return Chain("the form along the pair", product).equals(
        target, SUMS, "|n|^2 = 1: lambda + S <n, De n>"
    )


def _eigenvector() -> Chain:
    # one component of (J + S E) n with E n = mu n and |n|^2 = 1
    component = sp.Symbol("n_e", real=True)
    return Chain("if n is an eigenvector of De", lam * component + S * mu * component).equals(
        (lam + S * mu) * component, RATIONAL, "the eigenvalue itself"
    )


def _counterexample() -> Chain:
    matrix = sp.Matrix([[-epsilon, b], [b, -1]])
    square = epsilon + excess  # b^2 = epsilon + t
    determinant = sp.expand(matrix.det()).subs(b**2, square)
    return Chain("no equivalence: determinant with b^2 = epsilon + t", determinant).at_most(
        sp.S.Zero, excess, EXPAND, "negative, so one eigenvalue is positive"
    )


def _build() -> Proof:
    form = lam + S * over_coordinates(over_coordinates(n[e] * E[e, f] * n[f], e), f)
    numbers = {lam: 1.0, S: 0.5, n: [0.6, 0.8], E: [[0.3, 0.1], [-0.2, 0.4]], d: 2}
    return Proof(
        chains=(_chain_rule(sp.S.One), _form(sp.S.One), _eigenvector(), _counterexample()),
        formulas={"form": Formula(form, (lam, S, n, E, d))},
        wrong=(Wrong(_form(sp.Integer(2)), numbers),),
    )


DERIVATION = Derivation(
    id="C.5",
    place=3,
    doc=__doc__,
    latex=r"\lambda \mapsto \lambda + S\langle n, De\,n\rangle",
    general="any d (indexed sums); exact eigenvalue only if n is an eigenvector of De",
    source="arXiv 2605.06831 v1, C.5",
    correction=(
        "The criterion 'stable iff $S\\langle n,De\\,n\\rangle < -\\lambda$' is an"
        " equivalence only if $n$"
        " is an eigenvector of $De$; otherwise it is a first-order statement, with a"
        " counterexample here."
    ),
    build=_build,
)
