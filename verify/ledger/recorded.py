"""Recorded verdicts, whether a run reproduces them, and how long each claim took."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mixdyn import learned
from mixdyn.support.errors import FileError
from mixdyn.support.files import make_folder, write_text
from mixdyn.support.numbers import dump_json

from .case import Case, Profile
from .relations import Outcome
from .sources import ROOT
from .verdict import Basis

RECORDED = ROOT / "verify" / "data" / "recorded"
Row = dict[str, Any]


def recorded_path(case: Case, folder: Path = RECORDED) -> Path:
    """One file per case: its name, and enough of its digest to tell two problems apart."""
    return folder / f"{case.name}-{case.digest[:12]}.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        profiles = content["verdicts"]
        if not all(isinstance(rows, dict) for rows in profiles.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FileError(
            "a recorded file holds verdicts by profile and row",
            path.name,
            "Record the case again with --record.",
        ) from None
    return dict(content)


def row_key(row: Row) -> str:
    """The name of a row within its case."""
    return f"{row['id']} [{row['basis']}]"


def find_drift(case: Case, rows: Iterable[Row], folder: Path = RECORDED) -> list[str] | None:
    """What differs from the recorded verdicts, in words; None where none of the rows' claims is
    recorded for the case.

    Only claims among `rows` are compared. A row the record does not know is no drift, nor is a
    derived row that is absent (it depends on the installed SymPy), nor a learned row where the
    extra is not installed.
    """
    path = recorded_path(case, folder)
    if not path.exists():
        return None
    recorded = _read(path)["verdicts"].get(case.profile.value)
    if recorded is None:
        return None
    now = {row_key(row): row["verdict"] for row in rows}
    ids = {key.rpartition(" [")[0] for key in now}
    if not ids & {key.rpartition(" [")[0] for key in recorded}:
        return None
    return [
        f"{case.name}: {key} was {recorded[key]}, is {now.get(key, 'missing')}"
        for key in recorded
        if key.rpartition(" [")[0] in ids
        and now.get(key) != recorded[key]
        and (key in now or not key.endswith(f"[{Basis.DERIVED}]"))
        and (learned.available() or not key.endswith(f"[{Basis.LEARNED}]"))
    ]


def seconds_taken() -> Callable[[str, Case], float]:
    """How long a claim took on a problem of that name, or else on the standard one, when it was
    last recorded; a moment where it never was."""
    contents = [_read(path) for path in RECORDED.glob("*.json")]
    took = {content["case"]: content.get("seconds", {}) for content in contents}

    def seconds(claim_id: str, case: Case) -> float:
        return took.get(case.name, took.get("standard", {})).get(claim_id, 0.1)

    return seconds


def record(case: Case, rows: Sequence[Row], folder: Path = RECORDED) -> Path | None:
    """Store the verdicts of `rows` for this case and profile; rows of other claims stay.

    Nothing is recorded when a check broke: an error is no verdict to reproduce.
    """
    if any(row["verdict"] == Outcome.ERROR for row in rows):
        return None
    path = recorded_path(case, folder)
    content = _read(path) if path.exists() else {"verdicts": {}}
    ids = {row["id"] for row in rows}
    old = content["verdicts"].get(case.profile.value, {})
    kept = {key: v for key, v in old.items() if key.rpartition(" [")[0] not in ids}
    new = kept | {row_key(row): row["verdict"] for row in rows}
    took = content.get("seconds", {})
    if case.profile is Profile.QUICK:  # of which the full one's are multiples, more or less
        took |= {row["id"]: float(f"{row['seconds']:.1g}") for row in rows if row.get("seconds")}
    content = {
        "case": case.name,
        "origin": case.origin,
        "digest": case.digest,
        "verdicts": {**content["verdicts"], case.profile.value: dict(sorted(new.items()))},
        "seconds": dict(sorted(took.items())),
    }
    make_folder(folder)
    write_text(path, dump_json(content))
    return path
