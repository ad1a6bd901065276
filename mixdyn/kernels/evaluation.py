"""One evaluation of a mixture at many points, and the projections of a mixture in a hull."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from .arithmetic import LN2, LOG2E, exp2, fma, wide
from .compiling import TILE, on_tile, parallel
from .modes import load, logits, moves, rows_of, scale_tile, store


class ModeTable(NamedTuple):
    """A mixture at one noise level as the kernels read it, in bits (logarithms to base 2).

    a (N, d): means; h (N,) = log2(e)/(2 var); ratio (N,) = var/var_ref, var_ref the smallest
    variance; lw (N,) = log2(weight) - (d/2 + 1) log2(ratio): the weight of a mode in the score,
    where its density has ratio^(-d/2) and its gradient one factor more.
    """

    a: Any
    h: Any
    lw: Any
    ratio: Any


def mode_table(means: Any, var: Any, log_weights: Any) -> ModeTable:
    """The table of modes of means (N, d), variances and natural log weights (N,)."""
    ratio = var / var.min()
    lw = _over_powers(log_weights, ratio, 0.5 * means.shape[1] + 1.0)
    return ModeTable(means, bits(0.5 / var), bits(lw), ratio)


def _over_powers(log_weights: Any, ratio: Any, power: float) -> Any:
    """log(weight/ratio^power)."""
    return log_weights - power * np.log(ratio)


def bits(logarithm: Any) -> Any:
    """A natural logarithm in base 2."""
    return LOG2E * logarithm


@parallel
def _density_tiles(x, a, h, lw, out):
    n, d = x.shape
    for tile in prange((n + TILE - 1) // TILE):
        rows, logit = np.empty(d * TILE), np.empty(a.shape[0] * TILE)
        top = np.empty(TILE)
        load(x, tile * TILE, rows)
        logits(rows, a, h, lw, logit, top)
        for b in range(min(TILE, n - tile * TILE)):
            total = 0.0
            for k in range(a.shape[0]):
                total += exp2(logit[k * TILE + b] - top[b])
            out[tile * TILE + b] = LN2 * (top[b] + math.log2(total))


@parallel
def _score_tiles(x, table, scale, out):
    """out (n, d) = scale * move."""
    a, h, lw, ratio = table
    n, d = x.shape
    for tile in prange((n + TILE - 1) // TILE):
        rows, move = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
        logit = np.empty(a.shape[0] * TILE, x.dtype)
        top, total = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
        load(x, tile * TILE, rows)
        moves(rows, a, h, lw, ratio, logit, top, total, move)
        scale_tile(scale, move)
        store(move, tile * TILE, out)


@parallel
def _responsibility_tiles(x, a, h, lw, out):
    n, d = x.shape
    n_modes = a.shape[0]
    for tile in prange((n + TILE - 1) // TILE):
        rows, logit = np.empty(d * TILE), np.empty(n_modes * TILE)
        top = np.empty(TILE)
        load(x, tile * TILE, rows)
        logits(rows, a, h, lw, logit, top)
        for b in range(min(TILE, n - tile * TILE)):
            total = 0.0
            for k in range(n_modes):
                # math.exp, not exp2: a far mode's share is reported down to zero, unfloored.
                e = math.exp(logit[k * TILE + b] - top[b])
                out[tile * TILE + b, k] = e
                total += e
            for k in range(n_modes):
                out[tile * TILE + b, k] /= total


@parallel
def _jacobian_rows(x, means, var, gamma, out):
    n, d = x.shape
    for i in prange(n):
        score, s_k = np.zeros(d), np.empty(d)
        for k in range(means.shape[0]):
            for j in range(d):
                score[j] += gamma[i, k] * ((means[k, j] - x[i, j]) / var[k])
        for k in range(means.shape[0]):
            if gamma[i, k] == 0.0:
                continue
            for j in range(d):
                s_k[j] = (means[k, j] - x[i, j]) / var[k] - score[j]
            for j in range(d):
                out[i, j, j] -= gamma[i, k] / var[k]
                for m in range(j + 1):
                    out[i, j, m] += gamma[i, k] * s_k[j] * s_k[m]
        for j in range(d):
            for m in range(j):
                out[i, m, j] = out[i, j, m]


_COLUMNS = 32  # of a tile in one piece: they and the sums stay in the first-level cache


@parallel
def project(x, centre, directions, z):
    """z (n, r) = directions (x - centre), directions (r, d)."""
    n, d = x.shape
    rank = directions.shape[0]
    for tile in prange((n + TILE - 1) // TILE):
        rows, sums = np.empty(_COLUMNS * TILE), np.zeros(rank * TILE)
        for first in range(0, d, _COLUMNS):
            piece = x[:, first : first + _COLUMNS]
            load(piece, tile * TILE, rows)
            for q in range(rank):
                _add_multiples(
                    rows, centre[first:], directions[q, first:], rows_of(sums, q, 1), piece
                )
        store(sums, tile * TILE, z)


@on_tile
def _add_multiples(rows, centre, factors, total, piece):
    """total (TILE,) += sum_j factors_j (rows_j - centre_j), j over the columns of `piece`."""
    wide()
    for j in range(piece.shape[1]):
        row, c, f = rows_of(rows, j, 1), centre[j], factors[j]
        for b in range(TILE):
            total[b] = fma(f, row[b] - c, total[b])


@parallel
def lift(x, factor, shift, directions, along, out):
    """out (n, d) = factor x + shift + along directions, shift (d,), along (n, r)."""
    for i in prange(x.shape[0]):
        _lift_row(x[i], factor, shift, directions, along[i], out[i])


@on_tile
def _lift_row(x, factor, shift, directions, along, out):
    wide()
    for j in range(x.shape[0]):
        out[j] = fma(factor, x[j], shift[j])
    for q in range(directions.shape[0]):
        row, a = directions[q], along[q]
        for j in range(x.shape[0]):
            out[j] = fma(a, row[j], out[j])


def log_density(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """log p at x (n, d) -> (n,)."""
    lw = _over_powers(log_weights, var / var.min(), 0.5 * means.shape[1])
    out = np.empty(len(x))
    _density_tiles(x, means, bits(0.5 / var), bits(lw), out)
    out -= 0.5 * x.shape[1] * math.log(2 * math.pi * var.min())
    return out


def score(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """grad log p at x (n, d) -> (n, d)."""
    return scaled_pull(x, mode_table(means, var, log_weights), 1.0 / var.min())


def scaled_pull(x: Any, table: ModeTable, scale: float) -> Any:
    """scale * sum_k gamma_k (a_k - x) var_ref/var_k: x (n, d) -> (n, d), in the precision of x."""
    out = np.empty_like(x)
    _score_tiles(
        x, tuple(part.astype(x.dtype, copy=False) for part in table), x.dtype.type(scale), out
    )
    return out


def responsibilities(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """Posterior mode probabilities at x (n, d) -> (n, N)."""
    lw = _over_powers(log_weights, var / var.min(), 0.5 * means.shape[1])
    out = np.empty((len(x), len(means)))
    _responsibility_tiles(x, means, 0.5 / var, lw, out)
    return out


def score_jacobian(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """Hessian of log p at x (n, d) -> (n, d, d)."""
    out = np.zeros((len(x), x.shape[1], x.shape[1]))
    _jacobian_rows(x, means, var, responsibilities(x, means, var, log_weights), out)
    return out
