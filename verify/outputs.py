"""Writing the ledger's files: through a temporary file and a rename, so none is half-written."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path

import mixdyn
from mixdyn.errors import FileError
from mixdyn.files import write_atomically


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of mixdyn, Python and those of the named packages that are installed."""
    found = {"mixdyn": mixdyn.__version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def make_folder(path: Path) -> None:
    """Create a folder and those above it; FileError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            "an output folder must be creatable", f"{path} ({error.strerror})", "Choose another."
        ) from None


def check_writable(path: Path) -> None:
    """FileError unless a file can be written at `path`."""
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise FileError(
            "an output file needs a name in a folder that exists and is writable",
            str(path),
            "Create the folder or choose another path.",
        )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text."""
    data = text.encode("utf-8")

    def write(handle: object) -> None:
        handle.write(data)  # type: ignore[attr-defined]

    write_atomically(path, write)
