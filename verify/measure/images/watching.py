"""What is seen of a run on images: counts of the predicted image by level of noise, and Hal.

A path is undecided between two counts where the predicted image x0_hat holds a part with about half
of a triangle's ink: it may yet become one or vanish. This is the midpoint (A + B)/2 of two clean
images that differ by one triangle, as far as images have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixdyn.images.counting import find_parts
from mixdyn.images.drawing import area
from mixdyn.images.generators import KINDS
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.support.checks import Array, IntArray

LEVELS = (
    30.0,
    10.0,
    5.0,
    3.0,
    2.0,
    1.0,
    0.5,
    0.25,
    0.1,
    0.01,
)  # rho, noise over signal in variance
HALF = (0.25, 0.75)  # of a shape's ink: a part in between is undecided


class Decisions:
    """Observer: at the grid's node nearest to each of LEVELS, how many parts x0_hat holds and
    whether one of them is undecided, each (n, L)."""

    def __init__(self, schedule: NoiseSchedule, side: int, radius: float) -> None:
        self.schedule, self.side, self.radius = schedule, side, radius
        self.least = area(KINDS["triangle"], radius)

    def init(self, grid: TimeGrid, d: int) -> dict[str, Any]:
        """Which node stands for each level."""
        log_rho = np.log(self.schedule.rho[grid.times[:-1]])
        nearest = [int(np.abs(log_rho - np.log(level)).argmin()) for level in LEVELS]
        nodes = {int(grid.times[k]) for k in nearest}
        return {"nodes": nodes, "at": [int(grid.times[k]) for k in nearest], "seen": {}, "done": []}

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        """Look at the predicted image."""
        if t == 0:
            state["done"].append(np.stack([state["seen"][at] for at in state["at"]], 2))
            state["seen"] = {}
        elif t in state["nodes"] and eps is not None:
            state["seen"][t] = self.look(x0_hat(self.schedule, x, eps, t))
        return state

    def look(self, x0: Array) -> IntArray:
        """(2, n): parts that count in images x0 (n, side^2), and whether one is undecided."""
        found = find_parts(x0.reshape(-1, self.side, self.side), self.radius, ("triangle",))
        open_ = (found.ink >= HALF[0] * self.least) & (found.ink < HALF[1] * self.least)
        sure = np.bincount(found.image[~open_], minlength=found.n)
        return np.stack([sure, np.bincount(found.image[open_], minlength=found.n) > 0])

    def merge(self, a: Any, b: Any) -> Any:
        """Append."""
        return {**a, "done": a["done"] + b["done"]}

    def result(self, state: Any) -> tuple[IntArray, NDArray[np.bool_]]:
        """Counts (n, L) and whether undecided (n, L)."""
        both = np.concatenate(state["done"], axis=1)
        return both[0], both[1] > 0


class HalWindows:
    """Observer: the variance of x0_hat over the nodes in each window of times, averaged over
    pixels, (n, W): Hal(x) of arXiv 2406.09358. A window that holds fewer than two nodes is NaN."""

    def __init__(self, schedule: NoiseSchedule, windows: Sequence[tuple[int, int]]) -> None:
        self.schedule, self.windows = schedule, windows

    def init(self, grid: TimeGrid, d: int) -> dict[str, Any]:
        """No samples."""
        return {"sums": {}, "done": []}

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        """Add one node to the windows that hold it, about the window's first prediction."""
        sums = state["sums"]
        if t == 0:
            blank = np.full(len(x), np.nan)
            hal = [_variance(*sums[k][1:]) if k in sums else blank for k in self._numbers]
            state["done"].append(np.stack(hal, axis=1))
            state["sums"] = {}
            return state
        inside = [k for k in self._numbers if self.windows[k][1] <= t <= self.windows[k][0]]
        if inside and eps is not None:
            x0 = x0_hat(self.schedule, x, eps, t)
            for k in inside:
                first, count, total, square = sums.get(k, (x0, 0, 0.0, 0.0))
                away = x0 - first
                sums[k] = first, count + 1, total + away, square + np.square(away)
        return state

    @property
    def _numbers(self) -> range:
        return range(len(self.windows))

    def merge(self, a: Any, b: Any) -> Any:
        """Append."""
        return {**a, "done": a["done"] + b["done"]}

    def result(self, state: Any) -> Array:
        """(n, W) in the order of the samples."""
        return np.concatenate(state["done"])


def _variance(count: int, total: Array, square: Array) -> Array:
    """(n,): means over pixels of the variance of `count` values with these sums."""
    if count < 2:
        return np.full(len(total), np.nan)
    return np.asarray((square / count - np.square(total / count)).mean(axis=1))


def x0_hat(schedule: NoiseSchedule, x: Array, eps: Array, t: int) -> Array:
    """The predicted image at states x (n, d)."""
    found: Array = (x - np.sqrt(schedule.noise_var[t]) * eps) / schedule.alpha[t]
    return found
