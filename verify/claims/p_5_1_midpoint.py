r"""DDPM leaves the midpoint.

Statement: Let $A_t = \langle x_t - \alpha_t \bar\mu, n \rangle$ with
    $dA = b\,dt + \sqrt\beta\,dB$ in reverse time. If
    $\sup_{|a| \le 2\theta} |b(a,t)| \le 2\theta K(t)$ and
    $\mathrm{sgn}(a)\, b(a,t) \ge \lambda |a|$ for all $|a| \ge \theta$, then from
    $|A_\tau| \le \theta$, with $Q = \int \beta$,
    $P(|A_0| \le \theta) \le \frac{4}{\pi} \exp\big(-\frac{\pi^2 Q}{32 \theta^2 (2 + \int K)^2}\big)
    + \exp\big(-\frac{2 \lambda \theta^2}{\sup \beta}\big)$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: the closest pair is separated with margin 7 at some node of the papers' grid,
      which is the start $\tau$.
    - growth: $|b| \le 2\theta K(t)$ for $|a| \le 2\theta$, also off the line through the pair.
    - outward: $\mathrm{sgn}(a)\, b \ge \lambda |a|$ for all $|a| \ge \theta$, on states of the two
      modes, with $\lambda$ the largest rate on $[\theta, 2\theta]$, where the paper's code looks.
Measured: the exact probability of the continuous reverse SDE from five starts within $\theta$, for
    $\theta = 0.15\, l$; and how often DDPM, started at the midpoint, ends within $\theta$ of it.
Predicted: the bound, in the reading most favourable to it: K by the supremum condition and summed
    over the times $1..\tau$, and the outward condition asked on $[\theta, 2\theta]$ alone. The
    sharper bound is X5's, where the drift along the pair is a function of A alone.
Evidence: exact probabilities (O1) with the engine's drift in the bound; sampled hypotheses and
    DDPM, a chain whose law differs from the continuous one by its steps.
Source: arXiv 2605.06831 v1, Proposition 5.1
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.samplers import DDPM
from mixdyn.sampling import sample
from mixdyn.statistics import Proportion
from mixdyn.validation import Array
from verify.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.paths import ddim_grid, level_at
from verify.quantities import Log10
from verify.reference import reference_from
from verify.relations import Comparison, Statistical, Upper, compare, compare_rate
from verify.window import (
    HALF_WIDTH,
    DriftRange,
    Window,
    bisector_drift,
    drift_range,
    elapsed_noise,
    find_window,
    level_between,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="P5.1",
    basis=(Basis.SAMPLED,),
    min_modes=2,
    common_sigma=True,
    derivation="derivations/confinement.py",
    does_not_show=(
        "That DDPM stays near a midpoint: it does not. The bound is true and says nothing, because "
        "the noise left after τ is too little to leave [-2θ, 2θ] by itself; the drift does it, and "
        "the proof counts the drift as an obstacle."
    ),
)

NOT_SEPARATED = "The closest pair is not separated with margin 7 at any noisy node."
UNSEPARATED = (Hypothesis("common_sigma", 1.0, 0.0), Hypothesis("separation", 0.0))
SEPARATED = (Hypothesis("common_sigma", 1.0, 0.0), Hypothesis("separation", 1.0, 0.0))
STARTS = np.linspace(-1.0, 1.0, 5)  # A at the start over theta
SWEEP = (0.05, 0.1, 0.15, 0.2)  # theta over l
MAX_PAIRS = 40
SUP_RTOL = 1e-3  # what the grid of places may miss of a supremum


@dataclass(frozen=True)
class Bound:
    """The right-hand side and its parts, in x units: log of the confinement and return terms."""

    theta: float
    noise: float
    drift: DriftRange
    integral: float
    rate: float
    log_confinement: float
    log_return: float

    @property
    def log_total(self) -> float:
        """log of the sum."""
        return float(np.logaddexp(self.log_confinement, self.log_return))


def check(case: Case) -> Verdict:
    """The bound in the paper's regime against the exact probability."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """A bound that is too small, and the outward condition taken at its word."""
    return {
        "X5 with l' = 1.1 l as the bound": _judge(case, stretch=1.1),
        "outward drift asked of every |a| ≥ θ": _judge(case, literal=True),
    }


