r"""Reverse dynamics in static coordinates.

Statement: With one $\sigma$, let $y = x/\alpha_t$, $v = \sigma_t^2/\bar\alpha_t$ and $m(y,v) =
    \sum_k \gamma_k \mu_k$. The probability-flow ODE is $dy/du = m(y,v) - y$ in the clock $du =
    \beta_t dt/(2\sigma_t^2)$, and the reverse SDE is $dy = 2(m - y) du + \sqrt{2v} dB$.
Hypotheses:
    - common_sigma: all modes share one sigma.
Measured: $\sigma_t^2 s(x,t)/\alpha_t$ with the engine's score, which is the velocity of the flow
    $dx/dt = -\frac{\beta}{2}(x + s)$ carried over to $y$ and $u$; the engine's $m - y$.
Predicted: $m - y$ from the closed-form posterior weights; and the mean and variance of a reverse
    SDE step of finite length, $E[y_s | y_t] - y_t = (1 - e^{-2\Delta u})(m - y_t)$ and $v_s(1 -
    e^{-2\Delta u})$ within a mode, whose limits are the SDE's two coefficients.
Evidence: sampled states at random times; both sides are exact up to rounding, in units of the
    engine's accuracy target.
Source: arXiv 2605.06831 v1, Lemmas G.1 and G.2
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import dynamics
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import one_sigma
from verify.ledger.sides import Part, Side, Tolerance
from verify.measure.paths import Level, random_states, score_scale

CLAIM = Claim.from_docstring(
    __doc__,
    id="G.2",
    short="static coordinates",
    rests_on={"G.1": "the score"},
    needs=(one_sigma.because("the clock u is that of the one variance of all directions"),),
    derivation="derivations/forward/static_coordinates.py",
    does_not_show=(
        "What a discrete sampler does with the drift between two nodes, or that solutions of the "
        "two equations share their marginals."
    ),
)

ROUNDING = Tolerance(atol=2e-12)  # 1e-12 for the engine, as much for the closed form
Velocity = Callable[[Level, Array], Array]


def _mean_field_velocity(level: Level, x: Array) -> Array:
    weights, _, _ = oracles.reverse_law(level.mixture, x, level.abar, noise_var_t=level.noise_var)
    return np.asarray(weights @ level.mixture.means - x / level.alpha)


def _denoiser_velocity(level: Level, x: Array) -> Array:
    mean, _ = oracles.reverse_moments(level.mixture, x, level.abar, noise_var_t=level.noise_var)
    return np.asarray(mean - x / level.alpha)


@CLAIM.sampled(unit="components")
def velocity(
    case: Case, expected: Velocity = _mean_field_velocity, growth: float = 2.0
) -> Iterator[Part]:
    """The engine's velocity, in x and in y, against the closed-form posterior; then a step.
    growth: the drift coefficient c of the reverse SDE, dy = c (m - y) du + sqrt(2v) dB."""
    states = case.memo(
        "G.2 states", lambda: [_moved(*s) for s in random_states(case, "G.2", 24, 512)]
    )
    wanted = case.memo(
        f"G.2 {expected.__name__}", lambda: [expected(moved.level, moved.x) for moved in states]
    )
    sides = [_sides(*each, growth) for each in zip(states, wanted, strict=True)]
    yield from map(Side.joined, zip(*sides, strict=True))


@dataclass(frozen=True)
class Moved:
    """States x (n, d) of one level; by the engine the flow's velocity there in y, from the score
    and as m - y (n, d); of a reverse SDE step the mean's move (n, d) and the variance (1,); scale
    (n,) of rounding."""

    level: Level
    x: Array
    velocity: Array
    drift: Array
    step_mean: Array
    step_variance: Array
    scale: Array


def _moved(level: Level, x: Array) -> Moved:
    y = x / level.alpha
    mean, variance = _reverse_step(level, x, _step(level))
    return Moved(
        level,
        x,
        velocity=level.sigma_t**2 * level.marginal.score(x) / level.alpha,
        drift=dynamics.mean_field(level.mixture, y, level.v) - y,
        step_mean=mean - y,
        step_variance=variance,
        scale=score_scale(level, x) * level.sigma_t**2 / level.alpha,  # accuracy of m - y
    )


def _sides(moved: Moved, expected: Array, growth: float) -> Iterator[Side]:
    """Both sides, expected (n, d) the flow's velocity."""
    level, step = moved.level, _step(moved.level)
    equal = {
        "flow velocity from the score": (moved.velocity, expected),
        "mean field of the engine": (moved.drift, expected),
        "drift of a reverse SDE step": (
            moved.step_mean,
            -np.expm1(-growth * step) * moved.drift,
        ),
    }
    scale, where = moved.scale[:, None], {"t": level.t, "x": moved.x[:, None]}
    for name, (left, right) in equal.items():
        yield Side(name, left, equals=right, tolerance=ROUNDING, scale=scale, where=where)
    yield Side(
        "noise of a reverse SDE step",
        moved.step_variance,
        equals=level.v * _linear_variance(growth, step),
        tolerance=Tolerance(rtol=1e-12),
        where={"t": level.t},
    )


CLAIM.must_fail(velocity, "posterior mean of the data in place of m", expected=_denoiser_velocity)
CLAIM.must_fail(velocity, "reverse SDE drift m - y", growth=1.0)
CLAIM.must_fail_narrowly(
    velocity, "reverse SDE drift (2 - {})(m - y)", 1.0, growth=lambda less: 2.0 - less
)


def _step(level: Level) -> float:
    """Length in u of the reverse SDE step: 0.1, or half of what is left before clean data."""
    rho = level.noise_var / level.abar
    left = 0.5 * np.log1p(rho / float(level.mixture.sigma) ** 2)
    return float(min(0.1, 0.5 * left))


def _reverse_step(level: Level, x: Array, step: float) -> tuple[Array, Array]:
    """Mean of y_s (n, d) and its variance within a mode (1,) by O1, where v_s = v e^(-2 step)."""
    rho_s = level.noise_var / level.abar + level.v * np.expm1(-2.0 * step)
    abar_s = 1.0 / (1.0 + rho_s)
    weights, means, variances = oracles.reverse_law(
        level.mixture,
        x,
        level.abar,
        abar_s,
        noise_var_t=level.noise_var,
        noise_var_s=rho_s * abar_s,
    )
    return np.einsum("nk,nkd->nd", weights, means) / np.sqrt(abar_s), variances[:1] / abar_s


def _linear_variance(growth: float, step: float) -> float:
    """Variance over v_t after a step of dy = -c y du + sqrt(2 v) dB, v = v_t e^(-2u)."""
    c = growth - 1.0
    integral = step if c == 0.0 else np.expm1(2.0 * c * step) / (2.0 * c)
    return float(2.0 * np.exp(-2.0 * growth * step) * integral)
