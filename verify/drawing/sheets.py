"""Sheets of images: samples side by side, those that are wrong in a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .palette import VERMILION
from .style import Axes

_FRAME, _GAP = 2, 1  # pixels, of a frame and between two


def mosaic(
    pixels: NDArray[np.uint8], wrong: NDArray[np.bool_], columns: int
) -> NDArray[np.float64]:
    """(rows, width, 3) colours of images (n, side, side), ink black on white, wrong ones framed."""
    from matplotlib.colors import to_rgb

    n, side = len(pixels), pixels.shape[1]
    rows, cell = -(-n // columns), side + 2 * _FRAME + _GAP
    sheet = np.ones((rows * cell, columns * cell, 3))
    for k in range(n):
        top, left = cell * (k // columns), cell * (k % columns)
        framed = sheet[top : top + cell - _GAP, left : left + cell - _GAP]
        if wrong[k]:
            framed[:] = to_rgb(VERMILION)
        ink = 1.0 - pixels[k, :, :, None] / 255.0
        framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = np.broadcast_to(ink, (side, side, 3))
    return sheet


def draw_sheet(
    ax: Axes,
    pixels: NDArray[np.uint8],
    wrong: NDArray[np.bool_],
    columns: int,
    *,
    title: str,
    below: str,
) -> None:
    """A mosaic in a panel; below : what stands there, such as how many are wrong."""
    ax.imshow(mosaic(pixels, wrong, columns), interpolation="nearest", aspect="equal")
    ax.set(xticks=[], yticks=[], title=title, xlabel=below)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
