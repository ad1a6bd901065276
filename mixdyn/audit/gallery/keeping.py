"""Rows on disk, one a line; and how they come: sampler by sampler, on all cores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...support.errors import FileError
from ...support.files import as_path, clipped, write_text
from ...sweeps.executors import Executor, Processes
from ...sweeps.shards import Shard, key_of
from ...sweeps.store import no_room
from ..adapters import Offer
from .rows import COUNTS, Network, Row, key, rows_of

FILE = "samplers.jsonl"
Known = dict[tuple[Any, ...], Row]


def read(path: Path) -> list[Row]:
    """The rows of a file, none where there is none. FileError for one that holds anything else; a
    last line that broke off is left out."""
    try:
        lines = as_path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(
            "a gallery's file is text", f"{clipped(path)} ({error})", "Remove it."
        ) from None
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            key(row)
        except (ValueError, KeyError, TypeError, AttributeError):
            if number == len(lines):
                break
            raise FileError(
                "a gallery's file has a row of JSON on every line",
                f"{clipped(path)}, line {number}",
                "Remove the line.",
            ) from None
        found.append(row)
    return found


def fill(
    path: Path,
    offers: Sequence[Offer],
    networks: Sequence[Network],
    progress: Callable[[int, int, str], None],
    *,
    jobs: int = 1,
    counts: Iterable[int] = COUNTS,
    executor: Executor | None = None,
) -> list[Row]:
    """Measure what the file lacks, a sampler at a time on each of `jobs` processes (or of those of
    an executor), and keep every sampler's rows as they come. Returns all rows, which the file then
    holds in their order.

    One job has a process of its own as well: the sums of another number of threads have other last
    bits. Rows that are there stay, whatever the versions: remove the file to measure anew. Failures
    are tried again.
    """
    old = list({key(row): row for row in read(path)}.values())
    known: Known = {key(row): row for row in old if "error" not in row}
    executor = executor or Processes(jobs)
    common = (list(networks), known, list(counts))
    shards = [
        Shard(describe(offer), common, ((key_of("gallery.1", k), (k, offer)),))
        for k, offer in enumerate(offers)
    ]
    found: dict[int, list[Row]] = {}
    lines = "".join(f"{_line(row)}\n" for row in old)
    write_text(path, lines)  # without what broke off
    for done in executor.run(measured, shards):
        ((_, (k, offer)),) = done.shard.parts
        rows = done.rows[0][1] if done.rows else [_lost(offer, done.lost)]
        found[k] = rows
        fresh = [row for row in rows if known.get(key(row)) != row]
        _append(path, fresh)
        progress(len(found), len(shards), f"{done.shard.name}: {_told(rows, len(fresh))}")
    rows = [row for k in sorted(found) for row in found[k]]
    ours = set(map(key, rows))
    rows += [row for row in old if key(row) not in ours]
    write_text(path, "".join(f"{_line(row)}\n" for row in rows))
    return rows


def describe(offer: Offer) -> str:
    """A sampler with its settings."""
    settings = "".join(f" {name}={value}" for name, value in offer[1].items())
    return f"{offer[0]}{settings}"


def _told(rows: Sequence[Mapping[str, Any]], fresh: int) -> str:
    bad = sum("error" in row for row in rows)
    return f"{len(rows)} rows, {fresh} new" + (f", {bad} of them a failure" if bad else "")


def _append(path: Path, rows: Sequence[Row]) -> None:
    try:
        with path.open("a", encoding="utf-8") as handle:
            handle.writelines(f"{_line(row)}\n" for row in rows)
    except OSError as error:
        raise no_room(path, error) from None


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def measured(
    common: tuple[list[Network], Known, list[int]], owns: list[tuple[int, Offer]]
) -> list[list[Row]]:
    """The rows of each of these samplers."""
    networks, known, counts = common
    return [list(rows_of(offer, networks, known, counts)) for _, offer in owns]


def _lost(offer: Offer, why: str) -> Row:
    return {"spec": offer[0], "settings": offer[1], "steps": None, "error": why}
