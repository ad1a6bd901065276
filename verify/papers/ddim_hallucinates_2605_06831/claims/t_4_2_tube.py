r"""Convergence to the tube around a segment.

Statement: If from $\tau$ on one pair dominates with margin $\kappa$, the distance of the flow to
    the line through its two modes obeys $d_\perp(y_t) \le e^{-u} d_\perp(y_\tau) + (1 - e^{-u})
    R$, $u$ the intrinsic time since $\tau$ and $R = e^{-\kappa} \frac{1 - w_i - w_j}{\min(w_i,
    w_j)} \max_k d_\perp(\mu_k)$. With probability at least $1 - \delta$ the start obeys
    $d_\perp(x_\tau) \le \sigma_\tau \sqrt{d + 2\sqrt{d \log(1/\delta)} + 2 \log(1/\delta)}$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - dominance: one fixed pair dominates from some node on, with more nodes to come.
Measured: distances along the flow at the nodes of the papers' grid, each path from its own
    $\tau$, for $\kappa$ = 7 and 20; the same for DDIM step by step; and how often dominance holds
    from the fixed time $\tau_2$ on yet the high-probability tube is left.
Predicted: the bound. For a DDIM step $e^{-u}$ becomes $c = (\sigma^2 + \sqrt{\rho_t \rho_s})/v_t
    \le \sqrt{v_s/v_t}$ and $\kappa$ the margin at the node, for which the statement is exact:
    DDIM converges at least as fast as its limit.
Evidence: sampled trajectories from $p_t$ at the first node, solved to 1e-11.
Source: arXiv 2605.06831 v1, Theorem 4.2
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.oracles import affine_hull
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import Proportion
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Statistical, Upper, compare, compare_rate
from verify.measure.paths import (
    KAPPA,
    Paths,
    Tails,
    ddim_paths,
    dominated_tails,
    flow_paths,
    flow_tails,
    flow_tolerance,
    node_of_tau_2,
    pair_margins,
    tail_witness,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="T4.2",
    short="tube convergence",
    rests_on={
        "G.3": "the remainder R",
        "A4.1": "one pair dominates to the end",
        "G.5": "the distance at the start",
    },
    needs=(modes(2), one_sigma),
    basis=(Basis.SAMPLED,),
    derivation="derivations/tube.py",
    does_not_show=(
        "That the path ends between its two modes: it converges to the line, and along it to one "
        "of the modes. At a single time the high-probability form says nothing that the marginal "
        "does not say by itself. Dominance of the flow is checked at nodes, not between them."
    ),
)

STRICT = 20.0
DELTA = 0.02


def check(case: Case) -> Verdict:
    """Flow from tau on, DDIM step by step, and the high-probability form."""
    return _judge(case, Bound())


def mutants(case: Case) -> dict[str, Verdict]:
    """Faster contractions, starts nearer to the line, and (where other modes pull) no remainder."""
    found = {"e^(-2u) in place of e^(-u)": _judge(case, Bound(speed=2.0))} | narrowest(
        "e^(-(1 + {})u) in place of e^(-u)",
        lambda more: _judge(case, Bound(speed=1.0 + more)),
        1.0,
    )
    found |= narrowest(
        "the high-probability start nearer by a share of {}",
        lambda less: _judge(case, Bound(start=1.0 - less)),
        0.99,
    )
    if affine_hull(case.mixture).rank > 1:  # else R is 0
        found["R = 0"] = _judge(case, Bound(remainder=0.0))
    return found


@dataclass(frozen=True)
class Bound:
    """The right-hand side, with factors on its parts that a mutant changes."""

    speed: float = 1.0
    remainder: float = 1.0
    start: float = 1.0  # of the high-probability form

    def radius(self, case: Case, tails: Tails) -> Array:
        """R of each path's own pair, (n,), NaN without one."""

        def value(i: int, j: int) -> float:
            return float(bounds.orthogonal_remainder(case.mixture, i, j, tails.kappa))

        return tails.per_path(value)

    def after(self, distance: Array, u: Array, remainder: Array) -> Array:
        """The distance allowed after a contraction by e^(-u)."""
        return bounds.tube_distance_u(distance, self.speed * u, self.remainder * remainder)


@dataclass(frozen=True)
class Side:
    """A comparison over (node, path) places, with what it takes to name its worst place."""

    comparison: Comparison
    paths: Paths
    tails: Tails
    places: IntArray

    def witness(self) -> dict[str, Any]:
        """The worst path: its start, its pair, and the node at which the bound is closest."""
        worst = self.comparison
        return tail_witness(self.paths, self.tails, self.places[worst.index], worst.name)


