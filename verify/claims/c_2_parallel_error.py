r"""An inexact score along the pair.

Statement: Let the score be $s + e$ with $|e| \le e_{max}$. In the clock $u$ the parallel coordinate
    obeys $a' = \gamma_i - a + \sum_{k \notin \{i,j\}} \gamma_k a_k + \delta$ with
    $\delta = \sigma_t^2 \langle e, n \rangle/(\alpha_t l)$, so its distance $D$ to
    $[-\epsilon, 1 + \epsilon]$ obeys $D' \le -D + \sigma_t^2 e_{max}/(\alpha_t l)$: the flow pulls
    $a$ into the segment extended by $\epsilon + \sup \sigma_t^2 e_{max}/(\alpha_t l)$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: the closest pair is separated with margin 7 at some node of the papers' grid.
    - dominance: the pair dominates with margin 7 at every later node of the perturbed path.
Measured: the velocity $a'$ of the sampler's perturbed score at states of the paths; $D$ along
    perturbed flows at the nodes of the papers' grid, from starts in and beyond the segment of the
    closest pair, for errors that push along the pair, outward, across, and in waves, constant in
    time and growing towards the data.
Predicted: $a'$ from the engine's exact field plus $\delta$; $D$ by the bound from node to node.
Evidence: sampled starts, solved to 1e-10; $\epsilon$ from each path's smallest margin at the nodes.
Source: arXiv 2605.06831 v1, Appendix C.2
"""

from __future__ import annotations

import numpy as np

from verify.ledger.claim import Basis, Case, Claim, Verdict
from verify.measure.score_errors.perturbed_paths import (
    Distance,
    PerturbedPaths,
    Sides,
    forgetful,
    judge_distance,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="C.2",
    basis=(Basis.SAMPLED,),
    min_modes=2,
    common_sigma=True,
    does_not_show=(
        "Where on the segment a path ends: an error of this size can move or flip the saddle, "
        "which is C.4 and C.5. Dominance is checked at nodes, not between them."
    ),
)


def check(case: Case) -> Verdict:
    """Overshoot beyond the segment, node by node."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """Bounds that forget the error, or a part of it."""
    return forgetful(lambda factor: _judge(case, error_factor=factor))


def _judge(case: Case, error_factor: float = 1.0) -> Verdict:
    def overshoot(paths: PerturbedPaths) -> Sides:
        """Distance to the extended segment."""
        a = paths.a[:, paths.held]
        epsilon = paths.epsilon(case)
        distance = np.maximum(np.maximum(-epsilon - a, a - 1.0 - epsilon), 0.0)
        return distance[1:].T, paths.recursion(distance[0], error_factor * paths.delta).T

    what = Distance("overshoot", "velocity against m - y and δ", along=True, sides=overshoot)
    return judge_distance(CLAIM, case, what)
