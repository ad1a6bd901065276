"""What carries a block of samples along a grid, and the stepper of a plan on a model.

Kernels are loaded by the first step: what a sampler is can be asked without them.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Literal, Protocol

import numpy as np

from ..problem.noise import Stream, path_normals, standard_normals
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.precision import LARGEST_SINGLE
from ..score.protocol import ScoreModel, checked_eps, is_exact, unseen_cost, unseen_x0
from ..score.routes import Rollout, StepTable
from ..support.checks import Array, IntArray
from ..support.errors import InputError
from .plan import StepPlan

NoiseKind = Literal["step", "path"]


class Use(enum.IntEnum):
    """What an extra normal is for; with time and attempt it makes the counter's time word."""

    CHECK = 0
    KICK = 1
    STEP = 2


MAX_ATTEMPTS = 31  # five bits of the counter's time word


@dataclasses.dataclass(frozen=True)
class Rows:
    """Which samples a block holds and where their noise comes from.

    attempt : 0 on the first way down; a path that is tried again meets other noise each time.
    chosen : (m,) places in the block of the states at hand; None for all of them.
    """

    first: int
    seed: int
    noise: NoiseKind = "step"
    attempt: int = 0
    chosen: IntArray | None = None

    def choose(self, chosen: IntArray, attempt: int) -> Rows:
        """The same block's samples at these places, on another attempt."""
        return dataclasses.replace(self, chosen=chosen, attempt=attempt)

    def normals(self, use: Use, t: int, shape: tuple[int, ...]) -> Array:
        """Normals of this shape (m, d) beside those of the steps: a function of sample, use, time
        (below 2^24, see MAX_T) and attempt alone."""
        m, d = shape
        n = m if self.chosen is None else int(self.chosen.max(initial=0)) + 1
        word = t | (int(use) << 24) | (self.attempt << 27)
        drawn = standard_normals(self.seed, n, d, word, stream=Stream.EXTRA, first=self.first)
        return drawn if self.chosen is None else drawn[self.chosen]

    def of_step(
        self, schedule: NoiseSchedule, step: tuple[int, int], shape: tuple[int, ...]
    ) -> Array:
        """The normals of this shape (n, d) of the step (t, s)."""
        (t, _), (n, d) = step, shape
        if self.attempt > 0:
            return self.normals(Use.STEP, t, shape)
        if self.noise == "path":
            return path_normals(self.seed, n, d, schedule, step, first=self.first)
        return standard_normals(self.seed, n, d, t, first=self.first)


class Stepper(Protocol):
    """Carries blocks of samples along a grid. `needs_eps`: whether a step uses the prediction.
    `extra`: evaluations so far beyond one a sample and step.

    What a stepper may have beside: `rollout(x, first, seed)`, all steps of a block at once, to the
    bits of one after the other (None where it cannot); `resumable`, whether some of a block's paths
    may go on from any node with fresh noise; `step_noise_only`, why it knows no other noise;
    `begin(x, rows)`, which makes its start of standard normals in place (None where it is these);
    `counts_calls`, where the grid's times are no times of the schedule.
    """

    grid: TimeGrid
    needs_eps: bool

    @property
    def extra(self) -> int:
        """See above."""
        ...

    def eps(self, x: Array, t: int) -> Array | None:
        """Noise prediction at a node, for the step and for observers."""
        ...

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Step k in place."""
        ...


def rollout_of(stepper: Stepper) -> Rollout | None:
    """All steps of a block at once, where the stepper can."""
    found: Rollout | None = getattr(stepper, "rollout", None)
    return found


def check_noise(stepper: Stepper, noise: NoiseKind) -> None:
    """Refuse path noise where the stepper has none."""
    rule = getattr(stepper, "step_noise_only", None)
    if noise != "step" and rule is not None:
        raise InputError(rule, noise, "Use noise='step'.")


def walk(stepper: Stepper, x: Array, rows: Rows) -> None:
    """All steps of a block in place, one after the other."""
    for k, (t, _) in enumerate(stepper.grid.pairs):
        stepper.advance(x, stepper.eps(x, t) if stepper.needs_eps else None, k, rows)


class PlanStepper:
    """The step family on any model; one fused kernel where the score is exact.

    Steps in the precision of an exact score: states are then float32 numbers held in doubles.
    """

    needs_eps = True
    resumable = True

    def __init__(self, model: ScoreModel, plan: StepPlan) -> None:
        self.model = model
        self.plan = plan
        self.extra = 0
        self.grid = plan.grid
        self._coefficients = np.column_stack(plan.eps_form())
        self._dtype = model.dtype if is_exact(model) else np.float64
        self._check_range()

    @functools.cached_property
    def rollout(self) -> Rollout | None:
        """All steps at once, by the route of an exact score."""
        if not is_exact(self.model) or self.model.schedule != self.plan.schedule:
            return None
        lead = int(self.plan.blind)
        schedule, t = self.plan.schedule, self.plan.t[lead:]
        levels = schedule.alpha[t], schedule.alpha_bar[t], schedule.noise_var[t]
        end = float(schedule.alpha[self.grid.times[-1]])
        steps = StepTable(self._coefficients[lead:, None], t, *levels, end)
        fused = self.model.route.rollout(steps) if len(t) else None
        return fused if fused is None or not lead else self._after_blind(fused)

    def _after_blind(self, fused: Rollout) -> Rollout:
        def run(x: Array, first: int, seed: int) -> None:
            self.advance(x, self.eps(x, int(self.plan.t[0])), 0, Rows(first, seed))
            fused(x, first, seed)

        return run

    def _check_range(self) -> None:
        """Refuse steps whose factors would leave no digit of a float32."""
        largest = float(np.abs(self._coefficients).max())
        if self._dtype is np.float32 and largest > LARGEST_SINGLE:
            raise InputError(
                f"single precision needs steps with alpha_s/alpha_t up to {LARGEST_SINGLE:g}",
                f"{largest:.3g}",
                "Take finer steps, or use precision='double'.",
            )

    def eps(self, x: Array, t: int) -> Array:
        """The model's prediction, which must be finite and shaped like x."""
        return checked_eps(self.model, x, t)

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """x <- c_x x + c_eps eps + c_noise xi, and alpha_s x0_hat where x_t has no signal."""
        from .. import kernels

        unseen = self._unseen(x) if k == 0 and self.plan.blind else None
        factors = self._coefficients[k].astype(self._dtype, copy=False)
        noisy = factors[2] != 0.0
        step = int(self.plan.t[k]), int(self.plan.s[k])  # the grid makes its list at every call
        xi = rows.of_step(self.plan.schedule, step, x.shape) if noisy else x
        states, *rest = (np.asarray(part, self._dtype) for part in (x, eps, xi))
        kernels.step(states, *rest, *factors)
        if states is not x:
            x[...] = states
        if unseen is not None:
            x += unseen

    def _unseen(self, x: Array) -> Array:
        """alpha_s x0_hat of the first step; a model is asked once more for it."""
        t, s = self.grid.pairs[0]
        self.extra += unseen_cost(self.model, len(x))
        return float(self.plan.schedule.alpha[s]) * unseen_x0(self.model, x, t)
