"""Scores of very many modes of one variance on a line, in the plane and in space, at high noise.

A Gaussian of variance v is one of variance V < v smoothed by v - V. So with
Omega(c) = sum_k w_k exp(-|c - mu_k|^2/(2 V)) on the points c of a lattice of spacing h,

    sum_c Omega(c) exp(-|y - c|^2/(2 (v - V)))  =  const  sum_k w_k exp(-|y - mu_k|^2/(2 v)):

the trapezoidal rule for a product of two Gaussians of c, itself one of variance v' = V (v - V)/v.
By Poisson summation it is off, for every y and every mode, by no more than 2 exp(-2 pi^2 v'/h^2) of
this mode's own term a coordinate, whatever the distance, and its first moment by 4 pi v'/h times
that power. For v >= 2 V and h <= SPACING sqrt(V) these are below e^-36. All terms are positive, so
that nothing cancels: a mesh is the mixture, as long as v >= 2 V. Meshes of doubled V come from one
another by the same rule.

What lies beyond BUILT standard deviations is left out of a mesh, which then lacks at most `loose`
of each Omega, and beyond REACH out of a sum, which lacks at most the total of Omega times
exp(-REACH^2/2). Where both together might shift the pull by more than the target, far from all
modes, a sample is summed by the tree (`trees`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import LN2, LOG2E, exp2, fma, wide
from .compiling import cached, on_tile, over_rows
from .panels import BAND, LANES, ROWS, pair, panel, single
from .trees import EXPONENTIALS, NODES, RUN, SHARE, Tree, joined, sum_tree

REACH, BUILT, SPACING = 11.0, 13.0, 0.52
# Points of the finest mesh: for each mode, on a line and in the plane at least, and at most.
_NODES, _FEWEST, _MOST = 32, 2**17, 2**23
_COMPANY, WIDTH = 32, 64  # modes that are spread together, over so many points of a line at most
_BEYOND, _UNBUILT = math.exp(-0.5 * REACH**2), math.exp(-0.5 * BUILT**2)


class Mesh(NamedTuple):
    """Omega (M0 (M1 + ROWS) (M2 + BAND),) at (first + i) spacing, in three coordinates, the first
    of one point where there are fewer, zeros beyond M1 and M2; shape (M0, M1, M2), variance
    V, total of omega, and what each may lack."""

    omega: Any
    shape: Any
    first: Any
    spacing: float
    variance: float
    total: float
    loose: float


@on_tile
def _window(at, alpha, reach, first, spacing, count):
    """The lattice points within `reach` of a coordinate in units of x: from, to."""
    if alpha * spacing * count <= reach:
        return 0, count
    low = math.ceil((at - reach) / (alpha * spacing)) - first
    high = math.floor((at + reach) / (alpha * spacing)) - first + 1.0
    return int(min(max(low, 0.0), count)), int(min(max(high, 0.0), count))


@on_tile
def _axis(at, alpha, h, first, spacing, low, high, g, begin):
    """g[begin + i] = 2^(-h u^2), and as far on as g is long in six parts u times it, u = alpha c -
    x, of the points from `low` on, whole BANDs of them; their number."""
    wide()
    count, part = -(-(high - low) // BAND) * BAND, g.shape[0] // 6
    powers, moments = g[begin : begin + part], g[begin + part : begin + 2 * part]
    from_ = first + low
    for i in range(count):
        u = fma(alpha, (from_ + i) * spacing, -at)
        e = exp2(-h * u * u)
        powers[i] = e
        moments[i] = e * u
    return count


@on_tile
def _add_plane(rows, e, moment, count, sums):
    """sums (4 L,): total, moments in the first and in the second coordinate, of a folded plane."""
    wide()
    longest = rows.shape[0] // 2
    first, second = rows[:longest], rows[longest:]
    total, other, third = sums[:longest], sums[longest : 2 * longest], sums[2 * longest :]
    for j in range(count):
        total[j] = fma(e, first[j], total[j])
        other[j] = fma(moment, first[j], other[j])
        third[j] = fma(e, second[j], third[j])


@on_tile
def _times(sums, row, g, part, longest, count):
    """The last row of sums = another times a part of g."""
    wide()
    given, factor = sums[row * longest :], g[part * longest :]
    out = sums[3 * longest :]
    for j in range(count):
        out[j] = given[j] * factor[j]


@on_tile
def _sum_mesh(x, alpha, h, reach, omega, shape, first, spacing, lows, highs, g, rows, sums, pull):
    """pull (3,) of all points of a mesh in reach, before it is divided by their sum; this sum,
    their number and that of the powers."""
    longest, felt = rows.shape[0] // 2, 0
    for j in range(3):
        low, high = _window(x[j], alpha, reach, first[j], spacing, shape[j])
        if high <= low:
            return 0.0, 0, 0
        lows[j], highs[j] = low, high
        if shape[j] > 1:
            felt += _axis(x[j], alpha, h, first[j], spacing, low, high, g, 2 * j * longest)
    last, many = shape[2] + BAND, highs[1] - lows[1]
    count = -(-(highs[2] - lows[2]) // BAND) * BAND
    sums[:] = 0.0
    for i in range(lows[0], highs[0]):
        begin = (i * (shape[1] + ROWS) + lows[1]) * last + lows[2]
        for j in range(0, count, BAND):
            pair(
                rows, j, longest, g, 2 * longest, longest, 1, omega, begin + j, last, many, False
            )  # fmt: skip
        k = i - lows[0]
        _add_plane(rows, g[k], g[longest + k], count, sums)
    for j in range(3):
        _times(sums, j & 3, g, 4, longest, count)
        pull[(j + 2) % 3] = joined(sums[3 * longest :], count)
    total = pull[2]
    _times(sums, 0 & lows[0], g, 5, longest, count)
    pull[2] = joined(sums[3 * longest :], count)
    return total, (highs[0] - lows[0]) * many * count, felt


@on_tile
def _lacks(mesh, alpha, h):
    """What the sum may lack at most: one Gaussian sums to no more than its integral and its top."""
    span = 1.0
    for j in range(3):
        most = float(mesh.shape[j])
        if alpha > 0.0:
            most = min(most, 1.0 + math.sqrt(math.pi * LOG2E / h) / (alpha * mesh.spacing))
        span *= most
    return mesh.loose * span + mesh.total * _BEYOND


@cached
def mesh_rows(begin, end, out, work, x, alpha, h, tree, scale, mesh, h_rest, ratio):
    """`tree_rows` by a mesh, h_rest that of what its variance leaves of the level's and ratio the
    one by the other; by the tree where a sample may lack more than the target."""
    d, longest = x.shape[1], mesh.shape.max() + BAND
    g, rows, sums = np.zeros(6 * longest), np.empty(2 * longest), np.empty(4 * longest)
    g[0] = g[2 * longest] = 1.0  # of coordinates that there are not
    lows, highs = np.empty(3, np.int64), np.empty(3, np.int64)
    space, given = np.empty((5 + x.shape[1]) * RUN), tree[:3]
    reach, placed = REACH * math.sqrt(0.5 * LOG2E / h_rest), mesh[:4]
    pull, point, diagonal = np.empty(3), np.zeros(3), 0.0
    for j in range(3):
        diagonal += (alpha * mesh.spacing * mesh.shape[j]) ** 2
    within = min(math.sqrt(diagonal), 2.0 * REACH * math.sqrt(0.5 * d * LOG2E / h_rest))
    lacks = ratio * within * _lacks(mesh, alpha, h_rest)
    for i in range(begin, end):
        size = 0.0
        for j in range(d):
            point[3 - d + j] = x[i, j]
            size += x[i, j] * x[i, j]
        total, visited, felt = _sum_mesh(
            point, alpha, h_rest, reach, *placed, lows, highs, g, rows, sums, pull
        )  # fmt: skip
        if lacks <= SHARE * (math.sqrt(size) + alpha * tree.far) * total and total > 0.0:
            work[i, NODES] += visited
            work[i, EXPONENTIALS] += felt
            for j in range(d):
                out[i, j] = scale * (ratio * (pull[3 - d + j] / total))
        else:
            sum_tree(x[i], alpha, h, *given, tree.need, space, out[i], work[i])
            for j in range(d):
                out[i, j] *= scale


@on_tile
def _company(modes, k, reach, shape, first, spacing, lows, highs, low, high):
    """How many modes from k on have windows, `lows` to `highs` together, of which one block of a
    product holds the last coordinate."""
    count = 0
    while count < _COMPANY and k + count < modes.shape[0]:
        fits = True
        for j in range(3):
            at = modes[k + count, j]
            low[j], high[j] = _window(at, 1.0, reach, first[j], spacing, shape[j])
            if count > 0:
                low[j], high[j] = min(low[j], lows[j]), max(high[j], highs[j])
            fits = fits and (count == 0 or high[j] - low[j] <= WIDTH)
        if not fits:
            break
        lows[:], highs[:] = low, high
        count += 1
    return count


@on_tile
def _add_block(omega, plane, lows, highs, begin, end, last, count, factors, values):
    """Rows of one plane += the products of the modes' factors (COMPANY, WIDTH) and values."""
    low, high = max(lows[1], begin - plane), min(highs[1], end - plane)
    row = low
    while row < high:
        to, by = (plane + row) * last + lows[2], row - lows[1]
        if plane + row + ROWS <= end and by + ROWS <= WIDTH:
            for q in range(0, WIDTH, LANES):
                panel(omega, to + q, last, factors, by, 1, WIDTH, values, q, WIDTH, count, True)
            row += ROWS
        else:
            for q in range(0, WIDTH, BAND):
                single(omega, to + q, last, factors, by, 1, WIDTH, values, q, WIDTH, count, True)
            row += 1


