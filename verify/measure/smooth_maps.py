"""Maps from noise to data, their slopes, and what they leave in the gaps between modes.

A DDIM run without noise is a map of its start; along it Jacobians of the steps multiply, those of a
model by central differences in double precision. The exact flow of a line from pure noise maps
quantile to quantile.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.learned.loading import SizedModel
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.samplers.flow import ProbabilityFlow
from mixdyn.score.protocol import checked_eps
from mixdyn.support.checks import Array
from verify.ledger.case import Case, Profile
from verify.measure.measurement import Measurement
from verify.measure.midpoint.traps import closest_pair, two_modes
from verify.measure.networks.models import (
    TrainedModel,
    load,
    require_models,
    shipped,
    trained_models,
)
from verify.measure.paths import DDIM_STEPS, ddim_grid

RADIUS = 5.0  # of a mode, in sigma: gaps are beyond it
PARTS = (1, 4, 16, 64, 256)
STRIP_PARTS = (1, 4)
LENGTHS = (6.0, 10.0, 20.0)  # of two modes, in sigma
_DIFFERENCE = 1e-5  # of a central difference in x
_COARSE, _FINE = 801, 600  # starts on a line: over all, and in the cells that reach into a gap
_REACH = 5.0  # of the starts on a line, in standard deviations
_ACROSS = (0.125, 0.375, 0.625, 0.875)  # of a gap, where slopes are sought beside a start's own
_FAINT = 1e-4  # signal below which a line's runs start


@dataclass(frozen=True)
class Gap:
    """What a map leaves between a and b along one direction.

    below, inside: mass of starts that end below it and in it. place, slope (n,): where in the gap
    starts end, increasing, and |grad f| there; left (n,): mass that ends below each place.
    """

    a: float
    b: float
    below: float
    inside: float
    place: Array
    slope: Array
    left: Array

    def largest(self, parts: int) -> tuple[Array, Array, Array]:
        """Of so many equal parts: quantile of the mass below each, width, largest slope seen in it.
        A part in which no start ends has none: it is left out."""
        from scipy.special import ndtri

        edges, top = np.linspace(self.a, self.b, parts + 1), np.zeros(parts)
        for side in ("left", "right"):  # what is at an edge is of both parts
            part = np.searchsorted(edges, self.place, side=side) - 1  # type: ignore[call-overload]
            np.maximum.at(top, np.clip(part, 0, parts - 1), self.slope)
        below = np.interp(edges[:-1], self.place, self.left, left=self.below)
        seen = top > 0.0
        return ndtri(below[seen]), np.diff(edges)[seen], top[seen]


# -- the exact map of a line ---------------------------------------------------------------------


def line_of(case: Case) -> GaussianMixture:
    """The mixture on its line, along its first axis, or else the closest pair's two modes."""
    mixture, axes = case.mixture, case.mixture.product_axes()
    if axes is None:
        pair, ratio = closest_pair(mixture)
        return two_modes(pair.length, float(mixture.sigma), ratio)
    values, weights = max(axes, key=lambda axis: len(axis[0]))
    return GaussianMixture(values[:, None], float(mixture.sigma), weights)


def gaps_of(mixture: GaussianMixture, axis: int = 0) -> list[tuple[float, float]]:
    """Stretches of an axis between neighbouring values of the means, beyond `RADIUS` of both; their
    middle third where that leaves less."""
    values = np.unique(np.round(mixture.means[:, axis], 9))
    near = np.minimum(RADIUS * float(mixture.sigmas.max()), np.diff(values) / 3.0)
    ends = zip(values[:-1] + near, values[1:] - near, strict=True)
    return [(float(a), float(b)) for a, b in ends]


@dataclass(frozen=True)
class ExactGap:
    """A gap (a, b) of the flow from pure noise, x = F^-1(Phi(z)), in equal parts: its mass, and of
    each part the quantile z at which it begins, its width and its largest slope."""

    a: float
    b: float
    inside: float
    quantile: Array
    width: Array
    largest: Array


