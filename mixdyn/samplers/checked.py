"""CheckedNoise: the kernel's noise and checks by the posterior, for about twenty evaluations.

`adaptive`'s steps (second order until one mode owns a path, then the reverse kernel's mean and the
variance rho_s (1 - q) + (1 - q)^2 Var(x_0 | x_t), which returns a mode's width on every grid) on a
grid of its own, and `posterior_check`'s tests in place of `retry`'s. Why few steps do:

* Samples are checked by the posterior of a mode, a few of its widths, instead of by the noise.
  A check costs one evaluation; with four nearly every sample that ends between modes is found.
* The grid is dense where paths decide, at noise about as large as the data, and coarse at both
  ends: log rho = c + h sinh(1.5 u)/sinh 1.5, u even in -1..1, with h the way from c to either end.
* Early steps inject a quarter of the bridge's variance. Without noise a path keeps what a trained
  score has added to it, and modes get more or less than their weights by it; all of the bridge's
  noise costs more at few steps than it forgets.
* Paths start where noise is 300 times the data and no sooner: above, nothing is decided, and a
  score's error moves a flow by as much on every octave of noise. What the data's mean has to say
  there is in the start. Steps of second order are exact on one Gaussian of variance one, as which
  data appear at such noise.
* The width of the modes is read off at levels of noise of its own, as few steps meet too few.

Nothing here knows the mixture. Cost: `steps` evaluations, one a check, and the repeated part of the
paths that fail; once a run, some three thousand evaluations for the width.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import numpy as np

from ..problem.noise import Stream, standard_normals
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..problem.time_grid import distinct_times
from ..score.protocol import ScoreModel, unseen_cost, unseen_x0
from ..support.checks import Array, check_integer, check_nonnegative, check_positive
from ..support.errors import InputError
from .adaptive import AdaptiveNoise, LateNoiseStepper
from .calibration import Width, width_of
from .options import Options, offer
from .plan import bridge_plan, check_reach
from .posterior_check import PosteriorRetryStepper
from .retry import check_testing
from .step import Rows, Stepper

# Noise over the signal at the first node (at T, where that is less), where nodes are densest, and
# at the last one at least.
_FIRST_RHO, _DENSE_RHO, _LAST_RHO = 300.0, 0.7, 1e-4
_BEND = 1.5  # of the spacing; 0 is even in log rho
_WIDTHS = 14  # levels of noise at which the modes' width is read off
_STARTS = 64  # pairs of opposite starts over which the data's mean is taken


@dataclasses.dataclass(frozen=True)
class CheckedNoise(Options):
    """A sampler for about twenty evaluations, whose samples the model's own posterior checks.

    Parameters
    ----------
    steps : nodes of the grid; checks, repetitions and the width cost about 4.5 evaluations more.
    late_rho : noise variance over signal variance below which steps inject noise. The data are
        taken to have about unit variance per coordinate.
    level : chance that a sound sample fails one check, in (0, 1). checks : how many levels of
        noise, from 0.01 to 0.001 of the signal. rounds : how often a sample that fails is tried
        again, at most; what fails then is returned as it is. rounds = 0 checks nothing.
    early_noise : eta of the steps before late_rho, in 0..1: 0 takes them without noise, 1 injects
        all of the bridge's.
    """

    name: ClassVar[str] = "checked"

    steps: int = dataclasses.field(default=15, metadata=offer(int, "Number of steps."))
    late_rho: float = 0.1
    level: float = 0.003
    checks: int = 4
    rounds: int = 8
    early_noise: float = 0.5

    def __post_init__(self) -> None:
        check_integer(self.steps, "the number of steps", 2)
        check_positive(self.late_rho, "late_rho")
        if check_nonnegative(self.early_noise, "early_noise") > 1.0:
            raise InputError("early_noise lies in 0..1", self.early_noise, "0 is none, 1 DDPM's.")
        check_testing(self)

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The times nearest to the levels above, all different; cut at `start`."""
        T = schedule.T
        check_integer(self.steps, "the number of steps", 2, T)
        times = schedule.nearest_times(np.exp(_log_levels(schedule, self.steps)))
        full = TimeGrid([*distinct_times(times[::-1], T)[::-1].tolist(), 0], T)
        return full if start is None else full.cut(start)

    def stepper(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> Stepper:
        """The sampler on this model."""
        alone = self.alone(model, schedule, grid)
        return PosteriorRetryStepper(alone, schedule, self) if self.rounds > 0 else alone

    def alone(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> KernelStepper:
        """Its steps without its checks."""
        check_reach(grid, schedule)
        how = AdaptiveNoise(self.steps, self.late_rho, rounds=0)
        return KernelStepper(model, schedule, grid, how, self.early_noise)


def _log_levels(schedule: NoiseSchedule, steps: int) -> Array:
    """(S,) of log rho, falling."""
    first, last = min(float(schedule.rho[-1]), _FIRST_RHO), float(schedule.rho[1])
    ends = np.log(first), np.log(min(max(last, _LAST_RHO), first))
    middle = np.clip(np.log(_DENSE_RHO), ends[1], ends[0])
    bent = np.sinh(_BEND * np.linspace(1.0, -1.0, steps)) / np.sinh(_BEND)
    return np.where(bent > 0.0, (ends[0] - middle) * bent, (middle - ends[1]) * bent) + middle


class KernelStepper(LateNoiseStepper):
    """CheckedNoise's steps without its checks."""

    def __init__(
        self,
        model: ScoreModel,
        schedule: NoiseSchedule,
        grid: TimeGrid,
        how: AdaptiveNoise,
        early_noise: float,
    ) -> None:
        super().__init__(model, schedule, grid, how)
        early, plan = bridge_plan(schedule, grid, early_noise), self._plan
        self._plan = dataclasses.replace(
            plan,
            share=np.where(self._late, plan.share, early.share),
            noise_std=np.where(self._late, plan.noise_std, early.noise_std),
        )
        self._keep, self._denoise = self._plan.keep, self._plan.denoise
        self._eta = np.where(self._late, 1.0, early_noise)
        self._mean: Array | None = None  # (d,) of the data

    def begin(self, x: Array, rows: Rows) -> None:
        """Make the start of standard normals (n, d), in place."""
        self._widen(x, int(self.grid.times[0]))

    def _widen(self, x: Array, t: int) -> None:
        """A normal law of the data's mean, and of their variance were it one."""
        x *= self.schedule.scale[t]
        x += self.schedule.alpha[t] * self._center(x.shape[1])

    def _center(self, d: int) -> Array:
        """The mean (d,) of the data as the model has it: of x0_hat at the first node of all, over
        opposite starts. There x0_hat is linear, and its slope drops out."""
        if self._mean is None:
            t = int(CheckedNoise(min(self.how.steps, self.schedule.T)).grid(self.schedule).times[0])
            x = self.schedule.scale[t] * standard_normals(0, _STARTS, d, t, stream=Stream.EXTRA)
            x = np.concatenate([x, -x])
            rho_std, alpha = np.sqrt(self.schedule.rho[t]), float(self.schedule.alpha[t])
            if alpha == 0.0:
                found = unseen_x0(self.model, x, t)
                self.extra += len(x) + unseen_cost(self.model, len(x))
            else:
                found = x / alpha - rho_std * self.eps(x, t)
                self.extra += len(x)
            self._mean = found.mean(axis=0)
        return self._mean

    @functools.cached_property
    def _ratio(self) -> Array:
        """As in `adaptive` for the share eta^2 of a step that is a diffusion's; the rest, a flow's,
        is exact on a Gaussian of variance one. There x0_hat goes as 1/sqrt(1 + rho), and a step
        needs its mean over sqrt(rho)."""
        ratio, rho = super()._ratio, self._rho
        known = np.flatnonzero(np.isfinite(ratio))
        before, at, after = rho[known - 1], rho[known], rho[known + 1]
        root, value = np.sqrt(after / at), 1.0 / np.sqrt(1.0 + at)
        mean = (np.sqrt(1.0 + after) - root * np.sqrt(1.0 + at)) / (1.0 - root)
        exact = (mean - value) / (value - 1.0 / np.sqrt(1.0 + before))
        share = np.square(self._eta[known])
        ratio[known] = 0.5 / ((1.0 - share) * exact + share * 0.5 / ratio[known])
        return ratio

    @property
    def variance(self) -> float:
        """Of the middle mode per coordinate, as the model sees it."""
        return self._width.variance

    def _pilot_grid(self, steps: int) -> TimeGrid:
        return CheckedNoise(steps).grid(self.schedule)

    @functools.cached_property
    def _width(self) -> Width:
        """Read off at levels of noise from late_rho down; the slopes at the nodes lie between."""
        schedule, x_0 = self.schedule, self.pilot
        levels = np.geomspace(max(self.how.late_rho, schedule.rho[1]), schedule.rho[1], _WIDTHS)
        times = np.unique(schedule.nearest_times(levels))[::-1]
        plan = bridge_plan(schedule, TimeGrid([*times.tolist(), 0], schedule.T), 1.0)
        self.extra += 2 * len(x_0) * plan.grid.steps
        found = width_of(self.model, plan, x_0)
        rho, at = schedule.rho[times], schedule.rho[self._late_plan.t]
        slopes = np.interp(-np.log(at), -np.log(rho), found.slopes)
        return Width(found.variance, slopes, at <= rho[int(np.argmax(found.owned))])
