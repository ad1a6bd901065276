r"""Interpolation falls with more training data and with the distance of two modes.

Statement: Under DDPM with a learned score, the probability of ending between two modes, farther
    than $6\sigma$ from both, falls as the training set grows from 25,000 to 500,000 points, and
    the density there is lower between modes at 2 and 4 than between modes at 1 and 2.
Hypotheses:
    - trained: networks of the paper's four sizes of the training set are shipped for the modes at
      1, 2, 3 and at 1, 2, 4, one training seed each.
Measured: on each network, the law of DDPM's last state, carried through its 1,000 steps by
    quadrature: no sampling error. With the exact score the logarithm of the probability of each
    gap, in closed form.
Predicted: less with 500,000 points than with 25,000; of one network, less density in the wide gap
    than in the narrow one. With the exact score the wide gap has less probability too; there is no
    training set, and nothing near a network's rate.
Evidence: exact for the exact score; learned otherwise, each comparison to within 2 %, twenty times
    what halving the spacing of the quadrature changes in a probability.
Source: arXiv 2406.09358 v2, section 4 and figure 2
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from verify.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.interpolation_problems import (
    FAR,
    NEAR,
    TRAINING_SIZES,
    line_name,
    modes_at,
)
from verify.relations import Comparison, Upper, compare
from verify.trained.interpolation import (
    exact_gaps,
    gap_probabilities,
    gaps,
    law_on_line,
    networks,
    on_standard,
    own_rows,
)
from verify.trained.models import TrainedModel

CLAIM = Claim.from_docstring(
    __doc__,
    id="M4",
    basis=(Basis.EXACT, Basis.LEARNED),
    does_not_show=(
        "How much of a difference between two networks is the training seed's: there is one seed "
        "for each size. Nor what longer training does: these networks saw 25 million samples, far "
        "fewer than the paper's."
    ),
)
Places = tuple[float, ...]
_LESS = Upper(rtol=0.02, atol=1e-12)


@dataclass(frozen=True)
class Measured:
    """One network: the modes' places, the size of its training set, the probability of each gap."""

    name: str
    places: Places
    points: int
    gaps: tuple[float, ...]

    @property
    def total(self) -> float:
        """Probability of all gaps together."""
        return math.fsum(self.gaps)

    @property
    def densities(self) -> list[float]:
        """Mean density in each gap."""
        return [p / (b - a) for p, (a, b) in zip(self.gaps, gaps(self.places), strict=True)]


Change = Callable[[list[Measured]], list[Measured]]


def check(case: Case) -> list[Verdict]:
    """The exact score's gaps in closed form, the networks' by the law of the chain."""
    return [*_exact(case, narrow=0, wide=1), *_learned(case, list)]


def mutants(case: Case) -> dict[str, Verdict]:
    """The gaps swapped; the sizes of the training sets in reverse."""
    changed = {
        "gaps swapped, exact": _exact(case, narrow=1, wide=0),
        "sizes reversed": _learned(case, _reversed),
    }
    return {name: row for name, rows in changed.items() for row in rows}


# -- the exact score -----------------------------------------------------------------------------


def _exact(case: Case, narrow: int, wide: int) -> list[Verdict]:
    return on_standard(CLAIM, case, Basis.EXACT, lambda: [_judge_exact(case, narrow, wide)])


def _judge_exact(case: Case, narrow: int, wide: int) -> Verdict:
    name = "probability of the wide gap against the narrow one, exact score"
    far = exact_gaps(case)[FAR]
    finding = Finding(
        comparisons=[compare(name, Upper(rtol=1e-3, log=True), far[wide], far[narrow])],
        nonvacuous_share=1.0,
        witness=lambda comparison: {"modes": FAR, "sampler": "DDPM"},
        unit="mixtures",
    )
    return CLAIM.judge(case, finding, Basis.EXACT)


# -- trained networks ----------------------------------------------------------------------------


def _learned(case: Case, change: Change) -> list[Verdict]:
    def measure(models: Sequence[TrainedModel]) -> Verdict:
        found = change(_measured(case))
        missing = 2 * len(TRAINING_SIZES) - len(found)
        hypothesis = Hypothesis("trained", 1.0 - missing / (2 * len(TRAINING_SIZES)))
        finding = Finding(
            comparisons=_comparisons(found),
            hypotheses=[hypothesis],
            applicable_share=float(bool(found)),
            nonvacuous_share=1.0,
            witness=lambda comparison: {"compared": comparison.name, "sampler": "DDPM"},
            unit="networks",
            note=_note(found),
            tables=[_table(found)],
            model=", ".join(m.name for m in found),
        )
        return CLAIM.judge(case, finding, Basis.LEARNED)

    return own_rows(CLAIM, case, measure)


def _measured(case: Case) -> list[Measured]:
    """Every network of the two lines, by line and size; measured once."""
    return [
        Measured(
            network.model.name,
            places,
            network.points,
            tuple(
                gap_probabilities(law_on_line(case, places, "DDPM", network.model), places).tolist()
            ),
        )
        for places in (NEAR, FAR)
        for network in networks(case, modes_at(places))
    ]


def _reversed(found: list[Measured]) -> list[Measured]:
    """The sizes of each line's training sets in reverse order."""
    swapped = []
    for places in (NEAR, FAR):
        line = _of(found, places)
        sizes = [m.points for m in line][::-1]
        named = (Measured(m.name, places, n, m.gaps) for m, n in zip(line, sizes, strict=True))
        swapped += sorted(named, key=lambda m: m.points)
    return swapped


def _of(found: list[Measured], places: Places) -> list[Measured]:
    return [m for m in found if m.places == places]


def _comparisons(found: list[Measured]) -> list[Comparison]:
    """The largest training set against the smallest, and on each network the two gaps."""
    compared = []
    for places in (NEAR, FAR):
        line = _of(found, places)
        if len(line) > 1:
            name = f"modes at {line_name(places)}: {line[-1].points:,} points below "
            name += f"{line[0].points:,}"
            compared.append(compare(name, _LESS, line[-1].total, line[0].total))
    for m in _of(found, FAR):
        name = f"{m.points:,} points: density between 2 and 4 below that between 1 and 2"
        compared.append(compare(name, _LESS, m.densities[1], m.densities[0]))
    return compared


def _note(found: list[Measured]) -> str:
    """At which steps from one size to the next the probability rises, and where the wide gap has
    more of it."""
    rises = [
        f"{a.points:,} to {b.points:,} ({line_name(places)})"
        for places in (NEAR, FAR)
        for a, b in itertools.pairwise(_of(found, places))
        if b.total > 1.02 * a.total
    ]
    more = [f"{m.points:,}" for m in _of(found, FAR) if m.gaps[1] > 1.02 * m.gaps[0]]
    note = f"It rises from {', '.join(rises)}." if rises else "It falls at every size."
    if more:
        note += " In probability rather than density, the wide gap (1.4 against 0.4 long) has more "
        note += f"with {', '.join(more)} points."
    return note


def _table(found: list[Measured]) -> Table:
    rows: list[list[float | str]] = [
        [m.name, f"{m.points:,}", m.total, *m.gaps[:2], *m.densities[:2]] for m in found
    ]
    columns = (
        *("network", "training points", "all gaps", "first gap", "second gap"),
        *("density in the first", "in the second"),
    )
    return Table("Probability of ending between modes under DDPM, by quadrature", columns, rows)
