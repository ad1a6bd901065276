"""What each command is asked: the fields of its request are its options."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mixdyn.samplers.options import samplers
from mixdyn.support.references import CHECKPOINT

from .inputs import given

if TYPE_CHECKING:
    SamplerName = str
else:
    SamplerName = Literal[tuple(samplers())]

USUAL = "ddim"
FilterName = Literal["none", "random", "hal"]  # mixdyn.recursion.Filter, without its imports

MIXTURE_HELP = (
    "A .toml or .npz file, or a preset: grid, rotated_grid, diamond, line, ring, two_modes, "
    "farthest_point:d=64 (options after a colon: grid:side=3,sigma=0.05; `mixdyn presets` lists "
    "them)."
)
_SCHEDULE_HELP = (
    "A .toml or .npz file, or linear, scaled_linear, sigmoid or cosine; options as in "
    "linear:T=500,beta_end=0.04 (with fewer steps raise beta_end: samples start from pure noise, "
    "alpha_bar_T near 0)."
)
_OWN = "that of the checkpoint"
MixtureText = Annotated[str, typer.Option("--mixture", help=MIXTURE_HELP, metavar="FILE|PRESET")]
OwnMixtureText = Annotated[
    str | None,
    typer.Option("--mixture", help=MIXTURE_HELP, metavar="FILE|PRESET", show_default=_OWN),
]
ScheduleText = Annotated[str, typer.Option("--schedule", help=_SCHEDULE_HELP, metavar="FILE|NAME")]
OwnScheduleText = Annotated[
    str | None,
    typer.Option(
        "--schedule", help=_SCHEDULE_HELP, metavar="FILE|NAME", show_default=f"{_OWN}, else linear"
    ),
]
TrainedMixtureText = Annotated[
    str | None,
    typer.Option("--mixture", help=MIXTURE_HELP, metavar="FILE|PRESET", show_default=False),
]
PredictsText = Annotated[
    str | None,
    typer.Option(
        help="What the function returns: eps, x0, v, score or velocity.", show_default="eps"
    ),
]
IndexBase = Annotated[
    int | None,
    typer.Option(
        help="Index the function gives to the first noisy time, 0 or 1.", show_default="1"
    ),
]
Seed = Annotated[int, typer.Option(help="Seed, 0 to 2^64 - 1.")]
NoSeed = Annotated[int, typer.Option(help="Taken by every command: draws nothing.")]
AsJsonFile = Annotated[Path | None, typer.Option(help="Write it there as JSON.")]

Seeds = Annotated[
    int | None,
    typer.Option(
        help="Train so many networks, from --seed on, each into NAME-SEED.safetensors.",
        show_default=False,
    ),
]
TrainWorkers = Annotated[
    int | None,
    typer.Option(help="Processes that train --seeds, a network each.", show_default="1"),
]
TrainScheduler = Annotated[
    str | None,
    typer.Option(
        help="Or a dask.distributed scheduler, whose workers share this folder.",
        metavar="ADDRESS",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Draw in shards, on so many processes, and count: samples are not kept, --out is the "
        ".json of the summary. An unfinished run goes on.",
        show_default=False,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="The same on the workers of a dask.distributed scheduler, such as "
        "tcp://10.0.0.1:8786.",
        metavar="ADDRESS",
    ),
]


class _AsksAModel:
    """A request with a model, which may be a file of ours."""

    model: str | None

    @property
    def is_checkpoint(self) -> bool:
        """Whether the model is a file of `mixdyn train`."""
        return self.model is not None and self.model.endswith(CHECKPOINT)


@dataclass(frozen=True, kw_only=True)
class SampleRequest(_AsksAModel):
    """One run of `mixdyn sample`, as the user asked for it.

    mixture and schedule: None for those that a checkpoint was trained on; without a checkpoint the
    schedule is then linear. options: of the sampler.
    """

    out: Annotated[Path, typer.Option(help="Samples, a .npz file; a .json summary beside it.")]
    mixture: OwnMixtureText = None
    n: Annotated[int, typer.Option("-n", help="Number of samples.")] = 10_000
    schedule: OwnScheduleText = None
    sampler: Annotated[SamplerName, typer.Option(help="The sampler.")] = USUAL
    options: dict[str, Any] = field(default_factory=dict)
    start: Annotated[int | None, typer.Option(help="Start at this time of the grid.")] = None
    model: Annotated[
        str | None,
        typer.Option(
            help="A score model in place of the exact one: a checkpoint (.safetensors), or a "
            "function f(x, t) or an object with eps(x, t).",
            metavar="FILE|MODULE:NAME",
        ),
    ] = None
    guidance: Annotated[
        float | None,
        typer.Option(
            help="Weight of the guidance towards --label: 0 for its modes alone, -1 for all.",
            metavar="W",
        ),
    ] = None
    label: Annotated[
        str | None,
        typer.Option(
            help="The class to guide towards: a mode of the mixture, or several, as in 0,3,7.",
            metavar="MODES",
        ),
    ] = None
    predicts: PredictsText = None
    index_base: IndexBase = None
    precision: Annotated[
        str | None,
        typer.Option(help="Of the exact score: double, or single, faster.", show_default="double"),
    ] = None
    device: Annotated[
        str | None,
        typer.Option(help="Where a checkpoint computes: cpu or cuda.", show_default="cpu"),
    ] = None
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of the kernels.", show_default="all")
    ] = None
    workers: Workers = None
    scheduler: Scheduler = None
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class PriceRequest(_AsksAModel):
    """One run of `mixdyn price`; mixture, schedule and model as in `SampleRequest`."""

    mixture: OwnMixtureText = None
    schedule: OwnScheduleText = None
    sampler: Annotated[
        str,
        typer.Option(
            help="A sampler of ours, or library:sampler; without noise the price is infinite.",
            metavar="NAME|SPEC",
        ),
    ] = "ddpm"
    options: dict[str, Any] = field(default_factory=dict)
    model: Annotated[
        str | None,
        typer.Option(
            help="A score model whose learning is priced too: a checkpoint (.safetensors), or a "
            "function f(x, t) or an object with eps(x, t).",
            metavar="FILE|MODULE:NAME",
        ),
    ] = None
    predicts: PredictsText = None
    index_base: IndexBase = None
    n: Annotated[
        int | None, typer.Option("-n", help="Draws of what is no integral.", show_default="2048")
    ] = None
    out: Annotated[Path | None, typer.Option(help="Write it there as JSON.")] = None
    seed: Seed = 0
    precision = device = None  # of sample alone


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What `mixdyn check` is asked; options: of DDIM."""

    mixture: Annotated[
        str, typer.Argument(help="A mixture file (.toml, .npz) or a preset.", metavar="FILE|PRESET")
    ]
    schedule: ScheduleText = "linear"
    kappa: Annotated[
        list[float] | None,
        typer.Option(help="Dominance margin; repeat for several.", show_default="2, 7, 20"),
    ] = None
    tau: Annotated[
        list[int] | None,
        typer.Option(
            help="Raw time from which saddles, traps and budgets are measured; repeat for several.",
            show_default="where neighbours separate at kappa = 7",
        ),
    ] = None
    pairs: Annotated[int, typer.Option(help="How many of the nearest pairs to list.")] = 5
    samples: Annotated[
        int | None,
        typer.Option(help="Trajectories for tau_1.", show_default="512, or as fit 64 MiB"),
    ] = None
    certify: Annotated[
        bool,
        typer.Option("--certify", help="Prove, over all places and levels, what claims say of it."),
    ] = False
    budget: Annotated[
        float | None,
        typer.Option(
            help="Seconds of proving, a claim.", metavar="SECONDS", show_default="as in verify"
        ),
    ] = None
    seed: Seed = 0
    out: AsJsonFile = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """One run of `mixdyn train`."""

    mixture: TrainedMixtureText = None
    images: Annotated[
        str | None,
        typer.Option(
            help="Images in place of a mixture: triangles, shapes, digits (options as in "
            "shapes:n=2000,side=64), an .npz or IDX file, a folder of .png.",
            metavar="NAME|FILE",
            show_default=False,
        ),
    ] = None
    out: Annotated[Path, typer.Option(help="The checkpoint, a .safetensors file.")]
    schedule: ScheduleText = "linear"
    recipe: Annotated[
        str | None,
        typer.Option(
            help="paper, reduced, short, high-dimensional or high-dimensional-reduced; of images "
            "unet, unet-short, unet-small.",
            show_default="reduced; of images unet",
        ),
    ] = None
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, if not the recipe's.")] = None
    batch: Annotated[int | None, typer.Option(help="Samples a step, if not the recipe's.")] = None
    points: Annotated[
        int | None, typer.Option(help="Size of the training set, if not the recipe's.")
    ] = None
    hidden: Annotated[int | None, typer.Option(help="Width, if not the recipe's.")] = None
    seed: Seed = 0
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu"
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", show_default="torch's choice")
    ] = None
    seeds: Seeds = None
    workers: TrainWorkers = None
    scheduler: TrainScheduler = None
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train over what is there, finished or not.")
    ] = False

    @property
    def changes(self) -> dict[str, Any]:
        """The values of the recipe that the user set."""
        return given({key: getattr(self, key) for key in ("steps", "batch", "points", "hidden")})

    @property
    def target(self) -> dict[str, str]:
        """What is trained on, as an option and its value."""
        return given({"mixture": self.mixture, "images": self.images})

    def require(self) -> None:
        """What training needs is installed, and torch takes the threads it was given."""
        from mixdyn import learned

        learned.require()
        if self.threads is not None:
            learned.use_threads(self.threads)

    def command(self, name: str, **own: object) -> str:
        """What to type to train the same again; `own` are the options of this command alone."""
        first = given({**self.target, "schedule": self.schedule, "recipe": self.recipe})
        last = {"seed": self.seed, "device": self.device, "out": self.out.name}
        options = {**first, **self.changes, **own, **last}
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        return shlex.join(["mixdyn", name, *words])


