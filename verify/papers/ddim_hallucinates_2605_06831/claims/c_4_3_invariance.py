r"""Trapping in the tube.

Statement: While a pair dominates with margin $\kappa$, a tube of radius $r \ge R$ around its
    extended segment $a \in [-\epsilon, 1 + \epsilon]$ is forward invariant under the flow, with
    $R = e^{-\kappa} \frac{1 - w_i - w_j}{\min(w_i, w_j)} \max_k d_\perp(\mu_k)$ and $\epsilon \ge
    \sum_k \gamma_k \max(a_k - 1, -a_k, 0)$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: the pair is separated with margin 7 by some node of the papers' grid.
    - dominance: the pair dominates with margin 7 at every later node of the path.
Measured: starts on the wall of the tube and inside it, around the segments of the closest pairs,
    at the first node at or below $\tau_2(7)$; their distance to the line and their overshoot
    beyond the segment at every later node; the outward velocity on the wall at the start.
Predicted: distance at most $r$, overshoot at most $\epsilon$, outward velocity at most $R - r \le
    0$.
Evidence: sampled starts, solved to 1e-11. Certified in the plane: on the walls of the tube of
    radius $R$ and at its ends the flow points inward, at every place and level.
Source: arXiv 2605.06831 v1, Corollary 4.3
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.proof import Statement
from mixdyn.support.checks import Array, IntArray
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis
from verify.measure.continuum import (
    NO_TOLERANCE,
    certified,
    pair_law,
    proof_window,
    variances,
    walls,
)
from verify.measure.paths import (
    KAPPA,
    Paths,
    flow_from,
    flow_tolerance,
    node_of_tau_2,
    pair_margins,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="C4.3",
    short="trapping in the tube",
    rests_on={"G.3": "the remainder R"},
    needs=(
        modes(2),
        one_sigma.because(
            "with several widths the flow leaves the segment (X12, certified), and a tube about "
            "it with it"
        ),
    ),
    derivation="derivations/segment/tube_invariance.py",
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "That a path stays near the midpoint: the tube contains both modes, and inside it every "
        "generic path ends at one of them. Dominance is checked at nodes, not between them."
    ),
)

MAX_PAIRS = 40


@CLAIM.sampled(unit="path nodes")
def trapping(
    case: Case, inset: float = 0.0, short: float = 0.0, shrink: float = 0.0
) -> Iterator[Part]:
    """Paths from the tube, and the velocity on its wall. inset: how much shorter the segment is at
    both ends, starts included; short: the same with the starts left; shrink: rate at which r falls
    in u."""
    node = node_of_tau_2(case, KAPPA)
    if node is None:
        yield Hypothesis("separation", 0.0)
        yield "The closest pair is not separated with margin 7 at any noisy node."
        return
    tubes = case.memo(f"C4.3 tubes {inset}", lambda: _measure(case, node, inset))
    yield Hypothesis("separation", 1.0, 0.0)
    yield Hypothesis.from_slack("dominance", np.minimum(tubes.margin.min(axis=0), 1e300) - KAPPA)
    if not tubes.held.any():
        return
    yield from _sides(case, tubes, inset + short, shrink)
    yield {
        "R over the pair's distance, largest": float(
            (tubes.remainder / _lengths(case, tubes.pair)).max()
        ),
        "ε, largest": float(tubes.overshoot.max()),
        "raw time of the start": int(tubes.paths.times[0]),
    }


def _wide(case: Case) -> bool:
    return case.mixture.d > 1


def _sides(case: Case, tubes: Tubes, inset: float, shrink: float) -> Iterator[Side]:
    """Of the paths that held: distance and overshoot at later nodes (S, n), velocity (n,)."""
    paths, length = tubes.paths, _lengths(case, tubes.pair)
    tolerance = Tolerance(rtol=1e-9, atol=flow_tolerance(case))
    start = {"y_start": paths.y[:1], "t_start": int(paths.times[0]), "pair": tubes.pair[None]}
    if _wide(case):
        yield Side(
            "distance",
            tubes.distance[1:],
            at_most=tubes.radius * (paths.v[1:, None] / paths.v[0]) ** (0.5 * shrink),
            among=tubes.held,
            tolerance=tolerance,
            where=start,
        )
    yield Side(
        "overshoot",
        np.maximum(tubes.a - 1.0, -tubes.a)[1:],
        at_most=tubes.overshoot - inset,
        among=tubes.held,
        telling=tubes.radius < length,
        tolerance=replace(tolerance, atol=tolerance.atol / float(length.min())),
        where=start,
    )
    yield Side(
        "outward velocity on the wall",
        tubes.outward,
        at_most=tubes.remainder - tubes.radius,
        among=tubes.held & tubes.wall,
        tolerance=tolerance,
        where={**start, "y_start": paths.y[0], "pair": tubes.pair},
    )


CLAIM.must_fail(trapping, "only the middle half of the segment", inset=0.25)
CLAIM.must_fail_narrowly(
    trapping, "a segment shorter by {} l at both ends", 0.25, short=lambda less: less
)
CLAIM.must_fail(trapping, "radius shrinking as e^(-2u)", when=_wide, shrink=2.0)
CLAIM.must_fail_narrowly(
    trapping, "radius shrinking as e^(-{}u)", 2.0, when=_wide, shrink=lambda rate: rate
)


@dataclass(frozen=True)
class Tubes:
    """Paths that start in a tube, and each path's tube.

    a, distance, margin (S + 1, n): coordinate along the pair, distance to its line and dominance
    margin. radius, remainder, overshoot (n,): r, R and epsilon of the path's pair. outward (n,):
    the velocity of the distance at the start. wall (n,): whether the start is on the wall.
    """

    paths: Paths
    pair: IntArray
    a: Array
    distance: Array
    radius: Array
    remainder: Array
    overshoot: Array
    outward: Array
    wall: geometry.Mask
    margin: Array

    @property
    def held(self) -> geometry.Mask:
        """(n,): whether the pair dominates with margin 7 at every node of the path."""
        return np.asarray(self.margin.min(axis=0) >= KAPPA)


def _lengths(case: Case, pair: IntArray) -> Array:
    means = case.mixture.means
    return np.linalg.norm(means[pair[:, 0]] - means[pair[:, 1]], axis=1)


def _measure(case: Case, node: int, inset: float) -> Tubes:
    """Starts in the tubes of the closest pairs, and their flow."""
    rng = case.rng("C4.3")
    pairs = geometry.nearest_pairs(case.mixture)[:MAX_PAIRS]
    per_pair = case.pick(1600, 16_000) // len(pairs)
    pieces = [_starts(case, rng, i, j, per_pair, inset) for i, j in pairs]
    starts, wall = (np.concatenate(part) for part in zip(*pieces, strict=True))
    pair = np.repeat(np.array(pairs), per_pair, axis=0)
    paths = flow_from(case, starts, node)
    a, distance = np.empty(paths.y.shape[:2]), np.empty(paths.y.shape[:2])
    radius, remainder, overshoot, outward = (np.empty(len(pair)) for _ in range(4))
    for k, (i, j) in enumerate(pairs):
        rows = slice(k * per_pair, (k + 1) * per_pair)
        frame = geometry.pair(case.mixture, i, j)
        flat, xi = frame.coordinates(paths.y[:, rows].reshape(-1, case.mixture.d))
        a[:, rows] = flat.reshape(-1, per_pair)
        distance[:, rows] = np.linalg.norm(xi, axis=1).reshape(-1, per_pair)
        radius[rows], remainder[rows], overshoot[rows] = _tube(case, i, j)
        split = dynamics.split_drift(case.mixture, frame, starts[rows], float(paths.v[0]))
        size = np.maximum(np.linalg.norm(split.xi, axis=1), 1e-300)
        outward[rows] = (split.xi * split.xi_dot).sum(axis=1) / size
    margin = pair_margins(case, paths, pair)
    return Tubes(paths, pair, a, distance, radius, remainder, overshoot, outward, wall, margin)


def _tube(case: Case, i: int, j: int) -> tuple[float, float, float]:
    """Radius r, remainder R and overshoot epsilon of a pair; r is a twentieth of l where R = 0."""
    remainder = float(bounds.orthogonal_remainder(case.mixture, i, j, KAPPA))
    length = geometry.pair(case.mixture, i, j).length
    overshoot = float(bounds.parallel_excess(case.mixture, i, j, KAPPA))
    return max(remainder, 0.05 * length if remainder == 0.0 else 0.0), remainder, overshoot


def _starts(
    case: Case, rng: np.random.Generator, i: int, j: int, n: int, inset: float
) -> tuple[Array, geometry.Mask]:
    """Points of the tube, three quarters of them on its wall, and which those are."""
    pair = geometry.pair(case.mixture, i, j)
    radius, _, overshoot = _tube(case, i, j)
    overshoot = min(overshoot, 5.0)
    a = rng.uniform(inset - overshoot, 1.0 + overshoot - inset, n)
    xi = rng.standard_normal((n, case.mixture.d))
    xi -= (xi @ pair.direction)[:, None] * pair.direction
    size = np.linalg.norm(xi, axis=1)
    wall = rng.random(n) < 0.75
    reach = 5.0 * pair.length  # a wider tube is vacuous, and its wall is of no interest
    wall &= radius < reach
    radius = min(radius, reach)
    if case.mixture.d > 1:
        xi *= (radius * np.where(wall, 1.0, rng.random(n)) / size)[:, None]
    else:
        xi[:], wall = 0.0, np.zeros(n, dtype=bool)
    return pair.mu_j + a[:, None] * (pair.mu_i - pair.mu_j) + xi, wall


# -- at every place and level --------------------------------------------------------------------


def entered(case: Case, ends: float = 1.0) -> list[Statement] | None:
    """The walls of the closest pair's tube. ends: a factor on the extended segment's length."""
    window = proof_window(case)
    if window is None or case.mixture.d != 2:
        return None
    pair, at = window.pair, (case.mixture, window.pair.i, window.pair.j, KAPPA)
    radius = float(bounds.orthogonal_remainder(*at))
    beyond = float(bounds.parallel_excess(*at))
    if not 0.0 < radius < 0.25 * pair.length:
        return None
    long = ends * pair.length * (0.5 + beyond)
    box = [np.array([-h, h]) for h in (long, radius)]
    law = pair_law(case.mixture, pair)
    return [*walls("tube", law, box, variances(case, window.t))]


CLAIM.must_fail(certified(CLAIM, entered), "a tenth of the segment", ends=0.1)
