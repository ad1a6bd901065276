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

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from mixdyn.support.numbers import show_share
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.relations import Comparison, Lower, Upper, compare
from verify.measure.interpolation.networks import networks, own_case, own_rows
from verify.measure.interpolation.problems import LINES, modes_at
from verify.measure.interpolation.smoothing import Smoothing, smoothing
from verify.measure.networks.models import TrainedModel

CLAIM = Claim.from_docstring(
    __doc__,
    id="M2",
    short="the score is smoothed",
    rests_on={"P4.7 (1)": "the exact slope", "C.5": "the error's slope that lowers it"},
    basis=(Basis.LEARNED,),
    does_not_show=(
        "That every network does so: there is one for each problem and size of the training set. "
        "That the smoothing is what interpolates: X10 splits the blame. That the learned score is "
        "the exact one of wider modes: the best such sigma is in the table with the share of the "
        "squared error that it leaves."
    ),
)
FLATTER, WIDER = 0.9, 1.05
_SMALLEST = 1e-12
_WIDTH_ERROR = 5e-3
Change = Callable[[Smoothing], Smoothing]


def check(case: Case) -> list[Verdict]:
    """Every network on a line against the exact score."""
    return _rows(case, lambda found: found)


def mutants(case: Case) -> dict[str, Verdict]:
    """A turn as wide as the exact one, all else as measured; the exact score in all."""
    changes: dict[str, Change] = {
        "a turn no wider than the exact one": _no_wider,
        "exact score": _exact,
    }
    return {name: row for name, change in changes.items() for row in _rows(case, change)}


def _exact(found: Smoothing) -> Smoothing:
    nothing = np.zeros_like(found.near)
    return dataclasses.replace(
        found,
        eigenvalue=found.exact_eigenvalue,
        width=found.exact_width,
        near=nothing,
        between=nothing,
    )


def _no_wider(found: Smoothing) -> Smoothing:
    return dataclasses.replace(found, width=found.exact_width)


def _rows(case: Case, change: Change) -> list[Verdict]:
    def measure(models: Sequence[TrainedModel]) -> Verdict:
        found = {
            n.model.name: change(smoothing(own_case(case, modes_at(places)), n.model))
            for places in LINES
            for n in networks(case, modes_at(places))
        }
        apart = [float(s.room.mean()) for s in found.values()]
        finding = Finding(
            comparisons=_compare(found),
            hypotheses=[
                Hypothesis("trained", float(bool(found))),
                Hypothesis("apart", float(np.mean(apart)) if apart else 0.0),
            ],
            nonvacuous_share=1.0,
            witness=lambda comparison: {"compared": comparison.name, "point": comparison.index},
            unit="pairs and times",
            note=_note(found),
            numbers=_numbers(found),
            tables=[_table(found)] if found else [],
            model=", ".join(found),
        )
        return CLAIM.judge(case, finding)

    return own_rows(CLAIM, case, measure)


def _compare(found: dict[str, Smoothing]) -> list[Comparison]:
    """Each over all networks, closest pairs and times at which modes are apart."""
    if not found:
        return []
    every = [(s, s.room) for s in found.values()]
    slopes, exact, widths, exact_widths = (
        np.concatenate([np.ravel(getattr(s, name)[at]) for s, at in every])
        for name in ("eigenvalue", "exact_eigenvalue", "width", "exact_width")
    )
    near, between = (
        np.concatenate([getattr(s, name)[at] for s, at in every]) for name in ("near", "between")
    )
    later = np.array([s.near.max() for s, _ in every])
    worst = np.array([s.between.max() for s, _ in every])
    more = Lower(rtol=1e-6, atol=_SMALLEST)
    return [
        compare("eigenvalue at the midpoint", Upper(rtol=1e-6, atol=1e-9), slopes, FLATTER * exact),
        compare("width of the turn", Lower(rtol=_WIDTH_ERROR), widths, WIDER * exact_widths),
        compare("error between modes against that at modes", more, between, near),
        compare("largest error between modes against any at modes", more, worst, later),
    ]


def _numbers(found: dict[str, Smoothing]) -> dict[str, float]:
    """Over all networks and times at which modes are apart."""
    if not found:
        return {}
    every = [(s, s.room) for s in found.values()]
    slope = np.concatenate([np.ravel((s.eigenvalue / s.exact_eigenvalue)[at]) for s, at in every])
    width = np.concatenate([np.ravel((s.width / s.exact_width)[at]) for s, at in every])
    sigma, left = (
        np.concatenate([getattr(s, n)[at] for s, at in every]) for n in ("sigma", "left")
    )
    return {
        "eigenvalue over the exact one, median": float(np.median(slope)),
        "width over the exact one, median": float(np.median(width)),
        "networks and pairs with a trap at the midpoint": float(
            sum((s.eigenvalue[at] < 0.0).any(axis=0).sum() for s, at in every)
        ),
        "fitted sigma over the true one, median": float(np.median(sigma)),
        "share of the squared error of the score that it leaves, median": float(np.median(left)),
    }


def _note(found: dict[str, Smoothing]) -> str:
    left = [s.left[s.room] for s in found.values()]
    if not left:
        return ""
    share = np.concatenate(left)
    return (
        "The exact score of wider modes, sigma fitted at each t, leaves "
        f"{show_share(float(share.min()), 2)} to {show_share(float(share.max()), 2)} of the "
        "squared error between modes."
    )


def _table(found: dict[str, Smoothing]) -> Table:
    """By time, the least and the largest over the networks."""
    each = list(found.values())
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
