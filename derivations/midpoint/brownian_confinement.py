r"""Confinement of a Brownian motion to an interval.

$p(x,t) = P_x(\sup_{s\le t}|B_s| \le r)$ solves the heat equation $p_t = \tfrac12p_{xx}$ on $(-r,
r)$ with $p = 0$ at $\pm r$ and $p = 1$ at $t = 0$. The functions $\cos((2n+1)\pi
x/(2r))\,e^{-(2n+1)^2\pi^2t/(8r^2)}$ solve the equation and vanish at the ends; the Fourier
coefficients of $1$ are $\tfrac4\pi(-1)^n/(2n+1)$. At $x = 0$ the series alternates with terms
that decrease, so it is at most its first term.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, DERIVATIVES, RATIONAL, Rewriting

n = sp.Symbol("n", integer=True, nonnegative=True)
x = sp.Symbol("x", real=True)
t, r, s, o = sp.symbols("t r s o", positive=True)
ODD = 2 * n + 1

PARITY = Rewriting("sine at odd multiples of pi/2 is +-1", lambda e: sp.expand(sp.expand_trig(e)))


def _mode(rate: sp.Expr) -> sp.Expr:
    return sp.cos(ODD * sp.pi * x / (2 * r)) * sp.exp(-rate * ODD**2 * t)


def _heat(rate: sp.Expr) -> Chain:
    return Chain("each term solves the heat equation", sp.Derivative(_mode(rate), t)).equals(
        DERIVATIVES(sp.Derivative(_mode(rate), (x, 2))) / 2,
        DERIVATIVES >> RATIONAL,
        "differentiate",
    )


def _coefficient() -> tuple[Chain, Chain]:
    wave = ODD * sp.pi / (2 * r)
    primitive = sp.sin(wave * x) / (wave * r)
    values = sp.Subs(primitive, x, r) - sp.Subs(primitive, x, -r)
    return (
        Chain("the coefficient: antiderivative", sp.Derivative(primitive, x)).equals(
            sp.cos(wave * x) / r, DERIVATIVES >> RATIONAL, "of the projection of 1"
        ),
        Chain("the coefficient: value", values).equals(
            4 * (-1) ** n / (sp.pi * ODD), AT >> PARITY, "fundamental theorem of calculus"
        ),
    )


def _decreasing() -> Chain:
    """Term n + 1 against term n, over the exponential of term n; c = pi^2 t/(8 r^2)."""
    c = sp.Symbol("c", nonnegative=True)
    step = sp.exp(-8 * (n + 1) * c)
    slope = Gap(8 * (n + 1) * sp.exp(-8 * (n + 1) * o) / (ODD + 2), RATIONAL)
    growth = Growth(c, sp.S.Zero, o, slope, RATIONAL, at_origin=2 / (ODD * (ODD + 2)))
    return Chain("the terms decrease", step / (ODD + 2)).at_most_growing(
        1 / ODD, growth, "(2n+3)^2 - (2n+1)^2 = 8 (n+1)"
    )


def _difference_of_squares() -> Chain:
    return Chain("the exponents", (ODD + 2) ** 2 - ODD**2).equals(8 * (n + 1), RATIONAL, "expand")


def _build() -> Proof:
    rate = sp.pi**2 / (8 * r**2)
    at_end = Chain("each term vanishes at the ends", sp.Subs(_mode(rate), x, r)).equals(
        sp.S.Zero, AT >> PARITY, "cosine at odd multiples of pi/2"
    )
    unique = Chain("the series is the probability", sp.Symbol("p")).by_theorem(
        "=",
        sp.Symbol("series"),
        "uniqueness for the heat equation on an interval (Port and Stone 1978, Brownian Motion and "
        "Classical Potential Theory) and Leibniz's criterion for alternating series",
        "bounded solutions, the initial value attained inside the interval",
    )
    log_bound = sp.log(4 / sp.pi) - sp.pi**2 * t / (8 * r**2)
    return Proof(
        chains=(
            _heat(rate),
            at_end,
            *_coefficient(),
            unique,
            _difference_of_squares(),
            _decreasing(),
        ),
        formulas={"log_bound": Formula(log_bound, (r, t))},
        wrong=(Wrong(_heat(rate / 2), {n: 1, x: 0.3, t: 0.2, r: 1.1}),),
    )


DERIVATION = Derivation(
    id="G.6",
    place=2,
    doc=__doc__,
    latex=r"P\Big(\sup_{s\le t}|B_s| \le r\Big) \le \frac4\pi\exp\Big(-\frac{\pi^2t}{8r^2}\Big)",
    general="general; uniqueness of the heat equation's solution cited",
    source="arXiv 2605.06831 v1, Lemma G.6",
    build=_build,
)
