"""How the kernels are compiled, where their code is kept, and on how many threads they run."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from numba import config, get_num_threads, njit, set_num_threads
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.compiler_lock import global_compiler_lock

# The NumPy error model: a check for division by zero in a loop would keep LLVM from vectorising it.
inlined = njit(inline="always", error_model="numpy")
on_tile = njit(error_model="numpy")
TILE = 4 if config.DISABLE_JIT else 128  # samples that are worked on at a time


@functools.cache
def _folder_digest() -> str:
    """SHA-256 of all sources of the kernels; of none in a frozen program, whose whole file is in
    Numba's own stamp."""
    digest, folder = hashlib.sha256(), resources.files(__package__)
    files = [file for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []
    for file in sorted(files, key=lambda file: file.name):
        if file.name.endswith(".py"):
            content = file.read_bytes()
            digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


_LOCKS = "compiling.lock"  # beside the kept kernels, empty: its bytes are what is locked
_INDEX = 0  # the byte of whoever writes
_LISTENERS: list[Callable[[str], None]] = []


@contextlib.contextmanager
def on_compile(say: Callable[[str], None]) -> Iterator[None]:
    """Inside the block, `say(name)` before a kernel that is not kept is compiled here, which takes
    seconds; what another process compiles meanwhile is waited for and loaded, and not said."""
    _LISTENERS.append(say)
    try:
        yield
    finally:
        _LISTENERS.remove(say)


@functools.cache  # kept open: POSIX drops all locks of a file when any handle of it closes
def _lock_file(folder: str) -> int:
    Path(folder).mkdir(parents=True, exist_ok=True)
    return os.open(Path(folder, _LOCKS), os.O_RDWR | os.O_CREAT, 0o666)


def _lock(file: int, byte: int, take: bool) -> None:
    """Take a byte of a file for this process, or give it back; BlockingIOError or PermissionError
    where another process has it. The operating system gives back what a dead process held."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        os.lseek(file, byte, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK if take else msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB if take else fcntl.LOCK_UN, 1, byte)


@contextlib.contextmanager
def _alone(folder: str, byte: int) -> Iterator[None]:
    """One process at a time inside the block, of those that share the folder and the byte. Where
    no file can be made or locked nobody waits: at worst two processes then compile the same."""
    try:
        file = _lock_file(folder)
        while True:
            try:
                _lock(file, byte, take=True)
                break
            except (BlockingIOError, PermissionError):
                time.sleep(0.02)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        _lock(file, byte, take=False)


class _FolderCache(FunctionCache):
    """Numba's cache of a kernel, which is stale when any file of the folder has changed: Numba's
    own stamp is of the kernel's file alone, not of those whose functions it calls. Where code is
    kept stays Numba's choice.

    Processes that miss the same kernel take turns: the first compiles, the others load. Each
    signature is a turn of its own; the index, which all signatures of a kernel share, is written by
    one process at a time.
    """

    class _impl_class(CompileResultCacheImpl):  # noqa: N801 - the name that Numba reads
        def __init__(self, function: Callable[..., Any]) -> None:
            super().__init__(function)
            own = self.locator.get_source_stamp()
            self.locator.get_source_stamp = lambda: (own, _folder_digest())

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._function, self._turn = function, contextlib.ExitStack()

    def compiled_by(self, compile_: Callable[..., Any]) -> Callable[..., Any]:
        """Numba's `compile_` of a signature, at whose end the turn passes on."""

        def run(signature: Any) -> Any:
            with global_compiler_lock, self._turn:
                return compile_(signature)

        return run

    def load_overload(self, signature: Any, context: Any) -> Any:
        """What is kept, by now or when the process that compiles it has finished; or None, and it
        is this process's turn."""
        found = self._kept(signature, context)
        if found is None:
            turn = zlib.crc32(f"{self._cache_file._index_name} {signature}".encode())
            self._turn.enter_context(_alone(self.cache_path, 1 + turn % 2**30))
            found = self._kept(signature, context)
            for say in _LISTENERS if found is None else ():
                say(self._function.__name__)
        return found

    def _kept(self, *asked: Any) -> Any:
        """A file cut short holds nothing, and is written anew."""
        try:
            return super().load_overload(*asked)
        except (pickle.UnpicklingError, EOFError):
            with _alone(self.cache_path, _INDEX):
                self.flush()
            return None

    def save_overload(self, *kept: Any) -> None:
        with _alone(self.cache_path, _INDEX):
            super().save_overload(*kept)


def cached(function: Callable[..., Any], **options: Any) -> Any:
    """`function` compiled at its first call, and kept on disk where Numba finds a folder."""
    kernel = njit(error_model="numpy", **options)(function)
    if not config.DISABLE_JIT:
        try:
            kernel._cache = cache = _FolderCache(function)  # as `njit(cache=True)` does
        except RuntimeError:  # no folder that Numba may write to
            _warn_uncached()
        else:
            kernel.compile = cache.compiled_by(kernel.compile)
    return kernel


@functools.cache  # every kernel meets it: say it once
def _warn_uncached() -> None:
    text = "no folder for compiled kernels is writable, so every process compiles its own"
    warnings.warn(f"{text}. Set NUMBA_CACHE_DIR.", RuntimeWarning, stacklevel=2)


cached_parallel = functools.partial(cached, parallel=True)
# Rows below which one thread does a single evaluation alone: waking a second one costs as much as
# the work, and hundreds of times more while another process holds its core.
SERIAL_BELOW = 1024


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Kernels on so many threads inside the block; None leaves the number as it is.

    Idle threads wait in a busy loop for their next kernel. Between the calls of a model that
    computes on threads of its own they would take the cores from it.
    """
    before = get_num_threads()
    set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        set_num_threads(before)


def parallel(function: Callable[..., None]) -> Callable[..., None]:
    """A parallel kernel over the rows of its first argument, on one thread where they are few."""
    kernel = cached_parallel(function)

    @functools.wraps(function)
    def run(rows: Any, *arguments: Any) -> None:
        with threads(None if rows.shape[0] >= SERIAL_BELOW else 1):
            kernel(rows, *arguments)

    return run
