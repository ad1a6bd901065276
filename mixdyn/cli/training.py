"""`mixdyn train`: from a recipe to a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixdyn import learned
from mixdyn.problem.named import read_mixture, read_schedule
from mixdyn.support.errors import FileError, InputError
from mixdyn.support.files import check_output
from mixdyn.support.references import CHECKPOINT

from .inputs import given
from .requests import TrainRequest

if TYPE_CHECKING:
    from mixdyn.images.generators import ImageSet
    from mixdyn.learned.training import Report, Trainer
    from mixdyn.problem.mixture import GaussianMixture
    from mixdyn.problem.schedule import NoiseSchedule


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


@dataclass(frozen=True)
class ImageSummary:
    """What is printed of a network for images: its loss on others than it was trained on."""

    checkpoint: str
    recipe: str
    seed: int
    steps: int
    parameters: int
    loss: float
    loss_std: float
    seconds: float


def run_training(
    request: TrainRequest, progress: Callable[[Report], None]
) -> TrainSummary | ImageSummary:
    """Train, or go on with an unfinished run, and write the checkpoint."""
    learned.require()
    if len(request.target) != 1:
        raise InputError(
            "a network is trained on a mixture or on images",
            " and ".join(request.target) or "neither",
            "Give --mixture, or --images.",
        )
    check_output(request.out, CHECKPOINT)
    if request.out.exists() and not request.fresh:
        raise FileError(
            "a finished checkpoint is not trained over", str(request.out), "Give --fresh to do so."
        )
    schedule = read_schedule(request.schedule)
    if request.images is None:
        mixture = read_mixture(str(request.mixture))
        _begin(request)
        return _on_mixture(request, mixture, schedule, progress)
    images = _images(request)
    _begin(request)
    return _on_images(request, images, schedule, progress)


def _begin(request: TrainRequest) -> None:
    """Once all that is named is there: torch takes seconds to come."""
    request.require()
    from mixdyn.learned.runs import partial_path

    if request.fresh:
        partial_path(request.out).unlink(missing_ok=True)


def _on_mixture(
    request: TrainRequest,
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    progress: Callable[[Report], None],
) -> TrainSummary:
    from mixdyn.learned.recipes import recipe
    from mixdyn.learned.runs import train_to_file
    from mixdyn.learned.training import Trainer

    trainer = Trainer(
        mixture,
        schedule,
        recipe(request.recipe or "reduced", **request.changes),
        request.seed,
        device=request.device,
    )
    began = time.perf_counter()
    command = request.command("train")
    quality = train_to_file(trainer, request.out, command=command, progress=progress)
    return TrainSummary(
        loss=quality.loss,
        irreducible=quality.irreducible,
        excess=quality.excess,
        excess_std=quality.excess_std,
        **_about(request, trainer, began),
    )


def _images(request: TrainRequest) -> ImageSet:
    from mixdyn.images.named import read_image_set

    unused = given({"points": request.points, "hidden": request.hidden})
    if unused:
        raise InputError(
            "a network for images takes all of its images, and its recipe's width",
            ", ".join(f"--{name}" for name in unused),
            "Leave it out; the number of images is an option of theirs, as in shapes:n=2000.",
        )
    return read_image_set(str(request.images))


def _on_images(
    request: TrainRequest,
    images: ImageSet,
    schedule: NoiseSchedule,
    progress: Callable[[Report], None],
) -> ImageSummary:
    from mixdyn.learned.image_checkpoints import save_image_checkpoint
    from mixdyn.learned.image_training import IMAGE_RECIPES, ImageTrainer
    from mixdyn.learned.recipes import changed
    from mixdyn.learned.runs import train_to_file

    trainer = ImageTrainer(
        images,
        schedule,
        changed(IMAGE_RECIPES, request.recipe or "unet", **request.changes),
        request.seed,
        device=request.device,
    )
    began = time.perf_counter()
    quality = train_to_file(
        trainer,
        request.out,
        command=request.command("train"),
        progress=progress,
        save=save_image_checkpoint,
    )
    about = _about(request, trainer, began)
    return ImageSummary(loss=quality.loss, loss_std=quality.loss_std, **about)


def _about(request: TrainRequest, trainer: Trainer, began: float) -> dict[str, Any]:
    return {
        "checkpoint": str(request.out),
        "recipe": trainer.recipe.name,
        "seed": trainer.seed,
        "steps": trainer.step,
        "parameters": sum(p.numel() for p in trainer.network.parameters()),
        "seconds": time.perf_counter() - began,
    }
