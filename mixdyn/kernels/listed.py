"""Sums over those of very many modes of one variance that are listed, one by one, from differences.

Which modes a sample sums is a bit of a mask, (N, 2) words for the samples of a tile: a mode that
any of them sums is read once for all.
"""

from __future__ import annotations

import numpy as np

from .arithmetic import exp2, fma
from .compiling import TILE, on_tile
from .panels import ROWS, lowest
from .rows import add_gap, gap_square

BLOCK = 32  # modes that lie in a cache together, while one sample after the other reads its own


@on_tile
def mode_of(a, modes, k, alpha):
    """a (d,) = alpha mu_k."""
    d = a.shape[0]
    width = -(-d // ROWS) * ROWS
    begin = k * width
    for j in range(d):
        a[j] = fma(alpha, modes.centred[begin + j], alpha * modes.centre[j])


@on_tile
def take(masks, k, b, keep):
    """Mode k kept, or not, for sample b."""
    bit, word = np.uint64(1) << np.uint64(b % 64), masks[k, b // 64]
    masks[k, b // 64] = word | bit if keep else word & ~bit


@on_tile
def take_all(masks, b, keep):
    """Every mode kept, or none."""
    for k in range(masks.shape[0]):
        take(masks, k, b, keep)


@on_tile
def _read(modes, first, alpha, masks, active, a, any_of):
    """a (BLOCK, d) = those modes from `first` on that some sample has listed; any_of (2,), the bits
    of these samples; how many modes there are."""
    count = min(BLOCK, masks.shape[0] - first)
    any_of[:] = np.uint64(0)
    for q in range(count):
        one, two = masks[first + q, 0] & active[0], masks[first + q, 1] & active[1]
        any_of[0] |= one
        any_of[1] |= two
        if one | two != np.uint64(0):
            mode_of(a[q], modes, first + q, alpha)
    return count


@on_tile
def _weigh(x, active, modes, alpha, h, masks, a, any_of, z, owner, nearest):
    """z (kept,) = the logits of all that is listed, in the order in which they are met; the largest
    of each sample, and its mode."""
    at = 0
    for first in range(0, masks.shape[0], BLOCK):
        count = _read(modes, first, alpha, masks, active, a, any_of)
        for half in range(2):
            while any_of[half] != np.uint64(0):
                place = lowest(any_of[half])
                b, bit = 64 * half + place, np.uint64(1) << np.uint64(place)
                any_of[half] &= ~bit
                for q in range(count):
                    if masks[first + q, half] & bit != np.uint64(0):
                        z[at] = fma(-h, gap_square(x[b], a[q]), modes.lw[first + q])
                        if z[at] > nearest[b]:
                            nearest[b], owner[b] = z[at], first + q
                        at += 1


@on_tile
def _add(x, active, modes, alpha, below, masks, a, any_of, z, nearest, kept, gap, total, move):
    """total (TILE,) and move (TILE, d): the sums of what is listed, but for what leaves."""
    at = 0
    for first in range(0, masks.shape[0], BLOCK):
        count = _read(modes, first, alpha, masks, active, a, any_of)
        for half in range(2):
            while any_of[half] != np.uint64(0):
                place = lowest(any_of[half])
                b, bit = 64 * half + place, np.uint64(1) << np.uint64(place)
                any_of[half] &= ~bit
                for q in range(count):
                    if masks[first + q, half] & bit != np.uint64(0):
                        under = nearest[b] - z[at]
                        at += 1
                        if under > below:
                            masks[first + q, half] &= ~bit
                            kept[b] -= 1
                            gap[b] = min(gap[b], under)
                        else:
                            e = exp2(-under)
                            total[b] += e
                            add_gap(e, x[b], a[q], move[b])


@on_tile
def sum_listed(
    x, listed, active, modes, alpha, h, below, masks, kept, owner, nearest, gap, move
):  # fmt: skip
    """The pull of the samples in the bits `active` (2,), of the modes in their masks; those further
    than `below` under the largest leave, and `gap` is how far they all are at least."""
    count, d = 0, x.shape[1]
    for b in range(TILE):
        if listed[b]:
            count += kept[b]
            nearest[b], move[b] = -np.inf, 0.0
    z, total = np.empty(count), np.zeros(TILE)
    a, any_of = np.empty((BLOCK, d)), np.zeros(2, np.uint64)
    _weigh(x, active, modes, alpha, h, masks, a, any_of, z, owner, nearest)
    _add(x, active, modes, alpha, below, masks, a, any_of, z, nearest, kept, gap, total, move)
    for b in range(TILE):
        if listed[b]:
            for j in range(d):
                move[b, j] /= total[b]
