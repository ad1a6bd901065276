"""`mixdyn train --seeds`: the same training from several seeds, a network each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from mixdyn.support.checks import check_integer
from mixdyn.support.errors import FileError, InputError
from mixdyn.support.files import check_output
from mixdyn.support.references import CHECKPOINT
from mixdyn.sweeps.fitness import fitness
from mixdyn.sweeps.running import executor_for, sweep
from mixdyn.sweeps.shards import Shard, key_of
from mixdyn.sweeps.store import RowStore

from .requests import TrainRequest
from .training import run_training


@dataclasses.dataclass(frozen=True)
class TrainingsSummary:
    """What is printed: of each network, in the order of the seeds, what `train` says of one."""

    networks: list[dict[str, Any]]


def run_trainings(request: TrainRequest, progress: Callable[[int, int], None]) -> TrainingsSummary:
    """Train what is not trained yet, and say how good each network is.

    Which are done stands beside them until all are; each goes on by itself where it was killed.
    """
    count = check_integer(1 if request.seeds is None else request.seeds, "seeds", 1, 10_000)
    check_output(request.out, CHECKPOINT)
    request.require()
    executor = executor_for(
        request.workers, request.scheduler, lambda line: typer.echo(line, err=True)
    )
    kept = check_output(request.out.with_suffix(".sweep"))
    if request.fresh:
        kept.unlink(missing_ok=True)
    shards = [_shard(request, seed) for seed in range(request.seed, request.seed + count)]
    _refuse_finished(request, shards, kept)
    with RowStore(kept) as store:
        done = sum(shard.parts[0][0] in store for shard in shards)
        for each in sweep(train_each, shards, store, executor):
            if each.lost:
                raise InputError(
                    "a training must fit a process", f"{each.shard.name}: {each.lost}", "Make room."
                )
            done += 1
            progress(done, count)
        networks = list(store.rows(shard.parts[0][0] for shard in shards))
    kept.unlink(missing_ok=True)
    return TrainingsSummary(networks)


def of_seed(request: TrainRequest, seed: int) -> TrainRequest:
    """The training of one network alone."""
    out = request.out.with_name(f"{request.out.stem}-{seed}{CHECKPOINT}")
    alone: dict[str, Any] = {"seeds": None, "workers": None, "scheduler": None}
    return dataclasses.replace(request, seed=seed, out=out.absolute(), **alone)


def train_each(request: TrainRequest, seeds: list[int]) -> list[dict[str, Any]]:
    """One network after another. A checkpoint that is there is of a run that was killed before it
    could say so, and is made again to the same bits."""
    found = []
    for seed in seeds:
        own = of_seed(request, seed)
        own.out.unlink(missing_ok=True)
        summary = run_training(dataclasses.replace(own, fresh=False), lambda report: None)
        found.append(vars(summary))
    return found


def _shard(request: TrainRequest, seed: int) -> Shard:
    own = of_seed(request, seed)
    key = key_of("train.1", repr(dataclasses.replace(own, fresh=False)), fitness(__name__))
    return Shard(f"seed {seed}", request, ((key, seed),))


def _refuse_finished(request: TrainRequest, shards: list[Shard], kept: Path) -> None:
    """Networks that no unfinished sweep accounts for are not trained over."""
    if kept.exists() or request.fresh:
        return
    there = [own.out for s in shards if (own := of_seed(request, s.parts[0][1])).out.exists()]
    if there:
        raise FileError(
            "a finished checkpoint is not trained over", str(there[0]), "Give --fresh to do so."
        )
