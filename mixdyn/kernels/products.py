"""Sums over very many modes of one variance by matrix products.

With x' = x - alpha c, mu' = mu - c, c the centre of the means, the logit of a mode in bits is, up
to what all modes share, z_k = 2 h alpha x'.mu'_k + b_k, b_k = lw_k - h alpha^2 |mu'_k|^2: a product
of matrices, and the mean that is felt is another. With d_k what the logits are off by, in nats,
that mean is off by at most sqrt(sum gamma_k d_k^2) times the spread of the modes that are felt
(Cauchy and Schwarz), and |d_k| <= 2^-53 ln 2 h alpha |mu'_k| (2 K |x'| + 4 alpha max|mu'|), K the
longest chain of roundings (Higham, Accuracy and Stability of Numerical Algorithms, chapter 3).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import LN2, exp2, fma
from .compiling import TILE, on_tile
from .panels import LANES, ROWS, panel
from .rows import prefetch

CHUNK = 8 * ROWS  # modes at a time
PIECE, PIECE_SINGLE = 48, 112  # coordinates in one chain
LEFT_OUT, ROUNDED = 0.05e-12, 0.9e-12  # of |x| + max|alpha mu|: what each may shift the pull by
_UNIT = 2.0**-53


class Modes(NamedTuple):
    """What the kernels need of means (N, d) of one sigma.

    centred (M width,): mu', in M >= N rows that CHUNK divides, of a width that ROWS divides, zeros
    beyond; single (M d,): the same in float32. squares (N,) = |mu'|^2, lw (N,) in bits, centre
    (d,). reach, far: the largest |mu'| and |mu|. need, in bits.
    """

    centred: Any
    single: Any
    squares: Any
    lw: Any
    centre: Any
    reach: float
    far: float
    need: float


def screened_modes(means: Any, log_weights: Any) -> Modes:
    """The modes of means (N, d) and natural log weights (N,)."""
    n_modes, d = means.shape
    centre = means.mean(axis=0)
    rows, width = -(-n_modes // CHUNK) * CHUNK, -(-d // ROWS) * ROWS
    centred, single = np.zeros((rows, width)), np.zeros((rows, d), np.float32)
    squares, far = np.empty(n_modes), 0.0
    for first in range(0, n_modes, CHUNK):
        given = means[first : first + CHUNK]
        part, far = given - centre, max(far, float(np.square(given).sum(axis=1).max()))
        centred[first : first + len(part), :d] = part
        single[first : first + len(part)] = part
        squares[first : first + len(part)] = np.square(part.astype(np.longdouble)).sum(axis=1)
    reach, far = (math.sqrt(top) * (1.0 + 1e-12) for top in (squares.max(), far))
    # Their distance from the whole mean is at most 2 reach, and reach at most 2 far.
    need = math.log2(n_modes) + math.log2(4.0 / LEFT_OUT)
    lw = log_weights / LN2
    tables = centred.reshape(-1), single.reshape(-1), squares, lw, centre
    return Modes(*tables, reach, far, need)


def _chain(d: int, piece: int) -> float:
    """Roundings that an entry of a product passes through: of one piece, of the pieces, and of its
    factors."""
    return piece + math.ceil(d / piece) + 4.0


chain = on_tile(_chain)


@on_tile
def product(a, begin, width, x, out, d, piece, columns):
    """out (CHUNK TILE,) = CHUNK rows of a, from `begin` on, times x (d TILE,). The rows after these
    are asked for meanwhile: they come from main memory."""
    line = 64 // a.itemsize
    for first in range(0, columns, LANES):
        for j in range(0, d, piece):
            for k in range(0, CHUNK, ROWS):
                at, count = begin + k * width + j, min(piece, d - j)
                to, from_ = k * TILE + first, j * TILE + first
                panel(out, to, TILE, a, at, width, 1, x, from_, TILE, count, j > 0)
                for i in range(ROWS if first == 0 else 0):
                    for q in range(0, count, line):
                        prefetch(a, at + (CHUNK + i) * width + q)


@on_tile
def _add_product(a, begin, width, e, out, columns):
    """out (width TILE,) += those rows of a, transposed, times e (CHUNK TILE,)."""
    for first in range(0, columns, LANES):
        for j in range(0, width, ROWS):
            to = j * TILE + first
            panel(out, to, TILE, a, begin + j, 1, width, e, first, TILE, CHUNK, True)


@on_tile
def distance(x, centre, alpha):
    """|x - alpha c|."""
    total = 0.0
    for j in range(x.shape[0]):
        u = x[j] - alpha * centre[j]
        total += u * u
    return math.sqrt(total)


@on_tile
def gather(x, chosen, count, centre, alpha, factor, packed):
    """packed (d TILE,) = factor x' of the chosen samples, the last again to whole LANES; their
    number so."""
    columns = count + (-count) % LANES
    for b in range(columns):
        row = x[chosen[min(b, count - 1)]]
        for j in range(row.shape[0]):
            packed[j * TILE + b] = factor * (row[j] - alpha * centre[j])
    return columns


@on_tile
def _add_whole(modes, first, biases, logit, columns, top, most, most_at, total, second, pull):
    """What CHUNK modes of logits `logit` add: to pull (width TILE,) e_k mu'_k, to `total` e_k, to
    `second` e_k |mu'_k|^2, e_k = 2^(logit_k - top). Where one lies far above top, top moves, by a
    whole number: no digit is lost. most, most_at: the largest logit so far, and its mode."""
    count = min(CHUNK, biases.shape[0] - first)
    for b in range(columns):
        for q in range(count):
            logit[q * TILE + b] += biases[first + q]
            if logit[q * TILE + b] > most[b]:
                most[b], most_at[b] = logit[q * TILE + b], first + q
        if most[b] > top[b] + 400.0:
            moved = np.rint(most[b])
            factor = exp2(top[b] - moved) if top[b] > -np.inf else 0.0
            top[b] = moved
            total[b] *= factor
            second[b] *= factor
            for j in range(pull.shape[0] // TILE):
                pull[j * TILE + b] *= factor
    for q in range(CHUNK):
        row = logit[q * TILE : (q + 1) * TILE]
        square = modes.squares[first + q] if q < count else 0.0
        for b in range(columns):
            e = exp2(row[b] - top[b]) if q < count else 0.0
            row[b] = e
            total[b] += e
            second[b] = fma(e, square, second[b])


@on_tile
def sum_whole(x, chosen, count, modes, biases, alpha, h, packed, logit, owner, pull, move, fine):
    """The pull of the chosen samples, of all modes; `fine` of those for which the bound of its
    rounding is above the target."""
    n_modes, d = biases.shape[0], x.shape[1]
    width = pull.shape[0] // TILE
    top, total, second = np.full(TILE, -np.inf), np.zeros(TILE), np.zeros(TILE)
    most, most_at = np.full(TILE, -np.inf), np.zeros(TILE, np.int64)
    columns = gather(x, chosen, count, modes.centre, alpha, 2.0 * h * alpha, packed)
    pull[:] = 0.0
    for first in range(0, n_modes, CHUNK):
        begin = first * width
        product(modes.centred, begin, width, packed, logit, d, PIECE, columns)
        _add_whole(modes, first, biases, logit, columns, top, most, most_at, total, second, pull)
        _add_product(modes.centred, begin, width, logit, pull, columns)
    chained = 2.0 * (CHUNK + n_modes / CHUNK + 8.0)
    for b in range(count):
        i, mean, size = chosen[b], 0.0, 0.0
        owner[i] = most_at[b]
        for j in range(d):
            m = pull[j * TILE + b] / total[b]
            mean += m * m
            size += x[i, j] * x[i, j]
            move[i, j] = fma(alpha, m, -(x[i, j] - alpha * modes.centre[j]))
        rms = math.sqrt(second[b] / total[b])
        spread = math.sqrt(max(second[b] / total[b] - mean, 0.0) + 1e-9 * rms * rms)
        away = distance(x[i], modes.centre, alpha)
        off = LN2 * h * alpha * rms * (2.0 * chain(d, PIECE) * away + 4.0 * alpha * modes.reach)
        off = _UNIT * alpha * (off * spread + chained * rms)
        fine[i] = off > ROUNDED * (math.sqrt(size) + alpha * modes.far)
