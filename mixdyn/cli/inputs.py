"""What the command line accepts, turned into the objects of the library."""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from mixdyn import presets
from mixdyn.errors import InputError
from mixdyn.files import FORMATS
from mixdyn.mixture import GaussianMixture
from mixdyn.plans import Spacing
from mixdyn.schedule import NoiseSchedule
from mixdyn.validation import Array

if TYPE_CHECKING:
    from mixdyn.samplers import Sampler
    from mixdyn.score import Predicts, ScoreModel

_T = TypeVar("_T")

MIXTURES: Mapping[str, Callable[..., GaussianMixture]] = {
    "grid": presets.grid,
    "diamond": partial(presets.grid, rotate=math.pi / 4),
    "line": presets.line,
    "ring": presets.ring,
    "two_modes": presets.two_modes,
    "farthest_point": presets.farthest_point,
}
SCHEDULES: Mapping[str, Callable[..., NoiseSchedule]] = {
    "linear": NoiseSchedule.linear,
    "cosine": NoiseSchedule.cosine,
}


def read_mixture(text: str) -> GaussianMixture:
    """A mixture file, or a preset such as `grid` or `farthest_point:d=64,seed=1`."""
    return _read(text, "mixture", MIXTURES, GaussianMixture.load)


def read_schedule(text: str) -> NoiseSchedule:
    """A schedule file, or `linear` or `cosine` with options such as `linear:T=500`."""
    return _read(text, "schedule", SCHEDULES, NoiseSchedule.load)


def _read(
    text: str, what: str, makers: Mapping[str, Callable[..., _T]], load: Callable[[str], _T]
) -> _T:
    name, _, options = text.partition(":")
    if name in makers:
        return makers[name](**_parse_options(name, options, makers[name]))
    if Path(text).suffix.lower() not in FORMATS and not Path(text).exists():
        raise InputError(
            f"a {what} is a .toml or .npz file or one of {', '.join(makers)}",
            repr(text),
            "Check the name; options follow a colon, as in NAME:key=value,key=value.",
        )
    return load(text)


def _parse_options(name: str, text: str, maker: Callable[..., object]) -> dict[str, Any]:
    parameters = inspect.signature(maker).parameters
    values: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if key not in parameters or not equals or key in values:
            raise InputError(
                f"{name} takes the options {', '.join(parameters)}, each once, as key=value",
                repr(item),
                "Correct the option.",
            )
        values[key] = _literal(name, key, value)
    missing = [
        key
        for key, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and key not in values
    ]
    if missing:
        raise InputError(
            f"{name} needs the option {missing[0]}", "none", f"Write {name}:{missing[0]}=VALUE."
        )
    return values


def _literal(name: str, key: str, text: str) -> int | float | bool:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    if not isinstance(value, bool | int | float):
        raise InputError(
            f"the option {key} of {name} is a number, True or False", repr(text), "Correct it."
        )
    return value


# -- samplers ------------------------------------------------------------------------------------

SamplerName = Literal["ddim", "ddpm", "hybrid", "exact"]
_APPLIES: Mapping[SamplerName, frozenset[str]] = {
    "ddim": frozenset({"steps", "spacing", "eta"}),
    "ddpm": frozenset(),
    "hybrid": frozenset({"steps", "spacing", "eta", "z"}),
    "exact": frozenset({"steps", "spacing"}),
}


@dataclass(frozen=True)
class SamplerOptions:
    """The options that shape a sampler; None where the user left one out."""

    steps: int | None = None
    spacing: Spacing | None = None
    eta: float | None = None
    z: int | None = None

    def given(self) -> dict[str, Any]:
        """The options that the user set."""
        return {key: value for key, value in vars(self).items() if value is not None}


def build_sampler(name: SamplerName, options: SamplerOptions, schedule: NoiseSchedule) -> Sampler:
    """The named sampler. An option that it does not have is an error, not ignored.

    `exact` takes one exact step unless steps or spacing name a grid.
    """
    from mixdyn.samplers import DDIM, DDPM, ExactReverse, Hybrid

    given = options.given()
    foreign = sorted(set(given) - _APPLIES[name])
    if foreign:
        accepted = ", ".join(f"--{key}" for key in sorted(_APPLIES[name])) or "no such option"
        raise InputError(
            f"--{foreign[0]} does not apply to the sampler {name}, which takes {accepted}",
            f"--{foreign[0]} {given[foreign[0]]}",
            "Leave it out or choose another sampler.",
        )
    if name == "ddpm":
        return DDPM()
    if name == "exact":
        return ExactReverse(DDIM(**given).grid(schedule) if given else None)
    z = {"z": given.pop("z")} if "z" in given else {}
    base = DDIM(**given)
    return Hybrid(base=base, **z) if name == "hybrid" else base


# -- models --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelOptions:
    """A score model other than the exact one: `module:name` and how to read what it returns.

    predicts ("eps" when None) and index_base (1 when None) describe a function; see `as_model`.
    """

    reference: str | None = None
    predicts: str | None = None
    index_base: int | None = None


@dataclass(frozen=True)
class SizedModel:
    """A score model together with the dimension it works in."""

    model: ScoreModel
    d: int

    def eps(self, x: Array, t: int) -> Array:
        """The model's noise prediction."""
        return self.model.eps(x, t)


def build_model(
    options: ModelOptions, sampler: SamplerName, mixture: GaussianMixture, schedule: NoiseSchedule
) -> GaussianMixture | SizedModel:
    """The mixture itself for the exact score, or the model that `module:name` refers to.

    That is an object with eps(x, t) or a function f(x, index). The current folder is searched
    first, as `python -m` does.
    """
    from mixdyn.score import ScoreModel

    if options.reference is None:
        if options.predicts is not None or options.index_base is not None:
            raise InputError(
                "--predicts and --index-base describe the function that --model names",
                "no --model",
                "Leave them out or name a model.",
            )
        return mixture
    if sampler == "exact":
        raise InputError(
            "the sampler exact draws from the mixture's own reverse law",
            f"--model {options.reference}",
            "Use ddpm for a model.",
        )
    found = _find(options.reference)
    if isinstance(found, ScoreModel) and not isinstance(found, type):
        return SizedModel(found, mixture.d)
    return SizedModel(_adapt(found, options, schedule), mixture.d)


def _adapt(found: object, options: ModelOptions, schedule: NoiseSchedule) -> ScoreModel:
    from mixdyn.score import as_model

    if not callable(found) or isinstance(found, type) or not _takes_two(found):
        raise InputError(
            "--model names a function f(x, t) or an object with a method eps(x, t)",
            f"{options.reference}, a {type(found).__name__}",
            "Name such a function or an instance.",
        )
    # as_model refuses any other value with its own rule, whatever the types say.
    predicts = cast("Predicts", "eps" if options.predicts is None else options.predicts)
    base = cast("Literal[0, 1]", 1 if options.index_base is None else options.index_base)
    return as_model(found, predicts=predicts, schedule=schedule, index_base=base)


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
        with _current_folder_importable():
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


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
