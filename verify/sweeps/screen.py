"""What a sweep shows: how far it is, and what it amounts to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..report.summary import print_summary
from .running import COUNTEREXAMPLES, MARKDOWN, Result, Sweep

if TYPE_CHECKING:
    from rich.console import Console

_EVERY = 10.0  # seconds between lines where there is no terminal


@contextmanager
def sweep_progress(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """A function of (problems done, of how many, the last one): a bar on a terminal, elsewhere a
    line now and then."""
    from rich.progress import Progress

    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("problems", total=None)
        told = [time.monotonic()]

        def show(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name)
            if bar.disable and (done == total or time.monotonic() - told[0] > _EVERY):
                told[0] = time.monotonic()
                console.print(f"[{done}/{total}] problems", markup=False, soft_wrap=True)

        yield show


def print_result(console: Console, asked: Sweep, result: Result) -> None:
    """The summary, and where the rest is."""
    print_summary(console, result.summary)
    lines = [f"{result.rows} rows of {asked.n + 1} problems, {result.kept} of them kept before."]
    lines.append(f"Digest of the rows, seconds left out: {result.digest}")
    if result.failing:
        lines.append(f"{result.failing} rows fail: {asked.folder / COUNTEREXAMPLES}")
    if result.lost:
        lines.append(f"No process survived: {', '.join(result.lost[:10])}; see the error rows.")
    lines.append(f"Summary: {asked.folder / MARKDOWN}")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
