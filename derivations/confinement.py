r"""The confinement term of the terminal midpoint bound.

If $|A| \le 2\theta$ all along, the noise $M = A_{\text{end}} - A_\tau - \int b$ is at most
$2\theta + 2\theta + 2\theta\int K$ at every time, given $\sup_{|a|\le2\theta}|b| \le 2\theta K$.
$M$ is a Brownian motion in the deterministic clock $\int\beta$, so the confinement of a Brownian
motion to $r = 2\theta(2+\int K)$ up to time $Q$ bounds the probability.

An error $|e| \le e_{\max}$ of the score adds at most $e_{\max}Q$ to the drift's integral, which
turns $2 + \int K$ into $2 + \int K + e_{\max}Q/(2\theta)$; $e(0)$ need not vanish.
"""

import sympy as sp

from ._chain import Chain
from ._derivation import Derivation, Proof, Wrong
from ._formula import Formula
from ._rewriting import RATIONAL
from .brownian_confinement import DERIVATION as BROWNIAN

theta, Q = sp.symbols("theta Q", positive=True)
K, e_max, s_1, s_2, s_3, s_4 = sp.symbols("K e_max s_1 s_2 s_3 s_4", nonnegative=True)


def _reach(level: sp.Expr) -> Chain:
    """Each of the terms is its bound minus a slack."""
    noise = (2 * theta - s_1) + (2 * theta - s_2) + (2 * theta * K - s_3) + (e_max * Q - s_4)
    return Chain("the noise stays within reach", noise).at_most(
        2 * theta * level, s_1 + s_2 + s_3 + s_4, RATIONAL, "triangle inequality"
    )


def _exponent(level: sp.Expr) -> Chain:
    bound = BROWNIAN.numeric()["log_bound"]
    radius, time = bound.arguments
    meaning = {radius: 2 * theta * level, time: Q}
    target = sp.log(4 / sp.pi) - sp.pi**2 * Q / (32 * theta**2 * level**2)
    return Chain("confinement of the Brownian motion", bound.expr, where=meaning).equals(
        target, RATIONAL, "radius 2 theta (2 + int K), time Q"
    )


def _build() -> Proof:
    level = 2 + K + e_max * Q / (2 * theta)
    exact = _exponent(2 + K)
    zero = dict.fromkeys((s_1, s_2, s_3, s_4), 0.0)
    numbers = {**zero, theta: 0.2, Q: 0.5, K: 1.0, e_max: 0.3}
    return Proof(
        chains=(_reach(level), exact, _exponent(level)),
        formulas={
            "log_confinement": Formula(exact.end, (theta, Q, K)),
            "log_confinement_with_error": Formula(_exponent(level).end, (theta, Q, K, e_max)),
        },
        wrong=(Wrong(_reach(1 + K), numbers),),
    )


DERIVATION = Derivation(
    id="P5.1 (b)",
    doc=__doc__,
    latex=(
        r"P\Big(\sup|A| \le 2\theta\Big) \le"
        r" \frac4\pi\exp\Big(-\frac{\pi^2Q}{32\theta^2(2+\int K)^2}\Big), \quad Q = \int\beta"
    ),
    general="general; uses G.6",
    source="arXiv 2605.06831 v1, Proposition 5.1 and C.6",
    correction=(
        "The proof needs only the supremum of the drift over the strip, not the linear bound"
        " $|b| \\le K|a|$ at every point."
    ),
    build=_build,
)
