r"""An inexact score across the pair.

Statement: Let the score be $s + e$ with $|e| \le e_{max}$. While a pair dominates with margin
    $\kappa$, the distance to its line obeys $d_\perp' \le -d_\perp + R + \sigma_t^2
    e_{max}/\alpha_t$ in the clock $u$, so that
    $d_\perp(y_t) \le e^{-u} d_\perp(y_\tau) + (1 - e^{-u}) (R + \sup \sigma_t^2 e_{max}/\alpha_t)$:
    a tube of radius at least $R + \sup \sigma_t^2 e_{max}/\alpha_t$ is forward invariant.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: the closest pair is separated with margin 7 at some node of the papers' grid.
    - dominance: the pair dominates with margin 7 at every later node of the perturbed path.
Measured: $d_\perp$ along perturbed flows at the nodes of the papers' grid, from starts around the
    segment of the closest pair, for errors that push along the pair, outward, across, away from the
    line, and in waves, constant in time and growing towards the data; and the velocity across the
    pair of the sampler's perturbed score at states of the paths.
Predicted: the bound from node to node; the tube of its largest radius for starts inside; the
    velocity from the engine's exact field plus the error's component across.
Evidence: sampled starts, solved to 1e-10; R from each path's smallest margin at the nodes.
Source: arXiv 2605.06831 v1, Appendix C.3
"""

from __future__ import annotations

from collections.abc import Sequence

from verify.ledger.claim import Basis, Case, Claim, Verdict
from verify.ledger.relations import Comparison, compare
from verify.measure.score_errors.perturbed_paths import (
    TOLERANCE,
    Distance,
    PerturbedPaths,
    Sides,
    forgetful,
    join,
    judge_distance,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="C.3",
    basis=(Basis.SAMPLED,),
    min_modes=2,
    common_sigma=True,
    does_not_show=(
        "That the error is small enough for the tube to be of use: its radius is the error's own "
        "size in y, and grows with it. Dominance is checked at nodes, not between them."
    ),
)


def check(case: Case) -> Verdict:
    """Distance to the line, node by node."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """Bounds that forget the error, or a part of it."""
    return forgetful(lambda factor: _judge(case, error_factor=factor))


def _judge(case: Case, error_factor: float = 1.0) -> Verdict:
    def sides(paths: PerturbedPaths) -> Sides:
        distance = paths.distance[:, paths.held] / paths.pair.length
        remainder = paths.remainder(case) / paths.pair.length
        bound = paths.recursion(distance[0], error_factor * paths.delta, remainder)
        return distance[1:].T, bound.T

    def tube(paths: PerturbedPaths) -> Sides:
        """Largest later distance of each start inside the tube, and the tube's radius."""
        distance = paths.distance[:, paths.held] / paths.pair.length
        radius = paths.remainder(case) / paths.pair.length + error_factor * paths.delta.max()
        starts = distance[0] <= radius + 1e-12
        return distance[1:, starts].max(axis=0), radius[starts]

    def inside(found: Sequence[PerturbedPaths]) -> list[Comparison]:
        within = join([tube(paths) for paths in found])
        return [compare("the tube, for starts inside", TOLERANCE, *within)]

    what = Distance(
        "distance to the line",
        "velocity against m - y and e",
        along=False,
        sides=sides,
        more=inside,
        flat=case.mixture.d == 1,
    )
    return judge_distance(CLAIM, case, what)
