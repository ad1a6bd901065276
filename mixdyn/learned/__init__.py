"""Learned scores: networks, training, checkpoints, adapter. Beside it `audit` alone imports torch.

Needs the extra `learned`; training takes NumPy, torch and safetensors alone. A learned score
reaches the rest of mixdyn through `LearnedScore.eps` and nowhere else.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ..support.checks import check_integer
from ..support.errors import MissingExtraError

_HOME = {
    "Architecture": "architecture",
    "LearnedScore": "adapter",
    "Checkpoint": "checkpoints",
    "load_checkpoint": "checkpoints",
    "ImageScore": "image_checkpoints",
    "ImageRecipe": "image_training",
    "ImageTrainer": "image_training",
    "IMAGE_RECIPES": "image_training",
    "load_image_checkpoint": "image_checkpoints",
    "ModuleFunction": "modules",
    "save_checkpoint": "checkpoints",
    "RECIPES": "recipes",
    "Recipe": "recipes",
    "Trainer": "training",
    "train": "training",
}

__all__ = sorted([*_HOME, "available", "require", "use_threads"])  # noqa: PLE0605 (names reached through __getattr__)


def _missing() -> list[str]:
    return [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]


def available() -> bool:
    """Whether torch and safetensors are installed."""
    return not _missing()


def require() -> None:
    """Raise MissingExtraError unless torch and safetensors are installed."""
    missing = _missing()
    if missing:
        raise MissingExtraError(
            f"learned scores need the extra 'learned'; missing {' and '.join(missing)}. "
            "Install it with: pip install 'mixdyn[learned]'"
        )


def use_threads(count: int = 1) -> None:
    """Let torch compute on `count` CPU threads in this process from now on.

    One by default: the networks are small, so a second thread inside a call saves little on an idle
    machine, and on a busy one each of thousands of calls waits for it. `LearnedScore` gives each
    core rows of its own instead, whatever is set here.
    """
    require()
    import torch

    torch.set_num_threads(check_integer(count, "threads", 1, 1024))


def __getattr__(name: str) -> Any:
    if name in _HOME:
        require()
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
