r"""DDIM(0) as an exponential integrator of the probability-flow ODE, and its local error.

With $\kappa = \sqrt\rho$, the noise level in $y$, the ODE is $dy/d\kappa = \epsilon(y, \kappa)$,
where $\epsilon = \kappa\,(y - m)/v$ is the exact noise prediction. A DDIM(0) step from $\kappa_t$
to $\kappa_s$ is $y + (\kappa_s - \kappa_t)\,\epsilon$: the linear part of the ODE in $x$ is
integrated exactly and $\epsilon$ is frozen, which makes it an Euler step in $\kappa$. Its local
error starts at $\tfrac12 h^2\,d\epsilon/d\kappa$ with $h = \kappa_t - \kappa_s$, so the method
has order one, with

$$\frac{d\epsilon}{d\kappa} = \frac{\sigma^2}{v^2}(y - m) - \frac{\kappa}{v}\frac{dm}{d\kappa}.$$

The first term stays when one mode owns the point ($m$ constant); the second is the sharp one, as
the responsibilities move.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import AT, DERIVATIVES, RATIONAL

beta, alpha, sigma, h, kappa_t, kappa_s = sp.symbols(
    "beta alpha sigma h kappa_t kappa_s", positive=True
)
kappa = sp.Symbol("kappa", positive=True)
y_t, eps, m_c, gap = sp.symbols("y_t eps m C", real=True)
Y = sp.Function("y", real=True)
m = sp.Function("m", real=True)
v = sigma**2 + kappa**2


def _ode(scale: sp.Expr) -> Chain:
    nu = 1 - alpha**2
    level = sp.sqrt(nu) / alpha
    x_rate_over_alpha = -beta / 2 * (-eps / sp.sqrt(nu)) / alpha  # -beta s/(2 alpha), s = -eps/...
    level_rate = -beta * alpha / 2 * sp.Derivative(level, alpha)
    return Chain("dy/dkappa = eps", x_rate_over_alpha / level_rate).equals(
        scale * eps, DERIVATIVES >> RATIONAL, "both rates along forward time"
    )


def _exact_eps() -> Chain:
    S = alpha**2 * sigma**2 + 1 - alpha**2
    level = sp.sqrt(1 - alpha**2) / alpha
    score = (alpha * m_c - alpha * y_t) / S
    return Chain("the exact noise prediction", -sp.sqrt(1 - alpha**2) * score).equals(
        level * (y_t - m_c) / (sigma**2 + level**2), RATIONAL, "insert the score of the mixture"
    )


def _step() -> Chain:
    x_0 = y_t - kappa_t * eps
    return Chain("a DDIM(0) step", x_0 + (kappa_s / kappa_t) * (y_t - x_0)).equals(
        y_t + (kappa_s - kappa_t) * eps, RATIONAL, "r = sqrt(q) = kappa_s/kappa_t"
    )


def _change_of_eps(second: sp.Expr) -> Chain:
    prediction = kappa * (Y(kappa) - m(kappa)) / v
    along = DERIVATIVES(sp.Derivative(prediction, kappa)).subs(
        sp.Derivative(Y(kappa), kappa), prediction
    )
    target = sigma**2 / v**2 * (Y(kappa) - m(kappa)) - second * sp.Derivative(m(kappa), kappa)
    return Chain("change of eps along the flow", along).equals(
        target, RATIONAL, "y' = eps along the trajectory"
    )


def _local_error(coefficient: sp.Expr) -> tuple[Chain, ...]:
    """One mode at 0: exact solution gap sqrt(v), step by step."""
    v_t = sigma**2 + kappa_t**2
    exact = gap * sp.sqrt(sigma**2 + (kappa_t - h) ** 2)
    step = gap * sp.sqrt(v_t) * (1 - h * kappa_t / v_t)
    error = exact - step

    def at_zero(order: int) -> sp.Expr:
        return sp.Subs(sp.Derivative(error, (h, order)) if order else error, h, 0)

    by = DERIVATIVES >> AT >> RATIONAL
    return (
        Chain("local error at h = 0", at_zero(0)).equals(sp.S.Zero, by, "value"),
        Chain("local error, first order", at_zero(1)).equals(sp.S.Zero, by, "slope"),
        Chain("local error, second order", at_zero(2) / 2).equals(
            coefficient * gap * sp.sqrt(v_t), by, "half the curvature, y_t = C sqrt(v_t)"
        ),
    )


def _build() -> Proof:
    v_t = sigma**2 + kappa_t**2
    leading = sigma**2 / (2 * v_t**2)
    numbers = {beta: 0.3, alpha: 0.6, eps: 0.7, sigma: 0.3, kappa_t: 0.9, gap: 1.1}
    return Proof(
        chains=(
            _ode(sp.S.One),
            _exact_eps(),
            _step(),
            _change_of_eps(kappa / v),
            *_local_error(leading),
        ),
        formulas={
            "step": Formula(y_t + (kappa_s - kappa_t) * eps, (y_t, eps, kappa_t, kappa_s)),
            "local_error": Formula(leading * y_t * h**2, (y_t, kappa_t, sigma, h)),
        },
        wrong=(
            Wrong(_ode(2 * sp.S.One), numbers),
            Wrong(_local_error(2 * leading)[2], numbers),
        ),
    )


DERIVATION = Derivation(
    id="S.2",
    place=2,
    doc=__doc__,
    latex=(
        r"\frac{dy}{d\kappa} = \epsilon, \quad y_s = y_t + (\kappa_s - \kappa_t)\,\epsilon, \quad"
        r" y(\kappa_t - h) - y_s = \tfrac{h^2}{2}\,\frac{d\epsilon}{d\kappa} + O(h^3)"
    ),
    general="any N and d for the ODE and its curvature (per coordinate); error constant: one mode",
    source="arXiv 2010.02502, section 4.3; the error constant: own result",
    build=_build,
)
