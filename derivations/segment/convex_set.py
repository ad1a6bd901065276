r"""Convergence to any convex set.

Let $K$ be convex, $D$ the distance to $K$, $\hat y, \hat\mu_k$ the nearest points of $K$ to $y,
\mu_k$. A short step of the flow, $y + h(m-y) = (1-h)y + h\sum_k\gamma_k\mu_k$, is a convex
combination, and so is $p = (1-h)\hat y + h\sum_k\gamma_k\hat\mu_k \in K$. The difference is
$(1-h)(y-\hat y) + h\sum_k\gamma_k(\mu_k-\hat\mu_k)$, so by the triangle inequality $D(y + h(m-y))
\le (1-h)D + h\sum_k\gamma_k\,\mathrm{dist}(\mu_k,K)$. Subtract $D$ and divide by $h$.

For the plain segment of a pair the modes $i, j$ have distance $0$, and the others
$\mathrm{hypot}(l\max(a_k-1,-a_k,0), |\xi_k|)$: no extension of the segment and no split of the
drift is needed.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import CONVEX, N, c, e, g, i, k, mu, over_coordinates, over_modes, y
from ..algebra.pair import LENGTH2, mode, orthogonal2, parallel
from ..algebra.rewriting import SUMS

y_hat = sp.IndexedBase("y_hat", real=True)
mu_hat = sp.IndexedBase("mu_hat", real=True)
dist = sp.IndexedBase("dist", nonnegative=True)
h = sp.Symbol("h", positive=True)
D, slack = sp.symbols("D s", nonnegative=True)


def _vectors() -> Chain:
    step = y[e] + h * (over_modes(g[k] * mu[k, e]) - y[e])
    nearest = (1 - h) * y_hat[e] + h * over_modes(g[k] * mu_hat[k, e])
    target = (1 - h) * (y[e] - y_hat[e]) + h * over_modes(g[k] * (mu[k, e] - mu_hat[k, e]))
    return Chain("a step minus a point of the set", step - nearest).equals(
        target, CONVEX, "both are the same convex combination"
    )


def _rate(weight: sp.Expr) -> Chain:
    average = over_modes(g[k] * dist[k])
    after = (1 - h) * D + h * average - slack  # triangle inequality
    return Chain("change of the distance over a step, times h", after - D).at_most(
        h * (-weight * D + average), slack, SUMS, "the triangle inequality leaves a slack"
    )


def _beyond_the_end() -> Chain:
    # |mu_k - mu_i|^2 = (a_k - 1)^2 l^2 + |xi_k|^2: the nearest point for a_k > 1 is mode i.
    to_end = over_coordinates((mu[k, c] - mu[i, c]) ** 2)
    return Chain("distance beyond the end of the segment, squared", to_end).equals(
        (parallel(mode(k)) - 1) ** 2 * LENGTH2 + orthogonal2(mode(k)), SUMS, "Pythagoras"
    )


def _build() -> Proof:
    rate = -D + over_modes(g[k] * dist[k])
    numbers = {g: [0.4, 0.6], dist: [0.1, 0.2], D: 1.0, h: 0.1, slack: 0.0, N: 2}
    return Proof(
        chains=(_vectors(), _rate(sp.S.One), _beyond_the_end()),
        formulas={"rate": Formula(rate, (D, g, dist, N))},
        wrong=(Wrong(_rate(sp.Integer(2)), numbers),),
    )


DERIVATION = Derivation(
    id="X2'",
    place=7,
    doc=__doc__,
    latex=r"D = \mathrm{dist}(y, K): \quad D' \le -D + \sum_k\gamma_k\,\mathrm{dist}(\mu_k, K)",
    general="any N, d and convex set (indexed sums); uses the triangle inequality L.1",
    source="own result",
    build=_build,
)
