"""The equilibria of a learned flow between two modes, found by a root search, and C.4's report.

The learned drift along a segment is searched for its zero next to the midpoint, rising or falling;
Newton's method with the learned Jacobian then looks for the equilibrium of the whole field near it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.geometry import Mask
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.numbers import Number, show_share

from ...ledger.case import Case
from ...ledger.sides import Part, Tolerance
from ...ledger.verdict import Table
from ..measurement import Measurement
from ..midpoint.stretch import require_window
from ..networks.field import (
    PLACES,
    LearnedFlow,
    Segments,
    error_table,
    fields_of,
    find_segments,
    flow_of,
    median,
    root_mean_square,
    segment_errors,
    spreads,
    variances,
)
from ..networks.models import TrainedModel, require_models
from ..paths import Paths, pair_margins

_PANELS = 4  # times of the figure
BETWEEN = 0.4  # |z| below which a point counts as lying between the two modes
_MAX_ITER, _MAX_HALVINGS = 30, 12
_ZERO = 1e-6  # drift over l that counts as none: single precision leaves 1e-7


@dataclass(frozen=True, eq=False)
class LearnedSaddles:
    """Equilibria next to the P midpoints at M late nodes; NaN where the search found none.

    times (M,). z: along the pair over l. off: distance from its line over l. delta: of the error
    along n over l, at the midpoint and, as delta_there, at the equilibrium. slope, slope_net: of
    the exact and the learned drift along n at the midpoint. dominance: margin of the pair at the
    equilibrium. growth: the largest real part of an eigenvalue there. All (M, P). unstable (M, P):
    eigenvalues with a positive real part there, -1 without one. crossings (M, P): zeros of the
    learned drift along the segment between the modes. points (M, P, d): where the search ended.
    """

    times: IntArray
    z: Array
    off: Array
    delta: Array
    delta_there: Array
    slope: Array
    slope_net: Array
    dominance: Array
    growth: Array
    unstable: IntArray
    crossings: IntArray
    points: Array

    @property
    def found(self) -> Mask:
        """(M, P): where there is an equilibrium between the two modes."""
        return self.unstable >= 0


@Measurement
def learned_saddles(case: Case, model: TrainedModel) -> LearnedSaddles:
    """Of one model of a case."""
    segments, flow = find_segments(case), flow_of(case, model)
    errors = segment_errors(case, model)
    rows = [
        _at_node(flow, segments, t, drift)
        for t, drift in zip(errors.times.tolist(), errors.learned, strict=True)
    ]
    return LearnedSaddles(errors.times, *(np.array(part) for part in zip(*rows, strict=True)))


def _at_node(
    flow: LearnedFlow, segments: Segments, t: int, drift: Array
) -> tuple[Array | IntArray, ...]:
    start, crossings = nearest_zero(drift)
    y, found = newton(flow, segments.points(start[:, None])[:, 0], t, segments.length)
    place = segments.along(y - segments.midpoints)
    across = y - segments.points(place[:, None])[:, 0]
    off = np.linalg.norm(across, axis=1) / segments.length
    found &= (np.abs(place) < BETWEEN) & (off < BETWEEN)
    spectrum = np.linalg.eigvals(flow.jacobian(y, t)).real
    unstable = np.where(found, np.count_nonzero(spectrum > 0.0, axis=1), -1)
    delta, delta_there = (segments.along(flow.error(p, t)) for p in (segments.midpoints, y))
    slopes = midpoint_slopes(flow, segments, t)
    margin = _dominance(flow.case, segments, y, t)
    measured = [np.where(found, value, np.nan) for value in (place, off)]
    growth = spectrum.max(axis=1)
    there = [np.where(found, value, np.nan) for value in (delta_there, margin, growth)]
    return (*measured, delta, there[0], *slopes, *there[1:], unstable, crossings, y)


def nearest_zero(drift: Array) -> tuple[Array, IntArray]:
    """Per segment of a drift (P, G) at `PLACES`: its zero nearest to the midpoint, else the place
    of the smallest |drift|, (P,); and the number of zeros between the modes, (P,)."""
    between = np.abs(PLACES) <= BETWEEN
    z, values = PLACES[between], drift[:, between]
    left, right = values[:, :-1], values[:, 1:]
    crosses = (left < 0.0) != (right < 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = z[:-1] + (z[1:] - z[:-1]) * left / (left - right)
    distance = np.where(crosses, np.abs(at), np.inf)
    nearest = np.argmin(distance, axis=1)
    rows = np.arange(len(values))
    calm = z[np.argmin(np.abs(values), axis=1)]
    start = np.where(np.isfinite(distance[rows, nearest]), at[rows, nearest], calm)
    return start, np.count_nonzero(crosses, axis=1)


def newton(flow: LearnedFlow, y: Array, t: int, length: float) -> tuple[Array, Mask]:
    """Points (n, d) that Newton's method with halved steps reaches, and whether they are zeros."""
    y, pull = y.copy(), flow.pull(y, t)
    size = np.linalg.norm(pull, axis=1)
    for _ in range(_MAX_ITER):
        if (size <= 1e-10 * length).all():
            break
        step = -np.linalg.solve(flow.jacobian(y, t), pull[..., None])[..., 0]
        norm = np.linalg.norm(step, axis=1)
        share = np.minimum(1.0, 0.1 * length / np.maximum(norm, 1e-300))
        moved = np.zeros(len(y), dtype=bool)
        for _ in range(_MAX_HALVINGS):
            trial = y + np.where(moved, 0.0, share)[:, None] * step
            trial_pull = flow.pull(trial, t)
            better = ~moved & (np.linalg.norm(trial_pull, axis=1) < size)
            y[better], pull[better] = trial[better], trial_pull[better]
            size, moved, share = np.linalg.norm(pull, axis=1), moved | better, 0.5 * share
            if moved.all():
                break
        if not moved.any():
            break
    return y, size <= _ZERO * length


