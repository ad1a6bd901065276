"""Scores of very many modes of one variance on a line, in the plane and in space.

Low noise: a tree. Modes lie in leaves of LEAF, leaves in groups of LEAF, each with its bounding box
and weight. A box whose weight at its nearest point lies `need` bits below the largest mode found
is passed over: boxes passed over together have less than 2^-need times their number of the weight.

High noise: meshes. A Gaussian of variance v is one of variance V < v smoothed by v - V. So with
Omega(c) = sum_k w_k exp(-|c - mu_k|^2/(2 V)) on the points c of a lattice of spacing h,

    sum_c Omega(c) exp(-|y - c|^2/(2 (v - V)))  =  const  sum_k w_k exp(-|y - mu_k|^2/(2 v)):

the trapezoidal rule for a product of two Gaussians of c, itself one of variance v' = V (v - V)/v.
By Poisson summation it is off, for every y and every mode, by no more than 2 exp(-2 pi^2 v'/h^2) of
this mode's own term a coordinate, whatever the distance, and its first moment by 4 pi v'/h times
that power. For v >= 2 V and h <= SPACING sqrt(V) these are below e^-36. All terms are positive, so
that nothing cancels: a mesh is the mixture, as long as v >= 2 V. Meshes of doubled V come from one
another by the same rule.

What lies beyond REACH standard deviations is left out: of a mesh at most `loose` of each Omega, of
the sum at most the total of Omega times exp(-REACH^2/2). Where both together might shift the pull
by more than the target, far from all modes, a sample is summed by the tree.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .arithmetic import LN2, LOG2E, exp2, fma, larger, wide
from .compiling import cached, on_tile, over_rows
from .panels import BAND, pair
from .screened import LEFT_OUT

LEAF = 64
REACH, SPACING = 11.0, 0.52
_NODES = 8.0  # of the finest mesh for each mode
_BITS = 20  # of a coordinate in the order of the modes
_BEYOND = math.exp(-0.5 * REACH * REACH)
NODES, MODES, EXPONENTIALS = 0, 1, 2  # columns of `work`


class Tree(NamedTuple):
    """Modes (d P,) by coordinate, P a multiple of LEAF^2 or of LEAF; log2 weights (P,), -inf of
    those that fill the last leaf. boxes (L, 2, d) and mass (L,) of the leaves, and of groups of
    them. far: the largest |mu|. need, in bits."""

    modes: Any
    lw: Any
    boxes: Any
    mass: Any
    group_boxes: Any
    group_mass: Any
    far: float
    need: float


class Mesh(NamedTuple):
    """Omega (M0, M1, M2 + BAND) at (first + i) spacing, in three coordinates, of which the first
    have one point where there are fewer, zeros beyond M2; shape (M0, M1, M2), variance V, total of
    omega, and what each may lack."""

    omega: Any
    shape: Any
    first: Any
    spacing: float
    variance: float
    total: float
    loose: float


def tree(means: Any, log_weights: Any) -> Tree:
    """The tree of means (N, d), d <= 3, and natural log weights (N,)."""
    n_modes, d = means.shape
    order = np.argsort(_interleaved(means), kind="stable")
    leaves = -(-n_modes // LEAF)
    filled = np.minimum(np.arange(leaves * LEAF), n_modes - 1)
    points, lw = means[order][filled], log_weights[order][filled] / LN2
    lw[n_modes:] = -np.inf
    boxes, mass = _boxes(points.reshape(leaves, LEAF, d), lw.reshape(leaves, LEAF))
    groups = -(-leaves // LEAF)
    filled = np.minimum(np.arange(groups * LEAF), leaves - 1)
    corners = boxes[filled].reshape(groups, 2 * LEAF, d)
    masses = np.where(np.arange(groups * LEAF) < leaves, mass[filled], -np.inf)
    group_boxes, group_mass = _boxes(corners, masses.reshape(groups, LEAF))
    far = math.sqrt(float(np.square(means).sum(axis=1).max()))
    need = math.log2(leaves) + math.log2(4.0 / LEFT_OUT) + 1.0
    flat = np.ascontiguousarray(points.T).reshape(-1)
    return Tree(flat, lw, boxes, mass, group_boxes, group_mass, far, need)


def _boxes(points: Any, lw: Any) -> tuple[Any, Any]:
    """Boxes (L, 2, d) and weights in bits (L,) of points (L, m, d), log weights (L, n)."""
    with np.errstate(divide="ignore"):
        mass = np.logaddexp2.reduce(lw, axis=1)
    return np.stack([points.min(axis=1), points.max(axis=1)], axis=1), mass


def _interleaved(means: Any) -> Any:
    """(N,) the bits of the coordinates in turn: near ones lie near each other."""
    low, size = means.min(axis=0), max(float(np.ptp(means, axis=0).max()), 1e-300)
    cells = np.minimum((means - low) / size * 2**_BITS, 2**_BITS - 1).astype(np.int64)
    out, d = np.zeros(len(means), np.int64), means.shape[1]
    for bit in range(_BITS):
        for j in range(d):
            out |= ((cells[:, j] >> bit) & 1) << (bit * d + j)
    return out


@on_tile
def _away(x, alpha, box):
    """The squared distance of x from a box, times alpha."""
    total = 0.0
    for j in range(x.shape[0]):
        u = max(alpha * box[0, j] - x[j], x[j] - alpha * box[1, j], 0.0)
        total += u * u
    return total


@on_tile
def _nearest(x, alpha, h, boxes, mass, begin, end):
    """The box of the largest weight at its nearest point."""
    best, found = -np.inf, begin
    for i in range(begin, end):
        bound = mass[i] - h * _away(x, alpha, boxes[i])
        if bound > best:
            best, found = bound, i
    return found


@on_tile
def _largest(z, half):
    """The largest of z (LEAF,), halved in place in half (LEAF / 2,)."""
    wide()
    for q in range(LEAF // 2):
        half[q] = larger(z[q], z[q + LEAF // 2])
    for q in range(LEAF // 4):
        half[q] = larger(half[q], half[q + LEAF // 4])
    for q in range(LEAF // 8):
        half[q] = larger(half[q], half[q + LEAF // 8])
    best = half[0]
    for q in range(1, LEAF // 8):
        best = larger(best, half[q])
    return best


@on_tile
def _leaf(x, alpha, h, tree, leaf, z):
    """z (LEAF,) = logits of a leaf's modes."""
    wide()
    points, begin = tree.lw.shape[0], leaf * LEAF
    for q in range(LEAF):
        z[q] = 0.0
    for j in range(x.shape[0]):
        row, xj = tree.modes[j * points + begin : j * points + begin + LEAF], x[j]
        for q in range(LEAF):
            u = fma(alpha, row[q], -xj)
            z[q] = fma(u, u, z[q])
    lw = tree.lw[begin : begin + LEAF]
    for q in range(LEAF):
        z[q] = fma(-h, z[q], lw[q])


