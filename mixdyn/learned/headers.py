"""What a safetensors file says about itself, read without torch."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

from ..support.errors import FileError
from ..support.files import as_path, clipped

_FAULTS = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    struct.error,
)
_LARGEST = 100_000_000  # bytes of a header, the format's own limit


def about_of(metadata: dict[str, str]) -> dict[str, Any]:
    """The values of a file of ours, whose every text is JSON. Of a file of other code, which writes
    plain text such as `pt`, nothing: it says nothing that we could read."""
    try:
        return {key: json.loads(value) for key, value in metadata.items()}
    except json.JSONDecodeError:
        if metadata.get("format", "").startswith('"mixdyn.'):
            raise
        return {}


def refuse_images(path: str | os.PathLike[str], about: dict[str, Any]) -> None:
    """Raise FileError for what a checkpoint of a network for images says of itself, finished or
    not."""
    if "images" in about:
        raise FileError(
            "a checkpoint of a mixture is needed here",
            f"{clipped(path)}, a network for images",
            "Run that one from Python, by mixdyn.learned.ImageScore.",
        )


def read_about(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON values in the header of a file of ours; none of a file of other code.

    Raises FileError for a file that has no header. Whether the tensors behind it are whole is
    not looked at.
    """
    source = as_path(path)
    try:
        with source.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            if length > _LARGEST:
                raise ValueError("header too large")
            header = json.loads(handle.read(length))
        return about_of(header.get("__metadata__", {}))
    except OSError as error:
        raise FileError(
            "a file of tensors must exist and be readable",
            f"{clipped(source)} ({error.strerror})",
            "Check the path.",
        ) from None
    except _FAULTS as error:
        raise FileError(
            "a file of tensors must begin with a safetensors header that describes it",
            f"{source} ({error})",
            "Fetch the file again.",
        ) from None
