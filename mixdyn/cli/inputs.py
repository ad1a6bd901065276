"""What the command line accepts, turned into the objects of the library."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mixdyn import presets
from mixdyn.errors import InputError
from mixdyn.files import FORMATS, clipped
from mixdyn.mixture import GaussianMixture
from mixdyn.plans import Spacing
from mixdyn.schedule import NoiseSchedule

if TYPE_CHECKING:
    from mixdyn.models import SizedModel
    from mixdyn.samplers import Sampler

_T = TypeVar("_T")

MIXTURES: Mapping[str, Callable[..., GaussianMixture]] = {
    "grid": presets.grid,
    "rotated_grid": partial(presets.grid, rotate=math.pi / 4),
    "diamond": presets.diamond,
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
    """A schedule file, or `linear` or `cosine` with options such as `linear:T=9,beta_end=0.9`."""
    return _read(text, "schedule", SCHEDULES, NoiseSchedule.load)


def _read(
    text: str, what: str, makers: Mapping[str, Callable[..., _T]], load: Callable[[str], _T]
) -> _T:
    name, _, options = text.partition(":")
    if name in makers:
        return makers[name](**_parse_options(name, options, makers[name]))
    if Path(text).suffix.lower() not in FORMATS and not _exists(text):
        raise InputError(
            f"a {what} is a .toml or .npz file or one of {', '.join(makers)}",
            clipped(repr(text)),
            "Check the name; options follow a colon, as in NAME:key=value,key=value.",
        )
    return load(text)


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


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

SamplerName = Literal["ddim", "ddpm", "hybrid", "exact", "adaptive", "ode"]
_APPLIES: Mapping[SamplerName, frozenset[str]] = {
    "ddim": frozenset({"steps", "spacing", "eta"}),
    "ddpm": frozenset(),
    "hybrid": frozenset({"steps", "spacing", "eta", "z"}),
    "exact": frozenset({"steps", "spacing"}),
    "adaptive": frozenset({"steps"}),
    "ode": frozenset({"steps", "spacing"}),
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
    from mixdyn.adaptive import AdaptiveNoise
    from mixdyn.flow import ProbabilityFlow
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
    if name == "adaptive":
        return AdaptiveNoise(**given)
    if name == "ode":
        return ProbabilityFlow(**given)
    if name == "exact":
        return ExactReverse(DDIM(**given).grid(schedule) if given else None)
    z = {"z": given.pop("z")} if "z" in given else {}
    base = DDIM(**given)
    return Hybrid(base=base, **z) if name == "hybrid" else base


# -- models --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelOptions:
    """A score model other than the exact one, and how to read what it returns.

    reference, predicts and index_base are those of `models.load_model`.
    """

    reference: str | None = None
    predicts: str | None = None
    index_base: int | None = None

    @property
    def is_checkpoint(self) -> bool:
        """Whether the reference is a file of `mixdyn train`."""
        from mixdyn.references import CHECKPOINT

        return self.reference is not None and self.reference.endswith(CHECKPOINT)


def build_model(
    options: ModelOptions, sampler: SamplerName, mixture: GaussianMixture, schedule: NoiseSchedule
) -> GaussianMixture | SizedModel:
    """The mixture itself for the exact score, or the model that the options refer to."""
    from mixdyn.models import load_model

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
    return load_model(
        options.reference,
        mixture,
        schedule,
        predicts=options.predicts,
        index_base=options.index_base,
    )
