r"""Directions across the hull of the means, and points that one mode owns.

Turn coordinates so that the affine hull of the means is spanned by the first $r \le N - 1$ of
them; across it all means have coordinate $0$. The squared distances then share the summand
$|y_\perp|^2$, which cancels in the responsibilities: $m$ depends on the projection alone and lies
in the hull. Across the hull the dynamics are linear, $dy_\perp/du = -y_\perp$ for the ODE and
$dy_\perp = -2y_\perp\,du + \sqrt{2v}\,dB$ for the SDE, with the solutions below. The same
equations hold in all directions, with the offset $y - \mu_k$, where a single mode owns the point.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import c, e, k, mu, over_modes, q, v, w, y
from ..algebra.rewriting import AT, DERIVATIVES, LOGARITHMS, RATIONAL, SUMS

r, p = sp.symbols("r p", integer=True, positive=True)
z = sp.IndexedBase("z", real=True)  # coordinates across the hull
u, v_t, v_s = sp.symbols("u v_t v_s", positive=True)
offset = sp.Symbol("z_0", real=True)
CLOCK = {u: sp.log(v_t / v_s) / 2}


def _share(mode: sp.Symbol, across: sp.Expr) -> sp.Expr:
    along = sp.Sum((y[c] - mu[mode, c]) ** 2, (c, 0, r - 1))
    return w[mode] * sp.exp(-(along + across) / (2 * v))


def _field(across: sp.Expr) -> sp.Expr:
    total = over_modes(_share(q, across), q)
    return over_modes(_share(k, across) * mu[k, e]) / total


def _reduction() -> Chain:
    across = sp.Sum(z[c] ** 2, (c, 0, p - 1))
    return Chain("the mean field ignores the coordinates across", _field(across)).equals(
        _field(sp.S.Zero), SUMS, "a common factor cancels"
    )


def _flow(rate: sp.Expr) -> tuple[Chain, Chain]:
    solution = offset * sp.exp(-rate * u)
    return (
        Chain("the ODE across", sp.Derivative(solution, u)).equals(
            -solution, DERIVATIVES >> RATIONAL, "m has no component there"
        ),
        Chain("in the clock v, squared", sp.exp(-2 * u), where=CLOCK).equals(
            v_s / v_t, LOGARITHMS, "u = (1/2) log(v_t/v_s)"
        ),
    )


def _reverse(variance: sp.Expr) -> tuple[Chain, ...]:
    mean = offset * sp.exp(-2 * u)
    level = v_t * sp.exp(-2 * u)
    return (
        Chain("the SDE across: mean", sp.Derivative(mean, u)).equals(
            -2 * mean, DERIVATIVES >> RATIONAL, "linear drift"
        ),
        Chain("the SDE across: variance", sp.Derivative(variance, u)).equals(
            -4 * variance + 2 * level, DERIVATIVES >> RATIONAL, "Ito: squares decay by 4, gain 2 v"
        ),
        Chain("starting from a point", sp.Subs(variance, u, 0)).equals(
            sp.S.Zero, AT >> RATIONAL, "no spread at u = 0"
        ),
        Chain("in the clock v", variance, where=CLOCK).equals(
            v_s * (1 - v_s / v_t), LOGARITHMS >> RATIONAL, "e^(-2u) = v_s/v_t = q"
        ),
    )


def _build() -> Proof:
    law = v_t * sp.exp(-2 * u) * (1 - sp.exp(-2 * u))
    return Proof(
        chains=(_reduction(), *_flow(sp.S.One), *_reverse(law)),
        formulas={
            "ode_contraction": Formula(sp.sqrt(v_s / v_t), (v_t, v_s)),
            "sde_contraction": Formula(v_s / v_t, (v_t, v_s)),
            "sde_variance": Formula(v_s * (1 - v_s / v_t), (v_t, v_s)),
        },
        wrong=(
            Wrong(_flow(2 * sp.S.One)[0], {u: 0.4, offset: 1.3}),
            Wrong(_reverse(law * 2)[1], {u: 0.4, v_t: 0.9}),
        ),
    )


DERIVATION = Derivation(
    id="O3",
    place=3,
    doc=__doc__,
    latex=(
        r"y_\perp(s) = \sqrt{q}\;y_\perp(t) \text{ (ODE)}, \qquad"
        r" y_\perp(s) \sim N\big(q\,y_\perp(t),\, v_s(1-q)I\big) \text{ (SDE)}, \qquad"
        r" q = \frac{v_s}{v_t}"
    ),
    general="any N, rank and dimension (indexed sums), one sigma",
    source="own result",
    build=_build,
)