@cached
def spread_rows(begin, end, omega, modes, lw, shape, first, spacing, variance):
    """Rows begin..end of omega (M0 (M1 + ROWS), M2 + BAND) += w_k exp(-|c - mu_k|^2/(2 V)) at the
    points in reach of each mode; modes (N, 3), of which near ones are near."""
    h, reach, last = 0.5 * LOG2E / variance, BUILT * math.sqrt(variance), omega.shape[1]
    flat, g = omega.reshape(-1), np.empty((3, _COMPANY * WIDTH))
    factors = np.empty(_COMPANY * WIDTH)
    lows, highs = np.empty(3, np.int64), np.empty(3, np.int64)
    low, high, k = np.empty(3, np.int64), np.empty(3, np.int64), 0
    while k < modes.shape[0]:
        count = _company(modes, k, reach, shape, first, spacing, lows, highs, low, high)
        if shape[0] > 1 or (lows[1] < end and highs[1] > begin):
            for q in range(count):
                for j in range(3):
                    _place(modes[k + q, j], h, first[j], spacing, lows[j], shape[j], g[j], q)
            for i in range(lows[0], highs[0]):
                for q in range(count):
                    factor = 2.0 ** lw[k + q] * g[0, q * WIDTH + i - lows[0]]
                    for j in range(WIDTH):
                        factors[q * WIDTH + j] = factor * g[1, q * WIDTH + j]
                plane = i * (shape[1] + ROWS)
                _add_block(flat, plane, lows, highs, begin, end, last, count, factors, g[2])
        k += count


