"""Stored outcomes of the derivations, readable without SymPy.

`recorded.json` keeps, per derivation, whether it closed, with the digest of everything it depends
on and the version of SymPy that closed it. An outcome counts only while both still match.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RECORD = FOLDER / "recorded.json"


@dataclass(frozen=True)
class Outcome:
    """What verifying one derivation gave.

    closed: every residual is zero and every wrong variant was rejected. residual: as text.
    general: how far the proof reaches. citations: theorems it rests on without proof. digest,
    sympy: what it is valid for.
    """

    id: str
    title: str
    closed: bool
    residual: str
    links: int
    rejected: int
    general: str
    citations: tuple[str, ...]
    digest: str
    sympy: str


def sympy_version() -> str:
    """Version of the installed SymPy, without importing it."""
    return metadata.version("sympy")


def path_of(name: str) -> Path:
    """The file of a derivation, named by its module's name. Raises KeyError where there is none."""
    found = [path for path in FOLDER.glob(f"*/{name}.py") if path.parent.name != "algebra"]
    if len(found) != 1:
        raise KeyError(name)
    return found[0]


def _imported(path: Path) -> set[Path]:
    """Files of this package that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            place = path.parents[node.level - 1].joinpath(*node.module.split("."))
            found.add(place.with_suffix(".py"))
    return found


def sources(name: str) -> list[Path]:
    """The derivation's file and every one it imports, directly or not, sorted by name."""
    pending, seen = [path_of(name)], set()
    while pending:
        path = pending.pop()
        if path not in seen:
            seen.add(path)
            pending += _imported(path)
    return sorted(seen, key=lambda path: path.name)


def digest(name: str) -> str:
    """SHA-256 over the sources of a derivation."""
    h = hashlib.sha256()
    for path in sources(name):
        h.update(path.name.encode())
        h.update(path.read_bytes())
    return h.hexdigest()


def read() -> dict[str, Outcome]:
    """Recorded outcomes by module name; empty where nothing is recorded."""
    if not RECORD.exists():
        return {}
    rows = json.loads(RECORD.read_text(encoding="utf-8"))
    return {
        name: Outcome(**{**row, "citations": tuple(row["citations"])}) for name, row in rows.items()
    }


def write(outcomes: Mapping[str, Outcome]) -> None:
    """Record outcomes, replacing what was recorded."""
    rows = {name: asdict(outcome) for name, outcome in sorted(outcomes.items())}
    write_text(RECORD, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def lookup(name: str) -> Outcome | None:
    """The outcome recorded for a derivation (its module's name), if it is still valid."""
    outcome = read().get(name)
    if outcome is None or (outcome.sympy, outcome.digest) != (sympy_version(), digest(name)):
        return None
    return outcome


def has_closed(name: str) -> bool:
    """Whether a valid recorded outcome says that the derivation closed."""
    outcome = lookup(name)
    return outcome is not None and outcome.closed


def write_text(path: Path, text: str) -> None:
    """Whole or not at all: an error leaves what stood there, and no draft."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
