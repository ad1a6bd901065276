"""Measurements: functions of a case whose value is made once, for claims and figures alike.

A measurement knows no claim and no verdict. It returns named arrays, as a mapping or a dataclass.
They are found again in the case's workspace, then in an NPZ file of the case's folder, under a key
of all that they depend on: what the function's module imports, case, seed, profile and arguments.
So a broken-off run goes on where it stopped, and what is stale is never read.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import itertools
import json
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import (
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np
from numpy.typing import NDArray

from mixdyn.support.errors import FileError
from mixdyn.support.files import make_folder, write_atomically
from mixdyn.support.provenance import package_versions

from ..ledger.case import Case

P = ParamSpec("P")
Value = TypeVar("Value")
Arrays = Mapping[str, NDArray[Any]]
_PACKAGES = ("numpy", "scipy", "numba")
# What NumPy and zipfile raise on a damaged or foreign file, and building a value of its arrays.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


class Measurement(Generic[P, Value]):
    """A function of a case and of plain or named arguments that is called once for each of them.

    Written as a decorator. The function states what it returns: a mapping to arrays, or a type
    that `unpack` builds.
    """

    def __init__(self, measure: Callable[Concatenate[Case, P], Value]) -> None:
        self._measure = measure
        functools.update_wrapper(self, measure)

    def __call__(self, case: Case, *args: P.args, **kwargs: P.kwargs) -> Value:
        """The value kept, else measured now."""
        key = self.key(case, *args, **kwargs)
        measure = functools.partial(self._measure, case, *args, **kwargs)
        return case.memo(key, lambda: self._obtain(case, key, measure))

    @property
    def source(self) -> Path:
        """The file that defines it."""
        return Path(inspect.getfile(self._measure))

    def key(self, case: Case, *args: P.args, **kwargs: P.kwargs) -> str:
        """What tells one value from the next while the code stays as it is."""
        called = inspect.signature(self._measure).bind(case, *args, **kwargs)
        called.apply_defaults()
        said = [f"{name}={_said(value)}" for name, value in list(called.arguments.items())[1:]]
        where = f"{self._measure.__module__}.{self._measure.__qualname__}({', '.join(said)})"
        return f"{where} of {case.digest}, seed {case.seed}, {case.profile}"

    def _obtain(self, case: Case, key: str, measure: Callable[[], Value]) -> Value:
        if case.folder is None:
            return measure()
        code = case.code(self.source)
        name = f"{case.name}-{self._measure.__name__}"
        digest = hashlib.sha256(f"{key}, {code}".encode()).hexdigest()[:16]
        path = case.folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{digest}.npz"
        with case.turn(path.name):
            with contextlib.suppress(*_DAMAGE):
                return unpack(get_type_hints(self._measure)["return"], _load(path))
            start = time.perf_counter()
            value = measure()
            seconds = round(time.perf_counter() - start, 2)
            recipe = {"key": key, "code": code, "origin": case.origin, "seconds": seconds}
            recipe["versions"] = package_versions(_PACKAGES)
            # A full disk is no reason to lose a verdict; rows and figures are written to it too.
            with contextlib.suppress(FileError):
                _save(path, recipe, dict(pack(value)))
            return value


def _said(value: Any) -> str:
    """An argument in a key: by its name where it has one."""
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_said, value))})"
    return str(getattr(value, "name", value))


def _save(path: Path, recipe: Mapping[str, Any], data: Arrays) -> None:
    make_folder(path.parent)
    about = np.array(json.dumps(recipe, sort_keys=True))
    # Not compressed: what is sampled shrinks by a third, at forty times the CPU seconds.
    write_atomically(
        path, lambda handle: np.savez(handle, allow_pickle=False, recipe=about, **data)
    )


def _load(path: Path) -> Arrays:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if name != "recipe"}


def pack(value: Any, at: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """The named arrays of a mapping, a dataclass or a list of such, the parts joined by dots."""
    parts: Iterable[tuple[Any, Any]]
    if is_dataclass(value):
        parts = ((f.name, getattr(value, f.name)) for f in fields(value))
    elif isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list) and any(map(is_dataclass, value)):
        parts = enumerate(value)
    else:
        flat = ["" if v is None else v for v in value] if isinstance(value, tuple) else value
        yield at, np.asarray(flat)
        return
    for name, part in parts:
        yield from pack(part, _join(at, name))


def unpack(hint: Any, arrays: Arrays, at: str = "") -> Any:
    """The value of a type, of whose `pack` the arrays are: a mapping to arrays, or a dataclass of
    arrays, numbers, texts, tuples of them (None where a text may be and is empty), dataclasses and
    lists of these. Raises KeyError for an array that is missing."""
    kind, inner = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(
            **{f.name: unpack(hints[f.name], arrays, _join(at, f.name)) for f in fields(hint)}
        )
    if kind is list:
        places = (_join(at, k) for k in itertools.count())
        held = itertools.takewhile(lambda p: any(n.startswith(f"{p}.") for n in arrays), places)
        return [unpack(inner[0], arrays, place) for place in held]
    if kind is not None and issubclass(kind, Mapping):
        return dict(arrays)
    if kind is tuple:
        open_to_none = type(None) in get_args(inner[0])
        return tuple(None if open_to_none and v == "" else v for v in arrays[at].tolist())
    return hint(arrays[at]) if hint in {bool, int, float, str} else arrays[at]


def _join(at: str, name: object) -> str:
    return f"{at}.{name}" if at else str(name)
