"""Scores of very many modes of one variance on a line, in the plane and in space, at low noise.

A tree. Modes lie in leaves of LEAF, leaves in groups of LEAF, each with its bounding box and
weight. A box whose weight at its nearest point lies `need` bits below the largest mode found is
passed over: boxes passed over together have less than 2^-need times their number of the weight.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import LN2, exp2, fma, larger, wide
from .compiling import cached, on_tile, over_rows
from .panels import BAND
from .products import LEFT_OUT

LEAF, RUN = 64, 512  # modes, and so many at most in one go
SHARE = LEFT_OUT / 4  # about the middle of the means |x| + max|alpha mu| is four times as large
_BITS = 16  # of a coordinate in the order of the modes
NODES, MODES, EXPONENTIALS = 0, 1, 2  # columns of `work`


class Tree(NamedTuple):
    """modes ((d + 1) L LEAF,): their coordinates, and their log2 weights, -inf of those that fill
    the last leaf. boxes ((2 d + 1) P,), P a multiple of LEAF: the low ends of the leaves by
    coordinate, their high ends, and their weights in bits, -inf of those that fill the last group;
    groups: of the groups. far: the largest |mu|. need, in bits."""

    modes: Any
    boxes: Any
    groups: Any
    far: float
    need: float


def tree(means: Any, log_weights: Any) -> Tree:
    """The tree of means (N, d), d <= 3, in an order in which near ones are near, and their natural
    log weights (N,)."""
    d = means.shape[1]
    points, lw = _filled(means, log_weights / LN2)
    boxes, mass = _boxes(points[:, None], lw)
    need = math.log2(len(mass)) + math.log2(4.0 / SHARE) + 1.0
    ends, mass = _filled(boxes.reshape(len(mass), 2 * d), mass)
    groups, whole = _boxes(ends.reshape(-1, 2, d), mass)
    group_ends, whole = _filled(groups.reshape(len(whole), 2 * d), whole)
    far = math.sqrt(float(np.square(means).sum(axis=1).max())) * (1.0 + 1e-12)
    flat: Any = [
        np.concatenate([*rows.T, w])
        for rows, w in ((points, lw), (ends, mass), (group_ends, whole))
    ]
    modes, leaves, whole = flat
    return Tree(modes, leaves, whole, far, need)


def _filled(rows: Any, lw: Any) -> tuple[Any, Any]:
    """Rows and log weights to whole LEAFs: the last again, of no weight."""
    count = len(rows)
    wanted = np.arange(-(-count // LEAF) * LEAF)
    at = np.minimum(wanted, count - 1)
    return rows[at], np.where(wanted < count, lw[at], -np.inf)


def _boxes(ends: Any, lw: Any) -> tuple[Any, Any]:
    """Boxes (L, 2, d) and weights in bits (L,) of LEAFs of points or boxes (L LEAF, 1 or 2, d)."""
    parts = ends.reshape(len(lw) // LEAF, -1, ends.shape[2])
    mass = np.logaddexp2.reduce(lw.reshape(-1, LEAF), axis=1)
    return np.stack([parts.min(axis=1), parts.max(axis=1)], axis=1), mass


def near_order(means: Any) -> Any:
    """(N,) an order in which near modes (N, d) are near each other: by the bits of the coordinates
    in turn."""
    low, size = means.min(axis=0), max(float(np.ptp(means, axis=0).max()), 1e-300)
    cells = np.minimum((means - low) / size * 2**_BITS, 2**_BITS - 1).astype(np.int64)
    out, d = np.zeros(len(means), np.int64), means.shape[1]
    for bit in range(_BITS):
        for j in range(d):
            out |= ((cells[:, j] >> bit) & 1) << (bit * d + j)
    return np.argsort(out)


@on_tile
def _bounds(x, alpha, h, boxes, begin, out):
    """out (LEAF,) = the logits that boxes from `begin` on may hold at most together."""
    wide()
    d = x.shape[0]
    many = boxes.shape[0] // (2 * d + 1)
    for q in range(LEAF):
        out[q] = 0.0
    for j in range(d):
        xj, low = x[j], boxes[j * many + begin : j * many + begin + LEAF]
        high = boxes[(d + j) * many + begin : (d + j) * many + begin + LEAF]
        for q in range(LEAF):
            u = larger(larger(fma(alpha, low[q], -xj), fma(-alpha, high[q], xj)), 0.0)
            out[q] = fma(u, u, out[q])
    minus_h, mass = -h * (1.0 - 2.0**-44), boxes[2 * d * many + begin :]
    for q in range(LEAF):
        out[q] = fma(minus_h, out[q], mass[q])


@on_tile
def _nearest(bound):
    found = 0
    for q in range(1, LEAF):
        found = q if bound[q] > bound[found] else found
    return found


@on_tile
def _largest(z, count, half):
    """The largest of the first of z, side by side in half (LEAF / 2,), then two by two."""
    wide()
    for q in range(LEAF // 2):
        half[q] = z[q]
    for begin in range(LEAF // 2, count, LEAF // 2):
        row = z[begin : begin + LEAF // 2]
        for q in range(LEAF // 2):
            half[q] = larger(half[q], row[q])
    for q in range(LEAF // 4):
        half[q] = larger(half[q], half[q + LEAF // 4])
    best = half[0]
    for q in range(1, LEAF // 4):
        best = larger(best, half[q])
    return best


@on_tile
def _logits(x, alpha, h, modes, begin, count, z):
    """z = logits of `count` modes from `begin` on."""
    wide()
    points = modes.shape[0] // (x.shape[0] + 1)
    for q in range(count):
        z[q] = 0.0
    for j in range(x.shape[0]):
        row, xj = modes[j * points + begin : j * points + begin + count], x[j]
        for q in range(count):
            u = fma(alpha, row[q], -xj)
            z[q] = fma(u, u, z[q])
    lw = modes[x.shape[0] * points + begin :]
    for q in range(count):
        z[q] = fma(-h, z[q], lw[q])


@on_tile
def _add_modes(x, alpha, modes, begin, count, z, top, sums):
    """What these modes add to sums ((d + 1) RUN,): their pulls by coordinate, and their weights
    2^(z - top), side by side."""
    wide()
    points, total = modes.shape[0] // (x.shape[0] + 1), sums[x.shape[0] * RUN :]
    for q in range(count):
        e = exp2(z[q] - top)
        z[q] = e
        total[q] += e
    for j in range(x.shape[0]):
        row, add, xj = modes[j * points + begin :], sums[j * RUN : (j + 1) * RUN], x[j]
        for q in range(count):
            add[q] = fma(z[q], fma(alpha, row[q], -xj), add[q])


@on_tile
def joined(values, count):
    """The sum of the first values, a multiple of BAND of them, side by side, then two by two."""
    wide()
    for begin in range(BAND, count, BAND):
        for q in range(BAND):
            values[q] += values[begin + q]
    for q in range(BAND // 2):
        values[q] += values[q + BAND // 2]
    for q in range(BAND // 4):
        values[q] += values[q + BAND // 4]
    total = values[0]
    for q in range(1, BAND // 4):
        total += values[q]
    return total


@on_tile
def sum_tree(x, alpha, h, modes, boxes, groups, need, space, pull, work):
    """pull (d,) = sum_k gamma_k (alpha mu_k - x), of all modes that may be felt."""
    d, count = x.shape[0], modes.shape[0] // ((x.shape[0] + 1) * LEAF)
    z, half, sums = space[:RUN], space[RUN : 2 * RUN], space[4 * RUN :]
    outer, inner = space[2 * RUN : 2 * RUN + LEAF], space[3 * RUN : 3 * RUN + LEAF]
    sums[:] = 0.0
    top = _logit_nearby(x, alpha, h, modes, boxes, groups, outer, inner, z, half)
    visited = 0
    for chapter in range(0, groups.shape[0] // (2 * d + 1), LEAF):
        _bounds(x, alpha, h, groups, chapter, outer)
        for group in range(chapter, chapter + LEAF):
            if outer[group - chapter] < top - need:
                continue
            _bounds(x, alpha, h, boxes, group * LEAF, inner)
            begin, last = 0, min(LEAF, count - group * LEAF)
            while begin < last:
                # The longest run of leaves that may be felt.
                end = begin
                while end < last and (end - begin) * LEAF < RUN and inner[end] >= top - need:
                    end += 1
                if end > begin:
                    first, many = (group * LEAF + begin) * LEAF, (end - begin) * LEAF
                    _logits(x, alpha, h, modes, first, many, z)
                    most = _largest(z, many, half)
                    if most > top:
                        sums *= exp2(top - most)
                        top = most
                    _add_modes(x, alpha, modes, first, many, z, top, sums)
                    visited += many
                begin = max(end, begin + 1)
    work[MODES] += visited
    work[EXPONENTIALS] += visited
    total = joined(sums[d * RUN :], RUN)
    for j in range(d):
        pull[j] = joined(sums[j * RUN :], RUN) / total


@on_tile
def _logit_nearby(x, alpha, h, modes, boxes, groups, outer, inner, z, half):
    """The largest logit of a leaf that holds much."""
    best, group = -np.inf, 0
    for chapter in range(0, groups.shape[0] // (2 * x.shape[0] + 1), LEAF):
        _bounds(x, alpha, h, groups, chapter, outer)
        q = _nearest(outer)
        if outer[q] > best:
            best, group = outer[q], chapter + q
    _bounds(x, alpha, h, boxes, group * LEAF, inner)
    _logits(x, alpha, h, modes, (group * LEAF + _nearest(inner)) * LEAF, LEAF, z)
    return _largest(z, LEAF, half)


@cached
def tree_rows(begin, end, out, work, x, alpha, h, tree, scale):
    """out (n, d) = scale times the pull at x (n, d), rows begin..end."""
    space, given = np.empty((5 + x.shape[1]) * RUN), tree[:3]
    for i in range(begin, end):
        sum_tree(x[i], alpha, h, *given, tree.need, space, out[i], work[i])
        for j in range(x.shape[1]):
            out[i, j] *= scale


def tree_pull(x: Any, scale: float, alpha: float, h: float, tree: Tree) -> tuple[Any, Any]:
    """scale times the pull (n, d) of x (n, d) by the tree, and the work (3,)."""
    out, work = np.empty(x.shape), np.zeros((len(x), 3), np.int64)
    over_rows(tree_rows, 1000.0 * x.shape[1], out, work, x, alpha, h, tree, scale)
    return out, work.sum(axis=0)
