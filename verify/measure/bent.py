"""Flows of modes of one covariance, coordinate by coordinate along its eigenvectors.

Two routes to where a path ends: the engine's solution in v, and for every eigenvector the average
of the path's mean field under that direction's own measure. A third encloses one path of two equal
modes in ball arithmetic.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixdyn import bounds, geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array

from ..ledger.case import Case
from .convex import distance_to_hull, nearest_in_hull
from .covariances import axes_of
from .paths import FLOW_RTOL, extent, log_panels

_PANELS = 32  # of the quadrature along a path
_BITS = 128
STDS = (0.02, 0.2)  # of the path that is enclosed
PLACE, RHO_START, RHO_ENDS = 0.05, 0.1, (0.005, 0.001)
STEPS = 250  # of its enclosure, a factor e of rho
Ball = Any  # flint.arb


@dataclass(frozen=True)
class Problem:
    """Modes of one covariance, and the flow from rho_start down to rho_end."""

    name: str
    mixture: GaussianMixture
    rho_start: float
    rho_end: float

    @property
    def isotropic(self) -> bool:
        """Whether all directions have one clock."""
        return self.mixture.has_common_sigma


def two_modes(stds: Sequence[float]) -> GaussianMixture:
    """Equal modes at (-1/2, -1/2) and (1/2, 1/2), of these standard deviations along the axes."""
    ends = np.array([[0.5, 0.5], [-0.5, -0.5]])
    if len(set(stds)) == 1:
        return GaussianMixture(ends, stds[0])
    return GaussianMixture(ends, variances=np.square(stds))


@dataclass(frozen=True)
class Bundle:
    """Paths of a problem, in coordinates along the eigenvectors.

    variances (d,), means (N, d); start, end (n, d); rho (R,) decreasing and average (R, n, d): the
    mean field at the points of a quadrature; nearest (n, d): the point of the hull next to the
    start; swing (n,): the range of two modes' responsibility on the way, with the place of
    `nearest` between them, else 1.
    """

    problem: Problem
    variances: Array
    means: Array
    start: Array
    end: Array
    rho: Array
    weight: Array
    average: Array
    nearest: Array
    swing: Array

    def kept(self, variances: Array) -> Array:
        """(d,): what is left of a distance along directions of these variances."""
        ends = [variances + rho for rho in (self.problem.rho_end, self.problem.rho_start)]
        return np.asarray(np.sqrt(ends[0] / ends[1]))

    def by_averages(self, variances: Array) -> Array:
        """(n, d) ends from the averages under the measures of these variances."""
        v = variances + self.rho[:, None]
        density = 0.5 * np.sqrt(variances + self.problem.rho_end) * v**-1.5
        weights = self.weight[:, None] * density
        return self.kept(variances) * self.start + np.einsum("rd,rnd->nd", weights, self.average)

    @property
    def shrunk(self) -> Array:
        """(n,) the start's distance from the hull, each direction shrunk by its own clock."""
        return np.linalg.norm(self.kept(self.variances) * (self.start - self.nearest), axis=1)

    @functools.cached_property
    def bend(self) -> float:
        """How far off the hull a start in it can end."""
        at = (self.variances, self.problem.rho_start, self.problem.rho_end)
        if len(self.means) == 2:
            return float(bounds.pair_bend(self.means[0] - self.means[1], *at))
        return float(bounds.hull_bend(np.ptp(self.means, axis=0), *at))

    @functools.cached_property
    def off_hull(self) -> Array:
        """(n,) distance of the ends from the hull of the means."""
        return distance_to_hull(self.end, self.means)


