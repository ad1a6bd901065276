"""Training recipes: everything that decides a trained network besides its seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from ..support.checks import check_choice, check_integer, check_positive
from .architecture import Architecture, Kind

_R = TypeVar("_R")


def falling(start: float, end: float, step: int, steps: int) -> float:
    """A rate that falls linearly from start to end over the steps 0..steps - 1."""
    share = step / max(steps - 1, 1)
    return start + (end - start) * share


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    steps : optimiser steps. batch : samples a step. lr_start, lr_end : Adam's learning rate falls
    linearly from one to the other. points : size of the training set, drawn once from the mixture.
    kind, hidden, blocks, embedding : the network, see `Architecture`.

    Raises InputError for counts below one, rates that are not positive, an unknown kind.
    """

    name: str
    steps: int
    batch: int
    lr_start: float
    lr_end: float
    points: int = 100_000
    kind: Kind = "mlp"
    hidden: int = 64
    blocks: int = 3
    embedding: int = 64

    def __post_init__(self) -> None:
        for field in ("steps", "batch", "points"):
            check_integer(getattr(self, field), field, 1, 10**9)
        for field in ("lr_start", "lr_end"):
            check_positive(getattr(self, field), field)
        self.architecture(1)

    def architecture(self, d: int) -> Architecture:
        """The network for d-dimensional data."""
        return Architecture(self.kind, d, self.hidden, self.blocks, self.embedding)

    def learning_rate(self, step: int) -> float:
        """Adam's learning rate at optimiser step 0..steps - 1."""
        return falling(self.lr_start, self.lr_end, step, self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return dataclasses.asdict(self)


# "paper" is appendix F of arXiv 2605.06831 v1; "reduced" sees an eighth of its samples at a higher
# rate, which two CPU cores manage in minutes; "short" is stopped far from convergence on purpose.
# "interpolation" trains the network of arXiv 2406.09358 v2 (three residual blocks of width 128) as
# "paper" does; "interpolation-reduced" takes one CPU core two minutes in one dimension.
# "high-dimensional" (0.4 billion samples, 8 blocks of width 512) is a GPU's; its reduced form is of
# the same kind (Fourier features, log-SNR conditioning of every block), for one core.
RECIPES = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe("paper", 100_000, 10_000, 1e-4, 1e-5),
            Recipe("reduced", 30_000, 4_096, 1e-3, 1e-5),
            Recipe("short", 3_000, 4_096, 1e-3, 1e-5),
            Recipe("interpolation", 100_000, 10_000, 1e-4, 1e-5, hidden=128),
            Recipe("interpolation-reduced", 12_000, 2_048, 1e-3, 1e-5),
            Recipe(
                "high-dimensional",
                100_000,
                4_096,
                3e-4,
                1e-6,
                points=1_000_000,
                kind="fourier",
                hidden=512,
                blocks=8,
            ),
            Recipe(
                "high-dimensional-reduced",
                12_000,
                512,
                1e-3,
                1e-5,
                kind="fourier",
                hidden=128,
                blocks=3,
            ),
        )
    }
)


def recipe(name: str, among: Mapping[str, Recipe] = RECIPES, **changes: Any) -> Recipe:
    """The recipe called `name`, some of its values changed (it is then called "name, changed")."""
    return changed(among, name, **changes)


def changed(among: Mapping[str, _R], name: str, **changes: Any) -> _R:
    """The recipe called `name`, those of its values that are not None changed."""
    check_choice(name, among, "recipe", "Choose one of them.")
    chosen: Any = among[name]
    given = {key: value for key, value in changes.items() if value is not None}
    other = dataclasses.replace(chosen, **given)
    return chosen if other == chosen else dataclasses.replace(other, name=f"{name}, changed")
