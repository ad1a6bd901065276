"""One file a library, named as it is imported, with `driver` and `samplers`; no arithmetic.

Of `driver(name, steps, settings)` `name` is what follows the colon of a spec such as
"diffusers:DDIMScheduler", `settings` the keywords of `transcribe`; `samplers()` are the public ones
as the library itself lists them, with the settings of their natural use and main variants. A file
imports its library inside its functions, by `needed`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ...affine.drivers import Driver, UserFunction
from ...support.checks import check_callable
from ...support.errors import InputError, MissingExtraError, shortened

Offer = tuple[str, dict[str, Any]]  # a name and settings of one public sampler
STEPS = 50  # where neither the user nor the library says how many


def driver_named(spec: str, steps: int | None, settings: Mapping[str, Any]) -> Driver:
    """The driver of "library:sampler", for a library that has an adapter here, or of a user's
    "module:function"."""
    library, _, name = spec.partition(":")
    plain = library.isidentifier() and not library.startswith("_")
    if plain and importlib.util.find_spec(f"{__name__}.{library}") is not None:
        adapter = importlib.import_module(f"{__name__}.{library}")
        found: Driver = adapter.driver(name, steps, settings)
        return found
    try:
        value = getattr(importlib.import_module(library), name)
    except Exception as error:  # it is foreign code: it may raise anything
        raise InputError(
            "a sampler is named as library:sampler or module:function",
            f"{spec} ({type(error).__name__}: {shortened(error)})",
            "Check both names, and that the module is on Python's path.",
        ) from error
    return UserFunction(check_callable(value, spec, "Name a function."), steps, **settings)


def offered() -> tuple[list[Offer], list[str]]:
    """The public samplers of every adapter, named as `transcribe` takes them; and a line for each
    library that is not installed."""
    found: list[Offer] = []
    missing = []
    for library in sorted(one.name for one in pkgutil.iter_modules(__path__)):
        adapter = importlib.import_module(f"{__name__}.{library}")
        try:
            own: list[Offer] = adapter.samplers()
        except MissingExtraError as error:
            missing.append(str(error))
        else:
            found += [(f"{library}:{name}", settings) for name, settings in own]
    return found, missing


def kinds_in(module: ModuleType, base: type[Any]) -> list[str]:
    """Names of the public classes of a module that are kinds of `base`, and can be made."""
    found = {name: getattr(module, name, None) for name in dir(module) if name[0] != "_"}
    return [
        name
        for name, value in found.items()
        if isinstance(value, type)
        and base in value.__mro__[1:]  # also where it is a protocol
        and not inspect.isabstract(value)
    ]


def needed(library: str, install: str) -> ModuleType:
    """The library, imported. MissingExtraError with what to install where it, or what it rests on,
    is not there (a RuntimeError of torchvision beside another torch)."""
    try:
        return importlib.import_module(library)
    except (ImportError, OSError, RuntimeError) as error:
        name, why = library.partition(".")[0], shortened(error)
        raise MissingExtraError(
            f"the samplers of {name} need {name} ({why}). Install it: {install}"
        ) from None
