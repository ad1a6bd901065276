"""Visits to midpoints along a reverse process, and how they divide an event of its end.

A run visits a midpoint (event M) where it comes within theta l of the midpoint of its two nearest
modes, in static coordinates, at some node of a window 1 <= t <= t(tau_3); l is their distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import Proportion

from ...ledger.case import Case
from ..paths import ddim_grid

THETA = 0.35  # in lengths l, as in arXiv 2605.06831 v1, appendix I.1
STEPS_LEFT = 11  # tau_3 there, in DDIM steps


def window_time(case: Case, steps_left: int = STEPS_LEFT) -> int:
    """t(tau_3): raw time of the papers' node with this many steps left, or of the first one."""
    times = ddim_grid(case).times
    return int(times[max(len(times) - 1 - steps_left, 0)])


def midpoint_distance(means: Array, y: Array) -> tuple[geometry.Indices, Array]:
    """The nearest mode of points y (n, d), and the distance to the midpoint between it and the
    second nearest over the distance of the two, each (n,)."""
    i, j, _, _ = geometry.two_nearest(means, y)
    away = np.linalg.norm(y - 0.5 * (means[i] + means[j]), axis=1)
    return i, np.asarray(away / np.linalg.norm(means[i] - means[j], axis=1))


@dataclass(frozen=True)
class Visits:
    """What `MidpointVisits` saw of n runs in W windows.

    closest (n, W): least distance to the midpoint of the two nearest modes over their distance.
    nearest (n, W): nearest mode at the window's first node. end (n, d): the final state.
    """

    closest: Array
    nearest: IntArray
    end: Array

    def visited(self, window: int = 0, theta: float = THETA) -> geometry.Mask:
        """M, (n,)."""
        return np.asarray(self.closest[:, window] <= theta)

    def end_distance(self, mixture: GaussianMixture) -> Array:
        """The same distance of the final states, (n,)."""
        return midpoint_distance(mixture.means, self.end)[1]


class MidpointVisits:
    """Observer of the windows that begin at the raw times `latest` (W,), in any order."""

    def __init__(
        self, mixture: GaussianMixture, schedule: NoiseSchedule, latest: Sequence[int]
    ) -> None:
        self.mixture, self.schedule = mixture, schedule
        self.latest = np.asarray(latest, np.int64)

    def init(self, grid: TimeGrid, d: int) -> list[Visits]:
        """No block yet."""
        return []

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        """Update the block's least distances since the last window opened; at the end, in all."""
        if t > self.latest.max():
            return state
        y = x / self.schedule.alpha[t]
        if t == 0:
            closest, order = state[0].closest, np.argsort(self.latest, kind="stable")
            closest[:, order] = np.minimum.accumulate(closest[:, order], axis=1)
            return [Visits(closest, state[0].nearest, y)]
        i, relative = midpoint_distance(self.mixture.means, y)
        if not state:
            shape = (len(y), len(self.latest))
            state = [Visits(np.full(shape, np.inf), np.full(shape, -1), y)]
        seen, opened = state[0], self.latest >= t
        begins = opened & (seen.nearest[0] < 0)
        seen.nearest[:, begins] = i[:, None]
        # Windows end together: what the last one to open sees, those before it see too.
        last = int(np.where(opened, self.latest, self.latest.max() + 1).argmin())
        np.minimum(seen.closest[:, last], relative, out=seen.closest[:, last])
        return state

    def merge(self, a: Any, b: Any) -> Any:
        """Blocks in order."""
        return a + b

    def result(self, state: Any) -> Visits:
        """All runs."""
        parts = ((v.closest, v.nearest, v.end) for v in state)
        return Visits(*(np.concatenate(part) for part in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Decomposition:
    """How many of n runs have M, H and both."""

    n: int
    visits: int
    hits: int
    both: int

    @classmethod
    def of(cls, visited: geometry.Mask, hit: geometry.Mask) -> Decomposition:
        """From the two events of every run, each (n,)."""
        return cls(len(hit), int(visited.sum()), int(hit.sum()), int((visited & hit).sum()))

    @classmethod
    def pooled(cls, parts: Iterable[Decomposition]) -> Decomposition:
        """The counts of several sets of runs together."""
        counts = [(p.n, p.visits, p.hits, p.both) for p in parts]
        return cls(*(sum(column) for column in zip(*counts, strict=True)))

    @property
    def p_visit(self) -> Proportion:
        """P(M)."""
        return Proportion(self.visits, self.n)

    @property
    def p_hit(self) -> Proportion:
        """P(H)."""
        return Proportion(self.hits, self.n)

    @property
    def hit_given_visit(self) -> Proportion | None:
        """P(H|M), None without a visit."""
        return Proportion(self.both, self.visits) if self.visits else None

    @property
    def hit_given_none(self) -> Proportion | None:
        """P(H|M^c), None where every run visits."""
        apart = self.n - self.visits
        return Proportion(self.hits - self.both, apart) if apart else None

    @property
    def visit_given_hit(self) -> Proportion | None:
        """P(M|H), None without a hit."""
        return Proportion(self.both, self.hits) if self.hits else None


def with_interval(part: Proportion | None) -> list[float | None]:
    """A rate and the ends of its 95 % interval, as cells of a table."""
    return [None] * 3 if part is None else [part.rate, *part.interval()]
