"""`mixdyn sample`: run a sampler, classify the samples, write both whole or not at all."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixdyn import __version__, kernels
from mixdyn.geometry import Indices, Region, in_stds, within_modes
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.noise import resolve_seed
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.retraining.generations import SURVIVING_SHARE, mode_divergence
from mixdyn.run.sampling import sample
from mixdyn.score import GuidedScore
from mixdyn.support.checks import Array, IntArray, check_integer
from mixdyn.support.errors import FileError, StartWarning
from mixdyn.support.files import check_output, clipped, write_atomically, write_text
from mixdyn.support.numbers import dump_json
from mixdyn.support.provenance import usable_cores
from mixdyn.support.statistics import Proportion

from .facts import StartFacts, start_facts
from .inputs import build_sampler, build_score, read_problem
from .requests import SampleRequest

_DUE = 20.0  # samples: a mode due fewer may stay empty by chance


@dataclass(frozen=True)
class ClassShare:
    """How many samples fell into one class, their share, and its 95 % Clopper-Pearson interval."""

    name: str
    count: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class ModeFacts:
    """Where the true-mode samples are.

    weights, counts, spreads: one entry a mode, its weight, the samples at it, and the root mean
    square of their offset over its sigma, per coordinate, None below two samples.
    divergence: KL of their shares from the weights in nats, None without any; chance_divergence:
    what independent draws give on average, about (N - 1)/(2 n). lost: modes with less than a tenth
    of the samples due to them, among those due at least 20; untold: how many are due fewer.
    elsewhere: samples at modes of weight 0, which are none of the class that was asked for. spread:
    as above, over all of them; modes without a width have none.
    """

    weights: list[float]
    counts: list[int]
    spreads: list[float | None]
    divergence: float | None
    chance_divergence: float | None
    lost: list[int]
    untold: int
    elsewhere: int
    spread: float | None


@dataclass(frozen=True)
class SampleSummary:
    """What is stored beside the samples and printed; `n_eval` is the mean number of score
    evaluations per sample."""

    version: str
    mixture: dict[str, Any]
    schedule: dict[str, Any]
    sampler: str
    model: str
    n: int
    seed: int
    first_time: int
    steps: int
    n_eval: float
    classes: list[ClassShare]
    start_error: StartFacts
    modes: ModeFacts
    seconds: float
    samples_file: str | None
    summary_file: str


def run_sample(request: SampleRequest, progress: Callable[[int, int], None]) -> SampleSummary:
    """Draw the samples, write them and their summary, and return the summary.

    Everything that can be wrong with the input is checked before the first step. With workers the
    samples are counted in shards and not kept.
    """
    if (request.workers, request.scheduler) != (None, None):
        from .sharding import run_in_shards

        return run_in_shards(request, progress)
    summary_file = check_outputs(request.out)
    n = check_integer(request.n, "n", 1)
    seed = resolve_seed(request.seed)
    mixture, schedule = read_problem(request)
    sampler = build_sampler(request.sampler, request.options, schedule, mixture)
    model = build_score(request, mixture, schedule)
    began = time.perf_counter()
    with warnings.catch_warnings(), kernels.threads(_threads(request.threads)):
        warnings.simplefilter("ignore", StartWarning)  # the summary says it
        drawn = sample(
            model, schedule, sampler, n=n, rng=seed, start=request.start, progress=progress
        )
    x = np.asarray(drawn.x)
    codes, nearest, offset = within_modes(mixture, x)
    wanted = conditional_weights(mixture, model)
    modes = mode_facts(mixture, *inside_modes(mixture, nearest, offset), len(x), wanted)
    seconds = time.perf_counter() - began
    problem = (mixture, schedule, repr(sampler))
    counts = np.bincount(codes, minlength=len(Region))
    walked = (int(drawn.times[0]), len(drawn.times) - 1, drawn.n_eval)
    files = (str(request.out), str(summary_file))
    summary = summarise(request, problem, seed, walked, (counts, modes), seconds, files)
    arrays = {
        "x": x,
        "codes": codes,
        "times": drawn.times,
        "n_eval": drawn.n_eval,
        "seed": np.uint64(seed),
        "mixture_digest": mixture.digest,
        "schedule_digest": schedule.digest,
    }
    _write(request.out, summary_file, arrays, summary)
    return summary


def _model_name(request: SampleRequest) -> str:
    if request.guidance is None:
        return "exact score"
    return f"exact scores (two), guided towards {request.label} with weight {request.guidance:g}"


def _threads(count: int | None) -> int | None:
    """Threads of the kernels; no more than there are."""
    if count is None:
        return None
    cores = usable_cores()
    set_lower = os.environ.get("NUMBA_NUM_THREADS", "")  # the kernels never have more than this
    return check_integer(count, "threads", 1, int(set_lower) if set_lower.isdigit() else cores)


def _write(out: Path, summary_file: Path, arrays: dict[str, Any], summary: SampleSummary) -> None:
    text = dump_json(vars(summary))
    write_atomically(out, lambda handle: np.savez(handle, **arrays))
    write_text(summary_file, text)


def check_outputs(out: Path) -> Path:
    """The summary file that goes with a samples file, both checked to be writable later."""
    if out.suffix.lower() != ".npz":
        raise FileError(
            "samples are written to a .npz file (and a summary to .json beside it)",
            clipped(out),
            "Choose a name that ends in .npz.",
        )
    check_output(out)
    return check_output(out.with_suffix(".json"))


def summarise(
    request: SampleRequest,
    problem: tuple[GaussianMixture, NoiseSchedule, str],
    seed: int,
    walked: tuple[int, int, float],
    found: tuple[IntArray, ModeFacts],
    seconds: float,
    files: tuple[str | None, str],
) -> SampleSummary:
    """The summary of a sampler's walk (first time, steps, evaluations), which fell into classes
    (counts) and modes; `files` are of the samples and of itself."""
    mixture, schedule, sampler = problem
    counts, modes = found
    n = int(counts.sum())
    return SampleSummary(
        version=__version__,
        mixture={
            "source": request.mixture or request.model,
            "N": mixture.N,
            "d": mixture.d,
            "digest": mixture.digest,
        },
        schedule={
            "source": request.schedule or schedule.parameters["kind"],
            "T": schedule.T,
            "digest": schedule.digest,
        },
        sampler=sampler,
        model=request.model or _model_name(request),
        n=n,
        seed=seed,
        first_time=walked[0],
        steps=walked[1],
        n_eval=walked[2],
        start_error=start_facts(mixture, schedule, walked[0]),
        classes=[_share(region, int(counts[region]), n) for region in Region],
        modes=modes,
        seconds=seconds,
        samples_file=files[0],
        summary_file=files[1],
    )


def conditional_weights(mixture: GaussianMixture, model: object) -> Array:
    """(N,) weights of the modes that were asked for: all, or of a guided score those of its class,
    0 elsewhere; with weight -1 it is the score of all."""
    if not isinstance(model, GuidedScore) or model.weight == -1.0:
        return mixture.weights
    weights = np.zeros(mixture.N)
    chosen = list(model.modes)
    weights[chosen] = mixture.weights[chosen] / mixture.weights[chosen].sum()
    return weights


def inside_modes(
    mixture: GaussianMixture, nearest: Indices, offset: Array
) -> tuple[IntArray, Array]:
    """Of the m samples in a mode, their modes (m,) and offsets from them (m, d): by mode (N,) how
    many, and the sum of their mean squares in units of its sigma."""
    square = np.square(in_stds(mixture, nearest, offset)).mean(axis=1)
    counts = np.bincount(nearest, minlength=mixture.N).astype(np.int64)
    return counts, np.bincount(nearest, square, mixture.N).astype(np.float64)


def mode_facts(
    mixture: GaussianMixture, counts: IntArray, sums: Array, n: int, weights: Array
) -> ModeFacts:
    """What `inside_modes` found of n samples, beside the weights (N,) that were asked for."""
    # Points have no width to measure a spread by.
    wide = np.ones(mixture.N, bool) if mixture.covariance is not None else mixture.sigmas > 0.0
    measured = int(counts[wide].sum())
    due = n * weights >= _DUE
    lost = due & (counts < SURVIVING_SHARE * n * weights)
    n_inside, held = int(counts.sum()), weights > 0.0
    of_class = counts[held]
    return ModeFacts(
        weights=weights.tolist(),
        counts=counts.tolist(),
        spreads=[
            math.sqrt(total / k) if k > 1 and has else None
            for total, k, has in zip(sums, counts, wide, strict=True)
        ],
        divergence=mode_divergence(of_class, weights[held]) if of_class.sum() else None,
        chance_divergence=(held.sum() - 1) / (2 * of_class.sum()) if of_class.sum() else None,
        lost=np.flatnonzero(lost).tolist(),
        untold=int((held & ~due).sum()),
        elsewhere=n_inside - int(of_class.sum()),
        spread=math.sqrt(sums[wide].sum() / measured) if measured else None,
    )


def _share(region: Region, count: int, n: int) -> ClassShare:
    proportion = Proportion(count, n)
    low, high = proportion.interval()
    return ClassShare(region.name.lower(), count, proportion.rate, low, high)
