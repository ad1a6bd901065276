"""The page of results and the headline table of docs/speed.md, written from saved results.

No figure is typed by hand: everything below the marker of benchmarks/README.md, and between the two
markers of docs/speed.md, comes from benchmarks/results/NAME.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixdyn.support.errors import FileError
from mixdyn.support.files import write_text

from . import names
from .harness import Result, load, show, table

FOLDER = Path(__file__).resolve().parent
RESULTS, PLOTS = FOLDER / "results", FOLDER / "plots"
PAGE, HEADLINE = FOLDER / "README.md", FOLDER.parent / "docs" / "speed.md"
START, END = "<!-- written by python -m benchmarks --page -->", "<!-- end of what it wrote -->"


def saved_results(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The results in `folder`, in the order of the page."""
    files = [folder / f"{name}.json" for name in names()]
    return [json.loads(file.read_text()) for file in files if file.exists()]


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of a heading and its rows; all but the first column align right."""
    head, *body = rows
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, rule, *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(result: Result, plots: Path = PLOTS) -> str:
    """One question: its table, its plot where there is one, and the sentence."""
    parts = [f"## {result['name']}: {result['question']}"]
    parts.append(markdown(table(load(result["name"]).columns, result["rows"])))
    parts += [f"*{note}*" for note in result.get("notes", ())]
    if (plots / f"{result['name']}.svg").exists():
        parts.append(f"![{result['question']}]({plots.name}/{result['name']}.svg)")
    return "\n\n".join([*parts, f"**{result['answer']}**"])


def place(result: Result) -> str:
    """Where and with what a result was measured, in one sentence."""
    at = result["machine"]
    settings = ", ".join(f"{k}={v}" for k, v in at["allocator_settings"].items())
    packages = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (
        f"{at['processor']} ({at['vectors']}), {at['cores']} cores, {at['memory_gb']:g} GB, "
        f"{at['allocator']}{f' with {settings}' if settings else ''}; {packages}; "
        f"commit {str(result['commit'])[:12]}."
    )


def page_text(results: Sequence[Result]) -> str:
    """Everything below the marker of the page."""
    if not results:
        return "No results are saved yet.\n"
    measured = f"Measured on: {place(results[0])}"
    total = f"All questions took {show(sum(r['seconds'] for r in results) / 60)} minutes."
    return "\n\n".join([f"{measured} {total}", *map(section, results)]) + "\n"


def headline_text(results: Sequence[Result]) -> str:
    """What stands in docs/speed.md: one DDIM step, ours and the others, and each answer."""
    found = {result["name"]: result for result in results}
    if "throughput" not in found:
        return "No results are saved yet.\n"
    result = found["throughput"]
    columns = {"contender": "25 modes in 2-D, float64", "median": "ns", "ratio": "times slower"}
    rows = [row for row in result["rows"] if row["task"] == "DDIM-50"]
    answers = "\n".join(f"- {r['answer']}" for r in results if r["name"] != "throughput")
    at = result["machine"]
    head = f"One step of DDIM-50 per sample and mode ({at['cores']} cores, {at['vectors']}):"
    return f"{head}\n\n{markdown(table(columns, rows))}\n\n{result['answer']}\n\n{answers}\n"


def insert(text: str, written: str) -> str:
    """`text` with `written` between its markers (the second may be missing: then to the end)."""
    head, marker, rest = text.partition(START)
    if not marker:
        raise FileError(
            "a page needs the line where results go", "a file without it", f"Add {START}."
        )
    _, end, tail = rest.partition(END)
    return (
        f"{head}{START}\n\n{written.rstrip()}\n\n{end}{tail}"
        if end
        else (f"{head}{START}\n\n{written.rstrip()}\n")
    )


def write_pages() -> list[Path]:
    """Rewrite both pages from the saved results."""
    results = saved_results()
    for path, written in ((PAGE, page_text(results)), (HEADLINE, headline_text(results))):
        write_text(path, insert(path.read_text(), written))
    return [PAGE, HEADLINE]
