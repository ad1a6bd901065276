r"""An inexact score moves the saddle.

A score error $e$ adds $S\,e/\alpha$ to $dy/du$, so the coordinate $z$ along the pair (in units of
$l$) gains $\delta = S\langle e,n\rangle/(\alpha l)$. The zero of $f(z) + \delta$ starts at $0$
and has, by the implicit function theorem, the derivative $-1/f'(0) = -1/\lambda$ in $\delta$.
Beyond first order, Taylor's formula $f(z) = \lambda z + R(z)$ with $|R| \le
\tfrac{k^2}{12\sqrt3}z^2$ gives the exact statement $|z^* + \delta/\lambda| \le
\tfrac{k^2}{12\sqrt3\,\lambda}z^{*2}$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, DERIVATIVES, EXPONENTIALS, RATIONAL, insert

beta, S, alpha, l, k, lam = sp.symbols("beta S alpha l k lambda", positive=True)
e_n, s_n, y_n, delta = sp.symbols("e_n s_n y_n delta", real=True)
z = sp.Function("z", real=True)(delta)
place, rest = sp.symbols("z R", real=True)
slack = sp.Symbol("t", nonnegative=True)


def _in_u(factor: sp.Expr) -> Chain:
    """Component along n of dy/du with score s + e, minus that with s."""

    def y_rate(score: sp.Expr) -> sp.Expr:
        # dy/dt = -beta score/(2 alpha) forward; du/dt = -beta/(2 S)
        return (-beta * score / (2 * alpha)) / (-beta / (2 * S))

    return Chain("what the error adds to dz/du", (y_rate(s_n + e_n) - y_rate(s_n)) / l).equals(
        factor * S * e_n / (alpha * l), RATIONAL, "the flow is affine in the score"
    )


def _implicit() -> Chain:
    f = sp.tanh(k * z / 2) / 2 - z
    total = DERIVATIVES(sp.Derivative(f + delta, delta))
    solved = -1 / (k / 4 * (1 - sp.tanh(k * z / 2) ** 2) - 1)
    rule = insert({sp.Derivative(z, delta): solved}, "insert dz/ddelta")
    return Chain("f(z(delta)) + delta stays zero", total).equals(
        sp.S.Zero, rule >> EXPONENTIALS, "dz/ddelta = -1/f'(z)"
    )


def _at_zero(sign: sp.Expr) -> Chain:
    at = -1 / (k / 4 * (1 - sp.tanh(k * place / 2) ** 2) - 1)
    return Chain("at the midpoint", sp.Subs(at, place, 0)).equals(
        sign / (k / 4 - 1), AT >> RATIONAL, "lambda = k/4 - 1"
    )


def _beyond() -> Chain:
    # lambda z + R + delta = 0, so z + delta/lambda = -R/lambda.
    solved = (-rest - delta) / lam
    return Chain("the exact displacement", solved + delta / lam).equals(
        -rest / lam, RATIONAL, "solve for z; |R| by the curvature bound"
    )


def _build() -> Proof:
    error = S * e_n / (alpha * l)
    return Proof(
        chains=(_in_u(sp.S.One), _implicit(), _at_zero(-sp.S.One), _beyond()),
        formulas={
            "delta": Formula(error, (e_n, S, alpha, l)),
            "shift": Formula(-error / lam, (e_n, S, alpha, l, lam)),
            "remainder": Formula(k**2 / (12 * sp.sqrt(3) * lam) * place**2, (place, k, lam)),
        },
        wrong=(
            Wrong(
                _in_u(sp.Integer(2)), {beta: 0.2, S: 0.5, alpha: 0.8, l: 1.0, e_n: 0.1, s_n: 0.3}
            ),
            Wrong(_at_zero(sp.S.One), {k: 6.0}),
        ),
    )


DERIVATION = Derivation(
    id="C.4",
    place=2,
    doc=__doc__,
    latex=(
        r"\delta = \frac{S\langle e,n\rangle}{\alpha l}, \qquad z^* = -\frac\delta\lambda +"
        r" O(\delta^2)"
    ),
    general="two equal modes, any d; uses L.4",
    source="arXiv 2605.06831 v1, C.4; the remainder: own form",
    build=_build,
)
