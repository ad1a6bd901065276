r"""Paths of trained models stay within the envelope of the tube theorem in many dimensions.

Statement: On 25 modes by farthest-point sampling from the lattice $2\{-2,\dots,2\}^d$, with each
    shipped network of these problems: of the paths of DDIM with 50 quadratic steps at most a share
    $\delta$ = 0.02 is, at some node after its own $\tau_1$ for $\kappa$ = 7, farther from the line
    through the two modes that dominate it than Theorem 4.2 allows of the flow with the exact score;
    and at most that share leaves, after $\tau_2$, the tube that holds with probability $1 -
    \delta$.
Hypotheses:
    - dominance: one fixed pair dominates the path from some node on, with more nodes to come.
Measured: the share of paths beyond the envelope $\sqrt{v_t/v_\tau} d_\tau + (1 - \sqrt{v_t/v_\tau})
    R$, and the share outside the tube, network by network.
Predicted: at most $\delta$.
Evidence: learned; each share by the Clopper-Pearson interval that misses with probability 1e-6.
Source: arXiv 2605.06831 v1, appendix E.2 and figure E.9
"""

from __future__ import annotations

from collections.abc import Iterator

from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side
from verify.ledger.standard import on_standard
from verify.ledger.verdict import Hypothesis
from verify.measure.dominance import OWN_PROBLEMS
from verify.measure.networks.envelopes import DELTA
from verify.measure.networks.many_dimensions import Held, held

from .e_2_many_dimensions import told

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.2'",
    short="the tube, many dimensions",
    rests_on={"F4": "the envelope in the plane", "E.2": "the networks"},
    does_not_show=(
        "That longer training does not: what leaves the envelope is the network's error, and these "
        "networks, far from converged, have much of it. In the plane (F4) networks that "
        "were trained for longer stay inside."
    ),
)


@CLAIM.learned(unit="paths", of=on_standard(held, OWN_PROBLEMS))
def envelope(
    case: Case, found: Held, share: float = DELTA, most: int | None = None
) -> Iterator[Part]:
    """Paths beyond the envelope and outside the tube. share: that is allowed. most: the highest
    dimension that is asked."""
    networks = [one for one in found.networks if most is None or one.d <= most]
    dominated = sum(int(one.dominated[0]) for one in networks)
    yield Hypothesis("dominance", dominated / sum(one.traced for one in networks))
    for one in networks:
        ddim = one.samplers[0]
        for what, count in (
            ("beyond the envelope", one.beyond),
            ("outside the tube", int(one.outside[0])),
        ):
            counted = Proportion(count, one.traced)
            yield Side(f"{ddim} paths {what}, d = {one.d}", counted, at_most=share)
    yield from told(case, found)


CLAIM.must_fail(envelope, "a share of 0.001, in the fewest dimensions", share=1e-3, most=4)
