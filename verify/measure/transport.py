"""DDIM's error in the transport distance W2: grids in s = sqrt(rho), ends on lines by quantiles."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.support.checks import Array, frozen
from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.smooth_maps import line_of

Grid = Callable[[Array], Array]  # s at tau in 0..1, 0 at 0

STEPS = (5, 10, 20, 50, 100)
KARRAS = 7.0
N_QUANTILES = 64
_DENSE = 500  # steps of a grid by which integrals over it are taken
_PLACES, _ROUNDS = 63, 8  # in each bracket at once, and how often: to 2^-48 of it


def noisiest(case: Case) -> float:
    """sqrt(rho) at the noisiest time with signal."""
    rho = case.schedule.rho
    return float(np.sqrt(rho[np.isfinite(rho)][-1]))


def start_of(case: Case, line: GaussianMixture) -> float:
    """sqrt(rho) from which constants are compared: ten times as wide as the data, where there is as
    much. From farther out a tangent law's first step is beyond first order at any usual number."""
    return min(noisiest(case), 10.0 * width_of(line))


def tangent(width: float, top: float) -> Grid:
    """Equal angles of arctan(s/width): best for one mode of that standard deviation."""
    return lambda tau: width * np.tan(np.arctan(top / width) * tau)


def power(exponent: float, top: float) -> Grid:
    """s = top tau^exponent; 7 as Karras et al. take it, down to 0."""
    return lambda tau: top * np.asarray(tau) ** exponent


def smooth_grids(line: GaussianMixture, top: float) -> Mapping[str, Grid]:
    """Grids by name: tangent laws of a mode and of all the data, and powers."""
    return {
        "tangent, mode": tangent(float(line.sigma), top),
        "tangent, data": tangent(width_of(line), top),
        "quadratic": power(2.0, top),
        "Karras": power(KARRAS, top),
    }


def width_of(line: GaussianMixture) -> float:
    """Standard deviation of the data on the line."""
    mean = line.weights @ line.means[:, 0]
    return float(np.sqrt(line.weights @ (line.means[:, 0] - mean) ** 2 + float(line.sigma) ** 2))


def nodes(grid: Grid, steps: int) -> Array:
    """s at the nodes of so many steps, decreasing to 0."""
    return np.append(grid(np.linspace(1.0, 0.0, steps + 1)[:-1]), 0.0)


def ddim_ends(line: GaussianMixture, s: Array, y: Array) -> Array:
    """DDIM's ends of starts y (n,) on the grid s, by the engine on a path of these levels alone."""
    path = NoiseSchedule.from_sigmas(s[-2::-1])
    x = path.alpha[path.T] * y[:, None]
    run = sample(line, path, DDIM(spacing=TimeGrid.full(path.T)), x=x)
    return np.asarray(run.x)[:, 0]


def quantiles(line: GaussianMixture, s: float, levels: Array) -> Array:
    """Where the marginal at s has these levels, (n,)."""
    return _quantiles(line, s, levels.tobytes())


@functools.lru_cache(maxsize=32)  # grids and numbers of steps begin and end at the same levels
def _quantiles(line: GaussianMixture, s: float, given: bytes) -> Array:
    levels = np.frombuffer(given)
    reach = np.abs(line.means).max() + 9.0 * np.hypot(float(line.sigma), s)
    low, high = np.full(len(levels), -reach), np.full(len(levels), reach)
    for _ in range(60):
        middle = 0.5 * (low + high)
        under = distribution(line, middle, s) < levels
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return frozen(0.5 * (low + high))


def middles(line: GaussianMixture) -> tuple[Array, Array]:
    """Middles between neighbouring modes, and their distances, (N - 1,) each."""
    means = np.sort(line.means[:, 0])
    return 0.5 * (means[1:] + means[:-1]), np.diff(means)


def distribution(line: GaussianMixture, place: Array, s: float = 0.0) -> Array:
    """The distribution function of the marginal at s, (n,)."""
    from scipy.special import ndtr

    std = np.hypot(float(line.sigma), s)
    return np.asarray(ndtr((place[:, None] - line.means[:, 0]) / std) @ line.weights)


