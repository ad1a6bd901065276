r"""Diagonals of a rectangle are avoided.

For a parallelogram $a\,b\,c\,d$ (so $a + c = b + d$) and any $x$, $|x-a|^2 + |x-c|^2 - |x-b|^2 -
|x-d|^2 = \tfrac12(|ac|^2 - |bd|^2)$, which vanishes for a rectangle. If the diagonal pair $a, c$
dominates with margin $\kappa$ and $a$ is the nearer of the two, then $|x-b|^2$ and $|x-d|^2$
exceed $|x-a|^2$ by at least $2\kappa v$ each, so $|x-c|^2 - |x-a|^2 \ge 4\kappa v +
\tfrac12(|ac|^2-|bd|^2)$ and $\gamma_c/\gamma_a \le (w_c/w_a)\exp(-2\kappa +
(|bd|^2-|ac|^2)/(4v))$. A point where a diagonal dominates is therefore owned by one end, not
between the two. The shorter diagonal of a sheared grid can escape: there the stretch term is
positive.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import c as coordinate
from ..algebra.mixture import d, over_coordinates
from ..algebra.rewriting import LOGARITHMS, RATIONAL, SUMS

x = sp.IndexedBase("x", real=True)
A = sp.IndexedBase("p_a", real=True)
B = sp.IndexedBase("p_b", real=True)
C = sp.IndexedBase("p_c", real=True)
v, ratio, near2 = sp.symbols("v r near2", positive=True)
kappa, other2, this2 = sp.symbols("kappa bd2 ac2", real=True)
s_b, s_d, slack, o = sp.symbols("s_b s_d t o", nonnegative=True)


def _square(point: sp.Expr) -> sp.Expr:
    return over_coordinates(point**2)


def _identity(share: sp.Expr) -> Chain:
    q = coordinate
    fourth = A[q] + C[q] - B[q]
    start = _square(x[q] - A[q]) + _square(x[q] - C[q]) - _square(x[q] - B[q])
    start -= _square(x[q] - fourth)
    target = share * (_square(A[q] - C[q]) - _square(B[q] - fourth))
    return Chain("parallelogram identity", start).equals(target, SUMS, "d = a + c - b")


def _far() -> Chain:
    """|x-b|^2 = near2 + 2 kappa v + s_b, likewise d."""
    far2 = (
        (this2 - other2) / 2 + (near2 + 2 * kappa * v + s_b) + (near2 + 2 * kappa * v + s_d) - near2
    )
    return Chain(
        "the far end is farther by at least", 4 * kappa * v + (this2 - other2) / 2
    ).at_most(far2 - near2, s_b + s_d, RATIONAL, "the identity and the margin of both others")


def _ratio(exponent: sp.Expr) -> Chain:
    """t: by how much |x-c|^2 - |x-a|^2 exceeds its lower bound."""
    away2 = 4 * kappa * v + (this2 - other2) / 2 + slack
    actual = ratio * sp.exp(-away2 / (2 * v))
    slope = Gap(actual.subs(slack, o) / (2 * v), RATIONAL)
    return Chain("ratio of the responsibilities", actual).at_most_growing(
        ratio * sp.exp(exponent),
        Growth(slack, sp.S.Zero, o, slope, RATIONAL),
        "shares are w e^(-|x - mu|^2/(2 v))",
    )


def _build() -> Proof:
    exponent = -2 * kappa + (other2 - this2) / (4 * v)
    in_logs = Chain("in logs", sp.log(ratio * sp.exp(exponent))).equals(
        sp.log(ratio) + exponent, LOGARITHMS, "logarithm of the product"
    )
    numbers = {ratio: 1.0, kappa: 1.0, v: 0.3, this2: 1.0, other2: 1.0, slack: 0.0}
    corner = {x: [0.3, 0.1], A: [0.0, 0.0], B: [1.0, 0.0], C: [1.3, 1.0], d: 2}
    return Proof(
        chains=(_identity(sp.Rational(1, 2)), _far(), _ratio(exponent), in_logs),
        formulas={"log_ratio": Formula(sp.log(ratio) + exponent, (kappa, v, ratio, other2, this2))},
        wrong=(
            Wrong(_identity(sp.S.One), corner),
            Wrong(_ratio(2 * exponent), numbers),
        ),
    )


DERIVATION = Derivation(
    id="D.1",
    place=5,
    doc=__doc__,
    latex=(
        r"|x-a|^2 + |x-c|^2 = |x-b|^2 + |x-d|^2 + \tfrac12\big(|ac|^2-|bd|^2\big), \qquad"
        r" \frac{\gamma_{\text{far}}}{\gamma_{\text{near}}} \le"
        r" \frac{w_{\text{far}}}{w_{\text{near}}}"
        r"e^{-2\kappa + (|bd|^2-|ac|^2)/(4v)}"
    ),
    general="any d (indexed sums), any parallelogram",
    source="arXiv 2605.06831 v1, D.1; the parallelogram: own extension",
    build=_build,
)
