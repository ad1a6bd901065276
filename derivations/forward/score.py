r"""Score and responsibilities.

The gradient of $\log\sum_k \varphi_k$, $\varphi_k = w_k S_k^{-d/2} e^{-|x -
\alpha\mu_k|^2/(2S_k)}$, is the average of the gradients of $\log\varphi_k$ under the weights
$\gamma_k = \varphi_k/\sum_q \varphi_q$. The common factor $(2\pi)^{-d/2}$ cancels.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.mixture import (
    N,
    S,
    alpha,
    d,
    e,
    gamma_x,
    k,
    mu,
    nu,
    over_modes,
    q,
    share_x,
    w,
    x,
    x_formula,
)
from ..algebra.rewriting import DERIVATIVES, SUMS


def _gradient(target: sp.Expr) -> Chain:
    return Chain(
        "the gradient of the log density", sp.Derivative(sp.log(over_modes(share_x(q), q)), x[e])
    ).equals(target, DERIVATIVES >> SUMS, "chain rule; the derivative of coordinate c is a delta")


def _build() -> Proof:
    pull = (alpha * mu[k, e] - x[e]) / S[k]
    score = over_modes(gamma_x(k) * pull)
    one = Chain("responsibilities sum to one", over_modes(gamma_x(k)))
    numbers = {
        x: [0.5, 0.2],
        mu: [[1.0, -1.0], [0.0, 0.3]],
        w: [0.4, 0.6],
        S: [0.5, 0.8],
        alpha: 0.7,
        N: 2,
        d: 2,
        e: 1,
    }
    return Proof(
        chains=(
            one.equals(sp.S.One, SUMS, "the sum of shares over itself"),
            _gradient(score),
        ),
        formulas={
            "responsibility": x_formula(gamma_x(k), k),
            "score": x_formula(score, e),
            "eps": x_formula(-sp.sqrt(nu) * score, nu, e),
        },
        wrong=(
            Wrong(_gradient(over_modes(gamma_x(k) * pull / alpha)), numbers),
            Wrong(_gradient(over_modes(w[k] * pull)), numbers),
        ),
    )


DERIVATION = Derivation(
    id="G.1 (b)",
    place=2,
    doc=__doc__,
    latex=(
        r"s(x,t) = \nabla\log p_t(x) = \sum_k \gamma_k\,\frac{\alpha\mu_k - x}{S_k}, \quad"
        r" \gamma_k = \frac{w_k N(x;\alpha\mu_k, S_k I)}{p_t(x)}, \quad \sum_k\gamma_k = 1"
    ),
    general="any N and d (indexed sums), one sigma per mode",
    source="arXiv 2605.06831 v1, Lemma G.1",
    build=_build,
)
