"""python -m tests.faults [--kills N] [--record]: the table of docs/faults.md, measured.

Exit status 1 if a fault lost anything.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import measuring
from .commands import COMMANDS, Command, warm
from .measuring import Tally

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
_HEAD = """# Runs that are killed, short of disk, shut out or doubled

Measured by `{command}`, which forks each command, strikes it, looks at every
file, and gives the same command again. A kill is SIGKILL, at a random moment or right before a
random touch of a file, in turn; a disk is full after a number of pages, spread from one to one too
few; a folder is read-only by its mount; two runs begin in one folder at once.

*One line*: the run ended with status 2 and one line that says what to do, or, of two at once, one
finished and so did the other or said so. *Half-written* and *drafts* are files found after the
fault, *lost* ones that were there and are gone once the same command has ended. *Made good*: the
same command then made what an undisturbed run makes, to the bit but for times. A draft is left by a
run that is killed between the two names of a file that takes the place of another: it is whole and
hidden, and nothing reads it.

| command | fault | struck | one line | half-written | drafts | lost | made good |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def table(kills: int, disks: int, chosen: Sequence[Command]) -> Iterator[tuple[str, str, Tally]]:
    """Each command under each fault."""
    each = -(-kills // len(chosen))
    for command in chosen:
        yield command.name, "killed", measuring.kills(command, each, seed=22)
        try:
            yield command.name, "disk full", measuring.full_disk(command, disks)
            yield command.name, "folder read-only", measuring.read_only(command)
        except PermissionError as error:
            print(f"{command.name}: no disk of a few pages: {error}", flush=True)
        yield command.name, "two at once", measuring.two_at_once(command, 2)


def page(lines: Sequence[str], asked: Sequence[str]) -> str:
    """What is recorded: the table, by which command it was made, and what is not in it."""
    seen = {row.split(" | ")[0].lstrip("| ") for row in lines}
    left = [command.name for command in COMMANDS if command.name not in seen]
    rest = f"\nNot measured: {', '.join(left)}.\n" if left else ""
    command = " ".join(["python -m tests.faults", *asked])
    return _HEAD.replace("{command}", command) + "\n".join(lines) + "\n" + rest


def line(name: str, fault: str, tally: Tally) -> str:
    """A row of the table."""
    said = "–" if fault == "killed" else f"{tally.clear}"
    numbers = [tally.struck, said, tally.half, tally.left, tally.lost, tally.equal]
    return f"| {name} | {fault} | " + " | ".join(map(str, numbers)) + " |"


def main() -> int:
    """Measure, print, record."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of all commands together")
    parser.add_argument("--disks", type=int, default=8, help="sizes of a disk a command")
    parser.add_argument("--only", nargs="*", help="commands")
    parser.add_argument("--record", action="store_true", help=f"write {PAGE.name}")
    asked = parser.parse_args()
    chosen = [c for c in COMMANDS if not asked.only or c.name in asked.only]
    warm(chosen)
    lines, bad = [], 0
    for name, fault, tally in table(asked.kills, asked.disks, chosen):
        lines.append(line(name, fault, tally))
        print(lines[-1], flush=True)
        for odd in tally.odd:
            print(f"    {odd}", flush=True)
        bad += tally.half + tally.lost + (tally.struck - tally.equal)
        bad += tally.struck - tally.clear
    if asked.record:
        PAGE.write_text(page(lines, sys.argv[1:]), encoding="utf-8")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
