r"""The curvature of the logistic field is bounded.

With $x = 1 - 2\gamma \in [-1, 1]$ the second derivative $\gamma(1-\gamma)(1-2\gamma)$ is
$x(1-x^2)/4$, and $\tfrac1{6\sqrt3} - x(1-x^2)/4 = \tfrac14(x - 1/\sqrt3)^2(x + 2/\sqrt3)$, which
is nonnegative for $x \ge -1 > -2/\sqrt3$. By oddness the same bounds the modulus. So $|f''| \le
k^2/(6\sqrt3)$ for the two-mode field $f(z) = \mathrm{logistic}(kz) - \tfrac12 - z$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF, logistic
from ..algebra.rewriting import DERIVATIVES, EXPAND, RATIONAL

z, x = sp.symbols("z x", real=True)
k = sp.Symbol("k", positive=True)
s = sp.Symbol("s", nonnegative=True)
g = sp.Symbol("gamma", real=True)


def _second() -> tuple[Chain, Chain]:
    gamma = logistic(k * z)
    return (
        Chain("second derivative of the field", sp.Derivative(gamma - HALF - z, (z, 2))).equals(
            k**2 * gamma * (1 - gamma) * (1 - 2 * gamma), DERIVATIVES >> RATIONAL, "differentiate"
        ),
        Chain("in x = 1 - 2 gamma", g * (1 - g) * (1 - 2 * g)).equals(
            (x * (1 - x**2) / 4).subs(x, 1 - 2 * g), EXPAND, "insert x"
        ),
    )


def _bound(constant: sp.Expr) -> Chain:
    at = s - 1  # x >= -1
    gap = (at - 1 / sp.sqrt(3)) ** 2 * (s + (2 / sp.sqrt(3) - 1)) / 4
    return Chain("the cubic, x = s - 1", at * (1 - at**2) / 4).at_most(
        constant, gap, EXPAND, "a double root at the maximum x = 1/sqrt(3)"
    )


def _build() -> Proof:
    bound = 1 / (6 * sp.sqrt(3))
    return Proof(
        chains=(*_second(), _bound(bound)),
        formulas={"curvature_bound": Formula(k**2 * bound, (k,))},
        wrong=(Wrong(_bound(bound * sp.Rational(99, 100)), {s: 1 + 3**-0.5}),),
    )


DERIVATION = Derivation(
    id="L.4",
    place=3,
    doc=__doc__,
    latex=(
        r"|\gamma(1-\gamma)(1-2\gamma)| \le \frac1{6\sqrt3}, \qquad |f''| \le"
        r" \frac{k^2}{6\sqrt3}"
    ),
    general="general",
    source="arXiv 2605.06831 v1, Proposition 4.7 (2)",
    build=_build,
)
