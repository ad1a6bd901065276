r"""The distance to any convex set.

Statement: For every convex $K$, $D = dist(y, K)$ along the flow obeys
    $D' \le -D + \sum_k \gamma_k\, dist(\mu_k, K)$: distance is convex, and $y + h(m - y)$ a convex
    combination of $y$ and the means. It holds for the plain segment of a pair, for any weights and
    for hulls of several modes. While a pair dominates with margin $\kappa$ its plain segment obeys
    $D(u) \le e^{-u} D(0) + (1 - e^{-u}) S$ with
    $S = e^{-\kappa} \sum_k \frac{w_k}{\min(w_i, w_j)} dist(\mu_k, K)$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - dominance: one fixed pair dominates from some node on, with more nodes to come (along paths).
Measured: the distance after a step $y + h(m - y)$, $h$ = 1, 0.1 and 0.01, with the engine's $m$,
    for plain segments, hulls of random modes, and random polytopes that contain no mode; and the
    distance to the plain segment along the flow, each path from its own $\tau$, for $\kappa = 7$.
Predicted: at most $D + h(-D + \sum_k \gamma_k\, dist(\mu_k, K))$, for every $h \in [0, 1]$ without
    remainder; and the last bound.
Evidence: sampled: random convex combinations of means with noise, at $v$ from a half to a
    sixtieth of the set's size squared; trajectories.
Source: our sharper form of arXiv 2605.06831 v1, Theorem 4.2 and Lemma G.4
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.support.checks import Array
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Upper, compare
from verify.measure.convex import distance_to_hull
from verify.measure.midpoint.traps import neighbour_pairs, require_distinct_means
from verify.measure.paths import KAPPA, extent, flow_paths, flow_tails, flow_tolerance, tail_witness

CLAIM = Claim.from_docstring(
    __doc__,
    id="X2'",
    short="any convex set",
    rests_on={"G.2": "m is a convex combination of means", "X1": "the clock"},
    sharpens={"T4.2": "plain segment, any weights, no split"},
    needs=(modes(2), one_sigma),
    basis=(Basis.SAMPLED,),
    derivation="derivations/convex_set.py",
    does_not_show=(
        "Anything inside the set, where the distance is zero. With every mode in the set the bound "
        "is a plain contraction; with none of them it is a distance that the flow need not lose."
    ),
)

STEPS = (1.0, 0.1, 0.01)
KINDS = ("segments", "hulls of modes", "polytopes without a mode")


@dataclass(frozen=True)
class Batch:
    """Points y (n, d) at one v against one convex set, and its images under the steps.

    kind: one of KINDS. vertices (m, d) of the set. moved: y after each step of STEPS. before (n,),
    after (STEPS, n): distances to the set. gamma (n, N); mode_distances (N,).
    """

    kind: str
    vertices: Array
    v: float
    y: Array
    moved: list[Array]
    before: Array
    after: Array
    gamma: Array
    mode_distances: Array


def check(case: Case) -> Verdict:
    """Steps of any length, then the plain segment along the flow."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """A faster contraction, and a set that is not convex."""
    return {
        "D' ≤ -1.5 D + ...": _judge(case, speed=1.5),
        "K = the two ends without the segment": _judge(case, convex=False),
    } | narrowest("D' ≤ -(1 + {}) D + ...", lambda more: _judge(case, speed=1.0 + more), 0.5)


def _judge(case: Case, speed: float = 1.0, convex: bool = True) -> Verdict:
    require_distinct_means(case.mixture)
    batches = case.memo("X2' batches", lambda: list(_batches(case)))
    if not convex:
        batches = [_without_inside(case, b) for b in batches if b.kind == KINDS[0]]
    steps = {kind: [b for b in batches if b.kind == kind] for kind in KINDS}
    comparisons = [_steps(case, kind, part, speed) for kind, part in steps.items() if part]
    tails = flow_tails(case, KAPPA)
    dominated = tails.start < len(tails.distance) - 1
    if dominated.any():
        comparisons.insert(0, _along_flow(case, speed))

    def witness(comparison: Comparison) -> dict[str, Any]:
        if comparison.name.startswith("distance to the plain"):
            place = np.argwhere(tails.later())[comparison.index]
            return tail_witness(flow_paths(case), tails, place, comparison.name)
        kind = next(k for k in KINDS if k in comparison.name)
        batch, step, row = _locate(steps[kind], comparison.index)
        where = {"y": batch.y[row], "v": batch.v, "h": STEPS[step]}
        return {"quantity": comparison.name, "vertices": batch.vertices, **where}

    # Without a dominated path the steps alone are judged, which ask for no dominance.
    asked = [Hypothesis("dominance", float(dominated.mean()))] if dominated.any() else []
    finding = Finding(
        comparisons=comparisons,
        hypotheses=[Hypothesis("common_sigma", 1.0, 0.0), *asked],
        nonvacuous_share=_nonvacuous(batches),
        witness=witness,
        unit="path nodes" if dominated.any() else "steps",
        note="" if dominated.any() else "No pair dominates along the flow: steps only.",
        numbers={"convex sets": len(batches), "largest number of vertices": _largest(batches)},
    )
    return CLAIM.judge(case, finding)


def _nonvacuous(batches: list[Batch]) -> float:
    """Share of points outside the set whose bound lets the distance fall."""
    pulls = [(b.before, b.gamma @ b.mode_distances) for b in batches]
    before, pull = (np.concatenate(part) for part in zip(*pulls, strict=True))
    outside = before > 1e-9 * before.max()
    return float(np.mean(pull[outside] < before[outside])) if outside.any() else 0.0


def _largest(batches: list[Batch]) -> int:
    return max(len(b.vertices) for b in batches)


# -- one step ------------------------------------------------------------------------------------


def _steps(case: Case, kind: str, batches: list[Batch], speed: float) -> Comparison:
    measured = np.concatenate([b.after.ravel() for b in batches])
    allowed = np.concatenate([_allowed(b, speed).ravel() for b in batches])
    scale = np.concatenate([np.tile(1.0 + b.before / extent(case.mixture), 3) for b in batches])
    relation = Upper(atol=1e-12 * extent(case.mixture))
    return compare(f"distance after a step, {kind}", relation, measured, allowed, scale=scale)


def _allowed(batch: Batch, speed: float) -> Array:
    """D + h D' with the bound on D', (STEPS, n)."""
    rate = bounds.convex_set_rate(batch.before, batch.gamma, batch.mode_distances)
    rate = rate - (speed - 1.0) * batch.before
    return batch.before + np.array(STEPS)[:, None] * rate


def _locate(batches: list[Batch], index: int) -> tuple[Batch, int, int]:
    """The batch, step and row of a place among all steps of a kind."""
    for batch in batches:
        if index < batch.after.size:
            step, row = divmod(index, len(batch.y))
            return batch, step, row
        index -= batch.after.size
    return batches[-1], 0, 0


def _batches(case: Case) -> Iterator[Batch]:
    rng = case.rng("X2'")
    count = case.pick(120, 1000)
    for kind, vertices in _sets(case, rng):
        yield _batch(case, kind, vertices, _points(case, rng, vertices, count), rng)


def _sets(case: Case, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Segments of neighbours, hulls of random modes, and random polytopes between the modes."""
    means = case.mixture.means
    for pair in neighbour_pairs(case.mixture, case.pick(4, 20)):
        yield KINDS[0], np.array([pair.mu_j, pair.mu_i])
    for _ in range(case.pick(3, 12)):
        size = int(rng.integers(min(3, len(means)), min(len(means), 6) + 1))
        yield KINDS[1], means[rng.choice(len(means), size, replace=False)]
    for _ in range(case.pick(3, 12)):
        size = int(rng.integers(2, 7))
        yield KINDS[2], rng.dirichlet(np.ones(len(means)), size) @ means


