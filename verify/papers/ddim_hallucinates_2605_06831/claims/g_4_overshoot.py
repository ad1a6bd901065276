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

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis
from verify.measure.paths import (
    KAPPA,
    flow_paths,
    flow_tails,
    flow_tolerance,
    stacked,
    states_at_nodes,
    tail_place,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="G.4",
    short="extended segment",
    rests_on={"G.3": "the weight of the other modes"},
    needs=(
        modes(2),
        one_sigma.because(
            "the field splits along and across a pair only where directions share a clock"
        ),
    ),
    derivation="derivations/segment/extended_segment.py",
    does_not_show=(
        "Where in the interval a path ends, or how it moves there: inside, nothing is said. "
        "Dominance along the flow is checked at nodes, not between them."
    ),
)

PAIRS_PER_NODE = 6
States = dict[str, Array]


@CLAIM.sampled(unit="path nodes")
def contraction(case: Case, speed: float = 1.0, extension: float = 1.0) -> Iterator[Part]:
    """The distance along the flow, then velocity at states. speed: the rate of contraction;
    extension: a factor on epsilon."""
    tails = flow_tails(case, KAPPA)
    dominated, largest = tails.dominated, None
    if dominated.any():
        epsilon = extension * tails.per_path(
            lambda i, j: float(bounds.parallel_excess(case.mixture, i, j, KAPPA))
        )
        largest = float(epsilon[dominated].max())
        yield Hypothesis("dominance", float(dominated.mean()))
        yield Facts(nonvacuous=float(np.mean(epsilon[dominated] < 0.5)))
        yield from _along_flow(case, epsilon, speed)
    else:  # velocities at states do not ask for it
        yield Facts(unit="states")
        yield "No pair dominates along the flow: velocities only."
    states = _at_states(case)
    yield _velocity(states, speed, extension)
    yield {
        "largest ε of a dominating pair": largest,
        "largest ε at a state": float(states["excess"].max()),
    }


def _along_flow(case: Case, epsilon: Array, speed: float) -> Iterator[Side]:
    """D at every node after each path's tau, outside and inside the interval at tau."""
    paths, tails = flow_paths(case), flow_tails(case, KAPPA)
    a = tails.along(paths, lambda i, j, y: geometry.pair(case.mixture, i, j).coordinates(y)[0])
    distance = _distance(a, epsilon)
    at_start = tails.at_start(distance)
    contracted = (paths.v[:, None] / tails.at_start(paths.v)) ** (0.5 * speed) * at_start
    length = tails.lengths
    for name, chosen in (("outside", at_start > 0.0), ("inside", at_start == 0.0)):
        yield Side(
            f"distance of a to the interval, from {name}",
            distance,
            at_most=contracted,
            among=tails.later() & chosen,
            tolerance=Tolerance(rtol=1e-9, atol=flow_tolerance(case)),
            scale=1.0 / length,
            where=lambda node, path: tail_place(paths, tails, node, path),
        )


def _velocity(states: States, speed: float, extension: float) -> Side:
    """Outward velocity of a at the states outside the interval."""
    a = states["a"]
    distance = _distance(a, extension * states["excess"])
    return Side(
        "outward velocity of a",
        np.where(a > 0.5, 1.0, -1.0) * states["a_dot"],
        at_most=-speed * distance,
        among=distance > 0.0,
        tolerance=Tolerance(atol=1e-12),
        scale=1.0 + np.abs(a),
        where={name: states[name] for name in ("y", "v", "pair")},
    )


def _distance(a: Array, epsilon: Array) -> Array:
    """Distance of a to [-epsilon, 1 + epsilon]."""
    return np.maximum(np.maximum(a - 1.0, -a) - epsilon, 0.0)


CLAIM.must_fail(contraction, "D' ≤ -1.5 D", speed=1.5)
CLAIM.must_fail_narrowly(contraction, "D' ≤ -(1 + {}) D", 0.5, speed=lambda more: 1.0 + more)
CLAIM.must_fail(
    contraction,
    "ε = 0",
    when=lambda case: bool((_at_states(case)["excess"] > 1e-3).any()),
    extension=0.0,
)


def _at_states(case: Case) -> States:
    """Coordinate, velocity and the sum that epsilon bounds, at states with random pairs."""
    return case.memo(
        "G.4 states", lambda: stacked(_at_pair(case, *group) for group in _groups(case))
    )


def _groups(case: Case) -> Iterator[tuple[Array, float, int, int]]:
    """States of one node with one random pair of different modes."""
    rng, mixture = case.rng("G.4"), case.mixture
    i, j = np.triu_indices(mixture.N, k=1)
    count = case.pick(128, 2048)
    for y, v in states_at_nodes(case, 0, 10):
        rows = rng.integers(0, len(y), count)
        for p in rng.integers(0, len(i), PAIRS_PER_NODE).tolist():
            yield y[rows], v, int(i[p]), int(j[p])


def _at_pair(case: Case, y: Array, v: float, i: int, j: int) -> States:
    mixture = case.mixture
    pair = geometry.pair(mixture, i, j)
    split = dynamics.split_drift(mixture, pair, y, v)
    gamma = dynamics.static_responsibilities(mixture, y, v)
    a_modes, _ = pair.coordinates(mixture.means)
    beyond = np.maximum(np.maximum(a_modes - 1.0, -a_modes), 0.0)
    beyond[[i, j]] = 0.0
    return {
        "y": y,
        "v": np.full(len(y), v),
        "pair": np.tile([i, j], (len(y), 1)),
        "a": split.a,
        "a_dot": split.a_dot,
        "excess": gamma @ beyond,
    }
