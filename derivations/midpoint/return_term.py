r"""The return term of the terminal midpoint bound, and why a mixture does not meet its hypothesis.

Let $b \ge \lambda a$ for all $a \ge \theta$ (the drift of reverse time pushes outward) and $c =
2\lambda\theta/\sup\beta$. Then $e^{-c(A-\theta)}$ is a supermartingale while $A \ge \theta$: its
generator is $ce^{-c(A-\theta)}(\tfrac12c\beta - b) \le 0$. It is $e^{-c\theta}$ at $2\theta$ and
$1$ at $\theta$, so a path that has reached $2\theta$ returns to $\theta$ with probability at most
$e^{-2\lambda\theta^2/\sup\beta}$ (optional stopping). A path that ends within $\theta$ either
never left $[-2\theta,2\theta]$ or returned: the two terms add.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import alpha
from ..algebra.rewriting import DERIVATIVES, EXPONENTIALS, RATIONAL
from .bisector import S, drift_per_beta, l

theta, rate, beta_max, A = sp.symbols("theta lambda beta_max A", positive=True)
s_1, s_2, s_3, push = sp.symbols("s_1 s_2 s_3 p", nonnegative=True)


def _generator(c: sp.Expr) -> Chain:
    """b = lambda A + s_1, A = theta + s_2, beta = beta_max - s_3."""
    f = sp.exp(-c * (A - theta))
    b, beta = rate * A + s_1, beta_max - s_3
    raw = b * sp.Derivative(f, A) + beta / 2 * sp.Derivative(f, (A, 2))
    generator = DERIVATIVES(raw).subs(A, theta + s_2)
    at = f.subs(A, theta + s_2)
    gap = c * at * (rate * theta * s_3 / beta_max + rate * s_2 + s_1)
    return Chain("generator of the exponential", generator).at_most(
        sp.S.Zero, gap, RATIONAL, "c beta/2 <= lambda theta <= b"
    )


def _value(c: sp.Expr) -> Chain:
    rate_of_f = sp.Symbol("c", positive=True)
    start = sp.exp(-rate_of_f * theta)
    return (
        Chain("from 2 theta back to theta", sp.Symbol("P_return"), where={rate_of_f: c})
        .by_theorem(
            "<=", start, "optional stopping for nonnegative supermartingales", "value at the start"
        )
        .equals(sp.exp(-2 * rate * theta**2 / beta_max), RATIONAL, "insert c")
    )


def _turns_back() -> Chain:
    """Two equal modes: beyond A = alpha l/(2 - S), S < 2, the drift is negative."""
    free = sp.Symbol("T", positive=True)  # 2 - S
    beyond = alpha * l / free + push
    limit = drift_per_beta(beyond).replace(sp.tanh, lambda _: sp.S.One).subs(S, 2 - free)
    return Chain("the drift with tanh replaced by its limit 1", limit).equals(
        -push * free / (2 * (2 - free)), RATIONAL, "zero at alpha l/(2 - S), negative beyond"
    )


def _tanh_below_one() -> Chain:
    x = sp.Symbol("x", positive=True)
    return Chain("tanh stays below 1", sp.tanh(x)).at_most(
        sp.S.One, 2 / (sp.exp(2 * x) + 1), EXPONENTIALS, "1 - tanh x = 2/(e^(2x) + 1)"
    )


def _build() -> Proof:
    c = 2 * rate * theta / beta_max
    numbers = {theta: 0.2, rate: 1.0, beta_max: 0.3, s_1: 0.0, s_2: 0.0, s_3: 0.0}
    return Proof(
        chains=(_generator(c), _value(c), _tanh_below_one(), _turns_back()),
        formulas={
            "log_return": Formula(-2 * rate * theta**2 / beta_max, (theta, rate, beta_max)),
        },
        wrong=(Wrong(_generator(2 * c), numbers),),
    )


DERIVATION = Derivation(
    id="P5.1 (c)",
    place=4,
    doc=__doc__,
    latex=r"P(\text{return from } 2\theta \text{ to } \theta) \le e^{-2\lambda\theta^2/\sup\beta}",
    general="general; optional stopping cited",
    source="arXiv 2605.06831 v1, Proposition 5.1",
    correction=(
        "The outward condition cannot hold for all $a \\ge \\theta$ with two modes: the drift in"
        " $x$ vanishes at about $A = \\alpha l/(2 - S)$, just beyond the mode at $\\alpha l/2$, and"
        " is negative beyond. The published bound therefore never applies as stated; the comparison"
        " of squares replaces it."
    ),
    build=_build,
)
