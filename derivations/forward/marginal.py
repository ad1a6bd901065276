r"""The marginals of the forward process.

The forward process is $dx = -\tfrac12\beta x\,dt + \sqrt\beta\,dW$, and $\alpha(t)$ with
$\dot\alpha = -\tfrac12\beta\alpha$, $\alpha(0) = 1$ is the amplitude of the signal left at time
$t$; $\bar\alpha = \alpha^2$. A mode $N(\mu_k, \sigma_k^2 I)$ of the data becomes $N(\alpha\mu_k,
S_k I)$ with $S_k = \bar\alpha\sigma_k^2 + 1 - \bar\alpha$. We check that this density solves the
Fokker-Planck equation. With $L = \log p$ and after division by $p$ the equation reads $\partial_t
L = \tfrac\beta2\,(d + x\cdot\nabla L + \Delta L + |\nabla L|^2)$, and since $L$ depends on time
only through $\alpha$, $\partial_t = -\tfrac\beta2\,\alpha\,\partial_\alpha$. The equation for $p$
is linear, so the sum over modes solves it too, and at $\alpha = 1$ it is $p_0$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import N, alpha, d, distance2, e, k, mu, over_coordinates, over_modes, w, x
from ..algebra.rewriting import DERIVATIVES, RATIONAL, SUMS

beta, sigma_k, abar = sp.symbols("beta sigma_k abar", positive=True)
sigma = sp.IndexedBase("sigma", positive=True)


def _log_density(variance: sp.Expr) -> sp.Expr:
    """log N(x; alpha mu_k, variance I)."""
    return -d * sp.log(2 * sp.pi * variance) / 2 - distance2(x, k, alpha) / (2 * variance)


def _derivatives(variance: sp.Expr) -> tuple[Chain, Chain]:
    """First and second derivative of the log density in one coordinate."""
    L = _log_density(variance)
    by = DERIVATIVES >> SUMS
    return (
        Chain("gradient of the log density", sp.Derivative(L, x[e])).equals(
            (alpha * mu[k, e] - x[e]) / variance, by, "coordinate c contributes for c = e"
        ),
        Chain("curvature of the log density", sp.Derivative(L, x[e], 2)).equals(
            -1 / variance, by, "differentiate again"
        ),
    )


def _fokker_planck(variance: sp.Expr) -> Chain:
    slope, curvature = (chain.end for chain in _derivatives(variance))
    right = d + over_coordinates(x[e] * slope + curvature + slope**2, e)
    return Chain(
        "the density of a mode solves the Fokker-Planck equation",
        -beta / 2 * alpha * sp.Derivative(_log_density(variance), alpha),
    ).equals(beta / 2 * right, DERIVATIVES >> SUMS, "gradient and curvature as above")


def _variance(variance: sp.Expr) -> Chain:
    rate = -beta / 2 * alpha * sp.Derivative(variance, alpha)
    return Chain("the variance relaxes to 1", rate).equals(
        beta * (1 - variance), DERIVATIVES >> RATIONAL, "Ito: the square decays by beta, gains beta"
    )


def _build() -> Proof:
    S = alpha**2 * sigma_k**2 + 1 - alpha**2
    wrong = alpha**2 * sigma_k**2 + (1 - alpha**2) / 2
    numbers = {alpha: 0.7, beta: 0.3, sigma_k: 0.4, x: [0.5, 0.2], mu: [[1.0, -1.0]], d: 2, k: 0}
    S_k = abar * sigma[k] ** 2 + 1 - abar
    density = over_modes(
        w[k] * (2 * sp.pi * S_k) ** (-d / 2) * sp.exp(-distance2(x, k, sp.sqrt(abar)) / (2 * S_k))
    )
    return Proof(
        chains=(_variance(S), *_derivatives(S), _fokker_planck(S)),
        formulas={
            "variance": Formula(abar * sigma_k**2 + 1 - abar, (abar, sigma_k)),
            "log_density": Formula(sp.log(density), (x, w, mu, sigma, abar, N, d)),
        },
        wrong=(
            Wrong(_variance(wrong), {alpha: 0.7, beta: 0.3, sigma_k: 0.4}),
            Wrong(_fokker_planck(wrong), numbers),
        ),
    )


DERIVATION = Derivation(
    id="G.1 (a)",
    place=1,
    also=("G.1",),
    doc=__doc__,
    latex=(
        r"p_t = \sum_k w_k N(\alpha\mu_k, S_k I), \quad S_k = \bar\alpha\sigma_k^2 + 1 -"
        r" \bar\alpha"
    ),
    general="any N and d (indexed sums), one sigma per mode",
    source="arXiv 2605.06831 v1, Lemma G.1",
    build=_build,
)
