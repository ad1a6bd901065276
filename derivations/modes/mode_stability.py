r"""Equilibria near the modes and their stability.

*Two equal modes.* $f(z) = \tfrac12\tanh(kz/2) - z$ vanishes at $0$ with slope $k/4 - 1$, is
negative at the mode $z = \tfrac12$, and is concave for $z \ge 0$. So for $k > 4$ it changes sign
exactly once on $(0, \tfrac12)$, and for $k \le 4$ it has no zero but $0$, as $f(z) \le (k/4-1)z$.
Concavity also fixes the slope at the zero $z^*$: $z f'(z) - f(z)$ starts at $0$ and falls, so
$f'(z^*) < 0$; its value is $k(\tfrac14 - z^{*2}) - 1$ (two modes). The zero is close to the mode:
$\tfrac12 - z^* = \mathrm{logistic}(-kz^*) \le e^{-kz^*}$.

*Any mixture.* In the ball of radius $r$ around mode $i$, with $L_k = |\mu_k-\mu_i|$,
$|y-\mu_k|^2 - |y-\mu_i|^2 \ge L_k^2 - 2rL_k$, so
$|m - \mu_i| \le \sum_{k\ne i}\gamma_kL_k \le \sum_{k\ne i}\tfrac{w_k}{w_i}L_k
e^{-(L_k^2-2rL_k)/(2v)}$. If this pull is at most $r$ the ball is forward invariant
($D' \le -D + \text{pull}$), $m$ maps it into itself, and by Brouwer it holds an equilibrium.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF, logistic
from ..algebra.mixture import N, c, d, i, mu, over_coordinates, over_modes, w, y
from ..algebra.mixture import k as mode
from ..algebra.rewriting import AT, DERIVATIVES, EXPONENTIALS, RATIONAL, SUMS

k, v = sp.symbols("k v", positive=True)
z, s, p = sp.symbols("z s p", positive=True)
r, inner_slack, o = sp.symbols("r t o", nonnegative=True)
L, w_k, w_i, near2, rest = sp.symbols("L w_k w_i near2 rest", positive=True)
f = sp.tanh(k * z / 2) / 2 - z
CURVATURE = -(k**2) / 4 * sp.tanh(k * z / 2) / sp.cosh(k * z / 2) ** 2


def _slope(expr: sp.Expr, order: int = 1) -> sp.Expr:
    return DERIVATIVES(sp.Derivative(expr, (z, order)))


def _two_modes(at_origin: sp.Expr) -> tuple[Chain, ...]:
    concave = Chain("curvature", sp.Derivative(f, (z, 2)))
    at_mode = Chain("velocity at the mode", f.subs(z, HALF))
    return (
        Chain("slope at the midpoint", sp.Subs(sp.Derivative(f, z), z, 0)).equals(
            at_origin, DERIVATIVES >> AT >> EXPONENTIALS, "derivative of tanh at 0"
        ),
        at_mode.equals(-1 / (1 + sp.exp(k / 2)), EXPONENTIALS, "tanh(k/4) as exponentials").at_most(
            sp.S.Zero, 1 / (1 + sp.exp(k / 2)), RATIONAL, "negative"
        ),
        concave.equals(CURVATURE, DERIVATIVES >> EXPONENTIALS, "differentiate twice").at_most(
            sp.S.Zero, -CURVATURE, RATIONAL, "for z > 0"
        ),
    )


def _below_tangent() -> Chain:
    growth = Growth(z, sp.S.Zero, s, Gap(-CURVATURE.subs(z, s) * s, EXPONENTIALS), EXPONENTIALS)
    return Chain("slope against chord", z * _slope(f) - f).at_most_growing(
        sp.S.Zero, growth, "derivative of z f' - f is z f'' <= 0"
    )


def _distance_to_mode() -> Chain:
    # At a zero 1/2 - z = 1 - logistic(k z) = logistic(-k z).
    share = logistic(-k * z)
    gap = sp.exp(-2 * k * z) / (1 + sp.exp(-k * z))
    return (
        Chain("distance of the zero to the mode", 1 - logistic(k * z))
        .equals(share, RATIONAL, "f = 0: z + 1/2 = logistic(k z)")
        .at_most(sp.exp(-k * z), gap, RATIONAL, "drop the exponential in the denominator")
    )


def _exponent() -> Chain:
    def squared(index: sp.Symbol) -> sp.Expr:
        return over_coordinates((y[c] - mu[index, c]) ** 2)

    L2 = over_coordinates((mu[mode, c] - mu[i, c]) ** 2)
    inner = over_coordinates((y[c] - mu[i, c]) * (mu[mode, c] - mu[i, c]))
    return Chain("difference of the squared distances", squared(mode) - squared(i)).equals(
        L2 - 2 * inner, SUMS, "expand around mode i; Cauchy-Schwarz: inner <= r L"
    )


def _share(reach: sp.Expr) -> Chain:
    """The inner product is r L - t, t >= 0."""
    away2 = near2 + L**2 - 2 * (r * L - inner_slack)
    far, near = w_k * sp.exp(-away2 / (2 * v)), w_i * sp.exp(-near2 / (2 * v))
    exponent = -(L**2 - 2 * reach * L) / (2 * v)
    exact = w_k / w_i * sp.exp(-(L**2 - 2 * r * L) / (2 * v) - inner_slack / v)
    slope = Gap(exact.subs(inner_slack, o) / v, RATIONAL)
    return (
        Chain("responsibility of another mode in the ball", far / (near + far + rest))
        .at_most(
            far / near,
            far * (far + rest) / (near * (near + far + rest)),
            RATIONAL,
            "fewer terms in the denominator",
        )
        .equals(exact, RATIONAL, "divide the exponentials")
        .at_most_growing(
            w_k / w_i * sp.exp(exponent),
            Growth(inner_slack, sp.S.Zero, o, slope, RATIONAL),
            "Cauchy-Schwarz leaves a slack",
        )
    )


def far_moment(power: int) -> sp.Expr:
    """sum over k != i of the bound on gamma_k times L_k^power."""
    length = sp.sqrt(over_coordinates((mu[mode, c] - mu[i, c]) ** 2))
    bound = w[mode] / w[i] * sp.exp(-(length**2 - 2 * r * length) / (2 * v))
    return over_modes((1 - sp.KroneckerDelta(mode, i)) * bound * length**power)


def _build() -> Proof:
    numbers = {
        near2: 0.01,
        L: 1.0,
        r: 0.1,
        v: 0.2,
        w_k: 0.5,
        w_i: 0.5,
        rest: 1e-6,
        inner_slack: 0.0,
    }
    brouwer = Chain("a fixed point of m in the ball", sp.Symbol("m_ball")).by_theorem(
        "=",
        sp.Symbol("y_star"),
        "Brouwer's fixed point theorem",
        "m is continuous and maps the ball into itself",
    )
    return Proof(
        chains=(
            *_two_modes(k / 4 - 1),
            _below_tangent(),
            _distance_to_mode(),
            _exponent(),
            _share(r),
            brouwer,
        ),
        formulas={
            "ball_pull": Formula(far_moment(1), (w, mu, r, v, N, d, i)),
            "saddle_slope": Formula(k / 4 - 1, (k,)),
        },
        wrong=(
            Wrong(_two_modes(k / 2 - 1)[0], {k: 5.0}),
            Wrong(_share(r / 2), numbers),
        ),
    )


DERIVATION = Derivation(
    id="P4.5",
    place=1,
    doc=__doc__,
    latex=(
        r"k > 4 \Leftrightarrow \exists!\,z^* \in (0,\tfrac12): f(z^*) = 0, \quad f'(z^*) <"
        r" 0; \qquad"
        r" |m-\mu_i| \le \sum_{k\ne i}\frac{w_k}{w_i}L_ke^{-(L_k^2-2rL_k)/(2v)}"
    ),
    general="two modes: general; the ball: any N and d (indexed sums), existence cited",
    source="arXiv 2605.06831 v1, Proposition 4.5; the ball: own form",
    build=_build,
)
