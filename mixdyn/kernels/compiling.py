"""How the kernels are compiled, where their code is kept, and on how many threads they run."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import pickle
import warnings
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

from numba import config, get_num_threads, njit, set_num_threads
from numba.core.caching import CompileResultCacheImpl, FunctionCache

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


class _FolderCache(FunctionCache):
    """Numba's cache of a kernel, which is stale when any file of the folder has changed: Numba's
    own stamp is of the kernel's file alone, not of those whose functions it calls. Where code is
    kept stays Numba's choice."""

    class _impl_class(CompileResultCacheImpl):  # noqa: N801 - the name that Numba reads
        def __init__(self, function: Callable[..., Any]) -> None:
            super().__init__(function)
            own = self.locator.get_source_stamp()
            self.locator.get_source_stamp = lambda: (own, _folder_digest())

    def load_overload(self, *asked: Any) -> Any:
        """What is kept, or None; a file cut short holds nothing, and is written anew."""
        try:
            return super().load_overload(*asked)
        except (pickle.UnpicklingError, EOFError):
            self.flush()
            return None


def cached(function: Callable[..., Any], **options: Any) -> Any:
    """`function` compiled at its first call, and kept on disk where Numba finds a folder."""
    kernel = njit(error_model="numpy", **options)(function)
    if not config.DISABLE_JIT:
        try:
            kernel._cache = _FolderCache(function)  # what `njit(cache=True)` does with its own
        except RuntimeError:  # no folder that Numba may write to
            _warn_uncached()
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
