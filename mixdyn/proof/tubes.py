"""Where a deterministic sampler takes intervals of starts: x_s = c_x x_t + c_eps eps(x_t), step by
step, for a network on a line.

An interval is cut into boxes until the slope of the step has a sign in each. Where it is the same
in all of them the step is monotone, and its image lies between those of the two ends; else it is
the hull of the boxes' images. So no radius is multiplied along the steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ..support.checks import Array, IntArray
from .forms import Ball, U, add, centred, exact, multiply, values

_COARSE = 4e-3  # width of the first boxes over max(1, |x|)
_FINEST = 2.0**-8  # of them
_PARTS = 4
_FAR = 1e6  # a state beyond is lost: nothing is claimed of it


class Enclosure(Protocol):
    """A noise prediction that encloses itself on boxes; see `network.EnclosedNetwork`."""

    def eps(self, form: Ball, t: int) -> Ball:
        """The prediction at a form and a time."""


class Steps(NamedTuple):
    """The steps of a deterministic sampler: from times t (S,), x_s = c_x x + c_eps eps(x, t)."""

    t: IntArray
    c_x: Array
    c_eps: Array


@dataclass(frozen=True)
class Tube:
    """What K intervals of starts become.

    low, high (S + 1, K): between which all states lie before the first step and after each one.
    monotone (S, K): steps that are proved to be monotone there. boxes: how many were looked at.
    """

    low: Array
    high: Array
    monotone: np.ndarray
    boxes: int


def one_step(net: Enclosure, form: Ball, t: int, c_x: float, c_eps: float) -> Ball:
    """The form of x_s for that of x_t."""
    return add(
        multiply(form, exact(np.array(c_x))), multiply(net.eps(form, t), exact(np.array(c_eps)))
    )


def tube(
    net: Enclosure,
    steps: Steps,
    starts: tuple[Array, Array],
    *,
    slack: float = 0.0,
    most: int = 20_000,
) -> Tube:
    """Follow intervals of starts, (K,) from low to high.

    slack: by how much the prediction that is run may differ from the enclosed one, at every step.
    most: boxes of one step, beyond which they are left as they are.
    """
    low, high = (np.array(end, dtype=float) for end in starts)
    lows, highs, signs, boxes = [low], [high], [], 0
    for t, c_x, c_eps in zip(
        steps.t.tolist(), steps.c_x.tolist(), steps.c_eps.tolist(), strict=True
    ):
        step = _Step(net, t, c_x, c_eps)
        low, high, monotone, n = _image(step, low, high, most)
        spare = abs(c_eps) * slack * (1.0 + 4.0 * U)
        known = np.isfinite(low) & np.isfinite(high) & (high < _FAR) & (low > -_FAR)
        low = np.where(known, low - spare - 2.0 * U * np.abs(low), -np.inf)
        high = np.where(known, high + spare + 2.0 * U * np.abs(high), np.inf)
        lows.append(low)
        highs.append(high)
        signs.append(monotone)
        boxes += n
    return Tube(np.array(lows), np.array(highs), np.array(signs), boxes)


class _Step(NamedTuple):
    net: Enclosure
    t: int
    c_x: float
    c_eps: float

    def __call__(self, form: Ball) -> Ball:
        return one_step(self.net, form, self.t, self.c_x, self.c_eps)


def _image(step: _Step, low: Array, high: Array, most: int) -> tuple[Array, Array, np.ndarray, int]:
    k, lost = len(low), np.isinf(low)
    low, high = np.where(lost, 0.0, low), np.where(lost, 0.0, high)
    ends = step(exact(np.concatenate([low, high])[None, None])).of((0, 0))
    first, last = Ball(ends.mid[:k], ends.rad[:k]), Ball(ends.mid[k:], ends.rad[k:])
    found = [np.full(k, np.inf), np.full(k, -np.inf)]
    rising, falling = np.ones(k, bool), np.ones(k, bool)
    waiting, n = _pieces(low, high), 0
    size = _COARSE
    while len(waiting[0]):
        owner, a, b = waiting
        form = step(centred(a[None], b[None]))
        n += len(owner)
        slope = form.of((1, 0))
        up_, down_ = slope.low > 0.0, slope.high < 0.0
        done = up_ | down_
        size /= _PARTS
        if size < _COARSE * _FINEST or len(owner) * _PARTS > most:
            done[:] = True
        box = values(form)
        for at, end in ((0, box.low[0]), (1, box.high[0])):
            (np.minimum, np.maximum)[at].at(found[at], owner[done], end[done])
        np.logical_and.at(rising, owner[done], up_[done])
        np.logical_and.at(falling, owner[done], down_[done])
        waiting = _cut(owner[~done], a[~done], b[~done])
    monotone = rising | falling
    from_ends = np.minimum(first.low, last.low), np.maximum(first.high, last.high)
    found[0] = np.where(monotone, np.maximum(from_ends[0], found[0]), found[0])
    found[1] = np.where(monotone, np.minimum(from_ends[1], found[1]), found[1])
    return np.where(lost, -np.inf, found[0]), np.where(lost, np.inf, found[1]), monotone & ~lost, n


def _pieces(low: Array, high: Array) -> tuple[IntArray, Array, Array]:
    """Boxes of the first size: their interval, and their ends."""
    scale = np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
    count = np.clip(np.ceil((high - low) / (_COARSE * scale)), 1, 4096).astype(int)
    owner = np.repeat(np.arange(len(low)), count)
    index = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    ends = []
    for k in (index, index + 1):
        share = k / count[owner]
        ends.append(
            np.where(k == count[owner], high[owner], low[owner] + share * (high - low)[owner])
        )
    return owner, ends[0], ends[1]


def _cut(owner: IntArray, a: Array, b: Array) -> tuple[IntArray, Array, Array]:
    cuts = [a + (b - a) * (k / _PARTS) for k in range(_PARTS)] + [b]
    return (
        np.tile(owner, _PARTS),
        np.concatenate(cuts[:-1]),
        np.concatenate(cuts[1:]),
    )
