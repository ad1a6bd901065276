"""What the command line accepts, turned into the objects of the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from mixdyn.plans import Spacing
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.named import read_mixture, read_schedule
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.support.errors import InputError
from mixdyn.support.files import clipped

if TYPE_CHECKING:
    from mixdyn.learned.loading import SizedModel
    from mixdyn.samplers import Sampler
    from mixdyn.score import ExactScore, Precision

# -- samplers ------------------------------------------------------------------------------------

SamplerName = Literal["ddim", "ddpm", "hybrid", "exact", "adaptive", "ode"]
_APPLIES: Mapping[SamplerName, frozenset[str]] = {
    "ddim": frozenset({"steps", "spacing", "times", "eta"}),
    "ddpm": frozenset(),
    "hybrid": frozenset({"steps", "spacing", "times", "eta", "z"}),
    "exact": frozenset({"steps", "spacing", "times"}),
    "adaptive": frozenset({"steps"}),
    "ode": frozenset({"steps", "spacing", "times"}),
}


@dataclass(frozen=True)
class SamplerOptions:
    """The options that shape a sampler; None where the user left one out."""

    steps: int | None = None
    spacing: Spacing | None = None
    eta: float | None = None
    z: int | None = None
    times: str | None = None

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
    given = ddim_options(options, schedule)
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


def ddim_options(options: SamplerOptions, schedule: NoiseSchedule) -> dict[str, Any]:
    """The options that a DDIM sampler takes as they are, its times as a grid."""
    given = options.given()
    if given.get("spacing") == "full" and "steps" in given:
        raise InputError(
            "--spacing full takes every time",
            f"--steps {given['steps']} beside it",
            "Leave one of them out.",
        )
    return _with_times(given, schedule) if "times" in given else given


def _with_times(given: dict[str, Any], schedule: NoiseSchedule) -> dict[str, Any]:
    """The options with the times that were written out as the spacing."""
    foreign = [key for key in ("steps", "spacing") if key in given]
    if foreign:
        raise InputError(
            "--times lists the steps itself",
            f"--{foreign[0]} {given[foreign[0]]} beside it",
            f"Leave --{foreign[0]} out.",
        )
    rest = {key: value for key, value in given.items() if key != "times"}
    return {**rest, "spacing": read_times(given["times"], schedule)}


def read_times(text: str, schedule: NoiseSchedule) -> TimeGrid:
    """The grid of times written as 1000,500,1 (the final 0 may be left out)."""
    try:
        times = [int(word) for word in text.split(",")]
    except ValueError:
        raise InputError(
            "--times is a decreasing list of whole numbers, separated by commas",
            clipped(repr(text)),
            "Write for example --times 1000,500,100,1,0.",
        ) from None
    return TimeGrid(times if times[-1] == 0 else [*times, 0], schedule.T)


# -- models --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelOptions:
    """A score model other than the exact one, and how to read what it returns.

    reference, predicts, index_base and device are those of `models.load_model`; precision, of the
    exact score alone, that of `ExactScore`.
    """

    reference: str | None = None
    predicts: str | None = None
    index_base: int | None = None
    precision: str | None = None
    device: str | None = None

    @property
    def is_checkpoint(self) -> bool:
        """Whether the reference is a file of `mixdyn train`."""
        from mixdyn.support.references import CHECKPOINT

        return self.reference is not None and self.reference.endswith(CHECKPOINT)


def read_problem(
    mixture: str | None, schedule: str | None, model: ModelOptions
) -> tuple[GaussianMixture, NoiseSchedule]:
    """The mixture and the schedule that the options name; what is left out is that of the
    checkpoint, where there is one, else the linear schedule. A mixture must come from somewhere."""
    from mixdyn.learned.loading import own_problem

    own = own_problem(model.reference, mixture, schedule)
    if mixture is not None:
        problem = read_mixture(mixture)
    elif own is not None:
        problem = own[0]
    else:
        raise InputError(
            "--mixture names what to sample from; a checkpoint brings its own",
            "neither --mixture nor a checkpoint as --model",
            "Write for example --mixture grid.",
        )
    if schedule is not None:
        return problem, read_schedule(schedule)
    return problem, NoiseSchedule.linear() if own is None else own[1]


def build_model(
    options: ModelOptions, sampler: SamplerName, mixture: GaussianMixture, schedule: NoiseSchedule
) -> GaussianMixture | ExactScore | SizedModel:
    """The mixture itself for the exact score, or the model that the options refer to."""
    from mixdyn.learned.loading import load_model

    if options.reference is None:
        if options.predicts is not None or options.index_base is not None:
            raise InputError(
                "--predicts and --index-base describe the function that --model names",
                "no --model",
                "Leave them out or name a model.",
            )
        _refuse_device(options, "the exact score, which runs on the CPU")
        return mixture if options.precision is None else _exact(options, mixture, schedule)
    if options.precision is not None:
        raise InputError(
            "--precision is that of the exact score",
            f"--precision {options.precision} beside --model {options.reference}",
            "Leave it out; a model computes in its own precision.",
        )
    if not options.is_checkpoint:
        _refuse_device(options, f"{options.reference}, which chooses its own")
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
        device=options.device or "cpu",
    )


def _exact(options: ModelOptions, mixture: GaussianMixture, schedule: NoiseSchedule) -> ExactScore:
    from mixdyn.score import ExactScore

    return ExactScore(mixture, schedule, precision=cast("Precision", options.precision))


def _refuse_device(options: ModelOptions, what: str) -> None:
    if options.device is not None:
        raise InputError(
            "--device places a checkpoint", f"--device {options.device} for {what}", "Leave it out."
        )
