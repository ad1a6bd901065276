"""Integrals between bounds: every cell counts with all values that the integrand can have there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .interval import Interval


def integral(
    f: Callable[[Interval], Interval], low: float, high: float, cells: int = 1 << 15
) -> Interval:
    """Of f from low to high, a 0-dimensional interval; f takes and gives intervals (n,).

    Its width falls as the width of a cell times the variation of f.
    """
    edges = np.linspace(low, high, cells + 1)
    part = Interval(edges[:-1], edges[1:])
    width = Interval.of(edges[1:]) - edges[:-1]
    return (f(part) * width).sum()