@dataclass(frozen=True, kw_only=True)
class RecurseRequest(TrainRequest):
    """One run of `mixdyn recurse`, which goes on with what is there."""

    mixture: MixtureText
    images: None = field(default=None, init=False)
    out: Annotated[Path, typer.Option(help="A folder of its own; an unfinished one goes on.")]
    schedule: ScheduleText = "linear:T=500,beta_start=0.001,beta_end=0.2"
    recipe: Annotated[str, typer.Option(help="reduced or full.")] = "reduced"
    points: Annotated[
        int | None, typer.Option(help="Samples a generation, if not the recipe's.")
    ] = None
    fresh: bool = field(default=False, init=False)
    seeds: None = field(default=None, init=False)
    workers: None = field(default=None, init=False)
    scheduler: None = field(default=None, init=False)
    filter: Annotated[
        FilterName, typer.Option(help="What is dropped before the next training.")
    ] = "none"
    generations: Annotated[int, typer.Option(help="How many networks to train in turn.")] = 10
    discard: Annotated[float, typer.Option(help="Share that random and hal drop.")] = 0.1
    window: Annotated[int, typer.Option(help="Last steps over which Hal is taken.")] = 4


@dataclass(frozen=True)
class PresetsRequest:
    """What `mixdyn presets` is asked."""

    seed: NoSeed = 0
    out: AsJsonFile = None


@dataclass(frozen=True)
class WarmupRequest:
    """What `mixdyn warmup` is asked."""

    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove what is kept, stale or damaged, and start over.")
    ] = False
    seed: NoSeed = 0
    out: AsJsonFile = None
