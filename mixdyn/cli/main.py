"""The typer application: options, errors, exit codes. The work is in the modules beside it.

Exit codes: 0 done, 2 bad input (one line on stderr: rule, value, remedy), 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixdyn import __version__
from mixdyn.samplers.options import samplers
from mixdyn.support.errors import InputError
from mixdyn.support.usage import (
    PRINTED,
    Json,
    OneLineCommand,
    OneLineGroup,
    Quiet,
    Threads,
    as_asked,
    is_quiet,
    write_json,
)

from .beside import add_commands_beside, run_beside
from .options import asks, exit_codes
from .requests import (
    MIXTURE_HELP,
    USUAL,
    CheckOptions,
    PresetsRequest,
    PriceRequest,
    RecurseRequest,
    SampleRequest,
    Seed,
    TrainRequest,
    WarmupRequest,
)

if TYPE_CHECKING:
    from mixdyn.learned.training import Report

app = typer.Typer(
    name="mixdyn",
    cls=OneLineGroup,
    help="Diffusion samplers on Gaussian mixtures, where every score is exact.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
def _progress(label: str) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr where that is a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    hidden = is_quiet() or not console.is_terminal
    with Progress(console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(label, total=None)

        def show(done: int, total: int, text: str = label) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield show


@app.command("sample", cls=OneLineCommand)
@asks(SampleRequest, sorted(samplers().values(), key=lambda kind: kind.name != USUAL))
def sample_command(request: SampleRequest, as_json: str | None) -> None:
    """Draw samples, classify them and write both: OUT.npz and OUT.json."""
    from .render import print_summary, show
    from .sampling import run_sample

    with _progress("sampling") as progress:
        summary = run_sample(request, progress)
    if summary.start_error.words:
        typer.echo(f"warning: {summary.start_error.words}", err=True)
    show(print_summary, summary, as_json)


@app.command("price", cls=OneLineCommand)
@asks(PriceRequest, sorted(samplers().values(), key=lambda kind: kind.name != USUAL))
def price_command(request: PriceRequest, as_json: str | None) -> None:
    """What a sampler costs in nats, by start, steps and learning, and what it cannot lose."""
    from .pricing import print_price, run_price
    from .render import show

    with _progress("pricing") as progress:
        summary = run_price(request, progress)
    show(print_price, summary, as_json)


@app.command("check", cls=OneLineCommand)
@asks(CheckOptions, [samplers()[USUAL]], without={"eta"})
def check_command(asked: CheckOptions, as_json: str | None) -> None:
    """Diagnose a mixture or a data set and a schedule: what will samplers do, and why."""
    from mixdyn.problem.data_sets import read_labels
    from mixdyn.problem.mixture import FILE_KEYS
    from mixdyn.problem.named import read_mixture, read_schedule
    from mixdyn.support.checks import check_positive
    from mixdyn.support.files import check_output, write_text
    from mixdyn.support.numbers import dump_json

    from .diagnosis import CheckRequest, diagnose
    from .inputs import grid_options
    from .render import print_diagnosis, show
    from .words import explain

    if asked.certify and as_json:
        raise InputError(
            "--certify prints a line for each claim", "--json beside it", "Drop one of them."
        )
    if asked.budget is not None:
        if not asked.certify:
            raise InputError("--budget is of --certify", "no --certify beside it", "Add it.")
        check_positive(asked.budget, "--budget")
    if asked.out is not None:
        check_output(asked.out, ".json")
    request = CheckRequest(
        mixture=(mixture := read_mixture(asked.mixture)),
        schedule=(clock := read_schedule(asked.schedule)),
        kappas=tuple(asked.kappa or (2.0, 7.0, 20.0)),
        taus=tuple(asked.tau or ()),
        ddim=grid_options(asked.options, clock, mixture),
        n_pairs=asked.pairs,
        n_trajectories=asked.samples,
        seed=asked.seed,
        labels=read_labels(asked.mixture, mixture.N, FILE_KEYS),
    )
    with _progress("measuring") as progress:
        diagnosis = diagnose(request, progress)
    words = explain(diagnosis)
    if asked.out is not None:
        write_text(asked.out, dump_json({**vars(diagnosis), "words": words}))
    show(print_diagnosis, diagnosis, as_json, words=words)
    if asked.certify:
        files = ["--mixture", asked.mixture, "--schedule", asked.schedule]
        silent = ["--quiet"] if is_quiet() else []
        budget = [] if asked.budget is None else ["--budget", str(asked.budget)]
        raise typer.Exit(run_beside("verify", ["--certify", *files, *budget, *silent]))


@app.command("audit", cls=OneLineCommand)
def audit_command(
    *,
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SPEC...",
            show_default=False,
            help="library:sampler, module:function f(model, x_T, rng), or a sampler of ours; its "
            "own settings may follow: SPEC,key=value.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps that it takes.")] = 50,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting, true, 0.5 or a word; repeat."),
    ] = None,
    mixture: Annotated[
        str | None,
        typer.Option(metavar="FILE|PRESET", help=MIXTURE_HELP, show_default="two modes"),
    ] = None,
    spectrum: Annotated[
        Path | None,
        typer.Option(
            help="A .npz file with `eigenvalues`, variances of the data.",
            show_default="that of natural images",
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Print one table in place of the cards.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the cards there: a .json file, or .html as one page."),
    ] = None,
    as_json: Json = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write them there as one page.")
    ] = None,
    every_grid: Annotated[
        bool,
        typer.Option("--grids", help="Look at the grids of 2 to 1000 steps too, without a model."),
    ] = False,
    gallery: Annotated[
        Path | None,
        typer.Option(
            help="A folder for the cards of every public sampler of the libraries installed (or of "
            "the SPECs alone) at several numbers of steps, as samplers.jsonl and samplers.md. A "
            "broken-off run goes on; rows that are there stay.",
            metavar="FOLDER",
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="A checkpoint that the gallery's samplers run on too; repeat."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "--workers", min=1, help="Processes of the gallery.", show_default="1"
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Or a dask.distributed scheduler whose workers do it.", metavar="ADDRESS"
        ),
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Audit samplers of any library with the exact score: what they return, and where they err."""
    with exit_codes(), as_asked(quiet=quiet, threads=threads, json_file=as_json):
        if gallery is not None:
            from .gallery import GalleryRequest, run_gallery

            every = GalleryRequest(
                folder=gallery,
                specs=specs or [],
                models=models or [],
                jobs=jobs,
                scheduler=scheduler,
            )
            say = partial(typer.echo, err=True)
            for path in run_gallery(every, say, (lambda line: None) if quiet else say):
                if not quiet:
                    typer.echo(path)
            return
        if not specs:
            raise InputError("an audit names samplers", "none", "Name one, or --gallery FOLDER.")
        from .audit import AuditRequest, print_cards, print_comparison, run_audit
        from .audit import as_json as as_text
        from .render import show

        request = AuditRequest(
            specs=specs,
            steps=steps,
            settings=settings or [],
            mixture=mixture,
            spectrum=spectrum,
            json_file=None if as_json in (None, PRINTED) else Path(str(as_json)),
            html_file=html_file,
            out=out,
            seed=seed,
            every_grid=every_grid,
        )
        with _progress("auditing") as progress:
            cards = run_audit(request, progress)
        if as_json == PRINTED:
            write_json(as_text(cards), PRINTED)
        else:
            show(print_comparison if compare else print_cards, cards)


