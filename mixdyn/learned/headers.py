"""What a safetensors file says about itself, read without torch."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

from ..errors import FileError
from ..files import as_path

_FAULTS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    struct.error,
)
_LARGEST = 100_000_000  # bytes of a header, the format's own limit


def read_about(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON values in the header of a file of ours.

    Raises FileError for a file that has no such header. Whether the tensors behind it are whole is
    not looked at.
    """
    source = as_path(path)
    try:
        with source.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            if length > _LARGEST:
                raise ValueError("header too large")
            header = json.loads(handle.read(length))
        return {key: json.loads(value) for key, value in header["__metadata__"].items()}
    except _FAULTS as error:
        raise FileError(
            "a file of tensors must begin with a safetensors header that describes it",
            f"{source} ({error})",
            "Fetch the file again.",
        ) from None
