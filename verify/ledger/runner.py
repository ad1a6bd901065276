"""Running a claim's check on a case, with its negative controls: what makes a row."""

from __future__ import annotations

import dataclasses
import math
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mixdyn.support.errors import InputError, MixdynError, NotApplicableError
from mixdyn.support.numbers import show_number

from .case import Case
from .claim import Claim
from .relations import Outcome
from .verdict import Basis, NegativeControl, Verdict

if TYPE_CHECKING:
    from .registry import Entry

# What a broken check can raise. Interrupts and exits are not faults and pass through.
FAULTS = (
    MixdynError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def run_claim(entry: Entry, case: Case) -> list[Verdict]:
    """The verdicts of one claim on one case, negative controls included.

    A check that breaks gives one `error` row, a hypothesis the engine refuses one `not applicable`.
    """
    start = time.perf_counter()
    try:
        obstacle = entry.claim.obstacle(case.mixture)
        if obstacle is not None:
            bases = [b for b in entry.claim.basis if b is not Basis.LEARNED or not case.random]
            return [entry.claim.not_applicable(case, obstacle, basis) for basis in bases]
        found = entry.check(case)
        verdicts = [found] if isinstance(found, Verdict) else list(found)
        _check_rows(entry, verdicts)
        if any(v.measured is not None for v in verdicts):
            verdicts = _with_controls(entry.claim, verdicts, entry.mutants(case))
    except NotApplicableError as refusal:
        verdicts = [entry.claim.not_applicable(case, str(refusal))]
    except FAULTS as fault:
        verdicts = [entry.claim.broken(case, _describe(fault))]
    seconds = time.perf_counter() - start
    return [dataclasses.replace(v, seconds=seconds) for v in verdicts]


def _check_rows(entry: Entry, verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.id != entry.claim.id or verdict.basis not in entry.claim.basis:
            raise InputError(
                f"rows of {entry.path.name} are of {entry.claim.id} on one of its stated bases",
                f"{verdict.id} ({verdict.basis})",
                "Correct the CLAIM header or the check.",
            )
        if verdict.verdict is Outcome.FAILS and not verdict.witness:
            raise InputError(
                "a failing verdict stores a witness that reproduces it",
                f"{verdict.id} on {verdict.case} without one",
                "Pass Finding(witness=...).",
            )


def _with_controls(
    claim: Claim, verdicts: Sequence[Verdict], mutants: dict[str, Verdict]
) -> list[Verdict]:
    """Attach each mutant to the row of its basis, and say what the controls show.

    A mutant that holds is named in the note, since on some mixtures a mutant is true. Only one that
    fails is rejected: if none is, the check had no power here, and a row that holds becomes
    inconclusive. Without any mutants (a search strips them) nothing is said of the power.
    """
    rows = []
    for verdict in verdicts:
        controls = tuple(
            NegativeControl.of(name, mutant)
            for name, mutant in mutants.items()
            if mutant.basis is verdict.basis and verdict.verdict is not Outcome.NOT_APPLICABLE
        )
        passed = [c.name for c in controls if c.verdict is Outcome.HOLDS]
        notes = [verdict.note] if verdict.note else []
        outcome = verdict.verdict
        if outcome is Outcome.HOLDS and passed:
            notes.append(f"Also holds here: {', '.join(passed)}.")
        if outcome is Outcome.HOLDS and mutants and not any(c.caught for c in controls):
            notes.append("No negative control fails: the check has no power on this problem.")
            outcome = Outcome.INCONCLUSIVE
        reason = claim.no_narrow_control.get(verdict.basis, "")
        judged = dataclasses.replace(verdict, verdict=outcome, note=" ".join(notes))
        shown = describe_controls(controls, reason) if verdict.measured is not None else None
        rows.append(dataclasses.replace(judged, mutants=controls, controls=shown))
    return rows


def describe_controls(controls: Sequence[NegativeControl], reason: str = "") -> str:
    """In words, how narrowly the nearest control failed; `reason`: why none is nearer."""
    caught = [c for c in controls if c.caught]
    if not caught:
        return f"No control fails. {reason}".strip()
    nearest = min(caught, key=lambda c: math.inf if c.excess is None else c.excess)
    by = "" if nearest.excess is None else f" by {show_number(nearest.excess, 3)} tolerances"
    if nearest.narrow:
        return f"Fails narrowly: {nearest.name},{by}."
    return f"No control fails narrowly; the nearest, {nearest.name}, fails{by}. {reason}".strip()


def _describe(fault: BaseException) -> str:
    """The fault, and where it was raised, without the machine's folders."""
    last = traceback.extract_tb(fault.__traceback__)[-1]
    text = str(fault).splitlines()[0] if str(fault) else "no message"
    return f"{type(fault).__name__}: {text} ({Path(last.filename).name}:{last.lineno}, {last.name})"
