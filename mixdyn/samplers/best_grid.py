"""The grid of K steps whose sampler with eta = 1 has the least price in nats.

With g = 1/rho the steps of such a sampler cost 1/2 sum_k mmse(g_k) (g_{k+1} - g_k), less the
information that they gain, and starting from noise costs KL(p_t || N(0, I)) at the first time t.
Both are known of every time, so the best of all grids of whole times is found exactly, by dynamic
programming. As mmse falls with g, the best last node before a time moves with that time, and each
further step takes one pass over the times (lines on a convex hull). In the limit of many steps
nodes have a density in g proportional to sqrt(-d mmse/dg), and the steps cost (int sqrt(-d mmse/dg)
dg)^2/(4 K).
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import math
from typing import Any

import numpy as np

from ..problem.checks import check_mixture, check_schedule
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.information import start_nats as nats_of_start
from ..score.information_curve import Curve
from ..support.checks import Array, check_integer, check_limit

PRICE = "price"  # the spacing
START_NATS = 1e-3  # weights of modes are then off by 0.022 at most, and far less as a rule


def best_grid(
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    steps: int,
    *,
    last: int = 1,
    start_nats: float = START_NATS,
) -> TimeGrid:
    """The grid of `steps` steps, the last from time `last` to 0, on which samplers with eta = 1 pay
    the least for start and steps. One step starts at T.

    start_nats : the most that the start may cost; where every start costs more, the least. Infinity
    gives the least total: few steps then begin late, and weights of modes are off from the start.
    The least price is that of losing nothing: it hardly counts mass between modes.
    """
    T = check_schedule(schedule).T
    end = check_integer(last, "last", 1, T)
    count = check_integer(steps, "the number of steps", 1, T - end + 1)
    allowed = check_limit(start_nats, "start_nats")
    times = _best_times(check_mixture(mixture), schedule, count, end, allowed)
    return TimeGrid([*times, 0], T)


def settled(sampler: Any, mixture: GaussianMixture, schedule: NoiseSchedule) -> Any:
    """A sampler whose spacing, or that of a sampler within it, is "price", on its grid for this
    mixture; any other as it is."""
    if not dataclasses.is_dataclass(sampler) or isinstance(sampler, type):
        return sampler
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(sampler):
        value = getattr(sampler, field.name)
        if field.name == "spacing" and isinstance(value, str) and value == PRICE:
            changed["spacing"] = best_grid(mixture, schedule, sampler.steps)  # type: ignore[attr-defined]
        elif (inner := settled(value, mixture, schedule)) is not value:
            changed[field.name] = inner
    return dataclasses.replace(sampler, **changed) if changed else sampler


@functools.lru_cache(maxsize=64)
def _best_times(
    mixture: GaussianMixture, schedule: NoiseSchedule, steps: int, last: int, allowed: float
) -> tuple[int, ...]:
    starts, told, mmse = _costs(mixture, schedule, last)
    if steps == 1:
        return (schedule.T,)
    with np.errstate(divide="ignore"):
        g = 1.0 / schedule.rho[last:][::-1]
    kl = starts - told
    open_to = kl <= max(allowed, float(kl.min()))
    nodes = cheapest_nodes(np.where(open_to, starts, math.inf), 0.5 * mmse, g, steps)
    return tuple(schedule.T - k for k in nodes)


@functools.lru_cache(maxsize=16)
def _costs(
    mixture: GaussianMixture, schedule: NoiseSchedule, last: int
) -> tuple[Array, Array, Array]:
    """(m,) cost of a start and what it tells of x_0, together, the latter, and mmse at the times
    T..last."""
    rho = schedule.rho[last:][::-1]
    curve = Curve.of(mixture, rho)
    wide = np.square(schedule.scale[last:][::-1])
    noise_var, signal = schedule.noise_var[last:][::-1], schedule.alpha_bar[last:][::-1]
    start = nats_of_start(mixture, signal, noise_var, wide)
    # Of draws the curve falls up to their errors.
    told = curve.first + np.concatenate([[0.0], np.cumsum(curve.gained)])
    return start, told, np.minimum.accumulate(np.maximum(curve.mmse, 0.0))


def cheapest_nodes(starts: Array, slopes: Array, g: Array, count: int) -> list[int]:
    """The indices i_1 < ... < i_count = m - 1 that minimise starts[i_1] + sum slopes[i_k] (g[i_k+1]
    - g[i_k]); slopes (m,) do not rise, g (m,) does."""
    x, slope = g.tolist(), slopes.tolist()
    cost, parents = starts.tolist(), []
    for _ in range(count - 1):
        cost, parent = _one_more(cost, slope, x)
        parents.append(parent)
    nodes = [len(x) - 1]
    for parent in reversed(parents):
        nodes.append(parent[nodes[-1]])
    return nodes[::-1]


def _one_more(
    cost: list[float], slope: list[float], x: list[float]
) -> tuple[list[float], list[int]]:
    """Least cost at every index after one more step, and the index before it."""
    new, parent = [math.inf] * len(x), [0] * len(x)
    hull: collections.deque[tuple[float, float, int]] = collections.deque()
    for i in range(1, len(x)):
        k = i - 1
        if cost[k] < math.inf:
            a, b = slope[k], cost[k] - slope[k] * x[k]
            if hull and hull[-1][0] == a:
                if hull[-1][1] <= b:
                    a = math.nan
                else:
                    hull.pop()
            if a == a:
                while len(hull) > 1 and _hidden(hull[-2], hull[-1], (a, b, k)):
                    hull.pop()
                hull.append((a, b, k))
        while len(hull) > 1 and hull[1][0] * x[i] + hull[1][1] <= hull[0][0] * x[i] + hull[0][1]:
            hull.popleft()
        if hull:
            a, b, k = hull[0]
            new[i], parent[i] = a * x[i] + b, k
    return new, parent


def _hidden(
    one: tuple[float, float, int], two: tuple[float, float, int], three: tuple[float, float, int]
) -> bool:
    """Whether the second of three lines of falling slopes is nowhere the lowest."""
    return (three[1] - one[1]) * (one[0] - two[0]) <= (two[1] - one[1]) * (one[0] - three[0])
