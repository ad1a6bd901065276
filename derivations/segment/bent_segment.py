r"""Anisotropic modes bend the segment.

Let all modes share $\Sigma$ with eigenvalues $\lambda_e$; $v_e = \lambda_e + \rho$ and coordinates
are those of the eigenvectors. The flow is $dy_e/d\rho = (y_e - m_e)/(2v_e)$, so every coordinate
has a clock of its own: $y_e(\rho_1) = \sqrt{v_e(\rho_1)/v_e(\rho_0)}\,y_e(\rho_0) +
\int_{\rho_1}^{\rho_0} m_e w_e\,d\rho$ with $w_e = \tfrac12\sqrt{v_e(\rho_1)}\,v_e^{-3/2}$, of total
$1 - \sqrt{v_e(\rho_1)/v_e(\rho_0)}$. Together with an atom at the start that is a probability
measure $W_e$, with the tail $\sqrt{v_e(\rho_1)/v_e(\rho)}$: coordinate $e$ averages the path's
mean field *under its own measure*.

Two measures part by $\tau = \sup_\rho$ of the difference of their tails, where their densities
meet: the ratio of the two is monotone. With $p, q$ the cube roots of the two variances at the end
that is at $\rho_1 + pq(p+q)$, and $\tau = |p-q|/\sqrt{p^2+pq+q^2}$ if it is passed on the way. One
variance, $p = q$: all measures are one, the averages lie in the hull of the means, and the bound is
that of Theorem 4.2 for the plain segment. Else, with two modes, $A_e\in[0,1]$ the average of
$\gamma_i$ and $\Delta=\mu_i-\mu_j$, the distance of $\mu_j + (\Delta_eA_e)_e$ to the line is that
of Lagrange's identity, at most $\sqrt{\sum_{e<f}\Delta_e^2\Delta_f^2\tau_{ef}^2}/|\Delta|$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import HALF
from ..algebra.mixture import c, d, e, over_coordinates
from ..algebra.rewriting import AT, CANCEL, DERIVATIVES, RATIONAL, SUMS, insert

rho, lam, end, p, q = sp.symbols("rho lambda rho_1 p q", positive=True)
z = sp.Function("y", real=True)(rho)
m = sp.Function("m", real=True)(rho)
A = sp.IndexedBase("A", real=True)
Delta = sp.IndexedBase("Delta", real=True)
v, v_end = lam + rho, lam + end
POWER = -sp.Rational(3, 2)
FLOW = insert({sp.Derivative(z, rho): (z - m) / (2 * v)}, "insert the flow")


def weight(power: sp.Expr = POWER) -> sp.Expr:
    """w: what the mean field at rho counts for at the end."""
    return HALF * sp.sqrt(v_end) * v**power


def tail() -> sp.Expr:
    """What lies beyond rho, the start with it."""
    return sp.sqrt(v_end / v)


def _identity() -> Chain:
    return Chain(
        "derivative of a coordinate over its width", sp.Derivative(tail() * z, rho)
    ).equals(-weight() * m, DERIVATIVES >> FLOW >> CANCEL, "linear part and clock cancel")


def _total(power: sp.Expr = POWER) -> tuple[Chain, Chain]:
    return (
        Chain("the tail is that of w", sp.Derivative(-tail(), rho)).equals(
            weight(power), DERIVATIVES >> CANCEL, "power rule"
        ),
        Chain("all is beyond the end", sp.Subs(tail(), rho, end)).equals(
            sp.S.One, AT >> RATIONAL, "value at rho_1"
        ),
    )


CROSSING = {rho: end + p * q * (p + q)}


def _cubes(one: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    return {lam: one**3 - end}


def _crossing() -> Chain:
    # w^2 of both, cubed roots in: equal squares of positive numbers.
    squares = [(weight() ** 2).subs(_cubes(x)).subs(CROSSING) for x in (p, q)]
    return Chain("where two densities meet", squares[0]).equals(
        squares[1], RATIONAL, "the variance there is p (p^2 + p q + q^2)"
    )


def _apart(square: sp.Expr) -> Chain:
    tails = [x / sp.sqrt(p**2 + p * q + q**2) for x in (p, q)]
    return Chain("difference of the tails there, squared", (tails[0] - tails[1]) ** 2).equals(
        square, CANCEL, "one square root"
    )


def _tail_there() -> Chain:
    at = (tail() ** 2).subs(_cubes(p)).subs(CROSSING)
    return Chain("the tail where the densities meet, squared", at).equals(
        p**2 / (p**2 + p * q + q**2), RATIONAL, "v_end = p^3"
    )


def _parting() -> Chain:
    name = sp.Symbol("T_ef", nonnegative=True)
    swing = sp.Symbol("s", nonnegative=True)
    return Chain("averages of one function of swing s", sp.Symbol("|A_e-A_f|")).by_theorem(
        "<=",
        name * swing,
        "Scheffe 1947: the total variation of two measures is their difference on the set where "
        "one density exceeds the other, here an interval, as their ratio is monotone",
        "a function between a and a + s against a difference of measures of total 0",
    )


def _lagrange(half: sp.Expr) -> Chain:
    square = over_coordinates(Delta[c] ** 2)
    moved = over_coordinates(Delta[c] ** 2 * A[c] ** 2)
    along = over_coordinates(Delta[c] ** 2 * A[c])
    pairs = over_coordinates(
        over_coordinates(Delta[c] ** 2 * Delta[e] ** 2 * (A[c] - A[e]) ** 2, c), e
    )
    return Chain(
        "|Delta|^2 times the squared distance to the line", square * moved - along**2
    ).equals(half * pairs, SUMS, "Lagrange's identity")


def _build() -> Proof:
    gap = (p - q) ** 2 / (p**2 + p * q + q**2)
    two = {Delta: [1.0, 2.0], A: [0.3, 0.6], d: 2}
    numbers = {lam: 0.04, rho: 0.1, end: 0.01}
    return Proof(
        chains=(
            _identity(),
            *_total(),
            _crossing(),
            _tail_there(),
            _apart(gap),
            _parting(),
            _lagrange(HALF),
        ),
        formulas={
            "weight": Formula(weight(), (rho, lam, end)),
            "tail": Formula(tail(), (rho, lam, end)),
            "apart": Formula(sp.sqrt(gap), (p, q)),
            "crossing": Formula(end + p * q * (p + q), (p, q, end)),
        },
        wrong=(
            Wrong(_total(-sp.S.One)[0], numbers),
            Wrong(_apart((p - q) ** 2 / (p**2 + q**2)), {p: 0.3, q: 0.2}),
            Wrong(_lagrange(sp.S.One), two),
        ),
    )


DERIVATION = Derivation(
    id="X12",
    place=10,
    doc=__doc__,
    latex=(
        r"y_e(\rho_1) = \int y\text{-start or } m_e\,dW_e, \quad W_e((\rho,\infty)) ="
        r" \sqrt{\tfrac{\lambda_e+\rho_1}{\lambda_e+\rho}}, \quad"
        r" \tau = \frac{|p-q|}{\sqrt{p^2+pq+q^2}}"
    ),
    general="any N and d, one covariance (per eigenvector); the bound by a cited theorem",
    source="own result; corrects arXiv 2605.06831 v1, Theorem 4.2, beyond isotropic modes",
    build=_build,
)
