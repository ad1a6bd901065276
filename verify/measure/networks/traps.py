"""The trap between two modes of a trained score under DDIM: its width, and how many paths it takes.

A DDIM step is an Euler step of the flow, y_s = y + h (m_net - y) with h = (sqrt(rho_t) -
sqrt(rho_s)) sqrt(rho_t)/v_t. On a segment at time tau the starts that end outside both modes are an
interval; its image ends as a curve from one mode's region to the other's, so that its width is at
least that gap over prod sup |I + h J|. Without a learned path, the closed-form marginal p_tau puts
a mass on the strips across these intervals: the predicted rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mixdyn import geometry
from mixdyn.geometry import Mask, Region
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.observers import Observer
from mixdyn.run.sampling import Samples, sample
from mixdyn.samplers import DDIM
from mixdyn.score import ExactScore
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import Proportion

from ...ledger.case import Case
from ..measurement import Measurement
from ..paths import ddim_grid
from .field import LearnedFlow, Segments, find_segments, flow_of, late_nodes, variances
from .models import TrainedModel
from .paths import NodeStates

MAX_STARTS = 6
_MAX_BISECTIONS, _RESOLVED = 40, 3e-3  # halvings, or until a width is known to this share of it
_CURVE = np.linspace(0.0, 1.0, 9)  # places of the interval whose images bound the growth


def euler_step(case: Case, t: int, s: int) -> float:
    """h of DDIM from t to s, in intrinsic time."""
    rho = np.sqrt(case.schedule.rho[[t, s]])
    return float((rho[0] - rho[1]) * rho[0] / variances(case)[t])


def end_reach(case: Case) -> float:
    """|z| within which an end lies outside the regions of both modes."""
    return 0.5 - float(geometry.mode_radius(case.mixture).max()) / find_segments(case).length


@dataclass(frozen=True, eq=False)
class Trap:
    """The trap of one model from the node t on, on P segments.

    interval (P, 2): z of the starts that end outside both modes. growth, middle (P,): log of prod
    sup |I + h J| over the interval's images, and of prod (1 + h <n, J n>) at the midpoint.
    """

    t: int
    interval: Array
    growth: Array
    middle: Array

    @property
    def width(self) -> Array:
        """(P,), over l."""
        return self.interval[:, 1] - self.interval[:, 0]


def start_nodes(case: Case) -> IntArray:
    """Up to six of the late nodes, the first and the last among them."""
    late = late_nodes(case)
    return late[np.unique(np.linspace(0, late.size - 1, MAX_STARTS).round().astype(int))]


def coarse_times(case: Case, t: int) -> IntArray:
    """The papers' nodes from t down."""
    times = ddim_grid(case).times
    return times[times <= t]


def fine_times(t: int) -> IntArray:
    """Every time from t down."""
    return np.arange(t, -1, -1)


@Measurement
def traps(case: Case, model: TrainedModel) -> list[Trap]:
    """One for each start node, under DDIM on the papers' nodes."""
    flow = flow_of(case, model)
    return [find_trap(flow, coarse_times(case, t)) for t in start_nodes(case).tolist()]


def exact_traps(case: Case) -> list[Trap]:
    """The same with the exact score."""
    return traps(case, TrainedModel("exact score", ExactScore(case.mixture, case.schedule)))


def fine_interval(case: Case, model: TrainedModel) -> Array:
    """`Trap.interval` from the first start node, under DDIM at every time."""
    times = fine_times(int(start_nodes(case)[0]))
    return case.memo(
        f"fine learned trap {model.name}", lambda: find_interval(flow_of(case, model), times)
    )


def find_trap(flow: LearnedFlow, times: IntArray) -> Trap:
    """The trap under DDIM on `times`, from the first of them to the clean data."""
    interval = find_interval(flow, times)
    return Trap(int(times[0]), interval, *_growth(flow, interval, times))


def find_interval(flow: LearnedFlow, times: IntArray) -> Array:
    """Its `interval`, by bisection."""
    case, segments = flow.case, find_segments(flow.case)
    reach = np.array([-1.0, 1.0]) * end_reach(case)
    low, high = np.full((2, len(segments.midpoints), 2), 0.5) * np.array([-1.0, 1.0])[:, None, None]
    for _ in range(_MAX_BISECTIONS):
        z = 0.5 * (low + high)
        if (high - low).max() <= _RESOLVED * np.diff(z, axis=1).min():
            break
        beyond = _ends(flow, segments, z, times) > reach
        low, high = np.where(beyond, low, z), np.where(beyond, z, high)
    return 0.5 * (low + high)


def images(flow: LearnedFlow, y: Array, times: IntArray) -> Iterator[tuple[Array, int, float]]:
    """The states y (n, d) at each noisy time, that time and the step h from there; then, with time
    0, where they end."""
    for t, s in itertools.pairwise(times.tolist()):
        h = euler_step(flow.case, t, s)
        yield y, t, h
        y = y + h * flow.pull(y, t)
    yield y, 0, 0.0


def _ends(flow: LearnedFlow, segments: Segments, z: Array, times: IntArray) -> Array:
    """z at time 0 of starts z (P, G) on the segments."""
    y = segments.points(z)
    *_, (end, _, _) = images(flow, y.reshape(-1, y.shape[2]), times)
    return segments.along(end.reshape(y.shape) - segments.midpoints[:, None])


