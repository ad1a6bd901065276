"""What many problems say together: per claim and kind of evidence, verdicts and the worst case.

Made from the ledger's rows alone, so that a saved document can be summarised again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
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
    """Group rows of the ledger (any number of cases) by claim and kind of evidence, one at a time.

    Derivations are left out: they say the same on every case.
    """
    groups: dict[tuple[str, str], _Group] = {}
    cases: dict[str, None] = {}
    for row in rows:
        if row["basis"] == Basis.DERIVED:
            continue
        cases[row["case"]] = None
        groups.setdefault((row["id"], row["basis"]), _Group(row)).add(row)
    return Summary(tuple(cases), tuple(group.line() for group in groups.values()))


class _Group:
    """What rows of one claim by one kind of evidence have said so far; no row is kept."""

    def __init__(self, first: Row) -> None:
        self.about = {name: first[name] for name in ("id", "title", "basis")}
        self.verdicts: Counter[str] = Counter()
        self.applicable = self.nonvacuous = self.powerless = 0
        self.shares = {name: _Range() for name in ("applicable_share", "nonvacuous_share")}
        self.excess: Extreme | None = None
        self.room: Extreme | None = None  # the least slack, negated
        self.tightness: Extreme | None = None
        self.seconds = 0.0

    def add(self, row: Row) -> None:
        """Count a row."""
        self.verdicts[row["verdict"]] += 1
        self.seconds += row["seconds"] or 0.0
        if row["verdict"] in _NOTHING_FOUND:
            return
        self.applicable += 1
        self.powerless += any(m["verdict"] == Outcome.HOLDS for m in row["mutants"])
        for name, seen in self.shares.items():
            seen.add(row[name])
        if row["verdict"] == Outcome.VACUOUS:
            return
        self.nonvacuous += 1
        for compared in row["comparisons"]:
            where = (compared["name"], row["case"])
            self.excess = _larger(self.excess, slack.excess(compared), *where)
            room = slack.relative_slack(compared)
            self.room = _larger(self.room, None if room is None else -room, *where)
        self.tightness = _larger(self.tightness, row["tightness"], "", row["case"])

    def line(self) -> Line:
        """What they say together."""
        return Line(
            **self.about,
            cases=self.verdicts.total(),
            verdicts=_in_order(self.verdicts),
            applicable=self.applicable,
            nonvacuous=self.nonvacuous,
            applicable_share=self.shares["applicable_share"].found(),
            nonvacuous_share=self.shares["nonvacuous_share"].found(),
            excess=self.excess,
            relative_slack=self.room and replace(self.room, value=-self.room.value),
            tightness=self.tightness,
            powerless=self.powerless,
            seconds=self.seconds,
        )


_NOTHING_FOUND = (Outcome.NOT_APPLICABLE, Outcome.ERROR)


def _in_order(counts: Counter[str]) -> dict[str, int]:
    return {o.value: counts[o.value] for o in Outcome if counts[o.value]}


class _Range:
    """Smallest value and mean of what is no None."""

    def __init__(self) -> None:
        self.least, self.total, self.count = float("inf"), 0.0, 0

    def add(self, value: float | None) -> None:
        if value is not None:
            self.least = min(self.least, float(value))
            self.total += float(value)
            self.count += 1

    def found(self) -> tuple[float, float] | None:
        return (self.least, self.total / self.count) if self.count else None


def _larger(
    known: Extreme | None, value: float | None, comparison: str, case: object
) -> Extreme | None:
    """The larger of them, the first where they are equal."""
    if value is None or (known is not None and not value > known.value):
        return known
    return Extreme(float(value), comparison, str(case))


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
