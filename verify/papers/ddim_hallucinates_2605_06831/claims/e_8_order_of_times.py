r"""Two modes dominate a path before they are separated.

Statement: With 25 modes by farthest-point sampling from the lattice $2\{-2,\dots,2\}^d$, for every
    margin $\kappa$ from 1 to 20 and each of $d$ = 2, 4, 8, 32, 64, most paths of DDIM with 50 steps
    that two modes dominate with margin $\kappa$ are dominated no later than those two are
    separated with it: $\tau_1 \ge \tau_2$.
Hypotheses:
    - pair: two modes dominate the path from some node on, and not one so near that any partner
      serves.
Measured: of the paths that meet the hypothesis, the share with $\tau_1 \ge \tau_2$, both in raw
    time, $\tau_1$ of one fixed pair at the sampler's nodes, $\tau_2$ of that pair at all times.
Predicted: more than half.
Evidence: sampled, with the exact score; learned, on the networks' own paths, in the dimensions that
    have one. Shares by the Clopper-Pearson interval that misses with probability 1e-6.
Source: arXiv 2605.06831 v1, figures E.6 to E.8
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Part, Side
from verify.ledger.standard import on_standard
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.dominance import OWN_PROBLEMS, dominance, least_first
from verify.measure.networks.many_dimensions import Held, held

from .e_2_many_dimensions import told

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.8",
    short="dominance before separation",
    rests_on={"E.6": "the one time", "E.7": "the other"},
    does_not_show=(
        "What becomes of the paths that one mode dominates by itself, which are many where modes "
        "are far apart. Nor the order at two different margins: the papers ask for both at one."
    ),
)

Found = Mapping[str, Any]


@CLAIM.sampled(unit="paths", of=on_standard(dominance, OWN_PROBLEMS))
def order(case: Case, found: Found, least: float = 0.5, exchanged: bool = False) -> Iterator[Part]:
    """Which of the two times comes first, by dimension and margin. least: the share asked for."""
    yield from in_order(found, least, exchanged=exchanged)


@CLAIM.learned(unit="paths", of=on_standard(held, OWN_PROBLEMS))
def learned(
    case: Case, networks: Held, least: float = 0.5, exchanged: bool = False
) -> Iterator[Part]:
    """The same of the paths of networks, one a dimension."""
    found = networks.dominance
    yield from in_order(found, least, exchanged=exchanged)
    yield from told(case, networks)


def in_order(found: Found, least: float, *, exchanged: bool) -> Iterator[Part]:
    """One count a dimension and margin, the smallest share first."""
    paired, before = np.asarray(found["paired"]), np.asarray(found["before"])
    yield Hypothesis("pair", float(paired.sum() / (found["n"] * paired.size)))
    counts = paired - before if exchanged else before
    names = [f"d = {d}" for d in found["d"]]
    for share, where in least_first(counts, paired, names, found["kappa"]):
        yield Side(f"τ₁ no later than τ₂ of the path's pair, {where}", share, at_least=least)
    yield lambda: _table(found)


def _table(found: Found) -> Table:
    rows = [
        (d, kappa, int(found["n"]), int(total), int(count), float(count / total))
        for d, totals, counts in zip(found["d"], found["paired"], found["before"], strict=True)
        for kappa, total, count in zip(found["kappa"], totals, counts, strict=True)
    ]
    columns = ("d", "κ", "paths", "dominated by two modes", "no later than separated", "share")
    return Table("Which time comes first", columns, rows)


for _row, _what in ((order, "exact score"), (learned, "networks")):
    CLAIM.must_fail(_row, f"the two times exchanged, {_what}", exchanged=True)
    CLAIM.must_fail_narrowly(
        _row,
        f"on more than half and {{}} of the paths, {_what}",
        0.5,
        least=lambda size: 0.5 + size,
    )
