r"""The noise that keeps the spread within one mode.

Inside a mode at $0$ the exact denoiser is $\hat x_0 = Dy$, $D = \sigma^2/v_t$, and by Tweedie's
second formula $\mathrm{Var}(x_0|x_t) = \rho_tD$. A step with the bridge's mean keeps $q + (1-q)D =
v_s/v_t$ of $y$. With the true kernel's variance, $\rho_s(1-q) + (1-q)^2\rho_tD$, it maps the
marginal's variance $v_t$ to $v_s$, for every step and the last one too, and any excess by

$$V_s - v_s = (v_s/v_t)^2(V_t - v_t),$$

so relative to $v$ it shrinks by $v_s/v_t$: what earlier steps got wrong is forgotten. A model whose
slope is $D'$ in place of $D$ keeps $v_t(q + (1-q)D')^2$; the variance that makes up for it is
$v_s - v_t(q + (1-q)D')^2$, the kernel's where $D' = D$. A deterministic step of DDIM with
$\hat x_0$ replaced by a value $m$ maps $y$ to $\sqrt{q}\,y + (1-\sqrt q)m$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, RATIONAL

sigma, rho_t, rho_s, kappa_t, kappa_s, V_t = sp.symbols(
    "sigma rho_t rho_s kappa_t kappa_s V_t", positive=True
)
y, m, slope = sp.symbols("y m D", real=True)
v_t, v_s, q = sigma**2 + rho_t, sigma**2 + rho_s, rho_s / rho_t
D = sigma**2 / v_t


def _kept() -> Chain:
    return Chain("what a step keeps", q + (1 - q) * D).equals(
        v_s / v_t, RATIONAL, "insert the slope"
    )


def _kernel(power: int) -> sp.Expr:
    return rho_s * (1 - q) + (1 - q) ** power * rho_t * D


def _step(power: int) -> Chain:
    return Chain("excess over the marginal", (v_s / v_t) ** 2 * V_t + _kernel(power) - v_s).equals(
        (v_s / v_t) ** 2 * (V_t - v_t), RATIONAL, "the kernel's variance"
    )


def _last() -> Chain:
    step = (v_s / v_t) ** 2 * v_t + _kernel(2)
    return Chain("the last step", sp.Subs(step, rho_s, 0)).equals(
        sigma**2, AT >> RATIONAL, "rho_s = 0, hence q = 0"
    )


def _made_up() -> Chain:
    needed = v_s - v_t * (q + (1 - q) * slope) ** 2
    return Chain("what makes up for another slope", needed, where={slope: D}).equals(
        _kernel(2), RATIONAL, "the exact slope"
    )


def _deterministic() -> Chain:
    eps = (y - m) / kappa_t
    factor = kappa_s / kappa_t
    return Chain("a deterministic step", m + kappa_s * eps).equals(
        factor * y + (1 - factor) * m, RATIONAL, "eps by the value in place of x_0"
    )


def _build() -> Proof:
    numbers = {sigma: 0.3, rho_t: 0.9, rho_s: 0.2, V_t: 1.4}
    late = (v_s / v_t) ** 2 * V_t + _kernel(2)
    factor = sp.sqrt(rho_s / rho_t)
    return Proof(
        chains=(_kept(), _step(2), _last(), _made_up(), _deterministic()),
        formulas={
            "variance": Formula(late, (V_t, rho_t, rho_s, sigma)),
            "bridge_alone": Formula(
                (v_s / v_t) ** 2 * V_t + rho_s * (1 - q), (V_t, rho_t, rho_s, sigma)
            ),
            "slope": Formula(D, (rho_t, sigma)),
            "deterministic": Formula(factor * y + (1 - factor) * m, (y, m, rho_t, rho_s)),
        },
        wrong=(Wrong(_step(1), numbers),),
    )


DERIVATION = Derivation(
    id="X8'",
    place=6,
    doc=__doc__,
    latex=(
        r"V_s - v_s = \Big(\frac{v_s}{v_t}\Big)^2(V_t - v_t) \quad\text{with}\quad"
        r" \rho_s(1-q) + (1-q)^2\frac{\sigma^2\rho_t}{v_t} \text{ injected}"
    ),
    general="one mode, any d (per coordinate), any step down to the data",
    source="own result",
    build=_build,
)
