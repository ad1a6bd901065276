"""What proved errors of trained scores say of the saddle between two modes.

On a line: the largest error next to the midpoint, and how far from it a saddle then is at most, by
the theorem on two equal modes. What the mixture's other modes do counts as error, so that the
theorem speaks of the network's flow as it is. In any dimension: the slope of the error at the
midpoint, and what the equilibrium next to it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixdyn.geometry import Mask
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Interval, Law, basis
from mixdyn.proof.network import EnclosedNetwork
from mixdyn.proof.zeros import Kind, slopes_in
from mixdyn.solvers.field import MixtureField
from mixdyn.support.checks import Array, IntArray

from ...ledger.case import Case
from ..interpolation.networks import networks, own_case
from ..interpolation.problems import LINES, modes_at
from ..measurement import Measurement
from ..networks.field import find_segments, flow_of, late_nodes, variances
from ..networks.models import TrainedModel
from ..networks.proved import enclosed
from ..paths import thinned
from ..saddles.learned import learned_saddles, strengths
from ..saddles.learned_proofs import proved_equilibria
from ..saddles.slopes import ALIGNED
from .proved import SLIP, Line, error_on, in_x

_REACH, _PIECES = 0.1, 256  # |z| up to which errors are enclosed, and pieces of that
_NODES = 6
_SMALL = 1e-7  # half width of the box around a midpoint over l


@dataclass(frozen=True, eq=False)
class Errors:
    """Of a network on a line, at M late nodes and P segments. k (M, 1): l^2/v. z (R,): radii over
    l. size (M, P, R): delta is proved to be at most that for |z| up to each. sampled (M, P, R): the
    largest that doubles find in the middles of the pieces. saddle (M, P): |z| of the proved saddle
    next to the midpoint is at most that, NaN without one."""

    k: Array
    z: Array
    size: Array
    sampled: Array
    saddle: Array

    def radius(self, counted: float = 1.0) -> Array:
        """(M, P): the smallest r within which some saddle is, by C.4; NaN where none is. counted: a
        factor on the error."""
        k, z = self.k[..., None], self.z
        enough = z * (0.25 * k / np.cosh(0.5 * k * z) ** 2 - 1.0) >= counted * self.size
        return np.where(enough.any(axis=-1), z[np.argmax(enough, axis=-1)], np.nan)


def errors_on_lines(case: Case) -> dict[str, Errors]:
    """Of every shipped network of a line, by its name."""
    return {
        network.model.name: errors_next_to_midpoints(
            own_case(case, modes_at(places)), network.model
        )
        for places in LINES
        for network in networks(case, modes_at(places))
    }


@Measurement
def errors_next_to_midpoints(case: Case, model: TrainedModel) -> Errors:
    """Of one model of a case in one dimension."""
    net, segments = enclosed(model.score), find_segments(case)
    times = thinned(late_nodes(case), _NODES)
    edges = np.linspace(-_REACH, _REACH, 2 * _PIECES + 1)
    rows = [
        [_at(net, case, model, t, p, edges) for p in range(len(segments.modes))]
        for t in times.tolist()
    ]
    size, sampled = np.moveaxis(np.array(rows), 2, 0)
    found, saddles = proved_equilibria(case, model), learned_saddles(case, model)
    at = np.searchsorted(-saddles.times, -times)
    alpha = case.schedule.alpha[times][:, None]
    shift = np.linalg.norm(saddles.points[at] - segments.midpoints, axis=-1) / segments.length
    room = found.radius[at] / (alpha * segments.length)
    proved = found.kind[at] == Kind.SOURCE
    far = np.where(proved, (shift + room) * (1.0 + SLIP), np.nan)
    return Errors(strengths(case, times), edges[_PIECES + 1 :], size, sampled, far)


def _at(
    net: EnclosedNetwork, case: Case, model: TrainedModel, t: int, p: int, edges: Array
) -> Array:
    """(2, R): delta at one time and segment for |z| up to edges[_PIECES + 1:], proved and found."""
    segments, v = find_segments(case), float(variances(case)[t])
    alpha, noise = float(case.schedule.alpha[t]), float(np.sqrt(case.schedule.noise_var[t]))
    length, middle, n = segments.length, segments.midpoints[p], segments.directions[p]
    place = edges * length
    center, half = 0.5 * (place[1:] + place[:-1]), 0.5 * np.diff(place) * (1.0 + SLIP)
    line = Line(middle, basis(n, len(n)), center, half)
    pair = GaussianMixture(case.mixture.means[segments.modes[p]], float(case.mixture.sigma))
    learned = net.eps(in_x(line, alpha), t)
    value, slope, over = error_on(line, learned, -alpha * v / noise, pair, v)
    sloped = (value.abs() + slope.abs() * half[:, None]).hi
    size = np.fmin(sloped, over.abs().hi)[:, 0] / length * (1.0 + SLIP)
    y = middle + center[:, None] * n
    pulls = flow_of(case, model).pull(y, t) - MixtureField(pair).pull(y, v)
    return np.array([_outwards(size), _outwards(np.abs(pulls @ n) / length)])


def _outwards(size: Array) -> Array:
    """(R,): the largest of pieces (2R,) on both sides, up to each distance from the middle."""
    right, left = size[_PIECES:], size[:_PIECES][::-1]
    return np.asarray(np.maximum.accumulate(np.maximum(right, left)))


@dataclass(frozen=True, eq=False)
class MidpointErrors:
    """At M late nodes and P midpoints, (M, P) each. low, high: between which sigma_t^2 <n, De n> is
    proved to be. aligned: whether De n is proved to be parallel to n, see `slopes.ALIGNED`. kind:
    of the equilibrium next to the midpoint, see `ProvedEquilibria`. far: how far that is at most,
    over l, NaN where none is proved."""

    times: IntArray
    low: Array
    high: Array
    aligned: Mask
    kind: IntArray
    far: Array


@Measurement
def errors_at_midpoints(case: Case, model: TrainedModel) -> MidpointErrors:
    """Of one model of a case."""
    net, segments, alpha = enclosed(model.score), find_segments(case), case.schedule.alpha
    found, saddles = proved_equilibria(case, model), learned_saddles(case, model)
    rows = []
    for k, t in enumerate(found.times.tolist()):
        low, high, aligned = _slopes(net, case, t)
        gap = np.linalg.norm(saddles.points[k] - segments.midpoints, axis=1)
        reach = np.sqrt(case.mixture.d) * found.radius[k] / alpha[t]
        far = (gap + reach) / segments.length * (1.0 + SLIP)
        rows.append((low, high, aligned, np.where(found.kind[k] >= -1, far, np.nan)))
    low, high, aligned, far = (np.array(part) for part in zip(*rows, strict=True))
    return MidpointErrors(found.times, low, high, aligned, found.kind, far)


def _slopes(net: EnclosedNetwork, case: Case, t: int) -> tuple[Array, Array, Mask]:
    """At midpoints (P,): ends of sigma_t^2 <n, De n>, and whether n is nearly an eigenvector."""
    segments, v, d = find_segments(case), float(variances(case)[t]), case.mixture.d
    alpha, noise = float(case.schedule.alpha[t]), float(np.sqrt(case.schedule.noise_var[t]))
    small, n = _SMALL * segments.length, segments.directions
    slopes = slopes_in(net, alpha * segments.midpoints.T, np.full(len(n), alpha * small), t)
    gain = Interval(np.array(1.0 - 4.0 * SLIP), np.array(1.0 + 4.0 * SLIP))
    low, high = (np.moveaxis(end, 2, 0) for end in (slopes.low, slopes.high))
    learned = Interval(low, high) * (gain * (-(alpha**2) * v / noise))
    at = np.column_stack([segments.midpoints, np.full(len(n), v)])
    sides = np.append(np.full(d, small), 0.0)
    law = Law.of(case.mixture, np.zeros(d), np.eye(d)).over(Interval(at - sides, at + sides))
    exact = [[law.jacobian(a, b) for b in range(d)] for a in range(d)]
    low, high = (
        np.array([[getattr(x, end) for x in row] for row in exact]) for end in ("lo", "hi")
    )
    error = learned - Interval(np.moveaxis(low, 2, 0), np.moveaxis(high, 2, 0))
    shift = ((error * n[:, None]).sum() * n).sum()
    image = (learned * n[:, None]).sum()
    along = (image * n).sum()
    across = (image - along[:, None] * n).square().sum().sqrt()
    return shift.lo, shift.hi, across.hi <= ALIGNED * along.smallest()
