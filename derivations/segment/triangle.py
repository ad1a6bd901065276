r"""Cauchy-Schwarz and the triangle inequality for weighted sums of vectors.

Lagrange's identity writes $|p|^2|q|^2 - \langle p,q\rangle^2$ as half the sum of the squares
$(p_cq_e - p_eq_c)^2$. So for any unit vector $a$ and vectors $\xi_k$ there are $s_k \ge 0$ with
$\langle a, \xi_k\rangle = |\xi_k| - s_k$, and averaging gives
$\langle a, \sum_k\gamma_k\xi_k\rangle \le \sum_k\gamma_k|\xi_k|$; choosing $a$ along the sum makes
the left side its length.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.mixture import c, d, e, g, k, over_coordinates, over_modes
from ..algebra.rewriting import SUMS

p = sp.IndexedBase("p", real=True)
q = sp.IndexedBase("q", real=True)
a = sp.IndexedBase("a", real=True)
xi = sp.IndexedBase("xi", real=True)
size = sp.IndexedBase("size", nonnegative=True)
s = sp.IndexedBase("s", nonnegative=True)


def _lagrange(weight: sp.Expr) -> Chain:
    squares = over_coordinates(over_coordinates((p[c] * q[e] - p[e] * q[c]) ** 2), e)
    return Chain("Cauchy-Schwarz", over_coordinates(p[c] * q[c]) ** 2).at_most(
        over_coordinates(p[c] ** 2) * over_coordinates(q[c] ** 2) * weight,
        squares / 2,
        SUMS,
        "Lagrange's identity",
    )


def _triangle() -> Chain:
    inner = over_modes(g[k] * over_coordinates(a[c] * xi[k, c]))
    return Chain(
        "along any direction", over_coordinates(a[c] * over_modes(g[k] * xi[k, c]))
    ).equals(inner, SUMS, "exchange the sums")


def _average() -> Chain:
    return Chain("the average of |xi_k| - s_k", over_modes(g[k] * (size[k] - s[k]))).at_most(
        over_modes(g[k] * size[k]), over_modes(g[k] * s[k]), SUMS, "s_k >= 0 by Cauchy-Schwarz"
    )


def _build() -> Proof:
    return Proof(
        chains=(_lagrange(sp.S.One), _triangle(), _average()),
        formulas={},
        wrong=(Wrong(_lagrange(sp.Rational(9, 10)), {p: [1.0, 2.0], q: [2.0, 4.0], d: 2}),),
    )


DERIVATION = Derivation(
    id="L.1",
    place=1,
    doc=__doc__,
    latex=(
        r"\langle p,q\rangle^2 \le |p|^2|q|^2, \qquad"
        r" \Big|\sum_k\gamma_k\xi_k\Big| \le \sum_k\gamma_k|\xi_k| \quad (\gamma_k \ge 0)"
    ),
    general="any N and d (indexed sums)",
    source="standard",
    build=_build,
)
