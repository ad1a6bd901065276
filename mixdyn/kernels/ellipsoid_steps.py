"""All the steps of a run with the exact score of modes of any covariances, in one call.

The operations and their order are those of `ellipsoids`, of `project` and `lift` where all modes
share their eigenvectors, and of `rollouts`: the bits are those of one step after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .arithmetic import wide
from .compiling import TILE, cached, on_tile, over_rows
from .ellipsoids import add_products, pull_tile, sums_of
from .modes import begin_of, load, store
from .noise import NORMAL_COST, STREAM_STEP, normal_rows
from .rollouts import advance_row, is_noisy, recall_row


class EllipsoidSteps(NamedTuple):
    """The tables of `EllipsoidTable` at S levels: a (S, N, d), inverse (S, N, r), across (S, N) or
    (S, 0), lw (S, N), scale (S,) of the pull in eps; directions (N, r, d) or (0, r, d) are those of
    all levels. turn (d, d) and centre (S, d): what states are rotated by first, or (0, d)."""

    a: Any
    directions: Any
    inverse: Any
    across: Any
    lw: Any
    scale: Any
    turn: Any
    centre: Any


@on_tile
def _turned(rows, turn, centre, gap, z):
    """z (d TILE,) = turn (rows - centre)."""
    wide()
    for j in range(centre.shape[0]):
        first, c = begin_of(j), centre[j]
        for b in range(TILE):
            gap[first + b] = rows[first + b] - c
    z[:] = 0.0
    add_products(turn, gap, z)


@cached
def ellipsoid_step_tiles(begin, end, x, first, seed, plan, times, tables):
    """Rows begin..end of a rollout in place on x (n, d); times (S,) uint64, plan (S, 1 + H, 4) with
    1 in place of the factors of moves, which `tables` hold."""
    d, turn = x.shape[1], tables.turn
    rows, turned, move = np.empty(d * TILE), np.empty(d * TILE), np.empty(d * TILE)
    xi, uniform = np.zeros((d + d % 2, TILE)), np.empty((2, TILE))
    sums = sums_of(d, tables.inverse.shape[2])
    later = np.empty((plan.shape[1] - 1) * d * TILE)
    for start in range(begin, end, TILE):
        load(x, start, rows)
        xi[:], later[:] = 0.0, 0.0
        for s in range(plan.shape[0]):
            inverse, across = tables.inverse[s], tables.across[s]
            given = tables.directions, inverse, across, tables.lw[s], sums
            if turn.shape[0] == 0:
                pull_tile(rows, tables.scale[s], tables.a[s], *given)
                move[:] = sums.pull
            else:
                _turned(rows, turn, tables.centre[s], move, turned)
                pull_tile(turned, tables.scale[s], tables.a[s], *given)
                move[:] = 0.0
                add_products(turn.T, sums.pull, move)
            if is_noisy(plan, s):
                normal_rows(xi, uniform, first + np.uint64(start), times[s], STREAM_STEP, seed)
            for j in range(d):
                if len(later) == 0:
                    advance_row(rows, j, move, xi, plan, s)
                else:
                    recall_row(rows, j, move, xi, plan, s, later)
        store(rows, start, x[:end])


def rollout_ellipsoids(
    x: Any, first: Any, seed: Any, plan: Any, times: Any, tables: EllipsoidSteps
) -> None:
    """All steps of a plan in place on x (n, d). See `ellipsoid_step_tiles`."""
    each = tables.a.size * (1 if len(tables.directions) == 0 else 2 * tables.inverse.shape[2])
    each += len(plan) * x.shape[1] * (NORMAL_COST + 2 * len(tables.turn))
    over_rows(ellipsoid_step_tiles, each, x, first, seed, plan, times, tables)
