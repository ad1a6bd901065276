"""A user's own images: an NPZ archive, an IDX file as MNIST comes, or a folder of PNG pictures."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..support.checks import IntArray, check_integer, check_memory
from ..support.errors import FileError
from ..support.files import as_path, clipped, read_parameters
from .generators import ImageSet

_LARGEST = 4e9  # bytes of pixels as float32
_IDX_IMAGES, _IDX_LABELS = 0x803, 0x801  # unsigned bytes in three dimensions, in one
_FIT = "Give square grey images of one size: (n, side, side) in an NPZ, IDX, or a folder of PNGs."


def read_images(path: str | os.PathLike[str], side: int | None = None) -> ImageSet:
    """Square grey images of one size.

    path : an .npz with `images` (n, side, side), bytes 0..255 or floats in [0, 1] or [-1, 1], and
    `labels` (n,) if there are classes; an IDX file, gzipped or not, whose labels are read from the
    file beside it that MNIST names so; or a folder of .png, in the order of their names. side :
    what their side must be, any if None.

    Raises FileError for anything else, MemoryLimitError beyond 4e9 bytes.
    """
    source = as_path(path)
    if source.is_dir():
        images, labels = _from_folder(source), None
    elif source.suffix == ".npz":
        images, labels = _from_archive(source)
    else:
        images, labels = _from_idx(source)
    if images.ndim != 3 or images.shape[1] != images.shape[2] or 0 in images.shape:
        raise FileError("images are square", f"shape {images.shape} in {clipped(source)}", _FIT)
    if side is not None and images.shape[1] != check_integer(side, "side", 1):
        raise FileError(
            f"the images must be {side} x {side}",
            f"{images.shape[1]} x {images.shape[2]} in {clipped(source)}",
            "Resize them, or train a network for their size.",
        )
    if labels is not None and (labels.shape != (len(images),) or labels.min() < 0):
        raise FileError(
            "labels are one class >= 0 an image",
            f"shape {labels.shape} for {len(images)} images in {clipped(source)}",
            "Count classes from 0, one an image.",
        )
    return ImageSet(source.stem, _scaled(images, source), labels=labels)


def _scaled(images: NDArray[Any], source: Path) -> NDArray[np.float32]:
    """Pixels in [-1, 1], from bytes, shares of ink, or these already."""
    check_memory(4.0 * images.size, _LARGEST, "the images", "Take fewer of them.")
    if images.dtype == np.uint8:
        return (images.astype(np.float32) / 127.5 - 1.0).astype(np.float32)
    found = images.astype(np.float32) if images.dtype.kind in "fiu" else None
    if found is None or not np.isfinite(found).all():
        raise FileError("pixels are finite numbers", clipped(source), _FIT)
    low, high = float(found.min()), float(found.max())
    if not -1.0 <= low <= high <= 1.0:
        raise FileError(
            "pixels are bytes 0..255, or numbers in [0, 1] or [-1, 1]",
            f"{low:g} to {high:g} in {clipped(source)}",
            "Scale them.",
        )
    return found if low < 0.0 else 2.0 * found - 1.0


def _from_archive(source: Path) -> tuple[NDArray[Any], IntArray | None]:
    held = read_parameters(source, frozenset({"images", "labels"}), frozenset({"images"}))
    images, labels = np.asarray(held["images"]), held.get("labels")
    if labels is None:
        return images, None
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise FileError("labels are whole numbers", f"{labels.dtype} in {clipped(source)}", _FIT)
    return images, labels.astype(np.int64)


def _from_folder(source: Path) -> NDArray[Any]:
    files = sorted(source.glob("*.png"))
    if not files:
        raise FileError("a folder of images holds .png files", f"none in {clipped(source)}", _FIT)
    found: list[NDArray[Any]] = []
    for file in files:
        try:
            with Image.open(file, formats=["PNG"]) as picture:
                grey = np.asarray(picture.convert("L"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise FileError("a .png must be whole", f"{clipped(file)} ({error})", _FIT) from None
        if found and grey.shape != found[0].shape:
            raise FileError(
                "images are of one size",
                f"{grey.shape} in {clipped(file)}, {found[0].shape} before",
                _FIT,
            )
        found.append(grey)
    return np.stack(found)


def _from_idx(source: Path) -> tuple[NDArray[Any], IntArray | None]:
    images = _idx(source, _IDX_IMAGES, 3)
    beside = source.with_name(source.name.replace("images", "labels").replace("idx3", "idx1"))
    labels = None
    if beside != source and beside.exists():
        labels = _idx(beside, _IDX_LABELS, 1).astype(np.int64)
    return images, labels


def _idx(source: Path, magic: int, ndim: int) -> NDArray[np.uint8]:
    """The bytes of an IDX file: magic number, sizes, values, all big-endian."""
    try:
        data = source.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        found, *shape = struct.unpack_from(f">{1 + ndim}I", data)
        values = np.frombuffer(data, np.uint8, offset=4 * (1 + ndim))
        if found != magic or values.size != int(np.prod(shape, dtype=object)):
            raise ValueError(f"magic number {found:#x}, {values.size} bytes for {shape}")
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise FileError(
            "images come as .npz, as an IDX file of bytes, or as a folder of .png",
            f"{clipped(source)} ({error})",
            _FIT,
        ) from None
    return values.reshape(shape)
