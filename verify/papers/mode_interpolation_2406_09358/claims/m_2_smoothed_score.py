r"""The learned score is a smoothed one, worst between modes at small t.

Statement: Each shipped network replaces the steep turn of $\hat{x}_0$ between two modes by a
    gentler one: at the midpoint of neighbours its slope is smaller than the exact one and the turn
    is wider, at the small $t$ at which the modes are apart; there the error is larger between modes
    than at them, and it is larger than at any later $t$.
Hypotheses:
    - trained: networks on the lines of arXiv 2406.09358 are shipped.
    - apart: two neighbours leave room between them, three $\sigma_t/\alpha_t$ from both; asked of
      the times named in the table, the others show where it ends.
Measured: on every network and every closest pair: the eigenvalue of the flow at the midpoint, in
    units of P4.7's $l^2/(4v) - 1$, whose difference to it is the $\sigma_t^2 \langle n, De\,
    n\rangle$ of C.5; the width in $x$ over which $\hat{x}_0$ goes from a quarter of $l$ before the
    midpoint to a quarter behind it, over the exact one; root mean square errors of $\hat{x}_0$.
Predicted: eigenvalue at most 0.9 of the exact one, width at least 1.05 of it, errors between modes
    above those at modes, and the largest of all among them.
Evidence: learned, by evaluating the network in float64 on a fixed grid; no sampling. Widths to
    within half a percent, what straight lines between places 0.005 l apart leave of the exact one.
Source: arXiv 2406.09358 v2, section 4 and figure 4
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mixdyn.support.checks import Array
from mixdyn.support.numbers import show_share
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.interpolation.networks import networks, on_standard, own_case
from verify.measure.interpolation.problems import LINES, modes_at
from verify.measure.interpolation.smoothing import Smoothing, smoothing

CLAIM = Claim.from_docstring(
    __doc__,
    id="M2",
    short="the score is smoothed",
    rests_on={"P4.7 (1)": "the exact slope", "C.5": "the error's slope that lowers it"},
    does_not_show=(
        "That every network does so: there is one for each problem and size of the training set. "
        "That the smoothing is what interpolates: X10 splits the blame. That the learned score is "
        "the exact one of wider modes: the best such sigma is in the table with the share of the "
        "squared error that it leaves."
    ),
)
FLATTER, WIDER = 0.9, 1.05
_WIDTH_ERROR = 5e-3


def _smoothed(case: Case) -> dict[str, Smoothing]:
    """Every network on a line by name."""
    return {
        network.model.name: smoothing(own_case(case, modes_at(places)), network.model)
        for places in LINES
        for network in networks(case, modes_at(places))
    }


@CLAIM.learned(unit="pairs and times", of=on_standard(_smoothed))
def turns(
    case: Case,
    found: Mapping[str, Smoothing],
    change: Callable[[Smoothing], Smoothing] = lambda found: found,
) -> Iterator[Part]:
    """Every network on a line against the exact score, over all closest pairs and the times at
    which modes are apart."""
    every = [change(smoothed) for smoothed in found.values()]
    apart = [float(smoothed.room.mean()) for smoothed in every]
    yield Hypothesis("trained", float(bool(every)))
    yield Hypothesis("apart", float(np.mean(apart)) if apart else 0.0)
    yield Facts(witness=lambda found: {"point": found.index}, model=", ".join(found))
    if not every:
        return
    slope, exact_slope = _apart(every, "eigenvalue"), _apart(every, "exact_eigenvalue")
    width, exact_width = _apart(every, "width"), _apart(every, "exact_width")
    more = Tolerance(rtol=1e-6, atol=1e-12)
    yield Side(
        "eigenvalue at the midpoint",
        slope,
        at_most=FLATTER * exact_slope,
        tolerance=Tolerance(rtol=1e-6, atol=1e-9),
    )
    yield Side(
        "width of the turn",
        width,
        at_least=WIDER * exact_width,
        tolerance=Tolerance(rtol=_WIDTH_ERROR),
    )
    yield Side(
        "error between modes against that at modes",
        _apart(every, "between"),
        at_least=_apart(every, "near"),
        tolerance=more,
    )
    yield Side(
        "largest error between modes against any at modes",
        [smoothed.between.max() for smoothed in every],
        at_least=[smoothed.near.max() for smoothed in every],
        tolerance=more,
    )
    yield lambda: _shown(every, slope / exact_slope, width / exact_width)


def _apart(every: Sequence[Smoothing], name: str) -> Array:
    """A measured quantity of all networks, flat, at the times at which modes are apart."""
    return np.concatenate([np.ravel(getattr(found, name)[found.room]) for found in every])


def _shown(every: Sequence[Smoothing], slope: Array, width: Array) -> Iterator[Part]:
    """slope, width: over the exact ones, where modes are apart."""
    left = _apart(every, "left")
    yield (
        "The exact score of wider modes, sigma fitted at each t, leaves "
        f"{show_share(float(left.min()), 2)} to {show_share(float(left.max()), 2)} of the "
        "squared error between modes."
    )
    yield {
        "eigenvalue over the exact one, median": float(np.median(slope)),
        "width over the exact one, median": float(np.median(width)),
        "networks and pairs with a trap at the midpoint": float(
            sum((found.eigenvalue[found.room] < 0.0).any(axis=0).sum() for found in every)
        ),
        "fitted sigma over the true one, median": float(np.median(_apart(every, "sigma"))),
        "share of the squared error of the score that it leaves, median": float(np.median(left)),
    }
    yield _table(every)


def _table(each: Sequence[Smoothing]) -> Table:
    """By time, the least and the largest over the networks."""
    rows: list[list[float | str]] = []
    for k, t in enumerate(each[0].times.tolist()):
        cells: list[float] = [float(np.mean([s.exact_eigenvalue[k].mean() for s in each]))]
        for values in (
            [s.eigenvalue[k].mean() for s in each],
            [float(np.mean(s.width[k] / s.exact_width[k])) for s in each],
            [s.sigma[k] for s in each],
            [s.left[k] for s in each],
        ):
            cells += [float(np.min(values)), float(np.max(values))]
        rows.append([str(t), "yes" if each[0].room[k] else "no", *cells])
    columns = (
        *("t", "modes apart", "exact eigenvalue", "learned from", "to", "width ratio from", "to"),
        *("fitted sigma ratio from", "to", "error left from", "to"),
    )
    caption = (
        "At the midpoints of neighbours by time, over the networks: eigenvalue of the flow, width "
        "of the turn over the exact one, sigma of the mixture with the nearest score over the true "
        "one, and the share of the score's squared error that this fit leaves"
    )
    return Table(caption, columns, rows)


CLAIM.must_fail(
    turns,
    "a turn no wider than the exact one",
    change=lambda found: replace(found, width=found.exact_width),
)
CLAIM.must_fail(
    turns,
    "exact score",
    change=lambda found: replace(
        found,
        eigenvalue=found.exact_eigenvalue,
        width=found.exact_width,
        near=np.zeros_like(found.near),
        between=np.zeros_like(found.near),
    ),
)
