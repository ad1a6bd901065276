r"""Unequal weights: where the saddle is, and when there is one.

With $a = z + \tfrac12$ and $b = \log(w_i/w_j)$ the equilibria solve $h(a) = \mathrm{logit}(a) -
k(a-\tfrac12) = b$. $h$ turns where $a(1-a) = 1/k$, at $a = (1\pm s)/2$ with $s = \sqrt{1-4/k}$,
and falls between; its values there are $\mp(\tfrac{ks}2 - 2\,\mathrm{artanh}\,s)$. So an unstable
equilibrium (between the turning points, slope $k\,a(1-a) - 1 > 0$) exists iff $k > 4$ and $|b|$
is below that threshold, which is positive for every $k > 4$. A heavier mode $i$ moves it towards
$j$: $da^*/db = -a(1-a)/(k\,a(1-a)-1) < 0$.

A field that differs from the two-mode one by at most $\delta$ and has slope at least $\lambda >
0$ between the zeros has its zero within $\delta/\lambda$. The separatrix of the moving dynamics
is a level set of the distribution function, not this moving zero.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF, logistic
from ..algebra.rewriting import DERIVATIVES, LOGARITHMS, RATIONAL

a, b = sp.symbols("a b", real=True)
k, lam = sp.symbols("k lambda", positive=True)
s = sp.Symbol("s", positive=True)
x, o, t_1, t_2 = sp.symbols("x o t_1 t_2", nonnegative=True)
gap = sp.Symbol("Delta", nonnegative=True)
delta = sp.Symbol("delta", positive=True)


def _log_odds(place: sp.Expr) -> sp.Expr:
    return sp.log(place) - sp.log(1 - place)


def _equilibrium() -> tuple[Chain, Chain]:
    gamma = logistic(b + k * (a - HALF))
    odds = Chain("odds of mode i", gamma / (1 - gamma)).equals(
        sp.exp(b) * sp.exp(k * (a - HALF)), RATIONAL, "at an equilibrium gamma_i = a"
    )
    slope = Chain("slope of h", sp.Derivative(_log_odds(a) - k * (a - HALF), a)).equals(
        (1 - k * a * (1 - a)) / (a * (1 - a)), DERIVATIVES >> RATIONAL, "so da/db = 1/h'"
    )
    return odds, slope


def _turning(root: sp.Expr) -> Chain:
    """k = 4/(1 - s^2)."""
    place = (1 + root) / 2
    return Chain("turning points", place * (1 - place)).equals(
        (1 - s**2) / 4, RATIONAL, "1/k with s^2 = 1 - 4/k"
    )


def _value() -> Chain:
    strength = 4 / (1 - s**2)
    at = _log_odds((1 + s) / 2) - strength * ((1 + s) / 2 - HALF)
    artanh = (sp.log(1 + s) - sp.log(1 - s)) / 2
    return Chain("h at the upper turning point", at).equals(
        -(strength * s / 2 - 2 * artanh), LOGARITHMS >> RATIONAL, "minus the threshold"
    )


def _positive() -> Chain:
    """s = x/(1 + x): 2 artanh s <= k s/2 = 2 s/(1 - s^2), with equality at s = 0 only."""
    at = x / (1 + x)
    artanh2 = sp.log(1 + 2 * x)  # log((1 + s)/(1 - s))
    right = sp.cancel(2 * at / (1 - at**2))
    # d/ds of the gap is 4 s^2/(1 - s^2)^2, and ds/dx = 1/(1 + x)^2
    slope = sp.cancel((4 * at**2 / (1 - at**2) ** 2 / (1 + x) ** 2).subs(x, o))
    growth = Growth(x, sp.S.Zero, o, Gap(sp.factor(slope), RATIONAL), RATIONAL)
    return Chain("the threshold is positive", artanh2).at_most_growing(
        right, growth, "k s/2 - 2 artanh s grows with s"
    )


def _artanh() -> Chain:
    return Chain("the odds behind artanh", (1 + s) / (1 - s)).equals(
        ((1 + x) * 2 - 1).subs(x, s / (1 - s)), RATIONAL, "1 + 2 x with x = s/(1 - s)"
    )


def _displacement(rate: sp.Expr) -> Chain:
    # |f| at the other field's zero is at most delta: lambda Delta + t_1 = |f| = delta - t_2.
    distance = (delta - t_2 - t_1) / lam
    return Chain("displacement of the zero", distance).at_most(
        delta / rate, (t_1 + t_2) / lam, RATIONAL, "slope at least lambda between the zeros"
    )


def _build() -> Proof:
    root = sp.sqrt(1 - 4 / k)
    critical = k * root / 2 - 2 * sp.atanh(root)
    move = Chain(
        "the saddle moves to the lighter mode", 1 / ((1 - k * a * (1 - a)) / (a * (1 - a)))
    )
    return Proof(
        chains=(
            *_equilibrium(),
            move.equals(-a * (1 - a) / (k * a * (1 - a) - 1), RATIONAL, "da/db, slope in place"),
            _turning(s),
            _turning(-s),
            _value(),
            _artanh(),
            _positive(),
            _displacement(lam),
        ),
        formulas={
            "residual": Formula(_log_odds(a) - b - k * (a - HALF), (a, k, b)),
            "critical": Formula(critical, (k,)),
            "displacement": Formula(delta / lam, (delta, lam)),
        },
        wrong=(
            Wrong(_turning(2 * s), {s: 0.3}),
            Wrong(_displacement(2 * lam), {delta: 1.0, lam: 1.0, t_1: 0.0, t_2: 0.0}),
        ),
    )


DERIVATION = Derivation(
    id="B.1",
    place=1,
    doc=__doc__,
    latex=(
        r"\mathrm{logit}(a^*) = \log\frac{w_i}{w_j} + k\big(a^*-\tfrac12\big), \qquad"
        r"\Big|\log\frac{w_i}{w_j}\Big| < \frac{ks}2 - 2\,\mathrm{artanh}\,s, \quad s ="
        r" \sqrt{1-4/k}"
    ),
    general="two modes, any weights and d",
    source="arXiv 2605.06831 v1, B.1; the threshold: own form",
    build=_build,
)
