r"""The spread that DDIM returns within one mode.

Inside a mode at $0$ the exact denoiser is linear, $\hat x_0 = \sigma^2 y/v$, so a DDIM($\eta$)
step maps the variance by $V_s = c^2V_t + \eta^2\rho_s(1-q)$ with $c = (\sigma^2 +
\sqrt{\rho_t\rho_s(1-\eta^2(1-q))})/v_t$. The last step, to $\rho_s = 0$, multiplies the standard
deviation by $\sigma^2/v$. Three consequences:

- without noise every step contracts more than the ODE, $c^2 = v_s/v_t - \sigma^2(\kappa_t -
  \kappa_s)^2/v_t^2$, so DDIM(0) returns too little spread at any number of steps; many small steps
  restore the ODE's $\sqrt{v_s/v_t}$ ($\kappa = \sqrt\rho$);
- with $\eta = 1$ and the right spread before, a step loses exactly
  $(1-q)^2\sigma^2\rho_t/v_t = (1-q)^2\,\mathrm{Var}(x_0|x_t)$: the posterior variance that the
  point estimate $\hat x_0$ drops;
- hence no sampler of the family returns the right spread, even with the exact score.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, RATIONAL

sigma, rho_t, rho_s, kappa_t, kappa_s, V_t = sp.symbols(
    "sigma rho_t rho_s kappa_t kappa_s V_t", positive=True
)
eta, y_t, r = sp.symbols("eta y_t r", real=True)
v_t, v_s, q = sigma**2 + rho_t, sigma**2 + rho_s, rho_s / rho_t


def _step(coefficient: sp.Expr) -> Chain:
    x_0 = sigma**2 * y_t / v_t
    return Chain("a step is linear", x_0 + r * (y_t - x_0)).equals(
        coefficient * y_t, RATIONAL, "insert the denoiser"
    )


def _root() -> Chain:
    kept = 1 - eta**2 * (1 - q)
    return Chain("the root, squared", (r * rho_t) ** 2, where={r: sp.sqrt(q * kept)}).equals(
        rho_t * rho_s * kept, RATIONAL, "q = rho_s/rho_t"
    )


def _lost(target: sp.Expr) -> Chain:
    c_1 = (sigma**2 + rho_s) / v_t  # r rho_t = rho_s at eta = 1
    return Chain("eta = 1 from the right spread", v_s - (c_1**2 * v_t + rho_s * (1 - q))).equals(
        target, RATIONAL, "V_t = v_t"
    )


def _too_narrow() -> Chain:
    levels = {rho_t: kappa_t**2, rho_s: kappa_s**2}
    c_0 = (sigma**2 + kappa_s * kappa_t) / v_t.subs(levels)
    ratio = (v_s / v_t).subs(levels)
    deficit = sigma**2 * (kappa_t - kappa_s) ** 2 / v_t.subs(levels) ** 2
    return (
        Chain("eta = 0 contracts more than the ODE", c_0**2)
        .equals(ratio - deficit, RATIONAL, "rho = kappa^2")
        .at_most(ratio, deficit, RATIONAL, "a square is nonnegative")
    )


def _build() -> Proof:
    c = (sigma**2 + r * rho_t) / v_t
    last = Chain("the last step", sp.Subs(c, r, 0)).equals(
        sigma**2 / v_t, AT >> RATIONAL, "rho_s = 0, hence q = 0 and r = 0"
    )
    lost = (1 - q) ** 2 * sigma**2 * rho_t / v_t
    root = sp.sqrt(rho_t * rho_s * (1 - eta**2 * (1 - q)))
    variance = ((sigma**2 + root) / v_t) ** 2 * V_t + eta**2 * rho_s * (1 - q)
    numbers = {sigma: 0.3, rho_t: 0.9, rho_s: 0.2, r: 0.4, y_t: 1.0}
    return Proof(
        chains=(_step(c), _root(), last, _lost(lost), _too_narrow()),
        formulas={
            "variance": Formula(variance, (V_t, rho_t, rho_s, sigma, eta)),
            "last_factor": Formula(sigma**2 / v_t, (rho_t, sigma)),
        },
        wrong=(
            Wrong(_step((sigma**2 + r * rho_t) / rho_t), numbers),
            Wrong(_lost((1 - q) * sigma**2 * rho_t / v_t), numbers),
        ),
    )


DERIVATION = Derivation(
    id="X7",
    place=3,
    doc=__doc__,
    latex=(
        r"V_s = c^2V_t + \eta^2\rho_s(1-q), \quad"
        r" c = \frac{\sigma^2 + \sqrt{\rho_t\rho_s(1-\eta^2(1-q))}}{v_t}, \quad"
        r" c_{\text{last}} = \frac{\sigma^2}{v}"
    ),
    general="one mode, any d (per coordinate), any step and eta",
    source="own result",
    build=_build,
)
