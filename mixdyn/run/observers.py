"""Statistics streamed during a run, so that no trajectory needs to be stored.

An `Observer` is four functions of a state that it alone understands. One with `final_only = True`
looks at the end alone, and leaves the fused rollout in place.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from ..geometry import Region, classify, distance_to_segment, two_nearest
from ..problem.checks import check_mixture, check_schedule
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..support.checks import (
    Array,
    IntArray,
    check_array,
    check_integer,
    check_memory,
    check_positive,
)
from ..support.errors import InputError

_BIN_BYTES = 1e6  # of a histogram at every node


class Observer(Protocol):
    """rows is the slice of global sample indices in the block, x (n, d) the states at time t, eps
    (n, d) the model's prediction there. After the last step there is one more call with t = 0, s =
    None and eps = None."""

    def init(self, grid: TimeGrid, d: int) -> Any:
        """An empty state, before a block: the neutral element of `merge`."""
        ...

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        """The state after seeing one node of one block, before the step t -> s."""
        ...

    def merge(self, a: Any, b: Any) -> Any:
        """The state of both blocks, a before b."""
        ...

    def result(self, state: Any) -> Any:
        """What the run returns."""
        ...


class ClassCounts:
    """How many final states are true modes, interpolations and invalid: (3,) int64, by `Region`."""

    final_only: ClassVar[bool] = True

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture = check_mixture(mixture)

    def init(self, grid: TimeGrid, d: int) -> IntArray:
        """Zero counts."""
        return np.zeros(len(Region), np.int64)

    def step(
        self, state: IntArray, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> IntArray:
        """Add the classes of the states at time 0."""
        if t > 0:
            return state
        return state + np.bincount(classify(self.mixture, x), minlength=len(Region))

    def merge(self, a: IntArray, b: IntArray) -> IntArray:
        """Sum."""
        return a + b

    def result(self, state: IntArray) -> IntArray:
        """The counts."""
        return state


@dataclasses.dataclass(frozen=True)
class NodeSummary:
    """Per node of the grid, (S + 1,): mean, root mean square and maximum of a distance, and counts
    (S + 1, bins) in the bins whose (bins + 1,) edges are given."""

    times: IntArray
    n: int
    mean: Array
    rms: Array
    max: Array
    counts: IntArray
    edges: Array

    def quantile(self, level: float) -> Array:
        """(S + 1,) upper edge of the bin that holds the quantile."""
        reached = np.cumsum(self.counts, axis=1) >= level * self.n
        return self.edges[1 + np.argmax(reached, axis=1)]


class SegmentDistance:
    """Distance of y = x/alpha_t to the segment that joins its two nearest modes, at every node.

    Streams mean, rms, maximum and a histogram on a logarithmic axis, from `floor` up (the first
    bin takes what lies below, the last what lies above). Units of the data.
    """

    def __init__(
        self,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        *,
        bins: int = 240,
        floor: float = 1e-9,
        ceiling: float = 1e5,
    ) -> None:
        self.mixture = check_mixture(mixture)
        self.schedule = check_schedule(schedule)
        count = check_integer(bins, "bins", 1)
        check_memory(8.0 * count, _BIN_BYTES, "the bins of a node", "Take fewer.")
        low, high = check_positive(floor, "floor"), check_positive(ceiling, "ceiling")
        if high <= low:
            raise InputError("ceiling must exceed floor", f"{high} <= {low}", "Swap them.")
        self._inner = np.geomspace(low, high, count - 1) if count > 1 else np.empty(0)
        self._edges = np.concatenate([[0.0], self._inner, [np.inf]])

    def init(self, grid: TimeGrid, d: int) -> dict[str, Any]:
        """Zero sums at every node."""
        _check_signal(self.schedule, grid.times)
        nodes = len(grid.times)
        return {
            "times": grid.times,
            "n": 0,
            "sums": np.zeros((nodes, 2)),
            "max": np.zeros(nodes),
            "counts": np.zeros((nodes, len(self._edges) - 1), np.int64),
        }

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        """Add one node of one block."""
        node = int(np.flatnonzero(state["times"] == t)[0])
        y = x / self.schedule.alpha[t]
        i, j, _, _ = two_nearest(self.mixture.means, y)
        distance = distance_to_segment(y, self.mixture.means[i], self.mixture.means[j])
        state["sums"][node] += distance.sum(), np.square(distance).sum()
        state["max"][node] = max(state["max"][node], distance.max())
        index = np.searchsorted(self._inner, distance, side="right")
        state["counts"][node] += np.bincount(index, minlength=len(self._edges) - 1)
        if t == 0:
            state["n"] += len(x)
        return state

    def merge(self, a: Any, b: Any) -> Any:
        """Sums, and the larger maximum."""
        return {
            "times": a["times"],
            "n": a["n"] + b["n"],
            "sums": a["sums"] + b["sums"],
            "max": np.maximum(a["max"], b["max"]),
            "counts": a["counts"] + b["counts"],
        }

    def result(self, state: Any) -> NodeSummary:
        """The summary per node."""
        n = max(state["n"], 1)
        mean, rms = state["sums"][:, 0] / n, np.sqrt(state["sums"][:, 1] / n)
        return NodeSummary(
            state["times"], state["n"], mean, rms, state["max"], state["counts"], self._edges
        )


class WindowVariance:
    """Variance of x0_hat over the last `window` steps of the run, per coordinate, averaged: (n,).

    This is the detector Hal(x) of arXiv 2406.09358 (section 5). Holds n numbers, and three blocks
    of working storage.
    """

    def __init__(self, schedule: NoiseSchedule, window: int = 15) -> None:
        self.schedule = check_schedule(schedule)
        self.window = check_integer(window, "window", 2)

    def init(self, grid: TimeGrid, d: int) -> dict[str, Any]:
        """No samples; the window's times are the last steps of the grid."""
        if self.window > grid.steps:
            raise InputError(
                f"window must not exceed the {grid.steps} steps of the grid",
                self.window,
                "Shorten it.",
            )
        _check_signal(self.schedule, grid.times[-1 - self.window :])
        times = {int(t) for t in grid.times[-1 - self.window : -1]}
        return {"times": times, "done": [], "count": 0, "mean": None, "square": None}

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        """Welford's update at the window's nodes."""
        if t == 0:
            state["done"].append(state["square"].mean(axis=1) / state["count"])
            state["count"], state["mean"], state["square"] = 0, None, None
        elif t in state["times"] and eps is not None:
            x0 = (x - np.sqrt(self.schedule.noise_var[t]) * eps) / self.schedule.alpha[t]
            if state["mean"] is None:
                state["mean"], state["square"] = np.zeros_like(x), np.zeros_like(x)
            state["count"] += 1
            delta = x0 - state["mean"]
            state["mean"] += delta / state["count"]
            state["square"] += delta * (x0 - state["mean"])
        return state

    def merge(self, a: Any, b: Any) -> Any:
        """Append."""
        return {**a, "done": a["done"] + b["done"]}

    def result(self, state: Any) -> Array:
        """(n,) variances, in sample order."""
        return np.concatenate(state["done"])


