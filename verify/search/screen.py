"""What `--search` prints: a progress line on a terminal, and what was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mixdyn.support.numbers import show_number

from ..ledger.case import Profile
from ..report.document import show
from .adversary import LIMITS, Progress, SearchResult, Tally
from .trial import Call, Kind
from .witness import Witness

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {
    Kind.VIOLATION: "bold red",
    Kind.CRASH: "bold white on red",
    Kind.SLOW: "yellow",
    Kind.UNDECIDED: "yellow",
    Kind.CLOSEST: "green",
}
_IN_WORDS = {
    Kind.VIOLATION: "the claim fails here",
    Kind.CRASH: "our check broke here, which says nothing about the claim",
    Kind.SLOW: "our check was broken off here, unshrunk",
    Kind.UNDECIDED: "a side of the comparison is no number here",
    Kind.CLOSEST: "the least room found",
}


@contextmanager
def search_progress(console: Console, claim_id: str, profile: Profile) -> Iterator[Progress]:
    """A function for `search(progress=...)` that draws on a terminal and is silent elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
    text = TextColumn("{task.description}")
    hidden = not console.is_terminal
    with Bar(*columns, text, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(claim_id, total=LIMITS[profile].problems)

        def show(tally: Tally) -> None:
            state = f"{claim_id}: {tally.applied} apply"
            worst = tally.worst_of(Kind.VIOLATION) or tally.worst_of(Kind.CLOSEST)
            if worst is not None:
                state += f", worst {show_excess(worst)} tolerances"
            if tally.shrinking is not None:
                state += f", shrinking the {tally.shrinking}"
            bar.update(task, completed=tally.tried, description=state)

        yield show


def show_excess(call: Call) -> str:
    """The violation in tolerances, a dash where nothing was compared."""
    if call.kind not in (Kind.VIOLATION, Kind.CLOSEST):
        return "–"
    return "∞" if call.excess == float("inf") else f"{call.excess:.3g}"


def headline(result: SearchResult) -> str:
    """What the search amounts to, in one sentence."""
    tally = result.tally
    tried = f"{tally.tried} problems tried, {tally.applied} to which it applies"
    spent = f"{result.seconds:.0f} s" + (", out of time" if result.out_of_time else "")
    if result.found(Kind.VIOLATION) is not None:
        outcome = "violated"
    elif not tally.applied:
        outcome = "never applicable"
    elif result.found(Kind.CLOSEST) is None:
        outcome = "nothing compared" if result.witnesses else "vacuous wherever it applies"
    else:
        outcome = "no violation found, which proves nothing beyond these problems"
    return f"{result.claim_id}: {outcome}; {tried} (seed {result.seed}, {spent})"


def print_search(console: Console, result: SearchResult) -> None:
    """The headline, the worst of every comparison, and each witness with its command."""
    from rich.table import Table

    console.print(headline(result), style="bold", markup=False)
    verdicts = ", ".join(f"{count} {name}" for name, count in result.tally.verdicts.items())
    slowest = result.tally.slowest
    longest = "" if slowest is None else f" The longest check took {slowest.seconds:.3g} s."
    console.print(f"Verdicts: {verdicts}.{longest}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("comparison")
    for name in ("excess in tolerances", "relative slack"):
        table.add_column(name, justify="right")
    table.add_column("on")
    for call in sorted(result.tally.worst.values(), key=lambda c: -c.score):
        table.add_row(
            f"[{_STYLES[call.kind]}]{call.kind}[/] {_escape(call.label)}",
            show_excess(call),
            show_number(call.relative_slack, 3),
            _escape(call.problem.words()),
        )
    console.print(table)
    for found in result.witnesses:
        _print_witness(console, found)


def _print_witness(console: Console, found: Witness) -> None:
    call = found.call
    console.print(f"[{_STYLES[call.kind]}]{call.kind}[/]: {_IN_WORDS[call.kind]}")
    console.print(f"  {call.problem.words()}", markup=False)
    side = call.comparison
    if side is None:
        console.print(f"  {call.row['note']}", markup=False)
    else:
        sides = f"{side['name']}: {show(side, 'measured', 8)}"
        sides += f" {side['relation']['symbol']} {show(side, 'bound', 8)}"
        console.print(f"  {sides}, excess {show_excess(call)}", markup=False)
    console.print(f"  {found.command}", markup=False, soft_wrap=True)
    if found.confirmed is not None:
        state = "reproduced from the saved files" if found.confirmed else "did NOT reproduce"
        console.print(f"  {state}")


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
