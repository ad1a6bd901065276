"""The dependency graph of the claims as one static SVG: no script, no network, no other program."""

from __future__ import annotations

import html
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..ledger.links import CLOSED_FORMS, all_links, ancestors, link
from ..ledger.relations import Outcome
from .graph_layout import Edge, Layout, lay_out
from .legend import MARKS

Row = Mapping[str, Any]

WIDTH = 1180.0
BOX, TALL, ROOM, MARGIN = 136.0, 38.0, 48.0, 8.0  # box width, box height, row height, border
# Okabe and Ito's palette, told apart with every common colour vision; words say the same.
COLOURS = {
    Outcome.HOLDS: "#009e73",
    Outcome.FAILS: "#d55e00",
    Outcome.VACUOUS: "#cc79a7",
    Outcome.NOT_APPLICABLE: "#8a94a3",
    Outcome.INCONCLUSIVE: "#e69f00",
    Outcome.ERROR: "#000000",
}
_WORST_FIRST = (
    *(Outcome.ERROR, Outcome.FAILS, Outcome.INCONCLUSIVE),
    *(Outcome.VACUOUS, Outcome.HOLDS, Outcome.NOT_APPLICABLE),
)
_STYLE = """
.claim-graph text { font: 10.5px system-ui, "Liberation Sans", sans-serif; }
.claim-graph text { fill: var(--ink, #1c2330); }
.claim-graph .id { font-weight: 700; font-size: 12.5px; }
.claim-graph .soft { fill: var(--soft, #5d6779); font-size: 10px; }
.claim-graph .box { fill: var(--paper, #fff); stroke-width: 1.3; }
.claim-graph .absent { stroke: var(--soft, #5d6779); stroke-dasharray: 3 3; }
.claim-graph .closed { stroke: var(--soft, #5d6779); }
.claim-graph path { fill: none; stroke: var(--soft, #5d6779); stroke-width: 1.2; }
.claim-graph .sharper { stroke-dasharray: 5 4; stroke-width: 1.4; }
.claim-graph a:hover .box, .claim-graph a:focus .box { stroke-width: 2.6; }
"""


@dataclass(frozen=True)
class Node:
    """A box: the claim's words and how often its rows came out how, nothing where it has none."""

    id: str
    name: str
    counts: Mapping[Outcome, int]
    tooltip: str

    @property
    def verdict(self) -> Outcome | None:
        """The worst over all cases."""
        return next((outcome for outcome in _WORST_FIRST if self.counts.get(outcome)), None)

    @property
    def colour(self) -> str | None:
        """Of its frame and of the lines that leave it."""
        return None if self.verdict is None else COLOURS[self.verdict]


def graph_svg(rows: Iterable[Row]) -> str:
    """The claims among `rows` and all that they rest on, as an <svg> element for a page.

    A box is framed and labelled by its worst verdict over all cases, with all of them in
    proportion on its left edge, and links to the claim's section, #claim-<id without blanks>.
    Claims without a link to another stand by themselves below the graph; foundations
    without a row are drawn dashed.
    """
    by_claim: dict[str, list[Row]] = {}
    for row in rows:
        by_claim.setdefault(row["id"], []).append(row)
    wanted = set(by_claim).union(*(ancestors(name) for name in by_claim))
    names = [n for n in all_links() if n in wanted] + sorted(wanted - all_links().keys())
    nodes = {name: _node(name, by_claim.get(name, [])) for name in names}
    rests = {(a, b): why for b in names for a, why in link(b).rests_on.items()}
    sharper = {(a, b): how for b in names for a, how in link(b).sharpens.items() if a in wanted}
    linked = {name for edge in {**rests, **sharper} for name in edge}
    alone = [name for name in names if name not in linked]
    layout = lay_out([n for n in names if n in linked], [*rests, *sharper])
    return _draw(nodes, layout, rests, sharper, alone)


def _node(name: str, rows: list[Row]) -> Node:
    words = link(name).short
    title = rows[0]["title"] if rows else words
    words = words or _plain_words(title)
    counts = Counter(Outcome(row["verdict"]) for row in rows)
    found = ", ".join(f"{counts[o]} {o}" for o in Outcome if counts[o])
    return Node(name, words, counts, _tooltip(name, title, found or _without_rows(name)))