def _judge(case: Case, stretch: float | None = None, literal: bool = False) -> Verdict:
    """stretch: take X5 with l' = stretch l as the bound. literal: ask for all |a| >= theta."""
    window = find_window(case)
    if window is None:
        finding = Finding(hypotheses=[*UNSEPARATED], note=NOT_SEPARATED)
        return CLAIM.judge(case, finding)
    bound = case.memo("P5.1 bound", lambda: _bound(case, window, HALF_WIDTH, window.t))
    truth = case.memo("P5.1 truth", lambda: _truth(case, window, bound.theta, window.t, STARTS))
    ddpm = case.memo("P5.1 DDPM", lambda: _ddpm(case, window, bound.theta))
    hypotheses = case.memo("P5.1 hypotheses", lambda: _hypotheses(case, window, bound))
    log_bound = bound.log_total
    if stretch is not None:
        log_bound = _two_mode(case, window, bound.theta, stretch)
    comparisons = [
        compare("P(|A_0| ≤ θ), exact", Upper(rtol=1e-9, log=True), truth, log_bound),
        compare_rate("share of DDPM runs", Statistical(), ddpm, math.exp(log_bound)),
    ]

    def witness(comparison: Comparison) -> dict[str, Any]:
        start = STARTS[comparison.index] * bound.theta if comparison is comparisons[0] else 0.0
        place = {"pair": [window.pair.i, window.pair.j], "t": window.t}
        return {**place, "theta": bound.theta, "a_start": start}

    original = stretch is None and not literal
    finding = Finding(
        comparisons=comparisons,
        hypotheses=[*SEPARATED, *hypotheses],
        applicable_share=0.0 if literal else float(np.mean(bound.drift.outward > 0.0)),
        nonvacuous_share=float(log_bound < 0.0),
        truth=Log10.from_log(float(truth.max())),
        sharper_bound=_sharper(case, window, bound.theta, window.t),
        witness=witness,
        unit="starts",
        note=_note(window),
        numbers=_numbers(case, window, bound) if original else {},
        tables=[_sweep(case, window)] if original else [],
    )
    return CLAIM.judge(case, finding)


def _note(window: Window) -> str:
    return (
        f"τ = {window.t} raw steps, {window.steps} DDIM steps; θ = {HALF_WIDTH:g} l. The outward "
        "condition cannot hold for every |a| ≥ θ: the drift vanishes at a_*, next to the mode, and "
        "points back beyond it. DDPM's steps are discrete and its last one has no noise; the exact "
        "probability is that of the continuous process."
    )


# -- the right-hand side -------------------------------------------------------------------------


def _bound(case: Case, window: Window, half_width: float, t: int) -> Bound:
    """The bound from raw time t for theta = half_width l: the extremes over all closest pairs."""
    theta = half_width * window.pair.length
    step_noise = elapsed_noise(case, t)
    drift = drift_range(case, window.pair, theta, t)
    integral = float(drift.sup @ step_noise)
    rate = max(float((drift.outward * step_noise).min()), 0.0)
    terms = bounds.log_midpoint_terms(
        theta, step_noise.sum(), integral, rate, float(step_noise.max())
    )
    confinement, back = (float(term) for term in terms)
    return Bound(theta, float(step_noise.sum()), drift, integral, rate, confinement, back)


def _continuous_integral(case: Case, window: Window, theta: float) -> float:
    """int K over the whole stretch from tau to clean data, K by the supremum condition."""
    sigma2 = float(case.mixture.sigma) ** 2
    node, weight = np.polynomial.legendre.leggauss(64)
    ends = np.log(sigma2 + case.schedule.rho[[0, window.t]])
    log_v = ends[0] + 0.5 * (node + 1.0) * (ends[1] - ends[0])
    a = np.linspace(-2.0 * theta, 2.0 * theta, 401)
    total = 0.0
    for place, w in zip(log_v, weight, strict=True):
        level = level_between(case.mixture, math.exp(place))
        sup = float(np.abs(bisector_drift(level, window.pair, a)).max())
        total += w * sup * level.v * level.abar  # d(-log abar) = abar dv = abar v dlog v
    return total * 0.5 * (ends[1] - ends[0]) / (2.0 * theta)


# -- the left-hand side --------------------------------------------------------------------------


def _truth(case: Case, window: Window, theta: float, t: int, starts: Array) -> Array:
    """log P(|A_0| <= theta) of the continuous reverse SDE from A_t = theta starts."""
    pair, schedule = window.pair, case.schedule
    x = schedule.alpha[t] * pair.midpoint + theta * starts[:, None] * pair.direction
    law = oracles.reverse_mixture(
        case.mixture, x, float(schedule.alpha_bar[t]), noise_var_t=float(schedule.noise_var[t])
    )
    return law.log_slab_probability(pair.direction, pair.midpoint, theta)


