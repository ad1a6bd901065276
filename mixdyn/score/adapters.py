"""`as_model`: a function that predicts eps, x0, v, the score or the velocity as a model."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, Literal

from numpy.typing import ArrayLike

from ..problem.schedule import NoiseSchedule
from ..support.checks import Array, check_flag, check_integer, check_kind, describe
from ..support.errors import InputError
from .conversions import Predicts, check_predicts, to_eps, to_x0
from .protocol import Level, ScoreModel, lent, level, like_states, unseen


class _AdaptedModel:
    def __init__(
        self, f: Callable[[Array, Any], ArrayLike], predicts: Predicts, schedule: Any, shift: int
    ) -> None:
        self._f, self._predicts, self._schedule, self._shift = f, predicts, schedule, shift
        self.own_threads = bool(getattr(f, "own_threads", False))

    def eps(self, x: Array, t: int) -> Array:
        value = self._asked(x, t)
        if self._predicts == "eps":
            return value
        return to_eps(value, x, self._level(t), self._predicts)

    def x0(self, x: Array, t: int) -> Array:
        """The clean data that it predicts; also without signal, where eps holds none of it."""
        if self._predicts == "eps":
            raise unseen("a prediction of eps says nothing of x0", t)
        return to_x0(self._asked(x, t), x, self._level(t), self._predicts)

    def _asked(self, x: Array, t: int) -> Array:
        return like_states(self._f(lent(x), t - self._shift), x, "the model")

    def _level(self, t: int) -> Level:
        return level(self._schedule, t)


class _AdaptedAtLevels(_AdaptedModel):
    takes_levels = True

    def _asked(self, x: Array, at: Any) -> Array:
        check_kind(at, Level, "at", "This model takes levels: ask at level(schedule, t).")
        return like_states(self._f(lent(x), at), x, "the model")

    def _level(self, at: Any) -> Level:
        known: Level = at
        return known


def as_model(
    f: Callable[[Array, Any], ArrayLike],
    *,
    predicts: Predicts = "eps",
    schedule: NoiseSchedule | None = None,
    index_base: Literal[0, 1] = 1,
    takes_levels: bool = False,
) -> ScoreModel:
    """A model from a function f(x, index) that predicts eps, x0, v, the score or the velocity.

    f takes x (n, d) float64 and an int; it may return a NumPy array, a tensor of another library,
    with or without a gradient, or an output object with one of these as `.sample`. A torch module
    gets tensors in its own precision and on its own device, x (n, d) and the index as int64 (n,),
    and runs without dropout and gradients.

    `index_base` is the index f gives to the first noisy time: 1 as in mixdyn, or 0 as in most
    public code, where arrays are indexed t - 1. All but eps need the schedule to convert.
    With `takes_levels` f takes a `Level` in place of the index, at any noise, and needs neither.
    """
    if not callable(f):
        raise InputError("f must be callable as f(x, t)", describe(f), "Pass a function.")
    check_predicts(predicts)
    shift = 1 - check_integer(index_base, "index_base", 0, 1)
    if check_flag(takes_levels, "takes_levels") and (shift or is_torch_module(f)):
        raise InputError(
            "takes_levels is for a function f(x, level): it has no index base and is no module",
            f"index_base = {index_base}, f = {describe(f)}",
            "Leave takes_levels out, or write the function.",
        )
    if takes_levels:
        return _AdaptedAtLevels(f, predicts, schedule, shift)
    if predicts != "eps" and not isinstance(schedule, NoiseSchedule):
        raise InputError(
            f"a model that predicts {predicts} needs its schedule",
            describe(schedule),
            "Pass schedule=.",
        )
    if is_torch_module(f):
        # By name: the exact score does not rest on torch, and who gets here has loaded it.
        package = __name__.partition(".")[0]
        f = importlib.import_module(f"{package}.learned.modules").ModuleFunction(f)
    return _AdaptedModel(f, predicts, schedule, shift)


def is_torch_module(value: object) -> bool:
    """Whether `value` is a torch module; torch is not loaded for the answer."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)
