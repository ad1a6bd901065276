r"""A wide enough tube is forward invariant.

A point at distance $D \le r$ with $r = R + s$, $s \ge 0$, has after any $u$ the distance at most
$e^{-u}r + (1-e^{-u})R \le r$. This holds for the distance to the pair's line with the remainder of
the split, and for the distance to the plain segment (the tube's true axis, ends included) with
$R = \sum_k\gamma_k\,\mathrm{dist}(\mu_k, \text{segment})$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.rewriting import RATIONAL
from .gronwall import DERIVATION as LINEAR

R, s, t = sp.symbols("R s t", nonnegative=True)
w = sp.Symbol("w", positive=True)  # e^u - 1 stands for a positive time


def _stays(needed: sp.Expr) -> Chain:
    """Start at distance r - t, t >= 0, with r = needed + s; e^u = 1 + w."""
    r = needed + s
    bound = LINEAR.numeric()["distance"]
    D_0, time, remainder = bound.arguments
    after = bound.expr.subs({D_0: r - t, remainder: R}).subs(time, sp.log(1 + w))
    gap = (w * s + t) / (1 + w)
    return Chain("the distance after u stays below the radius", after).at_most(
        r, gap, RATIONAL, "e^u = 1 + w"
    )


def _build() -> Proof:
    return Proof(
        chains=(_stays(R),),
        formulas={},
        wrong=(Wrong(_stays(R / 2), {R: 1.0, s: 0.0, t: 0.0, w: 1.0}),),
    )


DERIVATION = Derivation(
    id="C4.3",
    place=8,
    doc=__doc__,
    latex=r"D_0 \le r,\ r \ge R \ \Rightarrow\ D(u) \le r \text{ for all } u \ge 0",
    general="general; uses the linear differential inequality L.2",
    source="arXiv 2605.06831 v1, Corollary 4.3; the plain segment: own extension",
    build=_build,
)
