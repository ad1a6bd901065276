r"""The confinement term of the terminal midpoint bound.

If $|A| \le 2\theta$ all along, the noise $M = A_{\text{end}} - A_\tau - \int b$ is at most
$2\theta + 2\theta + 2\theta\int K$ at every time, given $\sup_{|a|\le2\theta}|b| \le 2\theta K$.
$M$ is a Brownian motion in the deterministic clock $\int\beta$, so the confinement of a Brownian
motion to $r = 2\theta(2+\int K)$ up to time $Q$ bounds the probability.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import RATIONAL
from .brownian_confinement import DERIVATION as BROWNIAN

theta, Q = sp.symbols("theta Q", positive=True)
K, s_1, s_2, s_3 = sp.symbols("K s_1 s_2 s_3", nonnegative=True)


def reach(level: sp.Expr, extra: sp.Expr = sp.S.Zero, spare: sp.Expr = sp.S.Zero) -> Chain:
    """The terms are their bounds minus slacks; `extra` minus `spare` is a further term."""
    noise = (2 * theta - s_1) + (2 * theta - s_2) + (2 * theta * K - s_3) + (extra - spare)
    return Chain("the noise stays within reach", noise).at_most(
        2 * theta * level, s_1 + s_2 + s_3 + spare, RATIONAL, "triangle inequality"
    )


def exponent(level: sp.Expr) -> Chain:
    """Confinement of the Brownian motion to 2 theta times `level`."""
    bound = BROWNIAN.numeric()["log_bound"]
    radius, time = bound.arguments
    meaning = {radius: 2 * theta * level, time: Q}
    target = sp.log(4 / sp.pi) - sp.pi**2 * Q / (32 * theta**2 * level**2)
    return Chain("confinement of the Brownian motion", bound.expr, where=meaning).equals(
        target, RATIONAL, "radius r and time t of that bound"
    )


def _build() -> Proof:
    exact = exponent(2 + K)
    numbers = {s_1: 0.0, s_2: 0.0, s_3: 0.0, theta: 0.2, K: 1.0}
    return Proof(
        chains=(reach(2 + K), exact),
        formulas={"log_confinement": Formula(exact.end, (theta, Q, K))},
        wrong=(Wrong(reach(1 + K), numbers),),
    )


DERIVATION = Derivation(
    id="P5.1 (b)",
    place=3,
    doc=__doc__,
    latex=(
        r"P\Big(\sup|A| \le 2\theta\Big) \le"
        r" \frac4\pi\exp\Big(-\frac{\pi^2Q}{32\theta^2(2+\int K)^2}\Big), \quad Q = \int\beta"
    ),
    general="general; uses G.6",
    source="arXiv 2605.06831 v1, Proposition 5.1",
    correction=(
        "The proof needs only the supremum of the drift over the strip, not the linear bound"
        " $|b| \\le K|a|$ at every point."
    ),
    build=_build,
)
