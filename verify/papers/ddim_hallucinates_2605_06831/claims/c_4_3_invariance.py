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
Evidence: sampled starts, solved to 1e-11.
Source: arXiv 2605.06831 v1, Corollary 4.3
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.support.checks import Array, IntArray
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Upper, compare
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
    needs=(modes(2), one_sigma),
    basis=(Basis.SAMPLED,),
    derivation="derivations/tube_invariance.py",
    does_not_show=(
        "That a path stays near the midpoint: the tube contains both modes, and inside it every "
        "generic path ends at one of them. Dominance is checked at nodes, not between them."
    ),
)

MAX_PAIRS = 40


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


def check(case: Case) -> Verdict:
    """Paths from the tube, and the velocity on its wall."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """Tubes that shrink, starts in half of the segment, and a segment that is too short."""
    found = {"only the middle half of the segment": _judge(case, inset=0.25)} | narrowest(
        "a segment shorter by {} l at both ends", lambda less: _judge(case, short=less), 0.25
    )
    if case.mixture.d > 1:
        found["radius shrinking as e^(-2u)"] = _judge(case, shrink=2.0)
        found |= narrowest(
            "radius shrinking as e^(-{}u)", lambda rate: _judge(case, shrink=rate), 2.0
        )
    return found


def _judge(case: Case, inset: float = 0.0, shrink: float = 0.0, short: float = 0.0) -> Verdict:
    """inset: how much shorter the segment is at both ends, starts included; short: the same with
    the starts left; shrink: rate at which r falls in u (mutants)."""
    node = node_of_tau_2(case, KAPPA)
    common = Hypothesis("common_sigma", 1.0, 0.0)
    if node is None:
        finding = Finding(
            hypotheses=[common, Hypothesis("separation", 0.0)],
            note="The closest pair is not separated with margin 7 at any noisy node.",
        )
        return CLAIM.judge(case, finding)
    tubes = case.memo(f"C4.3 tubes {inset}", lambda: _measure(case, node, inset))
    worst_margin = tubes.margin.min(axis=0)
    held = worst_margin >= KAPPA
    hypotheses = [
        common,
        Hypothesis("separation", 1.0, 0.0),
        Hypothesis.from_slack("dominance", np.minimum(worst_margin, 1e300) - KAPPA),
    ]
    if not held.any():
        return CLAIM.judge(case, Finding(hypotheses=hypotheses, applicable_share=0.0))
    comparisons = _comparisons(case, tubes, held, inset + short, shrink)
    rows = np.flatnonzero(held)

    def witness(comparison: Comparison) -> dict[str, Any]:
        places = np.flatnonzero(held & tubes.wall) if "velocity" in comparison.name else rows
        path = places[comparison.index % len(places)]
        start = {"y_start": tubes.paths.y[0, path], "t_start": int(tubes.paths.times[0])}
        return {"quantity": comparison.name, **start, "pair": tubes.pair[path]}

    length = _lengths(case, tubes.pair)
    finding = Finding(
        comparisons=comparisons,
        hypotheses=hypotheses,
        applicable_share=float(held.mean()),
        nonvacuous_share=float(np.mean(tubes.radius[held] < length[held])),
        witness=witness,
        unit="path nodes",
        numbers={
            "R over the pair's distance, largest": float((tubes.remainder / length).max()),
            "ε, largest": float(tubes.overshoot.max()),
            "raw time of the start": int(tubes.paths.times[0]),
        },
    )
    return CLAIM.judge(case, finding)


def _comparisons(
    case: Case, tubes: Tubes, held: geometry.Mask, inset: float, shrink: float
) -> list[Comparison]:
    v = tubes.paths.v[1:, None]
    radius = tubes.radius[held] * (v / tubes.paths.v[0]) ** (0.5 * shrink)
    beyond = np.maximum(tubes.a - 1.0, -tubes.a)[1:, held]
    tolerance = flow_tolerance(case)
    relation = Upper(rtol=1e-9, atol=tolerance / float(_lengths(case, tubes.pair).min()))
    comparisons = [compare("overshoot", relation, beyond, tubes.overshoot[held] - inset)]
    on_wall = held & tubes.wall
    if case.mixture.d > 1:
        comparisons = [
            compare("distance", Upper(rtol=1e-9, atol=tolerance), tubes.distance[1:, held], radius),
            *comparisons,
        ]
    if on_wall.any():
        comparisons.append(
            compare(
                "outward velocity on the wall",
                Upper(rtol=1e-9, atol=tolerance),
                tubes.outward[on_wall],
                (tubes.remainder - tubes.radius)[on_wall],
            )
        )
    return comparisons


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
