"""Data sets of images by name, as a command line writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..problem.named import read_named
from .generators import ImageSet, digits, shapes, triangles
from .reading import read_images

SETS: Mapping[str, Callable[..., ImageSet]] = MappingProxyType(
    {"triangles": triangles, "shapes": shapes, "digits": digits}
)


def read_image_set(text: str) -> ImageSet:
    """A generator such as `triangles:n=2000,side=64`, `digits`, or a file or folder of images."""
    files = "an .npz or IDX file, a folder of .png,"
    return read_named(text, "set of images", SETS, read_images, files)
