"""What exists is found in its folder: nothing here knows a name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def classes_in(package: str, *attributes: str) -> list[Any]:
    """The classes with all of these attributes that the modules of a package define, by the names
    of the files; a name that begins with _ is private."""
    modules = [
        importlib.import_module(f"{package}.{found.name}")
        for found in pkgutil.iter_modules(importlib.import_module(package).__path__)
    ]
    return [
        value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and all(hasattr(value, attribute) for attribute in attributes)
    ]
