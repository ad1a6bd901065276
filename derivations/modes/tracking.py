r"""Two trajectories near a mode approach each other.

Let $\Delta = y - y'$. On a convex invariant set the segment between the two points stays inside,
and $m(y) - m(y') = \int_0^1 (\mathrm{Cov}_\gamma/v)\,\Delta\,d\theta$ along it. With $c = \inf(1
- \lambda_{\max}(\mathrm{Cov}_\gamma/v))$ the integrand's quadratic form is $(1-c)|\Delta|^2$
minus a slack, so $\tfrac12(|\Delta|^2)' \le -c|\Delta|^2$ and $|\Delta(u)| \le
e^{-cu}|\Delta_0|$.

In the ball of radius $r$ around mode $i$ the variance of $\mu$ along any unit vector is at most
the second moment about $\mu_i$, hence $\lambda_{\max} \le \tfrac1v\sum_{k\ne i}\gamma_kL_k^2$,
with the responsibilities bounded as for the equilibrium near a mode.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import N, d, g, i, k, mu, over_modes, v, w
from ..algebra.rewriting import RATIONAL, SUMS
from .mode_stability import far_moment
from .mode_stability import r as radius

D = sp.Symbol("D", positive=True)
c = sp.Symbol("c", real=True)
theta = sp.Symbol("theta", nonnegative=True)
s = sp.Function("s", nonnegative=True)(theta)
a = sp.IndexedBase("a", real=True)  # <mu_k - mu_i, unit vector>
t = sp.IndexedBase("t", nonnegative=True)  # L_k^2 - a_k^2
u, Delta = sp.symbols("u Delta", positive=True)


def _rate(factor: sp.Expr) -> Chain:
    loss = sp.Integral(s, (theta, 0, 1))
    start = -(D**2) + (1 - c) * D**2 - loss
    return Chain("half the squared distance of two trajectories", start).at_most(
        -factor * c * D**2, loss, RATIONAL, "the slack of the largest eigenvalue, integrated"
    )


def _second_moment() -> Chain:
    variance = over_modes(g[k] * a[k] ** 2) - over_modes(g[k] * a[k]) ** 2
    return (
        Chain("variance along a unit vector", variance)
        .at_most(
            over_modes(g[k] * a[k] ** 2),
            over_modes(g[k] * a[k]) ** 2,
            SUMS,
            "second moment about mode i",
        )
        .at_most(
            over_modes(g[k] * (a[k] ** 2 + t[k])),
            over_modes(g[k] * t[k]),
            SUMS,
            "Cauchy-Schwarz: a_k^2 + t_k = L_k^2",
        )
    )


def _build() -> Proof:
    no_loss = {s.func: 0.0, D: 1.0, c: 0.5}
    return Proof(
        chains=(_rate(sp.S.One), _second_moment()),
        formulas={
            "tracking_rate": Formula(1 - far_moment(2) / v, (w, mu, radius, v, N, d, i)),
            "distance": Formula(sp.exp(-c * u) * Delta, (Delta, c, u)),
        },
        wrong=(Wrong(_rate(sp.Integer(2)), no_loss),),
    )


DERIVATION = Derivation(
    id="C4.6",
    place=2,
    doc=__doc__,
    latex=(
        r"|y(u)-y'(u)| \le e^{-cu}|y_0-y_0'|, \quad"
        r" c = \inf\big(1-\lambda_{\max}(\mathrm{Cov}_\gamma/v)\big) \ge"
        r" 1-\frac1v\sum_{k\ne i}\frac{w_k}{w_i}L_k^2e^{-(L_k^2-2rL_k)/(2v)}"
    ),
    general="any N and d (indexed sums); uses L.1, L.2 and P4.5",
    source="arXiv 2605.06831 v1, Corollary 4.6; the explicit rate: own form",
    build=_build,
)
