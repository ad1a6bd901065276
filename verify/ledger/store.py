"""All rows of a run, every finished one kept so that a broken-off run goes on."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixdyn import learned
from mixdyn.support.errors import FileError
from mixdyn.support.files import make_folder, write_text
from mixdyn.support.numbers import dump_json

from . import recorded, rows, runner
from .case import Case
from .derived import derived_row
from .registry import Entry
from .relations import Outcome
from .sources import digest_of
from .verdict import Basis, Origin
from .workers import Task, Watcher, check_all, worth

Row = dict[str, Any]


@functools.cache  # by a process that has imported it: no later change of a file is in its rows
def _code_digest(path: Path) -> str:
    """SHA-256 over all that a claim's rows depend on: what its file imports, shipped data included,
    and what makes rows of it."""
    return digest_of(path, Path(runner.__file__), Path(rows.__file__))


@dataclass(frozen=True)
class Store:
    """Finished rows in a folder, one file per claim and case.

    A row is found again only under the same claim and engine code, case, seed and profile; a claim
    with learned rows also only as long as their extra is installed or not.
    """

    folder: Path

    def path(self, entry: Entry, case: Case) -> Path:
        """Where the rows of a claim on a case are kept."""
        parts = [
            _code_digest(entry.path),
            entry.claim.id,
            case.name,
            case.digest,
            case.seed,
            case.profile,
        ]
        if Basis.LEARNED in entry.claim.basis:
            parts.append(learned.available())
        key = hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:16]
        return self.folder / f"{_slug(entry, case)}-{key}.json"

    def load(self, entry: Entry, case: Case) -> list[Row] | None:
        """The saved rows, or None where there are none (or the file is damaged)."""
        if not any(self.folder.glob(f"{_slug(entry, case)}-*")):  # known without the code's digest
            return None
        try:
            rows = json.loads(self.path(entry, case).read_text(encoding="utf-8"))["rows"]
            stored = Origin.STORED
            return [{**r, "origin": stored if r["origin"] == stored else Origin.KEPT} for r in rows]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, entry: Entry, case: Case, rows: Sequence[Row]) -> None:
        """Keep finished rows; a row of a broken check is not finished."""
        if any(row["verdict"] == Outcome.ERROR for row in rows):
            return
        make_folder(self.folder)
        write_text(self.path(entry, case), dump_json({"rows": rows}))


def _slug(entry: Entry, case: Case) -> str:
    return re.sub(r"\W+", "-", f"{case.name}-{entry.claim.id}").strip("-").lower()


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
    jobs: int = 1,
    watcher: Watcher | None = None,
    unkept: Callable[[FileError], None] = lambda fault: None,
) -> list[Row]:
    """All rows, case by case. `watcher` is told how it goes, `unkept` why finished rows could not
    be written.

    At most `jobs` claims are checked at a time. What claims share on a case is dropped before the
    next one begins.
    """
    watcher = watcher or Watcher()
    took = recorded.seconds_taken()
    tasks = [Task(entry, case, took(entry.claim.id, case)) for case in cases for entry in entries]
    rows: dict[Task, list[Row]] = {}

    def finish(task: Task, found: list[Row]) -> None:
        rows[task] = found + _derived(task.entry, task.case, found)
        watcher.finished(task, rows[task])

    for task in tasks:
        kept = None if fresh else store.load(task.entry, task.case)
        if kept is not None:
            finish(task, kept)
    left = [task for task in tasks if task not in rows]
    with contextlib.closing(check_all(left, worth(jobs, left), watcher)) as checked:
        for task, found in checked:
            try:
                store.save(task.entry, task.case, found)
            except FileError as fault:  # a full disk is no reason to lose the others
                unkept(fault)
            finish(task, found)
    return [row for task in tasks for row in rows[task]]
