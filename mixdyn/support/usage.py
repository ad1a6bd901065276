"""Commands whose every refusal is one line on stderr and exit code 2, of typer's own errors too."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


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
    """A command of an application that has no other."""


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
