r"""How much noise a step should inject.

Given $x_0$, the true reverse kernel is the bridge: mean $q\,y_t + (1-q)x_0$ and variance
$\rho_s(1-q)$ in $y$. Averaging over the posterior of $x_0$, by total variance, its variance along
any direction is $\rho_s(1-q) + (1-q)^2\mathrm{Var}(x_0|x_t)$, while DDIM($\eta$) injects
$\eta^2\rho_s(1-q)$. They agree for $\eta^2 = 1 + (1-q)\mathrm{Var}(x_0|x_t)/\rho_s$. The step
allows $\eta^2 \le 1/(1-q)$, so this is possible iff $\mathrm{Var}(x_0|x_t) \le q\rho_s/(1-q)^2$.
At the midpoint of two equal modes the posterior variance along the pair is $\sigma^2\rho/v +
(\rho/v)^2l^2/4$.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import CONVEX, N, g, k, over_modes
from ..algebra.rewriting import RATIONAL

rho_t, rho_s, sigma, l, variance = sp.symbols("rho_t rho_s sigma l V", positive=True)
a = sp.IndexedBase("a", real=True)  # atoms of x_0 along the direction
y_t = sp.Symbol("y_t", real=True)
q = rho_s / rho_t
bridge_var = sp.Symbol("bridge_var", positive=True)
share = sp.Symbol("q", positive=True)


def _total(power: int) -> Chain:
    mean = share * y_t + (1 - share) * a[k]
    kernel = over_modes(g[k] * (bridge_var + mean**2)) - over_modes(g[k] * mean) ** 2
    spread = over_modes(g[k] * a[k] ** 2) - over_modes(g[k] * a[k]) ** 2
    return Chain("variance of the true kernel", kernel).equals(
        bridge_var + (1 - share) ** power * spread,
        CONVEX,
        "mean of variances plus variance of means",
    )


def _match() -> Chain:
    best = 1 + (1 - q) * variance / rho_s
    return Chain("what the matching eta injects", best * rho_s * (1 - q)).equals(
        rho_s * (1 - q) + (1 - q) ** 2 * variance, RATIONAL, "insert eta^2"
    )


def _cap() -> Chain:
    at_cap = share * rho_s / (1 - share) ** 2
    return Chain("the cap is reached at", 1 + (1 - share) * at_cap / rho_s).equals(
        1 / (1 - share), RATIONAL, "Var = q rho_s/(1-q)^2"
    )


def _midpoint() -> Chain:
    v = sigma**2 + rho_t
    half = sp.Rational(1, 2)
    shrink = sigma**2 / v
    within = sigma**2 * rho_t / v
    means = [sign * l / 2 * (1 - shrink) for sign in (1, -1)]  # M_k at y = 0
    total = within + sum(half * mean**2 for mean in means) - (sum(means) * half) ** 2
    return Chain("two equal modes at their midpoint", total).equals(
        sigma**2 * rho_t / v + (rho_t / v) ** 2 * l**2 / 4, RATIONAL, "within plus between modes"
    )


def _build() -> Proof:
    best = 1 + (1 - q) * variance / rho_s
    numbers = {g: [0.4, 0.6], a: [0.3, -0.5], share: 0.6, y_t: 0.2, bridge_var: 0.1, N: 2}
    return Proof(
        chains=(_total(2), _match(), _cap(), _midpoint()),
        formulas={
            "eta2": Formula(best, (variance, rho_t, rho_s)),
            "kernel_variance": Formula(
                rho_s * (1 - q) + (1 - q) ** 2 * variance, (variance, rho_t, rho_s)
            ),
            "midpoint_variance": Formula(_midpoint().end, (rho_t, sigma, l)),
        },
        wrong=(Wrong(_total(1), numbers),),
    )


DERIVATION = Derivation(
    id="X8",
    place=5,
    doc=__doc__,
    latex=(
        r"\mathrm{Var}(y_s|y_t) = \rho_s(1-q) + (1-q)^2\mathrm{Var}(x_0|x_t), \qquad"
        r" \eta^2 = 1 + \frac{(1-q)\mathrm{Var}(x_0|x_t)}{\rho_s} \le \frac1{1-q}"
    ),
    general="any data law on atoms (indexed sums), along any direction",
    source="own result",
    build=_build,
)
