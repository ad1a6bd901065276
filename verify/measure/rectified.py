"""The flow's map from pure noise, as reflow sees it: lines between its pairs, and its Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.samplers.flow import ProbabilityFlow
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.measure.smooth_maps import line_of

SHEAR = 0.5  # of the first coordinate by the second
_REACH = 4.0  # of the starts, in standard deviations
_DIFFERENCE = 1e-5
_STEPS = 200
_PAIRS = 400_000
# Of the search for the least margin: places followed, tried around each, rounds, their reach.
_LOWEST, _BESIDE, _ROUNDS, _FIRST_REACH, _SHRINK = 12, 8, 8, 0.3, 0.6


def flow_map(mixture: GaussianMixture, z: Array) -> Array:
    """Ends (n, d) of the exact flow from pure noise z (n, d): the engine's fourth-order sampler on
    the path of flow matching, which starts without signal."""
    path = NoiseSchedule.flow_matching(10 * _STEPS)
    sampler = ProbabilityFlow(_STEPS, data_std=float(mixture.sigma))
    return np.asarray(sample(mixture, path, sampler, x=z).x)


def flow_paths(case: Case, n: int = 25) -> tuple[Array, Array]:
    """Paths of the flow on the case's line from even quantiles of noise: u in 0..1 from noise to
    data (T,), and places (T, n) in the states of flow matching."""
    from scipy.special import ndtri

    path, line = NoiseSchedule.flow_matching(10 * _STEPS), line_of(case)
    z = ndtri((np.arange(n) + 0.5) / n)
    sampler = ProbabilityFlow(_STEPS, data_std=float(line.sigma))
    run = sample(line, path, sampler, x=z[:, None], keep="trajectory")
    return 1.0 - run.times / path.T, np.asarray(run.trajectory)[:, :, 0]


def jacobian(mixture: GaussianMixture, z: Array) -> Array:
    """Its derivative at z, (n, d, d), by central differences."""
    shifts = _DIFFERENCE * np.eye(z.shape[1])
    columns = [flow_map(mixture, z + e) - flow_map(mixture, z - e) for e in shifts]
    return np.stack(columns, axis=2) / (2.0 * _DIFFERENCE)


# -- a line --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reflow:
    """Reflow of a line's pairs, linear between 2001 of them. start, coupled (n,): starts beside
    those, and where their pairs end; end (n,) where the reflowed flow takes them; slope: the least
    of S_t over t and starts, plain (n,): one step of Euler's method on the flow itself."""

    start: Array
    coupled: Array
    end: Array
    slope: float
    plain: Array


def reflow_of_line(case: Case, speed: float = 1.0) -> Reflow:
    """The velocity at a place is that of the one line through it, found by interpolation, since S_t
    increases; followed by 20 steps of the classical Runge-Kutta method. speed: a factor on it."""
    line = line_of(case)
    z = np.linspace(-_REACH, _REACH, 2001)
    x = flow_map(line, z[:, None])[:, 0]
    start = 0.5 * (z[50:-50:10] + z[51:-49:10])

    def velocity(t: float, y: Array) -> Array:
        return speed * np.interp(y, (1.0 - t) * z + t * x, x - z)

    y, h = start.copy(), 1.0 / 20
    for k in range(20):
        t = k * h
        first = velocity(t, y)
        second = velocity(t + h / 2, y + h / 2 * first)
        third = velocity(t + h / 2, y + h / 2 * second)
        fourth = velocity(t + h, y + h * third)
        y = y + h / 6 * (first + 2 * second + 2 * third + fourth)
    times = np.linspace(0.0, 1.0, 21)[:, None]
    slope = np.diff((1.0 - times) * z + times * x, axis=1) / np.diff(z)
    mean = line.weights @ line.means[:, 0]
    return Reflow(start, np.interp(start, z, x), y, float(slope.min()), np.full(len(start), mean))


# -- the plane -----------------------------------------------------------------------------------


def planes(case: Case, shear: float = SHEAR) -> dict[str, GaussianMixture]:
    """The case's mixture as it is and sheared, where it is of the plane, else none. shear: of the
    first coordinate by the second."""
    flat = case.mixture
    if flat.d != 2:
        return {}
    sheared = flat.means.copy()
    sheared[:, 0] += shear * sheared[:, 1]
    return {
        "as it is": flat,
        "sheared": GaussianMixture(sheared, flat.sigma, flat.weights, allow_duplicates=True),
    }


