"""The typer application: options, errors, exit codes. The work is in the modules beside it.

Exit codes: 0 done, 2 bad input (one line on stderr: rule, value, remedy), 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mixdyn import __version__
from mixdyn.samplers.options import samplers
from mixdyn.support.errors import MixdynError

from .options import with_options_of

if TYPE_CHECKING:
    from mixdyn.learned.training import Report

    SamplerName = str
else:
    SamplerName = Literal[tuple(samplers())]

app = typer.Typer(
    name="mixdyn",
    help="Diffusion samplers on Gaussian mixtures, where every score is exact.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

FilterName = Literal["none", "random", "hal"]  # mixdyn.recursion.Filter, without its imports
_USUAL = "ddim"
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


_MIXTURE_HELP = (
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
MixtureText = Annotated[str, typer.Option("--mixture", help=_MIXTURE_HELP, metavar="FILE|PRESET")]
OwnMixtureText = Annotated[
    str | None,
    typer.Option("--mixture", help=_MIXTURE_HELP, metavar="FILE|PRESET", show_default=_OWN),
]
ScheduleText = Annotated[str, typer.Option("--schedule", help=_SCHEDULE_HELP, metavar="FILE|NAME")]
OwnScheduleText = Annotated[
    str | None,
    typer.Option(
        "--schedule", help=_SCHEDULE_HELP, metavar="FILE|NAME", show_default=f"{_OWN}, else linear"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print strict JSON instead of tables.")]
Seed = Annotated[int, typer.Option(help="Seed, 0 to 2^64 - 1.")]
Steps = Annotated[int | None, typer.Option(help="Optimiser steps, if not the recipe's.")]
Batch = Annotated[int | None, typer.Option(help="Samples a step, if not the recipe's.")]
Hidden = Annotated[int | None, typer.Option(help="Width, if not the recipe's.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
TorchThreads = Annotated[
    int | None, typer.Option(help="CPU threads.", show_default="torch's choice")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mixdyn {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Diffusion samplers on Gaussian mixtures, where every score is exact."""


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Deliberate errors become one line and exit code 2, an interrupt exit code 130."""
    try:
        yield
    except MixdynError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(_INTERRUPTED) from None


@contextmanager
def _progress(label: str) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr where that is a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)

        def show(done: int, total: int, text: str = label) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield show


@app.command("sample")
@with_options_of(sorted(samplers().values(), key=lambda kind: kind.name != _USUAL))
def sample_command(
    *,
    out: Annotated[Path, typer.Option(help="Samples, a .npz file; a .json summary beside it.")],
    mixture: OwnMixtureText = None,
    n: Annotated[int, typer.Option("-n", help="Number of samples.")] = 10_000,
    schedule: OwnScheduleText = None,
    sampler: Annotated[SamplerName, typer.Option(help="The sampler.")] = _USUAL,
    start: Annotated[int | None, typer.Option(help="Start at this time of the grid.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A score model in place of the exact one: a checkpoint (.safetensors), or a "
            "function f(x, t) or an object with eps(x, t).",
            metavar="FILE|MODULE:NAME",
        ),
    ] = None,
    predicts: Annotated[
        str | None,
        typer.Option(help="What the function returns: eps, x0, v, score.", show_default="eps"),
    ] = None,
    index_base: Annotated[
        int | None,
        typer.Option(
            help="Index the function gives to the first noisy time, 0 or 1.", show_default="1"
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Of the exact score: double, or single, faster.", show_default="double"),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Where a checkpoint computes: cpu or cuda.", show_default="cpu"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of the kernels.", show_default="all")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Draw samples, classify them and write both: OUT.npz and OUT.json."""
    with _exit_codes():
        from .inputs import ModelOptions
        from .render import print_summary, show
        from .sampling import SampleRequest, run_sample

        request = SampleRequest(
            mixture=mixture,
            schedule=schedule,
            sampler=sampler,
            options=options,
            model=ModelOptions(model, predicts, index_base, precision, device),
            n=n,
            seed=seed,
            start=start,
            out=out,
            threads=threads,
        )
        with _progress("sampling") as progress:
            summary = run_sample(request, progress)
        if summary.start_error.words:
            typer.echo(f"warning: {summary.start_error.words}", err=True)
        show(print_summary, summary, as_json)


