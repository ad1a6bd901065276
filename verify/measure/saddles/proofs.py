"""Proofs in ball arithmetic that a mixture has a saddle near the midpoint of a pair, or has none.

A saddle is an equilibrium with one positive eigenvalue and all others negative; near means within
l/4, of the midpoint unless another center is given. Doubles (means, weights, v) count as exact. A
saddle is proved by Krawczyk's test around a computed one, which encloses an equilibrium, and by the
signs of the Jacobian there; its absence by a trace of the covariance below v in the whole ball, or
by cutting the cube around it until in every piece the field cannot vanish, or the Jacobian has no
positive eigenvalue, or two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.geometry import Pair, dynamics
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array

NEAR = 0.25  # of the pair's length
_BITS = 256
_MOST_PIECES = 2000
_WORK = 100_000  # pieces times squared number of modes; 500 pieces where that is fewer
MOST_WORK = 650_000  # pieces times `_work` of one, whatever the rest: seconds
Ball = Any  # flint.arb


@dataclass(frozen=True)
class Law:
    """A mixture at variance v with its numbers as balls: means (N, d), log weights (N,)."""

    means: list[list[Ball]]
    log_weights: list[Ball]
    v: Ball

    @classmethod
    def of(cls, mixture: GaussianMixture, v: float) -> Law:
        """The law of a mixture at the variance v, in balls of the working precision."""
        from flint import arb

        means = [[arb(c) for c in row] for row in mixture.means.tolist()]
        return cls(means, [arb(w).log() for w in mixture.weights.tolist()], arb(v))

    def log_ratio(self, y: Sequence[Ball], q: int, r: int) -> Ball:
        """log(gamma_r/gamma_q), linear in y: each coordinate occurs once."""
        total = self.log_weights[r] - self.log_weights[q]
        for y_k, a, b in zip(y, self.means[q], self.means[r], strict=True):
            total += (b - a) * (y_k - (a + b) / 2) / self.v
        return total

    def shares(self, y: Sequence[Ball]) -> list[Ball]:
        """gamma_q at every y of a box: a ball around its extremes, each by its own formula."""
        modes = range(len(self.means))
        found = []
        for q in modes:
            logs = [self.log_ratio(y, q, r) for r in modes]
            least = 1 / sum((a.upper().exp() for a in logs), self.v * 0)
            most = 1 / sum((a.lower().exp() for a in logs), self.v * 0)
            found.append(least.union(most))
        return found

    def field(self, y: Sequence[Ball], gamma: Sequence[Ball], k: int, ref: int) -> Ball:
        """Coordinate k of m - y, written around mode `ref`."""
        origin = self.means[ref][k]
        return (
            origin
            - y[k]
            + sum(
                (g * (mean[k] - origin) for g, mean in zip(gamma, self.means, strict=True)),
                self.v * 0,
            )
        )

    def spread(self, gamma: Sequence[Ball], ref: int) -> Ball:
        """At least the trace of Cov_gamma: the mean squared distance from mode `ref`."""
        total = self.v * 0
        for g, mean in zip(gamma, self.means, strict=True):
            gaps = [a - b for a, b in zip(mean, self.means[ref], strict=True)]
            total += g * sum((gap * gap for gap in gaps), self.v * 0)
        return total

    def jacobian(self, gamma: Sequence[Ball], ref: int) -> Any:
        """Cov_gamma/v - I as an arb_mat, written around mode `ref`."""
        from flint import arb_mat

        d = len(self.means[0])
        offset = arb_mat(
            [[a - b for a, b in zip(m, self.means[ref], strict=True)] for m in self.means]
        )
        weighted = arb_mat([[g * offset[q, k] for k in range(d)] for q, g in enumerate(gamma)])
        mean = arb_mat(
            [[sum((weighted[q, k] for q in range(len(gamma))), self.v * 0) for k in range(d)]]
        )
        cov = weighted.transpose() * offset - mean.transpose() * mean
        one = arb_mat([[float(a == b) for b in range(d)] for a in range(d)])
        return cov / self.v - one


def is_saddle(
    mixture: GaussianMixture, pair: Pair, v: float, found: Array, center: Array | None = None
) -> bool:
    """Whether a saddle is proved at a computed one, found (d,), within l/4 of the midpoint.

    center (d,): in place of the midpoint.
    """
    from flint import arb, arb_mat, ctx

    d = mixture.d
    with ctx.workprec(_BITS):
        law = Law.of(mixture, v)
        point = [arb(c) for c in found.tolist()]
        gamma = law.shares(point)
        field = arb_mat([[law.field(point, gamma, k, pair.i)] for k in range(d)])
        jacobian = dynamics.flow_jacobian(mixture, found[None], v)[0]
        inverse = arb_mat(np.linalg.inv(jacobian).tolist())
        step = inverse * field
        reach = 8 * max(step[k, 0].abs_upper() for k in range(d)) + pair.length * arb(2) ** -100
        box = [c + arb(0, reach) for c in point]
        slopes = law.jacobian(law.shares(box), pair.i)
        left = arb_mat([[float(a == b) for b in range(d)] for a in range(d)]) - inverse * slopes
        image = left * arb_mat([[arb(0, reach)] for _ in range(d)]) - step
        enclosed = all(image[k, 0].abs_upper() < reach for k in range(d))
        middle = pair.midpoint if center is None else center
        near = _is_near(box, middle, NEAR * pair.length)
        return bool(enclosed and near and _has_signs(_in_basis(slopes, jacobian)))


def _is_near(box: Sequence[Ball], center: Array, radius: float) -> bool:
    """Whether the whole box is within the radius of the center."""
    away = [y - c for y, c in zip(box, center.tolist(), strict=True)]
    return bool(sum(gap * gap for gap in away) < radius**2)


def _in_basis(slopes: Any, near: Array) -> Any:
    """The Jacobian in the basis of the eigenvectors, ascending, of a symmetric matrix near it."""
    from flint import arb_mat

    basis = arb_mat(np.linalg.eigh(near)[1].tolist())
    return basis.transpose() * slopes * basis


def _is_negative(turned: Any, size: int) -> bool:
    """Whether the leading block of that size is negative definite (Gershgorin)."""
    return all(
        turned[a, a] + sum((abs(turned[a, b]) for b in range(size) if b != a), turned[a, a] * 0) < 0
        for a in range(size)
    )


def _has_signs(turned: Any) -> bool:
    """One positive eigenvalue and all others negative: a positive diagonal entry, and a negative
    definite rest (Cauchy interlacing)."""
    last = turned.nrows() - 1
    return bool(turned[last, last] > 0 and _is_negative(turned, last))


def _has_two_positive(turned: Any) -> bool:
    """Whether it is positive definite on the plane of the last two vectors."""
    last = turned.nrows() - 1
    mixed = max(turned[last, last - 1].abs_upper(), turned[last - 1, last].abs_upper())
    return bool(turned[last, last] > mixed and turned[last - 1, last - 1] > mixed)


def has_no_saddle(
    mixture: GaussianMixture, pair: Pair, v: float, center: Array | None = None
) -> bool:
    """Whether it is proved that no saddle lies within l/4 of the midpoint.

    center (d,): in place of the midpoint. False where the proof would take more pieces than
    `_most_pieces`: it then says nothing.
    """
    from flint import arb, ctx

    with ctx.workprec(_BITS):
        law = Law.of(mixture, v)
        half, middle = NEAR * pair.length, pair.midpoint if center is None else center
        if has_no_spread(law, [arb(c) for c in middle.tolist()], half):
            return True
        waiting = [([arb(c) for c in middle.tolist()], [half] * mixture.d)]
        for _ in range(_most_pieces(mixture)):
            if not waiting:
                return True
            place, halves = waiting.pop()
            piece = _Piece(place, halves)
            if not (_is_beyond(piece.box, middle, half) or _is_harmless(law, piece)):
                k = int(np.argmax(halves))
                halves[k] *= 0.5
                for side in (-1, 1):
                    moved = [c + side * halves[k] * (n == k) for n, c in enumerate(place)]
                    waiting.append((moved, list(halves)))
    return False


def _most_pieces(mixture: GaussianMixture) -> int:
    """Two thousand, fewer with many modes, and hardly any where they also have many dimensions: a
    cube of 2^d halves is not cut up in thousands."""
    wanted = min(_MOST_PIECES, max(500, _WORK // mixture.N**2))
    return max(1, min(wanted, MOST_WORK // _work(mixture)))


def _work(mixture: GaussianMixture) -> int:
    """Of one piece: a product of balls for each pair of modes and coordinate, and the Jacobian's
    basis, whose products cost a tenth."""
    return mixture.N**2 * mixture.d + mixture.d**3 // 10


def has_no_spread(law: Law, center: Sequence[Ball], radius: float) -> bool:
    """Whether the trace of Cov_gamma is below v within the radius: no eigenvalue is positive.

    For a ball as a whole, where log(gamma_q/gamma_r) changes by |mu_q - mu_r| radius/v: the cube
    around it is wider by the square root of the number of dimensions.
    """
    modes = range(len(law.means))
    middle = [law.log_ratio(center, 0, q) for q in modes]
    ref = max(modes, key=lambda q: float(middle[q].mid()))
    total = law.v * 0
    for mean, log_share in zip(law.means, middle, strict=True):
        gaps = [a - b for a, b in zip(mean, law.means[ref], strict=True)]
        gap2 = sum((gap * gap for gap in gaps), law.v * 0)
        most = log_share - middle[ref] + gap2.sqrt() * radius / law.v
        total += most.exp() * gap2
    return bool(total < law.v)


def _is_beyond(box: Sequence[Ball], center: Array, radius: float) -> bool:
    """Whether no point of the box is within the radius of the center."""
    away = [y - c for y, c in zip(box, center.tolist(), strict=True)]
    return bool(sum(gap.abs_lower() ** 2 for gap in away) > radius**2)


@dataclass(frozen=True)
class _Piece:
    """A box by its center and half widths."""

    center: list[Ball]
    halves: list[float]

    @property
    def box(self) -> list[Ball]:
        """Its coordinates as balls."""
        from flint import arb

        return [c + arb(0, h) for c, h in zip(self.center, self.halves, strict=True)]


def _is_harmless(law: Law, piece: _Piece) -> bool:
    """Whether the field vanishes nowhere in the piece, or only where it makes no saddle."""
    box = piece.box
    gamma = law.shares(box)
    ref = max(range(len(gamma)), key=lambda q: float(gamma[q].mid()))
    if law.spread(gamma, ref) < law.v:
        return True
    if any(not law.field(box, gamma, k, ref).contains(0) for k in range(len(box))):
        return True
    slopes, d = law.jacobian(gamma, ref), len(box)
    middle = np.array([[float(slopes[a, b].mid()) for b in range(d)] for a in range(d)])
    turned = _in_basis(slopes, middle)
    if _is_negative(turned, d) or (d > 1 and _has_two_positive(turned)):
        return True
    return _is_off_zero(law, piece, slopes, np.linalg.eigh(middle)[1])


def _is_off_zero(law: Law, piece: _Piece, slopes: Any, basis: Array) -> bool:
    """Whether some component of the field has one sign, by the mean value theorem.

    Near a fold, where the field is small and flat, that is sharper than its own enclosure.
    """
    from flint import arb_mat

    d, gamma = len(piece.center), law.shares(piece.center)
    field = arb_mat([[law.field(piece.center, gamma, k, 0)] for k in range(d)])
    turn = arb_mat(basis.T.tolist())
    here, rates = turn * field, turn * slopes
    return any(
        here[a, 0].abs_lower()
        > sum((abs(rates[a, b]).upper() * piece.halves[b] for b in range(d)), law.v * 0)
        for a in range(d)
    )
