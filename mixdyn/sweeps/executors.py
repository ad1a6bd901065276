"""Who does the shards: this process, or processes of this machine; others of a cluster beside.

An executor takes shards as it has hands for them and gives them back done, in any order. It keeps
few at a time, so that a sweep's length is not in its memory. A process that ends before its shard
is followed by another, and the shard begun again; one that no process survives is given back lost.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol

from .. import kernels
from ..support.checks import check_integer
from ..support.errors import MixdynError
from ..support.provenance import cores_here
from .shards import Done, Shard, Work

DEATHS = 3  # of processes at a shard, after which it is lost
_STILLBORN = 20  # processes in a row that end before they begin
THREADS = (
    *("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)
Say = Callable[[str], None]


class WorkerError(MixdynError):
    """Processes that do the work cannot be had, or are not fit for it."""


class Executor(Protocol):
    """Does shards."""

    def run(self, work: Work, shards: Iterable[Shard]) -> Generator[Done, None, None]:
        """Every shard, done, as they are finished. Closing it ends what is under way."""


@dataclass(frozen=True)
class Here:
    """This process, on one thread: for tests, and where nothing else can be had."""

    def run(self, work: Work, shards: Iterable[Shard]) -> Generator[Done, None, None]:
        """One after another."""
        for shard in shards:
            with kernels.threads(1):
                rows = shard.do(work)
            yield Done(shard, tuple(rows))


@dataclass(frozen=True)
class Processes:
    """`workers` processes of this machine, of `threads` threads each; `say` is told in a line what
    goes on: too many of them for its cores, one that died."""

    workers: int
    threads: int = 1
    say: Say = lambda line: None

    def __post_init__(self) -> None:
        check_integer(self.workers, "workers", 1, 1024)
        check_integer(self.threads, "threads", 1, 1024)

    def run(self, work: Work, shards: Iterable[Shard]) -> Generator[Done, None, None]:
        """As many at a time as there are processes."""
        crowded = oversubscribed(self.workers, self.threads, cores_here(), "this machine")
        if crowded:
            self.say(crowded)
        waiting = iter(shards)
        hands = [_Hand(self.threads) for _ in range(self.workers)]
        try:
            busy: dict[Future[list[tuple[str, object]]], _Hand] = {}
            while _give_out(work, hands, waiting, busy):
                for future in wait(busy, return_when=FIRST_COMPLETED).done:
                    done = busy.pop(future).take(future, self.say)
                    if done is not None:
                        yield done
        finally:
            for hand in hands:
                hand.end()


def _give_out(
    work: Work, hands: list[_Hand], waiting: Iterator[Shard], busy: dict[Any, Any]
) -> bool:
    """Let every idle process begin a shard; whether any is busy."""
    for hand in hands:
        if hand not in busy.values():
            hand.shard = hand.shard or next(waiting, None)
            if hand.shard is not None:
                busy[hand.begin(work)] = hand
    return bool(busy)


class _Hand:
    """One process, and those that follow it; a pool of one each, so that it is known at which shard
    one died. shard : what it works on; deaths : how many died of it."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.shard: Shard | None = None
        self.deaths = self.stillborn = 0
        self.pool = self._hired()

    def _hired(self) -> ProcessPoolExecutor:
        # Spawned: a fork would take this one's threads for its own.
        return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_begin)

    def begin(self, work: Work) -> Future[list[tuple[str, object]]]:
        """Begin the shard."""
        assert self.shard is not None
        with environment(dict.fromkeys(THREADS, str(self.threads))):  # read as a process starts
            try:
                self.ready = self.pool.submit(os.getpid)
                return self.pool.submit(do, self.shard, work, self.threads)
            except BrokenProcessPool:  # it ended between two shards
                self.pool = self._hired()
                return self.begin(work)

    def take(self, future: Future[list[tuple[str, object]]], say: Say) -> Done | None:
        """The shard, done or lost; None where it has to be begun again. Its errors are raised."""
        shard = self.shard
        assert shard is not None
        try:
            rows = future.result()
        except BrokenProcessPool:
            return self._mourn(shard, say)
        self.shard, self.deaths, self.stillborn = None, 0, 0
        return Done(shard, tuple(rows))

    def _mourn(self, shard: Shard, say: Say) -> Done | None:
        began = self.ready.done() and self.ready.exception() is None
        self.pool.shutdown(wait=True)
        self.pool = self._hired()
        self.deaths += began
        self.stillborn = 0 if began else self.stillborn + 1
        if self.stillborn >= _STILLBORN:
            raise WorkerError(
                f"{_STILLBORN} processes in a row ended before they began to work; a lack of "
                "memory does that. Ask for fewer workers."
            )
        if self.deaths < DEATHS:
            say(f"a process ended at {shard.name}, which begins again in another")
            return None
        self.shard, self.deaths = None, 0
        return Done(shard, lost=f"{DEATHS} processes ended at it; a lack of memory does that")

    def end(self) -> None:
        """Stop it, whatever it does."""
        for process in list((self.pool._processes or {}).values()):
            process.kill()
        self.pool.shutdown(wait=True, cancel_futures=True)


def do(shard: Shard, work: Work, threads: int) -> list[tuple[str, object]]:
    """A shard, in the process that does it."""
    with kernels.threads(threads):
        return shard.do(work)


def _begin() -> None:
    """What a process does first. An interrupt is for the one that started it, with which it ends,
    however that ended: it would wait for work for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


@contextlib.contextmanager
def environment(changed: dict[str, str]) -> Iterator[None]:
    """Variables of the environment that processes started meanwhile have."""
    before = dict(os.environ)
    os.environ.update(changed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def oversubscribed(workers: int, threads: int, cores: int, where: str) -> str:
    """What to say of more threads than cores; empty where they have room."""
    if workers * threads <= cores:
        return ""
    return (
        f"{workers} workers of {threads} thread{'s' * (threads > 1)} share the {cores} "
        f"core{'s' * (cores > 1)} of {where}: they will wait for one another"
    )
