"""A plan on a model: what carries blocks of samples along it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..problem.noise import standard_normals
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..samplers.step import Rows
from ..score.protocol import (
    Level,
    ScoreModel,
    at_levels,
    checked_eps,
    is_exact,
    unseen_x0,
)
from ..score.routes import Rollout, StepTable
from ..support.checks import Array, IntArray
from ..support.errors import InputError
from .predictions import in_eps, shares

if TYPE_CHECKING:
    from .plan import Plan

_SAME = 1e-9  # relative: a level of a foreign table that is one of a schedule's


def times_on(plan: Plan, schedule: NoiseSchedule) -> IntArray | None:
    """(K + 1,) times of a schedule at which the calls are, the last 0; None where they are not:
    other levels, levels asked twice, another path than the variance-preserving one."""
    alpha, noise_var = plan.alpha, plan.noise_var
    with np.errstate(divide="ignore"):
        rho = noise_var / np.square(alpha)
    times = np.clip(np.searchsorted(schedule.rho, rho * (1.0 - _SAME)), 0, schedule.T)
    same = np.abs(schedule.noise_var[times] - noise_var) <= _SAME * noise_var
    same &= np.abs(schedule.alpha[times] - alpha) <= _SAME * alpha
    if not same.all() or times[-1] != 0 or not (np.diff(times) < 0).all():
        return None
    return times


def grid_of(plan: Plan, schedule: NoiseSchedule, start: int | None) -> TimeGrid:
    """The times of the calls where they are a schedule's; else how many calls are left."""
    times = times_on(plan, schedule)
    grid = TimeGrid(range(plan.calls, -1, -1) if times is None else times.tolist())
    if start is None or start == grid.times[0]:
        return grid
    k = grid.steps - grid.cut(start).steps
    if plan.recursion.on_state[:k, 1:].any() or plan.recursion.on_output[:k, 1:].any():
        raise InputError(
            "a plan whose inputs look back begins at its first call",
            f"start = {start}",
            f"Leave it out, or start at {grid.times[0]}.",
        )
    return grid.cut(start)


