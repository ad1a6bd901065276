"""The derivations in reading order: from the forward process to each bound.

A chapter is a folder: its docstring is the title and what leads in, PLACE its place. A derivation
is one file of it, and says its own.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .stored import path_of

if TYPE_CHECKING:
    from .algebra.derivation import Derivation

_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Chapter:
    """A title, a sentence or two that leads in, and the derivations' module names."""

    title: str
    lead: str
    names: tuple[str, ...]


@functools.cache
def chapters() -> tuple[Chapter, ...]:
    """Every folder with a PLACE, in order."""
    found = {}
    for path in sorted(_FOLDER.glob("*/__init__.py")):
        package = importlib.import_module(f"derivations.{path.parent.name}")
        if hasattr(package, "PLACE"):
            if package.PLACE in found:
                raise ValueError(f"{package.__name__} has the place of another chapter")
            title, _, lead = str(package.__doc__).strip().partition("\n")
            files = [p.stem for p in path.parent.glob("*.py") if p.stem != "__init__"]
            names = tuple(sorted(files, key=lambda name: load(name).place))
            found[package.PLACE] = Chapter(title.rstrip("."), " ".join(lead.split()), names)
    return tuple(found[place] for place in sorted(found))


def names() -> tuple[str, ...]:
    """Module names of all derivations, in reading order."""
    return tuple(name for chapter in chapters() for name in chapter.names)


def load(name: str) -> Derivation:
    """The derivation exported by the module `name`."""
    room = path_of(name).parent.name
    derivation: Derivation = importlib.import_module(f"derivations.{room}.{name}").DERIVATION
    return derivation


def _normal(label: str) -> str:
    return label.lower().replace(" ", "")


def find(wanted: str) -> str:
    """The module name of a derivation given by module name or id, in any case.

    Raises KeyError for a name that fits none; only files that speak of it are imported.
    """
    key = _normal(wanted.removesuffix(".py"))
    for path in written():
        if key == path.stem:
            return key
        if f'"{key}"' in _normal(path.read_text(encoding="utf-8")):
            derivation = load(path.stem)
            if key in map(_normal, (derivation.id, *derivation.also)):
                return path.stem
    raise KeyError(wanted)


def written() -> list[Path]:
    """The files of all derivations, by their folders: none is imported."""
    rooms = {path.parent for path in _FOLDER.glob("*/__init__.py")} - {_FOLDER / "algebra"}
    return sorted(p for room in rooms for p in room.glob("*.py") if p.stem != "__init__")
