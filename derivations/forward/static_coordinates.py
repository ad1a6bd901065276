r"""Static coordinates and intrinsic time.

In $y = x/\alpha$ the means stand still and every mode has the effective variance
$v = S/\bar\alpha = \sigma^2 + (1 - \bar\alpha)/\bar\alpha$. Functions of time depend on it through
$\alpha$, with $d/dt = -\tfrac\beta2\alpha\,d/d\alpha$ forward; $s = (\alpha m - x)/S$.

- Forward, $y$ has no drift and its quadratic variation is $v$: a Brownian motion in the clock
  $v$.
- The probability-flow ODE $\dot x = -\tfrac12\beta x - \tfrac12\beta s$ becomes $dy/du = m - y$
  in $u(t) = \int_t^\tau \beta_s/(2S_s)\,ds$, which runs in the reverse direction.
- The reverse SDE, run in reverse time with drift $\tfrac12\beta x + \beta s$ and noise
  $\sqrt\beta$, becomes $dy = 2(m - y)\,du + \sqrt{2v}\,dB$.
- $u = \tfrac12\log(v_\tau/v_t)$, so every exponential rate $e^{-cu}$ is the power
  $(v_t/v_\tau)^{c/2}$ and the schedule enters through $v$ alone. Integrals of $\beta$ are
  continuous: $\int\beta = -\log\bar\alpha$, not the sum of the discrete $\beta_s$."""

import sympy as sp

from ..algebra.chain import Chain
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.mixture import (
    alpha,
    c,
    distance2,
    e,
    gamma,
    k,
    mean_field,
    mu,
    over_coordinates,
    sigma,
    static_formula,
    v,
    y,
)
from ..algebra.rewriting import DERIVATIVES, LOGARITHMS, RATIONAL, SUMS

beta, x_e, m_e, v_tau, v_t, abar = sp.symbols("beta x_e m_e v_tau v_t abar", positive=True)
S = alpha**2 * sigma**2 + 1 - alpha**2
SCORE = (alpha * m_e - x_e) / S
ALPHA_RATE = -beta * alpha / 2
U_RATE = -beta / (2 * S)  # of u along forward time
V = S / alpha**2


def _rate(expr: sp.Expr) -> sp.Expr:
    """d/dt along forward time of a function of alpha."""
    return ALPHA_RATE * sp.Derivative(expr, alpha)


def _clock(u: sp.Expr) -> Chain:
    return Chain("intrinsic time", _rate(u)).equals(
        U_RATE, DERIVATIVES >> RATIONAL, "differentiate log v"
    )


def _flow(target: sp.Expr) -> Chain:
    x_rate = -beta * x_e / 2 - beta * SCORE / 2
    y_rate = x_rate / alpha - x_e * ALPHA_RATE / alpha**2
    return Chain("probability-flow ODE", y_rate / U_RATE).equals(
        target, RATIONAL, "quotient rule; divide by the clock's rate"
    )


def _reverse(target: sp.Expr, noise: sp.Expr) -> tuple[Chain, Chain]:
    # In reverse time all rates change sign; the SDE's own drift is given in reverse time.
    x_rate = beta * x_e / 2 + beta * SCORE
    y_rate = x_rate / alpha + x_e * ALPHA_RATE / alpha**2
    drift = Chain("reverse SDE, drift per unit of u", y_rate / -U_RATE)
    variance = Chain("reverse SDE, variance per unit of u", beta / alpha**2 / -U_RATE)
    return (
        drift.equals(target, RATIONAL, "Ito: alpha has no quadratic variation"),
        variance.equals(noise, RATIONAL, "variance rate beta/alpha^2 over the clock's rate"),
    )


def _forward() -> tuple[Chain, Chain]:
    x_rate, alpha_rate = sp.symbols("x' alpha'", real=True)
    drift = Chain(
        "forward, drift of y",
        x_rate / alpha - x_e * alpha_rate / alpha**2,
        where={x_rate: -beta * x_e / 2, alpha_rate: ALPHA_RATE},
    )
    variance = Chain("forward, variance of y", _rate(V))
    return (
        drift.equals(sp.S.Zero, RATIONAL, "the decay of x and that of alpha cancel"),
        variance.equals(beta / alpha**2, DERIVATIVES >> RATIONAL, "the clock v"),
    )


def _exponents() -> Chain:
    in_x = over_coordinates((alpha * y[c] - alpha * mu[k, c]) ** 2) / (2 * alpha**2 * v)
    return Chain("the exponents of the responsibilities", in_x).equals(
        distance2(y, k) / (2 * v), SUMS, "x = alpha y and S = alpha^2 v"
    )


def _build() -> Proof:
    u = sp.log(v_tau / V) / 2
    drift, variance = _reverse(2 * (m_e - x_e / alpha), 2 * V)
    time = sp.Symbol("u", real=True)
    power = Chain(
        "rates are powers of v", sp.exp(-2 * time), where={time: sp.log(v_tau / v_t) / 2}
    ).equals(v_t / v_tau, LOGARITHMS, "exponential of a logarithm")
    numbers = {alpha: 0.7, beta: 0.3, sigma: 0.4, x_e: 0.6, m_e: 0.9, v_tau: 2.0}
    return Proof(
        chains=(
            *_forward(),
            _exponents(),
            _clock(u),
            _flow(m_e - x_e / alpha),
            drift,
            variance,
            power,
        ),
        formulas={
            "effective_variance": Formula(sigma**2 + (1 - abar) / abar, (abar, sigma)),
            "intrinsic_time": Formula(sp.log(v_tau / v_t) / 2, (v_tau, v_t)),
            "responsibility": static_formula(gamma(k), k),
            "mean_field": static_formula(mean_field(e), e),
            "drift": static_formula(mean_field(e) - y[e], e),
        },
        wrong=(
            Wrong(_clock(sp.log(v_tau / V)), numbers),
            Wrong(_flow(2 * (m_e - x_e / alpha)), numbers),
            Wrong(_reverse(m_e - x_e / alpha, 2 * V)[0], numbers),
            Wrong(_reverse(m_e - x_e / alpha, V)[1], numbers),
        ),
    )


DERIVATION = Derivation(
    id="X1",
    place=4,
    also=("G.2",),
    doc=__doc__,
    latex=(
        r"\frac{dy}{du} = m(y,v) - y, \qquad dy = 2(m - y)\,du + \sqrt{2v}\,dB, \qquad"
        r" u = \tfrac12\log\frac{v_\tau}{v_t}"
    ),
    general="any N and d: the identities are per coordinate and m enters as a symbol",
    source="arXiv 2605.06831 v1, Lemma G.2; the closed form of u: own result",
    build=_build,
)
