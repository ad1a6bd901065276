r"""What a point owned by one mode needs to get home.

Where a single mode owns the point the dynamics are linear (the reduction across the hull, in all
directions): the ODE multiplies the distance to the mode by $\sqrt q$, the conditional mean of the
reverse SDE by $q = v_{\text{end}}/v_{\text{start}}$. To bring a distance $D$ to $r$ the ODE needs
the ratio $v_{\text{start}}/v_{\text{end}} = (D/r)^2$, the SDE's mean $D/r$: the SDE's budget is
the square root of the ODE's.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import RATIONAL
from ..closed_forms.hull_reduction import DERIVATION as HULL

D, r = sp.symbols("D r", positive=True)


def _budget(name: str, factor: str, ratio: sp.Expr) -> Chain:
    contraction = HULL.numeric()[factor]
    start, end = contraction.arguments
    meaning = {start: ratio * end}
    return Chain(name, D * contraction.expr, where=meaning).equals(
        r, RATIONAL, "the ratio makes the contraction r/D"
    )


def _build() -> Proof:
    ode, sde = (D / r) ** 2, D / r
    return Proof(
        chains=(
            _budget("the ODE's budget", "ode_contraction", ode),
            _budget("the budget of the SDE's mean", "sde_contraction", sde),
        ),
        formulas={"ode": Formula(ode, (D, r)), "sde": Formula(sde, (D, r))},
        wrong=(
            Wrong(_budget("too little", "ode_contraction", sde), {D: 1.0, r: 0.1}),
            Wrong(_budget("too much", "sde_contraction", ode), {D: 1.0, r: 0.1}),
        ),
    )


DERIVATION = Derivation(
    id="X4",
    place=3,
    doc=__doc__,
    latex=(
        r"\text{ODE: } \frac{v_{\text{start}}}{v_{\text{end}}} = \Big(\frac Dr\Big)^2, \qquad"
        r" \text{SDE (mean): } \frac{v_{\text{start}}}{v_{\text{end}}} = \frac Dr"
    ),
    general="one mode, any d; uses O3",
    source="own result",
    build=_build,
)
