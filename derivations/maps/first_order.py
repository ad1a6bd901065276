r"""What first-order steps leave, in the transport distance.

DDIM is Euler's method in $s = \sqrt\rho$. With $s = \sigma\tan\theta$ its step within one mode is
$\cos(\theta_t - \theta_s)$ times the flow's, so on *any* grid it returns $\prod_k\cos\Delta
\theta_k$ of the standard deviation, $W_2 = \sqrt d\,\sigma\,(1 - \prod_k\cos\Delta\theta_k)$, and
as $\log\cos$ is concave equal angles are best *for every number of steps*: the tangent law. Then
$\cos^K(\theta/K)$ is left, and $K\,W_2 \to \sqrt d\,\sigma\,\theta^2/2$, $\theta^2/2 \le \pi^2/8$.

*Lines.* A step of length $h = S'/K$ errs by $\tfrac12h^2y''$, $y'' = -g - s^2(gg' + g'')$ with $g =
\partial_y\log p$, by $y' = -sg$ and the heat equation $\partial_v p = \tfrac12p''$. The flow
conserves the distribution function, so $dy_0/dy_s = p_s/p_0$ and a path ends at a level lower by
$c/K$, $c = \tfrac12\int S'^2y''p_s\,d\tau$: finite between modes too. So with the quantiles
$K\,W_2 \to (\int (c/p_0)^2p_0\,dy)^{1/2}$, and for modes so far apart that this is out of reach
$W_2^2 \approx \sum_j l_j^2|c_j|/K$ over the levels between them: order one half.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import normal_density
from ..algebra.rewriting import DERIVATIVES, EXPONENTIALS, RATIONAL

p, q, sigma, s, v, K, speed = sp.symbols("p q sigma s v K S", positive=True)
theta = sp.Symbol("theta", positive=True)
y, mu, g, g_1, g_2 = sp.symbols("y mu g g_1 g_2", real=True)


def cosine(half: sp.Expr) -> sp.Expr:
    """cos of an angle by the tangent of its half."""
    return (1 - half**2) / (1 + half**2)


def sine(half: sp.Expr) -> sp.Expr:
    """sin of it."""
    return 2 * half / (1 + half**2)


def _step(power: int) -> tuple[Chain, Chain]:
    level_t, level_s = (sigma * sine(h) / cosine(h) for h in (p, q))
    step = (sigma**2 + level_t * level_s) / (sigma**2 + level_t**2)
    difference = cosine(p) * cosine(q) + sine(p) * sine(q)
    return (
        Chain("a step within one mode, s = sigma tan theta", step).equals(
            difference**power * cosine(p) / cosine(q), RATIONAL, "cos of the difference"
        ),
        Chain("the flow, squared", (sigma**2 + level_s**2) / (sigma**2 + level_t**2)).equals(
            (cosine(p) / cosine(q)) ** 2, RATIONAL, "v = sigma^2/cos^2"
        ),
    )


def _equal_angles() -> tuple[Chain, Chain]:
    # angles p + q and p - q of mean p
    both = (cosine(p) * cosine(q)) ** 2 - (sine(p) * sine(q)) ** 2
    product = sp.Symbol("prod_cos", positive=True)
    return (
        Chain("two steps of equal sum", both)
        .equals(cosine(p) ** 2 - sine(q) ** 2, RATIONAL, "cos (p + q) cos (p - q)")
        .at_most(cosine(p) ** 2, sine(q) ** 2, RATIONAL, "a square; equal steps are best"),
        Chain("any number of steps", product).by_theorem(
            "<=", sp.cos(theta / K) ** K, "Jensen's inequality", "log cos is concave"
        ),
    )


def _bend(sign: int) -> tuple[Chain, ...]:
    slope = -s * g
    turning = (g_2 + 2 * g * g_1) / 2  # dg/dv, as d(log p)/dv = p''/(2 p) = (g' + g^2)/2
    density = normal_density(y, mu, v)
    return (
        Chain("heat equation", sp.Derivative(density, v)).equals(
            sp.Derivative(density, (y, 2)).doit() / 2, DERIVATIVES >> EXPONENTIALS, "each mode"
        ),
        Chain("second derivative along a path", -g - s * (g_1 * slope + turning * 2 * s)).equals(
            -g - sign * s**2 * (g * g_1 + g_2), RATIONAL, "dv/ds = 2 s"
        ),
    )


def _one_mode() -> tuple[Chain, Chain]:
    at = {g: -y / v, g_1: -1 / v, g_2: sp.S.Zero, v: sigma**2 + s**2}
    bend = (-g - s**2 * (g * g_1 + g_2)).subs({k: at[k] for k in (g, g_1, g_2)}).subs(v, at[v])
    c = cosine(p)
    return (
        Chain("one mode", bend).equals(y * sigma**2 / (sigma**2 + s**2) ** 2, RATIONAL, "g = -y/v"),
        Chain(
            "the tangent law's constant",
            speed**2 * sigma**2 / v**2 / 2,
            where={speed: sigma * theta / c**2, v: (sigma / c) ** 2},
        ).equals(theta**2 / 2, RATIONAL, "S' = sigma theta/cos^2, v = sigma^2/cos^2"),
    )


def _level() -> Chain:
    p_s, p_0, bend, stretch = sp.symbols("p_s p_0 y_2 dy_0/dy_s", positive=True)
    error = p_0 * stretch * speed**2 * bend / 2
    return Chain("error of the level", error, where={stretch: p_s / p_0}).equals(
        speed**2 * bend * p_s / 2, RATIONAL, "dy_0/dy_s = p_s/p_0"
    )


def _build() -> Proof:
    bend = -g - s**2 * (g * g_1 + g_2)
    t, r = sp.symbols("theta_t theta_s", real=True)
    return Proof(
        chains=(*_step(1), *_equal_angles(), *_bend(1), *_one_mode(), _level()),
        formulas={
            "factor": Formula(sp.cos(t - r), (t, r)),
            "best": Formula(sp.cos(theta / K) ** K, (theta, K)),
            "bend": Formula(bend, (s, g, g_1, g_2)),
        },
        wrong=(
            Wrong(_step(2)[0], {sigma: 0.3, p: 0.4, q: 0.2}),
            Wrong(_bend(-1)[-1], {s: 0.7, g: 0.4, g_1: -0.8, g_2: 0.3}),
        ),
    )


DERIVATION = Derivation(
    id="X19",
    place=3,
    doc=__doc__,
    latex=(
        r"\frac{W_2}{\sqrt d\,\sigma} = 1 - \prod_k\cos\Delta\theta_k \ge 1 - \cos^K\frac\theta K,"
        r" \quad \tan\theta = \frac{\sqrt\rho}\sigma, \qquad K\,\delta F \to \frac12\int"
        r" S'^2\,y''p_s\,d\tau"
    ),
    general="one mode: any d, any grid; lines: any mixture with one sigma, smooth grids",
    source="own result; tangent law of arXiv 2601.13602",
    build=_build,
)