def level_errors(line: GaussianMixture, grid: Grid, steps: int) -> Array:
    """DDIM's mass below the middles between modes, less the data's: (N - 1,). The start that ends
    in a middle is found by division: its map is increasing."""
    s = nodes(grid, steps)
    middle, _ = middles(line)
    reach = np.abs(line.means).max() + 6.0 * np.hypot(float(line.sigma), s[0])
    low, high = np.full(len(middle), -reach), np.full(len(middle), reach)
    share = np.arange(1, _PLACES + 1) / (_PLACES + 1)
    for _ in range(_ROUNDS):
        start = low[:, None] + (high - low)[:, None] * share
        ends = ddim_ends(line, s, start.ravel()).reshape(start.shape)
        under = (ends < middle[:, None]).sum(axis=1)
        knots, at = np.column_stack([low, start, high]), np.arange(len(middle))
        low, high = knots[at, under], knots[at, under + 1]
    start = 0.5 * (low + high)
    return distribution(line, start, float(s[0])) - distribution(line, middle)


def w2_by_quantiles(line: GaussianMixture, grid: Grid, steps: int, levels: Array) -> Array:
    """DDIM's ends less the data's at the same levels, (n,); ends are sorted, as transport is."""
    s = nodes(grid, steps)
    ends = ddim_ends(line, s, quantiles(line, float(s[0]), levels))
    return np.asarray(np.sort(ends) - quantiles(line, 0.0, levels))


def even_levels(n: int) -> Array:
    """Middles of n equal parts of 0..1."""
    return (np.arange(n) + 0.5) / n


def overlapping(line: GaussianMixture) -> GaussianMixture:
    """The line with modes a fourth of their largest distance wide: W2 is of first order early."""
    return GaussianMixture(line.means, 0.25 * float(middles(line)[1].max()), line.weights)


def constant_of_levels(line: GaussianMixture, grid: Grid, levels: Array) -> oracles.LevelError:
    """The closed constants on a grid."""
    return oracles.first_order_levels(line, levels, nodes(grid, _DENSE))


@Measurement
def distances(case: Case) -> dict[str, Any]:
    """W2 over sigma by grid (G,) and STEPS (K,): one (G, K) of a mode in one dimension, line (G, K)
    of the case's line, wide (G, K) of the line with overlapping modes over its own sigma; names
    (G,), steps (K,). far (G,): what sqrt(K) W2 over sigma tends to on the line, as far as weights
    alone count."""
    line = line_of(case)
    wide, levels = overlapping(line), even_levels(case.pick(2001, 20_001))
    one, far, near = [], [], []
    for grid in smooth_grids(line, noisiest(case)).values():
        one.append(
            [1.0 - oracles.first_order_std(nodes(grid, k), float(line.sigma)) for k in STEPS]
        )
    for grid in smooth_grids(line, start_of(case, line)).values():
        far.append([_size(w2_by_quantiles(line, grid, k, levels)) for k in STEPS])
    for grid in smooth_grids(wide, start_of(case, wide)).values():
        near.append([_size(w2_by_quantiles(wide, grid, k, levels)) for k in STEPS])
    return {
        "n": len(levels),
        "names": list(smooth_grids(line, noisiest(case))),
        "steps": np.array(STEPS),
        "one": np.array(one),
        "line": np.array(far) / float(line.sigma),
        "far": _far(line, smooth_grids(line, start_of(case, line))),
        "wide": np.array(near) / float(wide.sigma),
        "length": float(np.diff(np.sort(line.means[:, 0])).min() / float(line.sigma)),
    }


def _far(line: GaussianMixture, grids: Mapping[str, Grid]) -> Array:
    place, gaps = middles(line)
    level = distribution(line, place)
    found = []
    for grid in grids.values():
        c = constant_of_levels(line, grid, level).constant
        found.append(np.sqrt(gaps**2 @ np.abs(c)) / float(line.sigma))
    return np.array(found)


def _size(errors: Array) -> float:
    return float(np.sqrt(np.mean(errors**2)))
