"""python -m verify: run the ledger."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixdyn.support.errors import MixdynError
from mixdyn.support.finding import lazily
from mixdyn.support.provenance import usable_cores
from mixdyn.support.usage import (
    INTERRUPTED,
    PRINTED,
    Json,
    OneLineCommand,
    Quiet,
    Threads,
    as_asked,
)

from .commands import EXIT_ERROR, SECONDS, Asked, UserFiles
from .ledger.case import Profile

if TYPE_CHECKING:
    from mixdyn import kernels
else:
    kernels = lazily("mixdyn.kernels")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


@app.command(cls=OneLineCommand)
def main(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    claims: Annotated[
        list[str] | None, typer.Argument(help="Ids such as T4.2 or X2; all of them if none.")
    ] = None,
    mixture: Annotated[
        str | None,
        typer.Option(
            help="TOML or NPZ file with means, sigma and weights, or a preset such as grid.",
            metavar="FILE|PRESET",
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="TOML or NPZ file of a schedule, or a name such as cosine.", metavar="FILE|NAME"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A score model for the learned rows: a checkpoint or module:name.",
            metavar="FILE|MODULE:NAME",
        ),
    ] = None,
    predicts: Annotated[
        str | None,
        typer.Option(help="What that function returns: eps, x0, v, score.", show_default="eps"),
    ] = None,
    index_base: Annotated[
        int | None,
        typer.Option(help="Index it gives to the first noisy time, 0 or 1.", show_default="1"),
    ] = None,
    profile: Annotated[Profile, typer.Option(help="Sample sizes.")] = Profile.QUICK,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
    n_random: Annotated[
        int | None, typer.Option("--random", help="Number of random problems.")
    ] = None,
    search_claim: Annotated[
        str | None, typer.Option("--search", help="Look for the problem on which this claim fails.")
    ] = None,
    figures: Annotated[
        bool,
        typer.Option("--figures", help="Draw figures: of the claims named, or all."),
    ] = False,
    certify: Annotated[
        bool,
        typer.Option(
            "--certify", help="Prove what claims state over a continuum; keep certificates."
        ),
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option(
            help="Seconds of proving, a claim.", metavar="SECONDS", show_default=f"{SECONDS:g}"
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Store the verdicts as the ones to reproduce.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Check again, and measure again, what is kept.")
    ] = False,
    subjects: Annotated[
        str | None,
        typer.Option(
            help="Check the samplers of a library, such as diffusers, in place of the papers.",
            metavar="LIBRARY",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="Claims checked at a time, in as many processes.", show_default="cores"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Spread the problems of --random over so many processes, and write what they say "
            "together, in place of a report of each.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="The same on the workers of a dask.distributed scheduler, such as "
            "tcp://10.0.0.1:8786.",
            metavar="ADDRESS",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the report and of finished rows.")] = Path(
        "report"
    ),
    json_file: Json = None,
    quiet: Quiet = False,
    threads: Threads = None,
) -> None:
    """Check published results on diffusion samplers, each on its own merits.

    Exit status: 0 if every verdict equals the recorded one (or none is recorded), 1 if one
    changed or an adversary found a violation, 2 for a broken check or bad input, 130 after an
    interrupt. Finished rows and what was measured for them are kept in the output folder, so a
    broken-off run goes on where it stopped.
    """
    try:
        silent = quiet or json_file == PRINTED  # the document alone
        context.with_resource(as_asked(quiet=silent, threads=threads, json_file=json_file))
        asked = Asked(
            claims=claims or [],
            files=UserFiles(mixture, schedule, model, predicts, index_base),
            profile=profile,
            seed=seed,
            n_random=n_random,
            search=search_claim,
            figures=figures,
            certify=certify,
            budget=budget,
            record=record,
            fresh=fresh,
            subjects=subjects,
            jobs=usable_cores() if jobs is None else jobs,
            hands=(workers, scheduler),
            out=out,
            json_file=json_file,
            given=frozenset(filter(functools.partial(_is_given, context), context.params)),
        )
        context.with_resource(kernels.threads(threads))
        status = asked.run()
    except MixdynError as error:
        typer.echo(f"error: {error}", err=True)
        status = EXIT_ERROR
    except KeyboardInterrupt:
        typer.echo("interrupted: finished rows are kept, the same command goes on.", err=True)
        status = INTERRUPTED
    raise typer.Exit(status)


def run(arguments: Sequence[str], name: str = "mixdyn verify") -> int:
    """Check published results on diffusion samplers, each on its own merits."""
    try:
        app(list(arguments), prog_name=name)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


def draw(arguments: Sequence[str]) -> int:
    """Draw the figures of claims, all or of those named: `verify --figures`."""
    return run(["--figures", *arguments], "mixdyn figures")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], "python -m verify"))
