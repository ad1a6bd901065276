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

from collections.abc import Iterator

from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side
from verify.measure.score_errors.perturbed_paths import TOLERANCE, PerturbedPaths, along_paths

CLAIM = Claim.from_docstring(
    __doc__,
    id="C.3",
    short="inexact: tube",
    rests_on={"T4.2": "the tube that widens"},
    needs=(
        modes(2),
        one_sigma.because(
            "the field splits along and across a pair only where directions share a clock"
        ),
    ),
    does_not_show=(
        "That the error is small enough for the tube to be of use: its radius is the error's own "
        "size in y, and grows with it. Dominance is checked at nodes, not between them."
    ),
)


@CLAIM.sampled(unit="path nodes")
def tube(case: Case, counted: float = 1.0) -> Iterator[Part]:
    """Distance to the line, node by node. counted: share of the error in the bounds."""

    def sides(paths: PerturbedPaths) -> tuple[Array, Array]:
        distance, remainder = _over_length(case, paths)
        bound = paths.recursion(distance[0], counted * paths.delta, remainder)
        return distance[1:].T, bound.T

    def inside(paths: PerturbedPaths) -> Side:
        """Largest later distance of each start inside the tube, and the tube's radius."""
        distance, remainder = _over_length(case, paths)
        radius = remainder + counted * paths.delta.max()
        return Side(
            "the tube, for starts inside",
            distance[1:].max(axis=0),
            at_most=radius,
            among=distance[0] <= radius + 1e-12,
            tolerance=TOLERANCE,
        )

    velocity = "velocity against m - y and e"
    yield from along_paths(case, "distance to the line", sides, velocity, along=False, more=inside)
    if case.mixture.d == 1:
        yield Facts(nonvacuous=0.0)
        yield "On a line every state lies on the line of the pair."


def _over_length(case: Case, paths: PerturbedPaths) -> tuple[Array, Array]:
    """Distance to the line at the nodes and R of the paths that held, over l."""
    length = paths.pair.length
    return paths.distance[:, paths.held] / length, paths.remainder(case) / length


CLAIM.must_fail(tube, "without the error's term", counted=0.0)
CLAIM.must_fail(tube, "half the error", counted=0.5)
CLAIM.must_fail_narrowly(tube, "(1 - {}) of the error", 0.5, counted=lambda less: 1.0 - less)
