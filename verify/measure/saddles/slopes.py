"""Slopes and eigenvalues of a trained score's flow at the midpoints, and what C.5 shows of them.

The midpoint itself is no equilibrium of a learned flow, whose saddles have moved; so two things are
counted, the sign of the slope at the midpoint and the kind of the equilibrium next to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds
from mixdyn.geometry import Mask
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.numbers import Number

from ...ledger.case import Case
from ...ledger.sides import Part
from ...ledger.verdict import Table
from ..measurement import Measurement
from ..networks.field import (
    fields_of,
    find_segments,
    flow_of,
    late_nodes,
    median,
    spreads,
    variances,
)
from ..networks.models import TrainedModel
from .learned import LearnedSaddles

# n is an eigenvector of the exact Jacobian, so that De n is parallel to n iff J n is, J the learned
# one. Tangent of the angle between n and J n up to which the two count as parallel.
ALIGNED = 0.1


@dataclass(frozen=True, eq=False)
class MidpointSlopes:
    """One model at the midpoints. rate (M,): lambda. All others (M, P). shift: sigma_t^2 <n, De n>.
    measured: slope of the learned drift along n by differences. growth, lowest: largest and
    smallest real part of the learned eigenvalues; exact_growth, exact_lowest: of the exact ones.
    aligned: whether J n is parallel to n."""

    times: IntArray
    rate: Array
    shift: Array
    measured: Array
    growth: Array
    lowest: Array
    exact_growth: Array
    exact_lowest: Array
    aligned: Mask


@Measurement
def midpoint_slopes(case: Case, model: TrainedModel) -> MidpointSlopes:
    """Of one model of a case."""
    segments, flow, times = find_segments(case), flow_of(case, model), late_nodes(case)
    rate = bounds.midpoint_eigenvalues(segments.length, variances(case)[times])[0]
    n, y = segments.directions, segments.midpoints
    rows = []
    for t in times.tolist():
        learned, exact = flow.jacobian(y, t), flow.exact_jacobian(y, t)
        shift = np.einsum("pi,pij,pj->p", n, learned - exact, n)
        image = np.einsum("pij,pj->pi", learned, n)
        along = np.einsum("pi,pi->p", image, n)
        across = np.linalg.norm(image - along[:, None] * n, axis=1)
        slope = np.einsum("pi,pi->p", flow.differences(y, t, n[None])[:, 0], n)
        ends = [
            end(np.linalg.eigvals(jacobian).real, axis=1)
            for jacobian in (learned, exact)
            for end in (np.max, np.min)
        ]
        rows.append((shift, slope, *ends, across <= ALIGNED * np.abs(along)))
    return MidpointSlopes(times, rate, *(np.array(part) for part in zip(*rows, strict=True)))


def shown(
    slopes: Sequence[MidpointSlopes], saddles: Sequence[LearnedSaddles], favourable: float
) -> Iterator[Part]:
    """Note, numbers and table of C.5's learned row. favourable: the share of midpoints at which all
    of its hypotheses hold but that the error vanish."""
    yield _note(slopes, saddles)
    yield _numbers(slopes, saddles)
    yield {"share where all holds, were the error not asked to vanish": favourable}
    yield _table(slopes, saddles)


def _stable(saddles: Sequence[LearnedSaddles]) -> int:
    return sum(int((s.unstable == 0).sum()) for s in saddles)


def _note(slopes: Sequence[MidpointSlopes], saddles: Sequence[LearnedSaddles]) -> str:
    (growth,) = fields_of(slopes, "growth")
    found = sum(int(s.found.sum()) for s in saddles)
    removed = np.median([-s.shift[-1] / s.rate[-1] for s in slopes])
    distance = median(np.array([np.abs(s.z[-1]) for s in saddles]))
    speed = max(float(np.abs(s.delta).max()) for s in saddles)
    return (
        f"Trapping by a sink: {int((growth < 0.0).sum())} of {growth.size} Jacobians at midpoints "
        f"are stable, and {_stable(saddles)} of the {found} equilibria next to them, which lie "
        f"{distance:.2g} l away at the last noisy node (median). There the error takes away "
        f"{removed:.5g} of λ (median), where 1 would flip it. It drives the midpoints themselves "
        f"at up to {speed:.2g} l per unit of intrinsic time, so that the slope there is the "
        "eigenvalue of an equilibrium only where they stay."
    )


def _numbers(
    slopes: Sequence[MidpointSlopes], saddles: Sequence[LearnedSaddles]
) -> dict[str, Number | None]:
    called = [(s.growth < 0.0) != (s.rate[:, None] + s.shift < 0.0) for s in slopes]
    return {
        "midpoints with a stable Jacobian": int(sum((s.growth < 0.0).sum() for s in slopes)),
        "midpoints with a negative slope along the pair": int(
            sum((s.measured < 0.0).sum() for s in slopes)
        ),
        "stable equilibria between the modes": _stable(saddles),
        "called wrongly by the criterion": int(np.sum(called)),
    } | spreads(
        {
            "share of midpoints with a stable Jacobian, last noisy node": [
                float(np.mean(s.growth[-1] < 0.0)) for s in slopes
            ],
            "median learned slope, last noisy node": [
                float(np.median(s.measured[-1])) for s in slopes
            ],
            "least eigenvalue of a learned saddle along its unstable direction": [
                float(np.min(s.growth, where=s.found, initial=np.inf)) for s in saddles
            ],
        }
    )


def _table(slopes: Sequence[MidpointSlopes], saddles: Sequence[LearnedSaddles]) -> Table:
    rows, everywhere = [], fields_of(slopes, "measured", "growth", "shift")
    for node, t in enumerate(slopes[0].times.tolist()):
        measured, growth, shift = (part[:, node] for part in everywhere)
        medians = np.median(measured, axis=1)
        stable = (growth < 0.0).sum(axis=1)
        rate = float(slopes[0].rate[node])
        rows.append(
            (
                t,
                rate,
                float(np.median(measured)),
                float(medians.min()),
                float(medians.max()),
                float(measured.min()),
                float(np.median(-shift / rate)),
                ", ".join(str(count) for count in stable),
                sum(int((s.unstable[node] == 0).sum()) for s in saddles),
                median(np.array([s.growth[node] for s in saddles])),
            )
        )
    columns = (
        "t",
        "λ",
        "learned slope, median",
        "least model",
        "largest model",
        "least midpoint",
        "part of λ taken away, median",
        f"stable of {slopes[0].growth.shape[1]} midpoints, by model",
        "stable equilibria",
        "growth at the learned saddles, median",
    )
    return Table("Slope of the learned drift at the midpoints", columns, rows)
