"""`samplers.md`, rankings and mechanisms, and `samplers.html`, a card each, of the rows alone."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...support.numbers import show_number, show_share
from ...support.statistics import Proportion
from ..card import MEAN, NAMED
from .mechanism import Judgement, Law, Mechanism, fault, judge
from .orders import AGREE, WINDOWS, Order, Unsettled, settled
from .rows import COUNTS, EQUAL, Row, at_equal

_DIGITS = 3
_MOST = 1000.0  # of what is printed in full
_WIDE, _HIGH, _ACROSS = 360, 90, (0.003, 3.0)  # of a card's curve: pixels, standard deviations
ORDER_AT = NAMED.index(0.2)
OURS = "mixdyn"
WEIGHTS = 0.01  # (chi-square - degrees of freedom)/samples, of weights that are kept


@dataclasses.dataclass(frozen=True)
class Shown:
    """A sampler of the page: its name, its cards, that at equal evaluations, its judgement (None
    where every card is a failure), and what it does to each network."""

    name: str
    library: str
    cards: list[Row]
    equal: Row | None
    judgement: Judgement | None
    learned: list[Row]

    @property
    def spec(self) -> str:
        """The sampler without its settings."""
        return str(self.cards[0]["spec"])

    def at(self, steps: int) -> Row | None:
        """The card at a number of steps, unless it is a failure."""
        return next((r for r in self.cards if r["steps"] == steps and "error" not in r), None)

    @property
    def law(self) -> Law | None:
        """What it is judged as."""
        return None if self.judgement is None else self.judgement.law

    @property
    def seeded(self) -> bool:
        """Whether a seed names the sample."""
        return all(row.get("seeded") is not False for row in self.cards)

    @property
    def done(self) -> list[Row]:
        """The cards that are no failure, by evaluations."""
        return sorted((r for r in self.cards if "error" not in r), key=lambda row: row["n_eval"])

    @property
    def last(self) -> Row:
        """The card of most evaluations."""
        return self.done[-1]

    @property
    def settled(self) -> Order | Unsettled:
        """The order, and the floor; or why there is none."""
        first = self.at(EQUAL)
        if first is None:
            return Unsettled.NOT_RUN
        return Unsettled.SAMPLED if first["why"] else settled(first.get("ladder"))

    @property
    def order(self) -> Order | None:
        """The order, where there is one."""
        found = self.settled
        return found if isinstance(found, Order) else None


def natural(samplers: Iterable[Shown]) -> list[Shown]:
    """Of every class or function the first that is offered, its natural use."""
    return list({one.spec: one for one in reversed(list(samplers))}.values())[::-1]


def page(rows: Sequence[Row]) -> str:
    """The Markdown."""
    found = shown(rows)
    judged = [one for one in found if one.law not in (None, Law.BACKWARDS)]
    ranked = sorted((one for one in judged if one.equal), key=lambda one: (one.equal or {})["w2"])
    public = [one for one in judged if one.library != OURS]
    plain = {one.name for one in natural(judged)}
    learned = _learned(found)
    return _template("samplers.md.j2").render(
        stds=NAMED,
        mean=MEAN,
        counts=COUNTS,
        equal=EQUAL,
        kept=WEIGHTS,
        order_at=ORDER_AT,
        agree=AGREE,
        windows=WINDOWS,
        libraries=_libraries(rows),
        short=_without_the_most(public),
        public=public,
        classes=natural(public),
        ranked=[merged(part, same_card) for part in _parted(ranked, plain)],
        best={
            where: next((one for one in ranked if (one.library == OURS) == where), None)
            for where in (True, False)
        },
        learned=[_learned(part) for part in _parted(found, plain)],
        pooled=max((row.outside.trials for row in learned), default=0),
        fewest={where: _fewest(learned, ours=where) for where in (True, False)},
        networks=sorted({row["network"] for row in rows if "network" in row}),
        laws={law: sum(one.law == law for one in public) for law in Law},
        mechanisms={law: _by_mechanism(public, plain, law) for law in Law},
        groups={law: _grouped(judged, law) for law in Law},
        distilled=merged([one for one in judged if "consistency" in one.last], _last),
        Law=Law,
        by_steps=[merged(part, _same_everywhere) for part in _parted(judged, plain)],
        unjudged=_by_reason(one for one in found if one not in judged),
    )


def cards(rows: Sequence[Row]) -> str:
    """The HTML: a compact card for each sampler, nearest to the spectrum first."""
    found = [one for one in shown(rows) if one.judgement and one.law != Law.BACKWARDS]
    found.sort(key=lambda one: (one.equal or one.last)["w2"])
    return _template("samplers.html.j2").render(
        cards=found,
        curve=_curve,
        frame={"wide": _WIDE, "high": _HIGH, "one": _HIGH / 2, "stds": _ACROSS},
        stds=NAMED,
        equal=EQUAL,
        titles={
            Law.ALL: "Returns the data's law",
            Law.ALL_BUT_FINE: "Returns all but the finest",
            Law.NOT: "Does not return the data's law",
        },
    )


def _curve(one: Shown) -> str:
    """Points of its response, cut at a tenth and at ten; none without a plan."""
    low, high = np.log(_ACROSS)
    points = [
        (_WIDE * (np.log(std) - low) / (high - low), np.log10(np.clip(abs(gain), 0.1, 10.0)))
        for std, gain in (one.equal or {}).get("curve", [])
    ]
    return " ".join(f"{x:.0f},{_HIGH / 2 * (1.0 - up):.1f}" for x, up in points)


def _template(name: str) -> Any:
    import jinja2

    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([here, here.parent]),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": show_number, "share": show_share, "fixed": fixed}
    return environment.get_template(name)


def fixed(value: float | None, digits: int) -> str:
    """As all of its column: so many digits behind the point, and none of what is beyond 1000."""
    if value is None:
        return "–"
    if abs(value) >= _MOST:
        return f"> {_MOST:.0f}" if value > 0.0 else f"< -{_MOST:.0f}"
    return f"{round(value, digits) + 0.0:.{digits}f}"  # no -0


def _parted(samplers: Iterable[Shown], plain: set[str]) -> tuple[list[Shown], list[Shown]]:
    """Those in their natural use, and the others."""
    parts: tuple[list[Shown], list[Shown]] = [], []
    for one in samplers:
        parts[one.name not in plain].append(one)
    return parts


def _by_mechanism(
    samplers: Sequence[Shown], plain: set[str], law: Law
) -> list[tuple[Mechanism, list[str], int]]:
    """(mechanism, names of those in their natural use, how many with the others), most first."""
    found: dict[Mechanism, list[Shown]] = {}
    for one in samplers:
        if one.judgement is not None and one.law == law:
            found.setdefault(one.judgement.mechanism, []).append(one)
    groups = [
        (mechanism, sorted(one.name for one in members if one.name in plain), len(members))
        for mechanism, members in found.items()
    ]
    return sorted(groups, key=lambda group: -group[2])


def _by_reason(samplers: Iterable[Shown]) -> list[tuple[list[str], str]]:
    found: dict[str, list[str]] = {}
    for one in samplers:
        found.setdefault(_why_not(one), []).append(one.name)
    return [(names, why) for why, names in found.items()]


def _without_the_most(samplers: Sequence[Shown]) -> list[tuple[str, int]]:
    """(library, the most steps) of those none of whose samplers ran the largest number of steps."""
    most: dict[str, int] = {}
    for one in samplers:
        ran = max(row["steps"] or 0 for row in one.done)
        most[one.library] = max(most.get(one.library, 0), ran)
    return sorted((library, steps) for library, steps in most.items() if steps < max(COUNTS))


def _last(one: Shown) -> Any:
    return _digest(one.last)


def shown(rows: Sequence[Row]) -> list[Shown]:
    """The samplers, in the order of their rows."""
    names = _names(rows)
    found = []
    for place in names:
        own = [row for row in rows if _place(row) == place]
        cards = [row for row in own if "network" not in row]
        good = any("error" not in row for row in cards)
        library = next((row["library"] for row in cards if "error" not in row), "")
        found.append(
            Shown(
                names[place],
                library or OURS * (":" not in place[0]),
                cards,
                at_equal(cards),
                judge(cards) if good else None,
                [row for row in own if "network" in row],
            )
        )
    return found


def _place(row: Row) -> tuple[str, str]:
    return row["spec"], repr(sorted(row["settings"].items()))


def _common(rows: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """By spec, the settings that all its rows have."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        own = row["settings"].items()
        known = found.setdefault(row["spec"], dict(own))
        found[row["spec"]] = {key: value for key, value in known.items() if (key, value) in own}
    return found


