r"""A pathwise bound that heavy tails of the cost cannot spoil.

Under the learned law the log likelihood ratio of paths is $C + M$, where $C =
\sum_t|\Delta_t|^2/(2S_t)$ and each increment of $M$ is normal with variance twice that of $C$. So
$E\,e^{\theta M - \theta^2C} = 1$ and, by Markov, $P(M > b, C \le K) \le e^{-\theta b+\theta^2K}$,
best at $\theta = b/(2K)$: $e^{-b^2/(4K)}$. On $\{M \le b, C \le K\}$ the learned law is at most
$e^{K+b}$ times the exact one, so with $L = \log(1/P_{\text{exact}}(E))$ that part of the event
has probability at most $e^{K+b-L}$. The choice $b = 2\sqrt K(\sqrt L-\sqrt K)$, positive for $K <
L$, makes both exponents $-(\sqrt L-\sqrt K)^2$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, EXPAND, RATIONAL

k, delta = sp.symbols("k delta", positive=True)  # sqrt K; sqrt L = sqrt K + delta
D, s, xi, theta = sp.symbols("D s xi theta", real=True)
scale = sp.Symbol("sigma", positive=True)
K, L, share = sp.symbols("K L P_C", positive=True)
b = sp.Symbol("b", real=True)


def _increment(weight: sp.Expr) -> Chain:
    """theta D xi/sigma - theta^2 D^2/(2 sigma^2) - xi^2/2 is a normal exponent again."""
    tilted = theta * D * xi / scale - weight * theta**2 * D**2 / (2 * scale**2) - xi**2 / 2
    return Chain("exponent of one increment under the normal law", tilted).equals(
        -((xi - theta * D / scale) ** 2) / 2, EXPAND, "a shifted normal density integrates to 1"
    )


def _best() -> Chain:
    bound = -theta * b + theta**2 * K
    return Chain("Markov's exponent at theta = b/(2K)", sp.Subs(bound, theta, b / (2 * K))).equals(
        -(b**2) / (4 * K), AT >> RATIONAL, "the vertex of the parabola"
    )


def _best_is_least() -> Chain:
    square = K * (theta - b / (2 * K)) ** 2
    return Chain("no other theta is better", -(b**2) / (4 * K)).at_most(
        -theta * b + theta**2 * K, square, RATIONAL, "complete the square"
    )


def _balance(factor: int) -> tuple[Chain, Chain]:
    """sqrt K = k, sqrt L = k + delta."""
    at = {b: factor * k * delta}
    return (
        Chain("first exponent", -(b**2) / (4 * k**2), where=at).equals(
            -(delta**2), RATIONAL, "b = 2 sqrt K (sqrt L - sqrt K)"
        ),
        Chain("second exponent", k**2 + b - (k + delta) ** 2, where=at).equals(
            -(delta**2), RATIONAL, "K + b - L"
        ),
    )


def _build() -> Proof:
    bound = share + 2 * sp.exp(-((sp.sqrt(L) - sp.sqrt(K)) ** 2))
    return Proof(
        chains=(_increment(sp.S.One), _best(), _best_is_least(), *_balance(2)),
        formulas={"bound": Formula(bound, (share, K, L))},
        wrong=(
            Wrong(_increment(sp.Integer(2)), {theta: 0.4, D: 0.3, scale: 0.5, xi: 0.2}),
            Wrong(_balance(1)[1], {k: 1.0, delta: 0.5}),
        ),
    )


DERIVATION = Derivation(
    id="X11'",
    place=4,
    doc=__doc__,
    latex=(
        r"P_{\text{learned}}(E) \le P_{\text{learned}}(C > K) + 2e^{-(\sqrt L-\sqrt K)^2},"
        r" \quad K < L ="
        r" \log\frac1{P_{\text{exact}}(E)}"
    ),
    general="any chain with normal steps, any d, any fixed K < L",
    source="own result",
    build=_build,
)