def _ddpm(case: Case, window: Window, theta: float) -> Proportion:
    n = max(16, case.pick(200_000, 10_000_000) // (case.mixture.d * window.t))
    x = np.tile(case.schedule.alpha[window.t] * window.pair.midpoint, (n, 1))
    seed = case.stream("P5.1 DDPM")
    out = sample(case.mixture, case.schedule, DDPM(), x=x, start=window.t, rng=seed)
    inside = np.abs(window.pair.bisector_coordinate(np.asarray(out.x))) <= theta
    return Proportion(int(inside.sum()), n)


def _two_mode(case: Case, window: Window, theta: float, stretch: float = 1.0) -> float:
    """X5 for the two modes by themselves, taken as equal in weight, with l' = stretch l."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    length = stretch * window.pair.length
    return float(bounds.log_midpoint_probability(length, theta, v[window.t], v[0]))


def _sharper(case: Case, window: Window, theta: float, t: int) -> Log10 | None:
    found = reference_from(case, window.pair, t)
    return None if found is None else Log10.from_log(found.log_probability(theta))


# -- hypotheses and further values ---------------------------------------------------------------


def _hypotheses(case: Case, window: Window, bound: Bound) -> tuple[Hypothesis, Hypothesis]:
    """growth at places spread over |a| <= 2 theta; outward at states of the pair's two modes."""
    rng, d = case.rng("P5.1"), case.mixture.d
    pairs = geometry.nearest_pairs(case.mixture)[:MAX_PAIRS]
    times = np.unique(np.linspace(1, window.t, min(window.t, 24)).astype(int)).tolist()
    n = case.pick(20_000, 400_000) // (len(pairs) * len(times))
    n = max(8, min(n, case.pick(10**7, 10**9) // (len(pairs) * len(times) * d * case.mixture.N)))
    step_noise, reach = elapsed_noise(case, window.t), 2.0 * bound.theta
    growth, outward = [], []
    for i, j in pairs:
        pair = geometry.pair(case.mixture, i, j)
        for t in times:
            level = level_at(case, t)
            xi = level.sigma_t * rng.standard_normal((n, d))
            xi -= (xi @ pair.direction)[:, None] * pair.direction
            a = rng.uniform(-reach, reach, n)
            b = bisector_drift(level, pair, a, xi)
            growth.append(1.0 + SUP_RTOL - np.abs(b) / (reach * bound.drift.sup[t - 1]))
            side = np.where(rng.random(n) < 0.5, -0.5, 0.5)
            a = side * level.alpha * pair.length + level.sigma_t * rng.standard_normal(n)
            b = bisector_drift(level, pair, a, xi)
            kept = np.abs(a) >= bound.theta
            outward.append(b[kept] / a[kept] * step_noise[t - 1] - bound.rate)
    return (
        Hypothesis.from_slack("growth", np.concatenate(growth)),
        Hypothesis.from_slack("outward", np.concatenate(outward)),
    )


def _turning(case: Case, window: Window, t: int) -> float:
    """a_*/l at raw time t: where the drift along the line of the pair turns back."""
    from scipy.optimize import brentq

    level, pair = level_at(case, t), window.pair

    def drift(a: float) -> float:
        return float(bisector_drift(level, pair, np.array([a * pair.length]))[0])

    low = 0.25 * level.alpha
    if drift(low) <= 0.0 or drift(1.0) >= 0.0:
        return math.nan
    return float(brentq(drift, low, 1.0, xtol=1e-12))


def _numbers(case: Case, window: Window, bound: Bound) -> dict[str, float | Log10 | None]:
    noise = elapsed_noise(case, window.t)
    turn = [_turning(case, window, t) for t in (1, window.t)]
    whole = _continuous_integral(case, window, bound.theta)
    terms = [
        bounds.log_midpoint_terms(bound.theta, bound.noise, k, bound.rate, 1.0)[0]
        for k in (whole, 0.0)
    ]
    return {
        "first term (confinement)": math.exp(bound.log_confinement),
        "second term (return)": math.exp(bound.log_return),
        "∫K, supremum form, summed over times 1..τ": bound.integral,
        "∫K, supremum form, as an integral down to clean data": whole,
        "first term with that integral": math.exp(float(terms[0])),
        # Where b(0) is not 0 no K satisfies it.
        "∫K of the stated hypothesis |b| ≤ K|a|": (
            float(bound.drift.slope @ noise) if bound.drift.vanishes else None
        ),
        "∫K of |b| ≤ K|a| on [θ, 2θ] alone": float(bound.drift.far_slope @ noise),
        "first term without any drift": math.exp(float(terms[1])),
        "Q": bound.noise,
        "λ": bound.rate,
        "a_*/l at raw time 1": turn[0],
        "a_*/l at τ": turn[1],
        "X5 for the two modes by themselves": Log10.from_log(_two_mode(case, window, bound.theta)),
    }


def _sweep(case: Case, window: Window) -> Table:
    """Bound, sharper bound and truth for other theta and other starting times."""
    times = ddim_grid(case).times
    index = int(np.flatnonzero(times == window.t)[0])
    chosen = [int(times[k]) for k in (index, max(index - 6, 0), max(index - 16, 0))]
    rows: list[tuple[float | Log10 | str | None, ...]] = []
    for t in dict.fromkeys(chosen):
        for half_width in SWEEP:
            bound = _bound(case, window, half_width, t)
            truth = _truth(case, window, bound.theta, t, np.zeros(1))
            sharper = _sharper(case, window, bound.theta, t)
            total = Log10.from_log(bound.log_total)
            rows.append((t, half_width, bound.integral, total, sharper, Log10.from_log(truth[0])))
    columns = ("raw τ", "θ/l", "∫K", "bound", "X5", "truth")
    return Table("Other starting times and half-widths, from the midpoint", columns, rows)