def _names(rows: Sequence[Row]) -> dict[tuple[str, str], str]:
    """Each sampler with the settings in which it differs from others of its spec."""
    common, names = _common(rows), {}
    for row in rows:
        own = [f"{k}={v}" for k, v in row["settings"].items() if k not in common[row["spec"]]]
        names[_place(row)] = " ".join([f"`{row['spec']}`", *own])
    return names


def _libraries(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """(library, versions, settings that were given wherever they are taken)."""
    versions: dict[str, set[str]] = {}
    given: dict[str, dict[str, Any]] = {}
    common = _common(rows)
    for row in rows:
        if "library" in row:
            versions.setdefault(row["library"], set()).add(row["version"])
            alone = len({_place(r) for r in rows if r["spec"] == row["spec"]}) > 1
            if alone or row["library"] == "diffusers":
                given.setdefault(row["library"], {}).update(common[row["spec"]])
    return [
        (
            library,
            ", ".join(sorted(found)),
            ", ".join(f"`{k}={v}`" for k, v in given.get(library, {}).items()),
        )
        for library, found in sorted(versions.items())
    ]


# -- tables --------------------------------------------------------------------------------------


def merged(samplers: Sequence[Shown], same: Any) -> list[tuple[list[str], Shown]]:
    """Samplers whose figures are the same in one row: their names, and the first."""
    found: dict[Any, tuple[list[str], Shown]] = {}
    for one in samplers:
        found.setdefault(same(one), ([], one))[0].append(one.name)
    return [(sorted(names), one) for names, one in found.values()]


def _digest(row: Row | None) -> tuple[Any, ...]:
    if row is None:
        return ()
    numbers = [show_number(gain, _DIGITS) for gain in row["gain"]]
    return row["n_eval"], *numbers, show_number(row["w2"], 2), *row["outside"]


def same_card(one: Shown) -> Any:
    """What is equal for samplers with the same figures at equal evaluations."""
    return _digest(one.equal)


def _same_everywhere(one: Shown) -> Any:
    return tuple(_digest(one.at(steps)) for steps in COUNTS), _digest(one.last)


def _grouped(judged: Sequence[Shown], law: Law) -> list[tuple[list[str], Judgement]]:
    by_why = merged(
        [one for one in judged if one.law == law],
        lambda one: (one.judgement.since, one.judgement.why),
    )
    return [(names, one.judgement) for names, one in by_why if one.judgement]


@dataclasses.dataclass(frozen=True)
class Ends:
    """What a sampler makes of all networks together: shares with 95 % intervals, the range of the
    first over the networks, and the range of the spread."""

    names: list[str]
    n_eval: float
    outside: Proportion
    interpolation: Proportion
    range: tuple[float, float]
    weight_error: float
    spread: tuple[float, float]


def _learned(found: Sequence[Shown]) -> list[Ends]:
    """Best first, of those that ran on every network."""
    most = max((len(one.learned) for one in found), default=0)
    ends: dict[Any, Ends] = {}
    for one in found:
        rows = [row for row in one.learned if "error" not in row]
        if not rows or len(rows) < most or one.law == Law.BACKWARDS:
            continue
        same = repr([(row["counts"], _rounded(row)) for row in rows])
        ends.setdefault(same, _ends(rows)).names.append(one.name)
    return sorted(ends.values(), key=lambda row: (row.outside.rate, row.weight_error))


def _rounded(row: Row) -> list[float | None]:
    """What the counts do not tell: none may be outside of samplers that return other laws."""
    found = (row["n_eval"], row["weight_error"], row["spread"])
    return [None if value is None else round(value, 3) for value in found]


def _fewest(learned: Sequence[Ends], ours: bool) -> Ends | None:
    """The first of ours, or of others, that keeps the modes' weights and takes about as many
    evaluations as are compared."""
    fair = [row for row in learned if row.n_eval < 2 * EQUAL and row.weight_error < WEIGHTS]
    return next((row for row in fair if ours == (":" not in row.names[0])), None)


def _ends(rows: Sequence[Row]) -> Ends:
    counts = [row["counts"] for row in rows]
    n = sum(map(sum, counts))
    rates = [1.0 - row[0] / sum(row) for row in counts]
    spreads = [row["spread"] for row in rows if row["spread"] is not None]
    return Ends(
        [],
        sum(row["n_eval"] for row in rows) / len(rows),
        Proportion(n - sum(row[0] for row in counts), n),
        Proportion(sum(row[1] for row in counts), n),
        (min(rates), max(rates)),
        sum(row["weight_error"] for row in rows) / len(rows),
        (min(spreads, default=0.0), max(spreads, default=0.0)),
    )


def _why_not(one: Shown) -> str:
    if one.judgement is not None:
        return one.judgement.why
    faults = dict.fromkeys(fault(row) for row in one.cards)
    return "; ".join(itertools.islice(faults, 1))
