r"""Interpolation joins nearest neighbours only.

Statement: On a square grid of modes, and on the same grid turned by 45 degrees (the diamond), the
    shipped network interpolates along the sides of a cell, which join nearest neighbours, whatever
    their direction; it does not along the diagonals, which on the diamond lie along the axes.
Hypotheses:
    - trained: a network is shipped for the grid and for the diamond.
    - steps: with the exact score, on the same noise, at most one sample in 1,000 lies between
      modes.
Measured: among final states outside every mode, those within a mode's radius of a side and, of
    the rest, of a diagonal: under DDPM and under DDIM with 50 steps. With the exact score, on
    which the coordinates of a grid are independent, logarithms of the probabilities that exactly
    one coordinate of $\hat{x}_0$ at the last noisy time lies in a gap (a side), or that both do.
Predicted: of the states on sides and diagonals, at least 95 % on sides; more on sides than on
    diagonals. With the exact score the probability of a diagonal is at most 5 % of that of a side.
Evidence: exact for the exact score, the same for both planes, as noise and score turn with them;
    learned by counts, decided by Clopper-Pearson intervals that miss with probability 1e-6.
Source: arXiv 2406.09358 v2, section 4 and figure 3
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.interpolation.networks import (
    KINDS,
    SIDE,
    PlaneCounts,
    exact_plane_log,
    on_standard,
    plane_counts,
)
from verify.measure.interpolation.problems import PLANES
from verify.measure.networks.rates import STEPS_ALONE

CLAIM = Claim.from_docstring(
    __doc__,
    id="M3",
    short="nearest neighbours",
    rests_on={"D.1": "why diagonals are avoided"},
    does_not_show=(
        "That pairs farther apart than a diagonal are never joined: states elsewhere are counted "
        "apart. One network a plane, trained for fewer samples than the paper's."
    ),
)
MOST_ON_SIDES = 0.95
_WIDE_GAP = 0.0925  # from 1/11 on, a diagonal has more than 5 % of a side


@CLAIM.exact(unit="mixtures", of=on_standard(exact_plane_log))
def exact(
    case: Case, log_gap: float, change: Callable[[float], float] = lambda log_gap: log_gap
) -> Side:
    """Both coordinates in a gap against exactly one. log_gap: log of the probability of one."""
    log_gap = change(log_gap)
    side = math.log(2.0) + log_gap + math.log1p(-math.exp(log_gap))
    return Side(
        "probability of a diagonal against 5 % of that of a side, exact score",
        2.0 * log_gap,
        at_most=side + math.log(1.0 - MOST_ON_SIDES),
        tolerance=Tolerance(rtol=1e-3, log=True),
        where={"sampler": "DDPM", "log of one coordinate in a gap": log_gap},
    )


@CLAIM.learned(unit="samples", of=on_standard(plane_counts))
def learned(
    case: Case,
    counts: Sequence[PlaneCounts],
    change: Callable[[PlaneCounts], PlaneCounts] = lambda counted: counted,
) -> Iterator[Part]:
    """Sides against diagonals, and their share, however few were seen."""
    counts = [change(counted) for counted in counts]
    for c in counts:
        where = f"{c.plane}, {c.sampler}"
        # Of those on either, so that a few decide: what lies on neither says nothing of the two.
        yield Side(f"{where}: sides above diagonals", c.joined(SIDE), at_least=0.5)
        yield Side(f"{where}: share on sides", c.joined(SIDE), at_least=MOST_ON_SIDES)
    yield Hypothesis("trained", len({c.plane for c in counts}) / len(PLANES))
    if counts:
        alone = [STEPS_ALONE - float(c.exact.sum()) / c.n for c in counts]
        yield Hypothesis.from_slack("steps", np.array(alone))
    yield Facts(
        witness=lambda _: {"seed": case.stream("interpolation planes")},
        model=", ".join(dict.fromkeys(c.model for c in counts)),
    )
    yield lambda: (_note(counts), _table(counts))


_ENOUGH = math.ceil(math.log(1e-6 / 2.0) / math.log(MOST_ON_SIDES))  # all on sides would decide


def _note(counts: Sequence[PlaneCounts]) -> str:
    few = [f"{c.plane}, {c.sampler}" for c in counts if c.joined(SIDE).trials < _ENOUGH]
    words = f"Too few interpolations to decide a share of {MOST_ON_SIDES:.0%}: {'; '.join(few)}."
    return words if few else ""


def _table(counts: Sequence[PlaneCounts]) -> Table:
    rows: list[tuple[str | float, ...]] = []
    for c in counts:
        shares = [*(c.of(kind) for kind in KINDS), c.joined(SIDE)]
        cells = [cell for share in shares for cell in (share.rate, *share.interval())]
        rows.append((c.plane, c.sampler, c.n, *cells, int(c.exact.sum())))
    kinds = [head for kind in (*KINDS, "sides among both") for head in (kind, "from", "to")]
    columns = ("plane", "sampler", "samples", *kinds, "outside with the exact score")
    caption = "Where final states outside every mode lie, with 95 % intervals"
    return Table(caption, columns, rows)


CLAIM.must_fail(
    exact, f"a gap of probability {_WIDE_GAP}, exact", change=lambda log_gap: math.log(_WIDE_GAP)
)
CLAIM.must_fail(
    learned,
    "a tenth moved from sides to diagonals",
    change=lambda c: replace(c, learned=c.learned + c.learned[0] // 10 * np.array([-1, 1, 0])),
)
CLAIM.must_fail(
    learned,
    "sides and diagonals exchanged",
    change=lambda c: replace(c, learned=c.learned[[1, 0, 2]]),
)
