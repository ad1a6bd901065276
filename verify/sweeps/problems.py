"""Claims on problems as shards: one a problem, of a row list for each claim."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mixdyn import learned
from mixdyn.sweeps.shards import Shard, key_of

from ..ledger import cases, registry, rows, runner
from ..ledger.case import Profile
from ..ledger.registry import Entry
from ..ledger.relations import Outcome
from ..ledger.sources import digest_of
from ..ledger.standard import standard
from ..ledger.verdict import Basis

Row = dict[str, Any]


def shards(entries: Sequence[Entry], n: int, seed: int, profile: Profile) -> Iterator[Shard]:
    """The standard problem (number 0) and random ones 1 to n, with every claim.

    A problem follows from its number, the seed and the code, so none is made here.
    """
    code = {entry.claim.id: _code(entry) for entry in entries}
    for k in range(n + 1):
        parts = tuple(
            (key_of("verify.1", code[entry.claim.id], entry.claim.id, k, seed, profile.value), id_)
            for entry in entries
            for id_ in [entry.claim.id]
        )
        yield Shard(_name(k), (k, seed, profile.value), parts)


def check(problem: tuple[int, int, str], claims: list[str]) -> list[list[Row]]:
    """The rows of each of these claims on a problem; a broken check gives one that says so."""
    k, seed, profile = problem
    case = standard(seed, Profile(profile)) if k == 0 else cases.random(k, seed, Profile(profile))
    known = _entries(tuple(claims))
    return [
        [verdict.as_row() for verdict in runner.run_claim(known[name], case)] for name in claims
    ]


def lost(entries: Sequence[Entry], shard: Shard, why: str) -> dict[str, list[Row]]:
    """The rows of a problem that no process survived, by their keys."""
    k, seed, profile = shard.common
    case = standard(seed, Profile(profile)) if k == 0 else cases.random(k, seed, Profile(profile))
    claims = {entry.claim.id: entry.claim for entry in entries}
    return {key: [claims[own].broken(case, why).as_row()] for key, own in shard.parts}


def finished(made: list[Row]) -> bool:
    """Whether these rows of a claim are worth keeping: a broken check may have had bad luck."""
    return all(row["verdict"] != Outcome.ERROR for row in made)


def without_times(row: Row) -> Row:
    """A row but for how long it took, which no other run repeats."""
    return {name: value for name, value in row.items() if name != "seconds"}


def _name(k: int) -> str:
    return f"random-{k}" if k else "standard"


@functools.cache  # once a process
def _entries(claims: tuple[str, ...]) -> dict[str, Entry]:
    return {entry.claim.id: entry for entry in registry.load_claims(claims)}


def _code(entry: Entry) -> str:
    """All that a claim's rows on a drawn problem depend on."""
    made_by = (Path(str(module.__file__)) for module in (runner, rows, cases))
    learns = learned.available() if Basis.LEARNED in entry.claim.basis else ""
    return f"{digest_of(entry.path, *made_by)}:{learns}"
