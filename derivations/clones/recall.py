r"""A clone of a data point comes back to it.

*From below.* With the own term $a = e^{-|\xi|^2/2}$ and the others' sum $S$, $\gamma_{own} = a/(a +
S)$ is convex in $S$; over $n - 1$ independent others $E\,S = (n-1)(2\pi\rho)^{d/2}p_\rho(y)$, so
$E\,\gamma_{own} \ge E\,1/(1 + (n-1)e^{-i})$ with the information density $i = \log(p(y|x)/p_\rho
(y))$, whose mean is $I(x_0; x_\rho)$.

*From above.* For every level $t$ and any density $q$ of $y$, $\int p_k\gamma_k \le P_k(p_k > e^tq)
+ e^t\int q\gamma_k$, and the mean over the $n$ points of the last term is $e^t/n$: $E\,\gamma_{own}
\le P(i > \log n - a) + e^{-a}$.

*Their sum.* $1/(a + S) = \int_0^\infty e^{-t(a+S)}dt$ makes of the others' sum a power: the mean
over data sets is closed.

*Gaussian data*, $N(0, I_d)$: $I = \frac d2\log(1 + 1/\rho)$, equal to $\log n$ at $\rho_C =
1/(n^{2/d} - 1)$. With $u = y/\sqrt{1+\rho}$, $i - I = \frac12(|u|^2 - |\xi|^2) = \frac12(u -
\xi)\cdot(u + \xi)$, two uncorrelated, so independent factors, each symmetric: $i$ is symmetric
about $I$, and as $\mathrm{logistic}(x) + \mathrm{logistic}(-x) = 1$ the bound from below is exactly
$\frac12$ where $I = \log(n - 1)$. So half of all clones come back at a $\rho$ no smaller than that.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF, logistic
from ..algebra.rewriting import AT, DERIVATIVES, EXPAND, EXPONENTIALS, LOGARITHMS, RATIONAL

a, S, M, q, rho, n, d, t, others = sp.symbols("a S M q rho n d t n_others", positive=True)
i, x, u, xi = sp.symbols("i x u xi", real=True)
p_k, gamma = sp.symbols("p_k gamma", positive=True)
more = sp.Symbol("m", nonnegative=True)


def _tangent() -> Chain:
    """At the mean M of S; the linear term has mean zero."""
    line = a / (a + M) - a * (S - M) / (a + M) ** 2
    gap = a * (S - M) ** 2 / ((a + S) * (a + M) ** 2)
    return Chain("a tangent from below", line).at_most(
        a / (a + S), gap, RATIONAL, "1/(a + S) is convex"
    )


def _density(power: sp.Expr) -> Chain:
    """own = (2 pi rho)^{d/2} p(y|x), the others' mean n_others (2 pi rho)^{d/2} p_rho(y)."""
    norm, marginal = sp.symbols("c p_rho", positive=True)
    own = norm * marginal * sp.exp(i)
    return Chain("in information density", own / (own + others * norm * marginal)).equals(
        1 / (1 + others * sp.exp(-power * i)), EXPONENTIALS, "p(y|x) = p_rho(y) e^i"
    )


def _converse() -> Chain:
    """Where p_k <= e^t q: e^t = p_k/q (1 + m)."""
    level = p_k / q * (1 + more)
    return Chain("a term below the level", p_k * gamma).at_most(
        level * q * gamma, p_k * gamma * more, RATIONAL, "p_k <= e^t q there"
    )


def _laplace() -> tuple[Chain, Chain]:
    power = -sp.exp(-t * (a + S)) / (a + S)
    slope = Chain("an integral over t", sp.Derivative(power, t)).equals(
        sp.exp(-t * (a + S)), DERIVATIVES >> RATIONAL, "the antiderivative vanishes at infinity"
    )
    start = Chain("from its value at 0", -sp.Subs(power, t, 0)).equals(
        1 / (a + S), AT >> RATIONAL, "e^0 = 1"
    )
    return slope, start


def _collapse() -> tuple[Chain, Chain]:
    root = n ** (2 / d)
    at = 1 / (root - 1)
    return (
        Chain("1 + 1/rho_C", (1 + at) * (root - 1)).equals(root, RATIONAL, "insert rho_C"),
        Chain("information at rho_C", d / 2 * sp.log(root)).equals(
            sp.log(n), LOGARITHMS >> RATIONAL, "d equal coordinates"
        ),
    )


def _symmetric() -> tuple[Chain, ...]:
    factors = Chain("i - I, one coordinate", HALF * (u**2 - xi**2)).equals(
        HALF * (u - xi) * (u + xi), EXPAND, "|y|^2/(1 + rho) = |u|^2"
    )
    # xi given u has the mean sqrt(rho/(1 + rho)) u and the variance 1/(1 + rho).
    covariance = Chain("covariance of the two factors", 1 - rho / (1 + rho) - 1 / (1 + rho)).equals(
        sp.S.Zero, RATIONAL, "Var u - Var xi"
    )
    half = Chain("two values about the middle", logistic(x) + logistic(-x)).equals(
        sp.S.One, EXPONENTIALS, "so its mean over a symmetric law is 1/2"
    )
    return factors, covariance, half


def _information() -> Chain:
    variance, noise = 1 + rho, rho
    return Chain("information of one coordinate", HALF * sp.log(variance / noise)).equals(
        HALF * sp.log(1 + rho) - HALF * sp.log(rho), LOGARITHMS, "entropies of N(0, 1 + rho), noise"
    )


def _build() -> Proof:
    wrong = _density(sp.Integer(2))
    norm, marginal = sp.symbols("c p_rho", positive=True)
    return Proof(
        chains=(
            _tangent(), _density(sp.S.One), _converse(), *_laplace(), _information(), *_collapse(),
            *_symmetric(),
        ),
        formulas={
            "at_least": Formula(1 / (1 + others * sp.exp(-i)), (i, others)),
            "collapse": Formula(1 / (n ** (2 / d) - 1), (n, d)),
        },
        wrong=(Wrong(wrong, {norm: 0.3, marginal: 0.2, i: 1.4, others: 7.0}),),
    )  # fmt: skip


DERIVATION = Derivation(
    id="X15",
    place=2,
    doc=__doc__,
    latex=(
        r"E\frac1{1 + (n-1)e^{-i}} \le E\,\gamma_{own} \le P(i > \log n - a) + e^{-a}, \qquad"
        r" I(\rho_C) = \log n"
    ),
    general="any law of the data, n independent points; the symmetry: Gaussian data",
    source="own result; the transition: Biroli et al., arXiv 2402.18491",
    build=_build,
)
