r"""The chi-square tail of Laurent and Massart.

Markov's inequality for $e^{\lambda X}$, $X \sim \chi^2_d$, $0 < \lambda < \tfrac12$, gives $P(X
\ge t) \le (1-2\lambda)^{-d/2}e^{-\lambda t}$. The logarithm of the moment generating function of
$X - d$ is at most $d\lambda^2/(1-2\lambda)$: per degree of freedom the gap vanishes at $\lambda =
0$ and has the derivative $2\lambda^2/(1-2\lambda)^2$. With $L = \log(1/\delta)$, $t = d +
2\sqrt{dL} + 2L$ and $\lambda = \sqrt L/(\sqrt d + 2\sqrt L)$ the exponent is exactly $-L$. The
number $d$ need not be an integer.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import RATIONAL

lam, t = sp.symbols("lambda t", real=True)
s, a, b, offset = sp.symbols("s a b o", positive=True)
step = sp.Symbol("s", nonnegative=True)
x = sp.Symbol("x", nonnegative=True)
degrees, delta = sp.symbols("n delta", positive=True)
c = sp.Symbol("c", positive=True)


def _markov() -> Chain:
    slope = Gap(c * sp.exp(c * step), RATIONAL)
    return Chain("Markov: the indicator below the exponential", sp.S.One).at_most_growing(
        sp.exp(c * x), Growth(x, sp.S.Zero, step, slope, RATIONAL), "for x = X - t >= 0"
    )


def _moment() -> Chain:
    z = sp.Symbol("z", real=True)
    integrand = sp.exp(c * z**2) * sp.exp(-(z**2) / 2)
    # Substituting z = z'/sqrt(1 - 2 lambda) turns it into the normal density.
    scaled = integrand.subs(z, z / sp.sqrt(1 - 2 * c))
    return Chain("one squared normal: substitute z / sqrt(1 - 2 lambda)", scaled).equals(
        sp.exp(-(z**2) / 2), RATIONAL, "so the moment is (1 - 2 lambda)^(-1/2)"
    )


def _log_moment(factor: sp.Expr) -> Chain:
    """-lambda - log(1 - 2 lambda)/2 <= factor lambda^2/(1 - 2 lambda), lambda = x/(2 (1 + x))."""
    at = x / (2 * (1 + x))
    left = (-lam - sp.log(1 - 2 * lam) / 2).subs(lam, at)
    right = (factor * lam**2 / (1 - 2 * lam)).subs(lam, at)
    gap = sp.together((2 * lam**2 / (1 - 2 * lam) ** 2).subs(lam, at.subs(x, step)))
    # d lambda/dx = 1/(2 (1 + x)^2)
    slope = Gap(gap / (2 * (1 + step) ** 2), RATIONAL)
    left, right = (sp.expand_log(sp.factor(side), force=False) for side in (left, right))
    return Chain("log moment of one degree, lambda = x/(2 (1 + x))", left).at_most_growing(
        right, Growth(x, sp.S.Zero, step, slope, RATIONAL), "the gap starts at 0 and grows"
    )


def _exponent(lam_of: sp.Expr) -> Chain:
    """a = sqrt(d), b = sqrt(L)."""
    threshold = 2 * a * b + 2 * b**2
    exponent = a**2 * lam_of**2 / (1 - 2 * lam_of) - lam_of * threshold
    return Chain("the exponent at the chosen lambda", exponent).equals(
        -(b**2), RATIONAL, "a = sqrt(d), b = sqrt(L)"
    )


def _build() -> Proof:
    level = -sp.log(delta)
    threshold = degrees + 2 * sp.sqrt(degrees * level) + 2 * level
    return Proof(
        chains=(_markov(), _moment(), _log_moment(sp.S.One), _exponent(b / (a + 2 * b))),
        formulas={"threshold": Formula(threshold, (degrees, delta))},
        wrong=(
            Wrong(_log_moment(sp.Rational(1, 2)), {x: 1.0}),
            Wrong(_exponent(b / (a + b) / 2), {a: 1.5, b: 0.7}),
        ),
    )


DERIVATION = Derivation(
    id="G.5",
    place=9,
    doc=__doc__,
    latex=r"P\big(\chi^2_d \ge d + 2\sqrt{d\log(1/\delta)} + 2\log(1/\delta)\big) \le \delta",
    general="general",
    source="arXiv 2605.06831 v1, Lemma G.5 (Laurent and Massart 2000, Lemma 1)",
    build=_build,
)
