"""The reference: every public name of mixdyn, found by asking it, on the page of its room.

A public name without a docstring, or a public method or property of one, stops the build.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import mixdyn

_OWN = "mixdyn"  # what a module took from elsewhere is no name of ours


def names() -> dict[str, list[str]]:
    """Paths of the public names by page: those of `mixdyn` itself, then each public module's."""
    found: dict[str, list[str]] = {"mixdyn": []}
    for name in mixdyn.__all__:
        value = getattr(mixdyn, name)
        if inspect.ismodule(value):
            found[f"mixdyn.{name}"] = [path_of(one) for _, one in members(value)]
        elif not name.startswith("__"):
            found["mixdyn"].append(path_of(value))
    found["mixdyn"] += [
        path_of(value)
        for name, value in members(mixdyn.samplers)
        if name not in mixdyn.__all__ and inspect.isclass(value)
    ]
    return {page: list(dict.fromkeys(paths)) for page, paths in found.items() if paths}


def members(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Functions and classes that a module makes public: those of its `__all__`, or its own."""
    listed = getattr(module, "__all__", None)
    for name in listed if listed is not None else vars(module):
        value = getattr(module, name)
        if name.startswith("_") or not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        home = getattr(value, "__module__", "")
        if home == module.__name__ if listed is None else home.startswith(_OWN):
            yield name, value


def path_of(value: Any) -> str:
    """Where a class or function is defined."""
    return f"{value.__module__}.{value.__qualname__}"


def undocumented() -> list[str]:
    """Public names, and public methods and properties of these, that say nothing."""
    missing = []
    for paths in names().values():
        for path in paths:
            value = resolve(path)
            if not _says(value):
                missing.append(path)
            if inspect.isclass(value):
                missing += [f"{path}.{name}" for name in _silent(value)]
    return sorted(set(missing))


def resolve(path: str) -> Any:
    """The object at a path of `names`."""
    module, _, name = path.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)


def _silent(kind: type) -> Iterator[str]:
    for name, value in vars(kind).items():
        method = isinstance(value, property | classmethod | staticmethod | FunctionType)
        if method and not name.startswith("_") and not _says(getattr(kind, name)):
            yield name


def _says(value: Any) -> bool:
    return bool((inspect.getdoc(value) or "").strip())


def pages() -> dict[str, str]:
    """Markdown of the reference by address: a page each, and one that lists them."""
    found = names()
    out = {}
    overview = ["# Reference", "", "Every public name, from its docstring.", ""]
    for page, paths in found.items():
        address = f"reference/{page.replace('.', '_')}.md"
        module = mixdyn if page == "mixdyn" else getattr(mixdyn, page.partition(".")[2])
        first, _, rest = (inspect.getdoc(module) or "").partition("\n")
        shown = "\n\n".join(f"::: {path}" for path in paths)
        out[address] = f"# `{page}`\n\n{first}\n\n{_block(rest)}{shown}\n"
        listed = ", ".join(f"`{path.rpartition('.')[2]}`" for path in paths)
        overview += [f"- [`{page}`]({address.removeprefix('reference/')}): {listed}"]
    return {"reference/index.md": "\n".join(overview) + "\n", **out}


def _block(text: str) -> str:
    """What a module says after its first line, as it stands there."""
    return f"```text\n{text.strip()}\n```\n\n" if text.strip() else ""
