"""Writing the ledger's files: through a temporary file and a rename, so none is half-written."""

from __future__ import annotations

from pathlib import Path

from mixdyn.errors import FileError
from mixdyn.files import write_atomically


def make_folder(path: Path) -> None:
    """Create a folder and those above it; FileError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            "an output folder must be creatable", f"{path} ({error.strerror})", "Choose another."
        ) from None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text."""
    data = text.encode("utf-8")

    def write(handle: object) -> None:
        handle.write(data)  # type: ignore[attr-defined]

    write_atomically(path, write)
