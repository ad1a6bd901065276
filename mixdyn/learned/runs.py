"""One training run from a recipe to a checkpoint file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..support.files import as_path, check_output
from ..support.references import CHECKPOINT
from .checkpoints import save_checkpoint
from .training import Report, Trainer, train


def partial_path(out: str | os.PathLike[str]) -> Path:
    """Where an unfinished run towards `out` is kept."""
    target = as_path(out)
    return target.with_name(f"{target.stem}.partial{CHECKPOINT}")


def train_to_file(
    trainer: Trainer,
    out: str | os.PathLike[str],
    *,
    command: str = "",
    progress: Callable[[Report], None] | None = None,
    save: Callable[..., None] = save_checkpoint,
) -> Any:
    """Train and write the checkpoint `out`; an earlier, unfinished run towards it is resumed.

    `command` is what to type to train it again; it is stored in the checkpoint, which `save`
    writes. Returns what `train` does. Raises FileError before the first step when `out` cannot be
    written.
    """
    target = check_output(out, CHECKPOINT)
    partial = check_output(partial_path(target))
    quality = train(trainer, partial=partial, progress=progress)
    save(target, trainer, quality, command=command)
    return quality
