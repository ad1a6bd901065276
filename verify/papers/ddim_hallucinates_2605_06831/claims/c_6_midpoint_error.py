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
    modes, and DDPM from all their midpoints. Certified: suprema of trained scores' errors there, by
    enclosures of network and mixture, and that they break `weak`.
Source: arXiv 2605.06831 v1, Appendix C.6
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds
from mixdyn.score import PerturbedScore
from mixdyn.support.checks import Array
from mixdyn.support.numbers import Number, number_from_log
from mixdyn.support.statistics import VERDICT_MISS, Proportion
from verify.ledger.case import Case, Profile
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.midpoint.bound import Bound, ended_near, growth_and_outward, own_bound
from verify.measure.midpoint.stretch import HALF_WIDTH, Window, find_window
from verify.measure.networks.escape import escape, shown, terms_of
from verify.measure.networks.field import fields_of, named
from verify.measure.networks.models import TrainedModel, networks
from verify.measure.paths import ddim_grid
from verify.measure.score_errors.inexact import (
    Curve,
    ErrorField,
    Ridge,
    amplitude,
    fixed,
    perturbed_model,
)
from verify.measure.score_errors.proved import ErrorSuprema, error_suprema

CLAIM = Claim.from_docstring(
    __doc__,
    id="C.6",
    short="inexact: midpoint",
    rests_on={"P5.1": "the bound it extends"},
    needs=(
        modes(2),
        one_sigma.because(
            "the drift along a pair depends on the place across it where widths differ"
        ),
    ),
    derivation="derivations/midpoint/return_term.py",
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


@CLAIM.sampled(unit="samples")
def runs(case: Case, reversing: bool = False) -> Iterator[Part]:
    """DDPM runs against the bound. reversing: runs under an error that `weak` excludes instead,
    against a share just below the least that their count allows."""
    window = find_window(case)
    if window is None:
        yield Hypothesis("separation", 0.0)
        return
    exact = own_bound(case, window)
    where = {"pair": [window.pair.i, window.pair.j], "t": window.t, "theta": exact.theta}
    if reversing:
        count = _reversed(case, window)[1]
        least = SCALE * count.interval(VERDICT_MISS)[0]
        yield Side("share of DDPM runs, reversing", count, at_most=least, where=where)
        return
    yield Hypothesis("separation", 1.0, 0.0)
    if exact.least <= 0.0:
        yield Hypothesis("weak", 0.0, -exact.least)
        return
    growth, outward, held = growth_and_outward(case, window)
    yield from (growth, outward, Hypothesis("weak", 1.0, 0.0))
    found = _perturbed(case, window, exact)
    for share in SHARES:
        # The error of each size under which DDPM ends near the midpoint most often.
        worst = max((p for p in found if p.share == share), key=lambda p: p.ended.successes)
        bound = number_from_log(worst.log_bound)
        yield Side(f"share of DDPM runs, {worst.name}", worst.ended, at_most=bound, where=where)
    telling = float(np.mean([p.log_bound < 0.0 for p in found]))
    yield Facts(applicable=held, nonvacuous=telling)
    if held > 0.0:
        yield _NOTE
    yield _numbers(case, window, exact)
    yield _triangle(found, exact)
    yield _table(found)


@CLAIM.learned(unit="models × segments × times", of=networks)
def learned(case: Case, models: Sequence[TrainedModel], counted: float = 1.0) -> Iterator[Part]:
    """DDPM's share of each model against its own bound; the learned drift against the exact one and
    the error. counted: a factor on what is allowed for the error."""
    yield Facts(model=named(models))
    window = find_window(case)
    if window is None:
        yield Hypothesis("separation", 0.0)
        return
    exact = own_bound(case, window)
    found = [escape(case, model, window) for model in models]
    error, sup, outward = fields_of(found, "error", "sup", "outward")
    terms = terms_of(exact, found)
    yield Hypothesis("separation", 1.0, 0.0)
    yield Hypothesis.from_slack("weak", terms.weaker)
    where = {"t": window.t, "theta": exact.theta}
    for model, each, log_bound in zip(models, found, terms.log_bound, strict=True):
        bound = number_from_log(float(log_bound.max()))
        yield Side(f"share of DDPM runs of {model.name}", each.ended, at_most=bound, where=where)
    tolerance, error = Tolerance(rtol=1e-3), counted * error
    name = "sup |b| over 2θ under the learned score"
    allowed = exact.drift.sup + error / (2.0 * exact.theta)
    yield Side(name, sup, at_most=allowed, tolerance=tolerance, where=where)
    name = "outward rate under the learned score"
    allowed = exact.drift.outward - error / exact.theta
    yield Side(name, outward, at_least=allowed, tolerance=tolerance, where=where)
    yield Facts(nonvacuous=float(np.mean(terms.log_bound < 0.0)))
    yield from shown(window, exact, terms, found)


@CLAIM.certified(unit="models × segments", of=networks)
def suprema(
    case: Case, models: Sequence[TrainedModel], counted: float = 1.0, weaker: float = 1.0
) -> Iterator[Part]:
    """What |e| is on |a| <= 2 theta, proved, against what doubles find at points; and that no
    segment meets `weak`, as some |e| is proved to be too large. counted: a factor on the proved
    supremum; weaker: on the proved error."""
    window = find_window(case)
    if window is None:
        yield Hypothesis("separation", 0.0)
        return
    yield Hypothesis("separation", 1.0, 0.0)
    exact, found = own_bound(case, window), _suprema(case, models, window)
    sup, least, sampled = (part.max(axis=1) for part in fields_of(found, "sup", "least", "sampled"))
    where = {"model": np.array([model.name for model in models])[:, None]}
    name = "largest |e| that doubles find, against the proved supremum"
    tolerance = Tolerance(rtol=1e-9)
    yield Side(name, sampled, at_most=counted * sup, tolerance=tolerance, where=where)
    name = "proved supremum of |e|, against 1.1 times the largest that is proved to occur"
    yield Side(name, sup, at_most=1.1 * least, tolerance=tolerance, where=where)
    # The least rate at points is above the infimum that the statement asks for.
    rate = exact.least - exact.beta_max * weaker * least / exact.theta
    name = "λ' by the proved error, over λ"
    yield Side(name, rate / abs(exact.least), at_most=0.0, tolerance=Tolerance(atol=1e-9))
    yield Facts(model=named(models))
    yield lambda: _of_suprema(exact, found)


def _suprema(case: Case, models: Sequence[TrainedModel], window: Window) -> list[ErrorSuprema]:
    """On 4 segments at 3 times of the window, in full on all at all nodes."""
    last = window.t
    times = tuple(sorted({last, max(1, last // 4), 1}, reverse=True))
    if case.profile is Profile.FULL:
        times = tuple(t for t in ddim_grid(case).times.tolist() if 1 <= t <= last)
    reach = 2.0 * HALF_WIDTH * window.pair.length
    most = case.pick(4, 40)
    return [error_suprema(case, m, times=times, reach=reach, most=most) for m in models]


def _of_suprema(exact: Bound, found: Sequence[ErrorSuprema]) -> dict[str, Number | None]:
    sup, least, steepest = fields_of(found, "sup", "least", "steepest")
    return {
        "proved supremum over the largest proved to occur, at most": float((sup / least).max()),
        "e_max at which λ' vanishes": exact.least * exact.theta / exact.beta_max,
        "least of the proved suprema": float(sup.max(axis=1).min()),
        "largest proved slope of the error's velocity along a pair": float(steepest.max()),
    }


def _any_reversed(case: Case) -> bool:
    """Whether a run under the reversing error ends near the midpoint."""
    window = find_window(case)
    return window is not None and _reversed(case, window)[1].successes > 0


CLAIM.must_fail(
    runs,
    "an error that reverses the drift, against nine tenths of the least share it leaves",
    when=_any_reversed,
    reversing=True,
)
CLAIM.must_fail(learned, "learned: half the error", counted=0.5)
CLAIM.must_fail_narrowly(
    suprema, "(1 - {}) of the proved supremum", 0.5, counted=lambda less: 1.0 - less
)
CLAIM.must_fail(suprema, "a hundred-thousandth of the error", weaker=1e-5)


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


def _triangle(found: list[Perturbed], exact: Bound) -> dict[str, Number | None]:
    """By how much the perturbed drift stays inside what the triangle inequality allows."""
    above = [p.sup - (exact.drift.sup + p.e_max / (2.0 * exact.theta)) for p in found]
    below = [exact.drift.outward - p.e_max / exact.theta - p.outward for p in found]
    size = float(exact.drift.sup.max())
    return {
        f"{name}, over the largest": float(np.max(gap)) / size
        for name, gap in (
            ("sup |b| under the errors less what is allowed", above),
            ("outward rate allowed less that under the errors", below),
        )
    }


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


def _perturbed(case: Case, window: Window, exact: Bound) -> list[Perturbed]:
    theta, noise, beta_max = exact.theta, exact.noise, exact.beta_max
    found = []
    for share in SHARES:
        e_max = share * exact.least * theta / beta_max
        integral = exact.integral + e_max * noise / (2.0 * theta)
        weaker = exact.least - beta_max * e_max / theta
        terms = bounds.log_midpoint_terms(theta, noise, integral, weaker, beta_max)
        logs = (float(terms[0]), float(terms[1]))
        for error in _errors(window, e_max):
            model = perturbed_model(case.mixture, case.schedule, error)
            sup, outward = _extremes(case, window, model, theta)
            name = f"{error.name}, {share:g} of the limit"
            ended = _ddpm(case, window, model, name)
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


def _ddpm(case: Case, window: Window, model: PerturbedScore, label: str) -> Proportion:
    return ended_near(case, window, model, case.pick(40_000, 2_000_000), f"C.6 {label}")


def _reversed(case: Case, window: Window) -> tuple[float, Proportion]:
    """e_max of an error that reverses the drift, and how often DDPM ends near the midpoint."""
    exact, sigma2 = own_bound(case, window), float(case.mixture.sigma) ** 2
    levels = {sigma2 + float(case.schedule.rho[t]): t for t in range(1, window.t + 1)}

    def size(v: float) -> float:
        # Half as much again as the largest drift within 2 theta at that time.
        return 1.5 * 2.0 * exact.theta * float(exact.drift.sup[levels[v] - 1])

    ridge = Ridge(-1.0, window.pair.direction, 40.0 / window.pair.length * window.pair.direction)
    error = ErrorField("reversing", window.pair.midpoint, (ridge,), size)

    def run() -> tuple[float, Proportion]:
        model = perturbed_model(case.mixture, case.schedule, error)
        return max(size(v) for v in levels), _ddpm(case, window, model, "reversing")

    return case.memo("C.6 reversed", run)


def _numbers(case: Case, window: Window, exact: Bound) -> dict[str, Number | None]:
    """The limit on e_max, and what an error that reverses the drift does."""
    limit, sigma = exact.least * exact.theta / exact.beta_max, float(case.mixture.sigma)
    largest, count = _reversed(case, window)
    level = amplitude(sigma**2 + float(case.schedule.rho[window.t]), sigma)
    relative = 4.0 * limit * level / window.pair.length
    return {
        "e_max at which λ' vanishes": limit,
        "the same over the score half-way to a mode, at τ": relative,
        "an error that reverses the drift: e_max over that limit": largest / limit,
        "its λ'": exact.least - exact.beta_max * largest / exact.theta,
        "its share of DDPM runs that end within θ": count.rate,
        "share of times at which the paper's own check holds, outward on [θ, 2θ] alone": float(
            np.mean(exact.drift.outward > 0.0)
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
