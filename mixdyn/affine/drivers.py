"""Drivers: a sampler of some library, run on whatever model, start and noise it is handed.

A driver is what an adapter of another library has to write. Here are those of our own samplers and
of a user's function.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from ..problem.schedule import NoiseSchedule
from ..samplers.options import Options, samplers
from ..samplers.step import Rows, Use, walk
from ..score.protocol import Level, level
from ..support.checks import Array, check_choice, check_positive, check_real, describe
from ..support.errors import InputError, NotAffineError
from ..support.provenance import package_versions
from .predictions import check_asked

CLEAN = Level(1.0, 0.0)
_WHOLE = 1e-9  # how far from an integer the time of a table may be


def _up_to(value: float, name: str, most: float) -> float:
    """What a model is handed as a level, in 0..most."""
    if not 0.0 <= value <= most:
        raise InputError(
            f"level={name!r} names a number {f'0..{most:g}' if math.isfinite(most) else '>= 0'}",
            f"{value:.6g}",
            "Pass level= a function of what the model is handed that returns a Level.",
        )
    return value


class Ask(Protocol):
    """The model: the prediction (n, d) that the driver `predicts`, at x (n, d) and a level."""

    def __call__(self, x: Array, at: Level, /) -> Array:
        """The answer to the next call."""
        ...


class Draw(Protocol):
    """The noise: normals of this shape. time: the counter of our own noise, where it has one.

    Who samples may say so by `sampled = True`: draws of any shape then, at any time; and by `rng`,
    a generator for noise that is not normal.
    """

    def __call__(self, shape: tuple[int, ...], time: int | None = None, /) -> Array:
        """The next draw."""
        ...


class Driver(Protocol):
    """A sampler that runs on any model, start and noise.

    predicts : what it asks the model for. start_std : of the x_T that it starts from; None for the
    noise of its first level where that has alpha = 1, else 1. end : the level at which it returns.
    provenance : strings and numbers that name the sampler, its library, version and settings.
    """

    @property
    def predicts(self) -> str: ...  # noqa: D102
    @property
    def start_std(self) -> float | None: ...  # noqa: D102
    @property
    def end(self) -> Level: ...  # noqa: D102
    @property
    def provenance(self) -> Mapping[str, Any]: ...  # noqa: D102

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """The end (n, d) of a start x (n, d)."""
        ...


def provenance_of(sampler: str, steps: int | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where a plan of this package's own world comes from."""
    shown = {name: describe(value) for name, value in settings.items()}
    version = package_versions([])["mixdyn"]
    found = {"sampler": sampler, "library": "mixdyn", "version": version, "settings": shown}
    return found if steps is None else {**found, "steps": steps}


# -- our own samplers ----------------------------------------------------------------------------


class OwnSampler:
    """A sampler of ours on a schedule."""

    predicts: ClassVar[str] = "eps"
    end: ClassVar[Level] = CLEAN

    def __init__(self, sampler: Any, schedule: NoiseSchedule) -> None:
        self.sampler, self.schedule = sampler, schedule
        self._grid = sampler.grid(schedule)
        self.start_std = float(schedule.scale[self._grid.times[0]])
        settings = {"schedule": schedule}
        self.provenance = provenance_of(describe(sampler), self._grid.steps, settings)

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """See `Driver`."""
        stepper = self.sampler.stepper(_AskedAtTimes(ask, self.schedule), self.schedule, self._grid)
        states = x.copy()
        walk(stepper, states, _DrawnRows(0, 0, draw=draw))
        return states


class _AskedAtTimes:
    def __init__(self, ask: Ask, schedule: NoiseSchedule) -> None:
        self._ask, self._schedule = ask, schedule

    def __repr__(self) -> str:
        return "the impulses of a transcription"

    def eps(self, x: Array, t: int) -> Array:
        return self._ask(x.copy(), level(self._schedule, t))


@dataclasses.dataclass(frozen=True)
class _DrawnRows(Rows):
    """Samples whose noise is handed over."""

    draw: Draw | None = None

    def of_step(self, schedule: NoiseSchedule, step: tuple[int, int], shape: Any) -> Array:
        """The next draw."""
        assert self.draw is not None
        return self.draw(shape, step[0])

    def normals(self, use: Use, t: int, shape: tuple[int, ...]) -> Array:
        """Noise beside the steps belongs to tests and repetitions, which no plan has."""
        assert self.draw is not None
        if not getattr(self.draw, "sampled", False):
            raise NotAffineError(
                "a sampler with a plan makes no tests and repetitions",
                f"a draw for a {use.name.lower()} at t = {t}",
                "Transcribe its base, or judge it by sampling.",
            )
        return self.draw(shape)


# -- functions -----------------------------------------------------------------------------------


def _at_time(schedule: NoiseSchedule) -> Callable[[float], Level]:
    def named(value: float) -> Level:
        t = round(value)
        if abs(value - t) > _WHOLE or not 1 <= t <= schedule.T:
            raise InputError(
                f"level='t' names a time 1..{schedule.T} of the schedule",
                f"{value:.6g}",
                "Pass level= a function of what the model is handed that returns a Level.",
            )
        return level(schedule, t)

    return named


# What a function hands its model as the level, by the word that names it.
_LEVELS: Mapping[str, Callable[[float], Level]] = {
    "sigma": lambda sigma: Level(1.0, _up_to(sigma, "sigma", math.inf) ** 2),
    "abar": lambda abar: Level(math.sqrt(_up_to(abar, "abar", 1.0)), 1.0 - abar, abar),
    "log_snr": lambda log_snr: Level.of_rho(math.exp(-log_snr)),
    "flow": lambda t: Level(1.0 - _up_to(t, "flow", 1.0), t * t),
}


