"""Finding the claims: a file of a paper's folder each, nothing registered anywhere."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from mixdyn.support.errors import InputError
from mixdyn.support.finding import files_in, modules_in

from . import rows
from .case import Case
from .claim import Claim
from .paper import Paper
from .sources import ROOT
from .verdict import Verdict


@dataclass(frozen=True)
class Entry:
    """A claim with its check, its mutants and the file they come from."""

    claim: Claim
    check: Callable[[Case], Verdict | list[Verdict]]
    mutants: Callable[[Case], dict[str, Verdict]]
    path: Path


def reading_order(claim_id: str) -> tuple[int, str, float]:
    """A sort key within a paper: its numbered body, then its appendices."""
    match = re.fullmatch(r"([A-Z]+)(\.?)(\d+(?:\.\d+)?)('*)(?: \((\d+)\))?", claim_id)
    if match is None:
        raise InputError(
            "a claim's id is letters and a number, as in T4.2, G.1, X5, X2' or P4.7 (1)",
            claim_id,
            "Take the paper's number.",
        )
    letters, dot, number, primes, part = match.groups()
    section, _, item = number.partition(".")
    place = 100.0 * int(section) + int(item or 0) + 0.1 * len(primes) + 0.01 * int(part or 0)
    # F1, F3, ... are the paper's figures, which stand among its appendices.
    return (1, letters, place) if dot or letters == "F" else (0, "", place)


def _entry(module: ModuleType) -> Entry:
    claim, path = getattr(module, "CLAIM", None), Path(str(module.__file__))
    if claim is None or not claim.measurements:
        raise InputError(
            "a claim file defines CLAIM and registers a function that measures it",
            module.__name__,
            "Write @CLAIM.exact, @CLAIM.sampled, ... above one.",
        )
    if not claim.controls:
        raise InputError(
            "a claim ships a negative control, which must not hold",
            f"{module.__name__} without one",
            "Write CLAIM.must_fail(...) below its function.",
        )
    if claim.derivation is not None and not (ROOT / claim.derivation).is_file():
        raise InputError(
            "a claim names its derivation by its path from the root of the repository",
            f"{claim.derivation} of {module.__name__}",
            "Name a file of derivations, or none.",
        )
    check, controls = functools.partial(rows.check, claim), functools.partial(rows.controls, claim)
    return Entry(claim, check, controls, path)


def load_claims(wanted: Iterable[str] = ()) -> list[Entry]:
    """The claims of `verify/papers` that the names fit, as in `select`, all of them for none; paper
    by paper. Of those named, only their own files are imported. Raises InputError for a repeated
    id, and for a name that fits none."""
    files = {package: written_in(package) for package in _folders()}
    names = fitting([id_ for ids in files.values() for id_ in ids.values()], wanted)
    found: dict[str, Entry] = {}
    for package, ids in files.items():
        modules = modules_in(package, {file for file, id_ in ids.items() if id_ in names})
        entries = [_entry(module) for module in modules]
        for entry in sorted(entries, key=lambda entry: reading_order(entry.claim.id)):
            other = found.setdefault(entry.claim.id, entry)
            if other is not entry:
                both = f"{entry.claim.id} in {other.path.name} and {entry.path.name}"
                raise InputError("every claim has one file", both, "Give one another id.")
    return list(found.values())


def check_names(wanted: Iterable[str]) -> None:
    """Raises InputError for a name that fits no claim, without importing one."""
    fitting([id_ for folder in _folders() for id_ in written_in(folder).values()], wanted)


def written_in(package: str) -> dict[str, str]:
    """The ids of the claims in a folder by their files, in reading order, as they are written
    there; a file that writes none is imported."""
    found = {}
    for name, path in files_in(package).items():
        match = re.search(
            r"\bid=[\"']([^\"']+'*)[\"']", path.read_text(encoding="utf-8", errors="replace")
        )
        found[name] = match[1] if match else _entry(*modules_in(package, {name})).claim.id
    return dict(sorted(found.items(), key=lambda item: reading_order(item[1])))


def _folders() -> list[str]:
    papers = sorted(modules_in("verify.papers"), key=_place)
    return [f"{paper.__name__}.claims" for paper in papers]


def _place(paper: ModuleType) -> int:
    header = getattr(paper, "PAPER", None)
    if not isinstance(header, Paper):
        raise InputError(
            "a paper's folder defines PAPER", paper.__name__, "Write PAPER = Paper(...) in it."
        )
    return header.place


def _normal(claim_id: str) -> str:
    return re.sub(r"[\s()]", "", claim_id).upper()


def select(entries: Sequence[Entry], wanted: Iterable[str]) -> list[Entry]:
    """The claims named by `wanted`, all of them if it is empty.

    Case, blanks and brackets do not matter; `P4.7` names all its parts. Raises InputError for a
    name that fits no claim.
    """
    chosen = fitting([entry.claim.id for entry in entries], wanted)
    return [entry for entry in entries if entry.claim.id in chosen]


def fitting(ids: Sequence[str], wanted: Iterable[str]) -> set[str]:
    """Those of the ids that the names fit, as in `select`."""
    names = list(wanted)
    chosen = set() if names else set(ids)
    for name in names:
        exact = {id_ for id_ in ids if _normal(id_) == _normal(name)}
        parts = {id_ for id_ in ids if id_.upper().startswith(f"{name.upper()} (")}
        if not exact | parts:
            raise InputError(
                f"the claims are {', '.join(ids)}",
                repr(name),
                "Name one of them, or none for all.",
            )
        chosen |= exact | parts
    return chosen
