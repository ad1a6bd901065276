"""AdaptiveNoise: the noise that a path still needs, and a second try where it ends undecided.

The reverse kernel of the exact score has, in static coordinates and along any direction, the
variance rho_s (1 - q) + (1 - q)^2 Var(x_0 | x_t), q = rho_s/rho_t: what the bridge injects, plus
what is not known about x_0. Three ideas, each of which can be had alone:

1. `late_noise`. Early steps decide nothing yet and need accuracy: they are deterministic. Late
   steps inject the kernel's variance, with the Var(x_0 | x_t) of a mode, rho_t D_t, D_t =
   s^2/(s^2 + rho_t) (Analytic-DPM, arXiv 2201.06503, has the average over p_t in its place). On one
   mode this keeps the marginal's variance at every node, whatever the steps. The mode's s^2 is read
   off the model (`calibration`): one width for all modes, of modes that differ the middle one.
2. `last_noise`. The last step, to rho_s = 0, injects rho_t D_t in the same way, where other
   samplers return x0_hat, too narrow a mode.
3. Test and repeat, at most `rounds` times: see `retry`, which does the same for any sampler.

Steps are of second order (two-step, as in DPM-Solver++ 2M, arXiv 2211.01095, and its stochastic
form) until one mode owns a path, and of first order from there on, where x0_hat is linear and the
kernel's variance is known. Between modes Var(x_0 | x_t) is many times the bridge's variance and
exceeds any noise that a step can carry: a path decided too late ends between modes, and 3 finds it.

Nothing here knows the mixture. Cost: `steps` evaluations, one a check, and the repeated part of the
few paths that are tried again; once a run, some thousand evaluations for s^2.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import numpy as np

from ..problem.noise import Stream, standard_normals
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.protocol import ScoreModel, checked_eps, unseen_cost, unseen_x0
from ..support.checks import Array, IntArray, check_integer, check_positive
from .calibration import Width, kernel_variance, width_of
from .options import Options, offer
from .plan import StepPlan, bridge_plan, stepped_grid
from .retry import RetryStepper, check_testing
from .step import Rows, Stepper, walk

_SIGNAL_AT_START = 1e-4  # of alpha_bar, which a start from N(0, I) may overlook
# Of alpha_bar at the first node, at least: a model's error there is multiplied by its root.
_LEAST_SIGNAL = 1e-10
# The pilot's samples and steps.
_PILOT, _PILOT_STEPS = 64, 14


@dataclasses.dataclass(frozen=True)
class AdaptiveNoise(Options):
    """A sampler that spends noise and evaluations where the model itself is undecided.

    Parameters
    ----------
    steps : nodes of the grid; tests and repetitions cost about a tenth more evaluations.
    late_rho : noise variance over signal variance below which steps inject noise. The data are
        taken to have about unit variance per coordinate.
    level, checks, rounds : of the tests, see `Retry`; rounds = 0 tests nothing.
    late_noise : whether late steps add the posterior's variance to the bridge's (point 1).
    last_noise : whether the last step does (point 2); without it the last step returns x0_hat.
    """

    name: ClassVar[str] = "adaptive"

    steps: int = dataclasses.field(default=42, metadata=offer(int, "Number of steps."))
    late_rho: float = 0.1
    level: float = 0.003
    checks: int = 4
    rounds: int = 8
    late_noise: bool = True
    last_noise: bool = True

    def __post_init__(self) -> None:
        check_integer(self.steps, "the number of steps", 2)
        check_positive(self.late_rho, "late_rho")
        check_testing(self)

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The papers' quadratic grid, after two steps from T where it needs them; cut at `start`.

        The quadratic grid begins near 0.8 T. Where more than 1e-4 of the signal's variance is left
        there (1.5e-3 on the papers' schedule, 0.1 on a cosine one) a start from N(0, I) overlooks
        the data's mean, and modes get wrong weights. Elsewhere the times above say nothing, and a
        network may know nothing of them. Where hardly a digit of the signal is left at 0.8 T, the
        grid is that of a schedule that ends earlier.
        """
        T, nodes = schedule.T, None
        lead = [T, round(0.9 * T)]
        if self.steps > len(lead):
            below = TimeGrid.quadratic(T, self.steps - len(lead))
            left = schedule.as_variance_preserving().alpha_bar
            signal = left[below.times[0]]
            last = int(np.count_nonzero(left >= _LEAST_SIGNAL)) - 1
            if signal < _LEAST_SIGNAL and last >= self.steps:
                nodes = TimeGrid(TimeGrid.quadratic(last, self.steps).times.tolist(), T)
            if signal > _SIGNAL_AT_START and below.times[0] < lead[1] < T:
                nodes = TimeGrid([*lead, *below.times.tolist()], T)
        return stepped_grid(schedule, nodes or "quadratic", self.steps, start)

    def stepper(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> Stepper:
        """The sampler on this model."""
        alone = LateNoiseStepper(model, schedule, grid, self)
        return RetryStepper(alone, schedule, self) if self.rounds > 0 else alone


class LateNoiseStepper:
    """AdaptiveNoise's steps without its tests. `extra` counts the pilot's evaluations."""

    needs_eps = True
    resumable = True

    def __init__(
        self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid, how: AdaptiveNoise
    ) -> None:
        self.model, self.schedule, self.grid, self.how = model, schedule, grid, how
        self.extra = 0
        self._rho: Array = schedule.rho[grid.times[:-1]]
        late = self._rho <= how.late_rho
        bridge = bridge_plan(schedule, grid, 1.0)
        self._plan = plan = dataclasses.replace(
            bridge,
            share=np.where(late, bridge.share, 0.0),
            noise_std=np.where(late, bridge.noise_std, 0.0),
        )
        self._keep, self._denoise = plan.keep, plan.denoise
        self._posterior = late & how.late_noise
        self._posterior[-1] = how.last_noise
        self._late = late
        self._before: Array = np.empty((0, 0))  # x0_hat (n, d) of the step before
        self._stamp: IntArray = np.empty(0, dtype=np.int64)  # (n,) which step that was

    def eps(self, x: Array, t: int) -> Array:
        """The model's prediction, which must be finite and shaped like x."""
        return checked_eps(self.model, x, t)

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Step k in place."""
        if eps is None:
            raise TypeError("a step needs the prediction")
        if rows.chosen is None and k == 0:
            self._before, self._stamp = np.zeros_like(x), np.full(len(x), -1)
        t, rho = int(self.grid.times[k]), self._rho[k]
        if np.isinf(rho):
            x0_hat = unseen_x0(self.model, x, t)
            self.extra += unseen_cost(self.model, len(x))
        else:
            x0_hat = x / self.schedule.alpha[t] - np.sqrt(rho) * eps
        moved = self._keep[k] * x + self._denoise[k] * self._extrapolated(x0_hat, k, rows)
        std = self._noise_std[k]
        if std > 0.0:
            moved += std * rows.of_step(self.schedule, self.grid.pairs[k], x.shape)
        x[...] = moved

    def _extrapolated(self, x0_hat: Array, k: int, rows: Rows) -> Array:
        """x0_hat at the middle of step k by its value at the step before, where the path took it
        on the same attempt; x0_hat itself on a path's first step and on late ones."""
        on = slice(None) if rows.chosen is None else rows.chosen
        stamp = rows.attempt * self.grid.steps + k
        if np.isinf(self._ratio[k]):
            middle = x0_hat
        else:
            known = (self._stamp[on] == stamp - 1)[:, None]
            middle = x0_hat + np.where(
                known, 0.5 * (x0_hat - self._before[on]) / self._ratio[k], 0.0
            )
        self._before[on], self._stamp[on] = x0_hat, stamp
        return middle

    @functools.cached_property
    def _ratio(self) -> Array:
        """(S,) over what half of the last change of x0_hat is added to it: of a step to the one
        before it, in log-SNR, where the modes still decide; infinite, for nothing, on the first
        step, on the last and where one mode owns a path."""
        ratio = np.full(self.grid.steps, np.inf)
        length = np.diff(-0.5 * np.log(self._rho))
        ratio[1:-1] = np.where(self._owned[1:-1], np.inf, length[:-1] / length[1:])
        return ratio

    @functools.cached_property
    def _owned(self) -> np.ndarray:
        if not self._posterior.any():
            return self._late
        return self._late & self._whole(self._width.owned, False)

    @functools.cached_property
    def _noise_std(self) -> Array:
        """(S,) what each step injects: the bridge's noise or, where asked for, the kernel's."""
        noise_std = self._plan.noise_std.copy()
        if self._posterior.any():
            std = self._whole(np.sqrt(kernel_variance(self._late_plan, self._width)), 0.0)
            noise_std[self._posterior] = std[self._posterior]
        return noise_std

    def _whole(self, late: np.ndarray, early: float | bool) -> np.ndarray:
        """(S,) values of the late nodes, one value for the others."""
        return np.concatenate([np.full(self.grid.steps - len(late), early), late])

    @functools.cached_property
    def _late_plan(self) -> StepPlan:
        """The bridge from the first late node, the last one at least, down to the data."""
        first = min(int(np.count_nonzero(~self._late)), self.grid.steps - 1)
        nodes = TimeGrid(self.grid.times[first:].tolist(), self.schedule.T)
        return bridge_plan(self.schedule, nodes, 1.0)

    @functools.cached_property
    def _width(self) -> Width:
        """The modes' width from a few pilot samples.

        They depend on the model, the schedule and the grid alone: every block and shard agrees.
        """
        x_0 = self.pilot
        self.extra += 2 * len(x_0) * self._late_plan.grid.steps
        return width_of(self.model, self._late_plan, x_0)

    @functools.cached_property
    def pilot(self) -> Array:
        """Some samples (n, d), by few steps without noise."""
        d, schedule = self._before.shape[1], self.schedule
        alone = AdaptiveNoise(
            min(_PILOT_STEPS, schedule.T), rounds=0, late_noise=False, last_noise=False
        )
        grid = self._pilot_grid(alone.steps)
        first = int(grid.times[0])
        x = standard_normals(0, _PILOT, d, first, stream=Stream.START)
        self._widen(x, first)
        stepper = alone.stepper(self.model, schedule, grid)
        walk(stepper, x, Rows(0, 0))
        self.extra += _PILOT * grid.steps + stepper.extra
        return x

    def _widen(self, x: Array, t: int) -> None:
        """Make a start at t of standard normals, in place."""
        x *= self.schedule.scale[t]

    def _pilot_grid(self, steps: int) -> TimeGrid:
        return AdaptiveNoise(steps).grid(self.schedule)
