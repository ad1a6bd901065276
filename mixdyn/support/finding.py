"""What exists is found in its folder: nothing here knows a name."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import FileError


def files_in(package: str) -> dict[str, Path]:
    """The files of the modules in a package's folder, by their names: none is imported. None where
    there is no such folder."""
    if importlib.util.find_spec(package) is None:
        return {}
    folders = map(Path, importlib.import_module(package).__path__)
    found = (path for folder in folders for path in sorted(folder.glob("*.py")))
    return {path.stem: path for path in found if path.stem != "__init__"}


def modules_in(package: str, names: Collection[str] | None = None) -> list[ModuleType]:
    """The modules and packages of a package's folder, by the names of the files, or those of these
    names; none where there is no such folder. FileError: a file fails."""
    if importlib.util.find_spec(package) is None:
        return []
    folders = importlib.import_module(package).__path__
    found = (each.name for each in pkgutil.iter_modules(folders))
    return [_imported(package, name) for name in found if names is None or name in names]


def lazily(name: str) -> ModuleType:
    """The module of that name, which is executed when something is first taken from it: a command
    that refuses what it was asked has not waited for it."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    spec.loader = loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    package, _, own = name.rpartition(".")
    setattr(sys.modules[package], own, module)
    return module


def classes_in(package: str, *attributes: str) -> list[Any]:
    """The classes with all of these attributes that the modules of a package define, by the names
    of the files; a name that begins with _ is private. FileError: a file fails."""
    return [
        value
        for module in modules_in(package)
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and all(hasattr(value, attribute) for attribute in attributes)
    ]


@functools.cache
def class_in(package: str, name: str, asked: str | None = None) -> Any:
    """The class that a module of a package defines; no other of its modules is imported.

    Raises AttributeError of the module that was `asked` (the package itself) where there is none.
    """
    module = module_of(importlib.import_module(package).__path__, name)
    if module is None:
        raise AttributeError(f"module {asked or package!r} has no attribute {name!r}")
    return getattr(_imported(package, module), name)


def _imported(package: str, name: str) -> ModuleType:
    """A module of a package. FileError, with its file, for whatever it raises: it may be a
    user's."""
    try:
        return importlib.import_module(f"{package}.{name}")
    except (Exception, SystemExit) as error:
        spec = importlib.util.find_spec(f"{package}.{name}")
        raise FileError(
            f"every file of {package} must be importable",
            f"{spec and spec.origin} ({type(error).__name__}: {error})",
            "Correct the file, or take it out of the folder.",
        ) from error


def module_of(folders: Iterable[str | Path], name: str) -> str | None:
    """The module in these folders whose text defines the class `name`."""
    pattern = re.compile(rf"^class {re.escape(name)}\b", re.MULTILINE)
    for folder in folders:
        for path in sorted(Path(folder).glob("*.py")):
            if pattern.search(path.read_text(encoding="utf-8")):
                return path.stem
    return None