@on_tile
def _place(at, h, first, spacing, low, count, g, q):
    """Part q of g (COMPANY WIDTH,) = 2^(-h (c - at)^2) of WIDTH points from `low` on; 1 where there
    is one point."""
    wide()
    part, begin = g[q * WIDTH : (q + 1) * WIDTH], first + low
    for i in range(WIDTH):
        u = (begin + i) * spacing - at
        part[i] = exp2(-h * u * u)
    if count == 1:
        part[0] = 1.0


@cached
def smooth_rows(begin, end, out, given, first, spacing, first_given, spacing_given, variance, unit):
    """Rows begin..end of out (M, R) = unit times the sum of the rows of `given`, each times
    exp(-(c - c')^2/(2 variance))."""
    h, reach, count = 0.5 * LOG2E / variance, BUILT * math.sqrt(variance), given.shape[0]
    g = np.empty(6 * (count + BAND))
    for i in range(begin, end):
        out[i] = 0.0
        at = (first + i) * spacing
        low, high = _window(at, 1.0, reach, first_given, spacing_given, count)
        _axis(at, 1.0, h, first_given, spacing_given, low, high, g, 0)
        for q in range(low, high):
            _add_multiple(out[i], unit * g[q - low], given[q])


@on_tile
def _add_multiple(row, factor, other):
    wide()
    for q in range(row.shape[0]):
        row[q] = fma(factor, other[q], row[q])


