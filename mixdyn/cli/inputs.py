"""What the command line accepts, turned into the objects of the library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.named import read_mixture, read_schedule
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.samplers.best_grid import PRICE, best_grid
from mixdyn.samplers.ddim import DDIM
from mixdyn.samplers.options import Offer, Options, Sampler, samplers
from mixdyn.support.errors import InputError
from mixdyn.support.files import clipped

if TYPE_CHECKING:
    from mixdyn.learned.loading import SizedModel
    from mixdyn.score import ExactScore, GuidedScore, Precision

    from .requests import PriceRequest, SampleRequest


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were not left out: those that are not None."""
    return {key: value for key, value in options.items() if value is not None}


# -- samplers ------------------------------------------------------------------------------------


def options_of(kind: type[Options]) -> dict[str, Offer]:
    """What a sampler offers, by option; where it takes a spacing, the times themselves too."""
    found: dict[str, Offer] = {}
    for name, offer in kind.offers().items():
        found[name] = offer
        if name == "spacing":
            found["times"] = Offer(str, "The times themselves, such as 1000,500,100,1,0.")
    return found


def build_sampler(
    name: str,
    options: Mapping[str, Any],
    schedule: NoiseSchedule,
    mixture: GaussianMixture | None = None,
) -> Sampler:
    """The named sampler. An option that it does not have is an error, not ignored; None is one that
    was left out. mixture : for the spacing "price".

    `exact` takes one exact step unless steps or spacing name a grid.
    """
    kind = samplers()[name]
    known, chosen = options_of(kind), given(options)
    foreign = sorted(set(chosen) - set(known))
    if foreign:
        accepted = ", ".join(f"--{key}" for key in sorted(known)) or "no such option"
        raise InputError(
            f"--{foreign[0]} does not apply to the sampler {name}, which takes {accepted}",
            f"--{foreign[0]} {chosen[foreign[0]]}",
            "Leave it out or choose another sampler.",
        )
    return kind.chosen(grid_options(chosen, schedule, mixture), schedule)


def grid_options(
    options: Mapping[str, Any], schedule: NoiseSchedule, mixture: GaussianMixture | None = None
) -> dict[str, Any]:
    """The options that were given, their times as a grid in place of the spacing; likewise the grid
    of the least price on a mixture."""
    chosen = given(options)
    if chosen.get("spacing") == "full" and "steps" in chosen:
        raise InputError(
            "--spacing full takes every time",
            f"--steps {chosen['steps']} beside it",
            "Leave one of them out.",
        )
    times = chosen.pop("times", None)
    if times is None:
        if chosen.get("spacing") == PRICE and mixture is not None:
            steps = chosen.get("steps", DDIM.offers()["steps"].default)
            chosen["spacing"] = best_grid(mixture, schedule, steps)
        return chosen
    foreign = [key for key in ("steps", "spacing") if key in chosen]
    if foreign:
        raise InputError(
            "--times lists the steps itself",
            f"--{foreign[0]} {chosen[foreign[0]]} beside it",
            f"Leave --{foreign[0]} out.",
        )
    return {**chosen, "spacing": read_times(times, schedule)}


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


def read_problem(request: SampleRequest | PriceRequest) -> tuple[GaussianMixture, NoiseSchedule]:
    """The mixture and the schedule that the options name; what is left out is that of the
    checkpoint, where there is one, else the linear schedule. A mixture must come from somewhere."""
    from mixdyn.learned.loading import own_problem

    own = own_problem(request.model, request.mixture, request.schedule)
    if request.mixture is not None:
        problem = read_mixture(request.mixture)
    elif own is not None:
        problem = own[0]
    else:
        raise InputError(
            "--mixture names what to sample from; a checkpoint brings its own",
            "neither --mixture nor a checkpoint as --model",
            "Write for example --mixture grid.",
        )
    if request.schedule is not None:
        return problem, read_schedule(request.schedule)
    return problem, NoiseSchedule.linear() if own is None else own[1]


def build_model(
    request: SampleRequest | PriceRequest, mixture: GaussianMixture, schedule: NoiseSchedule
) -> GaussianMixture | ExactScore | SizedModel:
    """The mixture itself for the exact score, or the model that the options refer to."""
    from mixdyn.learned.loading import load_model

    if request.model is None:
        if request.predicts is not None or request.index_base is not None:
            raise InputError(
                "--predicts and --index-base describe the function that --model names",
                "no --model",
                "Leave them out or name a model.",
            )
        _refuse_device(request, "the exact score, which runs on the CPU")
        if request.precision is None:
            return mixture
        from mixdyn.score import ExactScore

        return ExactScore(mixture, schedule, precision=cast("Precision", request.precision))
    if request.precision is not None:
        raise InputError(
            "--precision is that of the exact score",
            f"--precision {request.precision} beside --model {request.model}",
            "Leave it out; a model computes in its own precision.",
        )
    if not request.is_checkpoint:
        _refuse_device(request, f"{request.model}, which chooses its own")
    _refuse_mixture_only(request, f"--model {request.model}", "Use ddpm for a model.")
    return load_model(
        request.model,
        mixture,
        schedule,
        predicts=request.predicts,
        index_base=request.index_base,
        device=request.device or "cpu",
    )


def build_score(
    request: SampleRequest, mixture: GaussianMixture, schedule: NoiseSchedule
) -> GaussianMixture | ExactScore | GuidedScore | SizedModel:
    """What `build_model` does, or the exact score of the mixture guided as the options say."""
    if request.guidance is None and request.label is None:
        return build_model(request, mixture, schedule)
    from mixdyn.score import GuidedScore

    if request.guidance is None or request.label is None:
        alone = "--label" if request.guidance is None else "--guidance"
        raise InputError(
            "--guidance is a weight towards the class that --label names",
            f"{alone} without the other",
            "Write for example --guidance 2 --label 0.",
        )
    told = ("model", "precision", "predicts", "index_base")
    for name, value in given({name: getattr(request, name) for name in told}).items():
        raise InputError(
            "--guidance is of the exact scores of the mixture and of a class of its modes",
            f"--{name.replace('_', '-')} {value} beside it",
            "Leave it out; two networks are guided in Python, by GuidedScore.between.",
        )
    _refuse_device(request, "the exact score, which runs on the CPU")
    _refuse_mixture_only(request, f"--guidance {request.guidance}", "Use ddpm with guidance.")
    return GuidedScore(mixture, schedule, read_modes(request.label), request.guidance)


def read_modes(text: str) -> list[int]:
    """Modes written as 0 or 0,3,7."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise InputError(
            "--label is a mode or a list of modes, whole numbers separated by commas",
            clipped(repr(text)),
            "Write for example --label 0,3.",
        ) from None


def _refuse_mixture_only(request: SampleRequest | PriceRequest, what: str, remedy: str) -> None:
    kind = samplers().get(request.sampler)
    if kind is not None and (why := kind.mixture_only) is not None:
        raise InputError(f"the sampler {request.sampler} {why}", what, remedy)


def _refuse_device(request: SampleRequest | PriceRequest, what: str) -> None:
    if request.device is not None:
        raise InputError(
            "--device places a checkpoint", f"--device {request.device} for {what}", "Leave it out."
        )
