r"""The drift along and across a pair.

With $y = \mu_j + a(\mu_i-\mu_j) + \xi$, $\xi \perp \mu_i - \mu_j$, every mean has coordinates
$a_k, \xi_k$, and $a_i = 1$, $a_j = 0$, $\xi_i = \xi_j = 0$. Projecting $m - y = \sum_k\gamma_k
(\mu_k - y)$ gives
$a' = \gamma_i - a + \sum_{k\notin\{i,j\}}\gamma_ka_k$ and
$\xi' = -\xi + \sum_{k\notin\{i,j\}}\gamma_k\xi_k$: two remainders, each carried by the other modes
alone and bounded through the dominance margin.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import (
    CONVEX,
    N,
    d,
    e,
    g,
    gamma,
    i,
    j,
    k,
    mu,
    over_coordinates,
    over_modes,
    static_formula,
    y,
)
from ..algebra.pair import Vector, along, mode, orthogonal, other, parallel
from ..algebra.rewriting import distinct

a = sp.Symbol("a", real=True)


def _mean(coordinate: sp.Symbol) -> sp.Expr:
    return over_modes(g[k] * mu[k, coordinate])


def _point(coordinate: sp.Symbol) -> sp.Expr:
    return y[coordinate]


BY = distinct(i, j) >> CONVEX >> distinct(i, j) >> CONVEX


def _parallel(target: sp.Expr) -> Chain:
    return Chain("along the pair", parallel(_mean) - a).equals(
        target, BY, "the coordinate is affine, and a_i = 1, a_j = 0"
    )


def _orthogonal(target: sp.Expr) -> Chain:
    return Chain("across the pair", orthogonal(_mean, e)).equals(
        target, BY, "the component across is affine, and xi_i = xi_j = 0"
    )


def _across() -> Chain:
    dot = over_coordinates(orthogonal(_point, e) * along(e), e)
    return Chain("xi is orthogonal to the pair", dot).equals(
        sp.S.Zero, CONVEX, "subtract the projection"
    )


def _remainder(term: sp.Expr) -> sp.Expr:
    return over_modes(g[k] * term * other(k))


def _build() -> Proof:
    right = g[i] - a + _remainder(parallel(mode(k)))
    across = _remainder(orthogonal(mode(k), e))
    numbers = {
        g: [0.5, 0.2, 0.3],
        mu: [[1.0, 0.1], [-0.4, 0.3], [0.2, 1.1]],
        a: 0.4,
        N: 3,
        d: 2,
        i: 0,
        j: 1,
        e: 0,
    }
    return Proof(
        chains=(_across(), _parallel(right), _orthogonal(across)),
        formulas=_formulas(),
        wrong=(
            Wrong(_parallel(g[i] - a), numbers),
            Wrong(_orthogonal(_remainder(mu[k, e] - mu[j, e])), numbers),
        ),
    )


def _formulas() -> dict[str, Formula]:
    def others(term: sp.Expr) -> sp.Expr:
        return over_modes(gamma(k) * term * other(k))

    place: Vector = _point
    push, pull = others(parallel(mode(k))), others(orthogonal(mode(k), e))
    return {
        "a": static_formula(parallel(place), i, j),
        "xi": static_formula(orthogonal(place, e), i, j, e),
        "a_dot": static_formula(gamma(i) - parallel(place) + push, i, j),
        "xi_dot": static_formula(pull - orthogonal(place, e), i, j, e),
        "parallel_remainder": static_formula(push, i, j),
        "orthogonal_remainder": static_formula(pull, i, j, e),
    }


DERIVATION = Derivation(
    id="G.3",
    place=4,
    doc=__doc__,
    latex=(
        r"a' = \gamma_i - a + \sum_{k\notin\{i,j\}}\gamma_ka_k, \qquad"
        r" \xi' = -\xi + \sum_{k\notin\{i,j\}}\gamma_k\xi_k"
    ),
    general="any N and d (indexed sums)",
    source="arXiv 2605.06831 v1, Lemma G.3",
    build=_build,
)