def exact_gap(line: GaussianMixture, a: float, b: float, parts: int) -> ExactGap:
    """The slope is phi(z)/p(x); largest at an end of a part, or at its middle where it peaks. The
    mass by normal intervals."""
    from scipy.special import ndtr, ndtri

    place = np.linspace(a, b, 2 * parts + 1)
    sigma, means = float(line.sigma), line.means[:, 0]
    off = (place[:, None] - means) / sigma
    q = ndtri(ndtr(off) @ line.weights)
    log_density = np.logaddexp.reduce(np.log(line.weights) - off**2 / 2, axis=1) - np.log(sigma)
    slope = np.exp(np.minimum(-(q**2) / 2 - log_density, 700.0))
    log_mass = oracles.log_interval((a - means) / sigma, (b - means) / sigma)
    largest = np.maximum(np.maximum(slope[:-2:2], slope[1::2]), slope[2::2])
    mass = float(np.exp(log_mass) @ line.weights)
    return ExactGap(a, b, mass, q[:-1:2], np.diff(place[::2]), largest)


def engine_gap(line: GaussianMixture, a: float, b: float) -> Gap:
    """The same by the engine: the map of its fourth-order sampler from a level without signal, with
    slopes by central differences."""
    path = NoiseSchedule.flow_matching(4000)
    sampler = ProbabilityFlow(400, data_std=float(line.sigma))

    def run(z: Array) -> Array:
        return np.asarray(sample(line, path, sampler, x=z[:, None]).x)[:, 0]

    def run_with_slope(z: Array) -> tuple[Array, Array]:
        step = 1e-6
        return run(z), (run(z + step) - run(z - step)) / (2.0 * step)

    return _gap_on_line(run, run_with_slope, a, b)


# -- maps of models ------------------------------------------------------------------------------


def noise_function(model: TrainedModel) -> Any:
    """Its score in double precision, where it can be had in it."""
    score = model.score.model if isinstance(model.score, SizedModel) else model.score
    in_double = getattr(score, "in_double", None)
    return score if in_double is None else in_double()


def mapped(
    score: Any, schedule: NoiseSchedule, pairs: list[tuple[int, int]], x: Array, along: Array
) -> tuple[Array, Array]:
    """DDIM's ends (n, d) of starts x (n, d), and (n, d) the gradients in the start of <end, along>.

    Jacobians multiply from the last step back, so that one vector is carried; each is by central
    differences.
    """
    steps = [_factors(schedule, t, s) for t, s in pairs]
    states = [x]
    for (keep, denoise), (t, _) in zip(steps, pairs, strict=True):
        states.append(keep * states[-1] + denoise * checked_eps(score, states[-1], t))
    gradient = np.tile(along, (len(x), 1))
    for k in range(len(pairs) - 1, -1, -1):
        keep, denoise = steps[k]
        t, shifts = pairs[k][0], _DIFFERENCE * np.eye(x.shape[1])
        slopes = [
            checked_eps(score, states[k] + e, t) - checked_eps(score, states[k] - e, t)
            for e in shifts
        ]
        turned = np.stack([(s * gradient).sum(axis=1) for s in slopes], axis=1)
        gradient = keep * gradient + denoise / (2.0 * _DIFFERENCE) * turned
    return states[-1], gradient


def _factors(schedule: NoiseSchedule, t: int, s: int) -> tuple[float, float]:
    """x_s = keep x_t + denoise eps, DDIM's step."""
    keep = float(schedule.alpha[s] / schedule.alpha[t])
    noise = np.sqrt(schedule.noise_var[[t, s]])
    return keep, float(noise[1] - keep * noise[0])


def line_pairs(schedule: NoiseSchedule, steps: int = DDIM_STEPS) -> list[tuple[int, int]]:
    """DDIM's steps on a line: quadratic from where little signal is left."""
    first = int(np.argmax(schedule.alpha_bar <= max(_FAINT, float(schedule.alpha_bar[-1]))))
    root = np.linspace(0.0, np.sqrt(first), steps + 1)
    times = np.unique(np.round(root**2).astype(int))[::-1]
    return list(TimeGrid(times.tolist(), schedule.T).pairs)


def line_gaps(mixture: GaussianMixture, schedule: NoiseSchedule, model: TrainedModel) -> list[Gap]:
    """Every gap of a line under DDIM with a model, from N(0, 1)."""
    score, pairs, one = noise_function(model), line_pairs(schedule), np.ones(1)

    def run(z: Array) -> Array:
        x = z[:, None]
        for t, s in pairs:
            keep, denoise = _factors(schedule, t, s)
            x = keep * x + denoise * checked_eps(score, x, t)
        return np.asarray(x[:, 0])

    def run_with_slope(z: Array) -> tuple[Array, Array]:
        x, gradient = mapped(score, schedule, pairs, z[:, None], one)
        return x[:, 0], np.abs(gradient[:, 0])

    return [_gap_on_line(run, run_with_slope, a, b) for a, b in gaps_of(mixture)]


