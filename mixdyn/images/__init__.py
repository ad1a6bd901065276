"""Images whose truth is known: generators, readers, counts read off. No score and no sampler.

Pixels are float32 in [-1, 1], -1 the background; an image is a row of `side**2` of them.
"""

from .counting import Parts, find_parts, repeated, wrong_count
from .generators import KINDS, ImageSet, digits, shapes, triangles
from .named import read_image_set
from .reading import read_images

__all__ = [
    "KINDS",
    "ImageSet",
    "Parts",
    "digits",
    "find_parts",
    "read_image_set",
    "read_images",
    "repeated",
    "shapes",
    "triangles",
    "wrong_count",
]
