"""The law of a sampler's chain in one dimension with any score, without sampling.

One step of the DDIM family is x_s = f(x_t) + s xi with f(x) = c_x x + c_eps eps(x, t). With noise
the law after a step is a mixture of normals around f, carried on by quadrature: points are equally
spaced in u, where du = |dx|/std_t + |df|/std_s, no coarser than the noise before or after asks for.
They serve while the noises before and after differ little from those for which they were placed.
Every term is positive, so that small probabilities keep their digits. Without noise the chain is
one map from start to end, bisected where neighbours end far apart. The last step is noiseless for
every sampler: the probability of a set is that of the points which it takes there. A network may
throw starts in the tail of the noise so far out that no step brings them back: these are counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from mixdyn.samplers.plan import StepPlan
from mixdyn.support.checks import Array

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

REACH = 8.0  # standard deviations kept of every noise: beyond lie 1e-15
FAR = 8.0  # a state beyond it has escaped
_NEGLIGIBLE = 1e-17  # of the mass: points that carry less are dropped
_COARSE = 4.0  # of the table from which points are placed, in units of their spacing
_ALIKE = 0.05  # points placed for other noises serve where these differ by no more than this share
_COVERED = 6.0  # standard deviations around every part that these points must reach
_STARTS, _HALVINGS, _APART = 1025, 24, 0.004
_LIGHT = 1e-9  # of a cell: what is not bisected, far below any probability that is shown
Move = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class LineLaw:
    """The law of a final state x_0 as cells between neighbouring points.

    ends (n,): where the points of the last map end, in the order of what they come from; mass (n -
    1,): the probability between two of them; escaped: that of states beyond FAR. Together one.
    """

    ends: Array
    mass: Array
    escaped: float = 0.0

    def probability(self, low: float, high: float) -> float:
        """P(low <= x_0 <= high), each cell spread evenly between its two ends."""
        return float(self._share(low, high) @ self.mass)

    def density(self, edges: Array) -> Array:
        """(m - 1,) mean density in the bins between increasing edges (m,)."""
        bins = [self.probability(a, b) for a, b in itertools.pairwise(edges.tolist())]
        return np.array(bins) / np.diff(edges)

    def _share(self, low: float, high: float) -> Array:
        first = np.minimum(self.ends[:-1], self.ends[1:])
        last = np.maximum(self.ends[:-1], self.ends[1:])
        width = np.maximum(last - first, 1e-300)
        inside = np.minimum(last, high) - np.maximum(first, low)
        return np.clip(inside / width, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class NoisyLaw:
    """The law of a noisy state: normals of one std around centers (n,) with mass (n,); escaped: the
    probability of states beyond FAR. Together one."""

    centers: Array
    mass: Array
    std: float
    escaped: float = 0.0

    def density(self, places: Array) -> Array:
        """At places (m,)."""
        return _density(places, self.centers, self.mass, self.std)


def noisy_law(model: Any, plan: StepPlan, steps: int, *, spacing: float = 0.7) -> NoisyLaw:
    """The law after the first `steps` steps of a plan, each with noise, from x ~ N(0, 1).

    model, spacing : as in `line_law`.
    """
    centers, mass, std, escaped = np.zeros(1), np.ones(1), 1.0, 0.0
    moves, noises = _moves(model, plan)[:steps], plan.noise_std[:steps].tolist()
    points: _Points | None = None
    for move, noise in zip(moves, noises, strict=True):
        if points is None or not points.serve(centers, (std, noise)):
            points = _Points.placed(move, centers, (std, noise), spacing)
        carried = _density(points.x, centers, mass, std) * points.weight
        moved, whole = move(points.x), float(mass.sum())
        near = np.abs(moved) < FAR
        # Quadrature conserves the whole but for rounding and what lies beyond REACH.
        carried *= whole / carried.sum()
        escaped += float(carried[~near].sum())
        kept = near & (carried > _NEGLIGIBLE)
        centers, mass, std = moved[kept], carried[kept], noise
    return NoisyLaw(centers, mass, std, escaped)


def line_law(model: Any, plan: StepPlan, *, spacing: float = 0.7) -> LineLaw:
    """The law of x_0 from x ~ N(0, 1) under a plan with noise at every step but the last, or none.

    model : has eps(x, t), x (n, 1). spacing : of the points in u. A smaller one checks the first.
    """
    moves = _moves(model, plan)
    if not plan.noise_std.any():
        return _mapped(moves)
    before = noisy_law(model, plan, plan.grid.steps - 1, spacing=spacing)
    centers, mass, std = before.centers, before.mass, before.std
    place, length = _places(moves[-1], centers, (std, std), spacing)
    borders = np.arange(0.0, length, 0.25 * spacing)
    middle = 0.5 * (borders[1:] + borders[:-1])
    last = _density(place(middle), centers, mass, std) * place(middle, 1)
    last *= mass.sum() / last.sum()
    return LineLaw(np.clip(moves[-1](place(borders)), -FAR, FAR), last, before.escaped)


def _moves(model: Any, plan: StepPlan) -> list[Move]:
    """f of every step."""
    c_x, c_eps, _ = plan.eps_form()

    def move(k: int) -> Move:
        t = int(plan.t[k])
        return lambda x: c_x[k] * x + c_eps[k] * np.asarray(model.eps(x[:, None], t))[:, 0]

    return [move(k) for k in range(plan.grid.steps)]


@dataclass(frozen=True, eq=False)
class _Points:
    """Points x (n,) of the support, equally spaced in u, their weights, and the noises before and
    after for which they were placed."""

    x: Array
    weight: Array
    stds: tuple[float, float]

    @classmethod
    def placed(
        cls, move: Move, centers: Array, stds: tuple[float, float], spacing: float
    ) -> _Points:
        """For a step and what it starts from."""
        place, length = _places(move, centers, stds, spacing)
        at = np.arange(0.5 * spacing, length, spacing)
        return cls(place(at), place(at, 1) * spacing, stds)

    def serve(self, centers: Array, stds: tuple[float, float]) -> bool:
        """Whether they do for a later step: noises alike, and all that matters between the ends."""
        alike = all(abs(a / b - 1.0) <= _ALIKE for a, b in zip(stds, self.stds, strict=True))
        reach = _COVERED * stds[0]
        inside = self.x[0] <= centers.min() - reach and centers.max() + reach <= self.x[-1]
        return bool(alike and inside)


def _places(
    move: Move, centers: Array, stds: tuple[float, float], spacing: float
) -> tuple[CubicSpline, float]:
    """x as a smooth function of u, and how far u goes."""
    from scipy.interpolate import CubicSpline

    before, after = stds
    low, high = centers.min() - REACH * before, centers.max() + REACH * before
    table = np.linspace(low, high, 3 + int((high - low) / (spacing * before)))
    moved = np.clip(move(table), -FAR, FAR)
    for _ in range(8):
        wide = np.abs(np.diff(moved)) > _COARSE * spacing * after
        if not wide.any():
            break
        middle = (0.5 * (table[1:] + table[:-1]))[wide]
        at = np.flatnonzero(wide) + 1
        table, moved = (
            np.insert(table, at, middle),
            np.insert(moved, at, np.clip(move(middle), -FAR, FAR)),
        )
    # Steps in how densely points lie are what a quadrature on few of them feels: evened out twice.
    gaps = np.abs(np.diff(table)) / before + np.abs(np.diff(moved)) / after
    for _ in range(2):
        gaps = np.convolve(np.pad(gaps, 1, "edge"), [0.25, 0.5, 0.25], "valid")
    u = np.concatenate([[0.0], np.cumsum(gaps)])
    return CubicSpline(u, table), float(u[-1])


def _density(points: Array, centers: Array, mass: Array, std: float) -> Array:
    """Density at points (n,) of normals of one std, each cut off at REACH."""
    order = np.argsort(centers)
    centers, mass = centers[order], mass[order]
    first = np.searchsorted(centers, points - REACH * std)
    count = np.searchsorted(centers, points + REACH * std) - first
    part = first[:, None] + np.arange(max(int(count.max()), 1))
    inside = np.arange(part.shape[1]) < count[:, None]
    part = np.minimum(part, len(centers) - 1)
    terms = mass[part] * np.exp(-0.5 * ((points[:, None] - centers[part]) / std) ** 2)
    return np.where(inside, terms, 0.0).sum(axis=1) / (std * np.sqrt(2.0 * np.pi))


def _mapped(moves: list[Move]) -> LineLaw:
    """The law under the one map of a chain without noise."""

    def ends_of(x: Array) -> Array:
        for move in moves:
            x = np.clip(move(x), -FAR, FAR)
        return x

    starts = np.linspace(-REACH, REACH, _STARTS)
    ends = ends_of(starts)
    for _ in range(_HALVINGS):
        wide = (np.abs(np.diff(ends)) > _APART) & (_between(starts) > _LIGHT)
        if not wide.any():
            break
        middle = (0.5 * (starts[1:] + starts[:-1]))[wide]
        at = np.flatnonzero(wide) + 1
        starts, ends = np.insert(starts, at, middle), np.insert(ends, at, ends_of(middle))
    return LineLaw(ends, _between(starts))


def _between(x: Array) -> Array:
    """P(x_k < z < x_(k+1)) of a standard normal z, from the side on which both are small."""
    left = np.asarray(ndtr(x[1:]) - ndtr(x[:-1]))
    return np.where(x[:-1] < 0.0, left, ndtr(-x[:-1]) - ndtr(-x[1:]))
