"""What many problems say together: per claim and kind of evidence, verdicts and the worst case.

Made from the ledger's rows alone, so that a saved document can be summarised again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mixdyn.support.numbers import plain, show_number, show_share

from ..ledger import slack
from ..ledger.relations import Outcome
from ..ledger.verdict import Basis
from .legend import MARKS
from .typeset import to_markdown_cell

if TYPE_CHECKING:
    from rich.console import Console

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Extreme:
    """The worst value of a quantity, the comparison it belongs to, and on which case it came up."""

    value: float
    comparison: str
    case: str


@dataclass(frozen=True)
class Line:
    """One claim by one kind of evidence over all cases.

    verdicts: how many cases came out how. applicable: cases to which the claim applied; nonvacuous:
    those of them on which it said something. applicable_share, nonvacuous_share: smallest and mean
    share of points within the cases to which it applied. excess: the largest violation in units of
    the tolerance (at most 1 where the claim holds). relative_slack: the least room of an inequality
    over its larger side. tightness: of the row, the closest to 1 or beyond. powerless: cases on
    which a negative control also held.
    """

    id: str
    title: str
    basis: str
    cases: int
    verdicts: Mapping[str, int]
    applicable: int
    nonvacuous: int
    applicable_share: tuple[float, float] | None
    nonvacuous_share: tuple[float, float] | None
    excess: Extreme | None
    relative_slack: Extreme | None
    tightness: Extreme | None
    powerless: int
    seconds: float

    def as_row(self) -> dict[str, Any]:
        """The line as strict JSON data."""
        return plain(asdict(self))


@dataclass(frozen=True)
class Summary:
    """Lines in the order in which the claims first came up, over `cases` problems."""

    cases: tuple[str, ...]
    lines: tuple[Line, ...]

    def as_data(self) -> dict[str, Any]:
        """The summary for a JSON document."""
        return {"cases": list(self.cases), "lines": [line.as_row() for line in self.lines]}


def summarise(rows: Iterable[Row]) -> Summary:
    """Group rows of the ledger (any number of cases) by claim and kind of evidence.

    Derivations are left out: they say the same on every case.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    cases: dict[str, None] = {}
    for row in rows:
        if row["basis"] == Basis.DERIVED:
            continue
        cases[row["case"]] = None
        groups.setdefault((row["id"], row["basis"]), []).append(row)
    return Summary(tuple(cases), tuple(_line(group) for group in groups.values()))


def _line(rows: Sequence[Row]) -> Line:
    found = [row for row in rows if row["verdict"] not in _NOTHING_FOUND]
    telling = [row for row in found if row["verdict"] != Outcome.VACUOUS]
    compared = [(row, c) for row in telling for c in row["comparisons"]]
    excess = [(slack.excess(c), c["name"], row) for row, c in compared]
    room = [(slack.relative_slack(c), c["name"], row) for row, c in compared]
    tight = [(row["tightness"], "", row) for row in telling]
    return Line(
        id=rows[0]["id"],
        title=rows[0]["title"],
        basis=rows[0]["basis"],
        cases=len(rows),
        verdicts=_in_order(Counter(row["verdict"] for row in rows)),
        applicable=len(found),
        nonvacuous=len(telling),
        applicable_share=_range(found, "applicable_share"),
        nonvacuous_share=_range(found, "nonvacuous_share"),
        excess=_largest(excess),
        relative_slack=_negated(_largest([(_minus(v), name, row) for v, name, row in room])),
        tightness=_largest(tight),
        powerless=sum(any(m["verdict"] == Outcome.HOLDS for m in row["mutants"]) for row in found),
        seconds=sum(row["seconds"] or 0.0 for row in rows),
    )


_NOTHING_FOUND = (Outcome.NOT_APPLICABLE, Outcome.ERROR)


def _in_order(counts: Counter[str]) -> dict[str, int]:
    return {o.value: counts[o.value] for o in Outcome if counts[o.value]}


def _range(rows: Sequence[Row], key: str) -> tuple[float, float] | None:
    """Smallest value and mean."""
    values = [float(row[key]) for row in rows if row[key] is not None]
    return (min(values), sum(values) / len(values)) if values else None


def _largest(found: Sequence[tuple[float | None, str, Row]]) -> Extreme | None:
    known = [(value, name, row) for value, name, row in found if value is not None]
    if not known:
        return None
    value, name, row = max(known, key=lambda item: item[0])
    return Extreme(float(value), name, str(row["case"]))


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _negated(extreme: Extreme | None) -> Extreme | None:
    return extreme and Extreme(-extreme.value, extreme.comparison, extreme.case)


# -- in words ------------------------------------------------------------------------------------

COLUMNS = (
    *("claim", "basis", "verdicts", "applies to", "not vacuous on", "points: mean, least"),
    *("worst excess", "least slack", "tightest"),
)


def cells(line: Line) -> list[str]:
    """A line as words for the columns of a table."""
    shares = line.applicable_share
    return [
        line.id,
        line.basis,
        ", ".join(f"{MARKS[Outcome(v)]} {n} {v}" for v, n in line.verdicts.items()),
        f"{line.applicable} of {line.cases}",
        f"{line.nonvacuous} of {line.applicable}" if line.applicable else "–",
        "–" if shares is None else f"{show_share(shares[1])}, {show_share(shares[0])}",
        *(_extreme(e) for e in (line.excess, line.relative_slack, line.tightness)),
    ]


def _extreme(extreme: Extreme | None) -> str:
    return "–" if extreme is None else f"{show_number(extreme.value, 3)} on {extreme.case}"


def to_markdown(summary: Summary) -> str:
    """A Markdown table with a sentence on what its columns mean."""
    lines = [
        f"Over {len(summary.cases)} problems. Excess is the violation in units of the tolerance, "
        "at most 1 where a claim holds; slack is the room of an inequality over its larger side.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "| " + " | ".join("---" for _ in COLUMNS) + " |",
    ]
    for line in summary.lines:
        lines.append("| " + " | ".join(to_markdown_cell(cell) for cell in cells(line)) + " |")
    return "\n".join(lines) + "\n"


def print_summary(console: Console, summary: Summary) -> None:
    """The same table on a terminal."""
    from rich.markup import escape
    from rich.table import Table

    title = f"{len(summary.cases)} problems together"
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, no_wrap=name in ("claim", "basis", "applies to"))
    for line in summary.lines:
        table.add_row(*(escape(cell) for cell in cells(line)))
    console.print(table)
    powerless = [f"{line.id} ({line.powerless})" for line in summary.lines if line.powerless]
    if powerless:
        console.print(f"A negative control also held: {', '.join(powerless)} cases.")