def _gap_on_line(
    run: Callable[[Array], Array],
    run_with_slope: Callable[[Array], tuple[Array, Array]],
    a: float,
    b: float,
) -> Gap:
    """A gap under a map of the line: cells of an even grid of starts that reach into it are divided
    evenly; the map is linear between starts."""
    from scipy.special import ndtr

    z = np.linspace(-_REACH, _REACH, _COARSE)
    x = run(z)
    low, high = np.minimum(x[:-1], x[1:]), np.maximum(x[:-1], x[1:])
    reach = np.flatnonzero((high > a) & (low < b))
    each = max(2, _FINE // max(len(reach), 1))
    starts = [np.linspace(z[k], z[k + 1], each + 1) for k in reach]
    z = np.unique(np.concatenate([z, *starts]))
    inside_cells = np.isin(z, np.concatenate(starts)) if starts else np.zeros(len(z), bool)
    x, slope = np.empty(len(z)), np.zeros(len(z))
    x[~inside_cells] = run(z[~inside_cells])
    if inside_cells.any():
        x[inside_cells], slope[inside_cells] = run_with_slope(z[inside_cells])
    mass = np.diff(ndtr(z))
    below = _share_below(x, a)
    under = mass @ below + ndtr(-_REACH)
    inside = float(mass @ (_share_below(x, b) - below))
    at = np.flatnonzero((x > a) & (x < b))
    # Slopes at the edges of the gap belong to it as well: those of the starts next to it.
    order = at[np.argsort(x[at])]
    place = np.clip(np.concatenate([[a], x[order], [b]]), a, b)
    ends = _edge_slopes(x, slope, a, b)
    steep = np.concatenate([[ends[0]], slope[order], [ends[1]]])
    left = np.array([mass @ _share_below(x, float(p)) for p in place]) + ndtr(-_REACH)
    edges = np.linspace(a, b, max(PARTS) + 1)
    every = np.sort(np.concatenate([place, edges[1:-1]]))
    steep, left = np.interp(every, place, steep), np.interp(every, place, left)
    return Gap(a, b, float(under), inside, every, steep, left)


def _share_below(x: Array, level: float) -> Array:
    """Of each cell between neighbours x (n,), the share that lies below a level, (n - 1,)."""
    low, high = np.minimum(x[:-1], x[1:]), np.maximum(x[:-1], x[1:])
    return np.asarray(np.clip((level - low) / np.maximum(high - low, 1e-300), 0.0, 1.0))


def _edge_slopes(x: Array, slope: Array, a: float, b: float) -> tuple[float, float]:
    """The slope where the map enters and leaves the gap, between the starts on both sides."""
    found = []
    for level in (a, b):
        cell = int(np.argmax((x[:-1] - level) * (x[1:] - level) <= 0.0))
        share = (level - x[cell]) / (x[cell + 1] - x[cell])
        found.append(float((1.0 - share) * slope[cell] + share * slope[cell + 1]))
    return found[0], found[1]


def lines_with_networks(
    case: Case,
) -> Iterator[tuple[GaussianMixture, NoiseSchedule, TrainedModel]]:
    """A case's own networks in one dimension; elsewhere the shipped ones of lines, each with its
    problem, three in the quick profile."""
    if case.mixture.d == 1 or case.model is not None:
        models = trained_models(case) if case.mixture.d == 1 else []
        yield from ((case.mixture, case.schedule, model) for model in models)
        return
    found = [s for s in shipped() if s.about["architecture"]["d"] == 1]
    chosen = (
        found
        if case.profile is Profile.FULL
        else [s for s in found if s.name.endswith("100k-0")][:3]
    )
    for one in chosen:
        yield one.mixture(), one.schedule(), load(one)


@Measurement
def learned_line_gaps(case: Case) -> dict[str, Any]:
    """Gaps of lines under DDIM with their networks, on a case in one dimension with its own: name
    (G,), a, b, below, inside (G,), bound (G, P) by PARTS of equal width."""
    from mixdyn import bounds

    rows: list[tuple[Any, ...]] = []
    for mixture, schedule, model in lines_with_networks(case):
        for gap in line_gaps(mixture, schedule, model):
            sums = [float(bounds.gap_probability(*gap.largest(p)).sum()) for p in PARTS]
            rows.append((model.name, gap.a, gap.b, gap.below, gap.inside, sums))
    names = ("name", "a", "b", "below", "inside", "bound")
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return {name: np.array(column) for name, column in zip(names, columns, strict=True)}


@dataclass(frozen=True)
class Strips:
    """Gaps across one axis under DDIM with a model: counts of n starts that end below and in each,
    bound (G, 2) by `STRIP_PARTS`, largest and median slope, each (G,)."""

    n: int
    axis: int
    gaps: Array
    below: Array
    inside: Array
    bound: Array
    largest: Array
    median: Array


@Measurement
def strips(case: Case, model: TrainedModel, axis: int) -> Strips:
    """Of n starts from N(0, I), the papers' nodes; slopes at those that end in a gap, and across it
    from each of them along its gradient."""
    from mixdyn import bounds

    n, grid, d = case.pick(12_000, 200_000), ddim_grid(case), case.mixture.d
    z = case.rng(f"smooth maps {model.name}").standard_normal((n, d))
    x = np.asarray(sample(model.score, case.schedule, DDIM(spacing=grid), x=z).x)[:, axis]
    score, along = noise_function(model), np.eye(d)[axis]
    rows = []
    for a, b in gaps_of(case.mixture, axis):
        at = np.flatnonzero((x > a) & (x < b))
        at = at[np.argsort(x[at])]
        below = int((x <= a).sum())
        if at.size == 0 or below == 0:
            continue
        run = functools.partial(mapped, score, case.schedule, list(grid.pairs), along=along)
        _, gradient = run(z[at])
        slope = np.linalg.norm(gradient, axis=1)
        ways = [(a + share * (b - a) - x[at]) / slope**2 for share in _ACROSS]
        ends, more = run(np.concatenate([z[at] + way[:, None] * gradient for way in ways]))
        ends, more = ends[:, axis], np.linalg.norm(more, axis=1)
        kept = (ends > a) & (ends < b)
        place, steep = np.concatenate([x[at], ends[kept]]), np.concatenate([slope, more[kept]])
        order = np.argsort(place)
        left = np.interp(place[order], x[at], (below + np.arange(len(at))) / n)
        gap = Gap(a, b, below / n, len(at) / n, place[order], steep[order], left)
        by_parts = [float(bounds.gap_probability(*gap.largest(p)).sum()) for p in STRIP_PARTS]
        rows.append((a, b, below, len(at), steep.max(), np.median(slope), *by_parts))
    table = np.array(rows).reshape(-1, 6 + len(STRIP_PARTS))
    below, inside, largest, median = table[:, 2:6].T
    return Strips(n, axis, table[:, :2], below, inside, table[:, 6:], largest, median)


def bound_shares(case: Case) -> dict[str, Any]:
    """The bound over the mass: exact (L, P) of two modes, by lengths (L,) in sigma and parts (P,);
    line (G, P) under networks, by name (G,), with the mass (G,); bound (M, Q) under the case's
    networks net (M,), by strip_parts (Q,), with their rate (M,)."""
    from mixdyn import bounds

    exact = []
    for length in LENGTHS:
        two = GaussianMixture([[0.0], [length]], 1.0)
        (ends,) = gaps_of(two)
        gaps = [exact_gap(two, *ends, p) for p in PARTS]
        sums = [bounds.gap_probability(g.quantile, g.width, g.largest).sum() for g in gaps]
        exact.append(np.array(sums) / gaps[0].inside)
    line = learned_line_gaps(case)
    models = require_models(case)
    plane = [(m.label, strips(case, m, 0)) for m in models if case.mixture.d > 1]
    seen = [(label, s) for label, s in plane if s.inside.size]
    return {
        "n": [s.n for _, s in seen] or 0,
        "lengths": np.array(LENGTHS),
        "parts": np.array(PARTS),
        "strip_parts": np.array(STRIP_PARTS),
        "exact": np.array(exact),
        "name": line["name"],
        "line": line["bound"] / line["inside"][:, None],
        "mass": line["inside"],
        "net": [label.replace(", seed ", " ") for label, _ in seen],
        "rate": np.array([s.inside.sum() / s.n for _, s in seen]),
        "bound": np.array([s.bound.sum(axis=0) for _, s in seen]).reshape(-1, len(STRIP_PARTS)),
    }