class PlanRun:
    """Carries blocks of samples along a plan. The states are the inputs of its calls; between the
    steps it remembers what earlier calls add to later inputs, of the present block."""

    needs_eps = True
    resumable = False
    extra = 0
    step_noise_only = "a plan draws the noise of its own steps"

    def __init__(
        self, plan: Plan, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid
    ) -> None:
        self.plan, self.grid, self.schedule = plan, grid, schedule
        times = times_on(plan, schedule)
        # Whether the grid's times count calls: its nodes are no times of the schedule then.
        self.counts_calls = times is None
        self.model = model if times is not None else at_levels(model, schedule)
        self._first = plan.calls - grid.steps
        self._calls = {int(t): self._first + k for k, t in enumerate(grid.times[:-1])}
        self._steps = self._coefficients()
        self._rest = np.empty((0, 0, 0))

    def _coefficients(self) -> Array:
        """(K, 1 + H, 3): what each step adds, of the state, of eps and of its first draw; on a
        call of `_blind`, of the output in place of eps."""
        plan, steps = self.plan, self.plan.recursion
        f, h = in_eps(plan.predicts, plan.alpha[:-1], plan.noise_std[:-1])
        self._blind = ~np.isfinite(f)
        f, h = np.where(self._blind, 0.0, f)[:, None], np.where(self._blind, 1.0, h)[:, None]
        noise = np.zeros_like(steps.on_state)
        self._draws = [np.flatnonzero(steps.steps == k) for k in range(plan.calls)]
        for k, drawn in enumerate(self._draws):
            if len(drawn):
                noise[k] = steps.on_draw[drawn[0]]
        return np.stack([steps.on_state + f * steps.on_output, h * steps.on_output, noise], axis=2)

    # -- the start -------------------------------------------------------------------------------

    @property
    def begin(self) -> Callable[[Array, Rows], None] | None:
        """What makes the first input in place of standard normals; None where it is these, or is
        given."""
        plan = self.plan
        usual = plan.start[0] * plan.start_std == 1.0 and not plan.noises[0].any()
        usual &= self.schedule.variance_preserving  # else sample would widen it
        return None if usual or self._first > 0 else self._begin

    def _begin(self, x: Array, rows: Rows) -> None:
        x *= self.plan.start[0] * self.plan.start_std
        for j in np.flatnonzero(self.plan.noises[0]).tolist():
            x += self.plan.noises[0, j] * self._normals(j, x, rows)

    def _normals(self, j: int, x: Array, rows: Rows) -> Array:
        n, d = x.shape
        return standard_normals(rows.seed, n, d, int(self.plan.draw_times[j]), first=rows.first)

    # -- the steps -------------------------------------------------------------------------------

    def _level(self, k: int) -> Level:
        return Level(float(self.plan.alpha[k]), float(self.plan.noise_var[k]))

    def eps(self, x: Array, t: int) -> Array:
        """The model's prediction of the noise, which must be finite and shaped like x; none
        without noise."""
        k = self._calls[t]
        if self.plan.noise_var[k] == 0.0:
            return np.zeros_like(x)
        return checked_eps(self.model, x, self._level(k) if self.counts_calls else t)

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Step k in place; a block begins with k = 0."""
        from .. import kernels

        if eps is None:
            raise TypeError("a step of a plan needs the prediction")
        if k == 0:
            self._rest = np.zeros((self.plan.recursion.memory, *x.shape))
        call = self._first + k
        output = self._output(eps, call) if self._blind[call] else eps
        drawn, steps = self._draws[call], self._steps[call]
        xi = self._normals(drawn[0], x, rows) if len(drawn) else np.zeros_like(x)
        own = x.copy()
        for i, row in enumerate(steps):
            into = x if i == 0 else self._rest[i - 1]
            added = own.copy()
            kernels.step(added, output, xi, *row)
            np.add(added, self._rest[i] if i < len(self._rest) else 0.0, out=into)
        for j in drawn[1:]:
            more = self._normals(j, x, rows)
            on_x, *on_rest = self.plan.recursion.on_draw[j]
            x += on_x * more
            for rest, factor in zip(self._rest, on_rest, strict=True):
                rest += factor * more

    def _output(self, eps: Array, k: int) -> Array:
        """What the plan asks for at a level without signal, where eps says nothing of x_0."""
        c_eps, c_x0 = shares(self.plan.predicts, self.plan.alpha[:-1], self.plan.noise_std[:-1])
        at = self._level(k) if self.counts_calls else int(self.grid.times[k - self._first])
        x0 = unseen_x0(self.model, self.plan.noise_std[k] * eps, at)
        return c_eps[k] * eps + c_x0[k] * x0

    @functools.cached_property
    def rollout(self) -> Rollout | None:
        """All steps at once, by the route of an exact score, where each has a prediction of the
        noise and one draw at most; first steps without signal go apart."""
        calls = np.arange(self._first, self.plan.calls)
        seeing = ~self._blind[calls]
        lead = int(np.argmax(seeing))
        alone, calls = calls[:lead], calls[lead:]
        simple = seeing[lead:].all() and (self.plan.noise_var[calls] > 0.0).all()
        simple &= not self._steps[alone, 1:].any()
        simple &= all(len(self._draws[k]) <= 1 for k in calls)
        if not simple or not is_exact(self.model) or self.model.precision != "double":
            return None
        fused = self.model.route.rollout(self._table(calls))
        if fused is None or not lead:
            return fused

        def run(x: Array, first: int, seed: int) -> None:
            for k, t in enumerate(self.grid.times[:lead]):
                self.advance(x, self.eps(x, int(t)), k, Rows(first, seed))
            fused(x, first, seed)

        return run

    def _table(self, calls: IntArray) -> StepTable:
        """The steps of these calls, the last ones."""
        plan = self.plan
        levels = plan.alpha[calls], np.square(plan.alpha[calls]), plan.noise_var[calls]
        if not self.counts_calls:  # to the bits of the schedule
            t, schedule = self.grid.times[:-1][-len(calls) :], self.schedule
            levels = schedule.alpha[t], schedule.alpha_bar[t], schedule.noise_var[t]
        drawn = [self._draws[k] for k in calls]
        times = np.array([plan.draw_times[j[0]] if len(j) else 0 for j in drawn], dtype=np.int64)
        return StepTable(self._steps[calls], times, *levels, float(plan.alpha[-1]))
