r"""DDIM(eta) as a two-time Gaussian bridge, and DDPM as eta = 1.

Given the clean $x_0$, the pair $(x_s, x_t)$, $s < t$, of the forward process is Gaussian. A
sampler may replace its law by any other with the same two marginals; DDIM($\eta$) is the
one-parameter family of them that is Markov in reverse: $x_s = \kappa\,x_t + \delta\,\hat x_0 +
\eta\sqrt{\nu_s(1-q)}\,\xi$, with $q = \rho_s/\rho_t$, $\rho = \nu/\bar\alpha$, $\kappa^2 = (\nu_s
- \eta^2\nu_s(1-q))/\nu_t$ and $\delta = \alpha_s - \kappa\alpha_t$.

Write $\alpha_t = a\,\alpha_s$. The forward kernel from $s$ to $t$ multiplies by $a$ and adds the
variance $1 - a^2$, so $\nu_t = a^2\nu_s + 1 - a^2$. Bayes' rule gives the true bridge, and its
mean and variance are those of $\eta = 1$: there $\kappa = a\nu_s/\nu_t$. For one step of the
schedule, $a^2 = 1 - \beta_t$, the variance is DDPM's posterior variance. In static coordinates the
family is $y_s = \hat x_0 + r\,(y_t - \hat x_0) + \text{noise}$ with $r^2 = q(1 - \eta^2(1-q))$ and
noise variance $\eta^2\rho_s(1-q)$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import RATIONAL

alpha_s, a, nu_s, eta, beta_t = sp.symbols("alpha_s a nu_s eta beta_t", positive=True)
x_0, x_s, x_t, kappa = sp.symbols("x_0 x_s x_t kappa", real=True)
abar_t, abar_s = sp.symbols("abar_t abar_s", positive=True)
nu_t = a**2 * nu_s + 1 - a**2
q = a**2 * nu_s / nu_t
BRIDGE_VAR = nu_s * (1 - a**2) / nu_t
RHO_S, RHO_T = nu_s / alpha_s**2, nu_t / (a * alpha_s) ** 2


def _forward() -> Chain:
    through = a**2 * (1 - alpha_s**2) + 1 - a**2
    return Chain("two forward stretches are one", through).equals(
        1 - (a * alpha_s) ** 2, RATIONAL, "noise variance at t through s, and directly"
    )


def _bayes(variance: sp.Expr) -> Chain:
    mean = (a * nu_s * x_t + (1 - a**2) * alpha_s * x_0) / nu_t
    joint = -((x_s - alpha_s * x_0) ** 2) / (2 * nu_s) - (x_t - a * x_s) ** 2 / (2 * (1 - a**2))
    return Chain("the bridge by Bayes' rule, per coordinate", joint).equals(
        -((x_s - mean) ** 2) / (2 * variance) - (x_t - a * alpha_s * x_0) ** 2 / (2 * nu_t),
        RATIONAL,
        "complete the square in x_s",
    )


def _keep2(strength2: sp.Expr) -> sp.Expr:
    return (nu_s - strength2 * nu_s * (1 - q)) / nu_t


def _marginal(strength2: sp.Expr) -> Chain:
    noise = sp.Symbol("n", positive=True)
    meaning = {kappa: sp.sqrt(_keep2(strength2)), noise: eta**2 * nu_s * (1 - q)}
    return Chain(
        "every eta keeps the variance at s", kappa**2 * nu_t + noise, where=meaning
    ).equals(nu_s, RATIONAL, "variance of keep x_t plus that of the noise n, given x_0")


def _limits() -> tuple[Chain, ...]:
    keep = a * nu_s / nu_t
    return (
        Chain(
            "every eta keeps the mean at s",
            kappa * (a * alpha_s * x_0) + (alpha_s - kappa * a * alpha_s) * x_0,
        ).equals(alpha_s * x_0, RATIONAL, "mean of keep x_t + denoise x_0, given x_0"),
        Chain("eta = 1 injects the bridge's variance", nu_s * (1 - q)).equals(
            BRIDGE_VAR, RATIONAL, "insert q"
        ),
        Chain("eta = 1 keeps as the bridge does", _keep2(sp.S.One)).equals(
            keep**2, RATIONAL, "squares of two positive numbers"
        ),
        Chain("eta = 1 denoises as the bridge does", alpha_s - keep * a * alpha_s).equals(
            (1 - a**2) * alpha_s / nu_t, RATIONAL, "insert keep"
        ),
        Chain("DDPM's posterior variance", BRIDGE_VAR, where={a: sp.sqrt(1 - beta_t)}).equals(
            beta_t * nu_s / ((1 - beta_t) * nu_s + beta_t), RATIONAL, "one step: a^2 = 1 - beta_t"
        ),
        Chain("static coordinates: r^2", _keep2(eta**2) * a**2).equals(
            q * (1 - eta**2 * (1 - q)), RATIONAL, "r = keep alpha_t/alpha_s"
        ),
        Chain("static coordinates: noise", BRIDGE_VAR / alpha_s**2).equals(
            RHO_S * (1 - RHO_S / RHO_T), RATIONAL, "rho = nu/alpha^2, q = rho_s/rho_t"
        ),
    )


def _formulas() -> dict[str, Formula]:
    arguments = (abar_t, abar_s, eta)
    ratio = (1 - abar_s) * abar_t / (abar_s * (1 - abar_t))
    noise_std = eta * sp.sqrt((1 - abar_s) * (1 - ratio))
    keep = sp.sqrt((1 - abar_s - noise_std**2) / (1 - abar_t))
    return {
        "keep": Formula(keep, arguments),
        "denoise": Formula(sp.sqrt(abar_s) - keep * sp.sqrt(abar_t), arguments),
        "noise_std": Formula(noise_std, arguments),
        "posterior_var": Formula(
            (1 - abar_t / abar_s) * (1 - abar_s) / (1 - abar_t), (abar_t, abar_s)
        ),
    }


def _build() -> Proof:
    numbers = {a: 0.8, nu_s: 0.4, alpha_s: 0.7, eta: 0.5, x_0: 0.2, x_s: 0.5, x_t: -0.3}
    return Proof(
        chains=(_forward(), _bayes(BRIDGE_VAR), _marginal(eta**2), *_limits()),
        formulas=_formulas(),
        wrong=(
            Wrong(_bayes(1 - a**2), numbers),
            Wrong(_marginal(eta), numbers),
        ),
    )


DERIVATION = Derivation(
    id="S.1",
    place=1,
    doc=__doc__,
    latex=(
        r"x_s = \kappa x_t + (\alpha_s - \kappa\alpha_t)\hat x_0 + \eta\sqrt{\nu_s(1-q)}\,\xi,"
        r"\quad \kappa^2\nu_t + \eta^2\nu_s(1-q) = \nu_s, \quad"
        r" \eta = 1:\ \nu_s(1-q) = \tilde\beta_t"
    ),
    general="any d (per coordinate), any s < t and eta",
    source="arXiv 2010.02502, eq. 12; arXiv 2006.11239, eq. 7; the bridge reading: own form",
    build=_build,
)