def midpoint_slopes(flow: LearnedFlow, segments: Segments, t: int) -> tuple[Array, Array]:
    """<n, J n> at the midpoints of the exact and of the learned field, each (P,)."""
    n = segments.directions
    exact, learned = (
        np.einsum("pi,pij,pj->p", n, jacobian(segments.midpoints, t), n)
        for jacobian in (flow.exact_jacobian, flow.jacobian)
    )
    return exact, learned


def _dominance(case: Case, segments: Segments, y: Array, t: int) -> Array:
    """Margin by which each segment's pair dominates at its own point y (P, d)."""
    at = Paths(np.array([t]), variances(case)[[t]], y[None])
    return np.minimum(pair_margins(case, at, segments.modes)[0], 1e300)


# -- for figures ---------------------------------------------------------------------------------


@Measurement
def learned_drift(case: Case) -> dict[str, Any]:
    """n segments; models (A,); z (G,) over l; times (K,) raw; learned (A, K, P, G), exact
    (K, P, G): drift along the segment; saddles (A, K, P): z of the learned ones, NaN without.
    stable (A,): how many of them attract, of all `found` at all late nodes."""
    require_window(case)
    models = require_models(case)
    errors = [segment_errors(case, model) for model in models]
    saddles = [learned_saddles(case, model) for model in models]
    late = errors[0].times
    at = np.unique(np.linspace(0, late.size - 1, _PANELS).round().astype(int))
    return {
        "n": len(find_segments(case).modes),
        "models": [model.label for model in models],
        "z": PLACES,
        "times": late[at],
        "learned": [e.learned[at] for e in errors],
        "exact": errors[0].exact[at],
        "saddles": [s.z[at] for s in saddles],
        "stable": [(s.unstable == 0).sum() for s in saddles],
        "found": sum(int(s.found.sum()) for s in saddles),
    }


# -- what C.4 shows ------------------------------------------------------------------------------


def shown(
    case: Case,
    models: Sequence[TrainedModel],
    saddles: Sequence[LearnedSaddles],
    chosen: Mask,
    about: Tolerance,
) -> Iterator[Part]:
    """Note, numbers and tables of C.4's learned row. chosen: where its hypotheses hold; about: how
    near a shift must be to the predicted one.

    Beside the statement, whose eigenvalue is that of the exact field, stands the same formula with
    the learned slope at the midpoint: the slope of the error is of the size of the eigenvalue.
    """
    rate = strengths(case, saddles[0].times) / 4.0 - 1.0
    yield _note(case, models, saddles, chosen)
    yield _numbers(saddles, rate, chosen, about)
    yield _table(saddles, rate, about)
    yield error_table(case, models)


