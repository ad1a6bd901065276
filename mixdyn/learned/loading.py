"""A user's own score model, named by a string: a checkpoint of ours or `module:name`."""

from __future__ import annotations

import importlib
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..score.adapters import as_model, is_torch_module
from ..score.conversions import Predicts
from ..score.protocol import ScoreModel, checked_eps, is_model, model_for, takes_two
from ..support.checks import Array
from ..support.errors import FileError, InputError, MixdynError
from ..support.files import clipped
from ..support.references import CHECKPOINT, current_folder_importable


@dataclass(frozen=True)
class SizedModel:
    """A score model together with the dimension it works in.

    name : how the user referred to it. Whatever it raises becomes one line that says where.
    """

    model: ScoreModel
    d: int
    name: str = "the model"

    @property
    def own_threads(self) -> bool:
        """Whether the model shares out its work itself."""
        return bool(getattr(self.model, "own_threads", False))

    def eps(self, x: Array, t: int) -> Array:
        """The model's noise prediction, checked; x itself stays out of its reach. Raises InputError
        for any exception of the model's own."""
        try:
            return checked_eps(self.model, x, t)
        except MixdynError:
            raise
        except Exception as error:  # it is foreign code: it may raise anything
            frame = traceback.extract_tb(error.__traceback__)[-1]
            raise InputError(
                f"{self.name} must evaluate x of shape {x.shape} at t = {t}",
                f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line "
                f"{frame.lineno})",
                "Correct the model, or what it is told about its input.",
            ) from error


def load_model(
    reference: str,
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    *,
    predicts: str | None = None,
    index_base: int | None = None,
    device: str = "cpu",
) -> SizedModel:
    """The model that `reference` names, for this mixture and schedule.

    A path that ends in .safetensors is a checkpoint of `mixdyn train`, checked against both.
    `module:name` is an object with eps(x, t) or a function f(x, index), which returns `predicts`
    ("eps" when None) and counts its first noisy time as `index_base` (1 when None); see `as_model`.
    The current folder is searched first, as `python -m` does. `device`, "cpu" or "cuda", is where a
    checkpoint computes.

    Raises InputError or FileError for anything else, MissingExtraError for a checkpoint without
    torch.
    """
    if reference.endswith(CHECKPOINT):
        from .. import learned

        if predicts is not None or index_base is not None:
            raise InputError(
                "a checkpoint says itself what it predicts",
                f"predicts {predicts!r}, index base {index_base!r} beside {reference}",
                "Leave them out.",
            )
        model = learned.LearnedScore.load(
            reference, mixture=mixture, schedule=schedule, device=device
        )
        return SizedModel(model, mixture.d, reference)
    found = _find(reference)
    try:
        ready, own_d = is_model(found), getattr(found, "d", None)
    except Exception as error:  # an attribute of foreign code may raise anything
        raise InputError(
            "--model names an object whose attribute eps can be read",
            clipped(f"{reference}: {type(error).__name__}: {error}"),
            "Correct the model.",
        ) from error
    if isinstance(own_d, int) and own_d != mixture.d:
        raise InputError(
            f"the model must have the mixture's dimension, {mixture.d}",
            f"{clipped(reference)} with d = {own_d}",
            "Name the mixture that the model is for.",
        )
    model = found if ready else _adapt(found, reference, schedule, predicts, index_base)
    return SizedModel(model_for(model, schedule), mixture.d, reference)


def own_problem(
    reference: str | None, *given: object
) -> tuple[GaussianMixture, NoiseSchedule] | None:
    """The problem that a checkpoint brings where a part that could be given, mixture or schedule,
    is None; else None."""
    if reference is None or not reference.endswith(CHECKPOINT):
        return None
    return trained_on(reference) if any(part is None for part in given) else None


def trained_on(reference: str) -> tuple[GaussianMixture, NoiseSchedule]:
    """The mixture and the schedule that a checkpoint was trained on.

    Raises FileError for a file that does not say, MissingExtraError without torch.
    """
    from .. import learned
    from .headers import read_about, refuse_images

    learned.require()  # nothing can be done with a checkpoint without
    about = read_about(reference)
    refuse_images(reference, about)
    if "mixture" not in about and "schedule" not in about:
        learned.load_checkpoint(reference)  # says what else the file holds
    try:
        mixture = GaussianMixture(**about["mixture"])
        return mixture, NoiseSchedule.from_parameters(about["schedule"])
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(
            "a checkpoint must say what mixture and schedule it was trained on",
            f"{clipped(reference)} ({clipped(error)})",
            "Give --mixture and --schedule, or fetch the file again.",
        ) from None


def _adapt(
    found: object,
    reference: str,
    schedule: NoiseSchedule,
    predicts: str | None,
    index_base: int | None,
) -> ScoreModel:
    called: Any = found.forward if is_torch_module(found) else found  # type: ignore[attr-defined]
    if not callable(found) or isinstance(found, type) or not takes_two(called):
        raise InputError(
            "--model names a function f(x, t) or an object with a method eps(x, t)",
            f"{reference}, a {type(found).__name__}",
            "Name such a function or an instance.",
        )
    # as_model refuses any other value with its own rule, whatever the types say.
    kind = cast("Predicts", "eps" if predicts is None else predicts)
    base = cast("Literal[0, 1]", 1 if index_base is None else index_base)
    return as_model(found, predicts=kind, schedule=schedule, index_base=base)


def _find(reference: str) -> object:
    module_name, colon, name = reference.partition(":")
    if not (module_name and colon and name) or module_name.startswith("."):
        raise InputError("--model is written module:name", clipped(repr(reference)), "Name both.")
    try:
        with current_folder_importable():
            module = importlib.import_module(module_name)
    except Exception as error:  # it is foreign code: it may raise anything
        raise InputError(
            f"the module of --model {clipped(reference)} must be importable",
            clipped(f"{type(error).__name__}: {error}"),
            "Run in the folder that holds the module, or install it.",
        ) from error
    if not hasattr(module, name):
        raise InputError(
            f"the module {module_name} must define {name}",
            f"no such name in {module_name}",
            "Check the spelling.",
        )
    return getattr(module, name)
