"""Shards on the workers of a dask.distributed cluster, wherever they are.

What a cluster loses is done again: the shards of a worker that was killed by the scheduler itself,
those under way when the scheduler or the network is gone by us, as soon as it is back.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from .. import kernels
from ..support.errors import InputError, MissingExtraError
from .executors import DEATHS, Say, WorkerError, oversubscribed
from .fitness import differing, fitness
from .shards import Done, Shard, Work

_ALONE = threading.Lock()  # kernels and BLAS have one setting a process
_ANSWER = 10.0  # seconds in which a scheduler answers
_LOOK = 0.5  # seconds between looks at whether the scheduler is there
_COUNT_EVERY = 2.0  # seconds between counts of the workers
_AHEAD = 2  # shards a thread of the cluster has at a time: one to do and one to begin with


@dataclass(frozen=True)
class Cluster:
    """The workers of the scheduler at `address`; `patience`: seconds that it may be gone for."""

    address: str
    say: Say = lambda line: None
    patience: float = 300.0

    def check(self) -> None:
        """InputError where nothing answers at the address."""
        link = _Link(self)
        try:
            link.connect()
        finally:
            link.close()

    def run(self, work: Work, shards: Iterable[Shard]) -> Generator[Done, None, None]:
        """As many at a time as the cluster has threads, with one ahead of each."""
        link = _Link(self)
        try:
            link.connect()
            yield from _Flight(link, work, iter(shards)).done()
        finally:
            link.close()


class _Link:
    """The client, which may be another after a break."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.client: Any = None
        self._told: set[str] = set()
        self._threads, self._looked = 1, -math.inf

    def connect(self) -> None:
        """Be connected, with patience after a first time."""
        distributed = _distributed()
        again = self.client is not None
        self.close()
        until = time.monotonic() + (self.cluster.patience if again else 0.0)
        while True:
            try:
                self.client = distributed.Client(
                    self.cluster.address, timeout=_ANSWER, set_as_default=False
                )
                break
            except (OSError, ValueError, TypeError) as error:
                if time.monotonic() > until:
                    self._refuse(error, again)
                time.sleep(_LOOK)
        if again:
            self.tell("the scheduler is back; what was under way begins again", repeat=True)

    def _refuse(self, error: Exception, again: bool) -> None:
        kept = " Finished rows are kept: the same command goes on." if again else ""
        raise InputError(
            "a scheduler of dask must answer at its address",
            f"{self.cluster.address} ({' '.join(str(error).split())[:120]})",
            f"Start one with `dask scheduler`, and workers with `dask worker ADDRESS`.{kept}",
        ) from None

    def tell(self, line: str, repeat: bool = False) -> None:
        """Say it, once."""
        if repeat or line not in self._told:
            self._told.add(line)
            self.cluster.say(line)

    @property
    def whole(self) -> bool:
        """Whether the scheduler is connected."""
        return self.client is not None and self.client.status == "running"

    def threads(self) -> int:
        """How many workers the cluster has, of a thread each; what is odd about them is told."""
        if time.monotonic() - self._looked > _COUNT_EVERY:
            self._looked = time.monotonic()
            with contextlib.suppress(TimeoutError, OSError, *_gone()):
                self._threads = self._count()
        return self._threads

    def _count(self) -> int:
        workers: dict[str, Any] = self.client.scheduler_info(n_workers=-1)["workers"]
        hosts: dict[str, int] = {}
        for worker in workers.values():
            hosts[worker["host"]] = hosts.get(worker["host"], 0) + 1
            if worker["nthreads"] > 1:
                self.tell(
                    f"worker {worker['name']} has {worker['nthreads']} threads and does a shard at "
                    "a time: start it with --nthreads 1 --nworkers of as many"
                )
        if not workers:
            self.tell(f"the scheduler at {self.cluster.address} has no worker yet")
        self._look_at_cores(workers, hosts)
        return len(workers)

    def _look_at_cores(self, workers: dict[str, Any], hosts: dict[str, int]) -> None:
        for host, count in hosts.items():
            cores = [
                w.get("metrics", {}).get("cores") for w in workers.values() if w["host"] == host
            ]
            known = [c for c in cores if c]
            if known and (line := oversubscribed(count, 1, min(known), host)):
                self.tell(line)

    def close(self) -> None:
        """Leave the cluster to others."""
        if self.client is not None:
            self.client.close(timeout=5)


