"""Scores of very many modes of one variance: all of them in single precision, in double those that
can be felt.

In single precision the logits of `products` are off by at most

    (K + 4) 2^-24 (2 h alpha |x'| max|mu'| + max|b|),

K the longest chain of roundings (4 for both factors, b and the last sum). A mode that lies below
the largest by `need` and twice this is in truth below it by `need`, and is dropped; for those that
stay all is summed in double, from differences. The dropped modes have less than N 2^-need of the
weight together, and shift the pull by no more than this times 2 alpha max|mu'|.

Held. Let every dropped mode k lie at least M below a mode j that stays. A step without noise takes
y = x/alpha to c y + (1 - c) m, m the mean that is felt, and for every such point y' and every mu

    |y' - mu|^2 = c |y - mu|^2 + (1 - c) |m - mu|^2 - c (1 - c) |y - m|^2.

So with h', alpha' of the next level and R = c h' alpha'^2/(h alpha^2), where 0 <= c <= 1, every k
is below j by at least

    R M - |1 - R| (max lw - min lw) - h' alpha'^2 (1 - c) |m - mu_j|^2,

and until this is less than `need` no dropped mode is looked at: on a path that one mode owns it
only grows. Noise nu in y takes h' alpha'^2 (|nu|^2/(1 - c) + 2 |nu| |m - mu_j|) more.

Whole. Reading one mode of a list takes as long as several of a product. So a sample that feels many
sums all of them, unless the bound of their rounding is above the target: then it sums its list.

What is decided, is decided sample by sample, so that its bits do not depend on its tile.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import fma
from .compiling import TILE, cached, on_tile, over_rows
from .listed import mode_of, sum_listed, take, take_all
from .noise import STREAM_STEP, normal_rows
from .panels import LANES, ROWS
from .products import (
    CHUNK,
    PIECE_SINGLE,
    Modes,
    chain,
    distance,
    gather,
    product,
    sum_whole,
)

_SPARE = 6.0  # bits: kept beyond need, so that they hold
_WHOLE, _PROBED = 6, 16  # whole from N/6 on; judged after N/16 where all samples are
_UNIT_SINGLE = 2.0**-24
_TRUST = 2.0**-46  # of the largest exponent: more than the rounding of exponents and of states
SCREENED, SUMMED, LISTED = 0, 1, 2  # columns of `work`: modes in single, in products, one by one


class _Room(NamedTuple):
    """Where a tile is worked on: rows, move (TILE, d); packed (d TILE,) in both precisions, pull
    (width TILE,), logit (CHUNK TILE,) in both; biases (N,); masks (N, 2) and their number `kept`;
    owner, the largest mode; gap, how far below it the dropped ones are at least; whether a sample
    is listed, and is to be summed finer."""

    rows: Any
    move: Any
    packed: Any
    packed_single: Any
    pull: Any
    logit: Any
    logit_single: Any
    biases: Any
    masks: Any
    kept: Any
    owner: Any
    nearest: Any
    gap: Any
    listed: Any
    fine: Any
    chosen: Any


@on_tile
def _room(n_modes, d):
    width = -(-d // ROWS) * ROWS
    return _Room(
        np.empty((TILE, d)), np.empty((TILE, d)), np.empty(d * TILE),
        np.empty(d * TILE, np.float32), np.empty(width * TILE), np.empty(CHUNK * TILE),
        np.empty(CHUNK * TILE, np.float32), np.empty(n_modes), np.zeros((n_modes, 2), np.uint64),
        np.zeros(TILE, np.int64), np.zeros(TILE, np.int64), np.empty(TILE), np.empty(TILE),
        np.zeros(TILE, np.bool_), np.zeros(TILE, np.bool_), np.zeros(TILE, np.int64),
    )  # fmt: skip


@on_tile
def _screen(room, count, modes, alpha, h):
    """The modes of the `count` chosen samples that stay, to masks, and their number to `kept`; how
    many were looked at. `owner`: the largest mode of the step before, which is nearly the largest,
    or -1."""
    x, chosen, kept, owner, logit = room.rows, room.chosen, room.kept, room.owner, room.logit_single
    n_modes, d = room.masks.shape[0], x.shape[1]
    best, below, largest = np.empty(TILE, np.float32), np.empty(TILE, np.float32), 0.0
    for k in range(n_modes):
        largest = max(largest, abs(room.biases[k]))
    columns = gather(x, chosen, count, modes.centre, alpha, 2.0 * h * alpha, room.packed_single)
    for b in range(count):
        size = 2.0 * h * alpha * distance(x[chosen[b]], modes.centre, alpha) * modes.reach
        off = (chain(d, PIECE_SINGLE) + 4.0) * _UNIT_SINGLE * (size + largest)
        best[b], below[b] = -np.inf, modes.need + _SPARE + 2.0 * off
        if owner[chosen[b]] >= 0:
            best[b] = _logit(x[chosen[b]], modes, owner[chosen[b]], room.biases, alpha, h)
        kept[chosen[b]] = 0
        take_all(room.masks, chosen[b], False)
    probe = (n_modes // _PROBED // CHUNK + 1) * CHUNK
    for first in range(0, n_modes, CHUNK):
        if first == probe and _whole_by(kept, chosen, count, owner, first, n_modes):
            return first
        product(modes.single, first * d, d, room.packed_single, logit, d, PIECE_SINGLE, columns)
        for q in range(min(CHUNK, n_modes - first)):
            bias, row = np.float32(room.biases[first + q]), logit[q * TILE : (q + 1) * TILE]
            for b in range(count):
                row[b] += bias
                best[b] = max(best[b], row[b])
            for b in range(count):
                if row[b] >= best[b] - below[b]:
                    take(room.masks, first + q, chosen[b], True)
                    kept[chosen[b]] += 1
    return n_modes


@on_tile
def _logit(x, modes, k, biases, alpha, h):
    """z_k of one sample."""
    begin, total = k * (-(-x.shape[0] // ROWS) * ROWS), 0.0
    for j in range(x.shape[0]):
        total = fma(x[j] - alpha * modes.centre[j], modes.centred[begin + j], total)
    return fma(2.0 * h * alpha, total, biases[k])


@on_tile
def _whole_by(kept, chosen, count, owner, seen, n_modes):
    """Whether all are whole; those that are by now, in knowledge of a large mode, stay so."""
    whole = 0
    for b in range(count):
        if owner[chosen[b]] >= 0 and _WHOLE * kept[chosen[b]] > seen:
            kept[chosen[b]] = n_modes
            whole += 1
    return whole == count


@on_tile
def _held(gap, x, move, a, stepped, shift, scale, here, there, modes, lw_range):
    """What `gap` is at least after a step of factors `stepped` that put noise of norm `shift`;
    x is before it, `a` the owner; here, there: (alpha, h) of both levels."""
    alpha, h = here
    to, h_to = there
    c_x, e = stepped[0], stepped[1] * scale
    if alpha <= 0.0 or to <= 0.0 or abs(c_x * alpha - to) > 1e-12 * to:
        return -np.inf
    c = (c_x - e) * alpha / to
    if c < 0.0 or c > 1.0:
        return -np.inf
    off = size = 0.0
    for j in range(x.shape[0]):
        u = move[j] - (a[j] - x[j])
        off += u * u
        size += x[j] * x[j]
    off, rate = math.sqrt(off) / alpha, c * h_to * to * to / (h * alpha * alpha)
    nu = shift / to
    lost = (1.0 - c) * off * off
    if nu > 0.0:
        lost += nu * nu / max(1.0 - c, 1e-300) + 2.0 * nu * off
    reach = to / alpha * math.sqrt(size) + shift + to * modes.far
    lost = h_to * (to * to * lost + _TRUST * reach * reach)
    return rate * gap - abs(1.0 - rate) * lw_range - lost


@on_tile
def _look(room, size, modes, alpha, h, work):
    """Those samples choose their modes anew whose dropped ones might be felt."""
    for k in range(modes.lw.shape[0]):
        room.biases[k] = fma(-h * alpha * alpha, modes.squares[k], modes.lw[k])
    count = 0
    for b in range(size):
        if not room.gap[b] >= modes.need:
            room.chosen[count] = b
            count += 1
    if count == 0:
        return
    seen = _screen(room, count, modes, alpha, h)
    for i in room.chosen[:count]:
        work[i, SCREENED] += seen
        room.listed[i] = _WHOLE * room.kept[i] <= modes.lw.shape[0]
        room.gap[i] = modes.need + _SPARE if room.listed[i] else -np.inf


@on_tile
def _sum_others(room, size, modes, alpha, h, work):
    """The pull of those that have no list, and lists for those whose pull would be too rough."""
    n_modes, count = modes.lw.shape[0], 0
    for b in range(size):
        if not room.listed[b]:
            room.chosen[count] = b
            count += 1
    # So many columns, their pulls and a chunk of modes fit a second-level cache.
    for part in range(0, count, LANES):
        sum_whole(
            room.rows, room.chosen[part:], min(LANES, count - part), modes, room.biases, alpha, h,
            room.packed, room.logit, room.owner, room.pull, room.move, room.fine,
        )  # fmt: skip
    for i in room.chosen[:count]:
        work[i, SUMMED] += n_modes
        if room.fine[i]:
            room.listed[i] = True
            if room.kept[i] >= n_modes:  # it was found whole before it had looked at all of them
                take_all(room.masks, i, True)
                room.kept[i] = n_modes
            room.gap[i] = modes.need + _SPARE


@on_tile
def _sum_lists(room, size, modes, alpha, h, work):
    """The pull of those that have a list."""
    active = np.zeros(2, np.uint64)
    for b in range(size):
        if room.listed[b]:
            active[b // 64] |= np.uint64(1) << np.uint64(b % 64)
            work[b, LISTED] += room.kept[b]
    below = modes.need + _SPARE
    sum_listed(
        room.rows, room.listed, active, modes, alpha, h, below, room.masks, room.kept, room.owner,
        room.nearest, room.gap, room.move,
    )  # fmt: skip


@on_tile
def _hold(room, b, modes, stepped, xi, here, there, lw_range, a):
    """What the gap of sample b is at least after the step that it is about to take."""
    mode_of(a, modes, room.owner[b], here[0])
    shift = 0.0
    for j in range(a.shape[0]):
        shift += (stepped[2] * xi[j, b]) ** 2
    room.gap[b] = _held(
        room.gap[b], room.rows[b], room.move[b], a, stepped, math.sqrt(shift), stepped[3], here,
        there, modes, lw_range,
    )  # fmt: skip


@cached
def screened_tiles(
    begin, end, x, work, first, seed, plan, times, modes, alphas, hs, lw_range, only_eps
):
    """Rows begin..end of a rollout in place on x (n, d), with the exact score of many modes; with
    `only_eps`, the eps of its only step in their place.

    plan (S, 4), times (S,) uint64, alphas, hs (S,); work (n, 3) counts the modes of each row, all
    steps together, by the precision in which they were looked at.
    """
    d = x.shape[1]
    room, a = _room(modes.lw.shape[0], d), np.empty(d)
    xi, uniform = np.zeros((d + d % 2, TILE)), np.empty((2, TILE))
    for start in range(begin, end, TILE):
        size = min(TILE, end - start)
        counts = work[start : start + size]
        room.rows[:size] = x[start : start + size]
        room.gap[:], room.listed[:], room.owner[:] = -np.inf, False, -1
        for s in range(plan.shape[0]):
            here = alphas[s], hs[s]
            _look(room, size, modes, *here, counts)
            _sum_others(room, size, modes, *here, counts)
            _sum_lists(room, size, modes, *here, counts)
            if only_eps:
                break
            if plan[s, 2] != 0.0:
                normal_rows(xi, uniform, first + np.uint64(start), times[s], STREAM_STEP, seed)
            for b in range(size):
                if room.listed[b] and s + 1 < plan.shape[0]:
                    there = alphas[s + 1], hs[s + 1]
                    _hold(room, b, modes, plan[s], xi, here, there, lw_range, a)
                _advance(room.rows[b], room.move[b], xi, b, plan[s])
        for b in range(size):
            for j in range(d):
                x[start + b, j] = plan[0, 3] * room.move[b, j] if only_eps else room.rows[b, j]


@on_tile
def _advance(x, move, xi, b, plan):
    """Row b by its pull and normals."""
    for j in range(x.shape[0]):
        z = plan[2] * xi[j, b] if plan[2] != 0.0 else 0.0
        x[j] = fma(plan[0], x[j], fma(plan[1], plan[3] * move[j], z))


def screened(
    x: Any, first: Any, seed: Any, plan: Any, times: Any, modes: Modes, *levels: Any, only_eps: bool
) -> Any:
    """All steps of a plan in place on x (n, d), or eps in its place; (3,) modes looked at. levels:
    alphas, hs. See `screened_tiles`."""
    work = np.zeros((len(x), 3), np.int64)
    each = float(modes.centred.size) * len(plan)
    spread = float(np.ptp(modes.lw))
    over_rows(
        screened_tiles, each, x, work, first, seed, plan, times, modes, *levels, spread, only_eps
    )
    return work.sum(axis=0)
