"""A run over many problems: rows into a file as they come, and what they say in one reading of it.

Only where rows stand is held in memory, and what was counted. The file is read in the order of the
problems, so that the summary has the same bits whoever made the rows, and in whatever order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from mixdyn.support.files import make_folder, write_atomically, write_text
from mixdyn.support.numbers import dump_json
from mixdyn.sweeps.executors import Executor
from mixdyn.sweeps.running import sweep
from mixdyn.sweeps.shards import Shard
from mixdyn.sweeps.store import RowStore, file_of

from ..ledger.case import Profile
from ..ledger.registry import Entry
from ..ledger.relations import Outcome
from ..report.summary import Summary, summarise, to_markdown
from . import problems

Row = dict[str, Any]
SUMMARY, MARKDOWN, COUNTEREXAMPLES = "sweep.json", "sweep.md", "counterexamples.jsonl"


@dataclass(frozen=True)
class Sweep:
    """Claims on the standard problem and `n` random ones, into a folder."""

    entries: Sequence[Entry]
    n: int
    seed: int
    profile: Profile
    folder: Path

    def shards(self) -> Iterator[Shard]:
        """One a problem."""
        return problems.shards(self.entries, self.n, self.seed, self.profile)


@dataclass(frozen=True)
class Result:
    """What a sweep amounts to.

    rows : how many; digest : SHA-256 over all of them in order, but for their seconds, equal
    whenever and wherever they were made. failing : rows in `counterexamples.jsonl`. broken : rows
    that are errors. lost : problems that no process survived, of errors too. kept : problems that
    were all there.
    """

    summary: Summary
    rows: int
    digest: str
    failing: int
    broken: int
    lost: tuple[str, ...] = ()
    kept: int = 0

    def as_data(self) -> dict[str, Any]:
        """For a JSON document."""
        own = {name: value for name, value in vars(self).items() if name != "summary"}
        return {**own, "summary": self.summary.as_data()}


def run(asked: Sweep, executor: Executor, progress: Callable[[int, int, str], None]) -> Result:
    """Do what is left of it, and write the summary and the counterexamples into its folder.

    progress : called with (problems done, of how many, the name of the last one).
    """
    make_folder(asked.folder)
    with RowStore(file_of(asked.folder)) as store:
        there = [all(key in store for key, _ in shard.parts) for shard in asked.shards()]
        done = sum(there)
        lost: list[str] = []
        broken: dict[str, list[Row]] = {}
        work = sweep(problems.check, asked.shards(), store, executor, keep=problems.finished)
        with closing(work) as finished:
            for each in finished:
                done += 1
                broken |= {key: rows for key, rows in each.rows if not problems.finished(rows)}
                if each.lost:
                    lost.append(each.shard.name)
                    broken |= problems.lost(asked.entries, each.shard, each.lost)
                progress(done, asked.n + 1, each.shard.name)
        result = replace(_read(asked, store, broken), lost=tuple(lost), kept=sum(there))
    write_text(asked.folder / MARKDOWN, to_markdown(result.summary))
    write_text(asked.folder / SUMMARY, dump_json(result.as_data()))
    return result


def _read(asked: Sweep, store: RowStore, broken: dict[str, list[Row]]) -> Result:
    """Everything in one reading, in order."""
    count = _Counting()
    told: list[Summary] = []

    def read(handle: IO[bytes]) -> None:
        told.append(summarise(count.each(_rows(asked, store, broken), handle)))

    write_atomically(asked.folder / COUNTEREXAMPLES, read)
    seen = count.verdicts
    failing, errors = seen.get(Outcome.FAILS, 0), seen.get(Outcome.ERROR, 0)
    return Result(told[0], count.rows, count.hash.hexdigest(), failing, errors)


def _rows(asked: Sweep, store: RowStore, broken: dict[str, list[Row]]) -> Iterator[Row]:
    for shard in asked.shards():
        for key, _ in shard.parts:
            yield from store.get(key) if key in store else broken[key]


class _Counting:
    """What is counted of rows on their way to the summary."""

    def __init__(self) -> None:
        self.rows = 0
        self.verdicts: dict[str, int] = {}
        self.hash = hashlib.sha256()

    def each(self, rows: Iterator[Row], counterexamples: IO[bytes]) -> Iterator[Row]:
        """The rows; those that fail are written to a file as well."""
        for row in rows:
            self.rows += 1
            self.verdicts[row["verdict"]] = self.verdicts.get(row["verdict"], 0) + 1
            line = (json.dumps(problems.without_times(row), sort_keys=True) + "\n").encode()
            self.hash.update(line)
            if row["verdict"] == Outcome.FAILS:
                counterexamples.write(line)
            yield row
