"""Replays certificates of proofs in ball arithmetic, by formulas of its own.

Nothing of ours is imported, only python-flint. Doubles are hexadecimal text, and exact.

terms  positive all over a box    lines  where a deterministic sampler on a line ends
zeros  of a network, given its weights
"""

import json
import sys
from pathlib import Path
from typing import Any

from flint import ctx

from . import lines, terms

FORMAT = 1
KINDS: dict[str, Any] = {
    "terms": terms,
    "lines": lines,
}  # of a certificate, "terms" where it is silent
UNREADABLE: tuple[type[Exception], ...] = (OSError, LookupError, TypeError, ValueError)
UNREADABLE += (AttributeError, ArithmeticError, RecursionError)  # the last: nested too deep


def check(data: dict[str, Any]) -> list[str]:
    """What is wrong with a certificate: nothing, or the names of what it does not prove."""
    try:
        kind = KINDS[data.get("kind", "terms")]
        names = sorted(row["name"] for row in data["statements"])
        if not names:
            return ["it proves nothing: none of the statements it was made for was settled"]
        if data["format"] != FORMAT or names != sorted(data["proves"]):
            return ["it proves other statements than it says, or is of another format"]
        with ctx.workprec(kind.BITS):
            return kind.faults(data)  # type: ignore[no-any-return]
    except UNREADABLE as fault:
        return [f"it cannot be read: {type(fault).__name__}: {fault}"]


def check_file(file: str) -> list[str]:
    """What is wrong with the certificate in a file."""
    try:
        return check(json.loads(Path(file).read_text(encoding="utf-8")))
    except UNREADABLE as fault:
        return [f"it cannot be read: {type(fault).__name__}: {fault}"]


def main(files: list[str]) -> int:
    """One line a file; 1 if any is rejected, 2 without files."""
    if not files:
        sys.stderr.write("error: the checker takes certificates; received no file. Name some.\n")
        return 2
    faults = {file: check_file(file) for file in files}
    for file, found in faults.items():
        sys.stdout.write(f"{file}: {'; '.join(found) if found else 'accepted'}\n")
    return int(any(faults.values()))
