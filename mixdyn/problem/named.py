"""Mixtures and schedules by name, as a command line writes them: a file or a maker with options."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..support.errors import InputError
from ..support.files import FORMATS, clipped
from . import presets
from .mixture import GaussianMixture
from .schedule import SCHEDULES, NoiseSchedule

_T = TypeVar("_T")

MIXTURES: Mapping[str, Callable[..., GaussianMixture]] = {
    "grid": presets.grid,
    "rotated_grid": partial(presets.grid, rotate=math.pi / 4),
    "diamond": presets.diamond,
    "line": presets.line,
    "ring": presets.ring,
    "two_modes": presets.two_modes,
    "farthest_point": presets.farthest_point,
}


def read_mixture(text: str) -> GaussianMixture:
    """A mixture file, or a preset such as `grid` or `farthest_point:d=64,seed=1`."""
    return read_named(text, "mixture", MIXTURES, GaussianMixture.load)


def read_schedule(text: str) -> NoiseSchedule:
    """A schedule file, or a name with options such as `linear:T=9,beta_end=0.9`."""
    return read_named(text, "schedule", SCHEDULES, NoiseSchedule.load)


def listing() -> dict[str, list[tuple[str, str]]]:
    """Titles, and under each every name as NAME:option=default,... with what it makes."""

    def row(name: str, maker: Callable[..., object]) -> tuple[str, str]:
        options = inspect.signature(maker).parameters.values()
        values = [
            f"{p.name}={'VALUE' if p.default is inspect.Parameter.empty else p.default}"
            for p in options
            if "ArrayLike" not in str(p.annotation)
        ]
        text = inspect.getdoc(maker.func if isinstance(maker, partial) else maker) or ""
        return f"{name}:{','.join(values)}", " ".join(text.split("\n\n")[0].split())

    return {
        "mixtures": [row(name, maker) for name, maker in MIXTURES.items()],
        "schedules": [row(name, maker) for name, maker in SCHEDULES.items()],
    }


def read_named(
    text: str,
    what: str,
    makers: Mapping[str, Callable[..., _T]],
    load: Callable[[str], _T],
    files: str = "a .toml or .npz file",
) -> _T:
    """What a maker makes with the options behind its name, NAME:key=value,...; else what `load`
    reads from the file. InputError for a name of neither."""
    name, _, options = text.partition(":")
    if name in makers:
        return makers[name](**_parse_options(name, options, makers[name]))
    if Path(text).suffix.lower() not in FORMATS and not _exists(text):
        raise InputError(
            f"a {what} is {files} or one of {', '.join(makers)}",
            clipped(repr(text)),
            "Check the name; options follow a colon, as in NAME:key=value,key=value.",
        )
    return load(text)


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _parse_options(name: str, text: str, maker: Callable[..., object]) -> dict[str, Any]:
    parameters = inspect.signature(maker).parameters
    values: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if key not in parameters or not equals or key in values:
            known = f"the options {', '.join(parameters)}, each once, as key=value"
            raise InputError(
                f"{name} takes {known if parameters else 'no options'}",
                repr(item),
                "Correct the option." if parameters else "Leave it out.",
            )
        values[key] = _literal(name, key, value)
    missing = [
        key
        for key, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and key not in values
    ]
    if missing:
        raise InputError(
            f"{name} needs the option {missing[0]}", "none", f"Write {name}:{missing[0]}=VALUE."
        )
    return values


def _literal(name: str, key: str, text: str) -> int | float | bool:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    if not isinstance(value, bool | int | float):
        raise InputError(
            f"the option {key} of {name} is a number, True or False", repr(text), "Correct it."
        )
    return value
