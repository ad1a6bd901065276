"""python -m benchmarks [NAME ...] [--small] [--json FILE|DIR] [--plots DIR] [--page]
[--against COMMIT]."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixdyn.support.errors import InputError, MixdynError
from mixdyn.support.files import write_text
from mixdyn.support.numbers import dump_json

from . import harness, names


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Answer questions about speed, one a benchmark."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}")
    parser.add_argument("--small", action="store_true", help="check that all work, not their times")
    parser.add_argument("--json", type=Path, metavar="FILE|DIR", help="a file for one, else DIR")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw the results into DIR")
    parser.add_argument(
        "--page",
        action="store_true",
        help="keep results and plots in benchmarks/ and write the pages from all that is kept; "
        "with --page alone nothing is measured",
    )
    parser.add_argument("--against", metavar="COMMIT", help="run it in turn, where NAME can")
    return parser.parse_args(arguments)


def check(options: argparse.Namespace) -> None:
    """Raise InputError for unknown names and for one file where several results come."""
    unknown = [name for name in options.names if name not in names()]
    if unknown:
        raise InputError(f"a benchmark is one of {', '.join(names())}", unknown[0], "Choose one.")
    if options.json and options.json.suffix == ".json" and len(options.names) != 1:
        raise InputError("one file holds one result", str(options.json), "Name a folder.")
    if options.page and options.small:
        raise InputError("pages show full results", "--small --page", "Leave one out.")
    if options.against:
        able = [name for name in names() if harness.load(name).against]
        if options.small or not options.names or not {*options.names} <= {*able}:
            said = " ".join([*options.names, *["--small"] * options.small]) or "all"
            raise InputError(f"--against is of full runs of {', '.join(able)}", said, "Name one.")


def print_result(result: harness.Result) -> None:
    """Question, aligned table, notes and answer on standard output."""
    lines = harness.table(harness.load(result["name"]).columns, result["rows"])
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    print(f"\n{result['name']}: {result['question']}")
    for first, *others in lines:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    for note in result.get("notes", ()):
        print(f"note: {note}")
    print(f"{result['answer']}  [{result['seconds']:.1f} s]", flush=True)


def keep(result: dict[str, Any], json_path: Path | None, plots: Path | None) -> None:
    """Write the result and its plot where they were asked for."""
    if json_path is not None:
        single = json_path.suffix == ".json"
        (json_path.parent if single else json_path).mkdir(parents=True, exist_ok=True)
        path = json_path if single else json_path / f"{result['name']}.json"
        write_text(path, dump_json(result))
    draw = harness.load(result["name"]).draw
    if plots is not None and draw is not None:
        from . import style

        style.save(draw(result), result, plots)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; the exit code (0, or 2 for bad input)."""
    from . import page

    options = parse(arguments)
    try:
        check(options)
        measure = options.names or ([] if options.page and not options.json else names())
        turns = {"against": options.against} if options.against else {}
        for name in measure:
            result = harness.run(name, options.small, **turns)
            print_result(result)
            keep(result, options.json, options.plots)
            if options.page:
                keep(result, page.RESULTS, page.PLOTS)
        if options.page:
            page.write_pages()
    except MixdynError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no process is left behind
    sys.exit(main())
