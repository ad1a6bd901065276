"""Krawczyk's test, for many boxes at once.

K = c - Y f(c) + (1 - Y J(box)) (box - c), Y near the inverse of the derivative J. Where K lies
inside the box, f vanishes once in it, and in K (Krawczyk, Computing 4, 1969).
"""

from __future__ import annotations

import numpy as np

from mixdyn.support.checks import Array

from .interval import Interval


def inverses(slopes: Interval) -> Array:
    """(n, d, d): about those of the middles; any numbers will do. NaN where one has none."""
    middle = slopes.mid()
    try:
        return np.asarray(np.linalg.inv(middle), dtype=np.float64)
    except np.linalg.LinAlgError:
        if len(middle) == 1:
            return np.full_like(middle, np.nan)
        return np.concatenate([inverses(slopes[k : k + 1]) for k in range(len(middle))])


def image(inverse: Array, value: Interval, slopes: Interval, step: Interval) -> Interval:
    """K less the centers, (n, d): of values (n, d) there, slopes (n, d, d) and steps box - c."""
    moved = (value[:, None] * -inverse).sum()
    left = np.eye(inverse.shape[-1]) - (slopes[:, None] * inverse[..., None]).sum(axis=2)
    return moved + (left * step[:, None]).sum()


def inside(found: Interval, step: Interval) -> np.ndarray:
    """(n,): where K lies inside its box."""
    return np.asarray(((step.lo < found.lo) & (found.hi < step.hi)).all(axis=1))
