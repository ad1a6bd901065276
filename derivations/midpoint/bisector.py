r"""Reduction of the reverse SDE to the bisector coordinate.

$A = \langle x - \alpha\bar\mu, n\rangle$ is linear in $x$, so Ito's formula has no second-order
term. In reverse time $dx = (\tfrac12\beta x + \beta s)\,dr + \sqrt\beta\,dB$ and $\dot\alpha =
\tfrac12\beta \alpha$, hence $dA = b\,dr + \sqrt\beta\,dB_n$ with $b = \beta\,[\tfrac12A +
(\alpha\langle m-\bar\mu,n \rangle - A)/S]$; $B_n = \langle B, n\rangle$ is a Brownian motion
since $|n| = 1$, and the quadratic variation of $A$ is $\int\beta$. For two equal modes $\langle
m-\bar\mu,n\rangle = \tfrac l2\tanh(\alpha lA/(2S))$, across components aside: the equation is
closed in one dimension. In $y$ units and the clock $v_\tau - v$ it reads $dA = g\,dr + dB$ with
$g = (\langle m-\bar\mu,n\rangle - A)/v$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF, logistic
from ..algebra.mixture import alpha, c, d, over_coordinates, x
from ..algebra.rewriting import EXPONENTIALS, RATIONAL, SUMS

beta, S, l, v, abar, sigma = sp.symbols("beta S l v abar sigma", positive=True)
m = sp.IndexedBase("m", real=True)
middle = sp.IndexedBase("mbar", real=True)
n = sp.IndexedBase("n", real=True)
A, pull = sp.symbols("A p", real=True)


def _ito(shrink: sp.Expr) -> Chain:
    score = (alpha * m[c] - x[c]) / S
    drift = over_coordinates(n[c] * (beta * x[c] / 2 + beta * score))
    moving = beta * alpha / 2 * over_coordinates(n[c] * middle[c])
    place = over_coordinates(n[c] * (x[c] - alpha * middle[c]))
    toward = over_coordinates(n[c] * (m[c] - middle[c]))
    target = beta * (place * shrink + (alpha * toward - place) / S)
    return Chain("drift of A in reverse time", drift - moving).equals(
        target, SUMS, "A is linear in x, and alpha moves the midpoint"
    )


def _variation() -> Chain:
    return Chain("quadratic variation of A", over_coordinates((sp.sqrt(beta) * n[c]) ** 2)).equals(
        beta * over_coordinates(n[c] ** 2), SUMS, "beta times |n|^2 = 1"
    )


def _two_modes(scale: sp.Expr) -> Chain:
    gamma_i = logistic(alpha * l * A / S)
    return Chain("pull of two equal modes", gamma_i * l / 2 - (1 - gamma_i) * l / 2).equals(
        l / 2 * sp.tanh(scale * alpha * l * A / S), EXPONENTIALS, "log-odds k z = alpha l A/S"
    )


def _clock() -> Chain:
    # a = A/alpha, over the clock's rate beta/alpha^2; S = alpha^2 v.
    b = beta * (A / 2 + (alpha * pull - A) / (alpha**2 * v))
    drift = (b / alpha - A * (beta * alpha / 2) / alpha**2) / (beta / alpha**2)
    return Chain("in y and the clock v", drift).equals(
        (pull - A / alpha) / v, RATIONAL, "the expansion of the coordinate cancels"
    )


def drift_per_beta(place: sp.Expr) -> sp.Expr:
    """b/beta of two equal modes at A = place."""
    return place / 2 + (alpha * l / 2 * sp.tanh(alpha * l * place / (2 * S)) - place) / S


def reference_drift(place: sp.Expr) -> sp.Expr:
    """g of two equal modes, y units, clock v."""
    return (l / 2 * sp.tanh(l * place / (2 * v)) - place) / v


def _reference() -> Chain:
    pulled = l / 2 * sp.tanh(l * A / (2 * v))
    closed = drift_per_beta(alpha * A).subs(S, alpha**2 * v)
    return Chain("the two drifts of two modes agree", (closed - alpha * A / 2) * alpha).equals(
        (pulled - A) / v, EXPONENTIALS, "x = alpha y, S = alpha^2 v"
    )


def _build() -> Proof:
    levels = {S: abar * sigma**2 + 1 - abar, alpha: sp.sqrt(abar)}
    return Proof(
        chains=(_ito(HALF), _variation(), _two_modes(HALF), _clock(), _reference()),
        formulas={
            "drift_per_beta": Formula(drift_per_beta(A).subs(levels), (A, l, abar, sigma)),
            "reference_drift": Formula(reference_drift(A), (A, l, v)),
        },
        wrong=(
            Wrong(
                _ito(sp.S.One),
                {
                    alpha: 0.8,
                    beta: 0.3,
                    S: 0.5,
                    x: [0.4],
                    m: [0.2],
                    middle: [0.1],
                    n: [1.0],
                    d: 1,
                },
            ),
            Wrong(_two_modes(sp.S.One), {alpha: 0.8, l: 1.0, A: 0.2, S: 0.5}),
        ),
    )


DERIVATION = Derivation(
    id="P5.1 (a)",
    place=1,
    also=("P5.1",),
    doc=__doc__,
    latex=(
        r"dA = \beta\Big[\frac A2 + \frac{\alpha\langle m-\bar\mu,n\rangle - A}{S}\Big]dr"
        r" + \sqrt\beta\,dB, \qquad \langle m-\bar\mu,n\rangle ="
        r" \frac l2\tanh\frac{\alpha lA}{2S} \text{ (two modes)}"
    ),
    general="drift: any N and d (indexed sums); closed form: two equal modes",
    source="arXiv 2605.06831 v1, eq. 4",
    build=_build,
)