@dataclass(frozen=True)
class PlaneMap:
    """The flow's map of a plane. start, end (n, 2); jacobian (n, 2, 2)."""

    start: Array
    end: Array
    jacobian: Array

    def at(self, rows: IntArray) -> PlaneMap:
        """Some of the starts."""
        return PlaneMap(self.start[rows], self.end[rows], self.jacobian[rows])

    @property
    def margin(self) -> Array:
        """tr/(2 sqrt(det)), (n,): above -1 there is no negative eigenvalue."""
        determinant = np.linalg.det(self.jacobian)
        return np.trace(self.jacobian, axis1=1, axis2=2) / (2.0 * np.sqrt(determinant))

    @property
    def asymmetry(self) -> Array:
        """|DT - DT^T|/|DT|, (n,): 0 for optimal transport."""
        skew = np.abs(self.jacobian[:, 0, 1] - self.jacobian[:, 1, 0])
        return np.asarray(skew / np.linalg.norm(self.jacobian, axis=(1, 2)))


def starts_of_plane(case: Case) -> Array:
    """(n, 2) of N(0, I), half of them wider."""
    z = case.rng("reflow of a plane").standard_normal((case.pick(1500, 20_000), 2))
    z[::2] *= 1.5
    return z


def plane_map(case: Case, mixture: GaussianMixture) -> PlaneMap:
    """At those starts."""
    return _map_at(mixture, starts_of_plane(case))


def _map_at(mixture: GaussianMixture, z: Array) -> PlaneMap:
    return PlaneMap(z, flow_map(mixture, z), jacobian(mixture, z))


def descended(case: Case, mixture: GaussianMixture, seen: PlaneMap) -> PlaneMap:
    """Where the margin leads from the lowest of the starts seen: each goes to the best of a few
    places around it, in ever smaller circles, (_LOWEST, 2) starts in the end."""
    rng, reach = case.rng("descent of a plane"), _FIRST_REACH
    lowest = seen.at(np.argsort(seen.margin)[:_LOWEST])
    for _ in range(_ROUNDS):
        beside = reach * rng.standard_normal((len(lowest.start), _BESIDE, 2))
        found = _map_at(mixture, (lowest.start[:, None] + beside).reshape(-1, 2))
        margin = np.column_stack([lowest.margin, found.margin.reshape(-1, _BESIDE)])
        best = margin.argmin(axis=1)
        rows = np.arange(len(best)) * _BESIDE + best - 1
        moved = best > 0
        keep, gone = lowest.at(np.flatnonzero(~moved)), found.at(rows[moved])
        lowest = PlaneMap(
            np.concatenate([keep.start, gone.start]),
            np.concatenate([keep.end, gone.end]),
            np.concatenate([keep.jacobian, gone.jacobian]),
        )
        reach *= _SHRINK
    return lowest


@dataclass(frozen=True)
class Alignment:
    """Cosines of the angle between a - b and T(a) - T(b) of pairs of starts: their least, and the
    pair of it: starts (2, 2) and ends (2, 2)."""

    least: float
    start: Array
    end: Array


def alignment(case: Case, start: Array, end: Array) -> Alignment:
    """Of random pairs of starts (n, 2) and their ends, those nearer in noise as often as any."""
    rng, n = case.rng("pairs of a plane"), len(start)
    i, j = rng.integers(0, n, (2, _PAIRS))
    i, j = i[i != j], j[i != j]
    before, after = start[i] - start[j], end[i] - end[j]
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    cosine = (before * after).sum(axis=1) / np.maximum(size, 1e-300)
    k = int(cosine.argmin())
    pair = [i[k], j[k]]
    return Alignment(float(cosine[k]), start[pair], end[pair])


def reflow_pairs(case: Case) -> dict[str, Any]:
    """Paths of the flow on a line, times (T,), places (T, n); the plane's sheared modes (N, 2),
    the pair of starts and ends (2, 2) of least cosine, that cosine, the least margin of DT."""
    mixture = planes(case).get("sheared")
    if mixture is None:
        raise NotApplicableError(
            "reflow is drawn on mixtures of the plane", f"d = {case.mixture.d}", "Take d = 2."
        )
    times, places = flow_paths(case)
    seen = plane_map(case, mixture)
    pair = alignment(case, seen.start, seen.end)
    return {
        "n": len(seen.start),
        "times": times,
        "places": places,
        "means": mixture.means,
        "start": pair.start,
        "end": pair.end,
        "cosine": pair.least,
        "margin": float(seen.margin.min()),
    }
