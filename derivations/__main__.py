"""python -m derivations [NAME ...]: verify all derivations, or print some of them step by step."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import io
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from . import catalogue

if TYPE_CHECKING:
    from . import stored
    from .algebra.derivation import Derivation

_PRINTED = "-"  # of --json: no file, standard output


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m derivations",
        description="Verify the derivations and write the document; with names, print those.",
    )
    parser.add_argument("names", nargs="*", help="module names or ids, such as tube or T4.2")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder of the document")
    _add_options_of_all(parser)
    parser.add_argument("--record", action="store_true", help="store the outcomes for the ledger")
    found = parser.parse_args(argv)
    if found.json not in (None, _PRINTED) and not found.json.endswith(".json"):
        found.names.insert(0, found.json)  # a name of a derivation, no file
        found.json = _PRINTED
    return found


def _add_options_of_all(parser: argparse.ArgumentParser) -> None:
    """What every command of the project takes."""
    parser.add_argument(
        *("--json",),
        nargs="?",
        const=_PRINTED,
        metavar="FILE.json",
        help="print the outcomes as strict JSON, or write them there",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--seed", type=int, default=0, help="taken by every command: draws nothing")
    parser.add_argument(
        "--threads", type=_positive, help="taken by every command: algebra runs on one"
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a positive whole number; received {text!r}")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """One whose refusals are one line."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"error: {message}. See {self.prog} --help.\n")
        sys.exit(2)


def _print_derivation(derivation: Derivation) -> None:
    """In plain text: statement, then every link with its check."""
    import sympy as sp

    _say(f"{derivation.id}  {derivation.title}\n\n{derivation.prose}\n\n  {derivation.latex}\n")
    if derivation.correction:
        _say(f"Correction: {derivation.correction}\n")
    for number, chain in enumerate(derivation.proof.chains, 1):
        _say(f"{number}. {chain.name}\n     {sp.sstr(chain.start)}")
        for name, value in chain.where.items():
            _say(f"       where {name} = {sp.sstr(value)}")
        source = chain.start
        for link in chain.links:
            _say(f"  {link.relation:>2} {sp.sstr(link.target)}\n       [{link.why}]")
            checks = list(link.evidence.checks(chain.inserted(link.target - source)))
            for check in checks:
                verdict = "0" if check.closed else sp.sstr(check.residual)
                _say(f"       {check.what}: {verdict}")
            if not checks:
                _say(f"       {link.evidence.words(sp.sstr)}")
            source = link.target
        _say()
    _say(f"Source: {derivation.source}. How general: {derivation.general}.\n")


def _report(name: str) -> stored.Outcome:
    from .algebra.verification import verify

    begin = time.perf_counter()
    outcome = verify(name)
    seconds = time.perf_counter() - begin
    residual = "0" if outcome.closed else f"NOT CLOSED: {outcome.residual}"
    cited = "*" if outcome.citations else " "
    _say(
        f"{outcome.id:9} {name:22} {outcome.links:3}{cited} {residual:3} {seconds:5.1f} s "
        f" {outcome.general}"
    )
    return outcome


def main(argv: Sequence[str] | None = None) -> int:
    """Verify the derivations and write them out, or print those named step by step.

    Exit status: 0 if everything closed, 1 if something did not, 2 for an unknown name and for what
    cannot be written.
    """
    arguments = _arguments(argv)
    try:
        chosen = [catalogue.find(name) for name in arguments.names]
    except KeyError as unknown:
        known = ", ".join(path.stem for path in catalogue.written())
        remedy = "Name one of them, or none for all"
        return _refuse(f"the derivations are {known}", repr(unknown.args[0]), remedy)
    try:
        _check_writable(arguments)
        return _answer(chosen or list(catalogue.names()), arguments)
    except OSError as error:
        remedy = "Make room there, or choose another place"
        received = f"{error.filename} ({error.strerror})"
        return _refuse("what is written must have a place", received, remedy)


def _refuse(rule: str, received: str, remedy: str) -> int:
    sys.stderr.write(f"error: {rule}; received {received}. {remedy}.\n")
    return 2


def _check_writable(arguments: argparse.Namespace) -> None:
    """OSError where a result could not be written, before minutes of work."""
    if arguments.json not in (None, _PRINTED):
        place = Path(arguments.json)
        if place.is_dir():
            raise _error(errno.EISDIR, place)
        _check_folder(place.parent)
    if not arguments.names:
        arguments.out.mkdir(parents=True, exist_ok=True)
        _check_folder(arguments.out)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise _error(errno.ENOENT, folder)
    if not os.access(folder, os.W_OK):
        raise _error(errno.EACCES, folder)


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def _answer(chosen: list[str], arguments: argparse.Namespace) -> int:
    """Verify those chosen, and say and write what was asked; the exit status."""
    from . import stored

    silent = arguments.quiet or arguments.json == _PRINTED
    with contextlib.redirect_stdout(io.StringIO()) if silent else contextlib.nullcontext():
        outcomes = _verify(chosen, arguments)
    if arguments.json is not None:
        facts = [{"name": name, **dataclasses.asdict(found)} for name, found in outcomes.items()]
        text = json.dumps({"derivations": facts}, indent=1, allow_nan=False) + "\n"
        if arguments.json == _PRINTED:
            _say(text.rstrip())
        else:
            stored.write_text(Path(arguments.json), text)
    return 0 if all(outcome.closed for outcome in outcomes.values()) else 1


def _verify(chosen: list[str], arguments: argparse.Namespace) -> dict[str, stored.Outcome]:
    """What came out of each, said and, of all, written."""
    from . import document, stored

    if arguments.names:
        for name in chosen:
            _print_derivation(catalogue.load(name))
    _say("id        file                 links  residual, time, how general (* cites a theorem)")
    outcomes = {name: _report(name) for name in chosen}
    if not arguments.names:
        if arguments.record:
            stored.write(outcomes)
        for path in document.write(arguments.out, outcomes):
            _say(f"wrote {path}")
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