@app.command("check")
@with_options_of([samplers()[_USUAL]], without={"eta"})
def check_command(
    *,
    mixture: Annotated[
        str, typer.Argument(help="A mixture file (.toml, .npz) or a preset.", metavar="FILE|PRESET")
    ],
    schedule: ScheduleText = "linear",
    kappa: Annotated[
        list[float] | None,
        typer.Option(help="Dominance margin; repeat for several.", show_default="2, 7, 20"),
    ] = None,
    tau: Annotated[
        list[int] | None,
        typer.Option(
            help="Raw time from which saddles, traps and budgets are measured; repeat for several.",
            show_default="where neighbours separate at kappa = 7",
        ),
    ] = None,
    pairs: Annotated[int, typer.Option(help="How many of the nearest pairs to list.")] = 5,
    samples: Annotated[
        int | None,
        typer.Option(help="Trajectories for tau_1.", show_default="512, or as fit 64 MiB"),
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Diagnose a mixture and a schedule: what will samplers do between its modes, and why."""
    with _exit_codes():
        from mixdyn.problem.named import read_mixture, read_schedule

        from .diagnosis import CheckRequest, diagnose
        from .inputs import grid_options
        from .render import print_diagnosis, show
        from .words import explain

        request = CheckRequest(
            mixture=read_mixture(mixture),
            schedule=(clock := read_schedule(schedule)),
            kappas=tuple(kappa or (2.0, 7.0, 20.0)),
            taus=tuple(tau or ()),
            ddim=grid_options(options, clock),
            n_pairs=pairs,
            n_trajectories=samples,
            seed=seed,
        )
        with _progress("measuring") as progress:
            diagnosis = diagnose(request, progress)
        show(print_diagnosis, diagnosis, as_json, words=explain(diagnosis))


@app.command("presets")
def presets_command() -> None:
    """List the mixtures and schedules that have a name, with their options and defaults."""
    from mixdyn.problem.named import listing

    with _exit_codes():
        for title, rows in listing().items():
            typer.echo(f"{title}:")
            for call, meaning in rows:
                typer.echo(f"  {call}\n      {meaning}")


@app.command("train")
def train_command(
    *,
    mixture: MixtureText,
    out: Annotated[Path, typer.Option(help="The checkpoint, a .safetensors file.")],
    schedule: ScheduleText = "linear",
    recipe: Annotated[
        str, typer.Option(help="paper, reduced, short or high-dimensional.")
    ] = "reduced",
    steps: Steps = None,
    batch: Batch = None,
    points: Annotated[
        int | None, typer.Option(help="Size of the training set, if not the recipe's.")
    ] = None,
    hidden: Hidden = None,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: TorchThreads = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train over what is there, finished or not.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a score by denoising score matching. An interrupted run goes on where it stopped."""
    with _exit_codes():
        from .render import print_training, show
        from .training import TrainRequest, run_training

        changes = {"steps": steps, "batch": batch, "points": points, "hidden": hidden}
        request = TrainRequest(
            mixture=mixture,
            schedule=schedule,
            recipe=recipe,
            changes=changes,
            seed=seed,
            device=device,
            threads=threads,
            out=out,
            fresh=fresh,
        )
        with _training_progress() as progress:
            summary = run_training(request, progress)
        show(print_training, summary, as_json)


@app.command("recurse")
def recurse_command(
    *,
    mixture: MixtureText,
    out: Annotated[Path, typer.Option(help="A folder of its own; an unfinished one goes on.")],
    schedule: ScheduleText = "linear:T=500,beta_start=0.001,beta_end=0.2",
    filter_: Annotated[
        FilterName, typer.Option("--filter", help="What is dropped before the next training.")
    ] = "none",
    generations: Annotated[int, typer.Option(help="How many networks to train in turn.")] = 5,
    recipe: Annotated[str, typer.Option(help="reduced or full.")] = "reduced",
    steps: Steps = None,
    batch: Batch = None,
    points: Annotated[
        int | None, typer.Option(help="Samples a generation, if not the recipe's.")
    ] = None,
    hidden: Hidden = None,
    discard: Annotated[float, typer.Option(help="Share that random and hal drop.")] = 0.1,
    window: Annotated[int, typer.Option(help="Last steps over which Hal is taken.")] = 4,
    seed: Seed = 0,
    device: Device = "cpu",
    threads: TorchThreads = None,
    as_json: AsJson = False,
) -> None:
    """Train each generation on the samples of the one before. An interrupted run goes on."""
    with _exit_codes():
        from .recursion import RecurseRequest, run_recursion
        from .render import print_recursion, show

        request = RecurseRequest(
            mixture=mixture,
            schedule=schedule,
            recipe=recipe,
            changes={"steps": steps, "batch": batch, "points": points, "hidden": hidden},
            filter=filter_,
            discard=discard,
            window=window,
            generations=generations,
            seed=seed,
            device=device,
            threads=threads,
            out=out,
        )
        with _progress("recursion") as progress:
            summary = run_recursion(request, progress)
        show(print_recursion, summary, as_json)


@app.command("warmup")
def warmup_command(
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove what is kept, stale or damaged, and start over.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compile every kernel once; later processes start with the kept code."""
    with _exit_codes():
        from .warmup import print_warmup, warm_up

        with _progress("compiling") as progress:
            summary = warm_up(fresh, progress)
        print_warmup(summary, as_json)


@contextmanager
def _training_progress() -> Iterator[Callable[[Report], None]]:
    """A bar with the loss above its optimum, on stderr where that is a terminal, else nothing."""
    with _progress("training") as bar:

        def show(report: Report) -> None:
            excess = f"loss {report.training_loss:.4f}, excess {report.quality.excess:.5f}"
            bar(report.step, report.steps, f"training: {excess}")

        yield show


def main() -> None:
    """The console script."""
    app(prog_name="mixdyn")
