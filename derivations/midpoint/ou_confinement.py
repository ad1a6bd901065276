r"""Confinement by comparison with a linear drift.

Suppose $b(a,t) \ge \lambda_ta$ for $0 \le a \le 2\theta$ (mirrored below): for a drift that is
concave in $a \ge 0$ with $b(0) = 0$ this is the chord, $\lambda_t = b(2\theta,t)/(2\theta)$. The
square of $A$ has drift $2Ab + \beta \ge 2\lambda A^2 + \beta$ while $|A| \le 2\theta$, which is
that of the linear SDE $dU = \lambda U\,dr + \sqrt\beta\,dB$; so $|A| \ge |U|$ until $|A|$ leaves,
by comparison (Ikeda and Watanabe). $e^{-\Lambda}U$ has no drift and the variance $V = \int\beta
e^{-2\Lambda_s}ds$, so $P(|U_{\text{end}}| \le 2\theta)$ is a normal probability, largest when $U$
starts at $0$: $\mathrm{erf}(2\theta e^{-\Lambda}/\sqrt{2V})$.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import Phi
from ..algebra.mixture import alpha
from ..algebra.rewriting import DERIVATIVES, EXPONENTIALS, RATIONAL
from .bisector import S, drift_per_beta, l

theta, V, beta, c, s, mean, o = sp.symbols("theta V beta c s mu o", positive=True)
slack = sp.Symbol("t", nonnegative=True)
Lam, U, A, lam = sp.symbols("Lambda U A lambda", real=True)
r = sp.Symbol("r", real=True)
place = sp.Symbol("a", positive=True)
L = sp.Function("Lambda", real=True)(r)


def _comparison(weight: sp.Expr) -> Chain:
    """A b = lambda A^2 + t on the strip."""
    return Chain("drift of the square of U", 2 * lam * A**2 + beta * weight).at_most(
        2 * (lam * A**2 + slack) + beta, 2 * slack, RATIONAL, "the drift of the square of A"
    )


def _linear() -> tuple[Chain, Chain]:
    rate, h = sp.Derivative(L, r), sp.Symbol("h", positive=True)
    drift = sp.Derivative(sp.exp(-L), r) * U + sp.exp(-L) * rate * U
    return (
        Chain("no drift after the integrating factor", drift).equals(
            sp.S.Zero, DERIVATIVES >> RATIONAL, "product rule, Lambda' = lambda"
        ),
        Chain("variance rate", h**2, where={h: sp.exp(-L) * sp.sqrt(beta)}).equals(
            beta * sp.exp(-2 * L), RATIONAL, "integrates to V"
        ),
    )


def _probability(start: sp.Expr) -> sp.Expr:
    return Phi((c - start) / s) - Phi((-c - start) / s)


def _worst_start() -> Chain:
    density = sp.exp(-(c**2 + o**2) / (2 * s**2)) / (s * sp.sqrt(2 * sp.pi))
    slope = Gap(2 * density * sp.sinh(c * o / s**2), EXPONENTIALS)
    return Chain("probability from a start mu > 0", _probability(mean)).at_most_growing(
        _probability(sp.S.Zero),
        Growth(mean, sp.S.Zero, o, slope, RATIONAL),
        "moving away from the middle lowers it",
    )


def _closed(width: sp.Expr) -> Chain:
    reach = 2 * theta * sp.exp(-Lam) / sp.sqrt(V)
    x = sp.Symbol("x", positive=True)
    return Chain("from the midpoint", Phi(x) - Phi(-x), where={x: reach}).equals(
        sp.erf(width * theta * sp.exp(-Lam) / sp.sqrt(2 * V)), RATIONAL, "Phi(x) - Phi(-x)"
    )


def _chord() -> Chain:
    """b/beta of two equal modes: a b' - b starts at 0 and falls, so b/a falls."""
    drift = drift_per_beta(place)
    slope = DERIVATIVES(sp.Derivative(drift, place))
    x = alpha * l * o / (2 * S)
    bend = (alpha * l) ** 3 / (4 * S**3) * sp.tanh(x) / sp.cosh(x) ** 2
    growth = Growth(place, sp.S.Zero, o, Gap(o * bend, EXPONENTIALS), EXPONENTIALS)
    return Chain("slope against chord, two equal modes", place * slope - drift).at_most_growing(
        sp.S.Zero, growth, "so b(a)/a is at least its value at the end of the strip"
    )


def _build() -> Proof:
    ikeda = Chain("comparison of the two squares", sp.Symbol("U2")).by_theorem(
        "<=",
        sp.Symbol("A2"),
        "Ikeda and Watanabe 1989, Theorem VI.1.1 (comparison of one-dimensional diffusions)",
        "equal diffusion coefficient 2 sqrt(beta z), ordered drifts",
    )
    closed = _closed(sp.Integer(2))
    return Proof(
        chains=(_chord(), _comparison(sp.S.One), ikeda, *_linear(), _worst_start(), closed),
        formulas={"log_confinement": Formula(sp.log(closed.end), (theta, Lam, V))},
        wrong=(
            Wrong(_closed(sp.Integer(1)), {theta: 0.2, Lam: 0.3, V: 0.5}),
            Wrong(_comparison(sp.Integer(2)), {lam: 1.0, A: 0.3, beta: 0.4, slack: 0.0}),
        ),
    )


DERIVATION = Derivation(
    id="P5.1 (d)",
    place=5,
    doc=__doc__,
    latex=(
        r"P\big(\sup|A| \le 2\theta\big) \le \mathrm{erf}\Big(\frac{2\theta"
        r" e^{-\Lambda}}{\sqrt{2V}}\Big),"
        r"\quad \Lambda = \int\lambda, \quad V = \int\beta e^{-2\Lambda_s}ds"
    ),
    general="general; the comparison theorem cited",
    source="own result",
    build=_build,
)
