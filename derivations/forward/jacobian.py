r"""Jacobian of the field, Hessian of the log density.

Differentiating the responsibilities brings down $(\mu_k - m)/v$, so the mean field has the
derivative $D_y m = \mathrm{Cov}_\gamma(\mu)/v$ and the linearised probability-flow ODE the matrix
$\mathrm{Cov}_\gamma(\mu)/v - I$. The covariance is a sum of squares, so no eigenvalue lies below
$-1$. In $x$ and with one variance per mode the Hessian of $\log p_t$ follows in the same way.
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
    over_coordinates,
    over_modes,
    static_formula,
    v,
    w,
    x,
    x_formula,
    y,
)
from ..algebra.rewriting import DERIVATIVES, SUMS

a = sp.IndexedBase("a", real=True)  # any direction


def _covariance() -> sp.Expr:
    return over_modes(gamma(k) * (mu[k, e] - mean_field(e)) * (mu[k, f] - mean_field(f)))


def _jacobian(target: sp.Expr) -> Chain:
    return Chain("derivative of the field", sp.Derivative(mean_field(e) - y[e], y[f])).equals(
        target, DERIVATIVES >> SUMS, "each share has log-derivative (mu_k - y)/v"
    )


def _lower_bound() -> Chain:
    along = over_coordinates(a[e] * (mu[k, e] - mean_field(e)), e)
    quadratic = over_coordinates(over_coordinates(a[e] * _covariance() * a[f], e), f)
    return Chain("the covariance is nonnegative along any direction a", sp.S.Zero).at_most(
        quadratic, over_modes(gamma(k) * along**2), SUMS, "exchange the sums"
    )


def _hessian(last: sp.Expr) -> Chain:
    def pull(coordinate: sp.Symbol) -> sp.Expr:
        return (alpha * mu[k, coordinate] - x[coordinate]) / S[k]

    def score(coordinate: sp.Symbol) -> sp.Expr:
        return over_modes(gamma_x(k) * pull(coordinate))

    target = over_modes(gamma_x(k) * pull(e) * pull(f)) - score(e) * score(f) - last
    return Chain("Hessian of the log density", sp.Derivative(score(e), x[f])).equals(
        target, DERIVATIVES >> SUMS, "product rule"
    )


def _build() -> Proof:
    delta = sp.KroneckerDelta(e, f)
    covariance, precision = _covariance(), over_modes(gamma_x(k) / S[k])
    hessian = _hessian(delta * precision)
    two = {w: [0.4, 0.6], mu: [[1.0, -1.0], [0.0, 0.3]], N: 2, d: 2, e: 0, f: 0}
    in_x = {**two, x: [0.5, 0.2], S: [0.9, 0.8], alpha: 0.7}
    in_y = {**two, y: [0.5, 0.2], v: 0.8}
    return Proof(
        chains=(_jacobian(covariance / v - delta), _lower_bound(), hessian),
        formulas={
            "covariance": static_formula(covariance, e, f),
            "jacobian": static_formula(covariance / v - delta, e, f),
            "score_jacobian": x_formula(hessian.end, e, f),
        },
        wrong=(
            Wrong(_jacobian(covariance / (2 * v) - delta), in_y),
            Wrong(_jacobian(covariance / v), in_y),
            Wrong(_hessian(delta), in_x),
        ),
    )


DERIVATION = Derivation(
    id="G.1 (d)",
    place=5,
    doc=__doc__,
    latex=(
        r"D_y(m - y) = \frac{\mathrm{Cov}_\gamma(\mu)}{v} - I \succeq -I, \qquad"
        r" \nabla^2\log p_t = \sum_k\gamma_k\,g_k g_k^T - s s^T - \sum_k\frac{\gamma_k}{S_k}\,I,"
        r"\quad g_k = \frac{\alpha\mu_k - x}{S_k}"
    ),
    general="any N and d (indexed sums)",
    source="arXiv 2605.06831 v1, Lemma G.1 and Proposition 4.7; own form",
    build=_build,
)
