r"""Convergence to any convex set.

Let $K$ be convex, $D$ the distance to $K$, $\hat y, \hat\mu_k$ the nearest points of $K$ to $y,
\mu_k$. A short step of the flow, $y + h(m-y) = (1-h)y + h\sum_k\gamma_k\mu_k$, is a convex
combination, and so is $p = (1-h)\hat y + h\sum_k\gamma_k\hat\mu_k \in K$. The difference is
$(1-h)(y-\hat y) + h\sum_k\gamma_k(\mu_k-\hat\mu_k)$, so by the triangle inequality $D(y + h(m-y))
\le (1-h)D + h\sum_k\gamma_k\,\mathrm{dist}(\mu_k,K)$. Subtract $D$ and divide by $h$.

For the plain segment of a pair the modes $i, j$ have distance $0$, and the others
$\mathrm{hypot}(l\max(a_k-1,-a_k,0), |\xi_k|)$: no extension of the segment and no split of the
drift is needed.

*Several widths.* Along an eigenvector that modes of variances $V_k$ share the flow is half of
$\sum_k\gamma_k(\mu_{k,e}-y_e)/V_k$: with $R = \sum_k\gamma_k/V_k$ it pulls at the rate $R/2$ to a
convex combination of the $\mu_{k,e}$ with shares $\gamma_k/(V_kR)$, so the argument above holds for
intervals. About any point $o$, in the eigenvectors of any $C_k$, of variances $S$,
$(y-o)^TC_k^{-1}(\mu_k-y) = \tfrac12(|\mu_k-o|_k^2 - |y-o|_k^2 - |\mu_k-y|_k^2)$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import CONVEX, N, S, c, d, e, g, i, k, mu, over_coordinates, over_modes, y
from ..algebra.pair import LENGTH2, mode, orthogonal2, parallel
from ..algebra.rewriting import SUMS

y_hat = sp.IndexedBase("y_hat", real=True)
mu_hat = sp.IndexedBase("mu_hat", real=True)
dist = sp.IndexedBase("dist", nonnegative=True)
h = sp.Symbol("h", positive=True)
V = sp.IndexedBase("V", positive=True)
o = sp.IndexedBase("o", real=True)
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


def _shared_axis() -> Chain:
    total = over_modes(g[k] / V[k])
    middle = over_modes(g[k] / V[k] * mu[k, e]) / total
    pull = over_modes(g[k] * (mu[k, e] - y[e]) / V[k])
    return Chain("the pull along an eigenvector that all modes share", pull).equals(
        total * (middle - y[e]), SUMS, "the shares gamma_k/(V_k R) add up to one"
    )


def _to_a_point(half: sp.Expr) -> Chain:
    def length2(a: sp.Expr, b: sp.Expr) -> sp.Expr:
        return over_coordinates((a - b) ** 2 / S[c])

    pull = over_coordinates((y[c] - o[c]) * (mu[i, c] - y[c]) / S[c])
    most = half * (length2(mu[i, c], o[c]) - length2(y[c], o[c]))
    left = length2(mu[i, c], y[c]) / 2
    return Chain("the pull of one mode away from a point", pull).at_most(
        most, left, SUMS, "a square completes it"
    )


def _build() -> Proof:
    rate = -D + over_modes(g[k] * dist[k])
    numbers = {g: [0.4, 0.6], dist: [0.1, 0.2], D: 1.0, h: 0.1, slack: 0.0, N: 2}
    return Proof(
        chains=(
            _vectors(),
            _rate(sp.S.One),
            _beyond_the_end(),
            _shared_axis(),
            _to_a_point(sp.Rational(1, 2)),
        ),
        formulas={"rate": Formula(rate, (D, g, dist, N))},
        wrong=(
            Wrong(_rate(sp.Integer(2)), numbers),
            Wrong(
                _to_a_point(sp.Rational(1, 3)),
                {mu: [[0.3, 0.1]], y: [0.3, 0.2], o: [2.0, 1.0], S: [0.5, 0.1], i: 0, d: 2},
            ),
        ),
    )


DERIVATION = Derivation(
    id="X2'",
    place=7,
    doc=__doc__,
    latex=r"D = \mathrm{dist}(y, K): \quad D' \le -D + \sum_k\gamma_k\,\mathrm{dist}(\mu_k, K)",
    general=(
        "one sigma: any N, d and convex set (indexed sums), by the triangle inequality L.1; "
        "several widths: intervals along common eigenvectors, and distances to a point"
    ),
    source="own result",
    build=_build,
)
