"""Witnesses on disk: a mixture, a schedule and a note, from which the verdict comes out again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixdyn.support.files import make_folder, write_parameters

from ..ledger import cases
from ..ledger.case import Profile
from ..ledger.registry import Entry
from .draws import Problem
from .trial import Call, Kind, try_problem

FILES = ("mixture.toml", "schedule.toml", "witness.toml")


@dataclass(frozen=True)
class Witness:
    """A call with the folder that reproduces it, and whether it did when read back.

    confirmed: None where that was not tried, for a check that was broken off.
    """

    call: Call
    folder: Path
    command: str
    confirmed: bool | None


def command(claim_id: str, folder: Path, seed: int) -> str:
    """The command line that checks the claim on the saved problem."""
    words = ["python", "-m", "verify", claim_id]
    words += ["--mixture", str(folder / FILES[0]), "--schedule", str(folder / FILES[1])]
    return shlex.join([*words, "--seed", str(seed)])


def save(entry: Entry, call: Call, out_dir: Path) -> Witness:
    """Write the witness to its own folder of `out_dir` and check it again from those files.

    Each file is written beside its place and renamed. Raises FileError where that cannot be.
    """
    slug = re.sub(r"\W+", "-", f"{entry.claim.id.replace(chr(39), 'p')} {call.kind}")
    folder = out_dir / slug.strip("-").lower()
    make_folder(folder)
    problem = call.problem
    problem.mixture.save(folder / FILES[0])
    problem.schedule.save(folder / FILES[1])
    how = command(entry.claim.id, folder, problem.seed)
    confirmed = None if call.kind is Kind.SLOW else _comes_out_again(entry, call, folder)
    note = {"claim": entry.claim.id, "command": how, "reproduced": confirmed}
    write_parameters(folder / FILES[2], _without_nulls(note | describe(call)))
    return Witness(call, folder, how, confirmed)


def _comes_out_again(entry: Entry, call: Call, folder: Path) -> bool:
    read = cases.user(folder / FILES[0], folder / FILES[1], call.problem.seed, Profile.QUICK)
    again = Problem(read.mixture, read.schedule, read.seed, call.problem.layout)
    found = try_problem(entry, again).calls()
    return any((c.kind, c.label, c.excess) == (call.kind, call.label, call.excess) for c in found)


def describe(call: Call) -> dict[str, Any]:
    """A call as data without nulls: what was found, where, and both sides of the comparison."""
    row, comparison = call.row, call.comparison
    facts = {
        "kind": call.kind.value,
        "problem": call.problem.words(),
        "seed": call.problem.seed,
        "verdict": row["verdict"],
        "basis": row["basis"],
        "note": row["note"] or None,
        "point": row["witness"],
    }
    if comparison is not None:
        facts["comparison"] = comparison["name"]
        keys = ("measured", "log10_measured", "bound", "log10_bound", "excess", "n", "n_held")
        facts |= {key: comparison.get(key) for key in keys}
        facts["relation"] = comparison["relation"]["symbol"]
        facts["relative_slack"] = call.relative_slack
    return _without_nulls(facts)


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """TOML has no null."""
    kept = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            kept[key] = _without_nulls(value)
        elif value is not None and not (isinstance(value, list) and None in value):
            kept[key] = value
    return kept
