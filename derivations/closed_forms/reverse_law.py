r"""The exact law of the reverse SDE between two times.

With the exact score the reverse SDE is the time reversal of the forward process (Anderson 1982),
so its transition from $t$ to $s < t$ is the conditional law of $x_s$ given $x_t$, by Bayes' rule
from the forward process. In static coordinates mode $k$ has the prior $N(\mu_k, v_s I)$ at $s$
and the forward kernel adds the variance $v_t - v_s$ (the same for every mode, also when the
$\sigma_k$ differ). Completing the square gives mean $\mu_k + q(y_t - \mu_k)$ and variance
$v_s(1-q)$, $q = v_s/v_t$; the mode's posterior probability is its share of the marginal at $t$.

The chains check Bayes' rule with its normalising constants, that two stretches compose to one,
and that a short stretch has drift $(m - y)/v$ and unit variance per unit of $-dv$, which is the
reverse SDE in the clock $v$. The law belongs to the continuous process; the discrete DDPM chain
has another.
"""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.functions import Phi
from ..algebra.mixture import (
    S,
    alpha,
    c,
    d,
    e,
    f,
    gamma_x,
    k,
    mu,
    over_coordinates,
    over_modes,
    x,
    x_formula,
)
from ..algebra.rewriting import AT, DERIVATIVES, RATIONAL, SUMS

v_t, v_s, v_r, alpha_s, h = sp.symbols("v_t v_s v_r alpha_s h", positive=True)
y_t = sp.IndexedBase("y_t", real=True)
y_s = sp.IndexedBase("y_s", real=True)
mu_k, low, high = sp.symbols("mu_k low high", real=True)
q = v_s / v_t


def _square(vector: sp.Expr) -> sp.Expr:
    return over_coordinates(vector**2)


def _bayes(variance: sp.Expr) -> Chain:
    mean = mu[k, c] + q * (y_t[c] - mu[k, c])
    joint = -_square(y_s[c] - mu[k, c]) / (2 * v_s) - _square(y_t[c] - y_s[c]) / (2 * (v_t - v_s))
    return Chain("Bayes' rule within a mode", joint).equals(
        -_square(y_s[c] - mean) / (2 * variance) - _square(y_t[c] - mu[k, c]) / (2 * v_t),
        SUMS,
        "complete the square in y_s",
    )


def _composition() -> tuple[Chain, Chain]:
    q_1, q_2 = sp.symbols("q_1 q_2", positive=True)
    both = {q_1: v_s / v_t, q_2: v_r / v_s}
    return (
        Chain("two stretches: the means", q_2 * q_1, where=both).equals(
            v_r / v_t, RATIONAL, "q multiplies"
        ),
        Chain(
            "two stretches: the variances", q_2**2 * v_s * (1 - q_1) + v_r * (1 - q_2), where=both
        ).equals(v_r * (1 - v_r / v_t), RATIONAL, "variance of the mean plus variance"),
    )


def _short(rate: sp.Expr) -> tuple[Chain, Chain]:
    """Derivatives in h of the moments for v_s = v_t - h, at h = 0."""
    y_c = sp.Symbol("y", real=True)
    mean = (mu_k + q * (y_c - mu_k)).subs(v_s, v_t - h)
    variance = (v_s * (1 - q)).subs(v_s, v_t - h)
    drift = sp.Subs(sp.Derivative(mean, h), h, 0)
    noise = sp.Subs(sp.Derivative(variance, h), h, 0)
    by = DERIVATIVES >> AT >> RATIONAL
    return (
        Chain("a short stretch: drift of mode k", drift).equals(
            rate * (mu_k - y_c) / v_t, by, "average over k: (m - y)/v"
        ),
        Chain("a short stretch: variance", noise).equals(
            sp.S.One, by, "the spread of the means adds only at order h^2"
        ),
    )


def _reversal() -> Chain:
    law = sp.Function("P_reverse")(sp.Symbol("x_s"), sp.Symbol("x_t"))
    posterior = sp.Function("P_forward")(sp.Symbol("x_s"), sp.Symbol("x_t"))
    return Chain("the reverse SDE is the time reversal", law).by_theorem(
        "=",
        posterior,
        "Anderson 1982, Reverse-time diffusion equation models (Stochastic Processes and their "
        "Applications 12)",
        "with drift x/2 beta + beta grad log p_t; smooth densities",
    )


def _formulas() -> dict[str, Formula]:
    """In x: S[k] is the variance of mode k at t, alpha_s^2 (v_s(k)) found from it."""
    rho_t, rho_s = sp.symbols("rho_t rho_s", nonnegative=True)
    v_k = S[k] / alpha**2
    q_k = 1 - (rho_t - rho_s) / v_k
    mean = alpha_s * (mu[k, e] + q_k * (x[e] / alpha - mu[k, e]))
    mean_f = mean.subs(e, f)
    variance = alpha_s**2 * q_k * (rho_t - rho_s)
    average = over_modes(gamma_x(k) * mean)
    second = over_modes(gamma_x(k) * (variance * sp.KroneckerDelta(e, f) + mean * mean_f))
    extra = (alpha_s, rho_t, rho_s)
    return {
        "weight": x_formula(gamma_x(k), k),
        "mean": x_formula(mean, *extra, k, e),
        "variance": Formula(variance, (S, alpha, *extra, k)),
        "moment_mean": x_formula(average, *extra, e),
        "moment_covariance": x_formula(
            second - average * over_modes(gamma_x(k) * mean_f), *extra, e, f
        ),
        "interval": Formula(Phi(high) - Phi(low), (low, high)),
    }


def _build() -> Proof:
    numbers = {
        v_s: 0.5,
        v_t: 0.9,
        y_s: [0.3],
        y_t: [0.8],
        mu: [[1.0]],
        d: 1,
        k: 0,
        mu_k: 1.0,
        sp.Symbol("y", real=True): 0.3,
    }
    constants = Chain("the normalising constants", v_s * (v_t - v_s)).equals(
        v_t * (v_s * (1 - q)), RATIONAL, "product of the variances on both sides"
    )
    units = Chain("the variance in terms of the noise added", v_s * (1 - q)).equals(
        (1 - (v_t - v_s) / v_t) * (v_t - v_s), RATIONAL, "v_t - v_s = rho_t - rho_s for every mode"
    )
    return Proof(
        chains=(
            _reversal(),
            _bayes(v_s * (1 - q)),
            constants,
            units,
            *_composition(),
            *_short(sp.S.One),
        ),
        formulas=_formulas(),
        wrong=(
            Wrong(_bayes(v_s), numbers),
            Wrong(_short(2 * sp.S.One)[0], numbers),
        ),
    )


DERIVATION = Derivation(
    id="O1",
    place=1,
    doc=__doc__,
    latex=(
        r"y_s\,|\,y_t \sim \sum_k\gamma_k(y_t)\,N\big(\mu_k + q_k(y_t-\mu_k),\,v_k(s)(1-q_k)I\big),"
        r"\quad q_k = \frac{v_k(s)}{v_k(t)},\quad"
        r" \gamma_k \propto w_k v_k(t)^{-d/2}e^{-|y_t-\mu_k|^2/(2v_k(t))}"
    ),
    general="any N and d (indexed sums), one sigma per mode, any s < t",
    source="own form; Bayes' rule and Anderson's time reversal",
    build=_build,
)