@app.command("presets", cls=OneLineCommand)
@asks(PresetsRequest)
def presets_command(asked: PresetsRequest, as_json: str | None) -> None:
    """List the mixtures and schedules that have a name, with their options and defaults."""
    from mixdyn.problem.named import listing

    found = listing()
    named = {
        title: [{"name": call, "meaning": meaning} for call, meaning in rows]
        for title, rows in found.items()
    }
    _write(named, asked.out, as_json)
    if as_json == PRINTED or is_quiet():
        return
    for title, rows in found.items():
        typer.echo(f"{title}:")
        for call, meaning in rows:
            typer.echo(f"  {call}\n      {meaning}")


def _write(found: dict[str, Any], out: Path | None, as_json: str | None) -> None:
    """As JSON, where --out and --json ask for it."""
    from mixdyn.support.files import check_output, write_text
    from mixdyn.support.numbers import dump_json

    if out is not None:
        check_output(out, ".json")
        write_text(out, dump_json(found))
    if as_json is not None:
        write_json(dump_json(found), as_json)


@app.command("train", cls=OneLineCommand)
@asks(TrainRequest)
def train_command(request: TrainRequest, as_json: str | None) -> None:
    """Train a score by denoising score matching. An interrupted run goes on where it stopped."""
    from .render import print_training, print_trainings, show
    from .training import run_training

    if request.seeds is not None or request.workers or request.scheduler:
        from .training_sweep import run_trainings

        with _progress("training") as count:
            show(print_trainings, run_trainings(request, count), as_json)
        return
    with _training_progress() as progress:
        summary = run_training(request, progress)
    show(print_training, summary, as_json)


@app.command("recurse", cls=OneLineCommand)
@asks(RecurseRequest)
def recurse_command(request: RecurseRequest, as_json: str | None) -> None:
    """Train each generation on the samples of the one before. An interrupted run goes on."""
    from .recursion import run_recursion
    from .render import print_recursion, show

    with _progress("recursion") as progress:
        summary = run_recursion(request, progress)
    show(print_recursion, summary, as_json)


@app.command("warmup", cls=OneLineCommand)
@asks(WarmupRequest)
def warmup_command(asked: WarmupRequest, as_json: str | None) -> None:
    """Compile every kernel once; later processes start with the kept code."""
    from mixdyn.support.files import check_output

    from .warmup import print_warmup, warm_up

    if asked.out is not None:
        check_output(asked.out, ".json")
    with _progress("compiling") as progress:
        summary = warm_up(asked.fresh, progress)
    _write(vars(summary), asked.out, as_json)
    print_warmup(summary, as_json == PRINTED or is_quiet())


@contextmanager
def _training_progress() -> Iterator[Callable[[Report], None]]:
    """A bar with the loss above its optimum, on stderr where that is a terminal, else nothing."""
    with _progress("training") as bar:

        def show(report: Report) -> None:
            excess = getattr(report.quality, "excess", None)
            other = f"excess {excess:.5f}" if excess is not None else "on others "
            other += "" if excess is not None else f"{report.quality.loss:.4f}"
            bar(report.step, report.steps, f"training: loss {report.training_loss:.4f}, {other}")

        yield show


add_commands_beside(app)


def main() -> None:
    """The console script."""
    app(prog_name="mixdyn")
