r"""From bounds on two rates to a bound on their difference.

*Learned.* If $P \ge \underline P$ and $Q \le e + R$ with $e$ at most $\overline e$, then $P - Q \ge
\underline P - \overline e - R$: what is lost is the sum of the four slacks, link by link. With $R =
2e^{-(\sqrt L-\sqrt K)^2}$ this is DDIM's counted rate against X11's guarantee.

*From a midpoint.* Starts spread evenly over $|a| \le \theta$, of which the flow leaves those within
$r e^{-\Lambda}$, stay with probability at least $\frac r\theta e^{-\Lambda}$.

*Exact score.* Flow and reverse diffusion have one density at every time: the drift of the reverse
diffusion is that of the flow and $\frac{\beta}{2}\nabla\log p$ more, whose current $p\cdot
\frac\beta2\nabla\log p$ its diffusion, $-\frac\beta2\nabla p$, cancels. So the difference of the
two rates of any event is 0.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import DERIVATIVES, RATIONAL

P_low, e_high, R, e, Q_exact = sp.symbols("P_low e_high R e Q", positive=True)
a, b, c, d = sp.symbols("a b c d", nonnegative=True)  # the slacks of the four links
beta, theta, start, r = sp.symbols("beta theta s r", positive=True)
x = sp.Symbol("x", real=True)
density = sp.Function("p", positive=True)(x)


def _difference(sign: int) -> Chain:
    """P = P_low + a, e = e_high - b, and Q = e + R - c - d."""
    rate = P_low + a - (e_high - b + R - c - d)
    return Chain("the difference", P_low - e_high - sign * R).at_most(
        rate, a + b + c + d, RATIONAL, "the slacks of the links add up"
    )


def _share() -> Chain:
    """Of the share, which is 0 of an interval without length, the derivative."""
    density_of_starts = 1 / (2 * theta)
    return Chain("share of evenly spread starts", sp.Derivative(start / theta, start)).equals(
        2 * density_of_starts, DERIVATIVES >> RATIONAL, "both ends of the interval move"
    )


def _current() -> Chain:
    score = sp.Derivative(sp.log(density), x)
    return Chain(
        "current of the reverse diffusion beyond the flow's",
        density * beta / 2 * score - beta / 2 * sp.Derivative(density, x),
    ).equals(sp.S.Zero, DERIVATIVES >> RATIONAL, "p times the score is p's gradient")


def _build() -> Proof:
    return Proof(
        chains=(_difference(1), _share(), _current()),
        formulas={"difference": Formula(P_low - e_high - R, (P_low, e_high, R))},
        wrong=(
            Wrong(
                _difference(-1),
                {P_low: 0.02, e_high: 0.01, R: 1e-3, a: 1e-4, b: 0.0, c: 0.0, d: 0.0},
            ),
        ),
    )


DERIVATION = Derivation(
    id="X21",
    place=7,
    doc=__doc__,
    latex=(
        r"P_{DDIM}(H) - P_{DDPM}(H) \ge \underline P_{DDIM} - \overline P_{DDPM}(C > K) -"
        r" 2e^{-(\sqrt L-\sqrt K)^2}"
    ),
    general="any two samplers, any event",
    source="own result",
    build=_build,
)
