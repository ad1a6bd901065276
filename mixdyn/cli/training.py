"""`mixdyn train`: from a recipe to a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixdyn import learned
from mixdyn.problem.named import read_mixture, read_schedule
from mixdyn.support.errors import FileError
from mixdyn.support.files import check_output
from mixdyn.support.references import CHECKPOINT

from .requests import TrainRequest

if TYPE_CHECKING:
    from mixdyn.learned.training import Report


@dataclass(frozen=True)
class TrainSummary:
    """What is printed: the loss, its irreducible part, and the excess with its standard error."""

    checkpoint: str
    recipe: str
    seed: int
    steps: int
    parameters: int
    loss: float
    irreducible: float
    excess: float
    excess_std: float
    seconds: float


def run_training(request: TrainRequest, progress: Callable[[Report], None]) -> TrainSummary:
    """Train, or go on with an unfinished run, and write the checkpoint."""
    learned.require()
    from mixdyn.learned.recipes import recipe
    from mixdyn.learned.runs import partial_path, train_to_file
    from mixdyn.learned.training import Trainer

    check_output(request.out, CHECKPOINT)
    request.require()
    if request.out.exists() and not request.fresh:
        raise FileError(
            "a finished checkpoint is not trained over", str(request.out), "Give --fresh to do so."
        )
    if request.fresh:
        partial_path(request.out).unlink(missing_ok=True)
    trainer = Trainer(
        read_mixture(request.mixture),
        read_schedule(request.schedule),
        recipe(request.recipe, **request.changes),
        request.seed,
        device=request.device,
    )
    began = time.perf_counter()
    quality = train_to_file(
        trainer, request.out, command=request.command("train"), progress=progress
    )
    return TrainSummary(
        checkpoint=str(request.out),
        recipe=trainer.recipe.name,
        seed=trainer.seed,
        steps=trainer.step,
        parameters=sum(p.numel() for p in trainer.network.parameters()),
        loss=quality.loss,
        irreducible=quality.irreducible,
        excess=quality.excess,
        excess_std=quality.excess_std,
        seconds=time.perf_counter() - began,
    )
