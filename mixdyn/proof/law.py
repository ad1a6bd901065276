"""A mixture with one variance v for all modes over boxes: responsibilities, mean field, Jacobian.

Places are y = centre + z @ axes, so that a box has the directions that a statement is about. What
would explode term by term stays together: a responsibility is 1/sum of exponentials of differences,
which are linear in z; a covariance is a sum over pairs of modes; the field comes from its place at
the middle and its slopes, where those say more. Modes that matter nowhere in a batch of boxes are
one term, of at most a known weight.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array, IntArray

from .interval import Interval, dot, up
from .search import hexed

_BATCH = 128  # boxes at a time
_FAINT = -45.0  # natural logarithm of a responsibility that is summed up with others


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
        """Rows of boxes in parts of up to 128, whose pairs of modes stay in a core's cache: those
        of one level and one strongest mode together, for which few modes matter."""
        level = np.floor(2.0 * np.log2(boxes.mid()[:, -1]))
        order = np.lexsort((self.strongest(boxes), level))
        for start in range(0, len(order), _BATCH):
            yield order[start : start + _BATCH]

    def strongest(self, boxes: Interval) -> IntArray:
        """(n,): the mode with the largest responsibility at the middle, to rounding."""
        middle, v = boxes.mid()[:, :-1], boxes.mid()[:, -1:]
        odds = (middle @ self.places.lo.T - self.halves.lo) / v + np.log(self.weights)
        return np.asarray(np.argmax(odds, axis=1))

    def over(self, boxes: Interval) -> Local:
        """What is known over boxes (n, k + 1) of z and v > 0."""
        return Local(self, boxes)


def _pairs(x: Interval) -> Interval:
    """x_q - x_r, for all q (first) and r."""
    return x[:, None] - x[None]


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
    def _kept(self) -> tuple[IntArray, Array, IntArray]:
        """The modes that matter, at most what the others have (n,), and the strongest (n,)."""
        law = self.law
        first = law.strongest(self.boxes)
        ahead = self._relative(first)
        faint = ahead.hi < _FAINT
        others = faint.all(axis=0)
        share = ahead[:, others].exp().sum().hi if others.any() else np.zeros(len(first))
        return np.flatnonzero(~others), share, np.searchsorted(np.flatnonzero(~others), first)

    def _relative(self, first: IntArray) -> Interval:
        """(n, N): log(gamma_q/gamma_first)."""
        law, z = self.law, self.z
        total = law.halves[first][:, None] - law.halves[None]
        for k in range(z.shape[1]):
            apart = law.places[None, :, k] - law.places[first, k][:, None]
            total = total + apart * z[:, k][:, None]
        return law.logs[None] - law.logs[first][:, None] + total / self.v[:, None]

    @functools.cached_property
    def _apart(self) -> Interval:
        """(K, K, k): places of the modes that matter, from each other."""
        return _pairs(self.law.places[self._kept[0]])

    @functools.cached_property
    def _leads(self) -> Interval:
        """(n, K, K): half of |y - mu_r|^2 - |y - mu_q|^2 for all q and r."""
        return self._ahead(self._apart, _pairs(self.law.halves[self._kept[0]]))

    @functools.cached_property
    def gamma(self) -> Interval:
        """(n, K): responsibilities of the modes that matter."""
        kept, rest, _ = self._kept
        logs = _pairs(self.law.logs[kept])[None] + self._leads / self.v[:, None, None]
        total = logs.exp().sum(axis=1)
        found = 1.0 / (total * Interval(np.ones_like(rest), up(1.0 + rest))[:, None])
        return Interval(np.maximum(found.lo, 0.0), np.minimum(found.hi, 1.0))

    @functools.cached_property
    def _both(self) -> Interval:
        """(n, K, K): gamma_q gamma_r, at most 1/4 for two modes."""
        product = self.gamma[:, :, None] * self.gamma[:, None]
        return Interval(product.lo, np.minimum(product.hi, 0.25))

    @functools.cached_property
    def _widest(self) -> Array:
        """(k,): most by which places of any modes differ."""
        places = self.law.places
        return up(places.hi.max(axis=0) - places.lo.min(axis=0))

    def share(self, q: int) -> Interval:
        """gamma_q."""
        kept, rest, _ = self._kept
        found = np.flatnonzero(kept == q)
        return self.gamma[:, found[0]] if len(found) else Interval(np.zeros_like(rest), rest)

    def mean(self, a: int) -> Interval:
        """Component a of the mean field, from the centre: sum_q gamma_q e_a (mu_q - centre)."""
        kept, rest, first = self._kept
        places = self.law.places[:, a]
        origin = places[kept][first]
        total = (self.gamma * (places[kept][None] - origin[:, None])).sum()
        room = up(rest * self._widest[a])
        return origin + total + Interval(-room, room)

    def covariance(self, a: int, b: int) -> Interval:
        """Cov_gamma of the components a and b of the means."""
        _, rest, _ = self._kept
        apart = self._apart
        upper = np.triu_indices(len(apart), 1)
        products = (apart[..., a] * apart[..., b])[upper]
        if a == b:
            products = apart[..., a].square()[upper]
        total = (self._both[:, *upper] * products).sum()
        room = up(up(rest * self._widest[a]) * self._widest[b])
        return total + Interval(-room * (a != b), room)

    def jacobian(self, a: int, b: int) -> Interval:
        """e_a (Cov_gamma/v - I) e_b."""
        return self.covariance(a, b) / self.v - self.law.gram[a, b]

    def field(self, a: int) -> Interval:
        """e_a (m - y), from its value at the middle and its slopes where they say more."""
        plain = self.mean(a) - self._place(a)
        if self.direct or (self.boxes.hi <= self.boxes.lo).all():
            return plain
        middle = self.boxes.mid()
        sloped = Local(self.law, Interval.of(middle), direct=True).field(a)
        step = self.boxes - middle
        for b in range(self.z.shape[1]):
            sloped = sloped + self.jacobian(a, b) * step[:, b]
        return plain.intersect(sloped + self._in_v(a) * step[:, -1])

    def _place(self, a: int) -> Interval:
        total = self.law.gram[a, 0] * self.z[:, 0]
        for b in range(1, self.z.shape[1]):
            total = total + self.law.gram[a, b] * self.z[:, b]
        return total

    def _in_v(self, a: int) -> Interval:
        """d mean_a/dv = Cov_gamma(e_a mu, |y - mu|^2)/(2 v^2)."""
        kept, rest, _ = self._kept
        upper = np.triu_indices(len(kept), 1)
        products = self._leads[:, *upper] * self._apart[..., a][upper]
        total = -(self._both[:, *upper] * products).sum()
        far = dot(self._widest[None], self.z.abs()).hi[:, 0] + up(self.law.halves.hi.max())
        room = up(up(rest * self._widest[a]) * up(far))
        return (total + Interval(-room, room)) / self.v.square()


def basis(first: Sequence[float] | Array, d: int) -> Array:
    """(d, d): rows, of which the first is along a direction and all are orthonormal to rounding."""
    start = np.asarray(first, dtype=np.float64)
    start = start / np.linalg.norm(start)
    full, _ = np.linalg.qr(np.column_stack([start, np.eye(d)]))
    rows: Array = np.asarray(full.T[:d])
    rows[0] = start
    return rows
