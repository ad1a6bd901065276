r"""Trapping in the extended segment.

Statement: Let $\epsilon \ge \sum_{k \notin \{i,j\}} \gamma_k \max(a_k - 1, -a_k, 0)$. The flow
    pulls the parallel coordinate $a$ into $[-\epsilon, 1 + \epsilon]$: its distance $D$ to that
    interval obeys $D' \le -D$, so the interval is invariant and $D(u) \le e^{-u} D(0)$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - dominance: one fixed pair dominates from some node on, with more nodes to come (along paths).
Measured: the velocity of $a$ at states of the flow and of the reverse SDE for random pairs, whether
    they dominate or not, with $\epsilon$ the sum at the state itself; and $D$ along the flow from
    each path's $\tau$ on, with $\epsilon$ bounded by the margin $\kappa = 7$ of its own pair.
Predicted: at most $-D$; at most $\sqrt{v/v_\tau}\, D(\tau)$.
Evidence: sampled states and trajectories, solved to 1e-11.
Source: arXiv 2605.06831 v1, Lemma G.4
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.support.checks import Array, IntArray
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Upper, compare
from verify.measure.midpoint.traps import require_distinct_means
from verify.measure.paths import (
    KAPPA,
    flow_paths,
    flow_tails,
    flow_tolerance,
    reverse_paths,
    tail_witness,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="G.4",
    short="extended segment",
    rests_on={"G.3": "the weight of the other modes"},
    needs=(modes(2), one_sigma),
    basis=(Basis.SAMPLED,),
    derivation="derivations/extended_segment.py",
    does_not_show=(
        "Where in the interval a path ends, or how it moves there: inside, nothing is said. "
        "Dominance along the flow is checked at nodes, not between them."
    ),
)

PAIRS_PER_NODE = 6
Parts = dict[str, Array]


def check(case: Case) -> Verdict:
    """Velocity at states, then the distance along the flow."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """Faster contractions, and (where a mode lies beyond a pair) no extension."""
    found = {"D' ≤ -1.5 D": _judge(case, speed=1.5)} | narrowest(
        "D' ≤ -(1 + {}) D", lambda more: _judge(case, speed=1.0 + more), 0.5
    )
    if (_at_states(case)["excess"] > 1e-3).any():
        found["ε = 0"] = _judge(case, extension=0.0)
    return found


def _judge(case: Case, speed: float = 1.0, extension: float = 1.0) -> Verdict:
    """speed: the rate of contraction; extension: a factor on epsilon."""
    require_distinct_means(case.mixture)
    tails = flow_tails(case, KAPPA)
    dominated = tails.start < len(tails.distance) - 1
    parts = _at_states(case)
    comparisons = [_velocity(parts, speed, extension)]
    overshoot = np.zeros(0)
    if dominated.any():
        overshoot = extension * tails.per_path(lambda i, j: _overshoot(case, i, j))
        along = _along_flow(case, overshoot, speed)
        comparisons = [*along, *comparisons]
        overshoot = overshoot[dominated]
    paths = flow_paths(case)

    def witness(comparison: Comparison) -> dict[str, Any]:
        if comparison is not comparisons[-1]:
            place = along[comparison][comparison.index]
            return tail_witness(paths, tails, place, comparison.name)
        k = _outside(parts, extension)[comparison.index]
        pair = [int(parts["i"][k]), int(parts["j"][k])]
        return {"quantity": comparison.name, "y": parts["y"][k], "v": parts["v"][k], "pair": pair}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[
            Hypothesis("common_sigma", 1.0, 0.0),
            # Velocities at states do not ask for it.
            *([Hypothesis("dominance", float(dominated.mean()))] if dominated.any() else []),
        ],
        nonvacuous_share=float(np.mean(overshoot < 0.5)) if dominated.any() else 1.0,
        witness=witness,
        unit="path nodes" if dominated.any() else "states",
        note="" if dominated.any() else "No pair dominates along the flow: velocities only.",
        numbers={
            "largest ε of a dominating pair": float(overshoot.max()) if overshoot.size else None,
            "largest ε at a state": float(parts["excess"].max()),
        },
    )
    return CLAIM.judge(case, finding)


def _distance(a: Array, epsilon: Array) -> Array:
    """Distance of a to [-epsilon, 1 + epsilon]."""
    return np.maximum(np.maximum(a - 1.0, -a) - epsilon, 0.0)


def _outside(parts: Parts, extension: float) -> IntArray:
    return np.flatnonzero(_distance(parts["a"], extension * parts["excess"]) > 0.0)


def _velocity(parts: Parts, speed: float, extension: float) -> Comparison:
    """Outward velocity of a at the states outside the interval."""
    rows = _outside(parts, extension)
    if rows.size == 0:  # one point at which nothing is claimed
        return compare("outward velocity of a", Upper(atol=1e-12), 0.0, 0.0)
    a = parts["a"][rows]
    distance = _distance(a, extension * parts["excess"][rows])
    outward = np.where(a > 0.5, 1.0, -1.0) * parts["a_dot"][rows]
    scale = 1.0 + np.abs(a)
    relation = Upper(atol=1e-12)
    return compare("outward velocity of a", relation, outward, -speed * distance, scale=scale)


def _overshoot(case: Case, i: int, j: int) -> float:
    return float(bounds.parallel_excess(case.mixture, i, j, KAPPA))


def _along_flow(case: Case, overshoot: Array, speed: float) -> dict[Comparison, IntArray]:
    """D at every node after each path's tau, outside and inside the interval at tau; by comparison
    its places (node, path)."""
    paths, tails = flow_paths(case), flow_tails(case, KAPPA)
    a = case.memo("G.4 coordinates", lambda: _coordinates(case))
    later = tails.later()
    start = np.minimum(tails.start, len(paths.times) - 1)
    at_start = _distance(a[start, np.arange(paths.n)], overshoot)
    contraction = (paths.v[:, None] / paths.v[start]) ** (0.5 * speed)
    length = tails.per_path(lambda i, j: geometry.pair(case.mixture, i, j).length)
    scale = np.broadcast_to(1.0 / length, later.shape)
    found = {}
    for name, chosen in (("outside", at_start > 0.0), ("inside", at_start == 0.0)):
        places = later & chosen
        if not places.any():
            continue
        comparison = compare(
            f"distance of a to the interval, from {name}",
            Upper(rtol=1e-9, atol=flow_tolerance(case)),
            _distance(a, overshoot)[places],
            (contraction * at_start)[places],
            scale=scale[places],
        )
        found[comparison] = np.argwhere(places)
    return found


def _coordinates(case: Case) -> Array:
    """(S + 1, n): a along each path's own pair, NaN where it has none."""
    paths, tails = flow_paths(case), flow_tails(case, KAPPA)
    a = np.full(paths.y.shape[:2], np.nan)
    for (i, j), rows in tails.groups():
        flat, _ = geometry.pair(case.mixture, i, j).coordinates(
            paths.y[:, rows].reshape(-1, case.mixture.d)
        )
        a[:, rows] = flat.reshape(-1, len(rows))
    return a


