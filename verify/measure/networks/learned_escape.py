"""The learned row of C.6: the midpoint bound with the error of a trained score, and DDPM there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion

from ...ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from ...ledger.quantities import Number, number_from_log, show_share
from ...ledger.relations import Comparison, Lower, Statistical, Upper, compare, compare_rate
from ..midpoint.stretch import (
    HALF_WIDTH,
    DriftRange,
    Window,
    drift_range,
    elapsed_noise,
    find_window,
)
from ..paths import ddim_grid
from .field import field_mutants, find_segments, flow_of, named, spread, variances
from .models import TrainedModel, learned_rows

_PLACES = np.arange(1, 21) / 20  # |a| over 2 theta


@dataclass(frozen=True, eq=False)
class Escape:
    """One model on P segments at the times 1..tau of a window, in the units of the score.

    error (P, t): sup |e| over |a| <= 2 theta. sup, outward (P, t): of the learned drift, as in
    `DriftRange`. ended: DDPM runs from the midpoints that end within theta of them. kept: the same
    share of DDIM on the papers' nodes, one run from each midpoint.
    """

    error: Array
    sup: Array
    outward: Array
    ended: Proportion
    kept: float


def escape(case: Case, model: TrainedModel, window: Window) -> Escape:
    """Measured once for each model of a case."""
    return case.memo(f"learned escape {model.name}", lambda: _measure(case, model, window))


def _measure(case: Case, model: TrainedModel, window: Window) -> Escape:
    segments, flow, v = find_segments(case), flow_of(case, model), variances(case)
    theta = HALF_WIDTH * window.pair.length
    a = 2.0 * theta * np.concatenate([-_PLACES[::-1], [0.0], _PLACES])
    far = np.abs(a) >= theta * (1.0 - 1e-12)
    rows = []
    for t in range(1, window.t + 1):
        alpha_t = float(case.schedule.alpha[t])
        y = segments.points(a / (alpha_t * segments.length))
        flat, gain = y.reshape(-1, y.shape[2]), 1.0 / (alpha_t * float(v[t]))
        error = gain * np.linalg.norm(flow.error(flat, t), axis=1).reshape(y.shape[:2])
        score = gain * segments.length * segments.along(flow.pull(flat, t).reshape(y.shape))
        b = 0.5 * a + score
        outward = (b[:, far] / a[far]).min(axis=1)
        rows.append((error.max(axis=1), np.abs(b).max(axis=1) / (2.0 * theta), outward))
    error, sup, outward = (np.array(part).T for part in zip(*rows, strict=True))
    count = -(-case.pick(4000, 40_000) // len(segments.midpoints))
    ended = _from_midpoints(case, model, window, DDPM(), count)
    kept = _from_midpoints(case, model, window, DDIM(spacing=ddim_grid(case)), 1)
    return Escape(error, sup, outward, ended, kept.rate)


def _from_midpoints(
    case: Case, model: TrainedModel, window: Window, sampler: Sampler, count: int
) -> Proportion:
    """How many of `count` runs from each midpoint at the window's start end within theta of it."""
    segments, theta = find_segments(case), HALF_WIDTH * window.pair.length
    y = np.repeat(segments.midpoints, count, axis=0)
    x, rng = case.schedule.alpha[window.t] * y, case.stream("C.6 learned")
    out = sample(model.score, case.schedule, sampler, x=x, start=window.t, rng=rng)
    offset = np.asarray(out.x) - y
    along = np.einsum("nd,nd->n", offset, np.repeat(segments.directions, count, axis=0))
    return Proportion(int(np.count_nonzero(np.abs(along) <= theta)), len(y))


@dataclass(frozen=True, eq=False)
class Terms:
    """The bound's ingredients: lambda and sup beta of the exact drift; per model and segment (A, P)
    lambda', int K' and the log of the first term."""

    rate: float
    beta_max: float
    weaker: Array
    drift: Array
    log_confinement: Array


def rows(claim: Claim, case: Case) -> list[Verdict]:
    """The learned row of a case, where it has trained models."""
    return learned_rows(claim, case, lambda models: _row(claim, case, models))


def mutants(claim: Claim, case: Case) -> dict[str, Verdict]:
    """Half the error, where the row measures anything."""
    return field_mutants(
        claim, case, {"learned: half the error": lambda models: _row(claim, case, models, 0.5)}
    )


def _row(
    claim: Claim, case: Case, models: Sequence[TrainedModel], error_factor: float = 1.0
) -> Verdict:
    """error_factor: on what the drift's bounds allow for the error (mutant)."""
    window, common = find_window(case), Hypothesis("common_sigma", 1.0, 0.0)
    if window is None:
        finding = Finding(hypotheses=[common, Hypothesis("separation", 0.0)], model=named(models))
        return claim.judge(case, finding, Basis.LEARNED)
    theta = HALF_WIDTH * window.pair.length
    exact = case.memo("C.6 exact", lambda: drift_range(case, window.pair, theta, window.t))
    found = [escape(case, model, window) for model in models]
    terms = _terms(case, window, exact, found)
    comparisons = _compare(models, found, exact, terms, theta, error_factor)

    def witness(comparison: Comparison) -> dict[str, Any]:
        return {"quantity": comparison.name, "t": window.t, "theta": theta}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[
            common,
            Hypothesis("separation", 1.0, 0.0),
            Hypothesis.from_slack("weak", terms.weaker.ravel()),
        ],
        nonvacuous_share=float(np.mean(_log_bound(terms) < 0.0)),
        witness=witness,
        unit="models × segments × times",
        note=_note(terms, found),
        numbers=_numbers(window, terms, found, exact, theta),
        model=named(models),
    )
    return claim.judge(case, finding, Basis.LEARNED)