def _judge(case: Case, bound: Bound) -> Verdict:
    flow = flow_paths(case)
    tails = {kappa: flow_tails(case, kappa) for kappa in (KAPPA, STRICT)}
    dominated = tails[KAPPA].start < len(flow.times) - 1
    hypotheses = [
        Hypothesis("common_sigma", 1.0, 0.0),
        Hypothesis("dominance", float(dominated.mean())),
    ]
    if not dominated.any():
        return CLAIM.judge(case, Finding(hypotheses=hypotheses, applicable_share=0.0))
    sides = [_flow(case, flow, part, bound) for part in tails.values() if part.later().any()]
    sides.append(_ddim(case, bound))
    comparisons = [side.comparison for side in sides]
    fixed_time = _high_probability(case, flow, tails[KAPPA], bound)
    comparisons += [] if fixed_time is None else [fixed_time]
    later = tails[KAPPA].later() & dominated
    radius = bound.radius(case, tails[KAPPA])
    length = tails[KAPPA].per_path(lambda i, j: geometry.pair(case.mixture, i, j).length)
    matters = np.nanmax(tails[KAPPA].distance) > 1e-9 * np.nanmax(length)

    def witness(comparison: Comparison) -> dict[str, Any]:
        side = next((s for s in sides if s.comparison is comparison), sides[0])
        return side.witness()

    finding = Finding(
        comparisons=comparisons,
        hypotheses=hypotheses,
        applicable_share=float(dominated.mean()),
        nonvacuous_share=float(np.mean(radius[dominated] < length[dominated])) if matters else 0.0,
        witness=witness,
        unit="path nodes",
        note="" if matters else "Every state lies on every line through two modes.",
        numbers={
            "median R over the pair's distance": float(np.nanmedian(radius / length)),
            "nodes after τ, mean": float(later.sum() / dominated.sum()),
            "share dominated from the node of τ₂ on": _from_tau_2(case, tails[KAPPA]),
        },
    )
    return CLAIM.judge(case, finding)


def _flow(case: Case, paths: Paths, tails: Tails, bound: Bound) -> Side:
    """The flow from each path's tau on, at every later node."""
    later = tails.later()
    u = _since_start(paths, tails)
    at_start = np.take_along_axis(tails.distance, _clipped(paths, tails)[None], axis=0)
    allowed = bound.after(
        np.broadcast_to(at_start, u.shape)[later],
        u[later],
        np.broadcast_to(bound.radius(case, tails), u.shape)[later],
    )
    worst = compare(
        f"distance to the line, flow, κ = {tails.kappa:g}",
        Upper(rtol=1e-9, atol=flow_tolerance(case)),
        tails.distance[later],
        allowed,
    )
    return Side(worst, paths, tails, np.argwhere(later))


def _clipped(paths: Paths, tails: Tails) -> np.ndarray:
    # Paths without a tail have no later node; any valid index serves as their start.
    return np.minimum(tails.start, len(paths.times) - 1)


def _since_start(paths: Paths, tails: Tails) -> Array:
    """Intrinsic time since each path's tau, (S + 1, n); meaningful at later nodes only."""
    v_start = paths.v[_clipped(paths, tails)]
    return np.asarray(0.5 * np.log(v_start[None, :] / paths.v[:, None]))


def _ddim(case: Case, bound: Bound) -> Side:
    """Every DDIM step of a path's tail, with the margin at the step's own node."""
    paths = ddim_paths(case)
    tails = case.memo("DDIM tails", lambda: dominated_tails(case, paths))
    remainder = case.memo("DDIM remainders", lambda: _remainders(case, paths, tails))
    later = tails.later()
    later[0] = False
    before = np.roll(later, -1, axis=0)
    rho = case.schedule.rho[paths.times]
    keep = (paths.v[-1] + np.sqrt(rho[:-1] * rho[1:])) / paths.v[:-1]
    u = np.broadcast_to(np.append(-np.log(keep), 0.0)[:, None], later.shape)
    allowed = bound.after(tails.distance[before], u[before], remainder[before])
    worst = compare(
        "distance to the line, DDIM steps",
        Upper(rtol=1e-9, atol=1e-3 * flow_tolerance(case)),
        tails.distance[later],
        allowed,
    )
    return Side(worst, paths, tails, np.argwhere(later))


def _remainders(case: Case, paths: Paths, tails: Tails) -> Array:
    """R of each path's own pair at the margin it has at every node, (S + 1, n)."""
    margin = pair_margins(case, paths, tails.pair)
    remainder = np.zeros(margin.shape)
    if case.mixture.N > 2:  # else there is no other mode, and the margin is infinite
        for (i, j), rows in tails.groups():
            remainder[:, rows] = bounds.orthogonal_remainder(case.mixture, i, j, margin[:, rows])
    return remainder


def _from_tau_2(case: Case, tails: Tails) -> float | None:
    node = node_of_tau_2(case, KAPPA)
    return None if node is None else float(np.mean(tails.start <= node))


def _high_probability(case: Case, paths: Paths, tails: Tails, bound: Bound) -> Comparison | None:
    """Paths dominated from the node of tau_2 on that leave the high-probability tube later."""
    node = node_of_tau_2(case, KAPPA)
    if node is None:
        return None
    dominated = tails.start <= node
    radius = np.where(dominated, bound.radius(case, tails), 0.0)
    outside = np.zeros(paths.n, dtype=bool)
    sigma = float(case.mixture.sigma)
    for k in range(node, len(paths.times)):
        alpha_t = float(case.schedule.alpha[paths.times[k]])
        sigma_t = alpha_t * np.sqrt(sigma**2 + case.schedule.rho[paths.times[k]])
        allowed = bounds.tube_distance_high_probability(
            case.mixture.d, DELTA, bound.start * sigma_t, alpha_t, radius
        )
        outside |= dominated & (alpha_t * np.nan_to_num(tails.distance[k]) > allowed)
    name = f"share outside the tube of δ = {DELTA:g} from raw time {int(paths.times[node])} on"
    return compare_rate(name, Statistical(), Proportion(int(outside.sum()), paths.n), DELTA)
