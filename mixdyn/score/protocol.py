"""How a model is asked: for the noise in a state, at a level.

A *model* is any object with `eps(x, at)`: x (n, d) float64, returns (n, d), the noise prediction.
What `at` is, the model says:

* by default a Python int t in 1..T, the time of a schedule, as a network has it;
* a `Level`, with the attribute `takes_levels = True`: signal and noise of x_t = alpha x_0 +
  noise_std eps, continuous, of any Gaussian path. A time is a view of it, `level(schedule, t)`.

The exact score takes both; `AtLevels` makes any model do so, with the schedule that it is for.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

import numpy as np

from ..problem.checks import check_schedule
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..support.checks import (
    Array,
    check_alpha_bar,
    check_flag,
    check_integer,
    check_nonnegative,
    describe,
    refuse_masked,
    without_gradient,
)
from ..support.errors import InputError

if TYPE_CHECKING:
    from .exact import ExactScore

_SAME = 1e-12  # relative: two noise variances that are one time's


@runtime_checkable
class ScoreModel(Protocol):
    """Anything that predicts the noise."""

    def eps(self, x: Array, t: Any, /) -> Array:
        """Noise prediction at x (n, d), at an integer time or at a `Level`, as the model has it."""
        ...


# -- levels --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Level:
    """Where a state stands between data and noise: x_t = alpha x_0 + noise_std eps.

    alpha (>= 0) : signal amplitude. noise_var (>= 0) : noise variance. signal_var : alpha^2; given
    by a schedule, which knows it to the last bit. alpha^2 + noise_var need not be one: alpha = 1 is
    the variance-exploding path, y = x/alpha = x_0 + sqrt(rho) eps every path's static coordinates.
    """

    alpha: float
    noise_var: float
    signal_var: float = math.nan

    def __post_init__(self) -> None:
        alpha = check_nonnegative(self.alpha, "alpha")
        check_nonnegative(self.noise_var, "noise_var")
        if isinstance(self.signal_var, float) and math.isnan(self.signal_var):
            object.__setattr__(self, "signal_var", alpha * alpha)
        check_nonnegative(self.signal_var, "signal_var")

    @classmethod
    def of_rho(cls, rho: float) -> Level:
        """The level of the variance-preserving path with noise variance rho >= 0 in y = x/alpha."""
        signal = 1.0 / (1.0 + check_nonnegative(rho, "rho"))
        return cls(math.sqrt(signal), rho * signal, signal)

    @classmethod
    def of_abar(cls, abar: float) -> Level:
        """The level of the variance-preserving path with alpha^2 = abar in (0, 1]."""
        signal = check_alpha_bar(abar)
        return cls(math.sqrt(signal), 1.0 - signal, signal)

    @classmethod
    def at(cls, schedule: NoiseSchedule, t: float) -> Level:
        """The level at any real t in [0, T] of a schedule, see `NoiseSchedule.between`."""
        alpha, noise_std = check_schedule(schedule).between(t)
        return cls(alpha, noise_std**2)

    @property
    def noise_std(self) -> float:
        """Noise amplitude."""
        return math.sqrt(self.noise_var)

    @property
    def rho(self) -> float:
        """Noise variance in y = x/alpha; infinite without any signal."""
        return self.noise_var / self.signal_var if self.signal_var > 0.0 else math.inf


def level(schedule: NoiseSchedule, at: int | Level, first: int = 1) -> Level:
    """The level at time `at` in first..T of a schedule; a Level is that itself, and has noise where
    the first time (1 or 0) has."""
    if isinstance(at, Level):
        if first > 0 and at.noise_var == 0.0:
            raise InputError(
                "a noise prediction needs noise: noise_var > 0", describe(at), "Ask at a later one."
            )
        return at
    t = check_integer(at, "t", first, check_schedule(schedule).T)
    return Level(
        float(schedule.alpha[t]), float(schedule.noise_var[t]), float(schedule.alpha_bar[t])
    )


def time_on(clock: Array, value: float, name: str = "v = data_var + rho") -> int:
    """The time t >= 1 at which a clock (T + 1,) shows `value`; any other value is refused."""
    t = int(np.argmin(np.abs(clock - value)))
    # Written so that NaN and infinity are refused.
    if t == 0 or not abs(clock[t] - value) <= _SAME * value < math.inf:
        raise InputError(
            "a model given at integer times can only be evaluated there",
            f"{name.partition(' ')[0]} = {value:.6g}, between the times of the schedule",
            f"Use a method that evaluates at grid nodes only, on {name}[t], t >= 1.",
        )
    return t


class AtLevels:
    """A model asked at levels and at the integer times of a schedule, whichever it takes itself.

    One that knows times only answers at those levels that are times: of any path, as the noise in
    a state depends on x/alpha and rho alone.
    """

    def __init__(self, model: ScoreModel, schedule: NoiseSchedule) -> None:
        self.model, self.schedule = model, check_schedule(schedule)
        self.own_threads = bool(getattr(model, "own_threads", False))
        if (d := getattr(model, "d", None)) is not None:
            self.d = d

    def eps(self, x: Array, at: int | Level) -> Array:
        """The model's prediction, checked. InputError between the times that it knows."""
        return checked_eps(self.model, *self._as_it_takes(x, at))

    def x0(self, x: Array, at: int | Level) -> Array:
        """The clean data as the model predicts them where there is no signal, see `unseen_x0`."""
        return unseen_x0(self.model, *self._as_it_takes(x, at))

    def _as_it_takes(self, x: Array, at: int | Level) -> tuple[Array, int | Level]:
        if takes_levels(self.model):
            return x, level(self.schedule, at)
        if not isinstance(at, Level):
            return x, at
        rho, T = self.schedule.rho, self.schedule.T
        if at.alpha == 0.0 and rho[T] == math.inf:
            return math.sqrt(self.schedule.noise_var[T] / at.noise_var) * x, T
        t = time_on(rho, at.rho, "rho")
        scale = float(self.schedule.alpha[t]) / at.alpha
        return (x if scale == 1.0 else scale * x), t