def strengths(case: Case, times: IntArray) -> Array:
    """k = l^2/v at times (M,), (M, 1): lambda = k/4 - 1."""
    return np.asarray(find_segments(case).length ** 2 / variances(case)[times])[:, None]


def _near(z: Array, predicted: Array, about: Tolerance) -> Mask:
    """Where the shift is as predicted; False where unknown."""
    return np.asarray(np.abs(z - predicted) <= about.atol + about.rtol * np.abs(predicted))


def _numbers(
    saddles: Sequence[LearnedSaddles], rate: Array, chosen: Mask, about: Tolerance
) -> dict[str, Number | None]:
    near, with_net = (
        [
            float(np.mean(_near(s.z, -s.delta / slope, about)[held]))
            for s, held, slope in zip(saddles, chosen, slopes, strict=True)
            if held.any()
        ]
        for slopes in ([rate] * len(saddles), [s.slope_net for s in saddles])
    )
    return {
        "equilibria between the modes: searched": int(chosen.size),
        "found": int(sum(s.found.sum() for s in saddles)),
        "of them saddles": int(sum((s.unstable == 1).sum() for s in saddles)),
        "of them stable": int(sum((s.unstable == 0).sum() for s in saddles)),
        "segments on which the drift has further zeros": int(
            sum((s.crossings > 1).sum() for s in saddles)
        ),
    } | spreads(
        {
            "share with shift about -δ/λ": near,
            "share with shift about -δ/λ', λ' the learned slope": with_net,
            "rms shift at the last noisy node, over l": [
                root_mean_square(s.z[-1]) for s in saddles
            ],
            "rms of δ/λ at the last noisy node": [
                root_mean_square(s.delta[-1] / rate[-1]) for s in saddles
            ],
        }
    )


def _note(
    case: Case, models: Sequence[TrainedModel], saddles: Sequence[LearnedSaddles], chosen: Mask
) -> str:
    found = sum(int(s.found.sum()) for s in saddles)
    stable = sum(int((s.unstable == 0).sum()) for s in saddles)
    further = sum(int((s.crossings > 1).sum()) for s in saddles)
    errors = [segment_errors(case, model) for model in models]
    rate = float(strengths(case, saddles[0].times)[-1, 0]) / 4.0 - 1.0
    slope = np.mean([(s.slope - s.slope_net)[-1] for s in saddles]) / rate
    along, towards = (
        float(np.mean([getattr(e, name)[-1] for e in errors]))
        for name in ("share_along", "share_towards")
    )
    return (
        f"Of {chosen.size} searches {chosen.size - found} found no equilibrium between the modes; "
        f"{stable} of the others are stable, and on {further} segments the drift has further zeros "
        "between the modes. The formula takes De to be small against λ; at the "
        f"last noisy node σ_t² De takes away {slope:.4g} of λ. There {show_share(along)} of the "
        f"squared error lies along the pair and {show_share(towards)} of that points to the "
        "midpoint."
    )


def _table(saddles: Sequence[LearnedSaddles], rate: Array, about: Tolerance) -> Table:
    rows, found = [], fields_of(saddles, "z", "delta", "slope_net")
    for node, t in enumerate(saddles[0].times.tolist()):
        z, delta, net = (part[:, node] for part in found)
        near = _near(z, -delta / rate[node], about)
        off = [root_mean_square(s.off[node]) for s in saddles]
        rms = [root_mean_square(part) for part in z]
        rows.append(
            (
                t,
                float(rate[node, 0]),
                float(np.median(net)),
                root_mean_square(delta),
                root_mean_square(delta / rate[node]),
                root_mean_square(z),
                min(rms),
                max(rms),
                median(np.abs(z + delta / net)),
                float(np.mean(near)),
                float(np.mean(off)),
            )
        )
    columns = (
        "t",
        "λ",
        "learned slope, median",
        "rms δ",
        "rms δ/λ",
        "rms shift over l",
        "least model",
        "largest model",
        "median beyond -δ/(learned slope)",
        "share about -δ/λ",
        "rms distance from the line",
    )
    return Table("Learned saddles next to the midpoints of closest modes", columns, rows)
