"""A sweep: what the store lacks is done, and kept as it comes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable

from ..support.errors import InputError
from .executors import Executor, Processes, Say
from .shards import Done, Row, Shard, Work
from .store import RowStore


def sweep(
    work: Work,
    shards: Iterable[Shard],
    store: RowStore,
    executor: Executor,
    *,
    keep: Callable[[Row], bool] = lambda row: True,
) -> Generator[Done, None, None]:
    """Do what the store has no rows of; every shard done, as it is finished and kept.

    A lost shard leaves no row, nor does a row that is not one to `keep`, so that the next run tries
    it again. FileError where the store takes no more: what it has stays. Errors of the work itself
    are raised.
    """
    left = (shard.without(store.__contains__) for shard in shards)
    with contextlib.closing(executor.run(work, (s for s in left if s.parts))) as finished:
        for done in finished:
            store.add((key, row) for key, row in done.rows if keep(row))
            yield done


def executor_for(workers: int | None, scheduler: str | None, say: Say) -> Executor:
    """Processes of this machine, one unless told how many, or the workers of a scheduler, which
    has to answer: InputError, before anything is written."""
    if scheduler is None:
        return Processes(1 if workers is None else workers, say=say)
    if workers is not None:
        raise InputError(
            "the work goes to processes here (--workers) or to a cluster (--scheduler)",
            "both",
            "Drop one of them: a cluster has workers of its own.",
        )
    from .cluster import Cluster

    found = Cluster(scheduler, say)
    found.check()
    return found
