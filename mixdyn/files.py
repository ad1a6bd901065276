"""Reading and writing the small TOML and NPZ files that hold mixtures and schedules."""

from __future__ import annotations

import os
import secrets
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from .errors import FileError

FORMATS = (".toml", ".npz")


def _check_suffix(path: Path) -> str:
    if path.suffix.lower() not in FORMATS:
        raise FileError(
            "a parameter file must end in .toml or .npz", str(path), "Rename or convert the file."
        )
    return path.suffix.lower()


def write_atomically(path: str | os.PathLike[str], write: Callable[[IO[bytes]], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it into place.

    An error or an interrupt leaves whatever stood at `path` before untouched.
    """
    target = Path(path)
    # Not tempfile: its files are private to the user, a result should follow the umask.
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        handle = draft.open("xb")
    except OSError as error:
        raise FileError(
            "the folder of an output file must exist and be writable",
            f"{target} ({error.strerror})",
            "Create the folder or choose another path.",
        ) from None
    try:
        with handle:
            write(handle)
        draft.replace(target)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileError(
                "an output file must be writable",
                f"{target} ({error.strerror})",
                "Choose another path.",
            ) from None
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    data = text.encode("utf-8")

    def write(handle: IO[bytes]) -> None:
        handle.write(data)

    write_atomically(path, write)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # also over-long integers, endless brackets
        raise FileError(
            "a .toml file must be valid TOML", f"{path} ({error})", "Correct that line."
        ) from None


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as handle:  # by name, NumPy leaves a damaged archive open
            archive = np.load(handle, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array, not a named set")
            values = {key: _plain(archive[key], key) for key in archive.files}
    except _NPZ_FAULTS as error:
        raise FileError(
            "a .npz file must be an archive of plain named arrays (pickled objects are refused)",
            f"{path} ({error})",
            "Write it with numpy.savez from float arrays.",
        ) from None
    return values


# What NumPy and zipfile raise on damaged, encrypted or foreign archives.
_NPZ_FAULTS = (
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    OverflowError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def _plain(value: Any, key: str) -> Any:
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{key!r} is no array")
    return value.item() if value.ndim == 0 else value


def read_parameters(
    path: str | os.PathLike[str], known: frozenset[str], required: frozenset[str]
) -> dict[str, Any]:
    """The named values in a TOML or NPZ file; unknown and missing keys are errors."""
    source = Path(path)
    reader = _read_toml if _check_suffix(source) == ".toml" else _read_npz
    try:
        values = reader(source)
    except OSError as error:
        raise FileError(
            "a parameter file must exist and be readable",
            f"{source} ({error.strerror})",
            "Check the path.",
        ) from None
    unknown, missing = sorted(set(values) - known), sorted(required - set(values))
    if unknown or missing:
        fault = f"unknown keys {unknown}" if unknown else f"missing keys {missing}"
        raise FileError(
            f"a file of this kind has the keys {sorted(known)}",
            f"{fault} in {source}",
            "Correct the names." if unknown else "Add them.",
        )
    return values


def write_parameters(path: str | os.PathLike[str], values: Mapping[str, Any]) -> None:
    """Write named numbers, strings and arrays so that reading them back gives the same bits."""
    target = Path(path)
    if _check_suffix(target) == ".npz":
        write_atomically(target, lambda handle: np.savez(handle, **values))
        return
    import tomli_w

    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
    write_atomically(target, lambda handle: tomli_w.dump(plain, handle))
