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

from collections.abc import Iterator, Sequence

import numpy as np

from mixdyn import bounds
from mixdyn.oracles import affine_hull
from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis
from verify.measure.paths import (
    KAPPA,
    Paths,
    Tails,
    ddim_paths,
    ddim_tails,
    flow_paths,
    flow_tails,
    flow_tolerance,
    node_of_tau_2,
    pair_margins,
    tail_place,
    told_by_tube,
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
    needs=(
        modes(2),
        one_sigma.because(
            "with several widths the flow leaves the segment (X12, certified), whose bound takes "
            "its place"
        ),
    ),
    derivation="derivations/segment/tube.py",
    does_not_show=(
        "That the path ends between its two modes: it converges to the line, and along it to one "
        "of the modes. At a single time the high-probability form says nothing that the marginal "
        "does not say by itself. Dominance of the flow is checked at nodes, not between them."
    ),
)

STRICT = 20.0
DELTA = 0.02


@CLAIM.sampled(unit="path nodes")
def tube(
    case: Case, speed: float = 1.0, remainder: float = 1.0, start: float = 1.0
) -> Iterator[Part]:
    """Flow from tau on, DDIM step by step, and the high-probability form. speed: a factor on u;
    remainder: on R of the paths; start: on the high-probability start."""
    flow, tails = flow_paths(case), flow_tails(case, KAPPA)
    dominated = tails.dominated
    yield Hypothesis("dominance", float(dominated.mean()))
    if not dominated.any():
        return
    for each in (tails, flow_tails(case, STRICT)):
        yield _flow(case, flow, each, speed, remainder)
    yield _ddim(case, speed, remainder)
    node = node_of_tau_2(case, KAPPA)
    if node is not None:
        yield _high_probability(case, flow, tails, node, start)
    yield from told_by_tube(tails)
    yield {
        "median R over the pair's distance": float(np.nanmedian(tails.remainders / tails.lengths)),
        "nodes after τ, mean": float((tails.later() & dominated).sum() / dominated.sum()),
        "share dominated from the node of τ₂ on": (
            None if node is None else float(np.mean(tails.start <= node))
        ),
    }


CLAIM.must_fail(tube, "e^(-2u) in place of e^(-u)", speed=2.0)
CLAIM.must_fail_narrowly(
    tube, "e^(-(1 + {})u) in place of e^(-u)", 1.0, speed=lambda more: 1.0 + more
)
CLAIM.must_fail_narrowly(
    tube, "the high-probability start nearer by a share of {}", 0.99, start=lambda less: 1.0 - less
)
# On a line R is 0.
CLAIM.must_fail(tube, "R = 0", when=lambda case: affine_hull(case.mixture).rank > 1, remainder=0.0)


def _flow(case: Case, paths: Paths, tails: Tails, speed: float, remainder: float) -> Side:
    """The flow from each path's tau on, at every later node."""
    u = 0.5 * np.log(tails.at_start(paths.v) / paths.v[:, None])
    parts = (tails.at_start(tails.distance), speed * u)
    name = f"distance to the line, flow, κ = {tails.kappa:g}"
    radius = remainder * tails.remainders
    return _within(name, paths, tails, (*parts, radius), flow_tolerance(case))


def _ddim(case: Case, speed: float, remainder: float) -> Side:
    """Every DDIM step of a path's tail, with the margin at the step's own node."""
    paths, tails = ddim_paths(case), ddim_tails(case)
    radius = case.memo("DDIM remainders", lambda: _remainders(case, paths, tails))
    rho = case.schedule.rho[paths.times]
    keep = (paths.v[-1] + np.sqrt(rho[:-1] * rho[1:])) / paths.v[:-1]
    u = np.append(-np.log(keep), 0.0)[:, None]
    before = [np.roll(part, 1, axis=0) for part in (tails.distance, speed * u, remainder * radius)]
    name = "distance to the line, DDIM steps"
    return _within(name, paths, tails, before, 1e-3 * flow_tolerance(case))


def _within(name: str, paths: Paths, tails: Tails, parts: Sequence[Array], atol: float) -> Side:
    """The distance at the later nodes of the tails against the bound from a distance, an intrinsic
    time and a remainder."""
    later = tails.later()
    distance, u, radius = (np.where(later, part, 0.0) for part in parts)
    return Side(
        name,
        tails.distance,
        at_most=bounds.tube_distance_u(distance, u, radius),
        tolerance=Tolerance(rtol=1e-9, atol=atol),
        among=later,
        where=lambda node, path: tail_place(paths, tails, node, path),
    )


def _remainders(case: Case, paths: Paths, tails: Tails) -> Array:
    """R of each path's own pair at the margin it has at every node, (S + 1, n)."""
    margin = pair_margins(case, paths, tails.pair)
    remainder = np.zeros(margin.shape)
    if case.mixture.N > 2:  # else there is no other mode, and the margin is infinite
        for (i, j), rows in tails.groups:
            remainder[:, rows] = bounds.orthogonal_remainder(case.mixture, i, j, margin[:, rows])
    return remainder


def _high_probability(case: Case, paths: Paths, tails: Tails, node: int, start: float) -> Side:
    """Paths dominated from the node of tau_2 on that leave the high-probability tube later."""
    dominated = tails.start <= node
    radius = np.where(dominated, tails.remainders, 0.0)
    outside = np.zeros(paths.n, dtype=bool)
    for t, distance in zip(paths.times[node:], tails.distance[node:], strict=True):
        alpha_t = float(case.schedule.alpha[t])
        sigma_t = alpha_t * np.sqrt(float(case.mixture.sigma) ** 2 + case.schedule.rho[t])
        allowed = bounds.tube_distance_high_probability(
            case.mixture.d, DELTA, start * sigma_t, alpha_t, radius
        )
        outside |= dominated & (alpha_t * np.nan_to_num(distance) > allowed)
    name = f"share outside the tube of δ = {DELTA:g} from raw time {int(paths.times[node])} on"
    return Side(name, Proportion(int(outside.sum()), paths.n), at_most=DELTA)
