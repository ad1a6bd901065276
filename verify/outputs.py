"""Where the ledger's files go, and the versions that made them."""

from __future__ import annotations

import os
from pathlib import Path

from mixdyn.errors import FileError


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