def _at_states(case: Case) -> Parts:
    """Coordinate, velocity and the sum that epsilon bounds, at states with random pairs."""

    def measure() -> Parts:
        pieces = [_at_pair(case, *group) for group in _groups(case)]
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    return case.memo("G.4 states", measure)


def _groups(case: Case) -> Iterator[tuple[Array, float, int, int]]:
    """States of one node with one random pair of different modes."""
    rng, mixture = case.rng("G.4"), case.mixture
    i, j = np.triu_indices(mixture.N, k=1)
    count = case.pick(128, 2048)
    for paths in (flow_paths(case), reverse_paths(case)):
        for k in np.unique(np.linspace(0, len(paths.times) - 1, 10).astype(int)):
            rows = rng.integers(0, paths.n, count)
            for p in rng.integers(0, len(i), PAIRS_PER_NODE).tolist():
                yield paths.y[k, rows], float(paths.v[k]), int(i[p]), int(j[p])


def _at_pair(case: Case, y: Array, v: float, i: int, j: int) -> Parts:
    mixture = case.mixture
    pair = geometry.pair(mixture, i, j)
    split = dynamics.split_drift(mixture, pair, y, v)
    gamma = dynamics.static_responsibilities(mixture, y, v)
    a_modes, _ = pair.coordinates(mixture.means)
    beyond = np.maximum(np.maximum(a_modes - 1.0, -a_modes), 0.0)
    beyond[[i, j]] = 0.0
    wide = np.ones(len(y))
    return {
        "y": y,
        "v": v * wide,
        "i": i * wide,
        "j": j * wide,
        "a": split.a,
        "a_dot": split.a_dot,
        "excess": gamma @ beyond,
    }
