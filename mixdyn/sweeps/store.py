"""Finished rows in one file that only grows: a line a row, with a digest of itself.

A line that broke off, whatever broke it, is cut off when the file is opened again; one that was
damaged later is passed over, and its row made anew. A key is stored once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..support.errors import FileError
from ..support.files import as_path, clipped, lock

_DIGEST, _KEY = 16, 24  # hexadecimal digits
_HEAD = _DIGEST + _KEY + 2
_SYNC_EVERY = 1.0  # seconds of finished rows that a failure of the power may take


class RowStore:
    """The rows of a file, opened by one process at a time. `damaged`: lines passed over.

    In memory is where each row stands, not the row. Use it as a context manager. FileError where
    the file cannot be opened, is another's at the moment, or no further row fits the disk.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = as_path(path)
        self.damaged = 0
        self._at: dict[bytes, tuple[int, int]] = {}
        self._file = self._opened()
        try:
            self._end = self._read()
        except BaseException:
            os.close(self._file)
            raise
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self._at

    def close(self) -> None:
        """Let go of the file, which is then on the disk."""
        with contextlib.suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)

    def get(self, key: str) -> Any:
        """The row of a key that is in the store."""
        begin, size = self._at[bytes.fromhex(key)]
        return json.loads(os.pread(self._file, size, begin)[_HEAD:])

    def rows(self, keys: Iterable[str]) -> Iterator[Any]:
        """The rows of those of the keys that are in the store, in their order, one at a time."""
        return (self.get(key) for key in keys if key in self)

    def add(self, rows: Iterable[tuple[str, Any]]) -> None:
        """Append rows by their keys, all or none; those whose key is there are left out."""
        lines = {bytes.fromhex(key): _line(key, row) for key, row in rows if key not in self}
        data = b"".join(lines.values())
        try:
            written = os.write(self._file, data) if data else 0
            if written < len(data):  # the disk is full, which only the next call would say
                written += os.write(self._file, data[written:])
            if written < len(data):
                raise OSError(None, "the disk takes no more")
            if time.monotonic() - self._synced > _SYNC_EVERY:
                os.fsync(self._file)
                self._synced = time.monotonic()
        except OSError as error:
            os.ftruncate(self._file, self._end)
            raise no_room(self.path, error) from None
        for key, line in lines.items():
            self._at[key] = self._end, len(line)
            self._end += len(line)

    def _opened(self) -> int:
        try:
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise FileError(
                "the file of finished rows must be readable and writable",
                f"{clipped(self.path)} ({error.strerror})",
                "Choose another folder.",
            ) from None
        rule = "one run at a time adds to a file of rows"
        lock(file, rule, f"{clipped(self.path)}, which another run is filling")
        return file

    def _read(self) -> int:
        """Find every row; where the whole lines end."""
        end = 0
        with open(self._file, "rb", closefd=False) as handle:
            handle.seek(0)
            for line in handle:
                if not line.endswith(b"\n"):
                    os.ftruncate(self._file, end)
                    break
                key = _key_in(line)
                if key is None:
                    self.damaged += 1
                else:
                    self._at[key] = end, len(line)
                end += len(line)
        return end


def no_room(path: Path, error: OSError) -> FileError:
    """What to raise where a file of rows cannot be added to."""
    return FileError(
        "the rows that are finished must fit the disk",
        f"{clipped(path)} ({error.strerror})",
        "Make room: what is kept stays, and the same command goes on.",
    )


def _line(key: str, row: Any) -> bytes:
    text = json.dumps(row, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    rest = f"{key} {text}\n".encode()
    return _digest(rest) + b" " + rest


def _digest(rest: bytes) -> bytes:
    return hashlib.sha256(rest).hexdigest()[:_DIGEST].encode()


def _key_in(line: bytes) -> bytes | None:
    """The key of a line that is as it was written."""
    digest, rest = line[:_DIGEST], line[_DIGEST + 1 :]
    if line[_DIGEST : _DIGEST + 1] + digest != b" " + _digest(rest):
        return None
    return bytes.fromhex(rest[:_KEY].decode())


def file_of(folder: Path) -> Path:
    """Where the rows of a sweep into a folder are."""
    return folder / "rows.sweep"
