r"""What a start from noise and a last step leave outside every mode although the score is exact.

*Start.* $P$ is the probability of an event of the start under $p_T$, $P_N$ that under $N(0, I)$.
Hölder's inequality with exponents $a$ and $a/(a-1)$ gives $P_N \le M_a^{1/a}P^{1-1/a}$, $M_a =
\int N^a p_T^{1-a}$. As $x^{1-a}$ is convex, $M_a$ is at most the mean over modes of $\int N(0,
I)^a N(m_k, s_k^2 I)^{1-a}$, a Gaussian integral for $as_k^2 > a - 1$: complete the square.

*Last step.* It returns the posterior mean $(\sigma^2y+\rho m)/v$, $v = \sigma^2 + \rho$, which
lies within $\tfrac{\sigma^2}v|y-\mu_k| + \tfrac\rho v\sum_q\gamma_qL_q$ of $\mu_k$. A state of mode
$k$ that ends farther than $r$ from it has either $\tfrac{\sigma^2}v|y-\mu_k| > r-\delta$, or
$\gamma_q > c_q = \delta v/((N-1)\rho L_q)$ for some $q$. Markov's inequality for
$\sqrt{\gamma_q/c_q}$ and $\gamma_q \le w_qp_q/(w_kp_k)$ leave the overlap $\int\sqrt{p_kp_q} =
e^{-L_q^2/(8v)}$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF
from ..algebra.rewriting import LOGARITHMS, RATIONAL

a_1, s, v, w_k, w_q, c, L, sigma, rho, delta = sp.symbols(
    "a_1 s v w_k w_q c L sigma rho delta", positive=True
)
x, m, y, mu_k, mean = sp.symbols("x m y mu_k mbar", real=True)
shift2 = sp.Symbol("m2", nonnegative=True)
slack = sp.Symbol("t", nonnegative=True)
dimension, count = sp.symbols("n N", integer=True, positive=True)
a = 1 + a_1  # the order, above 1
FREE = sp.Symbol("F", positive=True)  # a s^2 - (a - 1)


def _powers() -> tuple[Chain, Chain]:
    first = Chain("Hölder's exponents", 1 / a + (a - 1) / a).equals(
        sp.S.One, RATIONAL, "conjugate, so N p^(1/a - 1) times p^(1 - 1/a)"
    )
    second = Chain("the power of p in M_a", (1 / a - 1) * a).equals(
        1 - a, RATIONAL, "N^a p^(1 - a)"
    )
    return first, second


def _holder() -> Chain:
    P_N, product, M, P = sp.symbols("P_N I M P", positive=True)
    return (
        Chain("probability from a start of noise", P_N)
        .by_theorem(
            "=", product, "definition of the density ratio", "the integral over the event of N/p"
        )
        .by_theorem("<=", M ** (1 / a) * P ** (1 - 1 / a), "Hölder's inequality", "over the event")
    )


def _mixture() -> Chain:
    M, average = sp.symbols("M_a average", positive=True)
    return Chain("M_a of a mixture", M).by_theorem(
        "<=", average, "Jensen's inequality", "x^(1 - a) is convex for a > 1"
    )


def _square(factor: sp.Expr) -> Chain:
    """a x^2 - (a - 1)(x - m)^2/s^2 = A (x - center)^2 - a (a - 1) m^2/(a s^2 - (a - 1))."""
    free = a * s**2 - (a - 1)
    exponent = a * x**2 - (a - 1) * (x - m) ** 2 / s**2
    center = -(a - 1) * m / free
    target = free / s**2 * (x - center) ** 2 - factor * a * (a - 1) * m**2 / free
    return Chain("twice the exponent, without its sign", exponent).equals(
        target, RATIONAL, "complete the square"
    )


def _integral() -> Chain:
    """One coordinate: s^(a - 1) from the densities, s/sqrt(a s^2 - a + 1) from the integral."""
    factors = s ** (a - 1) * s / sp.sqrt(FREE)
    return Chain("logarithm of the factors in front", sp.log(factors)).equals(
        a * sp.log(s) - sp.log(FREE) / 2, LOGARITHMS >> RATIONAL, "s^(a - 1) s F^(-1/2)"
    )


def _last_step() -> Chain:
    ends = (sigma**2 * y + rho * mean) / (sigma**2 + rho)
    apart = sigma**2 * (y - mu_k) / (sigma**2 + rho) + rho * (mean - mu_k) / (sigma**2 + rho)
    return Chain("the posterior mean seen from mode k", ends - mu_k).equals(
        apart, RATIONAL, "the mean field is a combination of means"
    )


def _shares() -> Chain:
    limit = delta * v / ((count - 1) * rho * L)
    total = (count - 1) * rho * c * L / v
    return Chain("N - 1 modes at the limit", total, where={c: limit}).equals(
        delta, RATIONAL, "so more than delta needs one of them above it"
    )


def _markov() -> Chain:
    root = 1 + slack  # sqrt(gamma/c) where gamma >= c
    return Chain("indicator of gamma_q >= c below the root of gamma_q/c", sp.S.One).at_most(
        root, slack, RATIONAL, "Markov"
    )


def _overlap(denominator: int) -> Chain:
    exponent = -(y**2) / (4 * v) - (y - L) ** 2 / (4 * v)
    return Chain("exponent of the root of p_k p_q", exponent).equals(
        -((y - L / 2) ** 2) / (2 * v) - L**2 / (denominator * v),
        RATIONAL,
        "a normal density about the midpoint",
    )


def _weights() -> Chain:
    limit = delta * v / ((count - 1) * rho * L)
    squared = w_k**2 * (w_q / (w_k * c))
    return Chain("square of w_k times the root of w_q/(w_k c)", squared, where={c: limit}).equals(
        w_k * w_q * (count - 1) * rho * L / (v * delta), RATIONAL, "for each ordered pair"
    )


def _formulas() -> dict[str, Formula]:
    order = sp.Symbol("a", positive=True)
    free = order * s**2 - (order - 1)
    per_coordinate = order * sp.log(s) - sp.log(free) / 2
    quadratic = order * (order - 1) * shift2 / (2 * free)
    overlap = sp.sqrt(w_k * w_q * (count - 1) * rho * L / (v * delta)) * sp.exp(-(L**2) / (8 * v))
    return {
        "log_moment": Formula(
            dimension * per_coordinate + quadratic, (order, s, shift2, dimension)
        ),
        "overlap": Formula(overlap, (w_k, w_q, count, rho, v, delta, L)),
    }


def _build() -> Proof:
    return Proof(
        chains=(
            *_powers(),
            _holder(),
            _mixture(),
            _square(sp.S.One),
            _integral(),
            _last_step(),
            _shares(),
            _markov(),
            _overlap(8),
            _weights(),
        ),
        formulas=_formulas(),
        wrong=(
            Wrong(_square(HALF), {a_1: 1.0, s: 0.9, x: 0.3, m: 0.4}),
            Wrong(_overlap(4), {v: 0.3, y: 0.2, L: 1.0}),
        ),
    )


DERIVATION = Derivation(
    id="M1'",
    place=4,
    doc=__doc__,
    latex=(
        r"P_N \le M_a^{1/a}P^{1-1/a}, \qquad \sum_{k\ne q}\sqrt{\frac{w_kw_q(N-1)\rho"
        r" L_{kq}}{v\delta}}\,e^{-L_{kq}^2/(8v)}"
    ),
    general="any number of modes and d; Hölder's and Jensen's inequalities cited",
    source="own result, on arXiv 2406.09358 v2, section 3",
    build=_build,
)
