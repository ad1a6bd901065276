"""Layered layout of an acyclic graph: columns from left to right, few crossings, straight edges.

Columns by longest path, crossings reduced by barycentres, places by averaging under a least
distance (Sugiyama, Tagawa and Toda 1981). Everything is deterministic.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Edge = tuple[str, str]
Item = str | tuple[str, str, int]  # a node, or where an edge passes a column

_SWEEPS = 24
_PASSING = 0.45  # room for an edge that passes a column, where a node takes 1


@dataclass(frozen=True)
class Layout:
    """column and place (in node heights, from 0) of every node; the places at which each edge
    passes the columns between its ends."""

    column: Mapping[str, int]
    place: Mapping[str, float]
    passing: Mapping[Edge, Sequence[float]]
    columns: int
    height: float


def lay_out(nodes: Sequence[str], edges: Iterable[Edge]) -> Layout:
    """A layout of the nodes, `edges` leading from foundation to result.

    Edges to unknown nodes are left out. Raises ValueError for a cycle.
    """
    known = [(a, b) for a, b in dict.fromkeys(edges) if a in nodes and b in nodes]
    column = _columns(nodes, known)
    chains = {edge: _chain(edge, column) for edge in known}
    links = [pair for chain in chains.values() for pair in itertools.pairwise(chain)]
    items = list(dict.fromkeys([*nodes, *(item for chain in chains.values() for item in chain)]))
    by_column: list[list[Item]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for item in items:
        by_column[_column_of(item, column)].append(item)
    order = _order(by_column, links)
    place = _places(order, links)
    lowest = min((place[i] - _room(i) / 2 for i in items), default=0.0)
    place = {item: value - lowest for item, value in place.items()}
    return Layout(
        column=column,
        place={name: place[name] for name in nodes},
        passing={edge: [place[item] for item in chain[1:-1]] for edge, chain in chains.items()},
        columns=len(by_column),
        height=max((place[i] + _room(i) / 2 for i in items), default=0.0),
    )


def _columns(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Longest path from a source; sources stand right before their first use."""
    column = dict.fromkeys(nodes, 0)
    for _ in range(len(nodes) + 1):
        moved = False
        for a, b in edges:
            if column[b] <= column[a]:
                column[b], moved = column[a] + 1, True
        if not moved:
            break
    else:
        raise ValueError("the dependencies of the claims run in a circle")
    targets = {b for _, b in edges}
    for name in nodes:
        uses = [column[b] for a, b in edges if a == name]
        if name not in targets and uses:
            column[name] = min(uses) - 1
    return column


def _chain(edge: Edge, column: Mapping[str, int]) -> list[Item]:
    a, b = edge
    return [a, *((a, b, k) for k in range(column[a] + 1, column[b])), b]


def _column_of(item: Item, column: Mapping[str, int]) -> int:
    return column[item] if isinstance(item, str) else item[2]


def _neighbours(links: Sequence[tuple[Item, Item]]) -> dict[Item, tuple[list[Item], list[Item]]]:
    """Of every item those before it and those after it."""
    found: dict[Item, tuple[list[Item], list[Item]]] = {}
    for a, b in links:
        found.setdefault(a, ([], []))[1].append(b)
        found.setdefault(b, ([], []))[0].append(a)
    return found


def _order(by_column: list[list[Item]], links: Sequence[tuple[Item, Item]]) -> list[list[Item]]:
    """Sweep left and right, each column sorted by its neighbours' mean rank; keep the best."""
    near = _neighbours(links)
    order = best = [list(items) for items in by_column]
    fewest = _crossings(order, links)
    for sweep in range(_SWEEPS):
        order = [list(items) for items in order]
        forward = sweep % 2 == 0
        columns = range(1, len(order)) if forward else range(len(order) - 2, -1, -1)
        for k in columns:
            beside = order[k - 1 if forward else k + 1]
            rank = {item: float(r) for r, item in enumerate(beside)}
            own = {item: float(r) for r, item in enumerate(order[k])}
            order[k].sort(key=lambda i: _mean_rank(near, rank, own, i, forward))
        count = _crossings(order, links)
        if count < fewest:
            best, fewest = order, count
    return best


def _mean_rank(
    near: Mapping[Item, tuple[list[Item], list[Item]]],
    rank: Mapping[Item, float],
    own: Mapping[Item, float],
    item: Item,
    forward: bool,
) -> float:
    before, after = near.get(item, ([], []))
    ranks = [rank[other] for other in (before if forward else after) if other in rank]
    return sum(ranks) / len(ranks) if ranks else own[item]


def _crossings(order: Sequence[Sequence[Item]], links: Sequence[tuple[Item, Item]]) -> int:
    rank = {item: r for items in order for r, item in enumerate(items)}
    column = {item: k for k, items in enumerate(order) for item in items}
    total = 0
    for k in range(len(order) - 1):
        spans = [(rank[a], rank[b]) for a, b in links if column[a] == k]
        for m, (a, b) in enumerate(spans):
            total += sum((a - c) * (b - d) < 0 for c, d in spans[m + 1 :])
    return total


def _room(item: Item) -> float:
    return 1.0 if isinstance(item, str) else _PASSING


def _places(
    order: Sequence[Sequence[Item]], links: Sequence[tuple[Item, Item]]
) -> dict[Item, float]:
    """Every item near the mean of its neighbours, none nearer to the next than rooms allow."""
    near = _neighbours(links)
    place: dict[Item, float] = {}
    for items in order:
        place |= zip(items, _spaced([0.0] * len(items), items), strict=True)
    for sweep in range(2 * _SWEEPS):
        for items in order if sweep % 2 == 0 else reversed(order):
            wish = []
            for item in items:
                beside = [place[other] for side in near.get(item, ([], [])) for other in side]
                wish.append(sum(beside) / len(beside) if beside else place[item])
            place |= zip(items, _spaced(wish, items), strict=True)
    return place


def _spaced(wish: Sequence[float], items: Sequence[Item]) -> list[float]:
    """The places closest to the wishes in least squares that keep order and distances.

    With the needed offsets subtracted this is isotonic regression: pool adjacent violators.
    """
    offsets, at = [], 0.0
    for k, item in enumerate(items):
        at += 0.0 if k == 0 else (_room(items[k - 1]) + _room(item)) / 2
        offsets.append(at)
    blocks: list[list[float]] = []  # sum, count
    for target, offset in zip(wish, offsets, strict=True):
        blocks.append([target - offset, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    level = [total / count for total, count in blocks for _ in range(int(count))]
    return [a + b for a, b in zip(level, offsets, strict=True)]
