r"""What the other modes leave in the drift.

Statement: Where a pair $i, j$ dominates with margin $\kappa$, every other mode has $\gamma_k \le
    (w_k/w_*) e^{-\kappa}$, $w_*$ the weight of the nearer of the two. In $y = \mu_j + a(\mu_i -
    \mu_j) + \xi$ the flow is $a' = \gamma_i - a + \sum_k \gamma_k a_k$ and $\xi' = -\xi + \sum_k
    \gamma_k \xi_k$, sums over the other modes, and the second sum is at most $R = e^{-\kappa}
    \frac{1 - w_i - w_j}{\min(w_i, w_j)} \max_k d_\perp(\mu_k)$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - dominance: the margin of the two nearest modes is at least 1.
Measured: responsibilities, drift and remainders of the engine at states along the flow and the
    reverse SDE, with the margin that the two nearest modes have there.
Predicted: the two bounds at that margin; the drift of $a$ from its own equation.
Evidence: sampled states. Certified in the plane: the second sum is at most $R$ with margin 7 at
    every place of a tube around the closest pair's segment, at every level from its separation on.
Source: arXiv 2605.06831 v1, Lemma G.3
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dominance_times, dynamics
from mixdyn.proof import Statement
from mixdyn.proof.statement import of_law
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis
from verify.measure.continuum import (
    NO_TOLERANCE,
    certified,
    dominated_tube,
    pair_law,
    proof_window,
    variances,
)
from verify.measure.paths import KAPPA, stacked, states_at_nodes

CLAIM = Claim.from_docstring(
    __doc__,
    id="G.3",
    short="orthogonal remainder",
    rests_on={"G.2": "the drift, split along a pair", "A4.1": "the margin bounds the other modes"},
    needs=(
        modes(3),
        one_sigma.because(
            "the field splits along and across a pair only where directions share a clock"
        ),
    ),
    derivation="derivations/segment/split.py",
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "That the margin is large: that is A4.1. The bound on the remainder adds lengths, so it is "
        "loose where the other modes pull in opposite directions, as inside a grid."
    ),
)

LEAST_MARGIN = 1.0
MAX_NODES = 8
States = dict[str, Array]


@CLAIM.sampled(unit="states")
def drift(case: Case, counted: float = 1.0, others: float = 1.0) -> Iterator[Part]:
    """Responsibilities and remainders against their bounds, the parallel drift against its sum.
    counted, others: factors on the margin and on the other modes' pull."""
    at = case.memo("G.3 states", lambda: stacked(_states(case)))
    kappa, bound = at["kappa"], at["R"]
    held, extra = kappa >= LEAST_MARGIN, (counted - 1.0) * kappa
    seen = held & np.isfinite(at["log gamma over bound"])
    yield Hypothesis.from_slack("dominance", kappa - LEAST_MARGIN)
    if not seen.any():
        return
    where = {name: at[name] for name in ("y", "v", "pair", "kappa")}
    yield Side(
        "largest γ over its bound",
        at["log gamma over bound"] + extra,
        at_most=0.0,
        among=seen,
        tolerance=Tolerance(rtol=1e-9, log=True),
        where=where,
    )
    yield Side(
        "orthogonal remainder",
        at["remainder"],
        at_most=bound * np.exp(-extra),
        among=held,
        telling=bound < at["length"],
        tolerance=Tolerance(rtol=1e-9, atol=1e-13),
        scale=at["size"],
        where=where,
    )
    yield Side(
        "parallel drift",
        at["a_dot"],
        equals=at["free"] + others * at["pull"],
        among=held,
        tolerance=Tolerance(atol=1e-13),
        scale=1.0 + at["size"] / at["length"],
        where=where,
    )
    used = np.divide(at["remainder"], bound, out=np.zeros_like(bound), where=bound > 0.0)
    yield {
        "median margin where it applies": float(np.median(kappa[held])),
        "median of remainder over R": float(np.median(used[held])),
    }


