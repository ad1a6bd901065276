"""How far reverse paths of any score stay within the envelope of the tube theorem (T4.2).

Each path is followed from the node on from which one fixed pair dominates it, its own tau. The
distance to the line through that pair is compared with three things: the theorem's envelope
e^(-u) d_tau + (1 - e^(-u)) R, its contracting part e^(-u) d_tau alone, and what the sampler's own
steps would leave of the offset from the line with the exact score. What remains of the offset is
the floor: the part that the score's error (and, of the exact score, the pull of further modes) has
put there.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import Mask
from mixdyn.support.checks import Array, IntArray

from ...ledger.case import Case
from ..paths import KAPPA, Paths, Tails, dominated_tails, node_of_tau_2
from .models import TrainedModel

DELTA = 0.02  # the high-probability form fails with at most this probability
_ROUNDING = 1e-9


class Traced(Protocol):
    """Paths of a score under a sampler."""

    @property
    def sampler(self) -> str:
        """The sampler's name."""

    @property
    def model(self) -> TrainedModel:
        """The score."""

    @property
    def paths(self) -> Paths:
        """At the papers' nodes."""


def segment_distances(case: Case, paths: Paths) -> Array:
    """Distance of y to the segment between its two nearest modes, (K, n)."""
    means = case.mixture.means
    found = []
    for y in paths.y:
        i, j, _, _ = geometry.two_nearest(means, y)
        found.append(geometry.distance_to_segment(y, means[i], means[j]))
    return np.array(found)


@dataclass(frozen=True)
class Envelope:
    """The right-hand side of T4.2, with factors on its two parts that a mutant changes."""

    speed: float = 1.0
    remainder: float = 1.0


@dataclass(frozen=True)
class Followed:
    """n paths at K nodes, each from its own tau; arrays (K, n) unless said otherwise.

    later: nodes after the path's tau. distance: to the line of the path's pair. contracted:
    e^(-u) d_tau. allowed: T4.2. own_steps: what DDIM's steps leave of the offset at tau with the
    exact score. floor: what differs from that. outside: beyond the tube that holds with probability
    1 - DELTA, from tau_2 on. Lengths are static, in data units.
    """

    times: IntArray
    v: Array
    later: Mask
    distance: Array
    contracted: Array
    allowed: Array
    own_steps: Array
    floor: Array
    outside: Mask

    @property
    def dominated(self) -> Mask:
        """Whether a path has later nodes, (n,)."""
        return np.asarray(self.later.any(axis=0))

    def exceeds(self, bound: Array) -> Mask:
        """Later nodes at which the distance is above `bound`, (K, n)."""
        slack = _ROUNDING * np.maximum(bound, np.nanmax(self.distance))
        return np.asarray(self.later & (self.distance > bound + slack))

    def share(self, marked: Mask) -> Array:
        """Share of the later paths that are marked, by node, (K,); NaN without a later path."""
        count = self.later.sum(axis=1)
        hits = (self.later & marked).sum(axis=1)
        return np.divide(hits, count, out=np.full(len(count), np.nan), where=count > 0)

    def quantile(self, values: Array, level: float) -> Array:
        """Quantile over later paths by node, (K,); NaN without a later path."""
        rows = zip(values, self.later, strict=True)
        return np.array([np.quantile(x[m], level) if m.any() else np.nan for x, m in rows])


def follow(case: Case, run: Traced, envelope: Envelope | None = None) -> Followed:
    """The paths of one sampler with one score, from their own tau on."""
    shape, paths = envelope or Envelope(), run.paths
    tails, own_steps, floor = case.memo(
        f"learned tails {run.sampler} {run.model.name}",
        functools.partial(_tails_and_floor, case, paths),
    )
    later, at_tau = tails.later(), tails.at_start(tails.distance)
    u = np.where(later, 0.5 * np.log(tails.at_start(paths.v) / paths.v[:, None]), 0.0)
    held = np.isfinite(at_tau)
    start, rest = np.where(held, at_tau, 0.0), np.where(held, tails.remainders, 0.0)
    return Followed(
        times=paths.times,
        v=paths.v,
        later=later,
        distance=tails.distance,
        contracted=np.exp(-u) * at_tau,
        allowed=bounds.tube_distance_u(start, shape.speed * u, shape.remainder * rest),
        own_steps=own_steps,
        floor=floor,
        outside=_outside(case, paths, tails, rest, shape),
    )


def _tails_and_floor(case: Case, paths: Paths) -> tuple[Tails, Array, Array]:
    """With lengths (K, n) of what DDIM's steps leave of the offset at tau, and of the difference:
    what no envelope changes."""
    tails = dominated_tails(case, paths)
    n_nodes, n, d = paths.y.shape
    tau = np.minimum(tails.start, n_nodes - 1)
    offset = np.full((n_nodes, n, d), np.nan)
    for (i, j), rows in tails.groups:
        frame = geometry.pair(case.mixture, i, j)
        flat = frame.coordinates(paths.y[:, rows].reshape(-1, d))[1]
        offset[:, rows] = flat.reshape(n_nodes, len(rows), d)
    rho, sigma2 = case.schedule.rho[paths.times], paths.v[-1]
    keep = np.log((sigma2 + np.sqrt(rho[:-1] * rho[1:])) / paths.v[:-1])
    log_keep = np.concatenate([[0.0], np.cumsum(keep)])
    factor = np.exp(np.minimum(log_keep[:, None] - log_keep[tau], 0.0))
    left = factor[..., None] * offset[tau, np.arange(n)]
    return tails, np.linalg.norm(left, axis=2), np.linalg.norm(offset - left, axis=2)


def _outside(case: Case, paths: Paths, tails: Tails, radius: Array, shape: Envelope) -> Mask:
    """Nodes from tau_2 on at which a path dominated since then is beyond the tube of DELTA."""
    node = node_of_tau_2(case, KAPPA)
    if node is None:
        return np.zeros(tails.distance.shape, bool)
    std = np.sqrt(paths.v) * np.sqrt(paths.v / paths.v[node]) ** (shape.speed - 1.0)
    allowed = bounds.tube_distance_high_probability(
        case.mixture.d, DELTA, std[:, None], np.ones(1), shape.remainder * radius
    )
    since = (tails.start <= node) & (np.arange(len(paths.times))[:, None] >= node)
    return np.asarray(since & (tails.distance > allowed))
