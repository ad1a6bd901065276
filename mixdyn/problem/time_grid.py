"""Grids of the times 0 (clean) to T (noise) of a schedule: see `schedule`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..support.checks import IntArray, check_integer, describe
from ..support.errors import InputError
from .checks import check_schedule

if TYPE_CHECKING:
    from .schedule import NoiseSchedule

# Longer than any schedule in use; refuses a slip such as T = 1e12 before the memory is asked for.
MAX_T = 10_000_000


class TimeGrid:
    """A decreasing list of times t_0 > t_1 > ... > t_S = 0, with t_0 <= T.

    Last-step rule: the last step goes to time 0, where the noise variance is zero, so it returns
    the predicted clean sample without noise, whatever the sampler.
    """

    __slots__ = ("_T", "_times")
    _T: int
    _times: IntArray

    def __init__(self, times: Iterable[int], T: int | None = None) -> None:
        # Python ints from here on: a NumPy array of floats is refused, not truncated.
        values = [check_integer(t, "every time", 0, MAX_T) for t in _as_list(times)]
        if len(values) < 2 or values[-1] != 0 or any(a <= b for a, b in _adjacent(values)):
            raise InputError(
                "a time grid must decrease strictly and end at 0",
                describe(values),
                "List the times from noise to data, e.g. [1000, 500, 1, 0].",
            )
        limit = values[0] if T is None else check_length(T)
        if values[0] > limit:
            raise InputError(
                f"times must not exceed T = {limit}", values[0], "Start the grid at T or below."
            )
        array = np.array(values, dtype=np.int64)
        array.setflags(write=False)
        object.__setattr__(self, "_times", array)
        object.__setattr__(self, "_T", limit)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"TimeGrid is frozen: build a new one to change {name!r}")

    @classmethod
    def full(cls, T: int) -> TimeGrid:
        """T, T - 1, ..., 1, 0."""
        return cls(range(check_length(T), -1, -1), T)

    @classmethod
    def uniform(cls, T: int, S: int) -> TimeGrid:
        """round(T (1 - k/S)) for k = 0..S: starts at T."""
        steps = _check_steps(T, S)
        return cls(np.rint(T * (steps - np.arange(steps + 1)) / steps).astype(int), T)

    @classmethod
    def trailing(cls, T: int, S: int) -> TimeGrid:
        """The times of `uniform`, under the name that diffusers gives them (arXiv 2305.08891): T,
        T - T/S, ... rounded. Counted as whole multiples, so that none is repeated or below 1."""
        return cls.uniform(T, S)

    @classmethod
    def linspace(cls, T: int, S: int) -> TimeGrid:
        """S noisy times from T to 1, as evenly spaced as whole times allow, then 0. One step starts
        at T."""
        steps = _check_steps(T, S)
        index = np.rint(np.linspace(0, T - 1, steps)) if steps > 1 else np.array([T - 1])
        times = 1 + index.astype(int)
        return cls([*distinct_times(times, T)[::-1], 0], T)

    @classmethod
    def leading(cls, T: int, S: int) -> TimeGrid:
        """The first S of 1, 1 + T//S, 1 + 2 (T//S), ..., reversed, then 0: starts below T."""
        steps = _check_steps(T, S)
        return cls([*(np.arange(steps) * (T // steps) + 1)[::-1], 0], T)

    @classmethod
    def quadratic(cls, T: int, S: int) -> TimeGrid:
        """S noisy times, the k-th near 0.8 T (k/(S - 1))^2, dense near the data, then 0.

        0-based indices round(linspace(0, sqrt(0.8 T), S)^2), made strictly increasing (and pushed
        down from T where S is too large for that), plus 1. Starts near 0.8 T, as in the code of
        the DDIM paper (arXiv 2010.02502). One step starts at 0.8 T.
        """
        steps = _check_steps(T, S)
        root = math.sqrt(0.8 * T)
        index = np.rint(np.linspace(0 if steps > 1 else root, root, steps) ** 2).astype(int)
        return cls([*distinct_times(index + 1, T)[::-1], 0], T)

    @classmethod
    def log_snr(cls, schedule: NoiseSchedule, S: int) -> TimeGrid:
        """S noisy times from T to 1, as evenly spaced in log(alpha_bar/(1 - alpha_bar)) as whole
        times allow, then 0."""
        steps = _check_steps(check_schedule(schedule).T, S)
        T, top = schedule.T, []
        if schedule.rho[-1] == math.inf:  # no finite level: the rest begins a time below
            T, steps, top = T - 1, min(steps, T) - 1, [T]
        level = np.log(schedule.rho[1 : T + 1])
        ends = (level[-1], level[0])
        target = np.linspace(*ends, steps)[::-1] if steps != 1 else level[-1:]
        times = np.rint(np.interp(target, level, np.arange(1.0, T + 1))).astype(int)
        return cls([*top, *distinct_times(times, T)[::-1], 0], schedule.T)

    @classmethod
    def from_times(cls, times: Iterable[int]) -> TimeGrid:
        """An explicit decreasing list of times ending at 0."""
        return cls(times)

    @property
    def times(self) -> IntArray:
        """(S + 1,) decreasing int64, the last is 0."""
        return self._times

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The steps as (t, s), t > s."""
        return list(_adjacent(self.times.tolist()))

    @property
    def steps(self) -> int:
        """Number of steps S."""
        return len(self.times) - 1

    def cut(self, start: int) -> TimeGrid:
        """The part from `start` (which must be a positive time of the grid) down to 0."""
        first = check_integer(start, "start", 1)
        if first not in self.times.tolist():
            gaps = np.abs(self.times - min(first, MAX_T))
            near = self.times[np.argsort(gaps, kind="stable")[:2]]
            raise InputError(
                "start must be a time of the grid",
                first,
                f"The nearest are {sorted(near.tolist())}.",
            )
        return TimeGrid(self.times[self.times <= first], self._T)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TimeGrid) and np.array_equal(self.times, other.times)

    def __hash__(self) -> int:
        return hash(self.times.tobytes())

    def __reduce__(self) -> tuple[Any, ...]:
        return TimeGrid, (self.times.tolist(), self._T)

    def __repr__(self) -> str:
        return f"TimeGrid({self.steps} steps from {self.times[0]} to 0)"


def _as_list(times: Iterable[int]) -> list[Any]:
    try:
        return list(times)
    except TypeError:
        raise InputError("times must be a list of integers", describe(times), "") from None


def _adjacent(values: list[int]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(values))


def check_length(T: int) -> int:
    """T, an integer from 1 to MAX_T."""
    length = check_integer(T, "T", 1)
    if length > MAX_T:
        raise InputError(f"T must not exceed {MAX_T}", length, "Take a shorter schedule.")
    return length


def _check_steps(T: int, S: int) -> int:
    limit = check_length(T)
    steps = check_integer(S, "the number of steps", 1)
    if steps > limit:
        raise InputError(
            f"the number of steps must not exceed T = {limit}",
            steps,
            "Take fewer steps or a longer schedule.",
        )
    return steps


def distinct_times(times: IntArray, T: int) -> IntArray:
    """The nearest strictly increasing times within 1..T: push up, then down from T."""
    steps = len(times)
    offset = np.arange(steps)
    up = np.maximum.accumulate(np.maximum(times, 1) - offset) + offset
    return np.minimum(up, T - steps + 1 + offset)
