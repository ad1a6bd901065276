r"""The midpoint of two equal modes is a saddle.

At the midpoint the responsibilities are $\tfrac12$, so $m = \bar\mu$: an equilibrium. The
covariance of two equal modes is $\tfrac14(\mu_i-\mu_j)(\mu_i-\mu_j)^T$ and the matrix
$\mathrm{Cov}/v - I$ has the eigenvalue $l^2/(4v) - 1$ along the pair and $-1$ across: a saddle
iff $l^2 > 4v$. In a full mixture the saddle is the solution of $m(y,v) = y$ near the midpoint and
its eigenvalues are those of $\mathrm{Cov}_\gamma/v - I$ there.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF
from ..algebra.mixture import c, d, e, f, i, j, mu, over_coordinates, v
from ..algebra.pair import LENGTH2, along
from ..algebra.rewriting import RATIONAL, SUMS

l = sp.Symbol("l", positive=True)
xi = sp.IndexedBase("xi", real=True)


def _middle(coordinate: sp.Symbol) -> sp.Expr:
    return (mu[i, coordinate] + mu[j, coordinate]) / 2


def _equilibrium() -> Chain:
    to_i = over_coordinates((_middle(c) - mu[i, c]) ** 2)
    to_j = over_coordinates((_middle(c) - mu[j, c]) ** 2)
    return Chain("equal distances to both modes", to_i - to_j).equals(
        sp.S.Zero, SUMS, "so both responsibilities are 1/2 and m is the midpoint"
    )


def _covariance() -> Chain:
    both = [HALF * (mu[q, e] - _middle(e)) * (mu[q, f] - _middle(f)) for q in (i, j)]
    return Chain("covariance of two equal modes", sum(both)).equals(
        along(e) * along(f) / 4, SUMS, "expand"
    )


def _matrix(vector: sp.Expr) -> sp.Expr:
    """One component of (Cov/v - I) vector."""
    return along(e) * over_coordinates(along(f) * vector, f) / (4 * v) - vector.subs(f, e)


def _along(eigenvalue: sp.Expr) -> Chain:
    return Chain("along the pair", _matrix(along(f))).equals(
        eigenvalue * along(e), SUMS, "the inner product is l^2"
    )


def _across() -> Chain:
    inner = sp.Symbol("p", real=True)
    return Chain(
        "across the pair", along(e) * inner / (4 * v) - xi[e], where={inner: sp.S.Zero}
    ).equals(-xi[e], RATIONAL, "p is the inner product of xi with the pair: 0 across")


def _build() -> Proof:
    numbers = {mu: [[1.0, 0.2], [-0.5, 0.4]], v: 0.3, d: 2, i: 0, j: 1, e: 0}
    return Proof(
        chains=(_equilibrium(), _covariance(), _along(LENGTH2 / (4 * v) - 1), _across()),
        formulas={
            "along": Formula(l**2 / (4 * v) - 1, (l, v)),
            "across": Formula(sp.Integer(-1), ()),
        },
        wrong=(Wrong(_along(LENGTH2 / (2 * v) - 1), numbers),),
    )


DERIVATION = Derivation(
    id="P4.7 (1)",
    place=1,
    doc=__doc__,
    latex=(
        r"m(\bar\mu) = \bar\mu, \qquad \lambda_\parallel = \frac{l^2}{4v} - 1, \quad"
        r" \lambda_\perp = -1"
    ),
    general="two modes, any d (indexed sums)",
    source="arXiv 2605.06831 v1, Proposition 4.7 (1)",
    build=_build,
)
