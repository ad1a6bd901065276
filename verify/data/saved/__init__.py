"""Slow measurements, stored with the recipe that made them: who imports this depends on them.

`about.code` of a file holds the SHA-256 of every source that its numbers rest on. They cost hours,
so they are not made again for every change: their rows say what has changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ledger.sources import ROOT, changed_since, contents_of

RESULTS = Path(__file__).resolve().parent


def code_of(path: Path, root: Path = ROOT) -> dict[str, str]:
    """SHA-256 of every file that the module at `path` rests on, but for what is stored here."""
    found = contents_of(path, root=root)
    return {name: content for name, content in found.items() if not _is_stored(name)}


def _is_stored(name: str) -> bool:
    return name.startswith("verify/data/saved/") and not name.endswith(".py")


def words_on_code(about: Mapping[str, Any], root: Path = ROOT) -> str:
    """A sentence on whether today's code made a stored measurement, empty where it did."""
    code = about.get("code")
    if code is None:
        return "It does not say which code made it."
    changed = changed_since(code, root)
    if not changed:
        return ""
    return (
        f"Made by other code than today's: {len(changed)} of the {len(code)} files that it rests "
        "on have changed since."
    )
