"""python -m verify.figures: draw the figures of the papers' problem or of your own mixture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mixdyn.errors import MixdynError
from mixdyn.validation import check_integer
from verify import cases
from verify.claim import Case, Profile

from . import Drawn, draw_figures

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _case(mixture: Path | None, schedule: Path | None, seed: int, profile: Profile) -> Case:
    check_integer(seed, "--seed", 0, 2**63 - 1)
    if mixture is None and schedule is None:
        return cases.standard(seed, profile)
    return cases.user(mixture, schedule, seed, profile)


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """What runs now, on one line of a terminal; nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda stage: None
        return
    with console.status("") as status:
        yield status.update


def _report(drawn: list[Drawn]) -> None:
    for figure in drawn:
        what = f"not applicable: {figure.reason}" if figure.reason else str(figure.paths[0])
        typer.echo(f"{figure.id:<5} {figure.seconds:6.1f} s  {what}")


@app.command()
def main(
    ids: Annotated[list[str] | None, typer.Argument(help="Such as 5, E.14 or X3; or none.")] = None,
    mixture: Annotated[Path | None, typer.Option(help="TOML or NPZ file.")] = None,
    schedule: Annotated[Path | None, typer.Option(help="TOML or NPZ file.")] = None,
    profile: Annotated[Profile, typer.Option(help="Sample sizes.")] = Profile.QUICK,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of figures and saved results.")] = Path(
        "report"
    ),
) -> None:
    """Draw figures as SVG and PNG. Exit status 0, 2 for bad input, 130 after an interrupt."""
    status = 0
    try:
        with _status() as progress:
            drawn = draw_figures(ids or [], _case(mixture, schedule, seed, profile), out, progress)
        _report(drawn)
    except MixdynError as error:
        typer.echo(f"error: {error}", err=True)
        status = 2
    except KeyboardInterrupt:
        typer.echo("interrupted: saved results are kept, the same command goes on.", err=True)
        status = 130
    raise typer.Exit(status)


if __name__ == "__main__":
    sys.exit(app())
