"""What is to be seen in an image: its connected parts, each compared with every shape it may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ..support.checks import Array, IntArray, check_array
from ..support.errors import InputError
from .drawing import area, coverage
from .generators import KINDS

_INK = 0.3  # share of ink from which a pixel belongs to a part
_LEAST = 0.25  # of the smallest shape's area: a part with less ink is a speck
_ODD = 0.3  # misfit beyond which a part is none of the shapes


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """The parts of n images, in no order.

    n : images looked at. image (m,) : where each part is. centre (m, 2) : its centre of ink, (row,
    column). kind (m,) : the shape that fits it best, an index of `kinds`. misfit (m,) : the squared
    difference from that shape over the shape's own square. ink (m,) : pixels' worth.
    """

    n: int
    kinds: tuple[str, ...]
    image: NDArray[np.intp]
    centre: Array
    kind: NDArray[np.intp]
    misfit: Array
    ink: Array

    @property
    def odd(self) -> NDArray[np.bool_]:
        """(m,): parts that are none of the shapes."""
        return self.misfit > _ODD

    def counts(self) -> IntArray:
        """(n, kinds): how many of each an image holds, odd parts by what they resemble most."""
        found = np.zeros((self.n, len(self.kinds)), np.int64)
        np.add.at(found, (self.image, self.kind), 1)
        return found

    def with_odd(self) -> NDArray[np.bool_]:
        """(n,): images that hold an odd part."""
        return np.bincount(self.image[self.odd], minlength=self.n) > 0


def find_parts(images: ArrayLike, radius: float, kinds: Sequence[str] = tuple(KINDS)) -> Parts:
    """Connected parts of images (n, side, side), pixels in [-1, 1], and the shapes they are.

    radius : of the shapes' circle, in pixels. Pixels touch along edges and at corners; a part with
    less than a quarter of the smallest shape's ink does not count.
    """
    pixels = check_array(images, "images", 3)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise InputError(
            f"shapes are {', '.join(KINDS)}", unknown or "none", "Name one or more of them."
        )
    ink = np.clip(0.5 * (pixels + 1.0), 0.0, 1.0)
    near = np.zeros((3, 3, 3), bool)
    near[1] = True  # within an image, not from one to the next
    label, m = ndimage.label(ink > _INK, structure=near)
    where = np.nonzero(label)
    part = label[where] - 1
    weight = ink[where]
    total = np.bincount(part, weight, m).astype(np.float64)
    image = np.zeros(m, np.intp)
    image[part] = where[0]
    moments = [np.bincount(part, weight * at, m) for at in where[1:]]
    centre: Array = np.stack(moments, 1) / total[:, None]
    least = _LEAST * min(area(KINDS[kind], radius) for kind in kinds)
    (real,) = np.nonzero(total >= least)
    misfit = _misfits(ink, image[real], centre[real], radius, kinds)
    best = misfit.argmin(1)
    return Parts(
        len(pixels),
        tuple(kinds),
        image[real],
        centre[real],
        best,
        np.take_along_axis(misfit, best[:, None], 1)[:, 0],
        total[real],
    )


def _misfits(
    ink: Array, image: NDArray[np.intp], centre: Array, radius: float, kinds: Sequence[str]
) -> Array:
    """(m, kinds): each part's square around its centre against every shape drawn there."""
    patch = 2 * int(np.ceil(radius)) + 3
    padded = np.pad(ink, ((0, 0), (patch, patch), (patch, patch)))
    corner = np.rint(centre - 0.5 * (patch - 1)).astype(np.intp)
    rows = corner[:, 0, None, None] + patch + np.arange(patch)[None, :, None]
    columns = corner[:, 1, None, None] + patch + np.arange(patch)[None, None, :]
    seen = padded[image[:, None, None], rows, columns]
    offset = centre - corner - 0.5 * (patch - 1)
    found = np.empty((len(centre), len(kinds)))
    for k, kind in enumerate(kinds):
        drawn = coverage(KINDS[kind], radius, offset, patch)
        found[:, k] = np.square(seen - drawn).sum((1, 2)) / np.square(drawn).sum((1, 2))
    return found


def wrong_count(parts: Parts, expected: int) -> NDArray[np.bool_]:
    """(n,): images that do not hold exactly `expected` parts (arXiv 2605.06831 v1, F.2)."""
    return parts.counts().sum(1) != expected


def repeated(parts: Parts) -> NDArray[np.bool_]:
    """(n,): images that hold one shape twice or more (arXiv 2406.09358 v2)."""
    return np.any(parts.counts() > 1, axis=1)
