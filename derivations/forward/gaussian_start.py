r"""A wrong start on Gaussian data.

Along an eigenvector of the data's covariance the forward process has the variance $\lambda_B =
e^{-2B} \lambda + 1 - e^{-2B}$, and with the exact score reverse SDE and flow are linear.
Backwards in $B$ their variances solve $-V' = 2 (1 - 2/\lambda_B) V + 2$ and $-V' = 2 (1 -
1/\lambda_B) V$. Started from $1$ in place of $\lambda_{B_T}$ the first keeps the share
$r = e^{-2(B_T - B)} \lambda_B/\lambda_{B_T} \le 1$ of the start's relative excess, the second all
of it, and so the standard deviation of the first is never farther from the data's.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, DERIVATIVES, RATIONAL

lam, B, E = sp.symbols("lambda B E", positive=True)  # E = exp(-2 B_T)
p, q, w, u = sp.symbols("p q w u", nonnegative=True)
here, last = sp.exp(-2 * B) * lam + 1 - sp.exp(-2 * B), E * lam + 1 - E
kept = E * sp.exp(2 * B) * here**2 / last


def _solves(V: sp.Expr, gain: int, noise: int, name: str) -> Chain:
    by = DERIVATIVES >> RATIONAL
    return Chain(name, -sp.Derivative(V, B)).equals(
        2 * (1 - gain / here) * V + 2 * noise, by, "insert and differentiate"
    )


def _begins(V: sp.Expr, name: str) -> Chain:
    """At B = B_T, where e^{2B} = 1/E."""
    return Chain(name, sp.Subs(V, B, -sp.log(E) / 2)).equals(sp.S.One, AT >> RATIONAL, "B = B_T")


def _share() -> Chain:
    """e^{-2B} = E (1 + w): the level lies below B_T."""
    top, bottom = sp.symbols("N_r D_r")
    meaning = {top: lam * E + (1 - E * (1 + w)) / (1 + w), bottom: last}
    return Chain("the share of the start is at most 1", top, where=meaning).at_most(
        bottom, w / (1 + w), RATIONAL, "w >= 0"
    )


def _nearer(farther: sp.Expr) -> Chain:
    """Distances from the data's standard deviation 1: the SDE's p, the flow's p + q."""
    return Chain("the error along an eigenvector", p**2).at_most(
        farther, q * (2 * p + q), RATIONAL, "the flow keeps more of the start's excess"
    )


def _build() -> Proof:
    sde = here + kept * (1 / last - 1)
    flow = here / last
    return Proof(
        chains=(
            _solves(sde, 2, 1, "the reverse SDE"),
            _begins(sde, "its start"),
            _solves(flow, 1, 0, "the probability flow"),
            _begins(flow, "its start, too"),
            _share(),
            _nearer((p + q) ** 2),
        ),
        formulas={"sde": Formula(sde, (lam, B, E)), "flow": Formula(flow, (lam, B, E))},
        wrong=(
            Wrong(
                _solves(here + kept / here * (1 / last - 1), 2, 1, "one power less"),
                {lam: 0.3, B: 0.4, E: 0.05},
            ),
            Wrong(_nearer((p + q) ** 2 / 2), {p: 1.0, q: 0.1}),
        ),
    )


DERIVATION = Derivation(
    id="W1",
    place=9,
    doc=__doc__,
    latex=(
        r"\tilde\lambda_B = \lambda_B + e^{-2(B_T - B)}\frac{\lambda_B^2}{\lambda_{B_T}}"
        r"\Big(\frac{1}{\lambda_{B_T}} - 1\Big), \quad \hat\lambda_B ="
        r" \frac{\lambda_B}{\lambda_{B_T}}, \quad \big|\sqrt{\tilde\lambda_B} -"
        r" \sqrt{\lambda_B}\big| \le \big|\sqrt{\hat\lambda_B} - \sqrt{\lambda_B}\big|"
    ),
    general="any Gaussian data (per eigenvector), any schedule, any time",
    source="arXiv 2405.14250 v5, Propositions 2 to 4",
    build=_build,
)
