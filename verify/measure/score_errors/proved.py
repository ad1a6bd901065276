"""Suprema of a trained score's error on segments, proved: network and mixture are both enclosed,
with their derivatives, on pieces of the segments.

The error of the score is e = E/(alpha v), E = -(alpha v/sqrt(nu)) eps - (m - y) the velocity that
it adds in y = x/alpha and intrinsic time (see `networks.field`). On a piece E is within its slope
times half the length of what it is in the middle, component by component; where the mixture turns
from one mode to the other within a piece, within what both fields are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Interval, Law, basis, dot
from mixdyn.proof.forms import Ball
from mixdyn.proof.network import EnclosedNetwork
from mixdyn.support.checks import Array

from ...ledger.case import Case
from ..measurement import Measurement
from ..networks.field import find_segments, flow_of, variances
from ..networks.models import TrainedModel
from ..networks.proved import enclosed

_PIECES = 640  # of a segment
SLIP = 2.0**-48  # what a few roundings change, relative
_ORTHONORMAL = 1.0 + 1e-12  # axes are, to rounding


@dataclass(frozen=True, eq=False)
class ErrorSuprema:
    """At M times and P of the case's segments, (M, P): |e| is proved to be at most `sup` wherever
    |<x - alpha mbar, n>| <= reach on the segment's line, and at least `least` somewhere there;
    |<n, sigma_t^2 De n>| at most `steepest`. sampled: the largest |e| at the pieces' ends and
    middles, in doubles."""

    sup: Array
    least: Array
    steepest: Array
    sampled: Array


@Measurement
def error_suprema(
    case: Case, model: TrainedModel, *, times: tuple[int, ...], reach: float, most: int
) -> ErrorSuprema:
    """Of one model at raw times, on `most` of the segments, evenly chosen; reach in units of x."""
    net, total = enclosed(model.score), len(find_segments(case).modes)
    chosen = range(0, total, -(-total // most))
    rows = [[_on_segment(net, case, model, t, p, reach) for p in chosen] for t in times]
    return ErrorSuprema(*np.moveaxis(np.array(rows), 2, 0))


class Line(NamedTuple):
    """Pieces (B,) of the line y = middle + z n: centers and half lengths in z."""

    middle: Array
    axes: Array
    center: Array
    half: Array


def _on_segment(
    net: EnclosedNetwork, case: Case, model: TrainedModel, t: int, p: int, reach: float
) -> tuple[float, float, float, float]:
    segments, v = find_segments(case), float(variances(case)[t])
    alpha, noise = float(case.schedule.alpha[t]), float(np.sqrt(case.schedule.noise_var[t]))
    edges = np.linspace(-reach, reach, _PIECES + 1) / alpha
    middle, n = segments.midpoints[p], segments.directions[p]
    center, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges) * (1.0 + SLIP)
    line = Line(middle, basis(n, len(n)), center, half)
    learned = net.eps(in_x(line, alpha), t)
    value, slope, over = error_on(line, learned, -alpha * v / noise, case.mixture, v)
    gain = (1.0 / (alpha * v)) * Interval(np.array(1.0 - SLIP), np.array(1.0 + SLIP))
    sloped = (value.abs() + slope.abs() * half[:, None]).hi
    size = Interval.of(np.fmin(sloped, over.abs().hi))
    sup = gain * size.square().sum().sqrt() * _ORTHONORMAL
    least = gain * value.abs().square().sum().sqrt() * (2.0 - _ORTHONORMAL)
    places = np.unique(np.concatenate([edges, center]))
    error = flow_of(case, model).error(middle + places[:, None] * n, t)
    sampled = float(np.linalg.norm(error, axis=1).max()) / (alpha * v)
    return float(sup.hi.max()), float(least.lo.max()), float(slope.abs().hi[:, 0].max()), sampled


def in_x(line: Line, alpha: float) -> Ball:
    """The form (2, d, B) of the pieces in x, with what its roundings may be off by."""
    n = line.axes[0][:, None]
    mid = alpha * np.stack([line.middle[:, None] + line.center * n, line.half * n])
    size = np.abs(mid)
    size[0] += alpha * (np.abs(line.middle)[:, None] + np.abs(line.center * n))
    return Ball(mid, SLIP * size)


def error_on(
    line: Line, learned: Ball, gain: float, mixture: GaussianMixture, v: float
) -> tuple[Interval, Interval, Interval]:
    """Of a score of the mixture, (B, d) each, along the axes: E in the middles of the pieces, dE/dz
    and E anywhere in them."""
    axes, half = line.axes, line.half
    scale = gain * Interval(np.array(1.0 - 4.0 * SLIP), np.array(1.0 + 4.0 * SLIP))
    rows = Interval(learned.low, learned.high)
    along = [dot(axes, Interval(rows.lo[k].T, rows.hi[k].T)) * scale for k in (0, 1)]
    law = Law.of(mixture, line.middle, axes)
    z = np.zeros((len(half), len(axes) + 1))
    z[:, 0], z[:, -1] = line.center, v
    reach = np.zeros_like(z)
    reach[:, 0] = half
    at, over = law.over(Interval.of(z)), law.over(Interval(z - reach, z + reach))
    each = range(len(axes))
    field = _columns([at.field(a) for a in each])
    slopes = _columns([over.jacobian(a, 0) for a in each])
    anywhere = _columns([over.field(a) for a in each])
    moved = along[0] + along[1] * Interval(np.array(-1.0), np.array(1.0))
    return along[0] - field, along[1] / half[:, None] - slopes, moved - anywhere


def _columns(parts: list[Interval]) -> Interval:
    return Interval(np.stack([p.lo for p in parts], -1), np.stack([p.hi for p in parts], -1))
