"""Tensors with a description in one safetensors file: no pickles, nothing half-written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import safetensors

from ..support.errors import FileError
from ..support.files import as_path, clipped, write_atomically
from ..support.references import CHECKPOINT
from .headers import about_of

if TYPE_CHECKING:
    import torch


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]
) -> None:
    """Write named tensors and JSON values; the values are strict JSON (NaN is refused)."""
    from safetensors.torch import save

    target = as_path(path)
    if target.suffix != CHECKPOINT:
        raise FileError(
            f"a file of tensors must end in {CHECKPOINT}", str(target), "Rename the file."
        )
    metadata = {key: json.dumps(value, allow_nan=False) for key, value in about.items()}
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    data = save(plain, metadata)
    write_atomically(target, lambda handle: handle.write(data))


def read_tensors(
    path: str | os.PathLike[str], framework: Literal["pt", "np"] = "pt"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors, of torch or as arrays of NumPy ("np"), and the JSON values of a file written by
    `write_tensors`.

    Raises FileError if it is missing, truncated, a pickle, or of another kind.
    """
    source = as_path(path)
    try:
        found = source.is_file()
    except OSError:  # a name that no file can have
        found = False
    if not found:
        raise FileError("a file of tensors must exist", clipped(source), "Check the path.")
    try:
        with safetensors.safe_open(source, framework=framework) as handle:
            metadata = handle.metadata() or {}
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
        return tensors, about_of(metadata)
    except (TypeError, AttributeError) as error:  # what NumPy has no type for, such as bfloat16
        raise FileError(
            "tensors read without torch must be of a type that NumPy has",
            f"{source} ({error})",
            "Convert them to float32; for a network of other code, build it in a module of yours, "
            "load them there and name it as module:name.",
        ) from None
    except (safetensors.SafetensorError, OSError, ValueError, RecursionError) as error:
        raise FileError(
            "a file of tensors must be whole and in the safetensors format "
            "(pickled .pt files are refused)",
            f"{source} ({error})",
            "Fetch the file again or convert it.",
        ) from None
