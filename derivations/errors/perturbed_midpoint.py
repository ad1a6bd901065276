r"""An inexact score in the terminal midpoint bound.

An error $|e| \le e_{\max}$ of the score changes the drift of $A$ by at most $\beta e_{\max}$. At
$a \ge \theta$ it leaves the outward rate $\lambda' = \lambda - \sup\beta\,e_{\max}/\theta$, which
must be positive. In the confinement term it adds at most $e_{\max}Q$ to the drift's integral,
which turns $2 + \int K$ into $2 + \int K + e_{\max}Q/(2\theta)$; the error at the midpoint itself
need not vanish.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import RATIONAL
from ..midpoint.confinement import K, Q, exponent, reach, theta

rate, beta_max = sp.symbols("lambda beta_max", positive=True)
s_1, s_2, s_3, s_4, e_max = sp.symbols("s_1 s_2 s_3 s_4 e_max", nonnegative=True)


def _outward(loss: sp.Expr) -> Chain:
    """b + beta e with |e| <= e_max at a = theta + s_2; b = lambda a + s_1, beta = max - s_3."""
    place = theta + s_2
    right = rate * place + s_1 - (beta_max - s_3) * e_max
    gap = beta_max * e_max * s_2 / theta + s_1 + s_3 * e_max
    return Chain("the outward rate that is left", (rate - loss) * place).at_most(
        right, gap, RATIONAL, "an error costs most at a = theta"
    )


def _build() -> Proof:
    level = 2 + K + e_max * Q / (2 * theta)
    loss = beta_max * e_max / theta
    confined = exponent(level)
    numbers = {theta: 0.2, beta_max: 0.3, e_max: 0.4, rate: 2.0, s_1: 0.0, s_2: 0.0, s_3: 0.0}
    return Proof(
        chains=(_outward(loss), reach(level, e_max * Q, s_4), confined),
        formulas={
            "rate": Formula(rate - loss, (rate, beta_max, e_max, theta)),
            "log_confinement": Formula(confined.end, (theta, Q, K, e_max)),
        },
        wrong=(Wrong(_outward(loss / 2), numbers),),
    )


DERIVATION = Derivation(
    id="C.6",
    place=4,
    doc=__doc__,
    latex=(
        r"\lambda' = \lambda - \sup\beta\,\frac{e_{\max}}\theta, \qquad"
        r" 2 + \int K \mapsto 2 + \int K + \frac{e_{\max}Q}{2\theta}"
    ),
    general="general; uses P5.1 (b) and G.6",
    source="arXiv 2605.06831 v1, C.6",
    build=_build,
)
