"""Running checks on cases, keeping every finished row so that a broken-off run goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixdyn import learned
from mixdyn.errors import InputError, MixdynError, NotApplicableError
from mixdyn.files import write_text

from .claim import Basis, Case, Claim, NegativeControl, Verdict
from .derived import derived_row
from .outputs import make_folder
from .quantities import dump_json, show_number
from .registry import Entry
from .relations import Outcome

Row = dict[str, Any]

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
    obstacle = entry.claim.obstacle(case.mixture)
    if obstacle is not None:
        bases = [b for b in entry.claim.basis if b is not Basis.LEARNED or not case.random]
        return [entry.claim.not_applicable(case, obstacle, basis) for basis in bases]
    start = time.perf_counter()
    try:
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
            if mutant.basis is verdict.basis
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
        shown = describe_controls(controls, reason)
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


@dataclass(frozen=True)
class Store:
    """Finished rows in a folder, one file per claim and case.

    A row is found again only under the same claim and engine code, case, seed and profile; a claim
    with learned rows also only as long as their extra is installed or not.
    """

    folder: Path

    def path(self, entry: Entry, case: Case) -> Path:
        """Where the rows of a claim on a case are kept."""
        parts = [entry.code_digest, entry.claim.id, case.name, case.digest, case.seed, case.profile]
        if Basis.LEARNED in entry.claim.basis:
            parts.append(learned.available())
        key = hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:16]
        slug = re.sub(r"\W+", "-", f"{case.name}-{entry.claim.id}").strip("-").lower()
        return self.folder / f"{slug}-{key}.json"

    def load(self, entry: Entry, case: Case) -> list[Row] | None:
        """The saved rows, or None where there are none (or the file is damaged)."""
        try:
            rows = json.loads(self.path(entry, case).read_text(encoding="utf-8"))["rows"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return [{**row, "origin": "saved"} for row in rows]

    def save(self, entry: Entry, case: Case, rows: Sequence[Row]) -> None:
        """Keep finished rows; a row of a broken check is not finished."""
        if any(row["verdict"] == Outcome.ERROR for row in rows):
            return
        make_folder(self.folder)
        write_text(self.path(entry, case), dump_json({"rows": rows}))


def _derived(entry: Entry, case: Case, rows: Sequence[Row]) -> list[Row]:
    """The claim's derived row where the claim applies. Never stored: the derivation stores it."""
    silent = {Outcome.NOT_APPLICABLE, Outcome.ERROR}
    if all(row["verdict"] in silent for row in rows):
        return []
    verdict = derived_row(entry.claim, case)
    return [] if verdict is None else [verdict.as_row()]


def run_all(
    entries: Sequence[Entry],
    cases: Sequence[Case],
    store: Store,
    *,
    fresh: bool = False,
    report: Callable[[Entry, Case], None] = lambda entry, case: None,
    finished: Callable[[list[Row]], None] = lambda rows: None,
) -> list[Row]:
    """All rows, case by case. `report` is told what starts, `finished` the rows of each claim.

    What claims share on a case is dropped before the next one begins.
    """
    rows: list[Row] = []
    for case in cases:
        for entry in entries:
            report(entry, case)
            found = None if fresh else store.load(entry, case)
            if found is None:
                found = [verdict.as_row() for verdict in run_claim(entry, case)]
                store.save(entry, case, found)
            found = found + _derived(entry, case, found)
            rows.extend(found)
            finished(found)
        case.workspace.clear()
    return rows