def takes_levels(model: object) -> bool:
    """Whether a model says that it is asked at a Level."""
    return check_flag(getattr(model, "takes_levels", False), "a model's takes_levels")


def at_levels(model: ScoreModel, schedule: NoiseSchedule) -> ScoreModel:
    """The model, asked at a Level or at a time: one that knows times only answers at those of its
    schedule."""
    return model if is_exact(model) or isinstance(model, AtLevels) else AtLevels(model, schedule)


# -- models --------------------------------------------------------------------------------------


@functools.singledispatch
def model_for(model: object, schedule: NoiseSchedule) -> ScoreModel:
    """The model that `sample` runs, asked at times: a mixture stands for its exact score.

    InputError for what is no model, and for a score of ours at the times of another schedule.
    """
    if not is_model(model):
        raise InputError(
            "a model is a GaussianMixture or an object with eps(x, t)",
            describe(model),
            "Adapt a function with as_model.",
        )
    if takes_levels(model):
        return AtLevels(model, schedule)
    own = getattr(model, "schedule", schedule) if is_ours(model) else schedule
    if own != schedule:  # its time t is another noise
        raise InputError(
            "a score must be of the schedule that it is run on",
            f"{type(model).__name__} of {own!r}, run on {schedule!r}",
            "Pass the mixture, or the score of this schedule.",
        )
    return model


@model_for.register
def _(model: GaussianMixture, schedule: NoiseSchedule) -> ScoreModel:
    from .exact import score_of

    return score_of(model, schedule)


def is_exact(model: object) -> TypeGuard[ExactScore]:
    """Whether `model` is the exact score itself: a subclass may have changed what it predicts."""
    from .exact import ExactScore

    return type(model) is ExactScore


def is_model(value: object) -> TypeGuard[ScoreModel]:
    """Whether `value` is an object, no class, with a method eps(x, t)."""
    eps = getattr(value, "eps", None)
    return not isinstance(value, type) and callable(eps) and takes_two(eps)


