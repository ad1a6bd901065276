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
    value = net.eps(exact(at[None]), t).of(0)
    small = _LEAST * np.maximum(1.0, np.abs(at).max(axis=0))
    slopes = slopes_in(net, at, small, t)
    # (n, d, d); any numbers will do.
    inverse = np.asarray(np.linalg.inv(np.moveaxis(slopes.mid, 2, 0)), dtype=np.float64)
    step = _product(inverse, Ball(value.mid.T[:, :, None], value.rad.T[:, :, None]))
    step = step.of((..., 0))
    length = np.maximum(step.size.max(axis=1), small)
    proved, radius = np.zeros(n, bool), np.full(n, np.nan)
    kind = np.full(n, int(Kind.UNKNOWN))
    for factor in _WIDENING:
        left = np.flatnonzero(~proved)
        if not left.size:
            break
        reach = factor * length[left]
        found = slopes_in(net, at[:, left], reach, t)
        matrices = Ball(*(np.moveaxis(part, 2, 0) for part in found))
        off = exact(np.broadcast_to(-np.eye(d), (left.size, d, d)))
        off = add(off, _product(inverse[left], matrices))
        spread = off.size.sum(axis=2) * (1.0 + 4.0 * d * U) * reach[:, None]
        image = (step.size[left] + spread) * (1.0 + 16.0 * U)
        inside = (image < reach[:, None]).all(axis=1)
        held = left[inside]
        proved[held], radius[held] = True, reach[inside]
        kind[held] = _kinds(matrices)[inside]
    return Zeros(proved, points, radius, kind)


def slopes_in(net: Enclosure, center: Array, radius: Array, t: int) -> Ball:
    """(d, d, n): the derivative anywhere in the boxes, entry i, j by x_j of component i."""
    form = centred(center - radius, center + radius)
    out = net.eps(form, t)
    widths = np.einsum("jjn->jn", form.mid[1:])  # what `centred` made of the radius
    rows = Ball(np.swapaxes(out.mid[1:], 0, 1), np.swapaxes(out.rad[1:], 0, 1))
    inverse = 1.0 / widths[None]
    return multiply(rows, Ball(inverse, 2.0 * U * inverse))


def _product(a: Array, b: Ball) -> Ball:
    """Of stacks of matrices, doubles times balls."""
    n = a.shape[-1] + 4
    mid = a @ b.mid
    rad = np.abs(a) @ (b.rad + 2.0 * n * U * np.abs(b.mid))
    return Ball(mid, rad * (1.0 + 4.0 * n * U) + 2.0 * U * np.abs(mid))


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
