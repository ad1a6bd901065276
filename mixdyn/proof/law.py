"""A mixture with one variance v for all modes over boxes: responsibilities, mean field, Jacobian.

Places are y = centre + z @ axes, so that a box has the directions that a statement is about. What
would explode term by term stays together: a responsibility is 1/sum of exponentials of differences,
which are linear in z; a covariance is a sum over pairs of modes; the field comes from its place at
the middle and its slopes, where those say more. Modes that matter nowhere in a batch of boxes are
one term, of at most a known weight.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array, IntArray

from .interval import ULP, Interval, dot, exp_above, up
from .search import hexed

_BATCH = 1024  # boxes at a time
_CACHED = 1 << 16  # and pairs of modes of all of them, which then stay in a core's cache
_FAINT = -45.0  # natural logarithm of a responsibility that is summed up with others
_LITTLE = 1e-300  # more than underflow can lose
_MOST = 0.7  # share of the modes from which on all of them count as kept


@dataclass(frozen=True, eq=False)
class Law:
    """Modes of one variance in a frame.

    means (N, d), weights (N,) in any unit, centre (d,), axes (k, d): any independent directions.
    """

    means: Array
    weights: Array
    centre: Array
    axes: Array

    @classmethod
    def of(cls, mixture: GaussianMixture, centre: ArrayLike, axes: ArrayLike) -> Law:
        """The modes of a mixture, whatever their width: v is a coordinate of every box."""
        c, e = (np.asarray(each, dtype=np.float64) for each in (centre, axes))
        return cls(mixture.means, mixture.weights, c, e.reshape(-1, mixture.d))

    def data(self) -> dict[str, Any]:
        """As a certificate keeps it."""
        return {name: hexed(getattr(self, name)) for name in ("means", "weights", "centre", "axes")}

    @functools.cached_property
    def places(self) -> Interval:
        """(N, k): components of the means along the axes, from the centre."""
        return dot(self.axes, Interval.of(self.means) - self.centre)

    @functools.cached_property
    def halves(self) -> Interval:
        """(N,): half of the squared distances of the means from the centre."""
        return (Interval.of(self.means) - self.centre).square().sum() * 0.5

    @functools.cached_property
    def logs(self) -> Interval:
        """(N,): logarithms of the weights."""
        return Interval.of(self.weights).log()

    @functools.cached_property
    def gram(self) -> Interval:
        """(k, k): products of the axes."""
        return dot(self.axes, Interval.of(self.axes))

    def batches(self, boxes: Interval) -> Iterator[IntArray]:
        """Rows of boxes in parts: those for which about as many modes matter together."""
        count = self._about(boxes)
        order, start = np.argsort(-count, kind="stable"), 0
        while start < len(order):
            size = min(_BATCH, max(1, _CACHED // int(count[order[start]]) ** 2))
            yield order[start : start + size]
            start += size

    def _about(self, boxes: Interval) -> IntArray:
        """(n,): how many modes matter in each box, to rounding."""
        v = boxes.lo[:, -1:]
        odds = self._odds(boxes)
        first = self.places.lo[odds.argmax(axis=1)]
        reach = np.abs(self.places.lo - first[:, None]) @ boxes.radius()[:, :-1, None]
        ahead = odds - odds.max(axis=1, keepdims=True) + reach[..., 0] / v
        return np.maximum(1, np.count_nonzero(~(ahead < _FAINT), axis=1))

    def _odds(self, boxes: Interval) -> Array:
        """(n, N): logarithms of the responsibilities at the middle but for one number a box."""
        middle = boxes.mid()
        scores = middle[:, :-1] @ self.places.lo.T - self.halves.lo
        return np.asarray(scores / middle[:, -1:] + np.log(self.weights))

    def strongest(self, boxes: Interval) -> IntArray:
        """(n,): the mode with the largest responsibility at the middle, to rounding."""
        return np.asarray(np.argmax(self._odds(boxes), axis=1))

    def over(self, boxes: Interval) -> Local:
        """What is known over boxes (n, k + 1) of z and v > 0."""
        return Local(self, boxes)


class _Kept(NamedTuple):
    """The modes that matter in boxes: at (n, K), or (1, K) where they are the same in all. rest
    (n,): at most what the others have over what the strongest has, which is at its place, (n,).
    ahead (n, K): log(gamma_q/gamma_strongest)."""

    at: IntArray
    rest: Array
    strongest: IntArray
    place: IntArray
    ahead: Interval


class _Scores(NamedTuple):
    """Half of |y - mu_r|^2 - |y - mu_q|^2 is within off (n,) of s_q - s_r, s (n, K), in the middle
    of a box; what it changes from there comes besides. size (n,): above all of it."""

    s: Array
    off: Array
    size: Array


@dataclass(frozen=True, eq=False)
class Local:
    """Enclosures over boxes; axes count from 0, modes as in the mixture."""

    law: Law
    boxes: Interval
    direct: bool = field(default=False)  # without slopes

    @functools.cached_property
    def z(self) -> Interval:
        """(n, k)."""
        return self.boxes[:, :-1]

    @functools.cached_property
    def v(self) -> Interval:
        """(n,)."""
        return self.boxes[:, -1]

    def log_ratio(self, q: int, r: int) -> Interval:
        """log(gamma_q/gamma_r)."""
        return self.log_powers(q, 1, r, -1)

    def log_powers(self, *powers: int) -> Interval:
        """log prod_q gamma_q^n_q of q, n_q, r, n_r, ..., whole numbers that sum to 0: what cancels
        is gone before z comes in."""
        law, pairs = self.law, [*zip(powers[::2], powers[1::2], strict=True)]
        if sum(n for _, n in pairs) != 0:
            raise ValueError(f"exponents of responsibilities sum to 0, not so in {powers}")
        logs, places, halves = (
            functools.reduce(operator.add, (each[q] * float(n) for q, n in pairs))
            for each in (law.logs, law.places, law.halves)
        )
        return logs + self._ahead(places, halves) / self.v

    def _ahead(self, apart: Interval, halves: Interval) -> Interval:
        """Half of |y - mu_r|^2 - |y - mu_q|^2, from differences (..., k) and (...)."""
        column = (slice(None), *(None for _ in halves.shape))
        total = -halves
        for k in range(apart.shape[-1]):
            total = total + apart[..., k] * self.z[:, k][column]
        return total

    @functools.cached_property
    def _kept(self) -> _Kept:
        first = self.law.strongest(self.boxes)
        ahead = self._relative(first)
        n, modes = ahead.shape
        most = int((~(ahead.hi < _FAINT)).sum(axis=1).max())
        if most > _MOST * modes:
            return _Kept(np.arange(modes)[None], np.zeros(n), first, first, ahead)
        at = np.sort(np.argsort(-ahead.hi, axis=1)[:, :most], axis=1)
        others = exp_above(ahead.hi.copy())
        np.put_along_axis(others, at, 0.0, axis=1)
        rest = others.sum(axis=1) * (1.0 + 2.0 * modes * ULP)
        place = np.argmax(at == first[:, None], axis=1)
        return _Kept(at, rest, first, place, ahead[np.arange(n)[:, None], at])

    def _relative(self, first: IntArray) -> Interval:
        """(n, N): log(gamma_q/gamma_first)."""
        law, z = self.law, self.z
        total = law.halves[first][:, None] - law.halves[None]
        for k in range(z.shape[1]):
            apart = law.places[None, :, k] - law.places[first, k][:, None]
            total = total + apart * z[:, k][:, None]
        return law.logs[None] - law.logs[first][:, None] + total / self.v[:, None]

    @functools.cached_property
    def _scores(self) -> _Scores:
        law, kept, far = self.law, self._kept, self._far
        places, halves, z = law.places, law.halves, self.z.mid()
        s = z @ places.mid().T - halves.mid()
        size = np.abs(z) @ places.largest().T + halves.largest()
        off = (len(law.axes) + 3) * ULP * size.max(axis=1) + halves.radius().max()
        off += (np.abs(z) + far) @ places.radius().max(axis=0)
        if kept.at.shape[1] < s.shape[1]:
            s = np.take_along_axis(s, kept.at, axis=1)
        s = s - np.take_along_axis(s, kept.place[:, None], axis=1)
        wide = np.ptp(s, axis=1) + far @ self._widest
        off = 2.1 * off + 16.0 * ULP * wide + _LITTLE
        return _Scores(s, off, 1.1 * (wide + off))

    @functools.cached_property
    def _far(self) -> Array:
        """(n, k): how far a box reaches from its middle."""
        return self.z.radius()

    @functools.cached_property
    def _where(self) -> Array:
        """(m, K, k): about where the modes that matter are; `_slip` is what that is off by."""
        return np.asarray(self.law.places.mid()[self._kept.at])

    @functools.cached_property
    def _slip(self) -> Array:
        """(k,): what differences of `_where` are off by."""
        return 2.1 * self.law.places.radius().max(axis=0) + 2.0 * ULP * self._widest + _LITTLE

    def _ratios(self) -> Array:
        """(n, K, K): above gamma_q/gamma_r, for q (first) and r."""
        law, where, (s, off, size) = self.law, self._where, self._scores
        leads = _along(np.abs(where[:, :, None] - where[:, None]), self._far)
        leads += s[:, :, None] - s[:, None]
        leads += off[:, None, None]
        late = leads * (1.0 / self.v.hi)[:, None, None]
        leads *= (1.0 / self.v.lo)[:, None, None]
        np.maximum(leads, late, out=leads)
        if np.ptp(law.weights) > 0.0:
            logs = law.logs.mid()[self._kept.at]
            leads += logs[:, :, None] - logs[:, None]
        spare = 16.0 * ULP * (size / self.v.lo + 2.0 * law.logs.largest().max())
        leads += (spare + 2.1 * law.logs.radius().max())[:, None, None]
        return exp_above(leads)

    @functools.cached_property
    def gamma(self) -> Interval:
        """(n, K): responsibilities of the modes that matter."""
        rest, slip = self._kept.rest, (2.0 * self._kept.at.shape[1] + 16.0) * ULP
        if self._is_point:
            over = self._kept.ahead.exp()
            low = over.lo / (over.hi.sum(axis=1) + rest)[:, None]
            high = over.hi / over.lo.sum(axis=1)[:, None]
        else:
            ratios = self._ratios()
            low = 1.0 / (ratios.sum(axis=1) * (1.0 + rest)[:, None])
            np.divide(1.0, ratios, out=ratios)
            high = 1.0 / ratios.sum(axis=2)
        return Interval(low * (1.0 - slip), np.minimum(high * (1.0 + slip), 1.0))

    @functools.cached_property
    def _is_point(self) -> bool:
        return bool((self.boxes.hi <= self.boxes.lo).all())

    @functools.cached_property
    def _pairs(self) -> tuple[IntArray, IntArray]:
        """All pairs of modes that matter, (P,) each."""
        return np.triu_indices(self._kept.at.shape[1], 1)

    @functools.cached_property
    def _apart(self) -> Array:
        """(m, P, k): about where the modes of pairs are from each other."""
        q, r = self._pairs
        return self._where[:, q] - self._where[:, r]

    @functools.cached_property
    def _both(self) -> Interval:
        """(n, P): gamma_q gamma_r, at most 1/4 for two modes."""
        low, high = (
            np.take(end, self._pairs[0], axis=1) * np.take(end, self._pairs[1], axis=1)
            for end in (self.gamma.lo, self.gamma.hi)
        )
        low *= 1.0 - 2.0 * ULP
        high *= 1.0 + 2.0 * ULP
        return Interval(low, np.minimum(high, 0.25, out=high))

    def _sum(self, low: Array, high: Array, off: Array | float) -> Interval:
        """(n,): sum over pairs of gamma_q gamma_r x, where x (m, P) is between low and high to
        within off."""
        both = self._both
        totals = [
            _along(np.maximum(x, 0.0), one) + _along(np.minimum(x, 0.0), other)
            for x, one, other in ((low, both.lo, both.hi), (high, both.hi, both.lo))
        ]
        size = _along(np.maximum(np.abs(low), np.abs(high)), both.hi)
        spare = (2.0 * low.shape[1] + 16.0) * ULP * size
        spare += 1.01 * off * both.hi.sum(axis=1) + _LITTLE
        return Interval(totals[0] - spare, totals[1] + spare)

    @functools.cached_property
    def _widest(self) -> Array:
        """(k,): most by which places of any modes differ."""
        places = self.law.places
        return up(places.hi.max(axis=0) - places.lo.min(axis=0))

    def share(self, q: int) -> Interval:
        """gamma_q."""
        at, rest = self._kept.at, self._kept.rest
        place = np.argmax(at == q, axis=1)[:, None]
        low, high = (
            np.take_along_axis(end, np.broadcast_to(place, (len(rest), 1)), axis=1)[:, 0]
            for end in (self.gamma.lo, self.gamma.hi)
        )
        is_kept = (at == q).any(axis=1)
        return Interval(np.where(is_kept, low, 0.0), np.where(is_kept, high, rest))

    def mean(self, a: int) -> Interval:
        """Component a of the mean field, from the centre: sum_q gamma_q e_a (mu_q - centre)."""
        at, rest, strongest, _, _ = self._kept
        places = self.law.places[:, a]
        origin = places[strongest]
        total = (self.gamma * (places[at] - origin[:, None])).sum()
        room = up(rest * self._widest[a])
        return origin + total + Interval(-room, room)

    def covariance(self, a: int, b: int) -> Interval:
        """Cov_gamma of the components a and b of the means."""
        rest, wide, slip = self._kept.rest, self._widest, self._slip
        products = self._apart[..., a] * self._apart[..., b]
        off = slip[a] * wide[b] + wide[a] * slip[b] + slip[a] * slip[b]
        total = self._sum(products, products, off + 2.0 * ULP * wide[a] * wide[b])
        room = up(up(rest * wide[a]) * wide[b])
        if a == b:
            return Interval(np.maximum(total.lo, 0.0), up(total.hi + room))
        return total + Interval(-room, room)

    def jacobian(self, a: int, b: int) -> Interval:
        """e_a (Cov_gamma/v - I) e_b."""
        return self.covariance(a, b) / self.v - self.law.gram[a, b]

    def field(self, a: int) -> Interval:
        """e_a (m - y), from its value at the middle and its slopes where they say more."""
        plain = self.mean(a) - self._place(a)
        if self.direct or self._is_point:
            return plain
        middle = self.boxes.mid()
        sloped = Local(self.law, Interval.of(middle), direct=True).field(a)
        step = self.boxes - middle
        for b in range(self.z.shape[1]):
            sloped = sloped + self.jacobian(a, b) * step[:, b]
        if (self.v.hi > self.v.lo).any():
            sloped = sloped + self._in_v(a) * step[:, -1]
        return plain.intersect(sloped)

    def _place(self, a: int) -> Interval:
        total = self.law.gram[a, 0] * self.z[:, 0]
        for b in range(1, self.z.shape[1]):
            total = total + self.law.gram[a, b] * self.z[:, b]
        return total

    def _in_v(self, a: int) -> Interval:
        """d mean_a/dv = Cov_gamma(e_a mu, |y - mu|^2)/(2 v^2)."""
        rest, (s, off, size) = self._kept.rest, self._scores
        q, r = self._pairs
        leads, step = np.take(s, q, axis=1) - np.take(s, r, axis=1), self._apart[..., a]
        reach = _along(np.abs(self._apart), self._far) + off[:, None]
        reach *= np.abs(step)
        leads *= step
        spare = (self._slip[a] + 4.0 * ULP * self._widest[a]) * size
        total = -self._sum(leads - reach, leads + reach, spare)
        far = dot(self._widest[None], self.z.abs()).hi[:, 0] + up(self.law.halves.hi.max())
        room = up(up(rest * self._widest[a]) * up(far))
        return (total + Interval(-room, room)) / self.v.square()


def _along(steps: Array, far: Array) -> Array:
    """sum_k steps (m, ..., k) far (n, k) over the last axis, (n, ...), where m is 1 or n."""
    if len(steps) == 1:
        flat = far @ steps.reshape(math.prod(steps.shape[1:-1]), steps.shape[-1]).T
        return np.asarray(flat.reshape(len(far), *steps.shape[1:-1]))
    column = (slice(None), *(None for _ in steps.shape[2:]))
    return np.asarray((steps * far[column]).sum(axis=-1))


def basis(first: Sequence[float] | Array, d: int) -> Array:
    """(d, d): rows, of which the first is along a direction and all are orthonormal to rounding."""
    start = np.asarray(first, dtype=np.float64)
    start = start / np.linalg.norm(start)
    full, _ = np.linalg.qr(np.column_stack([start, np.eye(d)]))
    rows: Array = np.asarray(full.T[:d])
    rows[0] = start
    return rows
