"""Commands of packages installed beside this one, which imports none of them: `mixdyn verify`, ...

A package offers a function of the list of arguments that returns the exit status, as an entry point
of the group `mixdyn.commands`. The help shows the first line of its docstring, read from the file:
nothing is imported before it is asked for.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import typer

from mixdyn.support.errors import InputError

GROUP = "mixdyn.commands"


def add_commands_beside(app: typer.Typer) -> None:
    """Give an application a command for every entry point; one of its own has precedence."""
    own = {command.name for command in app.registered_commands}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name not in own:
            _add(app, entry)


def run_beside(name: str, arguments: Sequence[str]) -> int:
    """Run the command of a package beside this one; its exit status."""
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        raise InputError(
            f"this needs the command `mixdyn {name}`, which another package offers",
            "none installed",
            "Install mixdyn from its own wheel or checkout, which holds it.",
        )
    status: int = found.load()(list(arguments))
    return status


def _add(app: typer.Typer, entry: EntryPoint) -> None:
    @app.command(
        entry.name,
        help=_first_line(entry),
        add_help_option=False,  # its own is asked
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def call(context: typer.Context) -> None:
        raise typer.Exit(entry.load()(context.args))


def _first_line(entry: EntryPoint) -> str:
    """What the function says that it does."""
    package, *below = entry.module.split(".")
    found = importlib.util.find_spec(package)  # of one below, it would import those above
    place = next(iter(found.submodule_search_locations or ()), None) if found else None
    if place is None:
        return ""
    tree = ast.parse(Path(place, *below).with_suffix(".py").read_text("utf-8"))
    named = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == entry.attr)
    said = [ast.get_docstring(node) or "" for node in named]
    return said[0].partition("\n")[0] if said else ""
