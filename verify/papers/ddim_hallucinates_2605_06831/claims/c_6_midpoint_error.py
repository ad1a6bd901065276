r"""The midpoint bound with an inexact score.

Statement: If the score is $s + e$ with $|e| \le e_{max}$, the hypotheses of Proposition 5.1 hold
    with $2\theta K + \beta e_{max}$ in place of $2\theta K$ and
    $\lambda' = \lambda - \sup\beta\, e_{max}/\theta$, which must be positive, for $\lambda$:
    $P(|A_0| \le \theta) \le \frac{4}{\pi} \exp\Big(-\frac{\pi^2 Q}{32 \theta^2
    (2 + \int K + e_{max} Q/(2\theta))^2}\Big) +
    \exp\big(-\frac{2 \lambda' \theta^2}{\sup\beta}\big)$; $e(0)$ need not vanish.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: the closest pair is separated with margin 7 at some node of the papers' grid.
    - growth: that of Proposition 5.1 for the exact drift, $|b| \le 2\theta K(t)$ for
      $|a| \le 2\theta$.
    - outward: that of Proposition 5.1, $\mathrm{sgn}(a)\, b \ge \lambda |a|$ for all
      $|a| \ge \theta$, on states of the two modes.
    - weak: $\lambda' > 0$.
Measured: how often DDPM with the perturbed score, started at the midpoint, ends within
    $\theta = 0.15\, l$ of it, for errors along the pair, towards the midpoint, away from it and in
    waves, with $e_{max}$ a quarter and nine tenths of the size at which $\lambda'$ vanishes.
Predicted: the bound. That the perturbed drift obeys the hypotheses with the error's share is a
    triangle inequality, which nothing can break: its sides are among the numbers.
Evidence: sampled DDPM runs. An error that reverses the drift, for which $\lambda' < 0$, is reported
    beside them. Learned: the error and the drift of trained scores on the segments of closest
    modes, and DDPM from all their midpoints.
Source: arXiv 2605.06831 v1, Appendix C.6
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM
from mixdyn.score import PerturbedScore
from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.needs import modes, one_sigma
from verify.ledger.quantities import Number, number_from_log
from verify.ledger.relations import Comparison, Statistical, compare_rate
from verify.measure.midpoint.bound import growth_and_outward, published_bound
from verify.measure.midpoint.stretch import (
    HALF_WIDTH,
    DriftRange,
    Window,
    elapsed_noise,
    find_window,
)
from verify.measure.networks import learned_escape
from verify.measure.score_errors.inexact import (
    Curve,
    ErrorField,
    Ridge,
    amplitude,
    fixed,
    perturbed_model,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="C.6",
    short="inexact: midpoint",
    rests_on={"P5.1": "the bound it extends"},
    needs=(modes(2), one_sigma),
    basis=(Basis.SAMPLED, Basis.LEARNED),
    derivation="derivations/return_term.py",
    does_not_show=(
        "Anything about DDPM with a learned score: the bound exceeds that of Proposition 5.1, "
        "which says nothing already, and the errors that trap a path are those its hypothesis "
        "excludes."
    ),
)

_NOTE = (
    "The bound is P5.1's with larger terms, and exceeds 1 as that does. DDPM's chain is discrete; "
    "the statement is about the continuous process."
)
SHARES = (0.25, 0.9)  # of the size at which lambda' vanishes
SCALE = 0.9  # of the least share that a control's count allows: it fails, and narrowly
REVERSED = "an error that reverses the drift, against nine tenths of the least share it leaves"


@dataclass(frozen=True)
class Perturbed:
    """One error: its name, share of the limit and e_max; sup |b|/(2 theta) and the outward rate of
    the perturbed drift at times 1..tau (t,); DDPM's share near the midpoint; the logs of the two
    terms of the bound."""

    name: str
    share: float
    e_max: float
    sup: Array
    outward: Array
    ended: Proportion
    log_confinement: float
    log_return: float

    @property
    def log_bound(self) -> float:
        """log of the sum."""
        return float(np.logaddexp(self.log_confinement, self.log_return))


def check(case: Case) -> list[Verdict]:
    """DDPM runs against the bound; then trained models."""
    return [_judge(case), *learned_escape.rows(CLAIM, case)]


def mutants(case: Case) -> dict[str, Verdict]:
    """Runs under an error that `weak` excludes, against a bound small enough to be exceeded."""
    found = learned_escape.mutants(CLAIM, case)
    broken = _reversed(case)
    return found if broken is None else found | {REVERSED: broken}


def _judge(case: Case) -> Verdict:
    window, common = find_window(case), Hypothesis("common_sigma", 1.0, 0.0)
    if window is None:
        finding = Finding(hypotheses=[common, Hypothesis("separation", 0.0)])
        return CLAIM.judge(case, finding)
    separated = [common, Hypothesis("separation", 1.0, 0.0)]
    exact = case.memo("P5.1 bound", lambda: published_bound(case, window, HALF_WIDTH, window.t))
    rate = float((exact.drift.outward * elapsed_noise(case, window.t)).min())
    if rate <= 0.0:
        finding = Finding(hypotheses=[*separated, Hypothesis("weak", 0.0, -rate)])
        return CLAIM.judge(case, finding)
    growth, outward, share = case.memo(
        "P5.1 hypotheses", lambda: growth_and_outward(case, window, exact)
    )
    found = case.memo("C.6 found", lambda: _perturbed(case, window, exact.drift))
    trapped = case.memo("C.6 trapped", lambda: _trapped(case, window, exact.drift))

    def witness(comparison: Comparison) -> dict[str, Any]:
        place = {"pair": [window.pair.i, window.pair.j], "t": window.t, "theta": exact.theta}
        return {**place, "quantity": comparison.name}

    finding = Finding(
        comparisons=_ended(found),
        hypotheses=[*separated, growth, outward, Hypothesis("weak", 1.0, 0.0)],
        applicable_share=share,
        nonvacuous_share=float(np.mean([p.log_bound < 0.0 for p in found])),
        witness=witness,
        unit="samples",
        note=_NOTE if share > 0.0 else "",
        numbers=_numbers(case, window, exact.drift, trapped)
        | _triangle(found, exact.drift, exact.theta),
        tables=[_table(found)],
    )
    return CLAIM.judge(case, finding)


def _reversed(case: Case) -> Verdict | None:
    """An error that reverses the drift, its bound scaled to just below the least share of runs that
    its count allows; None where no run ends near the midpoint, or there is no row to control."""
    window = find_window(case)
    if window is None or "C.6 trapped" not in case.workspace:
        return None
    count = case.workspace["C.6 trapped"][1]
    least = SCALE * count.interval(Statistical().miss)[0]
    if least <= 0.0:
        return None
    compared = compare_rate("share of DDPM runs, reversing", Statistical(), count, least)
    place = {"pair": [window.pair.i, window.pair.j], "t": window.t}
    finding = Finding(comparisons=[compared], witness=lambda comparison: place, unit="samples")
    return CLAIM.judge(case, finding)


def _triangle(found: list[Perturbed], exact: DriftRange, theta: float) -> dict[str, Number | None]:
    """By how much the perturbed drift stays inside what the triangle inequality allows."""
    above = [p.sup - (exact.sup + p.e_max / (2.0 * theta)) for p in found]
    below = [exact.outward - p.e_max / theta - p.outward for p in found]
    size = float(exact.sup.max())
    return {
        "sup |b| under the errors less what is allowed, over the largest": float(np.max(above))
        / size,
        "outward rate allowed less that under the errors, over the largest": float(np.max(below))
        / size,
    }


def _ended(found: list[Perturbed]) -> list[Comparison]:
    """DDPM's share near the midpoint against the bound, for the error of each size that ends there
    most often."""
    worst = [
        max((p for p in found if p.share == share), key=lambda p: p.ended.successes)
        for share in SHARES
    ]
    return [
        compare_rate(
            f"share of DDPM runs, {p.name}",
            Statistical(),
            p.ended,
            number_from_log(p.log_bound),
        )
        for p in worst
    ]


def _errors(window: Window, e_max: float) -> Iterator[ErrorField]:
    n, origin, wide = window.pair.direction, window.pair.midpoint, 8.0 / window.pair.length
    shapes = {
        "along": Ridge(1.0, n, 0.0 * n, Curve.CONSTANT),
        "towards the midpoint": Ridge(-1.0, n, 20.0 * wide * n),
        "away from it": Ridge(1.0, n, wide * n),
        "waves": Ridge(1.0, n, 2.0 * wide * n, Curve.SINE),
    }
    for name, ridge in shapes.items():
        yield ErrorField(name, origin, (ridge,), fixed(e_max))


def _perturbed(case: Case, window: Window, exact: DriftRange) -> list[Perturbed]:
    theta = HALF_WIDTH * window.pair.length
    step_noise = elapsed_noise(case, window.t)
    noise, beta_max = float(step_noise.sum()), float(step_noise.max())
    rate = float((exact.outward * step_noise).min())
    found = []
    for share in SHARES:
        e_max = share * rate * theta / beta_max
        integral = float(exact.sup @ step_noise) + e_max * noise / (2.0 * theta)
        weaker = rate - beta_max * e_max / theta
        terms = bounds.log_midpoint_terms(theta, noise, integral, weaker, beta_max)
        logs = (float(terms[0]), float(terms[1]))
        for error in _errors(window, e_max):
            model = perturbed_model(case.mixture, case.schedule, error)
            sup, outward = _extremes(case, window, model, theta)
            name = f"{error.name}, {share:g} of the limit"
            ended = _ddpm(case, window, model, theta, name)
            found.append(Perturbed(name, share, e_max, sup, outward, ended, *logs))
    return found


def _extremes(
    case: Case, window: Window, model: PerturbedScore, theta: float
) -> tuple[Array, Array]:
    """sup |b|/(2 theta) and the least outward rate on [theta, 2 theta] at times 1..tau, (t,)."""
    pair = window.pair
    a = 2.0 * theta * np.arange(1, 201) / 200
    a = np.concatenate([a, -a])
    far = np.abs(a) >= theta * (1.0 - 1e-12)
    rows = []
    for t in range(1, window.t + 1):
        x = case.schedule.alpha[t] * pair.midpoint + a[:, None] * pair.direction
        score = -model.eps(x, t) / math.sqrt(float(case.schedule.noise_var[t]))
        b = 0.5 * a + score @ pair.direction
        rows.append((np.abs(b).max() / (2.0 * theta), (b / a)[far].min()))
    sup, outward = np.array(rows).T
    return sup, outward


def _ddpm(
    case: Case, window: Window, model: PerturbedScore, theta: float, label: str
) -> Proportion:
    """How many DDPM runs from the midpoint end within theta of it."""
    n = max(16, case.pick(40_000, 2_000_000) // (case.mixture.d * window.t))
    x = np.tile(case.schedule.alpha[window.t] * window.pair.midpoint, (n, 1))
    seed = case.stream(f"C.6 {label}")
    out = sample(model, case.schedule, DDPM(), x=x, start=window.t, rng=seed)
    inside = np.abs(window.pair.bisector_coordinate(np.asarray(out.x))) <= theta
    return Proportion(int(inside.sum()), n)


def _trapped(case: Case, window: Window, exact: DriftRange) -> tuple[float, Proportion]:
    """e_max of an error that reverses the drift, and how often DDPM ends near the midpoint."""
    theta, sigma2 = HALF_WIDTH * window.pair.length, float(case.mixture.sigma) ** 2
    levels = {sigma2 + float(case.schedule.rho[t]): t for t in range(1, window.t + 1)}

    def size(v: float) -> float:
        # Half as much again as the largest drift within 2 theta at that time.
        return 1.5 * 2.0 * theta * float(exact.sup[levels[v] - 1])

    ridge = Ridge(-1.0, window.pair.direction, 40.0 / window.pair.length * window.pair.direction)
    error = ErrorField("reversing", window.pair.midpoint, (ridge,), size)
    model = perturbed_model(case.mixture, case.schedule, error)
    return max(size(v) for v in levels), _ddpm(case, window, model, theta, "reversing")


def _numbers(
    case: Case, window: Window, exact: DriftRange, trapped: tuple[float, Proportion]
) -> dict[str, Number | None]:
    """The limit on e_max, and what an error that reverses the drift does."""
    theta, step_noise = HALF_WIDTH * window.pair.length, elapsed_noise(case, window.t)
    beta_max, sigma = float(step_noise.max()), float(case.mixture.sigma)
    rate = float((exact.outward * step_noise).min())
    limit = rate * theta / beta_max
    largest, count = trapped
    level = amplitude(sigma**2 + float(case.schedule.rho[window.t]), sigma)
    return {
        "e_max at which λ' vanishes": limit,
        "the same over the score half-way to a mode, at τ": 4.0
        * limit
        * level
        / window.pair.length,
        "an error that reverses the drift: e_max over that limit": largest / limit,
        "its λ'": rate - beta_max * largest / theta,
        "its share of DDPM runs that end within θ": count.rate,
        "share of times at which the paper's own check holds, outward on [θ, 2θ] alone": float(
            np.mean(exact.outward > 0.0)
        ),
    }


def _table(found: list[Perturbed]) -> Table:
    rows = [
        (
            p.name,
            p.e_max,
            number_from_log(p.log_confinement),
            number_from_log(p.log_return),
            p.ended.rate,
            p.ended.interval()[1],
        )
        for p in found
    ]
    columns = ("error", "e_max", "first term", "second term", "DDPM share", "at most, 95 %")
    return Table("Bound and DDPM from the midpoint, under errors of the score", columns, rows)
