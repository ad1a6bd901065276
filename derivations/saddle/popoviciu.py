r"""Popoviciu's inequality: a spread is at most half the diameter.

Numbers $a_k \in [A, B]$ with convex weights have variance at most $(B - m)(m - A) \le (B-A)^2/4$:
the first gap is $\sum_k\gamma_k(B-a_k)(a_k-A)$, the second the square of $m$'s distance to the
middle. Along any unit vector the means span at most the diameter of the set of means, so
$\mathrm{Cov}_\gamma(\mu) \preceq (\mathrm{diam}^2/4)\,I$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.mixture import CONVEX, N, g, k, over_modes
from ..algebra.rewriting import EXPAND, Rewriting

A = sp.Symbol("A", real=True)
below = sp.IndexedBase("s", nonnegative=True)  # a_k - A
above = sp.IndexedBase("t", nonnegative=True)  # B - a_k
W = sp.Symbol("W", positive=True)  # B - A
m = sp.Symbol("m", real=True)
B = sp.Symbol("B", real=True)


def _insert_width(expr: sp.Expr) -> sp.Expr:
    return expr.replace(
        lambda node: isinstance(node, sp.Indexed) and node.base == above,
        lambda node: W - below[node.indices[0]],
    )


SAME_WIDTH = Rewriting("insert t_k = (B - A) - s_k", _insert_width)


def _variance(share: sp.Expr) -> Chain:
    """With a_k = A + s_k and t_k = B - a_k."""

    def value(index: sp.Symbol) -> sp.Expr:
        return A + below[index]

    mean = over_modes(g[k] * value(k))
    variance = over_modes(g[k] * value(k) ** 2) - mean**2
    # B - m and m - A are the averages of t_k and s_k.
    product = over_modes(g[k] * above[k]) * over_modes(g[k] * below[k])
    return Chain("variance of the numbers", variance).at_most(
        share * product,
        over_modes(g[k] * above[k] * below[k]),
        SAME_WIDTH >> CONVEX,
        "the gap is the average of (B - a_k)(a_k - A)",
    )


def _middle() -> Chain:
    return Chain("the product of the two distances", (B - m) * (m - A)).at_most(
        (B - A) ** 2 / 4, (m - (A + B) / 2) ** 2, EXPAND, "a square: the mean against the middle"
    )


def _build() -> Proof:
    return Proof(
        chains=(_variance(sp.S.One), _middle()),
        formulas={},
        wrong=(
            Wrong(
                _variance(sp.Rational(9, 10)),
                {g: [0.5, 0.5], below: [0.0, 1.0], above: [1.0, 0.0], A: 0.3, N: 2},
            ),
        ),
    )


DERIVATION = Derivation(
    id="L.3",
    place=5,
    doc=__doc__,
    latex=r"\mathrm{Cov}_\gamma(\mu) \preceq \frac{\mathrm{diam}(\mu_1,\dots,\mu_N)^2}{4}\,I",
    general="any N (indexed sums); any d, along each direction",
    source="standard (Popoviciu 1935)",
    build=_build,
)
