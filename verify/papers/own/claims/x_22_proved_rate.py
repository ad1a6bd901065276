r"""A network hallucinates, proved.

Statement: Let $x_s = c_x x_t + c_\epsilon \epsilon(x_t, t)$ be the steps of DDIM with a trained
    network on a line of modes. The starts in an interval $[a, b]$ end in a gap, farther than
    $6\sigma$ from every mode, if enclosures of the steps say so of every point of it; so
    $P(\text{gap}) \ge \sum (\Phi(b) - \Phi(a))$ over such intervals. The network
    is that of real numbers: its weights, the table of its time features and the steps' coefficients
    are the stored ones.
Hypotheses: none.
Measured: for each shipped network of a line and DDIM with 50 steps, the mass of the starts that are
    proved to end in a gap.
Predicted: at least 95 % of what bisection of the map in doubles finds, and no more than it;
    and samples in single precision end there at least half as often.
Evidence: certified: every layer is enclosed over boxes of states, with its derivative, by doubles
    that round outward. Which intervals are tried, and the comparisons, are of doubles and samples.
Source: our result on what arXiv 2406.09358 v2, section 4, observes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure.interpolation.networks import networks, on_standard
from verify.measure.interpolation.problems import (
    HALLUCINATION,
    LINES,
    SIGMA,
    modes_at,
    schedule,
)
from verify.measure.networks.models import TrainedModel
from verify.measure.networks.proved import (
    ProvedStarts,
    ddim_steps,
    ended_in_gaps,
    proved_starts,
    rounding_of,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="X22",
    short="a rate, proved",
    rests_on={"M1": "the exact score leaves next to nothing there"},
    does_not_show=(
        "How little a network hallucinates: starts that are not proved to end in a gap may end "
        "there all the same, and those far out in the tail, which some networks throw away, are "
        "not counted. And what single precision does: its rates are sampled, and its difference is "
        "measured along paths."
    ),
)

MARGIN = HALLUCINATION * SIGMA
SHARE = 0.95  # of what doubles find
_SAMPLES = 0.5  # of the proved mass that samples must show


@dataclass(frozen=True, eq=False)
class Line:
    """One network: its modes, and what is proved of its starts."""

    model: TrainedModel
    places: tuple[float, ...]
    starts: ProvedStarts

    @property
    def name(self) -> str:
        """The checkpoint's."""
        return self.model.name


def measured(case: Case) -> list[Line]:
    """Every shipped network of a line."""
    return [
        Line(network.model, places, proved_starts(case, places, MARGIN, network.model))
        for places in LINES
        for network in networks(case, modes_at(places))
    ]


Lines = Sequence[Line]


@CLAIM.certified(unit="networks", of=on_standard(measured))
def proved(
    case: Case,
    lines: Lines,
    nearer: float = 0.0,
    change: Callable[[Array], Array] = lambda found: found,
) -> Iterator[Part]:
    """The mass of starts. nearer: a share by which the gap is narrower than claimed at either end;
    change: of the mass that doubles find."""
    mass = np.array([x.starts.proved((1.0 + nearer) * MARGIN).sum() for x in lines])
    found = change(np.array([x.starts.found.sum() for x in lines]))
    where = {"network": np.array([x.name for x in lines])}
    name = "mass of starts that are proved to end in a gap, against bisection"
    yield Side(name, mass, at_least=SHARE * found, tolerance=Tolerance(rtol=1e-9), where=where)
    name = "the same, against all that bisection finds"
    yield Side(name, mass, at_most=found, tolerance=Tolerance(rtol=1e-6), where=where)
    counts, n = _counted(case, lines)
    yield Side(
        "share of samples in single precision that end in a gap, all networks",
        Proportion(int(counts.sum()), n * len(lines)),
        at_least=_SAMPLES * float(mass.mean()),
        where={"networks": [x.name for x in lines]},
    )
    yield Facts(model=", ".join(x.name for x in lines), seed=case.stream("X22"))
    yield lambda: (*_shown(case, lines, mass, counts, n),)


CLAIM.must_fail_narrowly(proved, "a gap narrower by {} of 6 sigma", 0.5, nearer=lambda s: s)
CLAIM.must_fail(proved, "half as much found in doubles", change=lambda found: 0.5 * found)


def _starts(case: Case) -> Array:
    n = case.pick(10_000, 1_000_000)
    return np.random.default_rng(case.stream("X22")).standard_normal(n)


def _counted(case: Case, lines: Lines) -> tuple[Array, int]:
    """Samples of every network that end in a gap, (n networks,), and their number of each."""
    starts, steps = _starts(case), ddim_steps(schedule())

    def count() -> Array:
        return np.array(
            [ended_in_gaps(steps, x.model.score, x.places, MARGIN, starts) for x in lines]
        )

    return case.memo("X22 samples", count), len(starts)


def _shown(case: Case, lines: Lines, mass: Array, counts: Array, n: int) -> Iterator[Part]:
    steps, few = ddim_steps(schedule()), _starts(case)[:500]
    rounding = [rounding_of(steps, x.model.score, few) for x in lines]
    found = np.array([x.starts.found.sum() for x in lines])
    yield {
        "proved over found in doubles, least": float((mass / found).min()),
        "largest proved rate": float(mass.max()),
        "largest difference of single precision along 500 paths": float(max(rounding)),
        "boxes that were enclosed": int(sum(x.starts.boxes for x in lines)),
    }
    rows = [
        (x.name, float(p), float(f), c / n, *Proportion(int(c), n).interval(), len(x.starts.start))
        for x, p, f, c in zip(lines, mass, found, counts.tolist(), strict=True)
    ]
    heads = ("network", "proved", "in doubles", "samples", "from", "to", "intervals")
    yield Table("Probability that DDIM-50 ends in a gap: proved, bisected and sampled", heads, rows)
    best = int(np.argmax(mass))
    yield (
        f"It is proved that {lines[best].name} with DDIM-50 ends between modes with probability "
        f"{mass[best]:.6g} at least; bisection in doubles finds {found[best]:.6g}."
    )
