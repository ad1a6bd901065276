"""Scores of very many modes of one variance: all of them in single precision, in double those that
can be felt.

With x' = x - alpha c, mu' = mu - c, c the centre of the means, the logit of a mode in bits is, up
to what all modes share, z_k = 2 h alpha x'.mu'_k + b_k, b_k = lw_k - h alpha^2 |mu'_k|^2: a product
of matrices. In single precision it is off by at most

    (K + 4) 2^-24 (2 h alpha |x'| max|mu'| + max|b|),

K the longest chain of roundings (Higham, Accuracy and Stability of Numerical Algorithms, chapter 3;
4 for both factors, b and the last sum). A mode that lies below the largest by `cut` and twice this
is in truth below it by `cut`, and is dropped; for those that stay all is summed in double, from
differences. The dropped modes have less than N 2^-need of the weight together, and shift the pull
by no more than this times 2 alpha max|mu'|.

Held. Let every dropped mode k lie at least M below a mode j that stays. A step without noise takes
y = x/alpha to c y + (1 - c) m, m the mean that is felt, and for every such point y' and every mu

    |y' - mu|^2 = c |y - mu|^2 + (1 - c) |m - mu|^2 - c (1 - c) |y - m|^2.

So with h', alpha' of the next level and R = c h' alpha'^2/(h alpha^2), where 0 <= c <= 1, every k
is below j by at least

    R M - |1 - R| (max lw - min lw) - h' alpha'^2 (1 - c) |m - mu_j|^2,

and until this is less than `need` no dropped mode is looked at: on a path that one mode owns it
only grows. Noise nu in y takes h' alpha'^2 (|nu|^2/(1 - c) + 2 |nu| |m - mu_j|) more.

Whole. A sample that feels a third of the modes sums all of them, by two products in double. With
d_k what its logits are off by, in nats, its mean is off by at most sqrt(sum gamma_k d_k^2) times
the spread of the modes that are felt (Cauchy and Schwarz). Where this, from |d_k| <= 2^-53 ln 2 h
alpha |mu'_k| (2 K |x'| + 4 alpha max|mu'|), is above the target, it is summed by differences.

What is decided, is decided sample by sample, so that its bits do not depend on its tile.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import LN2, exp2, fma
from .compiling import TILE, cached, on_tile, over_rows
from .noise import STREAM_STEP, normal_rows
from .panels import LANES, ROWS, lowest, panel

CHUNK = 8 * ROWS  # modes at a time
PIECE, PIECE_SINGLE = 48, 112  # coordinates in one chain
LEFT_OUT, ROUNDED = 0.05e-12, 0.9e-12  # of |x| + max|alpha mu|: what each may shift the pull by
_SPARE = 6.0  # bits: kept beyond need, so that they hold
_WHOLE, _PROBED = 3, 16  # whole from N/3 on; judged after N/16 where all samples are
_UNIT, _UNIT_SINGLE = 2.0**-53, 2.0**-24
_TRUST = 2.0**-46  # of the largest exponent: more than the rounding of exponents and of states
_STRIDE = 64  # chains of a square side by side
SCREENED, SUMMED, LISTED = 0, 1, 2  # columns of `work`: modes in single, in products, one by one


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
def _product(a, begin, width, x, out, d, piece, columns):
    """out (CHUNK TILE,) = CHUNK rows of a, from `begin` on, times x (d TILE,)."""
    for first in range(0, columns, LANES):
        for j in range(0, d, piece):
            for k in range(0, CHUNK, ROWS):
                at, count = begin + k * width + j, min(piece, d - j)
                to, from_ = k * TILE + first, j * TILE + first
                panel(out, to, TILE, a, at, width, 1, x, from_, TILE, count, j > 0)


@on_tile
def _add_product(a, begin, width, e, out, columns):
    """out (width TILE,) += those rows of a, transposed, times e (CHUNK TILE,)."""
    for first in range(0, columns, LANES):
        for j in range(0, width, ROWS):
            to = j * TILE + first
            panel(out, to, TILE, a, begin + j, 1, width, e, first, TILE, CHUNK, True)


@on_tile
def _mode(a, modes, k, alpha):
    """a (d,) = alpha mu_k."""
    d = a.shape[0]
    begin = k * (-(-d // ROWS) * ROWS)
    for j in range(d):
        a[j] = fma(alpha, modes.centred[begin + j], alpha * modes.centre[j])


@on_tile
def _square(x, a, sums):
    """|x - a|^2: _STRIDE chains side by side, joined two by two."""
    d = a.shape[0]
    for q in range(_STRIDE):
        sums[q] = 0.0
    whole = d - d % _STRIDE
    for j in range(0, whole, _STRIDE):
        for q in range(_STRIDE):
            sums[q] = fma(x[j + q] - a[j + q], x[j + q] - a[j + q], sums[q])
    for j in range(whole, d):
        sums[j - whole] = fma(x[j] - a[j], x[j] - a[j], sums[j - whole])
    half = _STRIDE // 2
    while half > 0:
        for q in range(half):
            sums[q] += sums[q + half]
        half //= 2
    return sums[0]


@on_tile
def _add_pull(x, a, e, move):
    """move += e (a - x)."""
    for j in range(a.shape[0]):
        move[j] = fma(e, a[j] - x[j], move[j])


@on_tile
def _distance(x, centre, alpha):
    """|x - alpha c|."""
    total = 0.0
    for j in range(x.shape[0]):
        u = x[j] - alpha * centre[j]
        total += u * u
    return math.sqrt(total)


@on_tile
def _gather(x, chosen, count, centre, alpha, factor, packed):
    """packed (d TILE,) = factor x' of the chosen samples, the last again to whole LANES; their
    number so."""
    columns = count + (-count) % LANES
    for b in range(columns):
        row = x[chosen[min(b, count - 1)]]
        for j in range(row.shape[0]):
            packed[j * TILE + b] = factor * (row[j] - alpha * centre[j])
    return columns


@on_tile
def _take(masks, k, b, keep):
    """Mode k kept, or not, for sample b."""
    bit, word = np.uint64(1) << np.uint64(b % 64), masks[k, b // 64]
    masks[k, b // 64] = word | bit if keep else word & ~bit


@on_tile
def _take_all(masks, b, keep):
    for k in range(masks.shape[0]):
        _take(masks, k, b, keep)


@on_tile
def _screen(
    x, chosen, count, modes, biases, alpha, h, packed, masks, kept, owner, logit, best, below
):
    """The modes of the chosen samples that stay, to masks, and their number to `kept`; how many
    were looked at. `owner`: the largest mode of the step before, which is nearly the largest, or
    -1."""
    n_modes, d = masks.shape[0], x.shape[1]
    largest = 0.0
    for k in range(n_modes):
        largest = max(largest, abs(biases[k]))
    columns = _gather(x, chosen, count, modes.centre, alpha, 2.0 * h * alpha, packed)
    for b in range(count):
        size = 2.0 * h * alpha * _distance(x[chosen[b]], modes.centre, alpha) * modes.reach
        off = (chain(d, PIECE_SINGLE) + 4.0) * _UNIT_SINGLE * (size + largest)
        best[b], below[b] = -np.inf, modes.need + _SPARE + 2.0 * off
        if owner[chosen[b]] >= 0:
            best[b] = _logit(x[chosen[b]], modes, owner[chosen[b]], biases, alpha, h)
        kept[chosen[b]] = 0
        _take_all(masks, chosen[b], False)
    probe = (n_modes // _PROBED // CHUNK + 1) * CHUNK
    for first in range(0, n_modes, CHUNK):
        if first == probe and _whole_by(kept, chosen, count, owner, first, n_modes):
            return first
        _product(modes.single, first * d, d, packed, logit, d, PIECE_SINGLE, columns)
        for q in range(min(CHUNK, n_modes - first)):
            bias, row = np.float32(biases[first + q]), logit[q * TILE : (q + 1) * TILE]
            for b in range(count):
                row[b] += bias
                best[b] = max(best[b], row[b])
            for b in range(count):
                if row[b] >= best[b] - below[b]:
                    _take(masks, first + q, chosen[b], True)
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
def _sum_whole(x, chosen, count, modes, biases, alpha, h, packed, logit, owner, pull, move, fine):
    """The pull of the chosen samples, of all modes; `fine` of those for which the bound of its
    rounding is above the target."""
    n_modes, d = biases.shape[0], x.shape[1]
    width = pull.shape[0] // TILE
    top, total, second = np.full(TILE, -np.inf), np.zeros(TILE), np.zeros(TILE)
    most, most_at = np.full(TILE, -np.inf), np.zeros(TILE, np.int64)
    columns = _gather(x, chosen, count, modes.centre, alpha, 2.0 * h * alpha, packed)
    pull[:] = 0.0
    for first in range(0, n_modes, CHUNK):
        begin = first * width
        _product(modes.centred, begin, width, packed, logit, d, PIECE, columns)
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
        away = _distance(x[i], modes.centre, alpha)
        off = LN2 * h * alpha * rms * (2.0 * chain(d, PIECE) * away + 4.0 * alpha * modes.reach)
        off = _UNIT * alpha * (off * spread + chained * rms)
        fine[i] = off > ROUNDED * (math.sqrt(size) + alpha * modes.far)


@on_tile
def _sum_listed(x, listed, active, modes, alpha, h, masks, kept, owner, nearest, gap, move):
    """The pull of the samples in the bits `active` (2,), of the modes in their masks; those below
    the largest by need and spare leave, and `gap` is how far below they all are at least."""
    d, n_modes = x.shape[1], masks.shape[0]
    count = 0
    for b in range(TILE):
        if listed[b]:
            count += kept[b]
            nearest[b] = -np.inf
            move[b] = 0.0
    z, a, sums = np.empty(count), np.empty(d), np.empty(_STRIDE)
    total, at = np.zeros(TILE), 0
    for k in range(n_modes):
        if (masks[k, 0] & active[0]) | (masks[k, 1] & active[1]) != np.uint64(0):
            _mode(a, modes, k, alpha)
        for half in range(2):
            word = masks[k, half] & active[half]
            while word != np.uint64(0):
                b = 64 * half + lowest(word)
                word &= word - np.uint64(1)
                z[at] = fma(-h, _square(x[b], a, sums), modes.lw[k])
                if z[at] > nearest[b]:
                    nearest[b], owner[b] = z[at], k
                at += 1
    at = 0
    for k in range(n_modes):
        if (masks[k, 0] & active[0]) | (masks[k, 1] & active[1]) != np.uint64(0):
            _mode(a, modes, k, alpha)
        for half in range(2):
            word = masks[k, half] & active[half]
            while word != np.uint64(0):
                b = 64 * half + lowest(word)
                word &= word - np.uint64(1)
                under = nearest[b] - z[at]
                if under > modes.need + _SPARE:
                    _take(masks, k, b, False)
                    kept[b] -= 1
                    gap[b] = min(gap[b], under)
                else:
                    e = exp2(-under)
                    total[b] += e
                    _add_pull(x[b], a, e, move[b])
                at += 1
    for b in range(TILE):
        if listed[b]:
            for j in range(d):
                move[b, j] /= total[b]


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


@cached
def screened_tiles(
    begin, end, x, work, first, seed, plan, times, modes, alphas, hs, lw_range, only_eps
):
    """Rows begin..end of a rollout in place on x (n, d), with the exact score of many modes; with
    `only_eps`, the eps of its only step in their place.

    plan (S, 4), times (S,) uint64, alphas, hs (S,); work (n, 3) counts the modes of each row, all
    steps together, by the precision in which they were looked at.
    """
    n_modes, d = modes.lw.shape[0], x.shape[1]
    width = -(-d // ROWS) * ROWS
    rows, move = np.empty((TILE, d)), np.empty((TILE, d))
    packed, packed_single = np.empty(d * TILE), np.empty(d * TILE, np.float32)
    pull = np.empty(width * TILE)
    logit, logit_single = np.empty(CHUNK * TILE), np.empty(CHUNK * TILE, np.float32)
    best, below = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    biases, a, nearest, gap = np.empty(n_modes), np.empty(d), np.empty(TILE), np.empty(TILE)
    masks = np.zeros((n_modes, 2), np.uint64)
    active = np.zeros(2, np.uint64)
    kept, owner = np.zeros(TILE, np.int64), np.zeros(TILE, np.int64)
    chosen = np.zeros(TILE, np.int64)
    listed, fine = np.zeros(TILE, np.bool_), np.zeros(TILE, np.bool_)
    xi, uniform = np.zeros((d + d % 2, TILE)), np.empty((2, TILE))
    for start in range(begin, end, TILE):
        size = min(TILE, end - start)
        rows[:size] = x[start : start + size]
        gap[:], listed[:], owner[:] = -np.inf, False, -1
        for s in range(plan.shape[0]):
            alpha, h = alphas[s], hs[s]
            for k in range(n_modes):
                biases[k] = fma(-h * alpha * alpha, modes.squares[k], modes.lw[k])
            count = 0
            for b in range(size):
                if not gap[b] >= modes.need:
                    chosen[count] = b
                    count += 1
            if count > 0:
                seen = _screen(
                    rows, chosen, count, modes, biases, alpha, h, packed_single, masks, kept,
                    owner, logit_single, best, below,
                )  # fmt: skip
                for b in range(count):
                    i = chosen[b]
                    work[start + i, SCREENED] += seen
                    listed[i] = _WHOLE * kept[i] <= n_modes
                    gap[i] = modes.need + _SPARE if listed[i] else -np.inf
            count = 0
            for b in range(size):
                if not listed[b]:
                    chosen[count] = b
                    count += 1
            if count > 0:
                # So many columns, their pulls and a chunk of modes fit a second-level cache.
                for part in range(0, count, LANES):
                    _sum_whole(
                        rows, chosen[part:], min(LANES, count - part), modes, biases, alpha, h,
                        packed, logit, owner, pull, move, fine,
                    )  # fmt: skip
                for b in range(count):
                    i = chosen[b]
                    work[start + i, SUMMED] += n_modes
                    if fine[i]:
                        _take_all(masks, i, True)
                        listed[i], kept[i] = True, n_modes
            active[:] = np.uint64(0)
            for b in range(size):
                if listed[b]:
                    active[b // 64] |= np.uint64(1) << np.uint64(b % 64)
                    work[start + b, LISTED] += kept[b]
            _sum_listed(
                rows, listed, active, modes, alpha, h, masks, kept, owner, nearest, gap, move
            )
            if only_eps:
                break
            if plan[s, 2] != 0.0:
                normal_rows(xi, uniform, first + np.uint64(start), times[s], STREAM_STEP, seed)
            for b in range(size):
                if listed[b] and s + 1 < plan.shape[0]:
                    _mode(a, modes, owner[b], alpha)
                    shift = 0.0
                    for j in range(d):
                        shift += (plan[s, 2] * xi[j, b]) ** 2
                    gap[b] = _held(
                        gap[b], rows[b], move[b], a, plan[s], math.sqrt(shift), plan[s, 3],
                        (alpha, h), (alphas[s + 1], hs[s + 1]), modes, lw_range,
                    )  # fmt: skip
                _advance(rows[b], move[b], xi, b, plan[s])
        for b in range(size):
            for j in range(d):
                x[start + b, j] = plan[0, 3] * move[b, j] if only_eps else rows[b, j]


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
