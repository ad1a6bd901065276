"""One evaluation of a mixture at many points, and the projections of a mixture in a hull."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import LN2, LOG2E, exp2, fma, wide
from .compiling import TILE, cached, on_tile, over_rows
from .modes import load, load_columns, logits, rows_of, store
from .rollouts import mode_pull


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


@cached
def logit_tiles(begin, end, out, x, a, h, lw, density):
    """Rows begin..end: log-densities to out (n, 1), of tables in bits, or with no `density` the
    modes' probabilities to out (n, N), of tables in nats."""
    n_modes = a.shape[0]
    rows, logit = np.empty(x.shape[1] * TILE), np.empty(n_modes * TILE)
    top = np.empty(TILE)
    for start in range(begin, end, TILE):
        load(x, start, rows)
        logits(rows, a, h, lw, logit, top)
        for b in range(min(TILE, end - start)):
            total = 0.0
            if density:
                for k in range(n_modes):
                    total += exp2(logit[k * TILE + b] - top[b])
                out[start + b, 0] = LN2 * (top[b] + math.log2(total))
                continue
            for k in range(n_modes):
                # math.exp, not exp2: a far mode's share is reported down to zero, unfloored.
                e = math.exp(logit[k * TILE + b] - top[b])
                out[start + b, k] = e
                total += e
            for k in range(n_modes):
                out[start + b, k] /= total


@cached
def jacobian_rows(begin, end, out, x, means, var, gamma):
    """Rows begin..end of out (n, d, d), zero before, of probabilities gamma (n, N)."""
    d = x.shape[1]
    score, s_k = np.empty(d), np.empty(d)
    for i in range(begin, end):
        score[:] = 0.0
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


@cached
def project_tiles(begin, end, z, x, centre, directions):
    """`project` of rows begin..end."""
    d, rank = x.shape[1], directions.shape[0]
    rows, sums = np.empty(_COLUMNS * TILE), np.empty(rank * TILE)
    for start in range(begin, end, TILE):
        sums[:] = 0.0
        for first in range(0, d, _COLUMNS):
            last = min(first + _COLUMNS, d)
            load_columns(x, start, first, last, rows)
            for q in range(rank):
                _add_multiples(rows, centre, directions, q, first, last, sums)
        store(sums, start, z)


@on_tile
def _add_multiples(rows, centre, directions, q, first, last, sums):
    """Row q of sums += sum_j directions_qj (rows_j - centre_j), j from `first` to `last`."""
    wide()
    total = rows_of(sums, q, 1)
    for j in range(first, last):
        row, c, f = rows_of(rows, j - first, 1), centre[j], directions[q, j]
        for b in range(TILE):
            total[b] = fma(f, row[b] - c, total[b])


def project(x: Any, centre: Any, directions: Any) -> Any:
    """z (n, r) = directions (x - centre), directions (r, d)."""
    z = np.empty((len(x), len(directions)))
    over_rows(project_tiles, directions.size, z, x, centre, directions)
    return z


@cached
def lift_rows(begin, end, out, x, factor, shift, directions, along):
    """`lift` of rows begin..end."""
    for i in range(begin, end):
        _lift_row(i, x, factor, shift, directions, along, out)


@on_tile
def _lift_row(i, x, factor, shift, directions, along, out):
    wide()
    for j in range(x.shape[1]):
        out[i, j] = fma(factor, x[i, j], shift[j])
    for q in range(directions.shape[0]):
        a = along[i, q]
        for j in range(x.shape[1]):
            out[i, j] = fma(a, directions[q, j], out[i, j])


def lift(x: Any, factor: float, shift: Any, directions: Any, along: Any) -> Any:
    """(n, d) = factor x + shift + along directions, shift (d,), along (n, r)."""
    out = np.empty(x.shape)
    over_rows(lift_rows, directions.size, out, x, float(factor), shift, directions, along)
    return out


def log_density(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """log p at x (n, d) -> (n,)."""
    lw = _over_powers(log_weights, var / var.min(), 0.5 * means.shape[1])
    out = np.empty((len(x), 1))
    over_rows(logit_tiles, means.size, out, x, means, bits(0.5 / var), bits(lw), True)
    return out[:, 0] - 0.5 * x.shape[1] * math.log(2 * math.pi * var.min())


def score(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """grad log p at x (n, d) -> (n, d)."""
    return scaled_pull(x, mode_table(means, var, log_weights), 1.0 / var.min())


def scaled_pull(x: Any, table: ModeTable, scale: float) -> Any:
    """scale * sum_k gamma_k (a_k - x) var_ref/var_k: x (n, d) -> (n, d), in the precision of x."""
    return mode_pull(x, scale, *table)


def responsibilities(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """Posterior mode probabilities at x (n, d) -> (n, N)."""
    lw = _over_powers(log_weights, var / var.min(), 0.5 * means.shape[1])
    out = np.empty((len(x), len(means)))
    over_rows(logit_tiles, 4 * means.size, out, x, means, 0.5 / var, lw, False)
    return out


def score_jacobian(x: Any, means: Any, var: Any, log_weights: Any) -> Any:
    """Hessian of log p at x (n, d) -> (n, d, d)."""
    out = np.zeros((len(x), x.shape[1], x.shape[1]))
    gamma = responsibilities(x, means, var, log_weights)
    over_rows(jacobian_rows, x.shape[1] * means.size, out, x, means, var, gamma)
    return out
