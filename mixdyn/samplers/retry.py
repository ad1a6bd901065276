"""Retry: test the samples of any sampler by the model alone, and run again those that fail.

If one mode of a locally Gaussian target owns a point, then |eps_hat|^2 on the way, and of a
finished sample x_0 the squared distance of x0_hat(x_0 + sqrt(rho) xi) from x_0 over rho, are at
most a chi-square of d degrees in law: on a mode of variance sigma^2 per coordinate they are
rho/(sigma^2 + rho) and sigma^2/(sigma^2 + rho) times one. A path that exceeds its quantile is
noised until its distance is ordinary, rho' = distance^2/d, and runs from there again with fresh
noise, whatever the sampler is: a deterministic one gets a new start half way.

Nothing here knows the mixture. Cost beyond the sampler's: one evaluation a check, and the repeated
part of the paths that are tried again; all are counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar, Protocol

import numpy as np

from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.protocol import ScoreModel
from ..support.checks import Array, IntArray, check_integer, check_real, describe
from ..support.errors import InputError
from .options import Options, Sampler
from .step import MAX_ATTEMPTS, Rows, Stepper, Use

# Noise over the signal below which paths are watched and finished samples tested, and at how many
# nodes the first: where the noise is larger, it hides what lies between two modes.
_WATCHED_RHO, _WATCHED = 5e-3, 6
_CHECKED_RHO = 5e-2


class Testing(Protocol):
    """The numbers that testing needs."""

    @property
    def level(self) -> float:
        """Chance that a sound sample fails a test."""
        ...

    @property
    def checks(self) -> int:
        """Tests of a finished sample."""
        ...

    @property
    def rounds(self) -> int:
        """Repetitions at most."""
        ...


def check_testing(how: Testing) -> None:
    """Refuse impossible numbers, each with its rule."""
    check_integer(how.checks, "checks", 0)
    check_integer(how.rounds, "rounds", 0, MAX_ATTEMPTS)
    level = check_real(how.level, "level")
    if not 0.0 < level < 1.0:
        raise InputError(
            "level must lie in (0, 1)",
            level,
            "0.003 fails 3 sound paths in 1000.",
        )


@dataclasses.dataclass(frozen=True)
class Retry(Options):
    """Another sampler, whose samples are tested and, where they fail, run again.

    Parameters
    ----------
    base : a sampler of step plans (DDIM, DDPM, Hybrid) or AdaptiveNoise without tests of its own.
    level : chance that a sound path fails one test, in (0, 1). Sound paths that fail are those of
        the tails, and those are replaced: at 0.01 the samples of a narrow mode come out 0.5 % too
        narrow, at the default 0.2 %.
    checks : how many times a finished sample is tested, at levels of noise from 0.05 of the signal
        down. rounds : how often it is tried again, at most; what fails then is returned as it is.
    """

    name: ClassVar[str] = "retry"

    base: Sampler
    level: float = 0.003
    checks: int = 4
    rounds: int = 8

    def __post_init__(self) -> None:
        check_testing(self)
        if not hasattr(self.base, "stepper"):
            raise InputError("Retry needs a sampler", describe(self.base), "Use DDIM() or DDPM().")

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The base's grid."""
        return self.base.grid(schedule, start)

    def stepper(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> RetryStepper:
        """The base on this model, tested."""
        base = self.base.stepper(model, schedule, grid)
        if not getattr(base, "resumable", False):
            raise InputError(
                "Retry needs a sampler that can go on from any node with fresh noise",
                describe(self.base),
                "Use DDIM, DDPM, Hybrid or AdaptiveNoise(rounds=0).",
            )
        return RetryStepper(base, schedule, self)


class RetryStepper:
    """Carries blocks along the base's grid, then tests and repeats. `extra` counts evaluations
    beyond one a sample and step."""

    needs_eps = True
    resumable = False

    def __init__(self, base: Stepper, schedule: NoiseSchedule, how: Testing) -> None:
        self.base, self.schedule, self.how, self.grid = base, schedule, how, base.grid
        self._rho: Array = schedule.rho[self.grid.times[:-1]]
        self._watched = frozenset(_watched(self._rho).tolist())
        self._checked: list[int] = _checked(self._rho, how.checks).tolist()
        self._own = 0
        self._failed: Array = np.empty(0)  # (n,) squared distance of a failed test, 0 for none

    @property
    def extra(self) -> int:
        """Evaluations so far beyond one a sample and step."""
        return self.base.extra + self._own

    @property
    def begin(self) -> Callable[[Array, Rows], None] | None:
        """The base's own start, where it has one."""
        own: Callable[[Array, Rows], None] | None = getattr(self.base, "begin", None)
        return own

    def eps(self, x: Array, t: int) -> Array:
        """The model's prediction, which must be finite and shaped like x."""
        eps = self.base.eps(x, t)
        if eps is None:
            raise TypeError("a sampler that never asks the model cannot be tested by it")
        return eps

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Step k in place; the last one also tests the samples and repeats those that fail."""
        if k == 0:
            self._failed = np.zeros(len(x))
        self._watch(np.arange(len(x)), np.asarray(eps), k)
        self.base.advance(x, eps, k, rows)
        if k == self.grid.steps - 1 and self.how.rounds > 0:
            self._repeat(x, rows)

    # -- tests and repetitions -----------------------------------------------------------------

    def _test(self, on: IntArray, square: Array, rho: float, d: int) -> None:
        """Mark the paths whose squared distance exceeds what noise rho explains at the level."""
        from ..support.laws import chi2_upper

        limit = rho * chi2_upper(self.how.level, d)
        self._failed[on] = np.maximum(self._failed[on], np.where(square > limit, square, 0.0))

    def _watch(self, on: IntArray, eps: Array, k: int) -> None:
        if k in self._watched:
            square = self._rho[k] * np.square(eps).sum(axis=1)
            self._test(on, square, self._rho[k], eps.shape[1])

    def _check(self, x: Array, on: IntArray, rows: Rows, attempt: int) -> None:
        """Test finished samples: noise them a little and ask the model what they were."""
        for k in self._checked:
            todo = on[self._failed[on] == 0.0]
            if len(todo) == 0:
                return
            t, rho, x_0 = int(self.grid.times[k]), self._rho[k], x[todo]
            xi = rows.choose(todo, attempt).normals(Use.CHECK, t, x_0.shape)
            y = x_0 + np.sqrt(rho) * xi
            self._own += len(todo)
            x0_hat = y - np.sqrt(rho) * self.eps(self.schedule.alpha[t] * y, t)
            self._test(todo, np.square(x0_hat - x_0).sum(axis=1), rho, x.shape[1])

    def _repeat(self, x: Array, rows: Rows) -> None:
        """Check all paths; kick those that failed back to noise and run them again."""
        on = np.arange(len(x))
        self._check(x, on, rows, 0)
        for attempt in range(1, self.how.rounds + 1):
            on = on[self._failed[on] > 0.0]
            if len(on) == 0:
                return
            first = self._kick(x, on, rows.choose(on, attempt))
            for k in range(int(first.min()), self.grid.steps):
                self._again(x, on[first <= k], k, rows, attempt)
            self._check(x, on, rows, attempt)

    def _again(self, x: Array, on: IntArray, k: int, rows: Rows, attempt: int) -> None:
        """Step k of the paths `on`, on a later attempt."""
        states = x[on]
        self._own += len(on)
        eps = self.eps(states, int(self.grid.times[k]))
        self._watch(on, eps, k)
        self.base.advance(states, eps, k, rows.choose(on, attempt))
        x[on] = states

    def _kick(self, x: Array, on: IntArray, rows: Rows) -> IntArray:
        """Noise failed samples up to the node at which their distance is ordinary; those nodes."""
        wanted = self._failed[on] / x.shape[1]
        # Nodes run from much noise to little: the last one with rho >= wanted, the first if none.
        first = np.searchsorted(-self._rho, -wanted, side="right") - 1
        seen = int(np.isinf(self._rho[0]))  # a node without signal would forget the path
        first = np.clip(first, seen, max(self.grid.steps - 2, seen))
        t = self.grid.times[first]
        noised = x[on] + np.sqrt(self._rho[first])[:, None] * rows.normals(Use.KICK, 0, x[on].shape)
        x[on] = self.schedule.alpha[t][:, None] * noised
        self._failed[on] = 0.0
        return first


def _watched(rho: Array) -> IntArray:
    """At most six nodes of little noise, evenly spread, and the last one anyway."""
    last = len(rho) - 1
    first = min(int(np.searchsorted(-rho, -_WATCHED_RHO)), last)
    return np.unique(np.rint(np.linspace(first, last, min(_WATCHED, last - first + 1))).astype(int))


def _checked(rho: Array, checks: int) -> IntArray:
    """The nodes whose noise is nearest to `checks` levels in geometric progression."""
    levels = np.geomspace(max(_CHECKED_RHO, rho[-1]), rho[-1], checks)
    return np.array([np.argmin(np.abs(np.log(rho / level))) for level in levels], dtype=int)
