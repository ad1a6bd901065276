"""`transcribe`: the matrices of an affine sampler, read off in one batched run.

The rows of the batch are impulses: one has x_T = 1 and nothing else, one for each call has that
model output = 1, one for each draw that draw = 1. What the sampler hands its model at call k, and
what it returns, are then the columns of its matrices. Each state has two coordinates, which carry
the impulse and a multiple of it. A row of zeros and rows of random numbers, run together and apart,
show whether the sampler is what the impulses say.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..score.protocol import Level
from ..support.checks import Array, check_integer, check_memory
from ..support.errors import InputError, MixdynError, NotAffineError
from .drivers import Driver, driver_of
from .plan import Plan

_CHECKS = 3  # rows of random numbers
_ROUNDING = 1e-4  # relative: what casts to single inside a sampler may make it miss a sum by
_BYTES = 2e9
_ADVICE = "It has no plan: judge it by sampling (error.driver runs it on any model)."


def transcribe(sampler: Any, steps: int | None = None, **settings: Any) -> Plan:
    """The plan of a sampler that is affine in its start, the model's outputs and its noise.

    Parameters
    ----------
    sampler : a sampler of ours (an object; a class or a name, whose options are among the
        settings), of another library ("diffusers:DDIMScheduler", likewise), a driver (see
        `drivers.Driver`), or a function f(model, x_T, rng), itself or as "module:function", that
        calls model(x, level) and draws normals from rng, on NumPy arrays (n, d) of any n and d.
    steps : how many it takes; handed to a function that has the argument `steps`.
    settings : schedule= (the linear one by default); of a function level=, predicts=, start_std=,
        end= (see `drivers.UserFunction`), and the rest as its own arguments.

    Raises
    ------
    NotAffineError : it clips, thresholds, adapts its steps, couples rows or coordinates, or draws
        hidden noise; `error.driver` runs it on any model. InputError : it fails in itself.
    """
    steps = None if steps is None else check_integer(steps, "steps", 1)
    driver = driver_of(sampler, steps, settings)
    try:
        return _transcribed(driver)
    except NotAffineError as error:
        error.driver = driver
        raise


def _transcribed(driver: Driver) -> Plan:
    probe = _Run(np.zeros((2, 1, 2)), None)
    try:
        probe.drive(driver)
    except NotAffineError:
        raise
    except InputError as error:
        if probe.calls:
            _check_elsewhere(driver, error)
        raise
    values = _values(probe.calls, probe.draws)
    last = slice(-1, -_CHECKS - 1, -1)
    whole, apart = _Run(values, probe), _Run(values[last], probe)
    whole.drive(driver)
    apart.drive(driver)
    rows = np.stack(whole.seen)
    _check_apart(rows[:, last], np.stack(apart.seen))
    _check_zeros(rows[:, 0])
    plan = _plan(driver, whole, rows)
    return dataclasses.replace(plan, rounding=_check_sums(plan, rows, values))


def _values(calls: int, draws: int) -> Array:
    """(n, 1 + K + D, 2): start, outputs and draws of every row: zeros, impulses, random numbers."""
    size = 1 + calls + draws
    shape = (1 + size + _CHECKS, size, 2)
    remedy = "Transcribe it with fewer steps."
    check_memory(16.0 * shape[0] * size, _BYTES, "the batch of a transcription", remedy)
    values = np.zeros(shape)
    unit = np.arange(size)
    values[1 + unit, unit, 0] = 1.0
    values[1 + unit, unit, 1] = np.where(unit % 2, 3.0, -0.4) * (1.0 + unit / size)
    values[-_CHECKS:] = np.random.default_rng(2405).standard_normal((_CHECKS, size, 2))
    return values


class _Run:
    """The model and the noise of one run of a driver, and what it handed over.

    values (n, 1 + K + D, 2): what each row is answered; of a probe (like None) zeros.
    """

    def __init__(self, values: Array, like: _Run | None) -> None:
        self._values, self._like = values, like
        self.seen: list[Array] = []
        self.levels: list[Level] = []
        self.draw_calls: list[int] = []
        self.times: list[int | None] = []

    @property
    def calls(self) -> int:
        return len(self.levels)

    @property
    def draws(self) -> int:
        return len(self.times)

    def drive(self, driver: Driver) -> None:
        """Run the driver; `seen` are then the K inputs and the end."""
        end = driver.run(self._values[:, 0].copy(), self.ask, self.draw)
        self.seen.append(self._taken(end, "its end"))
        if self.calls == 0:
            raise InputError("a sampler asks its model", "no call at all", "Call model(x, level).")
        if self._like is not None:
            for word in ("calls", "draws"):
                self._check_count(word, getattr(self, word), getattr(self._like, word), done=True)

    def ask(self, x: Array, at: Level) -> Array:
        """Answer a call."""
        expected = self._values[:, 0].shape
        if np.ndim(x) == 2 and len(x) != expected[0] and np.shape(x)[1:] == expected[1:]:
            raise NotAffineError(
                "a sampler with a plan asks its model for the whole batch at every call",
                f"call {self.calls + 1} for {len(x)} rows of {expected[0]}: it tries its model "
                "out, or repeats some rows",
                _ADVICE,
            )
        self.seen.append(self._taken(x, f"what it hands call {self.calls + 1}"))
        self.levels.append(at)
        if self._like is None:
            return np.zeros_like(self._values[:, 0])
        self._check_count("calls", self.calls, self._like.calls)
        return self._values[:, self.calls].copy()

    def draw(self, shape: tuple[int, ...], time: int | None = None) -> Array:
        """Answer a draw."""
        if tuple(shape) != self._values[:, 0].shape:
            raise NotAffineError(
                "every entry of the states draws its own normal",
                f"a draw of shape {tuple(shape)} for states of shape {self._values[:, 0].shape}",
                _ADVICE,
            )
        self.times.append(time)
        self.draw_calls.append(self.calls)
        if self._like is None:
            return np.zeros(shape)
        self._check_count("draws", self.draws, self._like.draws)
        return self._values[:, self._like.calls + self.draws].copy()

    def _taken(self, x: Array, where: str) -> Array:
        expected = self._values[:, 0].shape
        if np.shape(x) != expected or not np.isfinite(x).all():
            raise InputError(
                f"a sampler's states must be finite and of the shape {expected} of its start",
                f"shape {np.shape(x)} with {np.count_nonzero(~np.isfinite(x))} non-finite entries "
                f"in {where}, after {self.calls} calls",
                "Choose settings with which it runs on numbers of size 1.",
            )
        return np.array(x, dtype=np.float64)

    def _check_count(self, word: str, found: int, expected: int, done: bool = False) -> None:
        if found > expected or (done and found != expected):
            raise NotAffineError(
                f"the number of {word} must not depend on the model's outputs",
                f"{expected} {word} on zeros, {found} on other numbers",
                _ADVICE,
            )


def _plan(driver: Driver, run: _Run, rows: Array) -> Plan:
    size = 1 + run.calls + run.draws
    levels = [*run.levels, driver.end]
    first = run.levels[0]
    usual = first.noise_std if first.alpha == 1.0 else 1.0
    # A draw without a counter of our own gets one: how many are left, as our times count.
    times = [run.draws - j if t is None else t for j, t in enumerate(run.times)]
    return Plan(
        matrix=np.ascontiguousarray(rows[:, 1 : 1 + size, 0]),
        alpha=np.array([at.alpha for at in levels]),
        noise_var=np.array([at.noise_var for at in levels]),
        predicts=driver.predicts,
        start_std=usual if driver.start_std is None else driver.start_std,
        draw_calls=np.array(run.draw_calls, dtype=np.int64),
        draw_times=np.array(times, dtype=np.int64),
        provenance=dict(driver.provenance),
    )


def _where(k: int, calls: int) -> str:
    return "the end" if k == calls else f"the input of call {k + 1}"


def _check_elsewhere(driver: Driver, error: InputError) -> None:
    """Whether a sampler that fails on zeros runs on other numbers."""
    rng = np.random.default_rng(2405)

    def answer(x: Array, at: Level) -> Array:
        return rng.standard_normal(np.shape(x))

    def draw(shape: tuple[int, ...], time: int | None = None) -> Array:
        return rng.standard_normal(shape)

    try:
        end = driver.run(rng.standard_normal((2, 2)), answer, draw)
    except MixdynError:
        return
    if np.shape(end) == (2, 2) and np.isfinite(end).all():
        raise NotAffineError(
            "a sampler with a plan is finite where the model's outputs and draws are 0",
            f"{error.received}, but a finite end of other numbers: it divides by them",
            _ADVICE,
        ) from error


def _check_zeros(found: Array) -> None:
    """Zeros in, zeros out."""
    size = np.abs(found).max(axis=1)
    if size.any():
        k = int(np.argmax(size > 0.0))
        raise NotAffineError(
            "a start, outputs and draws of zero must give zeros",
            f"{', '.join(f'{v:.3g}' for v in found[k])} as {_where(k, len(found) - 1)} of zeros",
            "Take its constant out, such as a shift of the samples.",
        )


def _check_sums(plan: Plan, rows: Array, values: Array) -> float:
    """The largest relative error of the impulses' sums, on multiples and on random numbers."""
    size = plan.matrix.shape[1]
    factors = values[1 + np.arange(size), np.arange(size), 1]
    scaled = rows[:, 1 : 1 + size, 1]
    scale = np.abs(scaled).max(axis=1, initial=1e-300)
    worst = np.abs(scaled - plan.matrix * factors).max(axis=1) / scale
    for given, found in zip(
        values[-_CHECKS:].transpose(0, 2, 1).reshape(-1, size),
        rows[:, -_CHECKS:].reshape(len(rows), -1).T,
        strict=True,
    ):
        parts = np.abs(plan.matrix) @ np.abs(given)
        worst = np.maximum(worst, np.abs(found - plan.matrix @ given) / np.maximum(parts, 1e-300))
    k = int(np.argmax(worst > _ROUNDING))
    if worst[k] > _ROUNDING:
        raise NotAffineError(
            "a sampler with a plan is the sum of its impulses",
            f"{_where(k, plan.calls)} off the sum by {worst[k]:.3g} of its size: it clips, "
            "thresholds, adapts or mixes coordinates",
            _ADVICE,
        )
    return float(worst.max())


def _check_apart(together: Array, apart: Array) -> None:
    """Rows must not see each other."""
    error = np.abs(together - apart).max(axis=(1, 2)) / np.maximum(np.abs(apart).max(), 1e-300)
    k = int(np.argmax(error > _ROUNDING))
    if error[k] > _ROUNDING:
        raise NotAffineError(
            "the rows of a batch must not see each other, nor any noise that is not handed over",
            f"{_where(k, len(error) - 1)} moved by {error[k]:.3g} of its size in another batch",
            _ADVICE,
        )
