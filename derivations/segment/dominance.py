r"""What two-mode dominance leaves to the other modes.

Let mode $*$ be the nearer of $i, j$ and suppose $|y-\mu_k|^2 - |y-\mu_*|^2 \ge 2\kappa v$ for
another mode $k$ (in $x$: the same with $S$, as both sides scale by $\bar\alpha$). Keeping only
the share of $*$ in the denominator of $\gamma_k$ and then the margin in the exponent gives
$\gamma_k \le (w_k/w_*)\,e^{-\kappa}$. Which of the two is nearer may change along a path, so
bounds over time use $\min(w_i, w_j)$. Averages over the other modes of any lengths $h_k \ge 0$
follow: the pull off the line ($h_k$ the distance to the line) is at most $R =
e^{-\kappa}(1-w_i-w_j)/\min(w_i,w_j)\,\max_k h_k$.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import N, c, d, i, j, k, mu, over_coordinates, over_modes, w, y
from ..algebra.pair import mode, orthogonal2, other
from ..algebra.rewriting import RATIONAL, SUMS

w_k, w_near, w_min, rest, v, kappa, near2, weight_slack = sp.symbols(
    "w_k w_near w_min rest v kappa near2 t", positive=True
)
slack, offset = sp.symbols("s o", nonnegative=True)
M = sp.Symbol("M", integer=True, positive=True)
w_o = sp.IndexedBase("w_o", positive=True)  # weights of the other modes, 0..M - 1
h = sp.IndexedBase("h", nonnegative=True)
bound_slack = sp.IndexedBase("s", nonnegative=True)
h_slack = sp.IndexedBase("h_slack", nonnegative=True)
h_max, alpha, S, point, center, far = sp.symbols("h_max alpha S y m f", positive=True)
length, dimension = sp.symbols("l n", positive=True)


def _margin() -> Chain:
    in_x = ((alpha * point - alpha * far) ** 2 - (alpha * point - alpha * center) ** 2) / S
    in_y = ((point - far) ** 2 - (point - center) ** 2) / (S / alpha**2)
    return Chain("the margin in x and in y", in_x).equals(in_y, RATIONAL, "v = S/alpha^2")


def _responsibility(exponent: sp.Expr) -> Chain:
    """|y - mu_k|^2 = near2 + 2 kappa v + slack."""
    share = w_k * sp.exp(-(near2 + 2 * kappa * v + slack) / (2 * v))
    near = w_near * sp.exp(-near2 / (2 * v))
    ratio = w_k / w_near * sp.exp(-kappa - slack / (2 * v))
    target = w_k / w_near * sp.exp(-exponent)
    slope = Gap(w_k / w_near * sp.exp(-kappa - offset / (2 * v)) / (2 * v), RATIONAL)
    return (
        Chain("one other mode", share / (near + share + rest))
        .at_most(
            share / near,
            share * (share + rest) / (near * (near + share + rest)),
            RATIONAL,
            "fewer terms in the denominator",
        )
        .equals(ratio, RATIONAL, "divide the exponentials")
        .at_most_growing(
            target,
            Growth(slack, sp.S.Zero, offset, slope, RATIONAL),
            "a larger margin only helps",
        )
    )


def _lighter() -> Chain:
    exact = w_k / (w_min + weight_slack)
    gap = w_k * weight_slack / (w_min * (w_min + weight_slack))
    return Chain("whichever of the two is nearer", exact).at_most(
        w_k / w_min, gap, RATIONAL, "w_* is at least the smaller weight"
    )


def _over_others(term: sp.Expr) -> sp.Expr:
    return sp.Sum(term, (k, 0, M - 1))


def _average() -> tuple[Chain, Chain]:
    factor = sp.exp(-kappa) / w_min
    bounded = _over_others((factor * w_o[k] - bound_slack[k]) * h[k])
    first = Chain("the average of lengths h_k", bounded).at_most(
        factor * _over_others(w_o[k] * h[k]),
        _over_others(bound_slack[k] * h[k]),
        SUMS,
        "each gamma_k is its bound minus a slack",
    )
    lengths = _over_others(w_o[k] * (h_max - h_slack[k]))
    second = Chain("the longest of them, h_k = h_max - slack", factor * lengths).at_most(
        factor * _over_others(w_o[k]) * h_max,
        factor * _over_others(w_o[k] * h_slack[k]),
        SUMS,
        "the weights of the others sum to 1 - w_i - w_j",
    )
    return first, second


def _separation() -> Chain:
    largest = length**2 / (4 * kappa * dimension)
    return Chain("separation, solved for v", 4 * kappa * dimension * v, where={v: largest}).equals(
        length**2, RATIONAL, "the largest v with l^2 >= 4 kappa d v"
    )


def _formulas() -> dict[str, Formula]:
    def squared(index: sp.Symbol) -> sp.Expr:
        return over_coordinates((y[c] - mu[index, c]) ** 2)

    margin = (squared(k) - sp.Min(squared(i), squared(j))) / (2 * v)
    mass = over_modes(w[k] * other(k))
    return {
        "margin": Formula(margin, (y, mu, v, d, i, j, k)),
        "gap": Formula(2 * kappa * v, (kappa, v)),
        "responsibility": Formula(w_k / w_near * sp.exp(-kappa), (w_k, w_near, kappa)),
        "remainder": Formula(
            sp.exp(-kappa) * mass / sp.Min(w[i], w[j]) * h_max, (kappa, h_max, w, N, i, j)
        ),
        "line_distance2": Formula(orthogonal2(mode(k)), (mu, d, i, j, k)),
        "separation_length2": Formula(4 * kappa * dimension * v, (kappa, dimension, v)),
        "separation_variance": Formula(
            length**2 / (4 * kappa * dimension), (length, kappa, dimension)
        ),
    }


def _build() -> Proof:
    numbers = {
        w_k: 0.5,
        w_near: 0.4,
        rest: 1e-3,
        v: 0.3,
        kappa: 1.0,
        near2: 0.2,
        slack: 0.0,
    }
    return Proof(
        chains=(_margin(), _responsibility(kappa), _lighter(), *_average(), _separation()),
        formulas=_formulas(),
        wrong=(Wrong(_responsibility(2 * kappa), numbers),),
    )


DERIVATION = Derivation(
    id="A4.1",
    place=3,
    also=("A4.4",),
    doc=__doc__,
    latex=(
        r"\gamma_k \le \frac{w_k}{w_*}e^{-\kappa}, \qquad \sum_{k\notin\{i,j\}}\gamma_k h_k \le"
        r" e^{-\kappa}\,\frac{1-w_i-w_j}{\min(w_i,w_j)}\max_k h_k"
    ),
    general="any N and d: one mode against the sum of the others, average by indexed sums",
    source="arXiv 2605.06831 v1, Assumptions 4.1 and 4.4, Lemma G.3",
    build=_build,
)
