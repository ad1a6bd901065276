r"""The best grid of many steps.

A step from $g$ to $g + h$ costs half of $\int (m(g) - m(g + u))\,du$ over $0..h$, $m$ the mmse;
with $c = -m'$ that is $\tfrac14 c h^2$ to leading order, more or less by half the largest change of
$c$. $K$ steps of a density $\lambda$ of nodes ($\int\lambda = K$, $h = 1/\lambda$) cost
$\tfrac14\int c/\lambda$. Cauchy's inequality gives $\int\sqrt c = \int\sqrt{c/\lambda}\sqrt\lambda
\le (\int c/\lambda)^{1/2} K^{1/2}$, so none costs less than $(\int\sqrt c)^2/(4K)$, and $\lambda
\propto \sqrt c$ attains it: equal costs at every step.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import DERIVATIVES, RATIONAL

h, K, A, s = sp.symbols("h K A s", positive=True)
c, c1 = sp.symbols("c c_1", positive=True)
a, b, p, q = sp.symbols("a b p q", positive=True)


def _step(factor: sp.Expr) -> Chain:
    """m falls with slope -c - c_1 u; of the cost, which is 0 for no step, the derivative."""
    cost = factor * c * h**2 + c1 * h**3 / 12
    lost = c * h + c1 * h**2 / 2
    return Chain("a step, by its length", sp.Derivative(cost, h)).equals(
        lost / 2, DERIVATIVES >> RATIONAL, "half of what m has lost at the step's end"
    )


def _cauchy(least: sp.Expr) -> Chain:
    """Two pieces of slopes a^2, b^2 with p and q steps: any number by induction."""
    return Chain("no division into steps costs less", least).at_most(
        a**2 / p + b**2 / q, (a * q - b * p) ** 2 / (p * q * (p + q)), RATIONAL, "Cauchy, Sedrakyan"
    )


def _attained() -> Chain:
    """Density s sqrt(c) with s int sqrt(c) = K."""
    return Chain("equal steps", sp.Rational(1, 4) * A / s, where={s: K / A}).equals(
        A**2 / (4 * K), RATIONAL, "int c/lambda = A/s, A = int sqrt(c)"
    )


def _build() -> Proof:
    fourth = sp.Rational(1, 4)
    return Proof(
        chains=(_step(fourth), _cauchy((a + b) ** 2 / (p + q)), _attained()),
        formulas={"limit": Formula(A**2 / (4 * K), (A, K))},
        wrong=(
            Wrong(_step(2 * fourth), {c: 1.0, c1: 0.3, h: 0.5}),
            Wrong(_cauchy(2 * (a + b) ** 2 / (p + q)), {a: 1.0, b: 1.0, p: 1.0, q: 1.0}),
        ),
    )


DERIVATION = Derivation(
    id="X13 (b)",
    place=2,
    also=("X13'",),
    doc=__doc__,
    latex=(
        r"\tfrac12\sum_k\int(m(g_k) - m(g))\,dg \;\to\; \tfrac14\int\frac{-m'}{\lambda}\,dg \ge"
        r" \frac{1}{4K}\Big(\int\sqrt{-m'}\,dg\Big)^2"
    ),
    general="smooth mmse, many steps (leading order); Cauchy's inequality by induction",
    source="own result; compare arXiv 2601.21943",
    build=_build,
)