def _points(case: Case, rng: np.random.Generator, vertices: Array, n: int) -> Array:
    """Convex combinations of means, a third of them of the vertices, with noise of any size."""
    means, d = case.mixture.means, case.mixture.d
    y = rng.dirichlet(np.full(len(means), 0.3), n) @ means
    y[::3] = rng.dirichlet(np.full(len(vertices), 0.7), len(y[::3])) @ vertices
    size = extent(case.mixture) * 10.0 ** rng.uniform(-6.0, 0.3, (n, 1))
    return y + size * rng.standard_normal((n, d)) / np.sqrt(d)


def _batch(case: Case, kind: str, vertices: Array, y: Array, rng: np.random.Generator) -> Batch:
    mixture = case.mixture
    size2 = float(np.square(np.ptp(vertices, axis=0)).sum())
    v = size2 / float(np.exp(rng.uniform(np.log(2.0), np.log(60.0))))
    velocity = dynamics.mean_field(mixture, y, v) - y
    moved = [y + h * velocity for h in STEPS]
    return Batch(
        kind,
        vertices,
        v,
        y,
        moved,
        before=distance_to_hull(y, vertices),
        after=np.array([distance_to_hull(points, vertices) for points in moved]),
        gamma=dynamics.static_responsibilities(mixture, y, v),
        mode_distances=distance_to_hull(mixture.means, vertices),
    )


def _without_inside(case: Case, batch: Batch) -> Batch:
    """The same points against the vertices alone, a set that is not convex."""

    def nearest(points: Array) -> Array:
        return np.sqrt(geometry.squared_distances(points, batch.vertices).min(axis=1))

    return Batch(
        batch.kind,
        batch.vertices,
        batch.v,
        batch.y,
        batch.moved,
        before=nearest(batch.y),
        after=np.array([nearest(points) for points in batch.moved]),
        gamma=batch.gamma,
        mode_distances=nearest(case.mixture.means),
    )


# -- along the flow ------------------------------------------------------------------------------


def _along_flow(case: Case, speed: float) -> Comparison:
    """Distance to the plain segment of each path's own pair, at every node after its tau."""
    paths, tails = flow_paths(case), flow_tails(case, KAPPA)
    distance = case.memo("X2' distances", lambda: _distances(case))
    later = tails.later()
    start = np.minimum(tails.start, len(paths.times) - 1)
    u = 0.5 * np.log(paths.v[start] / paths.v[:, None])
    at_start = np.broadcast_to(distance[start, np.arange(paths.n)], later.shape)
    pull = tails.per_path(lambda i, j: float(bounds.segment_remainder(case.mixture, i, j, KAPPA)))
    allowed = bounds.tube_distance_u(
        at_start[later], speed * u[later], np.broadcast_to(pull, later.shape)[later]
    )
    relation = Upper(rtol=1e-9, atol=flow_tolerance(case))
    return compare("distance to the plain segment, κ = 7", relation, distance[later], allowed)


def _distances(case: Case) -> Array:
    """(S + 1, n): distance to the segment of each path's own pair, NaN where it has none."""
    paths, tails = flow_paths(case), flow_tails(case, KAPPA)
    distance = np.full(paths.y.shape[:2], np.nan)
    for (i, j), rows in tails.groups():
        flat = paths.y[:, rows].reshape(-1, case.mixture.d)
        ends = case.mixture.means[j], case.mixture.means[i]
        distance[:, rows] = geometry.distance_to_segment(flat, *ends).reshape(-1, len(rows))
    return distance
