"""AdaptiveNoise: noise where a path is still undecided, and a second try where it ends so.

The reverse kernel of the exact score has, in static coordinates y = x/alpha and along any
direction, the variance rho_s (1 - q) + (1 - q)^2 Var(x_0 | x_t), q = rho_s/rho_t: what the bridge
injects, plus what is not known about x_0. Where one mode owns the point Var(x_0 | x_t) <= rho_t and
the bridge does nearly all of it; between modes the second part is many times the first and exceeds
any noise that a step can carry, so a path decided too late ends between modes. Three consequences:

1. Early steps decide nothing yet and need accuracy: deterministic, second order (two-step, as in
   DPM-Solver++ 2M, arXiv 2211.01095). Late steps inject the bridge's noise (eta = 1).
2. The last step adds Var(x_0 | x_t) itself, which Tweedie's second formula reads off the model:
   rho_t D_y x0_hat, by one difference along a random direction. Of this it takes the share that the
   spread of the arriving paths leaves to fill (`calibration`): a trained slope claims too much.
3. A path that ends undecided is recognised by the model alone and tried again. If one mode of a
   locally Gaussian target owns the point, then |eps_hat|^2, and rho^-1 times the squared distance
   from x_0 to x0_hat(x_0 + sqrt(rho) xi), are at most a chi-square of d degrees. A sample that
   exceeds its quantile gets the noise that would make its distance ordinary, rho' = distance^2/d,
   and runs from there again.

Nothing here knows the mixture. Cost: `steps` evaluations, one for the last step's variance, one a
check, and the repeated part of the few paths that are tried again; once a run, some thousand
evaluations for the share of point 2.
"""

from __future__ import annotations

import dataclasses
import enum
import functools

import numpy as np

from .calibration import last_noise_share
from .errors import InputError
from .noise import Stream, standard_normals
from .plans import StepPlan, bridge_plan, stepped_grid
from .schedule import NoiseSchedule, TimeGrid
from .score import ScoreModel, checked_eps
from .steppers import Rows, step_noise
from .validation import Array, IntArray, check_integer, check_positive, check_real

_WATCHED_SHARE, _CHECKED_SHARE = 0.15, 0.3  # of the nodes, counted from the end
# The pilot: samples, steps, and the noise over the signal from which on their slopes are taken.
_PILOT, _PILOT_STEPS, _PILOT_RHO = 64, 12, 0.1
_MAX_ROUNDS = 31  # five bits of the counter's time word


class _Use(enum.IntEnum):
    """What an extra normal is for; with round and time it makes the counter's time word."""

    CHECK = 0
    KICK = 1
    STEP = 2
    PROBE = 3
    LAST = 4


