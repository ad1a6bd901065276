"""How a string names a user's score model: a checkpoint's path or `module:name`."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKPOINT = ".safetensors"


def model_digest(reference: str) -> str:
    """SHA-256 over the file that `reference` names: the checkpoint, or the module's source."""
    if reference.endswith(CHECKPOINT):
        path: str | None = reference
    else:
        with current_folder_importable():
            spec = importlib.util.find_spec(reference.partition(":")[0])
        path = None if spec is None else spec.origin
    h = hashlib.sha256(reference.encode())
    if path is not None and Path(path).is_file():
        h.update(Path(path).read_bytes())
    return h.hexdigest()


@contextmanager
def current_folder_importable() -> Iterator[None]:
    """Let modules of the current folder be imported, before all others."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