class UserFunction:
    """f(model, x_T, rng, **settings) with model(x, level), on NumPy arrays.

    level : what it hands the model: "t" (a time of `schedule`), "sigma" (alpha = 1), "abar",
    "log_snr" (both variance-preserving), "flow" (x = (1 - t) x_0 + t eps), or a function of the
    value that returns a `Level`.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        steps: int | None,
        *,
        level: str | Callable[[Any], Level] = "t",
        predicts: str = "eps",
        schedule: NoiseSchedule | None = None,
        start_std: float | None = None,
        end: Level = CLEAN,
        **settings: Any,
    ) -> None:
        if not callable(level):
            check_choice(level, ["t", *_LEVELS], "level", "Say what the model is handed.")
        self._f, self.predicts, self.end = f, check_asked(predicts), end
        self.start_std = None if start_std is None else check_positive(start_std, "start_std")
        named = _at_time(schedule or NoiseSchedule.linear()) if level == "t" else level
        self._named = named if callable(named) else _LEVELS[named]
        counts = steps is not None and "steps" in inspect.signature(f).parameters
        self._settings = {**settings, "steps": steps} if counts else settings
        name = f"{getattr(f, '__module__', '')}:{getattr(f, '__qualname__', describe(f))}"
        self.provenance = provenance_of(name, steps, settings)

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """See `Driver`."""

        def model(states: Any, at: Any) -> Array:
            return ask(np.array(states, dtype=np.float64), self._level(at))

        # Who audits by sampling hands over a generator, for noise that is not normal too.
        rng = getattr(draw, "rng", None) or HandedNormals(draw)
        return _real(self._f(model, x.copy(), rng, **self._settings))

    def _level(self, value: Any) -> Level:
        if isinstance(value, Level):
            return value
        values = np.asarray(value, dtype=np.float64)
        if values.size == 0 or not (values == values.flat[0]).all():
            raise InputError(
                "all rows of a batch are asked at one level", describe(values), "Pass one number."
            )
        return self._named(check_real(values.flat[0], "the level that the model is asked at"))


def _real(value: Any) -> Array:
    """What a function returned, as real numbers."""
    try:
        found = np.asarray(value)
        if found.dtype.kind in "biuf":
            return found.astype(np.float64)
    except (TypeError, ValueError):  # rows of several lengths
        pass
    raise InputError(
        "a sampler returns an array (n, d) of real numbers", describe(value), "Return its states."
    )


class HandedNormals(np.random.Generator):
    """A generator of normals that are handed over, and of nothing else."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(np.random.PCG64(0))
        self._draw = draw

    def standard_normal(self, size: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """Normals, one per entry of the states."""
        drawn = self._draw(() if size is None else tuple(np.atleast_1d(size).tolist()))
        if out is not None:
            out[...] = drawn
        return drawn if out is None else out

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """loc + scale times normals."""
        if size is None:
            size = np.broadcast_shapes(np.shape(loc), np.shape(scale))
        return loc + scale * self.standard_normal(size)

    def __getattribute__(self, name: str) -> Any:
        if name in _OTHER_DRAWS:
            raise NotAffineError(
                "a plan's noise is normal", f"rng.{name}", "Audit this sampler by sampling."
            )
        return super().__getattribute__(name)


_OTHER_DRAWS = frozenset(name for name in vars(np.random.Generator) if not name.startswith("_")) - {
    "standard_normal",
    "normal",
    "bit_generator",
}


# -- which driver --------------------------------------------------------------------------------


def driver_of(sampler: Any, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of a sampler: an object or class or name of ours, "library:sampler" or
    "module:function", a driver, or a function."""
    if isinstance(sampler, str) and ":" in sampler:
        # By name: this room rests on no other library.
        package = __name__.partition(".")[0]
        adapters = importlib.import_module(f"{package}.audit.adapters")
        named: Driver = adapters.driver_named(sampler, steps, settings)
        return named
    if isinstance(sampler, str):
        known = samplers()
        sampler = known[check_choice(sampler, known, "sampler", "Name one, or pass an object.")]
    if isinstance(sampler, type) and issubclass(sampler, Options):
        options = dict(settings)
        schedule = options.pop("schedule", None)
        return _own(sampler(**options), steps, schedule)
    if hasattr(sampler, "stepper") and hasattr(sampler, "grid"):
        return _own(sampler, steps, **settings)
    if hasattr(sampler, "run") and hasattr(sampler, "predicts"):
        found: Driver = sampler
        return found
    if callable(sampler):
        return UserFunction(sampler, steps, **settings)
    raise InputError(
        "a sampler is one of ours, a driver, or a function f(model, x_T, rng)",
        describe(sampler),
        "Pass DDIM(), its name, or your function.",
    )


def _own(
    sampler: Any, steps: int | None, schedule: NoiseSchedule | None = None, **others: Any
) -> Driver:
    if others:
        raise InputError(
            "a sampler of ours that is an object has its options already",
            f"{', '.join(others)} beside {describe(sampler)}",
            "Pass its class, and the options beside it.",
        )
    if steps is not None and hasattr(sampler, "steps"):
        sampler = dataclasses.replace(sampler, steps=steps)
    driver = OwnSampler(sampler, schedule or NoiseSchedule.linear())
    found = driver.provenance["steps"]
    if steps not in (None, found):
        raise InputError(
            f"{describe(sampler)} takes {found} steps on this schedule", steps, "Pass steps=None."
        )
    return driver
