"""A user's own score model, named by a string: a checkpoint of ours or `module:name`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

from .errors import InputError
from .mixture import GaussianMixture
from .references import CHECKPOINT, current_folder_importable
from .schedule import NoiseSchedule
from .score import Predicts, ScoreModel, as_model, checked_eps
from .validation import Array


@dataclass(frozen=True)
class SizedModel:
    """A score model together with the dimension it works in."""

    model: ScoreModel
    d: int

    def eps(self, x: Array, t: int) -> Array:
        """The model's noise prediction, checked; x itself stays out of its reach."""
        return checked_eps(self.model, x, t)


def load_model(
    reference: str,
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    *,
    predicts: str | None = None,
    index_base: int | None = None,
) -> SizedModel:
    """The model that `reference` names, for this mixture and schedule.

    A path that ends in .safetensors is a checkpoint of `mixdyn train`, checked against both.
    `module:name` is an object with eps(x, t) or a function f(x, index), which returns `predicts`
    ("eps" when None) and counts its first noisy time as `index_base` (1 when None); see `as_model`.
    The current folder is searched first, as `python -m` does.

    Raises InputError or FileError for anything else, MissingExtraError for a checkpoint without
    torch.
    """
    if reference.endswith(CHECKPOINT):
        from . import learned

        if predicts is not None or index_base is not None:
            raise InputError(
                "a checkpoint says itself what it predicts",
                f"predicts {predicts!r}, index base {index_base!r} beside {reference}",
                "Leave them out.",
            )
        model = learned.LearnedScore.load(reference, mixture=mixture, schedule=schedule)
        return SizedModel(model, mixture.d)
    found = _find(reference)
    if isinstance(found, ScoreModel) and not isinstance(found, type):
        return SizedModel(found, mixture.d)
    return SizedModel(_adapt(found, reference, schedule, predicts, index_base), mixture.d)


def _adapt(
    found: object,
    reference: str,
    schedule: NoiseSchedule,
    predicts: str | None,
    index_base: int | None,
) -> ScoreModel:

    if not callable(found) or isinstance(found, type) or not _takes_two(found):
        raise InputError(
            "--model names a function f(x, t) or an object with a method eps(x, t)",
            f"{reference}, a {type(found).__name__}",
            "Name such a function or an instance.",
        )
    # as_model refuses any other value with its own rule, whatever the types say.
    kind = cast("Predicts", "eps" if predicts is None else predicts)
    base = cast("Literal[0, 1]", 1 if index_base is None else index_base)
    return as_model(found, predicts=kind, schedule=schedule, index_base=base)


def _takes_two(function: Callable[..., object]) -> bool:
    """Whether f(x, t) is a possible call; a function that hides its signature may be."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return True
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


def _find(reference: str) -> object:
    module_name, colon, name = reference.partition(":")
    if not (module_name and colon and name) or module_name.startswith("."):
        raise InputError("--model is written module:name", repr(reference), "Name both.")
    try:
        with current_folder_importable():
            module = importlib.import_module(module_name)
    except (ImportError, SyntaxError) as error:
        raise InputError(
            f"the module of --model {reference} must be importable",
            f"{type(error).__name__}: {error}",
            "Run in the folder that holds the module, or install it.",
        ) from None
    if not hasattr(module, name):
        raise InputError(
            f"the module {module_name} must define {name}",
            f"no such name in {module_name}",
            "Check the spelling.",
        )
    return getattr(module, name)
