r"""The exact law of a hybrid: noise on one stretch, flow on the others.

One stretch of reverse SDE has the kernel of the exact reverse law; a stretch of ODE is a map $G$.
After the noise, $G$ is strictly increasing per coordinate, since $F_{v'}(G(y)) = F_v(y)$ with both
distribution functions increasing; so $\{\,low \le G(y) \le high\,\}$ is the interval between
$G^{-1}(low)$ and $G^{-1}(high)$, whose probability under the kernel is a weighted sum of normal
intervals. Before the noise the start is carried forward by the map.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import Phi, normal_density
from ..algebra.rewriting import AT, DERIVATIVES, RATIONAL

N, k = sp.symbols("N k", integer=True, positive=True)
a = sp.IndexedBase("a", real=True)
w = sp.IndexedBase("w", positive=True)
y, low, high, g, m_k = sp.symbols("y low high g m_k", real=True)
v_t, v_s, s, p_v, p_w = sp.symbols("v_t v_s s p_v p_w", positive=True)
q = v_s / v_t


def _monotone() -> tuple[Chain, Chain]:
    slope = sp.Symbol("G'", real=True)
    return (
        Chain("slope of the flow map", p_w * slope, where={slope: p_v / p_w}).equals(
            p_v, RATIONAL, "derivative of F_v'(G(y)) = F_v(y), p = F'"
        ),
        Chain("so the flow map increases", sp.S.Zero).at_most(
            p_v / p_w, p_v / p_w, RATIONAL, "a ratio of densities"
        ),
    )


def _interval(scale: sp.Expr) -> tuple[Chain, Chain]:
    probability = Phi((high - m_k) / s) - Phi((low - m_k) / s)
    return (
        Chain("probability of an interval, one mode", sp.Derivative(probability, high)).equals(
            scale * normal_density(high, m_k, s**2),
            DERIVATIVES >> RATIONAL,
            "its derivative is the normal density",
        ),
        Chain("an empty interval", sp.Subs(probability, high, low)).equals(
            sp.S.Zero, AT >> RATIONAL, "starts from zero"
        ),
    )


def _kernel() -> sp.Expr:
    mean, std = a[k] + q * (y - a[k]), sp.sqrt(v_s * (1 - q))
    part = Phi((high - mean) / std) - Phi((low - mean) / std)
    share = w[k] * sp.exp(-((y - a[k]) ** 2) / (2 * v_t))

    def over(term: sp.Expr) -> sp.Expr:
        return sp.Sum(term, (k, 0, N - 1))

    return over(share * part) / over(share)


def _build() -> Proof:
    return Proof(
        chains=(*_monotone(), *_interval(sp.S.One)),
        formulas={"kernel_interval": Formula(_kernel(), (y, a, w, v_t, v_s, low, high, N))},
        wrong=(Wrong(_interval(2 * sp.S.One)[0], {high: 0.4, low: -0.2, m_k: 0.1, s: 0.6}),),
    )


DERIVATION = Derivation(
    id="X6",
    place=5,
    doc=__doc__,
    latex=(
        r"P(\mathrm{low} \le y_{\text{end}} \le \mathrm{high}) = \sum_k\gamma_k\Big["
        r"\Phi\Big(\frac{G^{-1}(\mathrm{high}) - m_k}{s_k}\Big) -"
        r" \Phi\Big(\frac{G^{-1}(\mathrm{low}) - m_k}{s_k}\Big)\Big]"
    ),
    general="any N, per coordinate of a product grid; one unbroken stretch of noise",
    source="own result; the hybrid is that of arXiv 2605.06831 v1, radius experiment",
    build=_build,
)
