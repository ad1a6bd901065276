"""How the kernels are compiled, where their code is kept, and on how many threads they run."""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import hashlib
import io
import itertools
import os
import pickle
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock


class _PartLibrary(JITCodeLibrary):
    """Code that only ever runs inside a kernel: optimised and made native there, not here too."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        return self  # asked for `set_env` alone: what is not native here has no environment

    def set_env(self, *of_name: Any) -> None:
        pass


class _PartCompiler(Compiler):
    def compile_extra(self, func: Any) -> Any:
        self.state.library = _PartLibrary(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)


# The NumPy error model: a check for division by zero in a loop would keep LLVM from vectorising it.
_part = functools.partial(
    njit,
    error_model="numpy",
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    pipeline_class=_PartCompiler,
)
on_tile = _part()
inlined = _part(forceinline=True)  # by LLVM: Numba types it once, not at each of its calls
# By Numba, for a view, and where LLVM makes slower code of the other: 15 % on an axis.
pasted = njit(inline="always", error_model="numpy")
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


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage in the block: a compiler makes much that lives and little of it."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@functools.cache  # kept open: POSIX drops all locks of a file when any handle of it closes
def _lock_file(folder: str) -> int:
    Path(folder).mkdir(parents=True, exist_ok=True)
    return os.open(Path(folder, _LOCKS), os.O_RDWR | os.O_CREAT, 0o666)


_TAKEN = {errno.EAGAIN, errno.EACCES}


def _lock(file: int, byte: int, take: bool) -> None:
    """Take a byte of a file for this process, or give it back; an OSError with a number of _TAKEN
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
            except OSError as refused:
                if refused.errno not in _TAKEN:
                    raise
                time.sleep(0.02)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        _lock(file, byte, take=False)


class _SealedFiles(IndexDataCacheFile):
    """Numba's files of a kernel, each with the SHA-256 of its content behind it, which unpickling
    leaves unread. A file that another content has is damaged: what is no code would end the process
    that runs it, and some that is no pickle the one that reads it."""

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[Any]:
        with super()._open_for_write(filepath) as file:
            content = io.BytesIO()
            yield content
            file.write(content.getvalue() + hashlib.sha256(content.getvalue()).digest())

    def _load_index(self) -> Any:
        _check_seal(self._index_path)
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _check_seal(self._data_path(name))
        return super()._load_data(name)


def _check_seal(path: str) -> None:
    """Raises UnpicklingError for a file that is there and not what was written."""
    with contextlib.suppress(FileNotFoundError):
        content = Path(path).read_bytes()
        size = hashlib.sha256().digest_size
        if hashlib.sha256(content[:-size]).digest() != content[-size:]:
            raise pickle.UnpicklingError(path)


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
        base, stamp = self._impl.filename_base, self._impl.locator.get_source_stamp()
        self._cache_file = _SealedFiles(self.cache_path, base, stamp)
        self._function, self._turn = function, contextlib.ExitStack()

    def compiled_by(self, compile_: Callable[..., Any]) -> Callable[..., Any]:
        """Numba's `compile_` of a signature, at whose end the turn passes on."""

        def run(signature: Any) -> Any:
            with global_compiler_lock, self._turn, _uncollected():
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
        """A damaged file holds nothing, and is written anew."""
        try:
            return super().load_overload(*asked)
        except pickle.UnpicklingError:
            with _alone(self.cache_path, _INDEX):
                self.flush()
            return None

    def save_overload(self, *kept: Any) -> None:
        try:
            with _alone(self.cache_path, _INDEX):
                super().save_overload(*kept)
        except OSError:  # a full disk: what is compiled runs all the same
            _warn_uncached()


def cached(function: Callable[..., Any]) -> Any:
    """`function` compiled at its first call, and kept on disk where Numba finds a folder."""
    kernel = njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True)(function)
    _KERNELS.append(kernel)
    if not config.DISABLE_JIT:
        try:
            kernel._cache = cache = _FolderCache(function)  # as `njit(cache=True)` does
        except RuntimeError:  # no folder that Numba may write to
            _warn_uncached()
        else:
            kernel.compile = cache.compiled_by(kernel.compile)
    return kernel


_KERNELS: list[Any] = []


def forms() -> dict[str, int]:
    """How many forms of each kernel, one a signature, this process has compiled or loaded."""
    return {kernel.__name__: len(kernel.overloads) for kernel in _KERNELS}


def cache_folder() -> Path | None:
    """Where the kernels of this process are kept; None where they are not compiled."""
    return None if config.DISABLE_JIT else Path(_KERNELS[0].stats.cache_path)


@functools.cache  # every kernel meets it: say it once
def _warn_uncached() -> None:
    text = "no folder takes the compiled kernels, so every process compiles its own"
    warnings.warn(f"{text}. Set NUMBA_CACHE_DIR.", RuntimeWarning, stacklevel=2)


# Work, in multiply-adds, below which one thread does a call alone: handing a part of it to another
# costs as much.
_WORTH = 200_000
_ALLOWED: ContextVar[int] = ContextVar("threads", default=config.NUMBA_NUM_THREADS)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Kernels on so many threads inside the block; None leaves the number as it is.

    Between the calls of a model that computes on threads of its own they would take its cores.
    """
    most = _ALLOWED.get() if count is None else min(count, config.NUMBA_NUM_THREADS)
    token = _ALLOWED.set(most)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(config.NUMBA_NUM_THREADS)


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def over_rows(kernel: Any, each: float, out: Any, *given: Any) -> None:
    """kernel(begin, end, out, *given) for all rows of `out`, each of some `each` multiply-adds, on
    as many threads as pay: whole tiles to each. Threads of Python, since a kernel holds no lock of
    it, and Numba's own loops over threads take three times as long to compile.

    A kernel is compiled for one layout of arrays: those given are copied where they have another.
    """
    if not out.flags.c_contiguous:
        whole = out.copy()
        over_rows(kernel, each, whole, *given)
        out[...] = whole
        return
    n, tiles = len(out), -(-len(out) // TILE)
    arguments = [_plain(one) if isinstance(one, np.ndarray) else one for one in given]
    count = max(1, min(_ALLOWED.get(), tiles, int(n * each) // _WORTH))
    if count == 1:
        kernel(0, n, out, *arguments)
        return
    edges = [min(n, TILE * (tiles * k // count)) for k in range(count + 1)]
    others = itertools.pairwise(edges[1:])
    ends = [_begun(kernel, begin, end, out, *arguments) for begin, end in others]
    kernel(0, edges[1], out, *arguments)
    for end in ends:
        end()


def _begun(kernel: Any, *given: Any) -> Callable[[], Any]:
    """The call on another thread, to be waited for; here, where the main thread has ended and the
    interpreter lets no pool begin anything for those that are still running."""
    try:
        return _pool().submit(kernel, *given).result
    except RuntimeError as refused:
        if "shutdown" not in str(refused):
            raise
    kernel(*given)
    return lambda: None


def _plain(array: Any) -> Any:
    """An array in rows that may be written to, which are types of their own to the compiler."""
    return array if array.flags.carray else np.array(array, order="C")