class _Flight:
    """Shards under way. deaths : by shard, how often a scheduler gave one up."""

    def __init__(self, link: _Link, work: Work, waiting: Iterator[Shard]) -> None:
        self.link, self.work, self.waiting = link, work, waiting
        self.under_way: dict[Any, Shard] = {}
        self.again: list[Shard] = []
        self.deaths: dict[str, int] = {}
        self.ours = fitness(work.__module__)
        self.killed: type[Exception] = _distributed().KilledWorker
        self.gone: tuple[type[Exception], ...] = (TimeoutError, OSError, *_gone())

    def done(self) -> Iterator[Done]:
        """The shards as they are finished."""
        while self._send() or self.under_way:
            for future in self._landed():
                found = self._take(future, self.under_way.pop(future))
                if found is not None:
                    yield found
            if not self.link.whole:
                self._mend()

    def _send(self) -> bool:
        """Fill the workers; whether there was anything to send."""
        room, sent = max(1, _AHEAD * self.link.threads()), False
        while len(self.under_way) < room and self.link.whole:
            shard = self.again.pop() if self.again else next(self.waiting, None)
            if shard is None:
                break
            asked = (shard, self.work, self.ours)
            self.under_way[self.link.client.submit(do_far, *asked, pure=False)] = shard
            sent = True
        return sent or bool(self.again)

    def _landed(self) -> list[Any]:
        distributed = _distributed()
        if self.under_way and self.link.whole:
            missing = contextlib.suppress(TimeoutError, OSError, *_gone())
            with missing, self.link.client.as_current():
                flying = list(self.under_way)
                distributed.wait(flying, timeout=_LOOK, return_when="FIRST_COMPLETED")
        return [future for future in self.under_way if future.done()]

    def _take(self, future: Any, shard: Shard) -> Done | None:
        """What came of it: its rows, that it is lost, or None where it begins again."""
        try:
            rows, other = future.result(timeout=10)
        except self.killed:
            self.deaths[shard.name] = self.deaths.get(shard.name, 0) + 1
            if self.deaths[shard.name] < DEATHS:
                self.link.tell(f"workers ended at {shard.name}, which begins again", repeat=True)
                self.again.append(shard)
                return None
            return Done(shard, lost="the workers that began it ended; a lack of memory does that")
        except self.gone:
            self.again.append(shard)
            return None
        if other:
            raise WorkerError(f"a worker computes with other code or libraries: {other}")
        return Done(shard, tuple(rows))

    def _mend(self) -> None:
        """The scheduler is gone, and all that it knew."""
        self.link.tell("the scheduler is gone; waiting for it", repeat=True)
        self.again += self.under_way.values()
        self.under_way.clear()
        self.link.connect()


def do_far(shard: Shard, work: Work, ours: dict[str, str]) -> tuple[list[tuple[str, object]], str]:
    """A shard, in a worker, with what the worker has other than the process that asks; then no
    rows."""
    other = differing(ours, fitness(work.__module__))
    if other:
        return [], other
    with _ALONE, kernels.threads(1), _one_blas_thread():
        return shard.do(work), ""


def _one_blas_thread() -> Any:
    """Of a worker whose own settings say more."""
    try:
        import threadpoolctl
    except ImportError:  # then dask's own setting of the environment stands, which is one
        return contextlib.nullcontext()
    return threadpoolctl.threadpool_limits(1)


def _gone() -> tuple[type[Exception], ...]:
    """What is raised about a future whose scheduler is gone."""
    import asyncio
    import concurrent.futures

    from distributed.comm.core import CommClosedError

    known = (CommClosedError, asyncio.CancelledError, concurrent.futures.CancelledError)
    return cast("tuple[type[Exception], ...]", known)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise MissingExtraError(
            "a scheduler needs dask.distributed, which is not installed; --workers needs nothing. "
            "Install it with: pip install 'mixdyn[cluster]'"
        ) from None
    return distributed
