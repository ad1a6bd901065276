r"""The same error costs least at eta = 1.

Per step the divergence of DDIM($\eta$) relative to $\eta = 1$ is $(1-r)^2/(\eta^2(1-q)^2)$, $r^2
= q(1-\eta^2(1-q))$. Solving for $\eta^2 = (q-r^2)/(q(1-q))$ turns it into a rational function of
$r$, whose excess over $1$ is $(r-q)^2/((q-r^2)(1-q))$: nonnegative, and zero only at $r = q$,
that is $\eta = 1$, at every step size. For small steps ($q \to 1$) it tends to
$(1+\eta^2)^2/(4\eta^2)$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, DERIVATIVES, RATIONAL
from .path_divergence import q as ratio
from .path_divergence import step_cost

eta, q = sp.symbols("eta q", positive=True)
r, eta2 = sp.symbols("r eta2", real=True)
p, t = sp.symbols("p t", positive=True)  # q = p/(1 + p) in (0, 1); q - r^2 = t


def _relative() -> Chain:
    cost, least = sp.symbols("C_eta C_1", positive=True)
    meaning = {cost: step_cost(r, eta2), least: step_cost(ratio, sp.S.One)}
    return Chain("cost relative to eta = 1", cost / least, where=meaning).equals(
        (1 - r) ** 2 / (eta2 * (1 - ratio) ** 2), RATIONAL, "r = q at eta = 1"
    )


def _eliminate() -> tuple[Chain, Chain]:
    solved = (q - r**2) / (q * (1 - q))
    return (
        Chain("eta^2 as a function of r", q * (1 - solved * (1 - q))).equals(
            r**2, RATIONAL, "solve r^2 = q (1 - eta^2 (1 - q))"
        ),
        Chain("the factor as a function of r", (1 - r) ** 2 / (solved * (1 - q) ** 2)).equals(
            1 + (r - q) ** 2 / ((q - r**2) * (1 - q)), RATIONAL, "the excess is a square"
        ),
    )


def _minimum(floor: sp.Expr) -> Chain:
    """q - r^2 = t > 0 (that is eta > 0), 1 - q = 1/(1 + p)."""
    at = p / (1 + p)
    excess = (r - at) ** 2 * (1 + p) / t
    return Chain("the least factor", floor).at_most(
        1 + excess, excess, RATIONAL, "positive denominators: q < 1 and eta > 0"
    )


def _small_steps(limit: sp.Expr) -> tuple[Chain, ...]:
    root = sp.sqrt(q * (1 - eta**2 * (1 - q)))
    slope = sp.Subs(sp.Derivative(root, q), q, 1)
    by = DERIVATIVES >> AT >> RATIONAL
    return (
        Chain("r at q = 1", sp.Subs(root, q, 1)).equals(sp.S.One, by, "no step"),
        Chain("slope of r at q = 1", slope).equals(
            (1 + eta**2) / 2, by, "so (1 - r)/(1 - q) tends to it"
        ),
        Chain("small steps", (slope / eta) ** 2).equals(limit, by, "insert the slope"),
    )


def _build() -> Proof:
    root = sp.sqrt(q * (1 - eta**2 * (1 - q)))
    factor = (1 - root) ** 2 / (eta**2 * (1 - q) ** 2)
    limit = (1 + eta**2) ** 2 / (4 * eta**2)
    return Proof(
        chains=(_relative(), *_eliminate(), _minimum(sp.S.One), *_small_steps(limit)),
        formulas={"factor": Formula(factor, (q, eta)), "small_steps": Formula(limit, (eta,))},
        wrong=(
            Wrong(_minimum(sp.Rational(11, 10)), {p: 1.0, r: 0.5, t: 0.25}),
            Wrong(_small_steps(limit * 2)[2], {eta: 0.5}),
        ),
    )


DERIVATION = Derivation(
    id="X11 (b)",
    place=2,
    doc=__doc__,
    latex=(
        r"\frac{(1-r)^2}{\eta^2(1-q)^2} = 1 + \frac{(r-q)^2}{(q-r^2)(1-q)} \ge 1, \quad"
        r" \text{equality iff } \eta = 1"
    ),
    general="any step and any eta with 0 < eta^2 (1 - q) <= 1",
    source="own result",
    build=_build,
)