def _terms(case: Case, window: Window, exact: DriftRange, found: Sequence[Escape]) -> Terms:
    theta = HALF_WIDTH * window.pair.length
    step_noise = elapsed_noise(case, window.t)
    noise, beta_max = float(step_noise.sum()), float(step_noise.max())
    rate = float((exact.outward * step_noise).min())
    e_max = np.array([e.error.max(axis=1) for e in found])
    drift = float(exact.sup @ step_noise) + e_max * noise / (2.0 * theta)
    confinement = bounds.log_midpoint_terms(theta, noise, drift, 0.0, beta_max)[0]
    return Terms(rate, beta_max, rate - beta_max * e_max / theta, drift, np.asarray(confinement))


def _log_bound(terms: Terms) -> Array:
    """log of the bound's two terms: 0 and more where the second has lambda' <= 0, (A, P)."""
    theta_term = np.where(terms.weaker > 0.0, -np.inf, 0.0)
    return np.asarray(np.logaddexp(terms.log_confinement, theta_term))


def _compare(
    models: Sequence[TrainedModel],
    found: Sequence[Escape],
    exact: DriftRange,
    terms: Terms,
    theta: float,
    error_factor: float,
) -> list[Comparison]:
    """DDPM's share of each model against its own bound; the learned drift against the exact one and
    the error."""
    own_bounds = [number_from_log(float(row.max())) for row in _log_bound(terms)]
    error = error_factor * np.array([e.error for e in found])
    return [
        *(
            compare_rate(f"share of DDPM runs of {m.name}", Statistical(), e.ended, bound)
            for m, e, bound in zip(models, found, own_bounds, strict=True)
        ),
        compare(
            "sup |b| over 2θ under the learned score",
            Upper(rtol=1e-3),
            [e.sup for e in found],
            exact.sup + error / (2.0 * theta),
        ),
        compare(
            "outward rate under the learned score",
            Lower(rtol=1e-3),
            [e.outward for e in found],
            exact.outward - error / theta,
        ),
    ]


def _pooled(found: Sequence[Escape]) -> Proportion:
    hits, trials = (sum(getattr(e.ended, n) for e in found) for n in ("successes", "trials"))
    return Proportion(hits, trials)


def _note(terms: Terms, found: Sequence[Escape]) -> str:
    e_max = np.array([e.error.max() for e in found])
    held = float(np.mean(np.array([e.outward for e in found]).min(axis=2) > 0.0))
    return (
        f"The bound says nothing about these scores: e_max is {e_max.min():.3g} to "
        f"{e_max.max():.3g}, so that λ' = {terms.weaker.min():.3g} to {terms.weaker.max():.3g} "
        f"where λ = {terms.rate:.3g}; its first term is {math.exp(terms.log_confinement.min()):.3g}"
        f" or more. The learned drift itself points outward on [θ, 2θ] at all times on "
        f"{show_share(held)} of the segments. From the midpoints DDPM ends within θ in "
        f"{show_share(_pooled(found).rate)} of the runs, DDIM in "
        f"{show_share(float(np.mean([e.kept for e in found])))}."
    )


def _numbers(
    window: Window,
    terms: Terms,
    found: Sequence[Escape],
    exact: DriftRange,
    theta: float,
) -> dict[str, Number | None]:
    numbers: dict[str, Number | None] = {
        "τ, raw time": window.t,
        "e_max at which λ' vanishes": terms.rate * theta / terms.beta_max,
        "λ": terms.rate,
    }
    series = {
        "e_max between the modes": [e.error.max() for e in found],
        "λ'": [row.min() for row in terms.weaker],
        "∫K + e_max Q/(2θ)": [row.max() for row in terms.drift],
        "first term": [number_from_log(float(row.max())) for row in terms.log_confinement],
        "learned sup |b| over the exact one, last noisy time": [
            float(np.median(e.sup[:, 0]) / exact.sup[0]) for e in found
        ],
        "share of segments with an outward learned drift": [
            float(np.mean(e.outward.min(axis=1) > 0.0)) for e in found
        ],
        "share of DDPM runs that end within θ": [e.ended.rate for e in found],
        "share of DDIM runs that do": [e.kept for e in found],
    }
    for name, values in series.items():
        numbers |= spread(name, values)
    low, high = _pooled(found).interval()
    return numbers | {"DDPM runs": _pooled(found).trials, "95 % from": low, "95 % to": high}
