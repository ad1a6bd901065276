"""Regular polygons, each pixel by how much of it they cover."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..support.checks import Array

Pixels = NDArray[np.float32]


def coverage(corners: int, radius: float, offset: Array, side: int) -> Array:
    """(m, side, side): the share of each pixel inside a regular polygon that stands on an edge.

    offset (m, 2) : its centre, (row, column), in pixels from the centre of the patch. radius : of
    the circle through its corners. The share is that of a half-plane at the nearest edge, exact to
    a few hundredths away from corners and inclined edges.
    """
    place = np.arange(side) - 0.5 * (side - 1)
    down = place[None, :, None] - offset[:, 0, None, None]
    right = place[None, None, :] - offset[:, 1, None, None]
    # It stands on an edge: the normal of the first one points down.
    angles = 2 * np.pi * np.arange(corners) / corners
    apothem = radius * np.cos(np.pi / corners)
    outside = np.full(np.broadcast_shapes(down.shape, right.shape), -np.inf)
    for angle in angles:
        np.maximum(outside, np.sin(angle) * right + np.cos(angle) * down - apothem, out=outside)
    return np.clip(0.5 - outside, 0.0, 1.0)


def area(corners: int, radius: float) -> float:
    """The area of a regular polygon inscribed in a circle of this radius."""
    return 0.5 * corners * radius**2 * float(np.sin(2 * np.pi / corners))


def paste(canvas: Array, image: NDArray[np.intp], centre: Array, kind: tuple[int, float]) -> None:
    """Draw a polygon (corners, radius) at centre (m, 2) into images canvas[image] (n, side, side),
    which hold shares of ink. What lies beyond an image's edge is cut off."""
    corners, radius = kind
    side = canvas.shape[1]
    patch = 2 * int(np.ceil(radius)) + 3
    corner = np.rint(centre - 0.5 * (patch - 1)).astype(np.intp)
    drawn = coverage(corners, radius, centre - corner - 0.5 * (patch - 1), patch)
    rows = corner[:, 0, None, None] + np.arange(patch)[None, :, None]
    columns = corner[:, 1, None, None] + np.arange(patch)[None, None, :]
    held = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    at = np.broadcast_to(image[:, None, None], drawn.shape)[held]
    rows, columns = (np.broadcast_to(v, drawn.shape)[held] for v in (rows, columns))
    np.maximum.at(canvas, (at, rows, columns), drawn[held])
