r"""The distance to the line shrinks exactly as the marginal's standard deviation.

Statement: Under the hypotheses of Theorem 4.2, $\big| d_\perp(x_t) - \frac{\sigma_t}{\sigma_\tau}
    d_\perp(x_\tau) \big| \le \alpha_t R$: an upper bound that depends on the schedule only
    through $\sigma_t/\sigma_\tau$, and a lower one, so that nothing converges faster.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - dominance: one fixed pair dominates from some node on, with more nodes to come.
Measured: distance of $x_t$ to the line through the two modes, along the flow at the nodes of the
    papers' grid, each path from its own $\tau$, for $\kappa$ = 7 and 20.
Predicted: the two bounds; truth at the worst path is the closed-form flow map where it exists.
Evidence: sampled trajectories from $p_t$ at the first node, solved to 1e-11.
Source: our sharper form of arXiv 2605.06831 v1, Theorem 4.2
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import NotApplicableError
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Lower, Upper, compare
from verify.measure.paths import (
    KAPPA,
    Paths,
    Tails,
    flow_paths,
    flow_tails,
    flow_tolerance,
    tail_witness,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="X2",
    short="shrinks as sigma_t",
    rests_on={"T4.2": "the tube", "X1": "e^-u as a ratio of standard deviations"},
    sharpens={"T4.2": "the same bound, without a schedule"},
    needs=(modes(2), one_sigma),
    basis=(Basis.SAMPLED,),
    does_not_show=(
        "Where along the line a path ends. R bounds the pull of the other modes by adding lengths; "
        "while they matter the distance may follow neither side closely. Dominance is checked at "
        "nodes, not between them."
    ),
)

STRICT = 20.0


def check(case: Case) -> Verdict:
    """Both sides of the bound along the flow."""
    return _judge(case, exponent=1.0)


def mutants(case: Case) -> dict[str, Verdict]:
    """Shrinking as the variance, as its fourth root, and next to as the standard deviation."""
    return {
        "(σ_t/σ_τ)² in place of σ_t/σ_τ": _judge(case, exponent=2.0),
        "(σ_t/σ_τ)^(1/2) in place of σ_t/σ_τ": _judge(case, exponent=0.5),
    } | narrowest(
        "(σ_t/σ_τ)^(1 + {}) in place of σ_t/σ_τ",
        lambda more: _judge(case, exponent=1.0 + more),
        1.0,
    )


def _judge(case: Case, exponent: float) -> Verdict:
    paths = flow_paths(case)
    tails = {kappa: flow_tails(case, kappa) for kappa in (KAPPA, STRICT)}
    dominated = tails[KAPPA].start < len(paths.times) - 1
    hypotheses = [
        Hypothesis("common_sigma", 1.0, 0.0),
        Hypothesis("dominance", float(dominated.mean())),
    ]
    if not dominated.any():
        return CLAIM.judge(case, Finding(hypotheses=hypotheses, applicable_share=0.0))
    used = {k: part for k, part in tails.items() if part.later().any()}
    sides = [c for part in used.values() for c in _sides(case, paths, part, exponent)]
    places = {part.kappa: np.argwhere(part.later()) for part in used.values()}
    length = tails[KAPPA].per_path(lambda i, j: geometry.pair(case.mixture, i, j).length)
    radius = _radius(case, tails[KAPPA])
    matters = np.nanmax(tails[KAPPA].distance) > 1e-9 * np.nanmax(length)

    def witness(comparison: Comparison) -> dict[str, Any]:
        kappa = KAPPA if f"κ = {KAPPA:g}" in comparison.name else STRICT
        return tail_witness(paths, tails[kappa], places[kappa][comparison.index], comparison.name)

    first = sides[0]
    finding = Finding(
        comparisons=sides,
        hypotheses=hypotheses,
        applicable_share=float(dominated.mean()),
        nonvacuous_share=float(np.mean(radius[dominated] < length[dominated])) if matters else 0.0,
        truth=_truth(case, paths, tails[KAPPA], places[KAPPA][first.index]),
        witness=witness,
        unit="path nodes",
        note="" if matters else "Every state lies on every line through two modes.",
    )
    return CLAIM.judge(case, finding)


def _radius(case: Case, tails: Tails) -> Array:
    def value(i: int, j: int) -> float:
        return float(bounds.orthogonal_remainder(case.mixture, i, j, tails.kappa))

    return tails.per_path(value)


def _sides(case: Case, paths: Paths, tails: Tails, exponent: float) -> list[Comparison]:
    """Upper and lower bound at every node after each path's tau, in the coordinates x."""
    later = tails.later()
    alpha = case.schedule.alpha[paths.times]
    sigma_t = alpha * np.sqrt(paths.v)
    start = np.minimum(tails.start, len(paths.times) - 1)
    rows = np.arange(paths.n)
    here = (alpha[:, None] * tails.distance)[later]
    at_start = np.broadcast_to(alpha[start] * tails.distance[start, rows], later.shape)[later]
    from_std = np.broadcast_to(sigma_t[start], later.shape)[later]
    to_std = np.broadcast_to(sigma_t[:, None], later.shape)[later]
    pull = np.broadcast_to(alpha[:, None], later.shape)[later]
    remainder = np.broadcast_to(_radius(case, tails), later.shape)[later]
    # A mutant's other power of the ratio, written as another standard deviation at the end.
    to_std = from_std * (to_std / from_std) ** exponent
    upper = bounds.tube_distance_x(at_start, from_std, to_std, pull, remainder)
    lower = bounds.tube_distance_x(at_start, from_std, to_std, pull, 0.0) - pull * remainder
    tolerance = flow_tolerance(case)
    name = f"distance to the line in x, κ = {tails.kappa:g}"
    return [
        compare(f"{name}, from above", Upper(rtol=1e-9, atol=tolerance), here, upper),
        compare(f"{name}, from below", Lower(rtol=1e-9, atol=tolerance), here, lower),
    ]


def _truth(case: Case, paths: Paths, tails: Tails, place: IntArray) -> float | None:
    """The distance in x at the worst place by the closed-form flow map, where there is one."""
    node, path = place.tolist()
    start = int(tails.start[path])
    try:
        y = oracles.flow_map(
            case.mixture, paths.y[start, path : path + 1], paths.v[start], paths.v[node]
        )
    except NotApplicableError:
        return None
    pair = geometry.pair(case.mixture, *tails.pair[path].tolist())
    return float(case.schedule.alpha[paths.times[node]] * pair.orthogonal_distance(y)[0])