def takes_two(function: Callable[..., object]) -> bool:
    """Whether f(x, t) is a possible call; a function that hides its signature may be."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


# -- code that is not ours -----------------------------------------------------------------------


def lent(array: Array) -> Array:
    """A copy for code that is not ours, to write on or to keep: our own states never go out."""
    return array.copy()


def is_ours(value: object) -> bool:
    """Whether its class is of this package: it writes on nothing that it is given, and guards what
    it calls. A user's subclass is not ours."""
    return type(value).__module__.partition(".")[0] == __name__.partition(".")[0]


def checked_eps(model: ScoreModel, x: Array, at: int | Level) -> Array:
    """The model's noise prediction, which must be finite and shaped like x.

    A model that is not ours may write on what it is given, and hand back the same buffer at every
    call: it gets a copy of x, and what it returns is copied.
    """
    if is_ours(model):
        eps = np.ascontiguousarray(model.eps(x, at), dtype=np.float64)
    else:
        eps = output_array(model.eps(lent(x), at), "a model's eps").copy()
    if eps.shape != x.shape or not np.isfinite(eps).all():
        where = at if isinstance(at, Level) else f"t = {at}"
        raise InputError(
            f"a model's eps must be finite and of shape {x.shape}",
            f"shape {eps.shape} at {where} with {np.count_nonzero(~np.isfinite(eps))} "
            "non-finite entries",
            "Check the model's range and its index base.",
        )
    return eps


def unseen(what: str, at: int | Level) -> InputError:
    """The error of asking for what is not known at a level without signal."""
    return InputError(
        f"{what} where there is no signal, alpha = 0",
        at if isinstance(at, Level) else f"t = {at}",
        "Predict x0, v or velocity, or end the schedule in little signal.",
    )


def unseen_x0(model: ScoreModel, x: Array, at: int | Level) -> Array:
    """x0_hat at a level without signal, (n, d): of a model that has a method x0(x, at) beside eps;
    eps itself is x/noise_std there and says nothing of the data."""
    x0 = getattr(model, "x0", None)
    if x0 is None:
        raise unseen("a prediction of eps says nothing of x0", at)
    return like_states(x0(x if is_ours(model) else lent(x), at), x, "a model's x0")


def unseen_cost(model: ScoreModel, n: int) -> int:
    """Evaluations that `unseen_x0` takes for n states beside those of eps: of the exact score the
    mean of the data is known."""
    return 0 if is_exact(model) else n


def output_array(value: Any, name: str) -> Array:
    """What a model returned as a float64 array.

    An array, a tensor of another library with or without a gradient, an output object that holds
    one as `.sample` (as diffusers' do), or a tuple of one of these. InputError for anything else.
    """
    held = value[0] if isinstance(value, tuple) and len(value) == 1 else value
    inner = getattr(held, "sample", None)
    held = without_gradient(held if inner is None or callable(inner) else inner)
    refuse_masked(held, name)
    try:
        array = np.asarray(held)
    except (TypeError, ValueError, RuntimeError):  # ragged lists, tensors with no NumPy form
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf":
        raise InputError(
            f"{name} must be an array of real numbers, or an object with one as .sample",
            f"{describe(value)} of type {_kind_of(value)}",
            "Return an array or a tensor like the state.",
        )
    return array.astype(np.float64, copy=False)


def like_states(value: Any, x: Array, name: str) -> Array:
    """What a function returned, one row per point of x (n, d); copied, as it may use its buffer
    again."""
    array = output_array(value, name).copy()
    if array.shape != x.shape:
        raise InputError(
            f"{name} must return one row per point, shape {x.shape}",
            f"shape {array.shape}",
            "Return an array like its input.",
        )
    return array


def _kind_of(value: Any) -> str:
    dtype = f" of {value.dtype}" if isinstance(value, np.ndarray) else ""
    return f"{type(value).__name__}{dtype}"
