r"""Two clones of a path end in one mode.

By O1 a draw of the reversed diffusion from $y$ is of mode $k$ with probability $\gamma_k(y)$, and
two draws are independent given $y$: they agree with probability $\sum_k\gamma_k^2$, whose mean over
$p = \sum_k w_kp_k$ is the chance $\sum_kw_k\int p_k\gamma_k$ to come back to the mode that $y$ was
made of.

*Two modes.* They part with probability $2\int w_ip_iw_jp_j/(w_ip_i + w_jp_j)$. With the logit $L =
\log(w_ip_i/w_jp_j) = kz + b$ the integrand is $\sqrt{w_iw_j}\sqrt{p_ip_j}\,\mathrm{sech}(L/2)/2$,
and the root of two normal densities at distance $l$ is $e^{-k/8}$ times the one half way, under
which $kz$ is $N(0, k)$:
$1 - P = \sqrt{w_iw_j}\,e^{-k/8}\,E\,\mathrm{sech}(L/2)$, $L \sim N(b, k)$, at most
$\sqrt{w_iw_j}\,e^{-k/8}$.

*Many modes.* $1 - \gamma_i \le \sum_{j\ne i}\gamma_j/(\gamma_i + \gamma_j)$: clones part at most as
often as those of all pairs alone together, each in its own $k$. From $\tau_2$ on, where $l^2 \ge
4\kappa dv$ and so $k/8 \ge \kappa d/2$, that is at most $\frac{N-1}{2}e^{-\kappa d/2}$, for any
weights, as $\sum_{i<j}\sqrt{w_iw_j} \le \sum_{i<j}(w_i + w_j)/2 = (N-1)/2$.

*The saddle.* $k = 4$ is $v = l^2/4$, the variance between the two modes: Biroli's speciation.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF
from ..algebra.mixture import N, i, k, over_modes, w
from ..algebra.rewriting import EXPONENTIALS, RATIONAL, SUMS

p = sp.IndexedBase("p", positive=True)
a, b, z = sp.symbols("a b z", real=True)
s, m, v, l, g_i, g_j, rest = sp.symbols("s m v l gamma_i gamma_j r", positive=True)
kappa, dim = sp.symbols("kappa d", positive=True)
excess = sp.Symbol("x", nonnegative=True)


def _tower() -> Chain:
    total = sp.Symbol("p_total", positive=True)
    return Chain(
        "coming back, and agreeing", over_modes(w[k] * p[k] * (w[k] * p[k] / total))
    ).equals(total * over_modes((w[k] * p[k] / total) ** 2), SUMS, "w_k p_k = p gamma_k at every y")


def _parting(half: sp.Expr) -> Chain:
    """m the root of w_i p_i w_j p_j, a their logit."""
    one, other = m * sp.exp(half * a), m * sp.exp(-half * a)
    return Chain("the densities of a parting pair", one * other / (one + other)).equals(
        m / (2 * sp.cosh(a / 2)), EXPONENTIALS, "half the logit up and half down"
    )


def _root(share: sp.Expr) -> Chain:
    """Exponents of the two normal densities along the pair, in z."""
    exponent = -(s / 2) * ((z - HALF) ** 2 + (z + HALF) ** 2) / 2
    return Chain("root of two densities", exponent).equals(
        -share * s - s * z**2 / 2, RATIONAL, "parallelogram; across the pair they agree"
    )


def _sech() -> Chain:
    half = sp.exp(a / 4) - sp.exp(-a / 4)
    gap = half**2 / (sp.exp(a / 2) + sp.exp(-a / 2))
    return Chain("sech is at most one", 1 / sp.cosh(a / 2)).at_most(
        sp.S.One, gap, EXPONENTIALS, "cosh - 1 is a square"
    )


def _union() -> Chain:
    """One other mode j, and all the rest r of the responsibilities: g_i + g_j + r = 1."""
    whole = g_i + g_j + rest
    return Chain("one term of the sum over pairs", g_j / whole).at_most(
        g_j / (g_i + g_j), g_j * rest / (whole * (g_i + g_j)), RATIONAL, "the others left out"
    )


def _late() -> Chain:
    far = 4 * kappa * dim * v * (1 + excess)
    return Chain("k/8 where a pair is separated", kappa * dim / 2).at_most(
        far / (8 * v), kappa * dim * excess / 2, RATIONAL, "l^2 = 4 kappa d v (1 + x)"
    )


def _weights() -> tuple[Chain, Chain]:
    u, t = sp.symbols("u t", positive=True)
    mean = Chain("geometric and arithmetic mean", u * t).at_most(
        (u**2 + t**2) / 2, (u - t) ** 2 / 2, RATIONAL, "of w_i = u^2 and w_j = t^2"
    )
    pairs = (over_modes(over_modes(w[k] + w[i], i)) - over_modes(2 * w[k])) / 4
    every = Chain("half the sum of w_i + w_j over pairs", pairs).equals(
        (N - 1) * over_modes(w[k]) / 2, SUMS, "each weight once for each of the others"
    )
    return mean, every


def _saddle() -> Chain:
    between = HALF * (l / 2) ** 2 + HALF * (-l / 2) ** 2
    return Chain(
        "k where v is the variance between the modes", l**2 / v, where={v: between}
    ).equals(sp.Integer(4), RATIONAL, "modes at +-l/2")


def _build() -> Proof:
    return Proof(
        chains=(
            _tower(), _parting(HALF), _root(sp.Rational(1, 8)), _sech(), _union(), _late(),
            *_weights(), _saddle(),
        ),
        formulas={
            "parting_terms": Formula(
                sp.exp(-s / 8) * sp.sech(a / 2) * sp.exp(-((a - b) ** 2) / (2 * s))
                / sp.sqrt(2 * sp.pi * s), (a, s, b),
            ),
        },
        wrong=(
            Wrong(_parting(sp.S.One), {m: 0.3, a: 0.7}),
            Wrong(_root(sp.Rational(1, 4)), {s: 5.0, z: 0.2}),
        ),
    )  # fmt: skip


DERIVATION = Derivation(
    id="X16",
    place=1,
    doc=__doc__,
    latex=(
        r"P = E\sum_k\gamma_k^2, \qquad 1 - P \le \sum_{i<j}\sqrt{w_iw_j}\,e^{-k_{ij}/8}\,"
        r"E\,\mathrm{sech}\tfrac{L_{ij}}2 \le \tfrac{N-1}{2}e^{-\kappa d/2}\ "
        r"\text{from } \tau_2(\kappa) \text{ on}"
    ),
    general="any N and weights, one covariance (k: Mahalanobis length); equality at N = 2",
    source="own result; the windows of arXiv 2403.01633",
    build=_build,
)