class FinalHistogram:
    """How many final states have one coordinate in each bin: (B + 2,) int64 for B + 1 edges, the
    first and the last count what lies below and above. edges increase; axis in 0..d - 1."""

    final_only: ClassVar[bool] = True

    def __init__(self, edges: ArrayLike, *, axis: int = 0) -> None:
        self.edges = check_array(edges, "edges", ndim=1)
        self.axis = check_integer(axis, "axis", 0)
        if len(self.edges) < 2 or not (np.diff(self.edges) > 0.0).all():
            raise InputError("edges must increase, two or more of them", edges, "Sort them.")

    def init(self, grid: TimeGrid, d: int) -> IntArray:
        """Zero counts."""
        return np.zeros(len(self.edges) + 1, np.int64)

    def step(
        self, state: IntArray, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> IntArray:
        """Count the states at time 0."""
        if t > 0:
            return state
        place = np.searchsorted(self.edges, x[:, self.axis], side="right")
        return state + np.bincount(place, minlength=len(self.edges) + 1)

    def merge(self, a: IntArray, b: IntArray) -> IntArray:
        """Sum."""
        return a + b

    def result(self, state: IntArray) -> IntArray:
        """The counts."""
        return state


def _check_signal(schedule: NoiseSchedule, times: IntArray) -> None:
    """Refuse nodes that have no place among the data."""
    if schedule.alpha[times[0]] == 0.0:
        raise InputError(
            "this observer needs signal at its nodes: x/alpha, or x0_hat from eps",
            f"alpha = 0 at t = {times[0]}",
            "Start below it, or look at the end alone.",
        )
