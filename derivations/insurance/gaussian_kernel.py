r"""The Gaussian kernel nearest to the true reverse kernel.

The true kernel of one coordinate has modes of weight $\gamma_k$, mean $a_k$ and variance $b_k$,
hence mean $M = \sum\gamma_ka_k$ and variance $V = \sum\gamma_k(b_k + a_k^2) - M^2$. The divergence
of the true kernel from $N(m, u)$ is the cross-entropy $\frac12\log(2\pi u) + \frac1{2u}\left(V + (M
- m)^2\right)$ less the entropy of the true one, which knows neither $m$ nor $u$. So a mean off by
$\delta = M - m$ costs $\delta^2/(2u)$, and a variance other than $V$

$$\tfrac12\left(\frac Vu - 1 - \log\frac Vu\right) \ge 0,$$

which is zero for $u = V$ alone: moments that match are best. One variance $u$ for $d$ coordinates
costs the sum over them: stationary at the mean of their variances, above which it loses $d$ times
the same. With covariances the coordinates are the eigenvectors of the true one.

With $V = \rho_s(1-q) + (1-q)^2\rho_tD$, of one mode, a step maps the marginal's variance $v_t$ to
$v_s$: on every grid, whose steps are composed, the data's variance is returned.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import CONVEX, c, g, k, over_coordinates, over_modes
from ..algebra.mixture import d as dimension
from ..algebra.rewriting import AT, DERIVATIVES, LOGARITHMS, RATIONAL

a = sp.IndexedBase("a", real=True)
b = sp.IndexedBase("b", positive=True)
own = sp.IndexedBase("V", positive=True)  # variances of the coordinates
m, delta = sp.symbols("m delta", real=True)
u, V, sigma, rho_t, rho_s, mean = sp.symbols("u V sigma rho_t rho_s Vbar", positive=True)
x, o = sp.symbols("x o", nonnegative=True)
q = rho_s / rho_t
v_t, v_s = sigma**2 + rho_t, sigma**2 + rho_s


def _cross(var: sp.Expr, square: sp.Expr, factor: sp.Expr = sp.S.One) -> sp.Expr:
    """Cross-entropy less log(2 pi)/2, of a mean square distance from the kernel's mean."""
    return factor * sp.log(var) / 2 + square / (2 * var)


def _moments() -> Chain:
    middle = over_modes(g[k] * a[k])
    spread = over_modes(g[k] * (b[k] + a[k] ** 2)) - middle**2
    square = over_modes(g[k] * (b[k] + (a[k] - m) ** 2))
    return Chain("mean square distance from m", square).equals(
        spread + (middle - m) ** 2, CONVEX, "variance plus the mean's square"
    )


def _shift() -> Chain:
    return Chain("what a mean off by delta costs", sp.S.Zero).at_most(
        _cross(u, V + delta**2) - _cross(u, V), delta**2 / (2 * u), RATIONAL, "the logs cancel"
    )


def _too_narrow() -> Chain:
    """u = V/(1 + x)."""
    slope = Gap(o / (2 * (1 + o)), RATIONAL)
    return Chain("a variance below V", sp.S.Zero).at_most_growing(
        (x - sp.log(1 + x)) / 2, Growth(x, sp.S.Zero, o, slope, RATIONAL), "x >= log(1 + x)"
    )


def _narrow_form(factor: sp.Expr) -> Chain:
    return Chain("its form", _cross(V / (1 + x), V, factor) - _cross(V, V)).equals(
        (x - sp.log(1 + x)) / 2, LOGARITHMS >> RATIONAL, "insert u"
    )


def _too_wide() -> Chain:
    """u = (1 + x) V."""
    slope = Gap(o / (2 * (1 + o) ** 2), RATIONAL)
    return Chain("a variance above V", sp.S.Zero).at_most_growing(
        sp.log(1 + x) / 2 + 1 / (2 * (1 + x)) - sp.Rational(1, 2),
        Growth(x, sp.S.Zero, o, slope, RATIONAL),
        "log(1 + x) >= x/(1 + x)",
    )


def _wide_form() -> Chain:
    return Chain("its form", _cross((1 + x) * V, V) - _cross(V, V)).equals(
        sp.log(1 + x) / 2 + 1 / (2 * (1 + x)) - sp.Rational(1, 2),
        LOGARITHMS >> RATIONAL,
        "insert u",
    )


def _isotropic() -> tuple[Chain, Chain]:
    """Of d coordinates whose variances have the mean Vbar."""
    total = dimension * mean
    slope = dimension / (2 * u) - total / (2 * u**2)
    divergence = dimension * sp.log(u) / 2 + total / (2 * u)
    return (
        Chain("slope in one variance for all coordinates", sp.Derivative(divergence, u)).equals(
            slope, DERIVATIVES >> RATIONAL, "differentiate"
        ),
        Chain("it is zero", sp.Subs(slope, u, mean)).equals(
            sp.S.Zero, AT >> RATIONAL, "at the mean of the variances"
        ),
    )


def _term(var: sp.Expr) -> sp.Expr:
    return sp.log(var) / 2 + own[c] / (2 * var)


def _isotropic_loss() -> Chain:
    """One variance u for all: the sum of the coordinates' excesses."""
    each = over_coordinates(_term(u) - _term(own[c]))
    parts = over_coordinates(sp.log(u) - sp.log(own[c])) / 2 + over_coordinates(own[c]) / (2 * u)
    return Chain("what one variance costs", each).equals(
        parts - dimension / 2, CONVEX, "term by term"
    )


def _one_mode(power: int) -> Chain:
    kernel = rho_s * (1 - q) + (1 - q) ** power * rho_t * sigma**2 / v_t
    return Chain("one mode", (v_s / v_t) ** 2 * v_t + kernel).equals(
        v_s, RATIONAL, "the kernel's variance"
    )


def _build() -> Proof:
    numbers = {sigma: 0.3, rho_t: 0.9, rho_s: 0.2}
    return Proof(
        chains=(
            _moments(),
            _shift(),
            _too_narrow(),
            _narrow_form(sp.S.One),
            _too_wide(),
            _wide_form(),
            *_isotropic(),
            _isotropic_loss(),
            _one_mode(2),
        ),
        formulas={
            "excess": Formula((sp.log(u / V) + (V + delta**2) / u - 1) / 2, (u, V, delta)),
        },
        wrong=(Wrong(_one_mode(1), numbers), Wrong(_narrow_form(sp.S(2)), {V: 0.7, x: 0.4})),
    )


DERIVATION = Derivation(
    id="X14",
    place=7,
    doc=__doc__,
    latex=(
        r"KL(p\,\|\,N(m,u)) - KL(p\,\|\,N(M,V)) = \tfrac12\Big(\log\frac uV +"
        r" \frac{V + (M-m)^2}{u} - 1\Big) \ge 0"
    ),
    general="any mixture of modes in one coordinate (indexed sums), any d for one common variance",
    source="moment matching is standard (Analytic-DPM, arXiv 2201.06503); the widths: own result",
    build=_build,
)