@dataclasses.dataclass(frozen=True)
class AdaptiveNoise:
    """A sampler that spends noise and evaluations where the model itself is undecided.

    Parameters
    ----------
    steps : nodes of the quadratic grid; the whole costs about a tenth more evaluations.
    late_rho : noise variance over signal variance below which steps inject noise. The data are
        taken to have about unit variance per coordinate.
    level : chance that a sound path fails one test, in (0, 1).
    checks : how many times a finished sample is tested. rounds : how often it is tried again, at
        most; what fails then is returned as it is.
    last_noise : whether the last step adds the posterior's variance (point 2); without it the last
        step returns x0_hat as other samplers do, too narrow a mode.
    """

    steps: int = 40
    late_rho: float = 0.1
    level: float = 0.01
    checks: int = 4
    rounds: int = 8
    last_noise: bool = True

    def __post_init__(self) -> None:
        check_integer(self.steps, "the number of steps", 2)
        check_positive(self.late_rho, "late_rho")
        check_integer(self.checks, "checks", 0, self.steps)
        check_integer(self.rounds, "rounds", 0, _MAX_ROUNDS)
        level = check_real(self.level, "level")
        if not 0.0 < level < 1.0:
            raise InputError("level must lie in (0, 1)", level, "0.01 tests one path in a hundred.")

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The quadratic grid, cut at `start`."""
        return stepped_grid(schedule, "quadratic", self.steps, start)

    def stepper(
        self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid
    ) -> AdaptiveStepper:
        """The sampler on this model."""
        return AdaptiveStepper(model, schedule, grid, self)


@dataclasses.dataclass
class _Paths:
    """A block of paths on their way: states x (n, d) in place, the last x0_hat (n, d) where one is
    known, and the squared distance (n,) by which a path failed a test, 0 for none."""

    x: Array
    last: Array
    known: np.ndarray
    failed: Array

    @classmethod
    def of(cls, x: Array) -> _Paths:
        n = len(x)
        return cls(x, np.zeros_like(x), np.zeros(n, bool), np.zeros(n))


class AdaptiveStepper:
    """Carries blocks along the grid, then tests and repeats. `extra` counts evaluations beyond one
    a sample and step."""

    fused = False
    needs_eps = True

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
        self._keep, self._denoise, self._noise_std = plan.keep, plan.denoise, plan.noise_std
        self._ratio = np.full(grid.steps, np.inf)  # of a step to the one before it, in log-SNR
        half_log_snr = -0.5 * np.log(self._rho)
        length = np.diff(half_log_snr)
        self._ratio[1:-1] = np.where(late[1:-1], np.inf, length[:-1] / length[1:])
        steps = grid.steps
        self._watched = steps - max(int(np.rint(_WATCHED_SHARE * steps)), 1)
        back = np.linspace(_CHECKED_SHARE * steps, 1.0, how.checks)
        self._checked: list[int] = np.clip(steps - np.rint(back).astype(int), 0, None).tolist()
        self._paths = _Paths.of(np.empty((0, 0)))

    def eps(self, x: Array, t: int) -> Array:
        """The model's prediction, which must be finite and shaped like x."""
        return checked_eps(self.model, x, t)

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Step k in place; the last one also tests the samples and repeats those that fail."""
        if k == 0:
            self._paths = _Paths.of(x)
        paths, everyone = self._paths, np.arange(len(x))
        self._step(paths, everyone, np.asarray(eps), k, rows, 0)
        if k == self.grid.steps - 1:
            self._repeat(paths, rows)

    def run(self, x: Array, rows: Rows) -> None:
        """All steps in place."""
        for k, (t, _) in enumerate(self.grid.pairs):
            self.advance(x, self.eps(x, t), k, rows)

    # -- one step ------------------------------------------------------------------------------

    def _step(
        self, paths: _Paths, on: IntArray, eps: Array, k: int, rows: Rows, attempt: int
    ) -> None:
        """Advance the paths `on` from node k."""
        t, rho = int(self.grid.times[k]), self._rho[k]
        x = paths.x[on]
        if k >= self._watched:
            self._test(paths, on, rho * np.square(eps).sum(axis=1), rho)
        x0_hat = x / self.schedule.alpha[t] - np.sqrt(rho) * eps
        # Two-step extrapolation of x0_hat to the middle of the step; none on the first step.
        slope = np.where(paths.known[on, None], (x0_hat - paths.last[on]) / self._ratio[k], 0.0)
        paths.last[on], paths.known[on] = x0_hat, True
        moved = self._keep[k] * x + self._denoise[k] * (x0_hat + 0.5 * slope)
        if self._noise_std[k] > 0.0:
            moved += self._noise_std[k] * self._step_noise(paths, on, k, rows, attempt)
        if k == self.grid.steps - 1 and self.how.last_noise:
            moved += self._posterior_noise(paths, on, x0_hat, rows, attempt)
        paths.x[on] = moved

    def _step_noise(self, paths: _Paths, on: IntArray, k: int, rows: Rows, attempt: int) -> Array:
        if attempt == 0:  # the same normals as every other sampler
            return step_noise(self.schedule, self.grid, k, rows, paths.x.shape)
        return self._normals(paths, on, _Use.STEP, int(self.grid.times[k]), rows, attempt)

    def _posterior_noise(
        self, paths: _Paths, on: IntArray, x0_hat: Array, rows: Rows, attempt: int
    ) -> Array:
        """A normal of the variance rho D_y x0_hat that the posterior of x_0 has at the last node.

        The derivative is a difference along one random direction, exact for an isotropic mode.
        Clamped to [0, 1]: it is a variance, and one above rho belongs to a path that is about to
        fail a test, not to the last step.
        """
        t, rho = int(self.grid.times[-2]), self._rho[-1]
        probe = np.sqrt(rho) * self._normals(paths, on, _Use.PROBE, t, rows, attempt)
        y = paths.x[on] / self.schedule.alpha[t]
        moved = self._x0_hat(y + probe, t)
        slope = ((moved - x0_hat) * probe).sum(axis=1) / np.square(probe).sum(axis=1)
        std = np.sqrt(self._last_share * rho * np.clip(slope, 0.0, 1.0))
        return std[:, None] * self._normals(paths, on, _Use.LAST, t, rows, attempt)

    @functools.cached_property
    def _last_share(self) -> float:
        """The part of the claimed variance that the last step injects, from a few pilot samples.

        They depend on the model, the schedule and the grid alone: every block and shard agrees.
        """
        d, schedule = self._paths.x.shape[1], self.schedule
        alone = AdaptiveNoise(min(_PILOT_STEPS, schedule.T), checks=0, rounds=0, last_noise=False)
        grid = alone.grid(schedule)
        x = standard_normals(0, _PILOT, d, int(grid.times[0]), stream=Stream.START)
        alone.stepper(self.model, schedule, grid).run(x, Rows(0, 0))
        late = int(np.argmax(self._rho <= _PILOT_RHO)) if self._rho[-1] <= _PILOT_RHO else -1
        nodes = TimeGrid([*self.grid.times[:-1][late:].tolist(), 0], schedule.T)
        self.extra += _PILOT * (grid.steps + 2 * nodes.steps)
        share, noise_std = self._plan.share[-nodes.steps :], self._plan.noise_std[-nodes.steps :]
        return last_noise_share(self.model, StepPlan(nodes, schedule, share, noise_std), x)

    def _x0_hat(self, y: Array, t: int) -> Array:
        """The prediction at static points y (n, d), counted as extra evaluations."""
        self.extra += len(y)
        eps = self.eps(self.schedule.alpha[t] * y, t)
        return y - np.sqrt(self.schedule.rho[t]) * eps

    # -- tests and repetitions -----------------------------------------------------------------

    def _test(self, paths: _Paths, on: IntArray, square: Array, rho: float) -> None:
        """Mark the paths whose squared distance exceeds what noise rho explains at the level."""
        from scipy.stats import chi2

        limit = rho * chi2.isf(self.how.level, paths.x.shape[1])
        paths.failed[on] = np.maximum(paths.failed[on], np.where(square > limit, square, 0.0))

    def _check(self, paths: _Paths, on: IntArray, rows: Rows, attempt: int) -> None:
        """Test finished samples: noise them a little and ask the model what they were."""
        for k in self._checked:
            todo = on[paths.failed[on] == 0.0]
            if len(todo) == 0:
                return
            t, rho = int(self.grid.times[k]), self._rho[k]
            xi = self._normals(paths, todo, _Use.CHECK, t, rows, attempt)
            x_0 = paths.x[todo]
            x0_hat = self._x0_hat(x_0 + np.sqrt(rho) * xi, t)
            self._test(paths, todo, np.square(x0_hat - x_0).sum(axis=1), rho)

    def _repeat(self, paths: _Paths, rows: Rows) -> None:
        """Check all paths; kick those that failed back to noise and run them again."""
        on = np.arange(len(paths.x))
        self._check(paths, on, rows, 0)
        for attempt in range(1, self.how.rounds + 1):
            on = on[paths.failed[on] > 0.0]
            if len(on) == 0:
                return
            first = self._kick(paths, on, rows, attempt)
            for k in range(int(first.min()), self.grid.steps):
                joined = on[first <= k]
                t = int(self.grid.times[k])
                self.extra += len(joined)
                self._step(paths, joined, self.eps(paths.x[joined], t), k, rows, attempt)
            self._check(paths, on, rows, attempt)

    def _kick(self, paths: _Paths, on: IntArray, rows: Rows, attempt: int) -> IntArray:
        """Noise failed samples up to the node at which their distance is ordinary; those nodes."""
        d = paths.x.shape[1]
        wanted = paths.failed[on] / d
        # Nodes run from much noise to little: the last one with rho >= wanted, the first if none.
        first = np.searchsorted(-self._rho, -wanted, side="right") - 1
        first = np.clip(first, 0, self.grid.steps - 2)
        t = self.grid.times[first]
        xi = self._normals(paths, on, _Use.KICK, 0, rows, attempt)
        noised = paths.x[on] + np.sqrt(self._rho[first])[:, None] * xi
        paths.x[on] = self.schedule.alpha[t][:, None] * noised
        paths.failed[on], paths.known[on] = 0.0, False
        return first

    def _normals(
        self, paths: _Paths, on: IntArray, use: _Use, t: int, rows: Rows, attempt: int
    ) -> Array:
        """Normals of the given samples, a function of sample, use, time and attempt alone."""
        n, d = paths.x.shape
        word = t | (int(use) << 24) | (attempt << 27)  # times stay below 2^24, see MAX_T
        drawn = standard_normals(rows.seed, n, d, word, stream=Stream.EXTRA, first=rows.first)
        return drawn if len(on) == n else drawn[on]
