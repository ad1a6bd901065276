r"""On the paper's own lines the exact score leaves more than the tail.

Statement: On the paper's own problems, equal modes of standard deviation 0.05 at 1, 2, 3, at 1, 2,
    4, at 1, 2 and at 1, 2, 4, 5 under its linear schedule from 0.001 to 0.2 in 1000 steps, sampling
    with the exact score gives no interpolation: the share of samples farther than $6\sigma$ from
    every mode, the paper's hallucinations, is at most the mixture's own, $P(|z| > 6)$.
Hypotheses: none; the problems are the paper's.
Measured: the probability itself, for DDPM from the law of its chain, coordinate by coordinate, and
    for DDIM from the starts that its increasing map takes to the ends of each region. Beside them,
    where the statement holds: the flow in continuous time, and DDPM with twice the steps of half
    the noise.
Predicted: at most $P(|z| > 6) = 1.97 \cdot 10^{-9}$. The law of the chain agrees with a quadrature
    of other arithmetic.
Evidence: exact up to a quadrature that keeps the mass to 1e-9 a step; nothing is drawn. Certified
    of DDIM: normal probabilities of starts that provably end on one side of a place, which refute
    the statement on a line where they add up to more than the tail; of 50 quadratic steps too.
Source: arXiv 2406.09358 v2, section 3
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mixdyn.problem.schedule import TimeGrid
from mixdyn.support.checks import Array
from mixdyn.support.numbers import Log10
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.standard import is_standard
from verify.ledger.verdict import Basis, Table
from verify.measure.continuum import NO_TOLERANCE
from verify.measure.interpolation.networks import (
    exact_chain_of,
    exact_chains,
    exact_gaps_of,
    exact_plane_log,
    gap_probabilities,
    law_on_line,
    log_outside,
    on_standard,
)
from verify.measure.interpolation.problems import (
    HALLUCINATION,
    LINES,
    NEAR,
    PLANES,
    SIGMA,
    finer_schedule,
    line_name,
    modes_at,
    schedule,
)
from verify.measure.outside_modes import Line, tail_mass
from verify.measure.paths import DDIM_STEPS
from verify.measure.proved_ends import ProvedLine, certificate, proved_on_line

CLAIM = Claim.from_docstring(
    __doc__,
    id="M1 (2)",
    short="the paper's own lines",
    rests_on={"M1": "on the paper's own problems"},
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "How much a learned score leaves on these lines: see M2. Nor that steps must leave more "
        "than the tail: twice as many leave less."
    ),
)

TAIL = math.erfc(HALLUCINATION / math.sqrt(2.0))
_DIGITS = Tolerance(rtol=1e-4, log=True)  # the quadrature has six, DDIM's starts have four
CONTROL_GAP = 10.0  # tolerances by which the control's tail lies below the largest share


def _outside(case: Case) -> dict[str, Array]:
    """log of the probability outside every mode, by sampler, (lines,)."""

    def build() -> dict[str, Array]:
        ddim = [np.log(line.after_ddim(schedule()).sum()) for line in _lines()]
        ddpm = [log_outside(exact_chain_of(case, places), places) for places in LINES]
        return {"DDPM": np.array(ddpm), "DDIM": np.array(ddim)}

    return case.memo("M1 (2) outside", build)


def _lines() -> list[Line]:
    return [Line(modes_at(places), HALLUCINATION * SIGMA) for places in LINES]


@CLAIM.exact(unit="lines", of=on_standard(_outside))
def tails(
    case: Case, found: Mapping[str, Array], log_tail: float = math.log(TAIL)
) -> Iterator[Part]:
    """What is left outside every mode of each line against the tail of the data."""
    for sampler, logs in found.items():
        yield Side(
            f"outside every mode, {sampler}, every step",
            logs,
            at_most=log_tail,
            tolerance=_DIGITS,
            where=lambda line, sampler=sampler: _problem(line, sampler),
        )
    yield from case.memo("M1 (2) beside", lambda: [*_beside(case)])
    yield Facts(truth=Log10.from_log(math.log(TAIL)))
    yield lambda: (_NOTE, {"P(|z| > 6)": TAIL}, _table(case, found))


def _problem(line: int, sampler: str) -> dict[str, object]:
    return {
        "modes": LINES[line],
        "sigma": SIGMA,
        "schedule": "linear, beta from 0.001 to 0.2",
        "steps": schedule().T,
        "sampler": sampler,
        "radius over sigma": HALLUCINATION,
    }


_NOTE = (
    "The score is exact, the last noise level resolves the closest pair, and the start is noise: "
    "this is what a thousand steps add. The flow in continuous time leaves the tail itself, twice "
    "the steps less. The corrected form is M1'."
)


def _beside(case: Case) -> Iterator[Side]:
    """Where the statement holds, and the chain's law against another quadrature of it."""
    flow = [float(line.after_flow(schedule()).sum()) for line in _lines()]
    yield Side(
        "outside every mode, flow in continuous time",
        np.log(flow),
        at_most=math.log(TAIL),
        tolerance=_DIGITS,
    )
    yield Side(
        "outside every mode, DDPM of twice the steps",
        log_outside(exact_chains(modes_at(NEAR), finer_schedule(2))[0], NEAR),
        at_most=math.log(TAIL),
        tolerance=_DIGITS,
    )
    yield Side(
        "probability of the gaps, against another quadrature",
        exact_gaps_of(case, NEAR),
        equals=np.log(gap_probabilities(law_on_line(case, NEAR, "DDPM"), NEAR)),
        tolerance=Tolerance(rtol=5e-3, log=True),
    )


