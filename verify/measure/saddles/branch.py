"""Pairs whose midpoint dominance calls a saddle of the full mixture, and what is found there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dominance_times, dynamics
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.errors import ConvergenceError, NotApplicableError

from ...ledger.case import Case
from ..covariances import noisy_levels, one_width, whitened
from ..paths import KAPPA, ddim_grid, thinned
from .ellipsoids import MOST_PAIRS
from .proofs import has_no_saddle, is_saddle

MAX_PAIRS = 40
_MOST_WITHOUT = 12  # places without a box: where no saddle is found either, a proof takes a second


@dataclass(frozen=True)
class Place:
    """A pair at a node of the papers' grid, with the slack of what is asked of the full mixture.

    law: the mixture, or of one covariance C that is not sigma^2 I the one in z = C^-1/2 y, where it
    is isotropic and v = 1: equilibria are the same points, and signs of eigenvalues the same. rho:
    of the node. saddle: l^2/(4 v) - 1. equal_weights: 1e-12 - |log(w_i/w_j)|. dominance: margin at
    the midpoint minus 7; effective_margin: the margin less log((1 - w_i - w_j)/min(w_i, w_j)). box:
    that of the box around the saddle where the first three are positive, else None.
    """

    law: GaussianMixture
    rho: float
    pair: geometry.Pair
    v: float
    saddle: float
    equal_weights: float
    dominance: float
    effective_margin: float
    box: bounds.SaddleBox | None

    @property
    def stated(self) -> bool:
        """Whether the hypotheses of the statement hold, without the box."""
        return self.box is not None

    @property
    def boxed(self) -> bool:
        """Whether those and the box's conditions hold."""
        return self.box is not None and self.box.slack > 0.0


def pairs_and_nodes(case: Case) -> list[tuple[geometry.Pair, float]]:
    """The closest pairs (at most 40), at every node of the papers' grid."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))[ddim_grid(case).times]
    pairs = geometry.nearest_pairs(case.mixture)[:MAX_PAIRS]
    return [
        (pair, value)
        for pair in (geometry.pair(case.mixture, i, j) for i, j in pairs)
        for value in v.tolist()
    ]


def places(case: Case) -> list[Place]:
    """Every pair and node of a case, memoised."""
    return case.memo("saddle places", lambda: list(_places(case)))


def _places(case: Case) -> Iterator[Place]:
    if one_width(case):
        floor = float(case.mixture.sigma) ** 2
        for pair, v in pairs_and_nodes(case):
            yield _place(case.mixture, v - floor, pair, v)
        return
    for rho in noisy_levels(case).tolist():
        law = whitened(case.mixture, rho)
        for i, j in geometry.nearest_pairs(law)[:MOST_PAIRS]:
            yield _place(law, rho, geometry.pair(law, i, j), 1.0)


def _place(mixture: GaussianMixture, rho: float, pair: geometry.Pair, v: float) -> Place:
    index = (pair.i, pair.j)
    weights = mixture.weights[[pair.i, pair.j]]
    margin = float(dominance_times.dominance_margin(mixture, pair.midpoint[None], v, index)[0])
    margin = min(margin, 1e300)  # infinite for two modes
    others = float(np.delete(mixture.weights, index).sum())
    slack = (
        pair.length**2 / (4.0 * v) - 1.0,
        1e-12 - abs(float(np.log(weights[0] / weights[1]))),
        margin - KAPPA,
    )
    box = bounds.saddle_box(mixture, *index, v) if min(slack) > 0.0 else None
    effective = margin - float(np.log(others / weights.min())) if others > 0.0 else margin
    return Place(mixture, rho, pair, v, *slack, effective, box)


# -- in doubles ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Saddle:
    """A fixed point of the full mixture: how far outside its box in units of l (negative inside),
    the two largest eigenvalues, two-mode lambda, how far from it the largest may be, and the slack
    of the box."""

    outside: float
    largest: float
    second: float
    predicted: float
    allowance: float
    slack: float


def find_saddle(
    mixture: GaussianMixture, pair: geometry.Pair, v: float, box: bounds.SaddleBox
) -> Saddle:
    """The engine's saddle of a pair with a box; a missing eigenvalue where it finds none."""
    along = float(bounds.midpoint_eigenvalues(pair.length, v)[0])
    try:
        point = dynamics.saddle(mixture, pair, v)
    except (ConvergenceError, NotApplicableError):
        # No saddle of the full mixture: the claim's own failure.
        return Saddle(np.inf, -1.0, -1.0, along, 0.0, box.slack)
    a, xi = pair.coordinates(point.point[None])
    z, across = float(a[0]) - 0.5, float(np.linalg.norm(xi[0]))
    values = point.eigenvalues
    return Saddle(
        outside=max(z - box.z_high, box.z_low - z, (across - box.radius) / pair.length),
        largest=float(values[-1]),
        second=float(values[-2]) if len(values) > 1 else -1.0,
        predicted=along,
        allowance=(along + 1.0) * _allowance(mixture, pair, box),
        slack=box.slack,
    )


def _allowance(mixture: GaussianMixture, pair: geometry.Pair, box: bounds.SaddleBox) -> float:
    """How far the eigenvalue of Cov/v in the box may be from l^2/(4 v), relative to it.

    With S the others' weight and c the pair's own mean, Cov is (1 - S) p (1 - p) l^2 n n^T plus at
    most S D^2. At an equilibrium the pair's drift is minus the others' pull E; it is concave on
    each side of z = 0, so |z| is at most E times z/drift at the face, and |p - 1/2| at most |z| +
    E. Equal weights.
    """
    diameter2 = float(np.square(geometry.pairwise_distances(mixture.means)).max())
    reach = max(box.z_high / box.outward[1], -box.z_low / box.outward[0])
    tilt = box.pull_anywhere * (1.0 + reach)
    return float(box.mass * (1.0 + 4.0 * diameter2 / pair.length**2) + 4.0 * tilt**2)


# -- in ball arithmetic --------------------------------------------------------------------------


def choose(case: Case) -> list[Place]:
    """The places to prove something about: some without a box first, then some of the others."""
    stated = [p for p in places(case) if p.stated]
    without = [p for p in stated if not p.boxed]
    boxed = [p for p in stated if p.boxed]
    n = max(8, case.pick(300, 3000) // (case.mixture.N // 8 + case.mixture.d))
    return without[:_MOST_WITHOUT] + [boxed[k] for k in thinned(np.arange(len(boxed)), n)]


def settle(place: Place, *, at_mode: bool = False) -> float:
    """1.0 where a saddle within l/4 of the midpoint is proved, 0.0 where none is, else NaN.

    at_mode: within l/4 of the pair's first mode instead (a mutant).
    """
    mixture = place.law
    center = place.pair.mu_i if at_mode else place.pair.midpoint
    try:
        found = dynamics.saddle(mixture, place.pair, place.v).point
    except (ConvergenceError, NotApplicableError):
        found = None
    if found is not None and is_saddle(mixture, place.pair, place.v, found, center):
        return 1.0
    return 0.0 if has_no_saddle(mixture, place.pair, place.v, center) else np.nan
