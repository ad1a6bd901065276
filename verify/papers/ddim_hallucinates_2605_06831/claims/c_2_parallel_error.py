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

from collections.abc import Iterator

import numpy as np

from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part
from verify.measure.score_errors.perturbed_paths import PerturbedPaths, along_paths

CLAIM = Claim.from_docstring(
    __doc__,
    id="C.2",
    short="inexact: overshoot",
    rests_on={"G.4": "the interval that widens"},
    needs=(
        modes(2),
        one_sigma.because(
            "the field splits along and across a pair only where directions share a clock"
        ),
    ),
    does_not_show=(
        "Where on the segment a path ends: an error of this size can move or flip the saddle, "
        "which is C.4 and C.5. Dominance is checked at nodes, not between them."
    ),
)


@CLAIM.sampled(unit="path nodes")
def overshoot(case: Case, counted: float = 1.0) -> Iterator[Part]:
    """Distance to the extended segment, node by node. counted: share of the error in the bound."""

    def sides(paths: PerturbedPaths) -> tuple[Array, Array]:
        a, epsilon = paths.a[:, paths.held], paths.epsilon(case)
        distance = np.maximum(np.maximum(-epsilon - a, a - 1.0 - epsilon), 0.0)
        return distance[1:].T, paths.recursion(distance[0], counted * paths.delta).T

    yield from along_paths(case, "overshoot", sides, "velocity against m - y and δ", along=True)


CLAIM.must_fail(overshoot, "without the error's term", counted=0.0)
CLAIM.must_fail(overshoot, "half the error", counted=0.5)
CLAIM.must_fail_narrowly(overshoot, "(1 - {}) of the error", 0.5, counted=lambda less: 1.0 - less)
