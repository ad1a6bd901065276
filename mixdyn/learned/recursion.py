"""The training of one generation of a recursion: on given points, in place of draws.

See `mixdyn.recursion`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from .adapter import LearnedScore
from .checkpoints import load_checkpoint
from .recipes import recipe
from .runs import train_to_file
from .training import Report, Trainer

# "full" has the sizes of arXiv 2406.09358 v2; "reduced" trains in a minute or two on one core.
# points is the number of samples that every generation draws.
RECIPES = MappingProxyType(
    {
        name: dataclasses.replace(changed, name=name)
        for name, changed in (
            ("reduced", recipe("reduced", steps=12_000, batch=2_048, points=20_000)),
            ("full", recipe("reduced", hidden=128)),
        )
    }
)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A trained network and its excess loss over the exact score of the true mixture."""

    score: LearnedScore
    excess: float


def fit(
    begin: Callable[[], Trainer],
    path: Path,
    *,
    command: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Fitted:
    """The network in the checkpoint `path`, trained first where there is none.

    begin() builds the training run; an unfinished one towards `path` is resumed.
    """

    def show(report: Report) -> None:
        progress(report.step, report.steps)

    trainer = begin()
    if not path.exists():
        train_to_file(trainer, path, command=command, progress=show)
    loaded = load_checkpoint(path, mixture=trainer.mixture, schedule=trainer.schedule)
    score = LearnedScore.of(loaded, device=trainer.device.type)
    return Fitted(score, loaded.quality.excess)
