r"""Interpolation falls with more training data and with the distance of two modes.

Statement: Under DDPM with a learned score, the probability of ending between two modes, farther
    than $6\sigma$ from both, falls as the training set grows, from each of the paper's sizes
    (25,000, 50,000, 100,000, 500,000 points) to the next; and on each shipped network the density
    there is lower between modes at 2 and 4 than between modes at 1 and 2.
Hypotheses:
    - trained: networks of the paper's four sizes of the training set are shipped for the modes at
      1, 2, 3 and at 1, 2, 4.
Measured: on each network, the law of DDPM's last state, carried through its 1,000 steps by
    quadrature: no sampling error. With the exact score the logarithm of the probability of each
    gap, in closed form.
Predicted: less with each larger training set, in the geometric mean over training seeds; of one
    network, less density in the wide gap than in the narrow one. With the exact score the wide gap
    has less probability too; there is no training set, and nothing near a network's rate.
Evidence: exact for the exact score; learned otherwise. The two gaps of one network are compared to
    within 2 %, twenty times what halving the spacing of the quadrature changes in a probability. A
    step of the training set is decided by Student's interval over training seeds, which misses with
    probability 0.01; with fewer than three seeds a size nothing says how far a seed alone moves
    the probability, and the step is undecided. The note says which steps these networks refute.
Source: arXiv 2406.09358 v2, section 4 and figure 2
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.relations import Comparison
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.interpolation.networks import (
    exact_gaps_of,
    gap_probabilities,
    gaps,
    law_on_line,
    networks,
    on_standard,
)
from verify.measure.interpolation.problems import FAR, NEAR, TRAINING_SIZES, line_name, modes_at
from verify.measure.networks.pooled import LEAST_SEEDS, compare_over_seeds

CLAIM = Claim.from_docstring(
    __doc__,
    id="M4",
    short="data and distance",
    rests_on={"M2": "the turn that data sharpen"},
    does_not_show=(
        "What longer training does: these networks saw 25 million samples, far fewer than the "
        "paper's. With one seed a size, how much of a difference between two networks is the "
        "seed's."
    ),
)
Places = tuple[float, ...]
_NOT_WIDER = (1.0, 2.0, 2.995)  # the second gap is shorter than the first by a hundredth of it
_DENSER = 1.1


@CLAIM.exact(unit="mixtures", of=on_standard(lambda case: functools.partial(exact_gaps_of, case)))
def exact(case: Case, gaps_of: Callable[[Places], Array], places: Places = FAR) -> Side:
    """The exact score's gaps in closed form. places: three modes, of which the last two are said to
    be the farther apart."""
    narrow, wide = gaps_of(places)
    return Side(
        "probability of the wide gap against the narrow one, exact score",
        wide,
        at_most=narrow,
        tolerance=Tolerance(rtol=1e-3, log=True),
        where={"modes": places, "sampler": "DDPM"},
    )


CLAIM.must_fail(exact, "a second gap shorter by a hundredth, exact", places=_NOT_WIDER)


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


Networks = Sequence[Measured]


def measured(case: Case) -> list[Measured]:
    """Every network of the two lines, by line, size and seed, by the law of the chain."""
    found = []
    for places in (NEAR, FAR):
        for network in networks(case, modes_at(places), seeds=True):
            law = law_on_line(case, places, "DDPM", network.model)
            shares = tuple(gap_probabilities(law, places).tolist())
            found.append(Measured(network.model.name, places, network.points, shares))
    return found


@CLAIM.learned(unit="pairs of networks", of=on_standard(measured))
def learned(
    case: Case, found: Networks, change: Callable[[Networks], Networks] = lambda found: found
) -> Iterator[Part]:
    """Every step of the training set over its seeds, the largest rise first; on each network the
    two gaps."""
    found = change(found)
    yield from sorted(_steps(found), key=lambda step: -float(step.measured))  # type: ignore[arg-type]
    for m in found:
        if m.places == FAR:
            narrow, wide = m.densities
            yield Side(
                f"{m.name}: density between 2 and 4 below that between 1 and 2",
                wide,
                at_most=narrow,
                tolerance=Tolerance(rtol=0.02, atol=1e-12),
            )
    shipped = {(m.places, m.points) for m in found}
    asked = [*itertools.product((NEAR, FAR), TRAINING_SIZES)]
    yield Hypothesis("trained", 1.0 - sum(s not in shipped for s in asked) / len(asked))
    yield Facts(witness=lambda _: {"sampler": "DDPM"}, model=", ".join(m.name for m in found))
    yield lambda: (*_note(found), _table(found))


def _steps(found: Networks) -> Iterator[Comparison]:
    """From each size to the next; from the first to the last too where these have the seeds that
    decide and some size between has not."""
    for places, line in _by_size(found).items():
        sizes = [*line.items()]
        asked = [*itertools.pairwise(sizes)]
        seeds = [len(totals) >= LEAST_SEEDS for totals in line.values()]
        if len(seeds) > 2 and seeds[0] and seeds[-1] and not all(seeds):
            asked.append((sizes[0], sizes[-1]))
        for (few, before), (many, after) in asked:
            name = f"modes at {line_name(places)}: {many:,} points below {few:,}"
            yield compare_over_seeds(name, after, before)


def _by_size(found: Networks) -> dict[Places, dict[int, list[float]]]:
    """Probability of all gaps, one a seed, by line and size of the training set in rising order."""
    lines: dict[Places, dict[int, list[float]]] = {NEAR: {}, FAR: {}}
    for m in sorted(found, key=lambda m: m.points):
        lines[m.places].setdefault(m.points, []).append(m.total)
    return lines


def _fewest_seeds(found: Networks) -> int:
    """Training seeds of the line and size that has the fewest, 0 without networks."""
    lines = _by_size(found).values()
    return min((len(totals) for line in lines for totals in line.values()), default=0)


def _note(found: Networks) -> Iterator[str]:
    """What these networks show of the fall, whatever the verdict on networks in general."""
    for places, line in _by_size(found).items():
        means = {size: math.exp(np.log(totals).mean()) for size, totals in line.items()}
        rates = ", ".join(f"{mean:.3g}" for mean in means.values())
        rises = [
            f"{few:,} to {many:,}"
            for (few, before), (many, after) in itertools.pairwise(means.items())
            if after > 1.02 * before
        ]
        where = f"rises from {' and from '.join(rises)} points" if rises else "falls at every step"
        yield f"Modes at {line_name(places)}: {rates} by size; it {where}."
        seeds = ", ".join(str(len(totals)) for totals in line.values())
        yield f"Training seeds by size: {seeds}."
    if 0 < _fewest_seeds(found) < LEAST_SEEDS:
        yield (
            f"Fewer than {LEAST_SEEDS} training seeds a size: a rise refutes the fall of these "
            "networks, not that of their mean over seeds, and a fall shows neither."
        )
    more = [m.name for m in found if m.places == FAR and m.gaps[1] > 1.02 * m.gaps[0]]
    if more:
        yield (
            "In probability rather than density, the wide gap (1.4 against 0.4 long) has more on "
            f"{', '.join(more)}."
        )


def _table(found: Networks) -> Table:
    rows: list[list[float | str]] = [
        [m.name, f"{m.points:,}", m.total, *m.gaps[:2], *m.densities[:2]] for m in found
    ]
    columns = (
        *("network", "training points", "all gaps", "first gap", "second gap"),
        *("density in the first", "in the second"),
    )
    return Table("Probability of ending between modes under DDPM, by quadrature", columns, rows)


# -- what must fail ------------------------------------------------------------------------------


def denser(found: Networks) -> list[Measured]:
    """The wide gap of every network a tenth denser than its narrow one."""
    (a, b), (c, d) = gaps(FAR)
    factor = _DENSER * (d - c) / (b - a)
    return [
        replace(m, gaps=(m.gaps[0], factor * m.gaps[0])) if m.places == FAR else m for m in found
    ]


def mirrored(found: Networks) -> list[Measured]:
    """The sizes of each line's training sets in reverse order."""
    sizes = sorted({m.points for m in found})
    mirror = dict(zip(sizes, sizes[::-1], strict=True))
    return [replace(m, points=mirror[m.points]) for m in found]


CLAIM.must_fail(
    learned, "a tenth more density in the wide gap than in the narrow one", change=denser
)
CLAIM.must_fail(
    learned,
    "sizes reversed",
    change=mirrored,
    when=lambda case: _fewest_seeds(measured(case)) >= LEAST_SEEDS,
)
