"""Branch and bound: boxes are cut up until a statement is settled on all of them, or one is not.

A statement is a function of boxes that encloses what has to be positive. The pieces that settle it
are a tree of halvings, kept as a string: a certificate that anybody can replay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, IntArray

from .interval import Interval

_BATCH = 2048
_TRIED = 8  # centres a batch at which a counterexample is looked for
LEAF = "."

Statement = Callable[[Interval], Interval]  # (n, k) boxes -> (n,) what has to be positive
Watch = Callable[[int, int], None]  # boxes looked at, boxes waiting


class Outcome(StrEnum):
    """What a search found."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Budget:
    """When to give up. boxes: how many are looked at; seconds: of wall time."""

    boxes: int = 200_000
    seconds: float = 10.0


@dataclass(frozen=True)
class Decision:
    """What was found over a box.

    box (k, 2); tree: the halvings that prove it, see `leaves`; boxes: how many were looked at;
    least: below what has to be positive, over the leaves settled so far; point (k,): where it is
    not positive, proved; worst (k, 2): the unsettled box with the least bound.
    """

    outcome: Outcome
    box: Array
    boxes: int
    seconds: float
    least: float
    tree: str = ""
    point: Array | None = None
    worst: Array | None = None

    def __bool__(self) -> bool:
        return self.outcome is Outcome.PROVED

    def data(self) -> dict[str, Any]:
        """As a certificate keeps it: doubles as hexadecimal text."""
        return {"box": hexed(self.box), "tree": self.tree}


def hexed(values: ArrayLike) -> Any:
    """Doubles as hexadecimal text, in nested lists."""
    array = np.asarray(values, dtype=np.float64)
    return float(array).hex() if array.ndim == 0 else [hexed(one) for one in array]


def leaves(box: ArrayLike, tree: str) -> Iterator[Array]:
    """The boxes (k, 2) of a tree: in preorder, '.' is a leaf and a digit the coordinate in which a
    box is cut at 0.5 (lo + hi), as rounded; lower half first. ValueError for what is no tree."""
    waiting = [np.array(box, dtype=np.float64)]
    for letter in tree:
        if not waiting:
            raise ValueError("the tree goes on behind its last leaf")
        one = waiting.pop()
        if letter == LEAF:
            yield one
        else:
            k = int(letter)
            cut = 0.5 * (one[k, 0] + one[k, 1])
            below, above = one.copy(), one.copy()
            below[k, 1] = above[k, 0] = cut
            waiting += [above, below]
    if waiting:
        raise ValueError("the tree ends before its last leaf")


class _Nodes:
    """The halvings so far: the coordinate of each cut, -1 for none yet, and its lower half."""

    def __init__(self) -> None:
        self.axis, self.child = np.full(1, -1), np.zeros(1, dtype=np.int64)

    def cut(self, nodes: IntArray, axes: IntArray) -> IntArray:
        """The lower halves; the upper ones follow each."""
        first = len(self.axis) + 2 * np.arange(len(nodes))
        self.axis[nodes], self.child[nodes] = axes, first
        more = 2 * len(nodes)
        self.axis = np.concatenate([self.axis, np.full(more, -1)])
        self.child = np.concatenate([self.child, np.zeros(more, dtype=np.int64)])
        return first

    def text(self) -> str:
        """The tree, see `leaves`."""
        waiting, found = [0], []
        while waiting:
            node = waiting.pop()
            axis = int(self.axis[node])
            found.append(LEAF if axis < 0 else str(axis))
            if axis >= 0:
                child = int(self.child[node])
                waiting += [child + 1, child]
        return "".join(found)


def decide(
    statement: Statement,
    box: ArrayLike,
    budget: Budget | None = None,
    *,
    scale: ArrayLike | None = None,
    watch: Watch | None = None,
) -> Decision:
    """Whether `statement` is positive all over the box (k, 2), k <= 10.

    scale (k,): the widest side relative to it is halved; the box's own sides when omitted. Sides of
    width 0 stay whole. Refuted is proved at a point, of the box and of doubles. An interrupt passes
    through, between two batches.
    """
    whole = np.array(box, dtype=np.float64)
    limit, begun = budget or Budget(), time.perf_counter()
    size = np.ptp(whole, axis=1) if scale is None else np.asarray(scale, dtype=np.float64)
    size = np.where(size > 0.0, size, 1.0)
    nodes = _Nodes()
    stack: list[tuple[IntArray, Array]] = [(np.zeros(1, dtype=np.int64), whole[None])]
    looked, waiting, least = 0, 1, np.inf

    def found(outcome: Outcome, **more: Any) -> Decision:
        spent = time.perf_counter() - begun
        return Decision(outcome, whole, looked, spent, float(least), **more)

    while stack:
        at, boxes = stack.pop()
        if len(at) > _BATCH:
            stack.append((at[_BATCH:], boxes[_BATCH:]))
            at, boxes = at[:_BATCH], boxes[:_BATCH]
        low = _bound(statement, boxes).lo
        looked, waiting = looked + len(at), waiting - len(at)
        settled = low > 0.0
        least = min(least, float(low[settled].min(initial=np.inf)))
        at, boxes, low = at[~settled], boxes[~settled], low[~settled]
        if watch is not None:
            watch(looked, waiting + len(at))
        if not len(at):
            continue
        order = np.argsort(np.where(np.isnan(low), -np.inf, low))[:_TRIED]
        centres = boxes[order].mean(axis=-1)
        wrong = _bound(statement, np.stack([centres, centres], axis=-1)).hi <= 0.0
        if wrong.any():
            return found(Outcome.REFUTED, point=centres[np.argmax(wrong)])
        axes, halves, thin = _halved(boxes, size)
        spent = time.perf_counter() - begun
        if thin or looked + waiting + len(halves) > limit.boxes or spent > limit.seconds:
            return found(Outcome.UNDECIDED, worst=boxes[order[0]])
        first = nodes.cut(at, axes)
        stack.append((np.stack([first, first + 1], axis=1).ravel(), halves))
        waiting += len(halves)
    return found(Outcome.PROVED, tree=nodes.text())


def _halved(boxes: Array, size: Array) -> tuple[IntArray, Array, bool]:
    """Of boxes (n, k, 2), each cut across its widest side over size (k,): those sides (n,), the
    halves (2n, k, 2), lower ones first, and whether a side holds no double to cut it at."""
    axes, rows = np.argmax(np.ptp(boxes, axis=-1) / size, axis=1), np.arange(len(boxes))
    low, high = boxes[rows, axes].T
    cut = 0.5 * (low + high)
    halves = np.repeat(boxes, 2, axis=0)
    halves[2 * rows, axes, 1] = halves[2 * rows + 1, axes, 0] = cut
    return axes, halves, bool(((cut <= low) | (cut >= high)).any())


def _bound(statement: Statement, boxes: Array) -> Interval:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        return statement(Interval(boxes[..., 0], boxes[..., 1]))