def _without_rows(name: str) -> str:
    return "closed form" if name in CLOSED_FORMS else "not in this run"


def _tooltip(name: str, title: str, found: str) -> str:
    lines = [f"{name}: {_plain_words(title)}", found]
    lines += [f"rests on {other}: {why}" for other, why in link(name).rests_on.items()]
    lines += [f"sharper than {other}: {how}" for other, how in link(name).sharpens.items()]
    return "\n".join(lines)


def _plain_words(text: str) -> str:
    """A title without its TeX."""
    return re.sub(r"[\\${}]", "", text)


# -- drawing -------------------------------------------------------------------------------------


def _draw(
    nodes: Mapping[str, Node],
    layout: Layout,
    rests: Mapping[Edge, str],
    sharper: Mapping[Edge, str],
    alone: list[str],
) -> str:
    step = min((WIDTH - 2 * MARGIN - BOX) / max(layout.columns - 1, 1), 1.9 * BOX)
    place = {
        name: (MARGIN + layout.column[name] * step, MARGIN + ROOM * layout.place[name])
        for name in layout.column
    }
    bottom = MARGIN + ROOM * layout.height
    parts = []
    for edge in [*rests, *sharper]:
        kind, why = ("rests", rests[edge]) if edge in rests else ("sharper", sharper[edge])
        between = [MARGIN + ROOM * value for value in layout.passing[edge]]
        parts.append(_line(nodes, edge, kind, why, _points(place, edge, between, step)))
    parts += [_box(nodes[name], *place[name]) for name in place]
    if alone:
        bottom += 30.0
        parts.append(_text(MARGIN, bottom, "soft", "Without a link to another claim here:"))
        per_line = int((WIDTH - 2 * MARGIN) // (BOX + 12.0))
        for k, name in enumerate(alone):
            x = MARGIN + (k % per_line) * (BOX + 12.0)
            parts.append(_box(nodes[name], x, bottom + 32.0 + ROOM * (k // per_line)))
        bottom += 12.0 + ROOM * -(-len(alone) // per_line)
    parts.append(_legend(nodes, bottom + 30.0))
    height = bottom + 44.0
    return (
        f'<svg class="claim-graph" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-label="Dependency graph of the claims" viewBox="0 0 {WIDTH:g} {height:.0f}" '
        f'width="100%" style="max-width:{WIDTH:g}px">\n<style>{_STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


Point = tuple[float, float]


def _points(
    place: Mapping[str, Point], edge: Edge, between: list[float], step: float
) -> list[Point]:
    """Where an edge starts, passes the columns between (a box's width straight on), and ends."""
    (x0, y0), (x1, y1) = place[edge[0]], place[edge[1]]
    points = [(x0 + BOX, y0)]
    for k, y in enumerate(between, start=1):
        points += [(x0 + k * step, y), (x0 + k * step + BOX, y)]
    return [*points, (x1 - 5.0, y1)]


def _line(nodes: Mapping[str, Node], edge: Edge, kind: str, why: str, points: list[Point]) -> str:
    """A curve that leaves in the colour of a foundation that does not simply hold."""
    source = nodes[edge[0]]
    bad = source.verdict in (Outcome.FAILS, Outcome.ERROR)
    stroke = f' style="stroke:{source.colour}"' if bad and kind == "rests" else ""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for k, ((xa, ya), (xb, yb)) in enumerate(itertools.pairwise(points)):
        if k % 2:
            path += f" L{xb:.1f} {yb:.1f}"
        else:
            middle = 0.5 * (xa + xb)
            path += f" C{middle:.1f} {ya:.1f} {middle:.1f} {yb:.1f} {xb:.1f} {yb:.1f}"
    x, y = points[-1]
    head = f" M{x - 4:.1f} {y - 3.5:.1f} L{x + 3:.1f} {y:.1f} L{x - 4:.1f} {y + 3.5:.1f}"
    verb = "rests on" if kind == "rests" else "is sharper than"
    title = html.escape(f"{edge[1]} {verb} {edge[0]}: {why}")
    return f'<path class="{kind}"{stroke} d="{path}{head}"><title>{title}</title></path>'


def _box(node: Node, x: float, y: float) -> str:
    top = y - TALL / 2
    kind, round_by = ("closed", 16) if node.id in CLOSED_FORMS else ("absent", 5)
    frame, label = f'class="box {kind}"', _without_rows(node.id)
    if node.verdict is not None:
        frame, round_by = f'class="box" stroke="{node.colour}"', 5
        label = f"{MARKS[node.verdict]} {node.verdict}"
    size = f'width="{BOX:g}" height="{TALL:g}" rx="{round_by}"'
    parts = [f'<rect {frame} x="{x:.1f}" y="{top:.1f}" {size}/>', *_band(node, x, top)]
    left = BOX - 20.0 - 1.12 * _width(node.id, 12.5)  # what the id leaves of the first line
    parts.append(_text(x + 12, top + 15, "id", node.id))
    parts.append(_text(x + BOX - 6, top + 15, "soft", label, "end", (left, 10.0)))
    parts.append(_text(x + 12, top + 30, "", _shortened(node.name), room=(BOX - 18.0, 10.5)))
    parts.append(f"<title>{html.escape(node.tooltip)}</title>")
    body = "".join(parts)
    if node.verdict is None:
        return f"<g>{body}</g>"
    return f'<a href="#claim-{html.escape(node.id.replace(" ", ""))}">{body}</a>'


def _band(node: Node, x: float, top: float) -> list[str]:
    """The left edge of a box: its verdicts over all cases in proportion, the worst on top."""
    total, parts = sum(node.counts.values()), []
    for outcome in _WORST_FIRST:
        if node.counts.get(outcome):
            tall = TALL * node.counts[outcome] / total
            place = f'x="{x:.1f}" y="{top:.1f}" width="6" height="{tall:.1f}"'
            parts.append(f'<rect fill="{COLOURS[outcome]}" {place}/>')
            top += tall
    return parts


def _shortened(name: str, limit: int = 24) -> str:
    return name if len(name) <= limit else name[: limit - 1].rstrip() + "…"


# Widths in ems of DejaVu Sans, rounded up: no wider sans serif is in common use. Bold takes 1.12.
_EMS = {
    **dict.fromkeys("iljtfrI.,:;'|!()[] ", 0.42),
    **dict.fromkeys("wM", 0.87),
    **dict.fromkeys("mW%✓✗∅", 1.0),
}


def _width(words: str, size: float) -> float:
    """About the most that words take up, at a font size."""
    return size * sum(_EMS.get(c, 0.79 if c.isupper() else 0.64) for c in words)


def _text(
    x: float,
    y: float,
    kind: str,
    words: str,
    anchor: str = "start",
    room: tuple[float, float] | None = None,
) -> str:
    """Words at a place; room: the width that they must not exceed, and their font size."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    if room is not None and _width(words, room[1]) > room[0]:
        place += f' textLength="{room[0]:.1f}" lengthAdjust="spacingAndGlyphs"'
    return f'<text class="{kind}" {place}>{html.escape(words)}</text>'


def _legend(nodes: Mapping[str, Node], y: float) -> str:
    """The verdicts that occur, and what the two kinds of line mean."""
    parts, x = [], MARGIN
    for outcome in Outcome:
        if any(node.verdict is outcome for node in nodes.values()):
            swatch = f'x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" rx="2"'
            parts.append(f'<rect fill="{COLOURS[outcome]}" {swatch}/>')
            parts.append(_text(x + 15, y, "", f"{MARKS[outcome]} {outcome}"))
            x += 55.0 + 6.0 * len(outcome)
    for kind, words in (("rests", "rests on"), ("sharper", "ours, sharper than")):
        parts.append(f'<path class="{kind}" d="M{x:.1f} {y - 4:.1f} l28 0"/>')
        parts.append(_text(x + 34, y, "", words))
        x += 110.0
    return "".join(parts)
