"""Data sets of images with their truth: triangles to count, shapes by column, handwritten digits.

Triangles are those of arXiv 2605.06831 v1, F.2: three of them, apart, at random places. Shapes are
SIMPLE SHAPES of arXiv 2406.09358 v2: three columns, in which a triangle, a square and a pentagon
are present with probability 1/2 each, so that no shape comes twice.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..support.checks import Array, IntArray, check_integer, check_memory
from ..support.errors import MissingExtraError
from .drawing import Pixels, paste

KINDS: Mapping[str, int] = MappingProxyType({"triangle": 3, "square": 4, "pentagon": 5})
_RADIUS = 1 / 8  # of a shape's circle, in sides of the image
_GAP = 2.0  # pixels between the circles of two shapes, and to the edge half of it
_TRIANGLES = 3


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with what is known of them.

    images (n, side, side) float32 in [-1, 1]. counts (n, kinds) : how many of each of `kinds` an
    image holds, None where that is not known. labels (n,) : classes 0..classes - 1, or None.
    radius : of the shapes' circle in pixels, 0 without shapes. draw : where images can be drawn
    anew, a function of (n, seed) that draws them.
    """

    name: str
    images: Pixels
    counts: IntArray | None = None
    kinds: tuple[str, ...] = ()
    labels: IntArray | None = None
    radius: float = 0.0
    draw: Callable[[int, int], ImageSet] | None = None

    @property
    def side(self) -> int:
        """Pixels along an edge."""
        return self.images.shape[1]

    @property
    def classes(self) -> int:
        """Number of classes, 0 without labels."""
        return 0 if self.labels is None else int(self.labels.max()) + 1

    @property
    def rows(self) -> Array:
        """(n, side^2) float64: an image a row, as samplers have them."""
        return self.images.reshape(len(self.images), -1).astype(np.float64)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of pixels and classes."""
        h = hashlib.sha256(np.ascontiguousarray(self.images).tobytes())
        h.update(b"" if self.labels is None else np.ascontiguousarray(self.labels).tobytes())
        return h.hexdigest()

    def take(self, chosen: NDArray[np.intp]) -> ImageSet:
        """Those images alone."""
        counts, labels = (None if v is None else v[chosen] for v in (self.counts, self.labels))
        return dataclasses.replace(self, images=self.images[chosen], counts=counts, labels=labels)

    def held_out(self, n: int, seed: int) -> tuple[ImageSet, ImageSet]:
        """Images to train on, and n others to measure on: drawn anew where they can be, else a
        part that is taken away, a tenth at most."""
        if self.draw is not None:
            return self, self.draw(n, seed)
        order = np.random.default_rng([seed, len(self.images)]).permutation(len(self.images))
        away = max(1, min(n, len(order) // 10))
        return self.take(np.sort(order[away:])), self.take(np.sort(order[:away]))


def triangles(n: int = 10_000, side: int = 32, seed: int = 0) -> ImageSet:
    """n images of three upright triangles whose circles keep two pixels apart.

    Raises InputError for n < 1 or a side outside 24..256.
    """
    _check(n, side)
    rng = np.random.default_rng([seed, _TRIANGLES, side])
    radius = _RADIUS * side
    centres = _apart(rng, n, side, radius)
    canvas = np.zeros((n, side, side))
    for k in range(_TRIANGLES):
        paste(canvas, np.arange(n), centres[:, k], (KINDS["triangle"], radius))
    counts = np.full((n, 1), _TRIANGLES)
    again = functools.partial(_drawn, triangles, side)
    return ImageSet("triangles", _pixels(canvas), counts, ("triangle",), radius=radius, draw=again)


def shapes(n: int = 5_000, side: int = 32, seed: int = 0) -> ImageSet:
    """n images of SIMPLE SHAPES: per column its shape with probability 1/2, at a random height.

    Images without any shape are drawn too, one in eight. Raises InputError for n < 1 or a side
    outside 24..256.
    """
    _check(n, side)
    rng = np.random.default_rng([seed, len(KINDS), side, 1])
    radius, column = _RADIUS * side, side / len(KINDS)
    present = rng.random((n, len(KINDS))) < 0.5
    canvas = np.zeros((n, side, side))
    edge = radius + 0.5 * _GAP
    for k, corners in enumerate(KINDS.values()):
        (image,) = np.nonzero(present[:, k])
        heights = rng.uniform(edge, side - edge, len(image)) - 0.5
        centre = np.column_stack([heights, np.full(len(image), (k + 0.5) * column - 0.5)])
        paste(canvas, image, centre, (corners, radius))
    counts = present.astype(np.int64)
    again = functools.partial(_drawn, shapes, side)
    return ImageSet("shapes", _pixels(canvas), counts, tuple(KINDS), radius=radius, draw=again)


def _drawn(maker: Callable[[int, int, int], ImageSet], side: int, n: int, seed: int) -> ImageSet:
    return maker(n, side, seed)


def digits() -> ImageSet:
    """scikit-learn's 1,797 handwritten digits, 8 x 8, with their classes.

    Raises MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError(
            "handwritten digits come with scikit-learn, of the extra 'learned'; missing sklearn. "
            "Install it with: pip install 'mixdyn[learned]'"
        ) from None
    held = load_digits()
    return ImageSet(
        "digits", (held.images / 8.0 - 1.0).astype(np.float32), labels=held.target.astype(np.int64)
    )


def _pixels(ink: Array) -> Pixels:
    """Of shares of ink, which are overwritten: many images are large."""
    ink *= 2.0
    ink -= 1.0
    return ink.astype(np.float32)


def _check(n: int, side: int) -> None:
    check_integer(n, "n", 1)
    check_integer(side, "side", 24, 256)
    check_memory(8.0 * n * side**2, 4e9, "the images", "Draw fewer, or smaller ones.")


def _apart(rng: np.random.Generator, n: int, side: int, radius: float) -> Array:
    """(n, 3, 2): centres uniform among those whose circles keep the gap, by rejection."""
    edge = radius + 0.5 * _GAP
    found: list[Array] = []
    missing = n
    while missing > 0:
        drawn = rng.uniform(edge, side - edge, (8 * missing + 64, _TRIANGLES, 2)) - 0.5
        first, second = np.triu_indices(_TRIANGLES, 1)
        distance = np.linalg.norm(drawn[:, first] - drawn[:, second], axis=2)
        kept: NDArray[np.bool_] = np.all(distance >= 2 * radius + _GAP, axis=1)
        found.append(drawn[kept][:missing])
        missing -= len(found[-1])
    return np.concatenate(found)
