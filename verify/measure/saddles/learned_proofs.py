"""Which equilibria of a learned flow are proved, and what they are: see `mixdyn.proof.zeros`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixdyn.geometry import Mask
from mixdyn.proof.network import EnclosedNetwork
from mixdyn.proof.zeros import Kind, zeros_near
from mixdyn.support.checks import Array, IntArray

from ...ledger.case import Case
from ..measurement import Measurement
from ..networks.field import PLACES, find_segments, flow_of, segment_errors
from ..networks.models import TrainedModel
from ..networks.proved import enclosed
from .learned import BETWEEN, learned_saddles, newton
from .slopes import midpoint_slopes as slopes_at_midpoints


@dataclass(frozen=True, eq=False)
class ProvedEquilibria:
    """At M late nodes and P segments.

    times (M,). kind (M, P): of the equilibrium next to the midpoint as `Kind`, -2 where the search
    found none or no zero is proved. radius (M, P): half width of its box in x, NaN without. growth
    (M, P): the largest eigenvalue of the flow at the midpoint itself, in doubles. modes_kind (M,
    P): the same next to each segment's first mode.
    """

    times: IntArray
    kind: IntArray
    radius: Array
    growth: Array
    modes_kind: IntArray


@Measurement
def proved_equilibria(case: Case, model: TrainedModel) -> ProvedEquilibria:
    """Of one model of a case."""
    found, net = learned_saddles(case, model), enclosed(model.score)
    alpha, means = case.schedule.alpha, case.mixture.means
    segments, flow = find_segments(case), flow_of(case, model)
    rows = []
    for k, t in enumerate(found.times.tolist()):
        near, there = newton(flow, means[segments.modes[:, 0]], t, segments.length)
        points = alpha[t] * np.concatenate([found.points[k], near])  # one call costs less than two
        kinds, radii = _proved(net, points, t, np.concatenate([found.found[k], there]))
        count = len(near)
        rows.append((kinds[:count], radii[:count], kinds[count:]))
    kind, radius, modes_kind = (np.array(part) for part in zip(*rows, strict=True))
    growth = np.asarray(slopes_at_midpoints(case, model).growth)
    return ProvedEquilibria(found.times, kind, radius, growth, modes_kind)


def _proved(net: EnclosedNetwork, points: Array, t: int, found: Mask) -> tuple[IntArray, Array]:
    """Kinds and radii (n,) at points (n, d) in x."""
    zeros = zeros_near(net, points, t)
    held = zeros.proved & found
    return np.where(held, zeros.kind, -2), np.where(held, zeros.radius, np.nan)


@Measurement
def proved_sinks(case: Case, model: TrainedModel) -> dict[str, Array]:
    """times (S,), segments (S,), z (S,): equilibria between two modes, found where the learned
    drift along the segment falls through zero, that are proved to attract."""
    errors, net = segment_errors(case, model), enclosed(model.score)
    segments, flow = find_segments(case), flow_of(case, model)
    between = np.abs(PLACES) <= BETWEEN
    z, rows = PLACES[between], []
    for k, t in enumerate(errors.times.tolist()):
        drift = errors.learned[k][:, between]
        at, cell = np.nonzero((drift[:, :-1] > 0.0) & (drift[:, 1:] <= 0.0))
        if not at.size:
            continue
        rise = drift[at, cell] - drift[at, cell + 1]
        place = z[cell] + (z[cell + 1] - z[cell]) * drift[at, cell] / rise
        starts = segments.midpoints[at] + place[:, None] * segments.length * segments.directions[at]
        y, found = newton(flow, starts, t, segments.length)
        kinds, _ = _proved(net, case.schedule.alpha[t] * y, t, found)
        shift = np.einsum("pd,pd->p", y - segments.midpoints[at], segments.directions[at])
        rows += [
            (t, p, s / segments.length)
            for p, s, kind in zip(at.tolist(), shift.tolist(), kinds.tolist(), strict=True)
            if kind == Kind.SINK and abs(s) < BETWEEN * segments.length
        ]
    times, place, where = np.array(rows, dtype=float).reshape(-1, 3).T
    return {"times": times, "segments": place, "z": where}