@on_tile
def _add_leaf(x, alpha, tree, leaf, z, top, sums):
    """What a leaf's modes add to sums (d + 1, LEAF): their pulls by coordinate, and their weights
    2^(z - top), side by side."""
    wide()
    total = sums[x.shape[0]]
    for q in range(LEAF):
        e = exp2(z[q] - top)
        z[q] = e
        total[q] += e
    points, begin = tree.lw.shape[0], leaf * LEAF
    for j in range(x.shape[0]):
        row, add, xj = tree.modes[j * points + begin : j * points + begin + LEAF], sums[j], x[j]
        for q in range(LEAF):
            add[q] = fma(z[q], fma(alpha, row[q], -xj), add[q])


@on_tile
def _joined(values, count):
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
def _sum_tree(x, alpha, h, tree, z, half, sums, pull, work):
    """pull (d,) = sum_k gamma_k (alpha mu_k - x), of all modes that may be felt."""
    d, leaves, groups = x.shape[0], tree.mass.shape[0], tree.group_mass.shape[0]
    group = _nearest(x, alpha, h, tree.group_boxes, tree.group_mass, 0, groups)
    end = min(leaves, (group + 1) * LEAF)
    _leaf(x, alpha, h, tree, _nearest(x, alpha, h, tree.boxes, tree.mass, group * LEAF, end), z)
    top = _largest(z, half)
    sums[: d + 1] = 0.0
    for group in range(groups):
        away = h * _away(x, alpha, tree.group_boxes[group]) * (1.0 - 2.0**-44)
        if tree.group_mass[group] - away < top - tree.need:
            continue
        for leaf in range(group * LEAF, min(leaves, (group + 1) * LEAF)):
            away = h * _away(x, alpha, tree.boxes[leaf]) * (1.0 - 2.0**-44)
            if tree.mass[leaf] - away < top - tree.need:
                continue
            _leaf(x, alpha, h, tree, leaf, z)
            most = _largest(z, half)
            if most > top:
                sums[: d + 1] *= exp2(top - most)
                top = most
            _add_leaf(x, alpha, tree, leaf, z, top, sums)
            work[MODES] += LEAF
            work[EXPONENTIALS] += LEAF
    total = _joined(sums[d], LEAF)
    for j in range(d):
        pull[j] = _joined(sums[j], LEAF) / total


