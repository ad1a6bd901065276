r"""Linear differential inequalities.

If $D' \le -D + R$ with constant $R$, then $e^u(D - R)$ does not increase; if $D' \le
\lambda(u)D$, then $e^{-\Lambda}D$ does not, $\Lambda' = \lambda$. The hypothesis enters as an
equation with a slack $s(u) \ge 0$. Where $D$ is a distance it may have a kink at $0$; there $D'$
is the right derivative, for which the conclusion is the same.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import DERIVATIVES, RATIONAL, Rewriting, insert

u = sp.Symbol("u", nonnegative=True)
R, D_0, loss = sp.symbols("R D_0 loss", nonnegative=True)
D = sp.Function("D", real=True)(u)
s = sp.Function("s", nonnegative=True)(u)
Lam = sp.Function("Lambda", real=True)(u)


def _given(rate: sp.Expr) -> Rewriting:
    return insert({sp.Derivative(D, u): rate}, "insert the hypothesis with its slack")


def _constant(rate: sp.Expr) -> Chain:
    hypothesis = DERIVATIVES >> _given(rate) >> RATIONAL
    return (
        Chain("the integrating factor", sp.Derivative(sp.exp(u) * (D - R), u))
        .equals(-sp.exp(u) * s, hypothesis, "product rule and D' = -D + R - s")
        .at_most(sp.S.Zero, sp.exp(u) * s, RATIONAL, "the slack is nonnegative")
    )


def _conclusion() -> Chain:
    # e^u (D - R) = D_0 - R - loss, loss = int e^u' s du' >= 0
    at_u = R + sp.exp(-u) * (D_0 - R - loss)
    target = sp.exp(-u) * D_0 + (1 - sp.exp(-u)) * R
    return Chain("the value at u", at_u).at_most(
        target, sp.exp(-u) * loss, RATIONAL, "loss: the integral of e^u s"
    )


def _variable() -> tuple[Chain, Chain]:
    rate = sp.Derivative(Lam, u) * D - s
    hypothesis = DERIVATIVES >> _given(rate) >> RATIONAL
    first = (
        Chain("variable rate: the integrating factor", sp.Derivative(sp.exp(-Lam) * D, u))
        .equals(-sp.exp(-Lam) * s, hypothesis, "product rule and D' = lambda D - s")
        .at_most(sp.S.Zero, sp.exp(-Lam) * s, RATIONAL, "the slack is nonnegative")
    )
    big = sp.Symbol("Lambda", real=True)
    second = Chain("variable rate: the value at u", sp.exp(big) * (D_0 - loss)).at_most(
        sp.exp(big) * D_0, sp.exp(big) * loss, RATIONAL, "loss: the integral of e^-Lambda s"
    )
    return first, second


def _build() -> Proof:
    target = sp.exp(-u) * D_0 + (1 - sp.exp(-u)) * R
    fast = sp.exp(-2 * u) * D_0 + (1 - sp.exp(-2 * u)) * R
    wrong = Chain("twice the rate", R + sp.exp(-u) * (D_0 - R - loss)).at_most(
        fast, sp.exp(-u) * loss, RATIONAL, "wrong"
    )
    return Proof(
        chains=(_constant(-D + R - s), _conclusion(), *_variable()),
        formulas={"distance": Formula(target, (D_0, u, R))},
        wrong=(Wrong(wrong, {u: 0.5, D_0: 1.0, R: 0.1, loss: 0.0}),),
    )


DERIVATION = Derivation(
    id="L.2",
    place=2,
    doc=__doc__,
    latex=(
        r"D' \le -D + R \ \Rightarrow\ D(u) \le e^{-u}D_0 + (1-e^{-u})R, \qquad"
        r" D' \le \lambda D \ \Rightarrow\ D(u) \le e^{\int\lambda}D_0"
    ),
    general="general",
    source="standard (Groenwall)",
    build=_build,
)