CLAIM.must_fail(drift, "e^(-1.2κ) in place of e^(-κ)", counted=1.2)
CLAIM.must_fail(drift, "a' = γ_i - a", others=0.0)
CLAIM.must_fail_narrowly(
    drift, "e^(-(1 + {})κ) in place of e^(-κ)", 0.2, counted=lambda more: 1.0 + more
)


def _states(case: Case) -> Iterator[States]:
    """What `_at_pair` says of the states y of a node by the two nearest modes that they share (i
    nearer than j)."""
    count, means = case.pick(256, 2048), case.mixture.means
    for every, v in states_at_nodes(case, 1, MAX_NODES):
        y = every[:count]
        first, second, _, _ = geometry.two_nearest(means, y)
        gamma = dynamics.static_responsibilities(case.mixture, y, v)
        codes, label = np.unique(first * case.mixture.N + second, return_inverse=True)
        for m, code in enumerate(codes.tolist()):
            own = label == m
            yield _at_pair(case, y[own], v, divmod(code, case.mixture.N), gamma[own])


def _at_pair(case: Case, y: Array, v: float, nearest: tuple[int, int], gamma: Array) -> States:
    mixture, (i, j) = case.mixture, nearest
    pair = geometry.pair(mixture, i, j)
    kappa = dominance_times.dominance_margin(mixture, y, v, (i, j))
    split = dynamics.split_drift(mixture, pair, y, v)
    velocity = gamma @ mixture.means - y
    bound = bounds.responsibility_bound(mixture, i, j, kappa, np.full(len(y), i))
    others = np.setdiff1d(np.arange(mixture.N), (i, j))
    a_modes = pair.coordinates(mixture.means)[0]
    # Where every gamma has underflowed there is nothing to compare: -inf, left out above.
    tiny = gamma < 1e-290
    log_ratio = np.log(np.where(tiny, 1.0, gamma)) - np.log(np.where(tiny, 1.0, bound))
    log_ratio = np.where(tiny, -np.inf, log_ratio)[:, others].max(axis=1)
    wide = np.ones(len(y))
    return {
        "y": y,
        "v": v * wide,
        "pair": np.tile([i, j], (len(y), 1)),
        "length": pair.length * wide,
        # Of the coordinates that are subtracted: what rounding is a share of.
        "size": np.linalg.norm(y, axis=1) + np.linalg.norm(mixture.means, axis=1).max(),
        "kappa": kappa,
        "log gamma over bound": log_ratio,
        "remainder": np.linalg.norm(split.orthogonal_remainder, axis=1),
        "R": bounds.orthogonal_remainder(mixture, i, j, kappa),
        "a_dot": velocity @ pair.direction / pair.length,
        "free": gamma[:, i] - pair.coordinates(y)[0],
        "pull": gamma[:, others] @ a_modes[others],
    }


# -- at every place and level --------------------------------------------------------------------


def everywhere(case: Case, factor: float = 1.0) -> list[Statement] | None:
    """The pull across the closest pair in a tube in which A4.1 has margin 7 by a proof of its own.
    factor: on R."""
    window = proof_window(case)
    box = None if window is None else dominated_tube(case, window, KAPPA)
    if window is None or box is None or case.mixture.d != 2:
        return None
    pair = window.pair
    most = factor * float(bounds.orthogonal_remainder(case.mixture, pair.i, pair.j, KAPPA))
    if float(bounds.orthogonal_remainder(case.mixture, pair.i, pair.j, KAPPA)) == 0.0:
        return None  # all modes on one line
    term = most - of_law("mean", 1).apply("abs")
    law = pair_law(case.mixture, pair)
    return [Statement.over("pull across", law, term, *box, variances(case, window.t))]


CLAIM.must_fail(certified(CLAIM, everywhere), "0 in place of R", factor=0.0)
