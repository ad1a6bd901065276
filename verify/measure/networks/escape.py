"""The error and the drift of a trained score between two modes, DDPM there, and what C.6 shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.support.checks import Array
from mixdyn.support.numbers import Number, show_share
from mixdyn.support.statistics import Proportion

from ...ledger.case import Case
from ...ledger.sides import Part
from ..midpoint.bound import Bound
from ..midpoint.stretch import HALF_WIDTH, Window
from ..paths import ddim_grid
from .field import find_segments, flow_of, spreads, variances
from .models import TrainedModel

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
        pull = flow.pull(flat, t)
        error = gain * np.linalg.norm(pull - flow.exact_pull(flat, t), axis=1).reshape(y.shape[:2])
        score = gain * segments.length * segments.along(pull.reshape(y.shape))
        b = 0.5 * a + score
        outward = (b[:, far] / a[far]).min(axis=1)
        rows.append((error.max(axis=1), np.abs(b).max(axis=1) / (2.0 * theta), outward))
    error, sup, outward = (np.array(part).T for part in zip(*rows, strict=True))
    count = -(-case.pick(2000, 40_000) // len(segments.midpoints))
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
    """The bound's ingredients, per model and segment (A, P): lambda', int K' and the log of the
    first term."""

    weaker: Array
    drift: Array
    log_confinement: Array

    @property
    def log_bound(self) -> Array:
        """log of the bound's two terms: 0 and more where the second has lambda' <= 0, (A, P)."""
        second = np.where(self.weaker > 0.0, -np.inf, 0.0)
        return np.asarray(np.logaddexp(self.log_confinement, second))


def terms_of(exact: Bound, found: Sequence[Escape]) -> Terms:
    """With the largest error on each segment in the exact drift's bound."""
    e_max = np.array([e.error.max(axis=1) for e in found])
    drift = exact.integral + e_max * exact.noise / (2.0 * exact.theta)
    first = bounds.log_midpoint_terms(exact.theta, exact.noise, drift, 0.0, exact.beta_max)[0]
    weaker = exact.least - exact.beta_max * e_max / exact.theta
    return Terms(weaker, drift, np.asarray(first))


def shown(window: Window, exact: Bound, terms: Terms, found: Sequence[Escape]) -> Iterator[Part]:
    """Note and numbers of C.6's learned row."""
    yield _note(exact, terms, found)
    yield _numbers(window, exact, terms, found)


def _pooled(found: Sequence[Escape]) -> Proportion:
    hits, trials = (sum(getattr(e.ended, n) for e in found) for n in ("successes", "trials"))
    return Proportion(hits, trials)


def _note(exact: Bound, terms: Terms, found: Sequence[Escape]) -> str:
    e_max = np.array([e.error.max() for e in found])
    first = math.exp(terms.log_confinement.min())
    held = float(np.mean([(e.outward > 0.0).all(axis=1) for e in found]))
    return (
        f"The bound says nothing about these scores: e_max is {e_max.min():.3g} to "
        f"{e_max.max():.3g}, so that λ' = {terms.weaker.min():.3g} to {terms.weaker.max():.3g} "
        f"where λ = {exact.least:.3g}; its first term is {first:.3g} or more. The learned drift "
        f"itself points outward on [θ, 2θ] at all times on {show_share(held)} of the segments. "
        f"From the midpoints DDPM ends within θ in {show_share(_pooled(found).rate)} of the runs, "
        f"DDIM in {show_share(float(np.mean([e.kept for e in found])))}."
    )


def _numbers(
    window: Window, exact: Bound, terms: Terms, found: Sequence[Escape]
) -> dict[str, Number | None]:
    low, high = _pooled(found).interval()
    return {
        "τ, raw time": window.t,
        "e_max at which λ' vanishes": exact.least * exact.theta / exact.beta_max,
        "λ": exact.least,
        **spreads(
            {
                "e_max between the modes": [e.error.max() for e in found],
                "λ'": [row.min() for row in terms.weaker],
                "∫K + e_max Q/(2θ)": [row.max() for row in terms.drift],
                "first term": [math.exp(row.max()) for row in terms.log_confinement],
                "learned sup |b| over the exact one, last noisy time": [
                    float(np.median(e.sup[:, 0]) / exact.drift.sup[0]) for e in found
                ],
                "share of segments with an outward learned drift": [
                    float(np.mean(e.outward.min(axis=1) > 0.0)) for e in found
                ],
                "share of DDPM runs that end within θ": [e.ended.rate for e in found],
                "share of DDIM runs that do": [e.kept for e in found],
            }
        ),
        "DDPM runs": _pooled(found).trials,
        "95 % from": low,
        "95 % to": high,
    }
