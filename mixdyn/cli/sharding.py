"""`mixdyn sample --workers`: any number of samples, in shards that are counted and let go.

Sample i draws the same numbers whoever draws it, so the counts are those of a run in one piece.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import typer

from mixdyn.geometry import Region, within_modes
from mixdyn.problem.noise import resolve_seed
from mixdyn.run.sampling import sample
from mixdyn.support.checks import check_integer
from mixdyn.support.errors import InputError, StartWarning
from mixdyn.support.files import check_output, write_text
from mixdyn.support.numbers import dump_json
from mixdyn.support.references import model_digest
from mixdyn.sweeps.fitness import fitness
from mixdyn.sweeps.running import executor_for, sweep
from mixdyn.sweeps.shards import Shard, key_of
from mixdyn.sweeps.store import RowStore

from .inputs import build_sampler, build_score, read_problem
from .requests import SampleRequest
from .sampling import SampleSummary, conditional_weights, inside_modes, mode_facts, summarise

_DOUBLES = 1 << 20  # of a shard: 8 MB of states, a second of most samplers


def run_in_shards(request: SampleRequest, progress: Callable[[int, int], None]) -> SampleSummary:
    """Draw, count and write the summary. What is drawn is kept as counts beside it until then."""
    out = check_output(request.out, ".json")
    if request.threads is not None:
        raise InputError(
            "a worker has one thread", f"--threads {request.threads}", "Give more --workers."
        )
    n, seed = check_integer(request.n, "n", 1), resolve_seed(request.seed)
    mixture, schedule = read_problem(request)
    sampler = build_sampler(request.sampler, request.options, schedule, mixture)
    wanted = conditional_weights(mixture, build_score(request, mixture, schedule))
    executor = executor_for(
        request.workers, request.scheduler, lambda line: typer.echo(line, err=True)
    )
    began, kept = time.perf_counter(), out.with_suffix(".sweep")
    shards = list(shards_of(request, n, seed, mixture.d, (mixture.digest, schedule.digest)))
    with RowStore(kept) as store:
        done = sum(store.get(s.parts[0][0])["n"] for s in shards if s.parts[0][0] in store)
        for each in sweep(draw, shards, store, executor):
            if each.lost:
                raise InputError(
                    "a shard must fit a process", f"{each.shard.name}: {each.lost}", "Make room."
                )
            done += each.rows[0][1]["n"]
            progress(done, n)
        found = _joined(store.rows(shard.parts[0][0] for shard in shards), mixture.N)
    classes, counts, sums, walked = found
    modes = mode_facts(mixture, counts, sums, n, wanted)
    problem = (mixture, schedule, repr(sampler))
    seconds = time.perf_counter() - began
    summary = summarise(request, problem, seed, walked, (classes, modes), seconds, (None, str(out)))
    write_text(out, dump_json(vars(summary)))
    Path(kept).unlink(missing_ok=True)
    return summary


def shards_of(
    request: SampleRequest, n: int, seed: int, d: int, problem: tuple[str, ...]
) -> Iterator[Shard]:
    """Samples first to first + size each, of the same size however many workers there are."""
    asked = dataclasses.replace(request, out=Path("shard.json"), workers=None, scheduler=None, n=1)
    model = "" if request.model is None else model_digest(request.model)
    size, code = max(1, _DOUBLES // d), fitness(__name__)
    for first in range(0, n, size):
        count = min(size, n - first)
        key = key_of("sample.1", repr(asked), problem, model, seed, first, count, code)
        yield Shard(
            f"samples {first} to {first + count - 1}", (asked, seed), ((key, (first, count)),)
        )


def draw(common: tuple[SampleRequest, int], owns: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """What each of these shards comes to."""
    request, seed = common
    mixture, schedule = read_problem(request)
    sampler = build_sampler(request.sampler, request.options, schedule, mixture)
    model = build_score(request, mixture, schedule)
    rows = []
    for first, count in owns:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StartWarning)  # the summary says it
            drawn = sample(
                model, schedule, sampler, n=count, rng=seed, start=request.start, first=first
            )
        codes, nearest, offset = within_modes(mixture, np.asarray(drawn.x))
        counts, sums = inside_modes(mixture, nearest, offset)
        rows.append(
            {
                "n": count,
                "classes": np.bincount(codes, minlength=len(Region)).tolist(),
                "counts": counts.tolist(),
                "sums": sums.tolist(),
                "walked": [int(drawn.times[0]), len(drawn.times) - 1, drawn.n_eval],
            }
        )
    return rows


def _joined(rows: Iterable[dict[str, Any]], modes: int) -> tuple[Any, Any, Any, Any]:
    """Classes, counts and sums by mode and the walk of all shards, added in their order."""
    classes, counts = np.zeros(len(Region), np.int64), np.zeros(modes, np.int64)
    sums, n, evaluations, walked = np.zeros(modes), 0, 0.0, (0, 0)
    for row in rows:
        classes += row["classes"]
        counts += row["counts"]
        sums += row["sums"]
        n += row["n"]
        evaluations += row["n"] * row["walked"][2]
        walked = row["walked"][:2]
    return classes, counts, sums, (*walked, evaluations / n)
