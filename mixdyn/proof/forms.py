"""Centred forms: arrays that are proved to hold c + S xi for every xi in [-1, 1]^s, many at once.

A form of s symbols is one array (1 + s, m, B): row 0 encloses m values at the centers of B boxes,
the others their slopes along each symbol anywhere in the box, each by its middle and a radius. So a
value lies within the sum of the slopes of that at the center (mean-value form). Affine maps are
products of matrices, with what rounding may do added to the radius: a sum of n terms in any order
is off by at most n u/(1 - n u) of the sum of their sizes (Higham, Accuracy and Stability of
Numerical Algorithms, section 3.1). Doubles count as exact numbers.

Radii that pass through the sizes of one matrix after another explode. So what is unknown of a row
is also bounded by its length as a vector, to which a matrix does no more than its norm; and a map
says apart what it added itself: output = L input + fresh with a fixed matrix L, its `Turn`. In a
chain of maps only the fresh radii count in the end, each times what the following L make of it.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from ..support.checks import Array

U = 2.0**-53
_TINY = 1e-290  # more than all that underflow can lose in one operation on arrays of these sizes


class Ball(NamedTuple):
    """Numbers known to lie within `rad` of `mid`, entry by entry."""

    mid: Array
    rad: Array

    @property
    def low(self) -> Array:
        """A lower bound."""
        return below(self.mid - self.rad)

    @property
    def high(self) -> Array:
        """An upper bound."""
        return -below(-self.mid - self.rad)

    @property
    def size(self) -> Array:
        """An upper bound of their absolute values."""
        return (np.abs(self.mid) + self.rad) * (1.0 + 4.0 * U)

    def of(self, at: Any) -> Ball:
        """Some of them."""
        return Ball(self.mid[at], self.rad[at])


def below(x: Array) -> Array:
    """Below the exact result of the one operation that was rounded to x."""
    return x - (2.0 * U * np.abs(x) + _TINY)


def above(x: Array, roundings: int = 8) -> Array:
    """Above the exact result of a few operations on numbers >= 0."""
    return x * (1.0 + 2.0 * roundings * U) + _TINY


def exact(x: Array) -> Ball:
    """Doubles as they are."""
    return Ball(x, np.zeros_like(x))


def hull(low: Array, high: Array) -> Ball:
    """The balls from `low` to `high`."""
    mid = 0.5 * (low + high)
    return Ball(mid, above(np.maximum(high - mid, mid - low)) + 2.0 * U * np.abs(mid))


def add(a: Ball, b: Ball) -> Ball:
    """a + b."""
    mid = a.mid + b.mid
    return Ball(mid, above(a.rad + b.rad + 2.0 * U * np.abs(mid)))


def multiply(a: Ball, b: Ball) -> Ball:
    """a b, entry by entry."""
    mid = a.mid * b.mid
    rad = np.abs(a.mid) * b.rad + a.rad * (np.abs(b.mid) + b.rad)
    return Ball(mid, above(rad + 2.0 * U * np.abs(mid)))


def reach(form: Form | Ball) -> Array:
    """(m, B): how far a value may be from that at the center, at most."""
    return above(form.of(slice(1, None)).size.sum(axis=0), len(form.mid))


def values(form: Form | Ball) -> Ball:
    """(m, B): the values in the whole box."""
    return Ball(form.mid[0], above(form.rad[0] + reach(form)))


def centred(low: Array, high: Array) -> Ball:
    """The form (1 + d, d, B) of boxes from low to high, (d, B) each: coordinate k moves with symbol
    k."""
    box = hull(low, high)
    return exact(np.concatenate([box.mid[None], np.eye(len(box.mid))[:, :, None] * box.rad]))


class Form(NamedTuple):
    """A centred form: its middle and radii (1 + s, m, B), and `far` (1 + s, 1, B), how long what is
    unknown of a row is at most as a vector."""

    mid: Array
    rad: Array
    far: Array

    def of(self, at: Any) -> Ball:
        """Some of its numbers."""
        return Ball(self.mid[at], self.rad[at])

    @property
    def size(self) -> Array:
        """An upper bound of the absolute values."""
        return (np.abs(self.mid) + self.rad) * (1.0 + 4.0 * U)


def as_form(rows: Ball) -> Form:
    """Rows (1 + s, m, B) of which nothing else is known."""
    far = np.sqrt(np.square(rows.rad).sum(axis=1, keepdims=True))
    return Form(*rows, above(far, rows.mid.shape[1]))


class Step(NamedTuple):
    """What a map makes of a form, and what of that is new: see the module."""

    form: Form
    fresh: Array


class Map:
    """An affine map by its matrix (m, n) and its bias (m,).

    scale (n,): the matrix is that of before times this, column by column, rounded once an entry.
    """

    def __init__(self, matrix: Array, bias: Array | Ball, scale: Array | None = None) -> None:
        whole = np.asarray(matrix, float) if scale is None else matrix * scale
        self.matrix = np.ascontiguousarray(whole, dtype=float)
        self.size = np.abs(self.matrix)
        self.bias = bias if isinstance(bias, Ball) else exact(np.asarray(bias, float))
        self._back = np.ascontiguousarray(self.matrix.T), np.ascontiguousarray(self.size.T)
        n = self.matrix.shape[1]
        self._rows = np.sqrt(np.square(self.size).sum(axis=1))[:, None] * (1.0 + (n + 8) * U)
        self.norm = norm_of(self.matrix)

    def __call__(self, form: Form) -> Step:
        """The image (1 + s, m, B) of a form (1 + s, n, B); the bias goes to its centers alone."""
        n = self.matrix.shape[1] + 6
        mid = self.matrix @ form.mid
        mid[0] += self.bias.mid[:, None]
        # Where the matrix was scaled it is off by a rounding an entry.
        fresh = above(2.0 * n * U * (self.size @ (np.abs(form.mid) + form.rad)), 2 * n)
        fresh[0] += self.bias.rad[:, None] + 4.0 * U * (
            np.abs(mid[0]) + np.abs(self.bias.mid[:, None])
        )
        spread = np.minimum(self.size @ form.rad, self._rows * form.far)
        return passed_on(
            mid, above(spread, 2 * n), self.norm * (1.0 + 4.0 * U), form.far, above(fresh)
        )

    def biased(self, bias: Ball) -> Map:
        """The same matrix with another bias (m,)."""
        found = copy.copy(self)
        found.bias = bias
        return found

    def back(self, rows: Ball) -> Ball:
        """rows (k, m, B) times the matrix, (k, n, B)."""
        matrix, size = self._back
        n = matrix.shape[1] + 6
        rad = size @ (rows.rad + 2.0 * n * U * np.abs(rows.mid))
        return Ball(matrix @ rows.mid, above(rad, 2 * n))


def passed_on(mid: Array, spread: Array, norm: Array | float, far: Array, fresh: Array) -> Step:
    """What a map makes of what is unknown, `spread` entry by entry and no longer than norm times
    `far`, with what it added."""
    m = mid.shape[1]
    rad = above(spread + fresh)
    long = np.sqrt(np.square(fresh).sum(axis=1, keepdims=True)) + norm * far
    far = np.minimum(long, np.sqrt(np.square(rad).sum(axis=1, keepdims=True)))
    return Step(Form(mid, rad, above(far, m + 8)), fresh)


def norm_of(matrix: Array) -> float:
    """Above the spectral norm: Gershgorin's disks of the product in its own eigenvectors V, over
    the least that |V z|^2 can be of |z|^2."""
    square = matrix.T @ matrix
    _, vectors = np.linalg.eigh(square)
    turned = vectors.T @ square @ vectors
    size = np.abs(vectors)
    n = len(square) + 8
    slack = 16.0 * n * U * float(np.abs(size.T @ (np.abs(matrix.T) @ np.abs(matrix)) @ size).sum())
    largest = float(np.abs(turned).sum(axis=1).max()) + slack
    off = float(np.abs(vectors.T @ vectors - np.eye(len(square))).sum(axis=1).max())
    off += 4.0 * n * U * float((size.T @ size).sum())
    return float(np.sqrt(largest / (1.0 - off)) * (1.0 + 16.0 * U))


def standardise(form: Form, eps: float) -> tuple[Step, Turn]:
    """Each column less its mean, over the root s of its mean square and eps: LayerNorm without
    scale and shift. Its image of a form (1 + s, m, B), and its linear part.

    With y the result and w a slope less its mean, the slope of y is (w - y <y, w>/m)/s. It is
    linearised with the y and s of the middle.
    """
    m = form.mid.shape[1]
    more = 1.0 + (4 * m + 128) * U  # above a few sums of m numbers >= 0
    c = form.mid - _mean(form.mid)
    rounding = 2.0 * (m + 4) * U * (_mean(np.abs(form.mid)) + np.abs(c)) + _TINY
    unknown = (np.minimum(form.rad + _mean(form.rad), form.far) + rounding) * more
    size = np.abs(c) + unknown
    size[0] = unknown[0]  # of w: on row 0 the center less the middle
    square = np.square(c[0]).mean(axis=0) + eps
    root = 1.0 / np.sqrt(square)
    y = c[0] * root
    weight = np.abs(y)
    along = _mean(y * c[1:])
    # |<y, w>|/m of every row: |y|^2 < m.
    met = np.minimum(
        _mean(weight * unknown), form.far / np.sqrt(m) * (1.0 + m * U) + _mean(weight * rounding)
    )
    met[1:] += np.abs(along) + 2.0 * (m + 4) * U * _mean(weight * np.abs(c[1:]))
    far = size.sum(axis=0)
    change = 2.0 * met.sum(axis=0)[0] / root + np.square(far).mean(axis=0)
    change = (change + 4.0 * (m + 8) * U * square) * more
    low = np.maximum(square - change, eps * (1.0 - 8.0 * U))
    gap = np.maximum(1.0 / np.sqrt(low) - root, root - 1.0 / np.sqrt(square + change))
    gap = (gap + 8.0 * U / np.sqrt(low)) * more
    off = far * (root + gap) + np.abs(c[0]) * gap + 4.0 * U * weight
    moved = _mean(off * size)
    met = met + moved
    fresh = gap * (size + (weight + off) * met) + root * (off * met + weight * moved)
    mid = np.concatenate([y[None], (c[1:] - y * along) * root])
    middle = np.abs(c)
    middle[0] = 0.0
    slop = rounding + 8.0 * (m + 8) * U * (middle + weight * _mean(weight * middle))
    fresh += root * (slop + weight * _mean(weight * rounding))
    fresh[0] += 8.0 * (m + 8) * U * weight
    spread = np.minimum(unknown + weight * _mean(weight * unknown), form.far + rounding) * root
    step = passed_on(mid, spread * more, root * (1.0 + 16.0 * U), form.far, fresh * more)
    return step, _Norm(y, root)


class _Norm(NamedTuple):
    y: Array
    root: Array

    def back(self, rows: Ball) -> Ball:
        """rows (k, m, B) times the linear part, (I - y y^T/m)(I - 1 1^T/m)/s."""
        m = rows.mid.shape[1]
        more = 1.0 + (4 * m + 128) * U
        mid, size = rows.mid, np.abs(self.y)
        spread = rows.rad + 2.0 * (m + 8) * U * np.abs(mid)
        inner = mid - self.y * _mean(self.y * mid)
        spread = spread + size * _mean(size * spread) + 4.0 * U * np.abs(inner)
        spread += 2.0 * (m + 8) * U * size * _mean(size * np.abs(mid))
        out = inner - _mean(inner)
        spread = spread + _mean(spread) + 2.0 * (m + 8) * U * (np.abs(out) + _mean(np.abs(inner)))
        return Ball(
            out * self.root, (spread * self.root) * more + 4.0 * U * np.abs(out * self.root)
        )


class _Slopes(NamedTuple):
    factor: Array

    def back(self, rows: Ball) -> Ball:
        """rows (k, m, B) times the factors."""
        mid = rows.mid * self.factor
        return Ball(mid, above(rows.rad * np.abs(self.factor) + 2.0 * U * np.abs(mid)))


Turn = _Norm | _Slopes


def _mean(x: Array) -> Array:
    """Over the middle axis, kept."""
    return x.mean(axis=1, keepdims=True)


def leaky(form: Form, slope: float) -> tuple[Step, Turn]:
    """Activations that are multiplied by `slope` below zero, and their linear part: the middle of
    what slopes are possible in the box (generalised derivatives, as at a kink any of them is)."""
    box = values(form)
    low, high = box.low, box.high
    factor = np.where(low > 0.0, 1.0, np.where(high < 0.0, slope, 0.5 * (1.0 + slope)))
    off = np.where((low <= 0.0) & (high >= 0.0), 0.5 * (1.0 - slope) * (1.0 + 4.0 * U), 0.0)
    mid = form.mid * factor
    size = form.size
    size[0] = form.rad[0]
    middle = form.mid[0]
    mid[0] = np.where(middle > 0.0, middle, slope * middle)
    fresh = above(off * size + 4.0 * U * np.abs(mid))
    most = factor.max(axis=0, keepdims=True)
    return passed_on(mid, above(form.rad * factor), most, form.far, fresh), _Slopes(factor)


def scaled(form: Form, scale: Array, shift: Array) -> tuple[Step, Turn]:
    """Each coordinate times a number, and a shift of the centers."""
    factor, add_on = scale[:, None], shift[:, None]
    mid = form.mid * factor
    fresh = 4.0 * U * np.abs(mid)
    mid[0] += add_on
    fresh[0] += 4.0 * U * (np.abs(mid[0]) + np.abs(add_on))
    size = np.abs(factor)
    step = passed_on(mid, above(form.rad * size), float(size.max()), form.far, above(fresh))
    return step, _Slopes(np.broadcast_to(factor, mid.shape[1:]))


def plus(a: Form, b: Form) -> Step:
    """a + b; what is new is the rounding."""
    mid = a.mid + b.mid
    fresh = above(2.0 * U * np.abs(mid))
    return passed_on(mid, above(a.rad + b.rad), 1.0, above(a.far + b.far), fresh)


def spread_of(rows: Ball, fresh: Array) -> Array:
    """(1 + s, k, B): what rows (k, m, B) make of radii (1 + s, m, B)."""
    m = fresh.shape[1]
    size = rows.size
    return np.stack([(size * part).sum(axis=1) for part in fresh]) * (1.0 + 4.0 * m * U) + _TINY
