"""The gap between two modes: where a sample belongs to neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..support.checks import Array, check_points, check_positive
from ..support.errors import InputError, NotApplicableError
from .classes import mode_radius
from .pairs import Indices, Mask, pair, squared_distances, two_nearest

if TYPE_CHECKING:
    from ..problem.mixture import GaussianMixture

_PLACES = np.linspace(0.0, 1.0, 33)  # of a gap, at which its two nearest modes are asked for
_MOST_PAIRS = 512


class Gap(NamedTuple):
    """One pair's gap: -half <= <x - midpoint, n> <= half, and |xi| <= across."""

    i: int
    j: int
    half: float
    across: float


@dataclass(frozen=True)
class Between:
    """The event that a sample lies in the gap between its two nearest modes i and j.

    Along the line that joins them it is farther than `radius` from both, or in the middle `share`
    of their distance; across that line it is no farther than the radius of a mode. radius: in data
    units, of a mode (`mode_radius`, the larger one of the two) where None. pairs: the only pairs
    (i, j) that count, None for all.
    """

    radius: float | None = None
    share: float | None = None
    pairs: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        if self.radius is not None:
            check_positive(self.radius, "radius")
        if self.share is not None and not 0.0 < check_positive(self.share, "share") < 1.0:
            raise InputError("share must be below 1", self.share, "0.3 is the middle 30 %.")
        if self.radius is not None and self.share is not None:
            raise InputError("a gap has a radius or a share", "both", "Leave one out.")

    def gaps(self, mixture: GaussianMixture) -> list[Gap]:
        """The gaps of a mixture, i < j: pairs that are the two nearest modes somewhere in theirs.

        Raises NotApplicableError where there is none, for more than 512 pairs to look at, and for
        point masses, whose own radius is 0: with nothing named, a sample at one would be in its
        gap, and in two dimensions or more no gap has a width.
        """
        named = self.radius is not None or self.share is not None
        if not (named and mixture.d == 1) and not mode_radius(mixture).any():
            raise NotApplicableError(
                "a gap beside point masses is along one line, with a radius or a share of its own",
                f"radius {self.radius} and share {self.share} in {mixture.d} dimensions",
                "Give the modes a sigma, or in one dimension name one of the two.",
            )
        found = [self._gap(mixture, i, j) for i, j in self._candidates(mixture)]
        gaps = [gap for gap in found if gap.half > 0.0 and _owned(mixture, gap)]
        if not gaps:
            raise NotApplicableError(
                "a gap needs two modes whose radii leave room between them",
                f"none among {mixture.N}",
                "Separate the modes, or lower the radius.",
            )
        return gaps

    def _gap(self, mixture: GaussianMixture, i: int, j: int) -> Gap:
        across = float(mode_radius(mixture)[[i, j]].max())
        length = pair(mixture, i, j).length
        if self.share is not None:
            return Gap(i, j, 0.5 * self.share * length, across)
        return Gap(i, j, 0.5 * length - (across if self.radius is None else self.radius), across)

    def _candidates(self, mixture: GaussianMixture) -> list[tuple[int, int]]:
        if self.pairs is not None:
            return [(min(pair), max(pair)) for pair in self.pairs]
        i, j = np.triu_indices(mixture.N, k=1)
        if len(i) > 256 * _MOST_PAIRS:
            raise _too_many(len(i))
        middle = 0.5 * (mixture.means[i] + mixture.means[j])
        half2 = 0.25 * np.square(mixture.means[i] - mixture.means[j]).sum(axis=1)
        nearest = squared_distances(middle, mixture.means).min(axis=1)
        # Where a third mode is nearer to the midpoint by half of the way, the gap has no middle;
        # what is left of it at its ends belongs to other pairs.
        near = nearest > 0.5 * half2
        kept = [(int(a), int(b)) for a, b in zip(i[near], j[near], strict=True)]
        if len(kept) > _MOST_PAIRS:
            raise _too_many(len(kept))
        return kept

    def which(self, mixture: GaussianMixture, x: Array) -> tuple[Indices, Indices, Mask]:
        """The two nearest modes i < j of samples x (n, d), and whether x is in their gap."""
        x = check_points(x, mixture.d)
        first, second, _, _ = two_nearest(mixture.means, x)
        i, j = np.minimum(first, second), np.maximum(first, second)
        inside = np.zeros(len(x), bool)
        code = i * mixture.N + j
        for gap in self.gaps(mixture):
            rows = np.flatnonzero(code == gap.i * mixture.N + gap.j)
            if rows.size:
                inside[rows] = in_gap(mixture, gap, x[rows])
        return i, j, inside

    def holds(self, mixture: GaussianMixture, x: Array) -> Mask:
        """Whether each of x (n, d) lies in a gap, (n,)."""
        return self.which(mixture, x)[2]


def in_gap(mixture: GaussianMixture, gap: Gap, x: Array) -> Mask:
    """Whether x (n, d), whose two nearest modes these are, lies in the gap."""
    frame = pair(mixture, gap.i, gap.j)
    offset = x - frame.midpoint
    along = offset @ frame.direction
    across = np.linalg.norm(offset - along[:, None] * frame.direction, axis=1)
    return np.asarray((np.abs(along) <= gap.half) & (across <= gap.across))


def _owned(mixture: GaussianMixture, gap: Gap) -> bool:
    """Whether the two modes are the nearest ones somewhere on their gap, up to its width."""
    frame = pair(mixture, gap.i, gap.j)
    line = frame.midpoint + gap.half * (2.0 * _PLACES - 1.0)[:, None] * frame.direction
    d2 = squared_distances(line, mixture.means)
    own = np.maximum(d2[:, gap.i], d2[:, gap.j])
    others = np.delete(d2, [gap.i, gap.j], axis=1)
    return bool(mixture.N == 2 or (others.min(axis=1) > own * (1.0 + 1e-9)).any())


def _too_many(count: int) -> NotApplicableError:
    return NotApplicableError(
        f"at most {_MOST_PAIRS} pairs of modes are looked at",
        f"{count} pairs",
        "Name those that matter in `pairs`.",
    )
