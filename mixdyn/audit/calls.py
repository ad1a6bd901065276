"""Calls into another library: settings to whom they belong, what it raises as one line, a driver of
whatever runs on tensors."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..affine.drivers import CLEAN, Ask, Draw
from ..score.protocol import Level
from ..support.checks import Array, describe
from ..support.errors import InputError, MixdynError, shortened

Model = Callable[[Any, Level], Any]  # the prediction, a tensor, at a tensor and a level


def guarded(call: Callable[..., Any], *values: Any, **named: Any) -> Any:
    """call(...); whatever a library raises as one line. Its warnings are for its own makers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(*values, **named)
    except MixdynError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            "a sampler must run with the settings given",
            f"{type(error).__name__} in {getattr(call, '__qualname__', call)}: "
            f"{shortened(error).rstrip('.')}",
            "Correct the settings, or leave this sampler out.",
        ) from error


def sorted_out(
    name: str, calls: Mapping[str, Callable[..., Any]], settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Whose each setting is: of the first call, named by the words before it, that has it."""
    taken: list[dict[str, Any]] = [{} for _ in calls]
    for setting, value in settings.items():
        for call, part in zip(calls.values(), taken, strict=True):
            if setting in inspect.signature(call).parameters:
                part[setting] = value
                break
        else:
            known = [
                f"{words} takes {', '.join(dict(inspect.signature(call).parameters))}"
                for words, call in calls.items()
            ]
            raise InputError(
                f"a setting of {name} belongs to one of its calls", setting, f"{'; '.join(known)}."
            )
    return taken


def named_in(library: str, place: Any, name: str, fits: Callable[[Any], bool], example: str) -> Any:
    """`place.name`, which must fit."""
    found = getattr(place, name, None)
    if found is None or not fits(found):
        raise InputError(
            f"a sampler of {library} is named as it is there",
            f"{library}:{name}",
            f"Name one, for example {library}:{example}.",
        )
    return found


def provenance(library: Any, name: str, steps: int | None, settings: Mapping[str, Any]) -> Any:
    """Which sampler a plan is of."""
    from importlib.metadata import version

    return {
        "sampler": name,
        "library": library,
        "version": version(library),
        "steps": steps,
        "settings": {key: describe(value) for key, value in settings.items()},
    }


@dataclasses.dataclass(frozen=True)
class TorchSampler:
    """A driver of `play(x, model, draw)`, which runs a library on tensors in double precision, its
    normals replaced by the draws. draws_start: its first normals are its start, which is x."""

    play: Callable[[Any, Model, Draw], Any]
    predicts: str
    start_std: float | None
    provenance: Mapping[str, Any]
    end: Level = CLEAN
    draws_start: bool = False

    def run(self, x: Array, ask: Ask, draw: Draw) -> Array:
        """See `Driver`."""
        from .tensors import handed_noise, to_array, to_tensor

        def model(states: Any, at: Level) -> Any:
            return to_tensor(ask(to_array(states), at))

        start = [x.copy()] if self.draws_start else []

        def drawn(shape: tuple[int, ...], time: int | None = None) -> Array:
            return start.pop() if start else draw(shape, time)

        with handed_noise(drawn):
            return to_array(guarded(self.play, to_tensor(x), model, draw))
