r"""The parallel coordinate is pulled into the extended segment.

Write $a_k = 1 + p_k - n_k$ with $p_k = \max(a_k - 1, 0)$, $n_k = \max(1 - a_k, 0)$; $p_i = p_j =
0$. If $\varepsilon \ge \sum_{k\notin\{i,j\}}\gamma_k\max(a_k-1, -a_k, 0)$ and $a = 1 +
\varepsilon + s$, $s \ge 0$, then $a' = \sum_k\gamma_ka_k - a \le -s$; the mirror image holds at
$-\varepsilon$. So the distance of $a$ to $[-\varepsilon, 1+\varepsilon]$ decays like $e^{-u}$ and
the interval is forward invariant while $\varepsilon$ bounds the sum. The dominance margin bounds
it by $e^{-\kappa}\sum_k (w_k/\min(w_i,w_j))\max(a_k-1,-a_k,0)$, in units of the pair's length.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import CONVEX, N, d, g, i, j, k, mu, over_modes, w
from ..algebra.pair import LENGTH2, mode, orthogonal2, other, parallel

p = sp.IndexedBase("p", nonnegative=True)  # how far beyond mode i
n = sp.IndexedBase("n", nonnegative=True)  # how far before it
t = sp.IndexedBase("t", nonnegative=True)  # max(a_k - 1, -a_k, 0) - p_k
s = sp.Symbol("s", nonnegative=True)
kappa = sp.Symbol("kappa", real=True)


def _upper(decay: sp.Expr) -> Chain:
    a_k = 1 + p[k] - n[k]
    excess = over_modes(g[k] * (p[k] + t[k]))
    a = 1 + excess + s
    return Chain("beyond mode i", over_modes(g[k] * a_k) - a).at_most(
        -decay * s,
        over_modes(g[k] * (n[k] + t[k])),
        CONVEX,
        "terms p_k cancel against the excess",
    )


def _lower() -> Chain:
    # Mirror image: a_k = -(p_k - n_k), p_k = max(-a_k, 0); a = -excess - s.
    a_k = n[k] - p[k]
    excess = over_modes(g[k] * (p[k] + t[k]))
    return Chain("before mode j", s).at_most(
        over_modes(g[k] * a_k) + excess + s,
        over_modes(g[k] * (n[k] + t[k])),
        CONVEX,
        "a' = sum_k gamma_k a_k - a with a = -excess - s",
    )


def _beyond(index: sp.Symbol) -> sp.Expr:
    place = parallel(mode(index))
    return sp.Max(place - 1, -place, 0)


def _pulled() -> dict[str, Formula]:
    arguments = (kappa, w, mu, N, d, i, j)
    factor = sp.exp(-kappa) / sp.Min(w[i], w[j])
    beyond = _beyond(k)
    to_segment = sp.sqrt(beyond**2 * LENGTH2 + orthogonal2(mode(k)))
    return {
        "parallel_excess": Formula(factor * over_modes(w[k] * beyond * other(k)), arguments),
        "segment_remainder": Formula(factor * over_modes(w[k] * to_segment * other(k)), arguments),
    }


def _build() -> Proof:
    numbers = {
        g: [0.5, 0.3, 0.2],
        p: [0.0, 0.0, 0.4],
        n: [0.0, 0.0, 0.0],
        t: [0.0, 0.0, 0.0],
        s: 0.2,
        N: 3,
    }
    return Proof(
        chains=(_upper(sp.S.One), _lower()),
        formulas=_pulled(),
        wrong=(Wrong(_upper(sp.Integer(2)), numbers),),
    )


DERIVATION = Derivation(
    id="G.4",
    place=5,
    doc=__doc__,
    latex=(
        r"\varepsilon \ge \sum_{k\notin\{i,j\}}\gamma_k\max(a_k-1,-a_k,0) \ \Rightarrow"
        r" \mathrm{dist}(a, [-\varepsilon, 1+\varepsilon])' \le"
        r" -\mathrm{dist}(a, [-\varepsilon, 1+\varepsilon])"
    ),
    general="any N (indexed sums); a is a number, so any d",
    source="arXiv 2605.06831 v1, Lemma G.4; the decay rate: own form",
    build=_build,
)
