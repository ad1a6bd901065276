r"""The probability-flow ODE conserves the distribution function.

In one dimension, in the clock $v$ the ODE is $dy/dv = (y - m)/(2v)$ (from $du = -dv/(2v)$), and
the marginal solves the heat equation. Differentiating $F_v(y(v)) = \sum_k w_k\Phi((y-\mu_k)/\sqrt
v)$ along a solution gives zero: the flow from $v$ to $v'$ is the increasing map with $F_{v'}(y')
= F_v(y)$. Between modes $F$ is flat to far below rounding, but $F$ minus the weight of the modes
below level $j$ is conserved too, and it is a difference of two sums of normal tails.

A mixture on a product grid with product weights is a product of one-dimensional mixtures: its
shares factorise, each component of $m$ depends on its own coordinate, and the flow acts per
coordinate.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import Phi, normal_density
from ..algebra.rewriting import DERIVATIVES, RATIONAL, SUMS

N, M, k, l, level = sp.symbols("N M k l j", integer=True, positive=True)
a = sp.IndexedBase("a", real=True)
b = sp.IndexedBase("b", real=True)
w = sp.IndexedBase("w", positive=True)
p = sp.IndexedBase("p", positive=True)
y, y_1, y_2 = sp.symbols("y y_1 y_2", real=True)
v, v_t = sp.symbols("v v_t", positive=True)


def _sum(term: sp.Expr, low: sp.Expr = sp.S.Zero, high: sp.Expr = N - 1) -> sp.Expr:
    return sp.Sum(term, (k, low, high))


F = _sum(w[k] * Phi((y - a[k]) / sp.sqrt(v)))
DENSITY = _sum(w[k] * normal_density(y, a[k], v))
MEAN = _sum(w[k] * normal_density(y, a[k], v) * a[k]) / DENSITY


def _conservation(velocity: sp.Expr) -> Chain:
    along = sp.Derivative(F, v) + sp.Derivative(F, y) * velocity
    return Chain("F along a solution does not change", along).equals(
        sp.S.Zero, DERIVATIVES >> SUMS, "the flux of the heat equation cancels that of the flow"
    )


def _clock() -> Chain:
    return Chain("u in the clock v", sp.Derivative(sp.log(v_t / v) / 2, v)).equals(
        -1 / (2 * v), DERIVATIVES >> RATIONAL, "u = (1/2) log(v_t/v), so dy/dv = -(m - y)/(2 v)"
    )


def _monotone() -> tuple[Chain, Chain]:
    return (
        Chain("the slope of F is the density", sp.Derivative(F, y)).equals(
            DENSITY, DERIVATIVES >> SUMS, "differentiate the error functions"
        ),
        Chain("F increases, so the flow keeps the order of points", sp.S.Zero).at_most(
            DENSITY, DENSITY, SUMS, "a sum of positive terms"
        ),
    )


def _levels(shift: sp.Expr) -> Chain:
    z = (y - a[k]) / sp.sqrt(v)
    above = _sum(w[k] * Phi(z), level)
    below = _sum(w[k] * Phi(-z), 0, level - 1)
    split_F = above + _sum(w[k] * Phi(z), 0, level - 1)
    return Chain("G_j: tails instead of F", above - below).equals(
        split_F - shift, SUMS, "Phi(-z) = 1 - Phi(z) below the level; F split at j"
    )


def _separable() -> tuple[Chain, Chain]:
    joint = w[k] * p[l] * normal_density(y_1, a[k], v) * normal_density(y_2, b[l], v)

    def both(term: sp.Expr) -> sp.Expr:
        return sp.Sum(_sum(term), (l, 0, M - 1))

    first, second = (
        _sum(w[k] * normal_density(y_1, a[k], v)),
        sp.Sum(p[l] * normal_density(y_2, b[l], v), (l, 0, M - 1)),
    )
    return (
        Chain("the density of a product grid factorises", both(joint)).equals(
            first * second, SUMS, "one axis at a time; further axes by induction"
        ),
        Chain("its mean field acts per coordinate", both(joint * a[k]) / both(joint)).equals(
            _sum(w[k] * normal_density(y_1, a[k], v) * a[k]) / first, SUMS, "the other axis cancels"
        ),
    )


def _build() -> Proof:
    numbers = {y: 0.3, v: 0.4, a: [-0.5, 1.0], w: [0.4, 0.6], N: 2, level: 1}
    return Proof(
        chains=(
            _clock(),
            _conservation((y - MEAN) / (2 * v)),
            *_monotone(),
            _levels(_sum(w[k], 0, level - 1)),
            *_separable(),
        ),
        formulas={
            "F": Formula(F, (y, a, w, v, N)),
            "level": Formula(_levels(sp.S.Zero).start, (y, a, w, v, N, level)),
            "density": Formula(DENSITY, (y, a, w, v, N)),
        },
        wrong=(
            Wrong(_conservation((y - MEAN) / v), numbers),
            Wrong(_levels(_sum(w[k], 0, level - 1) / 2), numbers),
        ),
    )


DERIVATION = Derivation(
    id="O2",
    place=2,
    doc=__doc__,
    latex=(
        r"F_{v'}(y') = F_v(y), \quad F_v(y) = \sum_k w_k\,\Phi\!\Big(\frac{y-\mu_k}{\sqrt v}\Big);"
        r"\quad \text{product grids: per coordinate}"
    ),
    general=(
        "any N in one dimension (indexed sums); product of two axes of any sizes, more by induction"
    ),
    source="own form; the ODE is that of arXiv 2605.06831 v1, Lemma G.1",
    build=_build,
)
