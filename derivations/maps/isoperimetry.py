r"""What a smooth map must leave in a gap.

Let $f = \langle T(z), n\rangle$, $z \sim N(0, I)$ in any dimension, and let $L$ bound $|\nabla f|$
on the preimage of the gap $(a, a+g)$ alone. A segment from $\{f \ge a+g\}$ to $\{f \le a\}$ crosses
the gap, so it has length $\ge g/L$: the points within $g/L$ of $\{f \le a\}$ are in it or in the
gap. The Gaussian isoperimetric inequality says how many these are, and with $q = \Phi^{-1}(P(f \le
a))$ the gap holds at least $\Phi(q + g/L) - \Phi(q)$.

*Sharp.* For $f$ of slope $L$ in one coordinate it is an equality. A gap cut into parts, each with
its own $L$, gives a sum: the same for equal $L$, more for different ones, since a part's share
falls as its $L$ rises; and a part that shrinks gives $\varphi(q)/L$ per width, the density itself
of a monotone map of one coordinate. So on lines the sum tends to the truth.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import Phi
from ..algebra.rewriting import AT, DERIVATIVES, EXPAND, EXPONENTIALS, RATIONAL

q, a = sp.symbols("q a", real=True)
g, g_1, g_2, L = sp.symbols("g g_1 g_2 L", positive=True)


def share(place: sp.Expr, reach: sp.Expr) -> sp.Expr:
    """Mass of N(0, 1) from `place` on for a stretch."""
    return Phi(place + reach) - Phi(place)


def _bound() -> Chain:
    near = sp.Symbol("P_near", positive=True)
    return Chain("mass within g/L of {f <= a}, less that of it", share(q, g / L)).by_theorem(
        "<=",
        near - Phi(q),
        "Gaussian isoperimetric inequality (Borell 1975; Sudakov and Tsirelson 1974)",
        "Phi(q) = P(f <= a)",
    )


def _linear() -> Chain:
    end = sp.Symbol("z_end", real=True)  # the preimage of a + g under f = a + L (z - q)
    return Chain(
        "f of slope L in one coordinate", Phi(end) - Phi(q), where={end: q + ((a + g) - a) / L}
    ).equals(share(q, g / L), RATIONAL, "f(z) = a + L (z - q)")


def _parts() -> Chain:
    second = share(q + g_1 / L, g_2 / L)
    return Chain("two parts of equal L", share(q, g_1 / L) + second).equals(
        share(q, (g_1 + g_2) / L), EXPAND, "the second begins where the first ends"
    )


def _falls(power: int) -> Chain:
    density = sp.exp(-((q + g / L) ** 2) / 2) / sp.sqrt(2 * sp.pi)
    return Chain("a larger L, a smaller share", -sp.Derivative(share(q, g / L), L)).equals(
        density * g / L**power, DERIVATIVES >> EXPONENTIALS, "chain rule"
    )


def _density() -> Chain:
    slope = sp.Subs(sp.Derivative(share(q, g / L), g), g, 0)
    return Chain("a part of no width", slope).equals(
        sp.exp(-(q**2) / 2) / sp.sqrt(2 * sp.pi) / L,
        DERIVATIVES >> AT >> EXPONENTIALS,
        "the density of f(z) at a",
    )


def _build() -> Proof:
    return Proof(
        chains=(_bound(), _linear(), _parts(), _falls(2), _density()),
        formulas={"gap": Formula(share(q, g / L), (q, g, L))},
        wrong=(Wrong(_falls(1), {q: 0.3, g: 0.5, L: 2.0}),),
    )


DERIVATION = Derivation(
    id="X18",
    place=2,
    doc=__doc__,
    latex=(
        r"P(a < f < a + g) \ge \Phi\Big(q + \frac gL\Big) - \Phi(q), \qquad \Phi(q) ="
        r" P(f \le a), \quad L = \sup_{a < f < a + g}|\nabla f|"
    ),
    general="any dimension, any map that is smooth on the gap's preimage",
    source="own result; Gaussian isoperimetry (Borell 1975)",
    build=_build,
)