@cached
def tree_rows(begin, end, out, work, x, alpha, h, tree, scale):
    """out (n, d) = scale times the pull at x (n, d), rows begin..end."""
    z, half, sums = np.empty(LEAF), np.empty(LEAF // 2), np.empty((4, LEAF))
    for i in range(begin, end):
        _sum_tree(x[i], alpha, h, tree, z, half, sums, out[i], work[i])
        for j in range(x.shape[1]):
            out[i, j] *= scale


@on_tile
def _window(at, alpha, reach, first, spacing, count):
    """The lattice points within `reach` of a coordinate in units of x: from, to."""
    if alpha * spacing * count <= reach:
        return 0, count
    low = math.ceil((at - reach) / (alpha * spacing)) - first
    high = math.floor((at + reach) / (alpha * spacing)) - first + 1.0
    return int(min(max(low, 0.0), count)), int(min(max(high, 0.0), count))


@on_tile
def _axis(at, alpha, h, first, spacing, low, high, g):
    """g (2, M): 2^(-h u^2) and u times it, u = alpha c - x, of the points from `low` on, whole
    BANDs of them; their number."""
    wide()
    count = -(-(high - low) // BAND) * BAND
    begin, power, moment = first + low, g[0], g[1]
    for i in range(count):
        u = fma(alpha, (begin + i) * spacing, -at)
        e = exp2(-h * u * u)
        power[i] = e
        moment[i] = e * u
    return count


@on_tile
def _fold(mesh, i, lows, highs, count, g, rows):
    """rows (2 L,): plane i of a mesh, its rows from lows[1] on summed with their factors g (2 L,)
    and moments."""
    _, middle, last = mesh.omega.shape
    longest = rows.shape[0] // 2
    begin = (i * middle + lows[1]) * last + lows[2]
    flat = mesh.omega.reshape(-1)
    for j in range(0, count, BAND):
        pair(
            rows, j, longest, g, 0, longest, 1, flat, begin + j, last, highs[1] - lows[1], False
        )  # fmt: skip


@on_tile
def _add_plane(rows, e, moment, count, sums):
    """sums (3, L): total, moments in the first and in the second coordinate, of a folded plane."""
    wide()
    longest = rows.shape[0] // 2
    first, second = rows[:count], rows[longest : longest + count]
    total, other, third = sums[0], sums[1], sums[2]
    for j in range(count):
        total[j] = fma(e, first[j], total[j])
        other[j] = fma(moment, first[j], other[j])
        third[j] = fma(e, second[j], third[j])


@on_tile
def _times(values, factor, out, count):
    wide()
    for j in range(count):
        out[j] = values[j] * factor[j]


@on_tile
def _sum_mesh(x, alpha, h, mesh, g, rows, sums, pull):
    """pull (3,) of all points of a mesh in reach, before it is divided by their sum; this sum,
    their number and that of the powers."""
    reach = REACH * math.sqrt(0.5 * LOG2E / h)
    lows, highs, felt = np.empty(3, np.int64), np.empty(3, np.int64), 0
    for j in range(3):
        shape = mesh.shape[j]
        low, high = _window(x[j], alpha, reach, mesh.first[j], mesh.spacing, shape)
        if high <= low:
            return 0.0, 0, 0
        lows[j], highs[j] = low, high
        felt += _axis(x[j], alpha, h, mesh.first[j], mesh.spacing, low, high, g[j])
    count = -(-(highs[2] - lows[2]) // BAND) * BAND
    sums[:3, :count] = 0.0
    for i in range(lows[0], highs[0]):
        _fold(mesh, i, lows, highs, count, g[1].reshape(-1), rows)
        _add_plane(rows, g[0, 0, i - lows[0]], g[0, 1, i - lows[0]], count, sums)
    for j in range(3):
        _times(sums[j], g[2, 0], sums[3], count)
        pull[(j + 2) % 3] = _joined(sums[3], count)
    total = pull[2]
    _times(sums[0], g[2, 1], sums[3], count)
    pull[2] = _joined(sums[3], count)
    return total, (highs[0] - lows[0]) * (highs[1] - lows[1]) * count, felt


@on_tile
def _lacks(mesh, alpha, h):
    """What the sum may lack at most: one Gaussian sums to no more than its integral and its top."""
    span = 1.0
    for j in range(3):
        most = float(mesh.shape[j])
        if alpha > 0.0:
            most = min(most, 1.0 + math.sqrt(math.pi * LOG2E / h) / (alpha * mesh.spacing))
        span *= most
    return mesh.loose * span + mesh.total * math.exp(-0.5 * REACH * REACH)


@cached
def mesh_rows(begin, end, out, work, x, alpha, h, tree, scale, mesh, h_rest, ratio):
    """`tree_rows` by a mesh, h_rest that of what its variance leaves of the level's and ratio the
    one by the other; by the tree where a sample may lack more than the target."""
    d, longest = x.shape[1], max(mesh.omega.shape) + BAND
    g, rows, sums = np.empty((3, 2, longest)), np.empty(2 * longest), np.empty((4, longest))
    z, half, leaves = np.empty(LEAF), np.empty(LEAF // 2), np.empty((4, LEAF))
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
        total, visited, felt = _sum_mesh(point, alpha, h_rest, mesh, g, rows, sums, pull)
        if lacks <= LEFT_OUT * (math.sqrt(size) + alpha * tree.far) * total and total > 0.0:
            work[i, NODES] += visited
            work[i, EXPONENTIALS] += felt
            for j in range(d):
                out[i, j] = scale * (ratio * (pull[3 - d + j] / total))
        else:
            _sum_tree(x[i], alpha, h, tree, z, half, leaves, out[i], work[i])
            for j in range(d):
                out[i, j] *= scale


@cached
def spread_modes(omega, modes, lw, first, spacing, variance):
    """omega += w_k exp(-|c - mu_k|^2/(2 V)) at the points in reach of each mode; modes (N, 3)."""
    h, reach = 0.5 * LOG2E / variance, REACH * math.sqrt(variance)
    g = np.empty((3, 2, max(omega.shape) + BAND))
    lows, highs = np.empty(3, np.int64), np.empty(3, np.int64)
    for k in range(modes.shape[0]):
        for j in range(3):
            at = modes[k, j]
            low, high = _window(at, 1.0, reach, first[j], spacing, omega.shape[j])
            lows[j], highs[j] = low, high
            _axis(at, 1.0, h, first[j], spacing, low, high, g[j])
        weight, count = 2.0 ** lw[k], -(-(highs[2] - lows[2]) // BAND) * BAND
        for i in range(lows[0], highs[0]):
            for j in range(lows[1], highs[1]):
                factor = weight * g[0, 0, i - lows[0]] * g[1, 0, j - lows[1]]
                _add_multiple(omega[i, j, lows[2] : lows[2] + count], factor, g[2, 0])


@on_tile
def _add_multiple(row, factor, other):
    wide()
    for q in range(row.shape[0]):
        row[q] = fma(factor, other[q], row[q])


@cached
def smooth_rows(begin, end, out, given, first, spacing, first_given, spacing_given, variance, unit):
    """Rows begin..end of out (M, R) = unit times the sum of the rows of `given`, each times
    exp(-(c - c')^2/(2 variance))."""
    h, reach = 0.5 * LOG2E / variance, REACH * math.sqrt(variance)
    g = np.empty((2, given.shape[0] + BAND))
    for i in range(begin, end):
        out[i] = 0.0
        at = (first + i) * spacing
        low, high = _window(at, 1.0, reach, first_given, spacing_given, given.shape[0])
        _axis(at, 1.0, h, first_given, spacing_given, low, high, g)
        for q in range(low, high):
            _add_multiple(out[i], unit * g[0, q - low], given[q])


def _lattice(low: Any, high: Any, variance: float) -> tuple[Any, tuple[int, ...], float]:
    """First points, shape and spacing of the lattice of a variance about a box (3,), (3,). Its
    points are exact: the spacing has ten bits."""
    wanted = SPACING * math.sqrt(variance)
    unit = 2.0 ** (math.floor(math.log2(wanted)) - 9)
    spacing = math.floor(wanted / unit) * unit
    reach = REACH * math.sqrt(variance)
    flat = high < low  # no coordinate at all
    first = np.where(flat, 0.0, np.floor((low - reach) / spacing))
    last = np.where(flat, 0.0, np.ceil((high + reach) / spacing))
    return first, tuple(int(m) for m in last - first + 1), spacing


def finest(low: Any, high: Any, n_modes: int) -> float:
    """The variance of the finest mesh about a box."""
    size = max(float((high - low).max()), 1e-150)
    variance = size * size
    while True:
        shape = _lattice(low, high, 0.25 * variance)[1]
        if math.prod(shape) > max(_NODES * n_modes, 2**17):
            return variance
        variance *= 0.25


def first_mesh(modes: Any, log_weights: Any, low: Any, high: Any, variance: float) -> Mesh:
    """The mesh of this variance, from modes (N, 3) themselves; low, high (3,): their box, low >
    high where there is no coordinate."""
    first, shape, spacing = _lattice(low, high, variance)
    omega = np.zeros((*shape[:2], shape[2] + BAND))
    spread_modes(omega, modes, log_weights / LN2, first, spacing, variance)
    return _mesh(omega, first, shape, spacing, variance, _BEYOND)


def next_mesh(mesh: Mesh, low: Any, high: Any) -> Mesh:
    """The mesh of twice the variance."""
    variance = 2.0 * mesh.variance
    first, shape, spacing = _lattice(low, high, variance)
    unit = mesh.spacing / math.sqrt(math.pi * mesh.variance)  # v' = V/2
    omega, axes = mesh.omega[..., : mesh.shape[2]], 0
    for j in range(3):
        if high[j] < low[j]:
            continue
        moved = np.ascontiguousarray(np.moveaxis(omega, j, 0))
        out = np.empty((shape[j], moved[0].size))
        steps = first[j], spacing, mesh.first[j], mesh.spacing, mesh.variance, unit
        over_rows(smooth_rows, 40.0 * out.shape[1], out, moved.reshape(len(moved), -1), *steps)
        omega = np.moveaxis(out.reshape(shape[j], *moved.shape[1:]), 0, j)
        axes += 1
    padded = np.zeros((*shape[:2], shape[2] + BAND))
    padded[..., : shape[2]] = omega
    # One Gaussian summed over the points of a line, times unit, is at most unit + sqrt 2.
    loose = (unit + math.sqrt(2.0)) ** axes * mesh.loose + (mesh.total * unit**axes + 1.0) * _BEYOND
    return _mesh(padded, first, shape, spacing, variance, loose)


def _mesh(omega: Any, first: Any, shape: Any, spacing: float, variance: float, loose: float) -> Mesh:
    # Beyond the lattice a window's last band finds zeros.
    omega[..., shape[2] :] = 0.0
    return Mesh(omega, np.array(shape), first, spacing, variance, float(omega.sum()), loose)


def tree_pull(x: Any, scale: float, alpha: float, h: float, tree: Tree) -> tuple[Any, Any]:
    """scale times the pull (n, d) of x (n, d) by the tree, and the work (3,)."""
    out, work = np.empty(x.shape), np.zeros((len(x), 3), np.int64)
    over_rows(tree_rows, 1000.0 * x.shape[1], out, work, x, alpha, h, tree, scale)
    return out, work.sum(axis=0)


def mesh_pull(
    x: Any, scale: float, alpha: float, var: float, tree: Tree, mesh: Mesh
) -> tuple[Any, Any]:
    """`tree_pull` by a mesh, at a level (alpha, var) of at least twice its variance."""
    out, work = np.empty(x.shape), np.zeros((len(x), 3), np.int64)
    rest = var - alpha * alpha * mesh.variance
    levels = alpha, 0.5 * LOG2E / var, tree, scale, mesh, 0.5 * LOG2E / rest, var / rest
    over_rows(mesh_rows, 4000.0, out, work, x, *levels)
    return out, work.sum(axis=0)
