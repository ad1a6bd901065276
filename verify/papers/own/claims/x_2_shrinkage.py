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

from collections.abc import Iterator

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis
from verify.measure.paths import (
    KAPPA,
    Paths,
    Tails,
    flow_paths,
    flow_tails,
    flow_tolerance,
    tail_place,
    told_by_tube,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="X2",
    short="shrinks as sigma_t",
    rests_on={"T4.2": "the tube", "X1": "e^-u as a ratio of standard deviations"},
    sharpens={"T4.2": "the same bound, without a schedule"},
    needs=(
        modes(2),
        one_sigma.because("each direction shrinks at its own rate, and the segment bends (X12)"),
    ),
    does_not_show=(
        "Where along the line a path ends. R bounds the pull of the other modes by adding lengths; "
        "while they matter the distance may follow neither side closely. Dominance is checked at "
        "nodes, not between them."
    ),
)

STRICT = 20.0


@CLAIM.sampled(unit="path nodes")
def shrinkage(case: Case, power: float = 1.0) -> Iterator[Part]:
    """Both sides of the bound along the flow. power: of σ_t/σ_τ."""
    paths, tails = flow_paths(case), flow_tails(case, KAPPA)
    yield Hypothesis("dominance", float(tails.dominated.mean()))
    if not tails.dominated.any():
        return
    above, below = _sides(case, paths, tails, power)
    yield from (above, below, *_sides(case, paths, flow_tails(case, STRICT), power))
    yield from told_by_tube(tails)
    yield lambda: Facts(truth=_truth(case, paths, tails, *above.worst))


CLAIM.must_fail(shrinkage, "(σ_t/σ_τ)² in place of σ_t/σ_τ", power=2.0)
CLAIM.must_fail(shrinkage, "(σ_t/σ_τ)^(1/2) in place of σ_t/σ_τ", power=0.5)
CLAIM.must_fail_narrowly(
    shrinkage, "(σ_t/σ_τ)^(1 + {}) in place of σ_t/σ_τ", 1.0, power=lambda more: 1.0 + more
)


def _sides(case: Case, paths: Paths, tails: Tails, power: float) -> tuple[Side, Side]:
    """Upper and lower bound at every node after each path's tau, in the coordinates x."""
    later = tails.later()
    alpha = case.schedule.alpha[paths.times]
    sigma_t = alpha * np.sqrt(paths.v)
    distance, alpha = alpha[:, None] * tails.distance, alpha[:, None]
    at_start = np.where(later, tails.at_start(distance), 0.0)
    remainder = np.where(later, tails.remainders, 0.0)
    start_std = tails.at_start(sigma_t)
    # Another power of the ratio, written as another standard deviation at the end.
    end_std = start_std * (sigma_t[:, None] / start_std) ** power
    upper = bounds.tube_distance_x(at_start, start_std, end_std, alpha, remainder)
    lower = bounds.tube_distance_x(at_start, start_std, end_std, alpha, 0.0) - alpha * remainder

    def side(name: str, **bound: Array) -> Side:
        return Side(
            f"distance to the line in x, κ = {tails.kappa:g}, {name}",
            distance,
            **bound,
            tolerance=Tolerance(rtol=1e-9, atol=flow_tolerance(case)),
            among=later,
            where=lambda node, path: tail_place(paths, tails, node, path),
        )

    return side("from above", at_most=upper), side("from below", at_least=lower)


def _truth(case: Case, paths: Paths, tails: Tails, node: int, path: int) -> float | None:
    """The distance in x at a place by the closed-form flow map, where there is one."""
    start = int(tails.start[path])
    try:
        y = oracles.flow_map(
            case.mixture, paths.y[start, path : path + 1], paths.v[start], paths.v[node]
        )
    except NotApplicableError:
        return None
    pair = geometry.pair(case.mixture, *tails.pair[path].tolist())
    return float(case.schedule.alpha[paths.times[node]] * pair.orthogonal_distance(y)[0])
