"""Commands whose every refusal is one line on stderr and exit code 2, of typer's own errors too;
and the options that mean the same in every one of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from .checks import check_integer
from .files import check_output, write_text

INTERRUPTED = 130  # 128 + SIGINT, as shells report it

# -- what every command takes --------------------------------------------------------------------

PRINTED = "-"  # of --json: no file, standard output
Json = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="[FILE.json]",
        help="Print strict JSON, or write it there.",
        show_default=False,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print nothing but errors, warnings and what --json asks.")
]
Threads = Annotated[
    int | None, typer.Option(help="CPU threads of a process.", show_default="all, or one a worker")
]
_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def is_quiet() -> bool:
    """Whether the command that runs was asked to be."""
    return _QUIET.get()


@contextmanager
def as_asked(
    *, quiet: bool = False, threads: int | None = None, json_file: str | None = None
) -> Iterator[None]:
    """What runs within keeps quiet, and libraries that it loads take `threads` threads, as do the
    processes that it starts. InputError or FileError for what cannot be, before anything runs."""
    if threads is not None:
        check_integer(threads, "--threads", 1, 1024)
    if json_file not in (None, PRINTED):
        check_output(Path(str(json_file)))
    before = {name: os.environ.get(name) for name in _POOLS}
    if threads is not None:
        os.environ.update({name: str(threads) for name in _POOLS})
    token = _QUIET.set(quiet)
    try:
        yield
    finally:
        _QUIET.reset(token)
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def write_json(text: str, asked: str) -> None:
    """To the file that --json names, or on standard output."""
    if asked == PRINTED:
        sys.stdout.write(text)
    else:
        write_text(Path(asked), text)


def with_json_value(arguments: Sequence[str]) -> list[str]:
    """--json with what it is given: the file of the next word, or else "-". A file's name ends in
    .json or has a folder; what follows otherwise is a name of its own, as in `--json T4.2`."""
    words = list(arguments)
    for k in reversed(range(len(words))):
        after = words[k + 1] if k + 1 < len(words) else PRINTED
        named = after == PRINTED or after == "." or after.endswith(".json") or os.sep in after
        if words[k] == "--json" and (k + 1 == len(words) or after[:1] == "-" != after or not named):
            words.insert(k + 1, PRINTED)
    return words


# -- refusals ------------------------------------------------------------------------------------


class _OneLine:
    """What a command does with what it is called with."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run it and leave by `sys.exit`, unless `standalone_mode` is off."""
        run = super().main  # type: ignore[misc]
        if not standalone_mode:
            return run(args=args, prog_name=prog_name, standalone_mode=False, **extra)
        try:
            status = run(args=args, prog_name=prog_name, standalone_mode=False, **extra)
        except typer.Abort:
            typer.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except Exception as error:  # which class it has depends on the version of typer
            if not hasattr(error, "format_message"):
                raise
            _refuse(error)
        sys.exit(status if isinstance(status, int) else 0)


class OneLineCommand(_OneLine, TyperCommand):  # type: ignore[misc]
    """A command, also of an application that has no other."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words, --json with or without a file among them."""
        return super().parse_args(ctx, with_json_value(args))


class OneLineGroup(_OneLine, TyperGroup):  # type: ignore[misc]
    """An application of several commands."""


def _refuse(error: Any) -> None:
    """Say in a line what is wrong with the usage; without arguments, what there is to say."""
    where, what = getattr(error, "ctx", None), error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(what)
    else:
        what = " ".join(what.split()).rstrip(".")
        asked = f"{where.command_path} --help" if where is not None else "--help"
        typer.echo(f"error: {what}. See {asked}.", err=True)
    sys.exit(2)