def bundle(case: Case, problem: Problem, n: int) -> Bundle:
    """Half of the n paths start in the hull of the means, half at a state of the marginal."""
    mixture, rng = problem.mixture, case.rng(f"X12 {problem.name}")
    variances, rows = axes_of(mixture)
    y = rng.dirichlet(np.full(mixture.N, 0.6), n) @ mixture.means
    noise = rng.standard_normal((n - n // 2, mixture.d))
    y[n // 2 :] += noise * np.sqrt(variances + problem.rho_start) @ rows
    floor = mixture.smallest_var
    rho, weight = log_panels((problem.rho_end, problem.rho_start), floor, _PANELS)
    rho, weight = rho[::-1], weight[::-1]
    grid = np.concatenate([[problem.rho_start], rho, [problem.rho_end]])
    solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL * extent(mixture))
    solved = integrate_ode(mixture, y, floor + grid, solver, keep="trajectory").trajectory
    path = np.asarray(solved)
    means = mixture.means @ rows.T
    gamma = np.array(
        [
            mixture.at_level(1.0, 1.0, float(r)).responsibilities(at)
            for r, at in zip(grid, path, strict=True)
        ]
    )
    start = path[0] @ rows.T
    nearest = nearest_in_hull(start, means)
    return Bundle(
        problem,
        variances,
        means,
        start,
        path[-1] @ rows.T,
        rho,
        weight,
        gamma[1:-1] @ means,
        nearest,
        _swing(gamma[:, :, 0], nearest, means),
    )


def _swing(gamma: Array, nearest: Array, means: Array) -> Array:
    """(n,) of the first mode's responsibilities gamma (R, n)."""
    if len(means) > 2:
        return np.ones(len(nearest))
    along = means[0] - means[1]
    place = (nearest - means[1]) @ along / (along @ along)
    return np.asarray(np.ptp(np.vstack([gamma, place]), axis=0))


def off_segment(mixture: GaussianMixture, y: Array) -> Array:
    """(n,) distance to the segment of a mixture's first two modes."""
    return np.asarray(geometry.distance_to_segment(y, mixture.means[1], mixture.means[0]))


# -- one path in ball arithmetic -----------------------------------------------------------------


@dataclass(frozen=True)
class Enclosure:
    """Bounds on the distance from the segment at each rho (K,), and on the two coordinates (K, 2)
    of the path there."""

    rho: Array
    off_least: Array
    off_most: Array
    low: Array
    high: Array


def enclose(
    stds: Sequence[float], place: float, rho_start: float, rho_ends: Sequence[float], steps: int
) -> Enclosure:
    """The path of `two_modes` from (place, place), place > 0, on their segment, enclosed.

    Each coordinate obeys dy = (y - g) d rho/(2 v), g = tanh(L/2)/2, L = sum_e y_e/v_e. While y_e <=
    g, which holds for good once it holds, y and L grow on the way to clean data, so that a step
    with g as at its beginning stays below the path, and one with g as at its end above: the system
    is cooperative. In balls of 128 bits, `steps` a factor e of rho.
    """
    from flint import arb, ctx

    with ctx.workprec(_BITS):
        lam = [arb(std) ** 2 for std in stds]
        rho = arb(rho_start)
        v = [each + rho for each in lam]
        low, high = [arb(place)] * 2, [arb(place)] * 2
        if not all(_pull(low, v) - each > 0 for each in low) or not arb(place) > 0:
            raise ValueError("the path must start between the midpoint and where it is pulled to")
        found, start = [], rho_start
        for end in rho_ends:
            count = max(2, math.ceil(steps * math.log(start / end)))
            for r in np.geomspace(start, end, count + 1)[1:].tolist():
                below = [each + arb(r) for each in lam]
                keep = [(b / a).sqrt() for a, b in zip(v, below, strict=True)]
                low = _moved(low, keep, _pull(low, v))
                g = arb(0.5)
                for _ in range(3):
                    g = _pull(_moved(high, keep, g), below)
                high, v = _moved(high, keep, g), below
            found.append(_distances(low, high))
            start = end
    off, ends = np.array([row[:2] for row in found]), np.array([row[2:] for row in found])
    return Enclosure(np.array(rho_ends), off[:, 0], off[:, 1], ends[:, :2], ends[:, 2:])


def _pull(y: Sequence[Ball], v: Sequence[Ball]) -> Ball:
    first, second = (a / b for a, b in zip(y, v, strict=True))
    return ((first + second) / 2).tanh() / 2


def _moved(y: Sequence[Ball], keep: Sequence[Ball], g: Ball) -> list[Ball]:
    return [q * each + (1 - q) * g for q, each in zip(keep, y, strict=True)]


def _distances(low: Sequence[Ball], high: Sequence[Ball]) -> list[float]:
    """Least and most |y_1 - y_2|/sqrt 2, then the lows and highs; both coordinates are in 0..1/2,
    where the nearest point of the line is one of the segment."""
    from flint import arb

    root = arb(2).sqrt()
    apart = [(low[0] - high[1]) / root, (low[1] - high[0]) / root]
    most = [(high[0] - low[1]) / root, (high[1] - low[0]) / root]
    return [
        max(float(each.lower()) for each in (*apart, arb(0))),
        max(float(each.upper()) for each in most),
        *(float(each.lower()) for each in low),
        *(float(each.upper()) for each in high),
    ]


# -- the figure ----------------------------------------------------------------------------------

WIDER = (0.02, 0.05, 0.1, STDS[1], 0.4)  # second standard deviation, the first is that of STDS


def bent_paths(case: Case) -> Mapping[str, ArrayLike]:
    """Of `two_modes` from RHO_START down to the last of RHO_ENDS: where starts along the segment
    end (widths, starts, 2), and the path from PLACE at each rho (widths, rhos, 2), with the
    distance that X12 allows it, (widths, rhos), and certified bounds of the fourth, whose widths
    are stds (2,)."""
    places = np.concatenate([-np.geomspace(0.45, 1e-4, 40), np.geomspace(1e-4, 0.45, 40)])
    rho = np.geomspace(RHO_START, RHO_ENDS[1], 60)
    ends, paths, allowed = [], [], []
    for wide in WIDER:
        mixture = two_modes((STDS[0], wide))
        along = np.concatenate([places, [PLACE]])
        solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL)
        start, v = np.column_stack([along, along]), mixture.smallest_var + rho
        solved = integrate_ode(mixture, start, v, solver, keep="trajectory").trajectory
        way = np.asarray(solved)
        ends.append(way[-1, :-1])
        paths.append(way[:, -1])
        # From 0.05 on the responsibility rises from the place on the segment, to 1 at most.
        swing = 1.0 - (0.5 + PLACE)
        bend = bounds.pair_bend(np.ones(2), np.square([STDS[0], wide]), RHO_START, rho)
        allowed.append(swing * bend)
    known = enclose(STDS, PLACE, RHO_START, RHO_ENDS, STEPS)
    return {
        "places": places,
        "rho": rho,
        "wide": WIDER,
        "stds": STDS,
        "place": PLACE,
        "ends": np.array(ends),
        "paths": np.array(paths),
        "allowed": np.array(allowed),
        "certified_rho": known.rho,
        "certified": np.array([known.off_least, known.off_most]),
        "n": len(places),
    }