def _lattice(low: Any, high: Any, variance: float) -> tuple[Any, tuple[int, ...], float]:
    """First points, shape and spacing of the lattice of a variance about a box (3,), (3,). Its
    points are exact: the spacing has ten bits."""
    wanted = SPACING * math.sqrt(variance)
    unit = 2.0 ** (math.floor(math.log2(wanted)) - 9)
    spacing = math.floor(wanted / unit) * unit
    reach = BUILT * math.sqrt(variance)
    flat = high < low  # no coordinate at all
    first = np.where(flat, 0.0, np.floor((low - reach) / spacing))
    last = np.where(flat, 0.0, np.ceil((high + reach) / spacing))
    return first, tuple(int(m) for m in last - first + 1), spacing


def finest(low: Any, high: Any, n_modes: int) -> float:
    """The variance of the finest mesh about a box worth its points; inf where none is, of few modes
    in space."""
    most = min(_NODES * n_modes, _MOST)
    if (high < low).any():
        most = max(most, _FEWEST)
    variance = 2.0 * max(float((high - low).max()), 1e-150) ** 2
    found = math.inf
    while math.prod(_lattice(low, high, 0.5 * variance)[1]) <= most:
        variance = found = 0.5 * variance
        if variance < 1e-290:
            break
    return found


def first_mesh(modes: Any, log_weights: Any, low: Any, high: Any, variance: float) -> Mesh:
    """The mesh of this variance, from modes (N, 3) themselves; low, high (3,): their box, low >
    high where there is no coordinate."""
    first, shape, spacing = _lattice(low, high, variance)
    omega = np.zeros((shape[0], shape[1] + ROWS, shape[2] + BAND))
    given = modes, log_weights / LN2, np.array(shape), first, spacing, variance
    over_rows(spread_rows, 1e6, omega.reshape(-1, omega.shape[2]), *given)
    return _mesh(omega[:, : shape[1], : shape[2]], first, spacing, variance, _UNBUILT)


def next_mesh(mesh: Mesh, low: Any, high: Any) -> Mesh:
    """The mesh of twice the variance."""
    variance = 2.0 * mesh.variance
    first, shape, spacing = _lattice(low, high, variance)
    unit = mesh.spacing / math.sqrt(math.pi * mesh.variance)  # v' = V/2
    rows, columns = mesh.shape[1:]
    omega, axes = mesh.omega.reshape(-1, rows + ROWS, columns + BAND)[:, :rows, :columns], 0
    for j in range(3):
        if high[j] < low[j]:
            continue
        moved = np.ascontiguousarray(np.moveaxis(omega, j, 0))
        out = np.empty((shape[j], moved[0].size))
        steps = first[j], spacing, mesh.first[j], mesh.spacing, mesh.variance, unit
        over_rows(smooth_rows, 40.0 * out.shape[1], out, moved.reshape(len(moved), -1), *steps)
        omega = np.moveaxis(out.reshape(shape[j], *moved.shape[1:]), 0, j)
        axes += 1
    # One Gaussian summed over the points of a line, times unit, is at most unit + sqrt 2.
    loose = (unit + math.sqrt(2.0)) ** axes * mesh.loose + (
        mesh.total * unit**axes + 1.0
    ) * _UNBUILT
    return _mesh(omega, first, spacing, variance, loose)


def _mesh(omega: Any, first: Any, spacing: float, variance: float, loose: float) -> Mesh:
    shape = np.array(omega.shape)
    padded = np.zeros((shape[0], shape[1] + ROWS, shape[2] + BAND))
    padded[:, : shape[1], : shape[2]] = omega
    return Mesh(padded.reshape(-1), shape, first, spacing, variance, float(omega.sum()), loose)


def mesh_pull(
    x: Any, scale: float, alpha: float, var: float, tree: Tree, mesh: Mesh
) -> tuple[Any, Any]:
    """`tree_pull` by a mesh, at a level (alpha, var) of at least twice its variance."""
    out, work = np.empty(x.shape), np.zeros((len(x), 3), np.int64)
    rest = var - alpha * alpha * mesh.variance
    levels = alpha, 0.5 * LOG2E / var, tree, scale, mesh, 0.5 * LOG2E / rest, var / rest
    over_rows(mesh_rows, 4000.0, out, work, x, *levels)
    return out, work.sum(axis=0)
