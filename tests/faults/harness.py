"""Commands in forked processes that can be killed at any moment or at any touch of a file.

The parent has imported everything, so that a run costs what the command does. Children print into
files of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_TOUCHES = {"os.rename", "os.link", "os.remove", "os.truncate", "os.mkdir"}


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status, negative where a signal ended it; what it said on stderr;
    its seconds, and how often it touched a file in its folder."""

    status: int
    errors: str
    seconds: float
    touches: int

    @property
    def one_line(self) -> bool:
        """Whether it refused with status 2 and a single line; warnings of rows that could not be
        kept may stand before it."""
        *before, last = self.errors.strip().splitlines() or [""]
        warned = all(line.startswith("warning: ") for line in before)
        return self.status == 2 and warned and last.startswith("error: ")


def _watch(folder: Path, killed_at: int | None, count: Path) -> None:
    """Count touches of files in the folder; be killed before one of them."""
    inside, seen = str(folder), [0]
    note = os.open(count, os.O_WRONLY)

    def hook(event: str, args: tuple) -> None:
        if event == "open":
            path, _, flags = args
            writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR))
            touched = writes and isinstance(path, str | Path)
        else:
            path, touched = (args[0] if args else None), event in _TOUCHES
            if event in {"os.rename", "os.link"}:
                path = args[1]
        if touched and str(path).startswith(inside):
            seen[0] += 1
            os.pwrite(note, b"%08d" % seen[0], 0)
            if seen[0] == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def run(
    command: Callable[[], int],
    folder: Path,
    *,
    killed_after: float | None = None,
    killed_at: int | None = None,
) -> Ended:
    """One run of a command, killed after so many seconds, or before that touch of a file."""
    with started(command, folder, killed_at) as wait:
        return wait(killed_after)


@contextlib.contextmanager
def started(
    command: Callable[[], int], folder: Path, killed_at: int | None = None
) -> Iterator[Callable[..., Ended]]:
    """The same, begun: what waits for it is handed over."""
    with tempfile.TemporaryDirectory(dir="/tmp") as notes:
        errors, count = Path(notes, "errors"), Path(notes, "count")
        count.write_text("00000000")
        began = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            _child(command, folder, killed_at, errors, count)

        def wait(killed_after: float | None = None) -> Ended:
            if killed_after is not None:
                time.sleep(max(0.0, killed_after - (time.perf_counter() - began)))
                os.kill(pid, signal.SIGKILL)
            _, code = os.waitpid(pid, 0)
            seconds = time.perf_counter() - began
            said = errors.read_text() if errors.exists() else ""
            return Ended(os.waitstatus_to_exitcode(code), said, seconds, int(count.read_text()))

        yield wait


def _child(
    command: Callable[[], int], folder: Path, killed_at: int | None, errors: Path, count: Path
) -> None:
    status = 70
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT, 0o600), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        _watch(folder, killed_at, count)
        status = command()
    except BaseException:  # noqa: BLE001 - what a command lets through is a finding
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


# -- what lies in a folder -----------------------------------------------------------------------


def leftovers(folder: Path) -> list[str]:
    """Hidden files: drafts of what was never finished."""
    return sorted(p.name for p in folder.rglob(".*") if p.is_file())


def half_written(folder: Path) -> list[str]:
    """Files that are not whole, by their kind; a file of lines may end in a broken one."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and not _whole(path)
    )


def _whole(path: Path) -> bool:
    try:
        _READERS.get(path.suffix, _no_reader)(path)
    except Exception:  # noqa: BLE001 - whatever it is that a reader finds
        return False
    return True


def _no_reader(path: Path) -> None:
    raise ValueError(f"no reader for {path.name}")


def _png(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.load()


def _npz(path: Path) -> None:
    with np.load(path, allow_pickle=False) as held:
        for name in held.files:
            held[name]


def _tensors(path: Path) -> None:
    from safetensors.numpy import load_file

    load_file(path)


def _ends(*ends: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        if not path.read_text(encoding="utf-8").rstrip().endswith(ends):
            raise ValueError

    return read


def _lines(path: Path) -> None:
    whole = path.read_text(encoding="utf-8").split("\n")
    for line in whole[:-1]:
        json.loads(line)


def _sweep(path: Path) -> None:
    from mixdyn.sweeps.store import RowStore

    with RowStore(path) as store:
        if store.damaged:
            raise ValueError


_READERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".jsonl": _lines,
    ".toml": lambda path: tomllib.loads(path.read_text(encoding="utf-8")),
    ".npz": _npz,
    ".png": _png,
    ".svg": _ends("</svg>"),
    ".html": _ends("</html>"),
    ".tex": _ends("}"),
    ".csv": _ends(""),
    ".md": _ends(""),
    ".safetensors": _tensors,
    ".sweep": _sweep,
}
