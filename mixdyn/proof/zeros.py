"""Zeros of a network's prediction, proved to exist and to be alone in their boxes: Krawczyk's test.

A learned flow stands still where the predicted noise vanishes, and its matrix there is a negative
multiple of the prediction's derivative: a sink where all eigenvalues of that have a positive real
part, a saddle in the plane where the determinant is negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ..support.checks import Array, IntArray
from .forms import Ball, U, add, centred, exact, multiply
from .interval import Interval
from .krawczyk import image, inside, inverses
from .tubes import Enclosure

_WIDENING = (8.0, 64.0, 512.0)  # boxes tried, over the length of Newton's step
_LEAST = 1e-9  # half width of a box over max(1, |x|)


class Kind(IntEnum):
    """What the flow does at a zero."""

    UNKNOWN = -1
    SINK = 0
    SADDLE = 1
    SOURCE = 2


@dataclass(frozen=True)
class Zeros:
    """Of n points: whether a zero is proved, one alone, in center +- radius, (n,), (n, d) and
    (n,), NaN where none is; and what is proved of its kind (n,)."""

    proved: np.ndarray
    center: Array
    radius: Array
    kind: IntArray


def zeros_near(net: Enclosure, points: Array, t: int) -> Zeros:
    """Prove zeros at time t next to computed ones, points (n, d)."""
    n, d = points.shape
    at = np.ascontiguousarray(points.T)
    found = net.eps(exact(at[None]), t).of(0)
    value = Interval(found.low.T, found.high.T)
    small = _LEAST * np.maximum(1.0, np.abs(at).max(axis=0))
    inverse = inverses(_matrices(slopes_in(net, at, small, t)))
    nowhere = Interval.of(np.zeros((n, d)))
    newton = image(inverse, value, Interval.of(np.zeros((n, d, d))), nowhere)
    length = np.maximum(newton.largest().max(axis=1), small)
    proved, radius = np.zeros(n, bool), np.full(n, np.nan)
    kind = np.full(n, int(Kind.UNKNOWN))
    for factor in _WIDENING:
        left = np.flatnonzero(~proved)
        if not left.size:
            break
        reach = factor * length[left]
        slopes = slopes_in(net, at[:, left], reach, t)
        wide = np.repeat(reach[:, None], d, axis=1)
        step = Interval(-wide, wide)
        held = inside(image(inverse[left], value[left], _matrices(slopes), step), step)
        now = left[held]
        proved[now], radius[now] = True, reach[held]
        kind[now] = _kinds(Ball(*(np.moveaxis(part, 2, 0) for part in slopes)))[held]
    return Zeros(proved, points, radius, kind)


def slopes_in(net: Enclosure, center: Array, radius: Array, t: int) -> Ball:
    """(d, d, n): the derivative anywhere in the boxes, entry i, j by x_j of component i."""
    form = centred(center - radius, center + radius)
    out = net.eps(form, t)
    widths = np.einsum("jjn->jn", form.mid[1:])  # what `centred` made of the radius
    rows = Ball(np.swapaxes(out.mid[1:], 0, 1), np.swapaxes(out.rad[1:], 0, 1))
    inverse = 1.0 / widths[None]
    return multiply(rows, Ball(inverse, 2.0 * U * inverse))


def _matrices(slopes: Ball) -> Interval:
    """(n, d, d)."""
    return Interval(np.moveaxis(slopes.low, 2, 0), np.moveaxis(slopes.high, 2, 0))


def _kinds(slopes: Ball) -> IntArray:
    """(n,): of the flow along minus the prediction, in one dimension or two; else unknown."""
    n, d = slopes.mid.shape[:2]
    kind = np.full(n, int(Kind.UNKNOWN))
    entry = {(i, j): slopes.of((slice(None), i, j)) for i in range(d) for j in range(d)}
    if d == 1:
        kind[entry[0, 0].low > 0.0] = Kind.SINK
        kind[entry[0, 0].high < 0.0] = Kind.SOURCE
    if d == 2:
        trace = add(entry[0, 0], entry[1, 1])
        across = multiply(entry[0, 1], entry[1, 0])
        determinant = add(multiply(entry[0, 0], entry[1, 1]), Ball(-across.mid, across.rad))
        kind[determinant.high < 0.0] = Kind.SADDLE
        positive = determinant.low > 0.0
        kind[positive & (trace.low > 0.0)] = Kind.SINK
        kind[positive & (trace.high < 0.0)] = Kind.SOURCE
    return kind