def _growth(flow: LearnedFlow, interval: Array, times: IntArray) -> tuple[Array, Array]:
    """`Trap.growth` and `Trap.middle`."""
    segments = find_segments(flow.case)
    y = segments.points(interval[:, :1] + _CURVE * np.diff(interval, axis=1))
    count, d = y.shape[0], y.shape[2]
    n, unit = segments.directions, np.eye(d)
    growth, middle = np.zeros(count), np.zeros(count)
    for state, t, h in images(flow, y.reshape(-1, d), times):
        if t == 0:
            break
        step = unit + h * flow.jacobian(np.concatenate([segments.midpoints, state]), t)
        norm = np.linalg.norm(step, 2, axis=(1, 2))
        growth += np.log(np.maximum(norm[:count], norm[count:].reshape(count, -1).max(axis=1)))
        middle += np.log(np.abs(np.einsum("pi,pij,pj->p", n, step[:count], n)))
    return growth, middle


# -- rates ---------------------------------------------------------------------------------------


def strip_mass(case: Case, interval: ArrayLike, t: int) -> float:
    """Mass of p_t that the modes of each segment put between z[0] and z[1] (P, 2) along it.

    In the other directions a strip reaches without bound; what a mode sends past its neighbours
    there is made up by what theirs send here.
    """
    from scipy.special import ndtr

    segments = find_segments(case)
    z = np.broadcast_to(interval, (len(segments.modes), 2))
    scale = segments.length / math.sqrt(float(variances(case)[t]))
    weights = case.mixture.weights[segments.modes]
    total = 0.0
    for mode, place in ((0, 0.5), (1, -0.5)):  # modes i at z = 1/2 and j at -1/2
        # Both ends on the same side of the mode: the difference of upper tails keeps its digits.
        near, far = (np.abs(z - place) * scale).min(axis=1), (np.abs(z - place) * scale).max(axis=1)
        total += float((weights[:, mode] * (ndtr(-near) - ndtr(-far))).sum())
    return total * _all_segments(case) / len(segments.modes)


def _all_segments(case: Case) -> int:
    return len(geometry.nearest_pairs(case.mixture))


@dataclass(frozen=True, eq=False)
class Observed:
    """DDIM runs of one model. ended: interpolations. At each start node (K,): inside, share of the
    paths in the trap; caught, of them the share that interpolate; through, share of the
    interpolations that came through it."""

    ended: Proportion
    inside: Array
    caught: Array
    through: Array


@Measurement
def observed(case: Case, model: TrainedModel) -> Observed:
    """DDIM on the papers' nodes from noise."""
    found = traps(case, model)
    nodes = NodeStates(case.schedule, start_nodes(case), 0, _runs(case))
    out, interpolates = _run(case, model, ddim_grid(case), [nodes])
    rows = []
    for trap, y in zip(found, out.observations[0], strict=True):
        inside = in_trap(case, trap, y)
        both = float(np.mean(inside & interpolates))
        parts = (max(1.0 / len(inside), float(np.mean(part))) for part in (inside, interpolates))
        rows.append((np.mean(inside), *(both / part for part in parts)))
    ended = Proportion(int(np.count_nonzero(interpolates)), len(interpolates))
    return Observed(ended, *(np.array(part) for part in zip(*rows, strict=True)))


def observed_fine(case: Case, model: TrainedModel) -> Proportion:
    """Interpolations of DDIM that visits every time from the first start node on."""

    def run() -> Proportion:
        first, times = int(start_nodes(case)[0]), ddim_grid(case).times
        grid = TimeGrid.from_times([*times[times > first].tolist(), *fine_times(first).tolist()])
        _, hits = _run(case, model, grid)
        return Proportion(int(np.count_nonzero(hits)), len(hits))

    return case.memo(f"fine learned DDIM runs {model.name}", run)


def _runs(case: Case) -> int:
    return case.pick(5_000, 100_000)


def _run(
    case: Case, model: TrainedModel, grid: TimeGrid, observers: Sequence[Observer] = ()
) -> tuple[Samples, Mask]:
    """DDIM from noise, and which runs interpolate (n,)."""
    n, rng, sampler = _runs(case), case.stream("learned DDIM runs"), DDIM(spacing=grid)
    out = sample(model.score, case.schedule, sampler, n=n, rng=rng, observers=observers)
    ends = geometry.classify(case.mixture, np.asarray(out.x))
    return out, np.asarray(ends == Region.INTERPOLATION)


def in_trap(case: Case, trap: Trap, y: Array) -> Mask:
    """Which points y (n, d) lie between the interval's ends along the segment of their two nearest
    modes; none where that pair is no closest one."""
    segments = find_segments(case)
    place = np.full((case.mixture.N, case.mixture.N), -1)
    index = np.arange(len(segments.modes))
    place[segments.modes[:, 0], segments.modes[:, 1]] = index
    place[segments.modes[:, 1], segments.modes[:, 0]] = index
    first, second, _, _ = geometry.two_nearest(case.mixture.means, y)
    at = place[first, second]
    offset = y - segments.midpoints[at]
    z = np.einsum("nd,nd->n", offset, segments.directions[at]) / segments.length
    low, high = trap.interval[at].T
    return (at >= 0) & (z > low) & (z < high)