def _table(case: Case, found: Mapping[str, Array]) -> Table:
    """Every problem of the paper under its schedule, against the tail of its data."""
    rows: list[tuple[str, float, float | None, float]] = [
        (f"modes at {line_name(places)}", math.exp(ddpm), math.exp(ddim), TAIL)
        for places, ddpm, ddim in zip(LINES, found["DDPM"], found["DDIM"], strict=True)
    ]
    both = 2.0 * math.exp(exact_plane_log(case))
    rows += [(f"{name}, between modes", both, None, tail_mass(m)) for name, m in PLANES.items()]
    caption = "The paper's own problems: probability outside every mode, with the exact score"
    return Table(caption, ("mixture", "DDPM", "DDIM", "tail of the data"), rows)


def _tail_too_small(case: Case) -> dict[str, dict[str, float]]:
    """A tail just below the largest share, which all others stay under."""
    if not is_standard(case):
        return {}
    largest = max(float(logs.max()) for logs in _outside(case).values())
    log_tail = largest - CONTROL_GAP * _DIGITS.rtol
    return {f"a tail of {math.exp(log_tail):.4g}": {"log_tail": log_tail}}


CLAIM.must_fail_each(tails, _tail_too_small)


# -- DDIM, proved --------------------------------------------------------------------------------


_GRIDS = {
    "DDIM, every step": TimeGrid.full(schedule().T),
    f"DDIM, {DDIM_STEPS} quadratic steps": TimeGrid.quadratic(schedule().T, DDIM_STEPS),
}


def _proved_lines(case: Case, grid: TimeGrid) -> dict[str, ProvedLine]:
    """What is proved of every line."""
    far = HALLUCINATION * SIGMA

    def build() -> dict[str, ProvedLine]:
        return {
            f"modes at {line_name(places)}": proved_on_line(
                modes_at(places), schedule(), grid, far, far
            )
            for places in LINES
        }

    return case.memo(f"M1 (2) proved, {grid.steps} steps", build)


def _proved(case: Case) -> dict[str, Array]:
    """Bounds on the probability outside every mode, (lines, 2), by sampler."""
    return {
        name: np.array([(line.least, line.most) for line in _proved_lines(case, grid).values()])
        for name, grid in _GRIDS.items()
    }


def _kept(case: Case) -> dict[str, dict[str, Any]] | None:
    """Certificates by sampler."""
    if not is_standard(case):
        return None
    return {
        name: certificate(_proved_lines(case, grid), schedule(), grid)
        for name, grid in _GRIDS.items()
    }


@CLAIM.certified(unit="lines", of=on_standard(_proved))
def proved(case: Case, found: Mapping[str, Array], tail: float = TAIL) -> Iterator[Part]:
    """DDIM's share outside every mode of each line against the tail: one that is proved to be more
    refutes. tail: of the data."""
    for sampler, (least, most) in ((name, ends.T) for name, ends in found.items()):
        yield Side(
            f"outside every mode, {sampler}, between proved bounds",
            np.where(most <= tail, most, np.where(least > tail, least, np.nan)),
            at_most=tail,
            tolerance=Tolerance(rtol=1e-9),
            where=lambda line, sampler=sampler: _problem(line, sampler),
        )
        for places, low, high in zip(LINES, least, most, strict=True):
            yield {
                f"{line_name(places)}, {sampler}: at least": float(low),
                f"{line_name(places)}, {sampler}: at most": float(high),
            }


proved.certificates = _kept  # type: ignore[attr-defined]
CLAIM.must_fail(proved, "a tail of 1e-12, proved", tail=1e-12)
