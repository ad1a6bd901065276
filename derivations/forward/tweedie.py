r"""Posterior mean and covariance of the data given the noisy point.

Write $\nu = 1 - \bar\alpha$ for the noise variance. Within a mode, completing the square gives
$x_0 | x_t, k \sim N(M_k, V_k I)$ with $M_k = (\nu\mu_k + \alpha\sigma_k^2 x)/S_k$ and
$V_k = \nu\sigma_k^2/S_k$; averaging over the modes yields Tweedie's formula. The formula needs no
mixture: with data on arbitrary atoms $a_k$ (modes of width zero, the general law being a limit of
such sums) the same two derivatives of $\log p_t$ give mean and covariance of $x_0$.
In static coordinates and with one sigma, the posterior mean is $(\sigma^2 y + \rho\,m)/v$: it is
the mean field $m$ only for $\sigma = 0$.
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
    f,
    gamma,
    gamma_x,
    k,
    mean_field,
    mu,
    nu,
    over_modes,
    q,
    share_atom,
    sigma,
    static_formula,
    v,
    w,
    x,
    x_formula,
    y,
)
from ..algebra.rewriting import DERIVATIVES, RATIONAL, SUMS

x_0, x_t, mu_k, sigma_k = sp.symbols("x_0 x_t mu_k sigma_k", real=True)


def _within_a_mode() -> Chain:
    S_k = alpha**2 * sigma_k**2 + nu
    M, V = (nu * mu_k + alpha * sigma_k**2 * x_t) / S_k, nu * sigma_k**2 / S_k
    joint = -((x_0 - mu_k) ** 2) / (2 * sigma_k**2) - (x_t - alpha * x_0) ** 2 / (2 * nu)
    return Chain("Bayes within a mode, per coordinate", joint).equals(
        -((x_0 - M) ** 2) / (2 * V) - (x_t - alpha * mu_k) ** 2 / (2 * S_k),
        RATIONAL,
        "complete the square in x_0",
    )


def _average(noise: sp.Expr) -> Chain:
    sigma2 = (S[k] - nu) / alpha**2
    M = (nu * mu[k, e] + alpha * sigma2 * x[e]) / S[k]
    score = over_modes(gamma_x(k) * (alpha * mu[k, e] - x[e]) / S[k])
    return Chain("Tweedie: average over the modes", over_modes(gamma_x(k) * M)).equals(
        (x[e] + noise * score) / alpha, SUMS, "insert S_k = alpha^2 sigma_k^2 + nu"
    )


def _atoms(factor: sp.Expr) -> tuple[Chain, Chain]:
    total = over_modes(share_atom(q), q)
    log_p = sp.log(total)

    def mean(coordinate: sp.Symbol) -> sp.Expr:
        return over_modes(share_atom(k) * mu[k, coordinate]) / total

    first = Chain("any data law: the mean", over_modes(share_atom(k) * mu[k, e]) / total).equals(
        (x[e] + nu * sp.Derivative(log_p, x[e])) / alpha, DERIVATIVES >> SUMS, "differentiate once"
    )
    second_moment = over_modes(share_atom(k) * mu[k, e] * mu[k, f]) / total
    hessian = sp.Derivative(log_p, x[e], x[f])
    second = Chain(
        "any data law: the covariance (second-order Tweedie)",
        second_moment - mean(e) * mean(f),
    ).equals(
        factor * (sp.KroneckerDelta(e, f) + nu * hessian), DERIVATIVES >> SUMS, "and once more"
    )
    return first, second


def _static() -> Chain:
    M = mu[k, e] + sigma**2 / v * (y[e] - mu[k, e])
    return Chain("static coordinates, one sigma", over_modes(gamma(k) * M)).equals(
        (sigma**2 * y[e] + (v - sigma**2) * mean_field(e)) / v, SUMS, "rho = v - sigma^2"
    )


def _variance(between: sp.Expr) -> Chain:
    """Covariance of x_0 in two directions: within plus between the modes."""
    shrink, V = sigma**2 / v, sigma**2 * (v - sigma**2) / v

    def M(coordinate: sp.Symbol) -> sp.Expr:
        return mu[k, coordinate] + shrink * (y[coordinate] - mu[k, coordinate])

    raw = over_modes(gamma(k) * (V * sp.KroneckerDelta(e, f) + M(e) * M(f)))
    start = raw - over_modes(gamma(k) * M(e)) * over_modes(gamma(k) * M(f))
    cov = over_modes(gamma(k) * mu[k, e] * mu[k, f]) - mean_field(e) * mean_field(f)
    return Chain("posterior covariance, one sigma", start).equals(
        V * sp.KroneckerDelta(e, f) + between * cov, SUMS, "V plus the covariance of the M_k"
    )


def _build() -> Proof:
    score = over_modes(gamma_x(k) * (alpha * mu[k, e] - x[e]) / S[k])
    two = {
        w: [0.4, 0.6],
        mu: [[1.0, -1.0], [0.0, 0.3]],
        N: 2,
        d: 2,
    }
    in_x = {**two, x: [0.5, 0.2], S: [0.9, 0.8], alpha: 0.7, nu: 0.51, e: 1}
    in_y = {**two, y: [0.5, 0.2], v: 0.8, sigma: 0.3, e: 1, f: 0}
    static = _static()
    variance = _variance((1 - sigma**2 / v) ** 2)
    first, second = _atoms(nu / alpha**2)
    return Proof(
        chains=(_within_a_mode(), _average(nu), first, second, static, variance),
        formulas={
            "denoiser": x_formula((x[e] + nu * score) / alpha, nu, e),
            "static_denoiser": static_formula(static.end, sigma, e),
            "posterior_covariance": static_formula(variance.end, sigma, e, f),
        },
        wrong=(
            Wrong(_average(nu / alpha), in_x),
            Wrong(_atoms(nu / alpha)[1], {**in_x, f: 0}),
            Wrong(_variance(1 - sigma**2 / v), in_y),
        ),
    )


DERIVATION = Derivation(
    id="G.1 (c)",
    place=3,
    doc=__doc__,
    latex=(
        r"E[x_0|x_t] = \frac{x_t + \nu s}{\alpha} = "
        r"\frac{\sigma^2 y + \rho m}{v}, \quad"
        r" \mathrm{Cov}(x_0|x_t) = \frac{\nu}{\bar\alpha}\big(I + \nu\nabla^2\log p_t\big)"
    ),
    general="any N and d (indexed sums); Tweedie for any data law on atoms",
    source="arXiv 2605.06831 v1, Lemma G.1; second order: own",
    build=_build,
)
