"""What the ledger prints: how far it is, and the verdict table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mixdyn.support.numbers import show_number, show_share
from mixdyn.support.usage import is_quiet

from ..ledger.relations import Outcome
from ..ledger.verdict import Origin
from ..ledger.workers import Task, Watcher
from .document import relation_symbol, show, show_count
from .legend import MARKS, words_on_controls

if TYPE_CHECKING:
    from rich.console import Console

Row = dict[str, Any]
_STYLES = {
    Outcome.HOLDS: "green",
    Outcome.FAILS: "bold red",
    Outcome.VACUOUS: "magenta",
    Outcome.NOT_APPLICABLE: "dim",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.ERROR: "bold white on red",
}
_ORIGINS = {Origin.KEPT: "kept", Origin.STORED: "stored"}  # in place of the seconds
_PLAIN_WIDTH = 132  # of a table that goes to a file or a pipe


def make_console() -> Console:
    """The console of standard output; wide enough for the table where it is no terminal."""
    from rich.console import Console

    console = Console(highlight=False, quiet=is_quiet())
    if console.is_terminal:
        return console
    return Console(highlight=False, width=_PLAIN_WIDTH, quiet=is_quiet())


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """A function that shows what runs now, on one line of a terminal; nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if is_quiet() or not console.is_terminal:
        yield lambda stage: None
        return
    with console.status("") as line:
        yield line.update


class Progress(Watcher):
    """Counts finished claims: a bar on a terminal, elsewhere a line for each."""

    def __init__(self, console: Console, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
        text = TextColumn("{task.description}")
        hidden = is_quiet() or not console.is_terminal
        self._bar = Bar(*columns, text, console=console, transient=True, disable=hidden)
        self._task = self._bar.add_task("", total=total)
        self._total, self._done, self._compiling = total, 0, False

    @contextmanager
    def shown(self) -> Iterator[Progress]:
        """Draw while the block runs."""
        with self._bar:
            yield self

    def running(self, tasks: Sequence[Task]) -> None:
        """Name what is being checked."""
        self._bar.update(self._task, description=", ".join(map(_name, tasks)))

    def compiling(self, kernel: str) -> None:
        """Say so, the first time."""
        if not self._compiling:
            self._print("compiling kernels, once")
        self._compiling = True

    def finished(self, task: Task, rows: Sequence[Row]) -> None:
        """Count one claim."""
        self._done += 1
        self._bar.advance(self._task)
        if self._bar.disable:
            place = f"[{self._done:{len(str(self._total))}}/{self._total}]"
            self._print(f"{place} {_name(task)}: {_outcome(rows)}")

    def _print(self, line: str) -> None:
        self._bar.console.print(line, markup=False, soft_wrap=True)


def _name(task: Task) -> str:
    return f"{task.entry.claim.id} on {task.case.name}"


def _outcome(rows: Sequence[Row]) -> str:
    """The verdicts of a claim's rows, and how long they took."""
    if not rows:
        return "nothing to measure"
    row = rows[0]
    took = _ORIGINS.get(row["origin"]) or f"{show_number(row['seconds'], 2)} s"
    return f"{', '.join(dict.fromkeys(row['verdict'] for row in rows))}, {took}"


def print_table(console: Console, rows: list[Row]) -> None:
    """The verdicts, one line a row, and below it why rows are not simply `holds`."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("claim", "case", "verdict", "basis"):
        table.add_column(name, no_wrap=True)
    for name in ("measured", "", "bound", "tight", "applies"):
        table.add_column(name, justify="right" if name else "center", no_wrap=True)
    table.add_column("satisfied", justify="right")
    table.add_column("s", justify="right", no_wrap=True)
    for row in rows:
        outcome = Outcome(row["verdict"])
        table.add_row(
            row["id"],
            row["case"],
            f"[{_STYLES[outcome]}]{MARKS[outcome]} {outcome}[/]",
            row["basis"],
            show(row, "measured"),
            relation_symbol(row),
            show(row, "bound"),
            show(row, "tightness", 3),
            show_share(row["applicable_share"]),
            show_count(row),
            _ORIGINS.get(row["origin"]) or show_number(row["seconds"], 2),
        )
    console.print(table)
    _print_reasons(console, rows)


def _print_reasons(console: Console, rows: list[Row]) -> None:
    from rich.markup import escape

    for row in rows:
        outcome = Outcome(row["verdict"])
        if outcome is not Outcome.HOLDS and row["note"]:
            head = f"{row['id']} on {row['case']}, {outcome}"
            console.print(f"[{_STYLES[outcome]}]{head}[/]: {escape(row['note'])}")


def print_controls(console: Console, document: Mapping[str, Any]) -> None:
    """How fine the negative controls are."""
    console.print(words_on_controls(document["header"]["controls"]))


def print_drift(console: Console, drift: Mapping[str, list[str] | None]) -> None:
    """Which recorded verdicts were reproduced, which changed, which cases have none."""
    changes = [change for found in drift.values() if found for change in found]
    compared = [case for case, found in drift.items() if found is not None]
    for change in changes:
        console.print(f"[bold red]drift[/] {change}")
    if compared and not changes:
        console.print(f"Recorded verdicts reproduced: {', '.join(compared)}.")
    unrecorded = [case for case, found in drift.items() if found is None]
    if unrecorded:
        console.print(f"No recorded verdicts: {', '.join(unrecorded)}.")
