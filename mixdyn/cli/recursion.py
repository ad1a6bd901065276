"""`mixdyn recurse`: train generation after generation on its own samples."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixdyn.geometry import Region
from mixdyn.problem.named import read_mixture, read_schedule
from mixdyn.retraining.recursion import RecursionPlan, recurse
from mixdyn.support.checks import Array
from mixdyn.support.files import make_folder, one_run_in

from .requests import RecurseRequest

if TYPE_CHECKING:
    from mixdyn.retraining.generations import Generation


@dataclass(frozen=True)
class GenerationSummary:
    """What is printed of a generation: shares with 95 % intervals, modes, their weights' KL
    divergence from the mixture's, and the spread within them in units of sigma."""

    index: int
    trained_on: int
    n: int
    interpolation: float
    interpolation_low: float
    interpolation_high: float
    invalid: float
    modes: int
    of_modes: int
    weight_divergence: float | None
    spread: float | None


@dataclass(frozen=True)
class RecurseSummary:
    """What is printed."""

    folder: str
    recipe: str
    filter: str
    seed: int
    generations: list[GenerationSummary]
    seconds: float


def run_recursion(
    request: RecurseRequest, progress: Callable[[int, int, str], None]
) -> RecurseSummary:
    """Run, or go on with, the recursion in the folder `out`."""
    mixture, schedule = read_mixture(request.mixture), read_schedule(request.schedule)
    request.require()
    from mixdyn.learned.recipes import recipe
    from mixdyn.learned.recursion import RECIPES  # torch, which takes seconds to come

    plan = RecursionPlan(
        mixture,
        schedule,
        recipe(request.recipe, RECIPES, **request.changes),
        request.filter,
        request.seed,
        request.discard,
        request.window,
    )
    command = request.command(
        "recurse",
        filter=request.filter,
        discard=f"{request.discard:g}",
        window=request.window,
        generations=request.generations,
    )

    def show(generation: int, stage: str, done: int, total: int) -> None:
        progress(done, total, f"generation {generation} of {request.generations}: {stage}")

    began = time.perf_counter()
    make_folder(request.out)
    with one_run_in(request.out):
        found = recurse(
            plan,
            request.out,
            request.generations,
            device=request.device,
            command=command,
            progress=show,
        )
    return RecurseSummary(
        folder=str(request.out),
        recipe=plan.recipe.name,
        filter=plan.filter,
        seed=plan.seed,
        generations=[_summary(generation, plan.mixture.weights) for generation in found],
        seconds=time.perf_counter() - began,
    )


def _summary(generation: Generation, weights: Array) -> GenerationSummary:
    between = generation.share(Region.INTERPOLATION)
    low, high = between.interval()
    divergence = generation.divergence(weights)
    return GenerationSummary(
        index=generation.index,
        trained_on=generation.trained_on,
        n=generation.n,
        interpolation=between.rate,
        interpolation_low=low,
        interpolation_high=high,
        invalid=generation.share(Region.INVALID).rate,
        modes=generation.surviving(weights),
        of_modes=len(weights),
        weight_divergence=divergence if math.isfinite(divergence) else None,
        spread=generation.spread,
    )
