"""Faults put to commands, counted."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .commands import Command
from .harness import Ended, half_written, leftovers, run, started

_PAGE = 4096


@dataclass
class Tally:
    """What came of one kind of fault.

    struck : how often it did strike; clear : how often the run then ended with one clear line, of
    those that could say one; half, left : files half-written and drafts left, over all; lost :
    finished files that are gone once the same command has ended; equal : how often that made what
    an undisturbed run makes. odd : what else there was.
    """

    struck: int = 0
    clear: int = 0
    half: int = 0
    left: int = 0
    lost: int = 0
    equal: int = 0
    odd: list[str] = field(default_factory=list)

    def look(self, folder: Path) -> None:
        """After the fault."""
        self.struck += 1
        half, left = half_written(folder), leftovers(folder)
        self.half += len(half)
        self.left += len(left)
        self.odd += [f"half-written {half}"] * bool(half) + [f"left {left}"] * bool(left)

    def again(self, command: Command, folder: Path, wanted: dict[str, Any]) -> None:
        """The same command, undisturbed."""
        before = command.found(folder) if not half_written(folder) else {}
        ended = run(command.on(folder), folder)
        found = command.found(folder)
        gone = [name for name in before if name not in found]
        self.lost += len(gone)
        same = found == wanted and not half_written(folder)
        # Nothing is trained over: a run killed after its last file is told that it is there.
        done = ended.status == 0 or "finished" in ended.errors
        self.equal += same and done
        if not (same and done):
            self.odd.append(f"again: status {ended.status}, {ended.errors.strip()[-200:]!r}")


@contextlib.contextmanager
def _folder(base: Path | None = None) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(dir=base))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@functools.cache
def undisturbed(command: Command) -> tuple[Ended, dict[str, Any], int]:
    """A clean run: how it ended, what it made, the bytes it needs."""
    with _folder() as folder:
        ended = run(command.on(folder), folder)
        if ended.status != 0 or half_written(folder):
            raise RuntimeError(f"{command.name}: {ended}, {half_written(folder)}")
        sizes = [p.stat().st_size for p in folder.rglob("*") if p.is_file()]
        return ended, command.found(folder), sum(-(-size // _PAGE) * _PAGE for size in sizes)


def kills(command: Command, count: int, seed: int) -> Tally:
    """SIGKILL, at random moments and at random touches of a file in turn; then the same again."""
    clean, wanted, _ = undisturbed(command)
    tally, rng = Tally(), random.Random(f"{seed} {command.name}")
    for k in range(3 * count):  # some end before they are struck
        if tally.struck == count:
            break
        how: dict[str, Any] = {"killed_at": rng.randint(1, clean.touches)}
        if k % 2:
            how = {"killed_after": rng.uniform(0.02, 0.9) * clean.seconds}
        with _folder() as folder:
            if run(command.on(folder), folder, **how).status == -9:
                tally.look(folder)
                tally.again(command, folder, wanted)
    tally.clear = tally.struck  # the dead say nothing
    return tally


@contextlib.contextmanager
def small_disk(size: int) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A file system of so many bytes, and what remounts it with other options. PermissionError
    where that is not allowed."""
    with _folder() as place:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={max(size, _PAGE)}", "tmpfs", str(place)]
        if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
            raise PermissionError("only root may mount a small disk")
        try:
            yield place, lambda how: _remount(place, how)
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)


def _remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def full_disk(command: Command, count: int) -> Tally:
    """A disk that is full after some pages, from one to one too few; then it is made larger."""
    _, wanted, size = undisturbed(command)
    pages = max(1, size // _PAGE)
    tally = Tally()
    for k in range(min(count, pages)):
        at = 1 + k * (pages - 1) // max(1, min(count, pages) - 1 or 1)
        with small_disk(at * _PAGE) as (place, remount):
            ended = run(command.on(place), place)
            if ended.status == 0 and "warning" not in ended.errors:
                continue
            tally.look(place)
            tally.clear += ended.one_line
            if not ended.one_line:
                tally.odd.append(f"{at} pages: {ended.status} {ended.errors.strip()[-300:]!r}")
            remount(f"size={64 << 20}")
            tally.again(command, place, wanted)
    return tally


def read_only(command: Command) -> Tally:
    """A folder that nothing can be written into; then it can."""
    _, wanted, _ = undisturbed(command)
    tally = Tally()
    with small_disk(64 << 20) as (place, remount):
        remount("ro")
        ended = run(command.on(place), place)
        tally.look(place)
        tally.clear += ended.one_line
        if not ended.one_line:
            tally.odd.append(f"{ended.status} {ended.errors.strip()[-300:]!r}")
        remount("rw")
        tally.again(command, place, wanted)
    return tally


def two_at_once(command: Command, count: int) -> Tally:
    """Two runs into one folder: both make it, or one says in a line why not."""
    _, wanted, _ = undisturbed(command)
    tally = Tally()
    for _ in range(count):
        with (
            _folder() as folder,
            started(command.on(folder), folder) as first,
            started(command.on(folder), folder) as second,
        ):
            both = [first(), second()]
            tally.look(folder)
            fine = [ended.status == 0 or ended.one_line for ended in both]
            tally.clear += all(fine) and any(ended.status == 0 for ended in both)
            tally.odd += [
                f"{e.status} {e.errors.strip()[-300:]!r}"
                for e, good in zip(both, fine, strict=True)
                if not good
            ]
            tally.again(command, folder, wanted)
    return tally
