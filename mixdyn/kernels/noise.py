"""Counter-based normals: Philox4x32-10 and Box-Muller. `mixdyn.problem.noise` says what a counter
holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arithmetic import fma, log, sincos_turn, wide
from .compiling import TILE, cached, inlined, on_tile, over_rows

_U12, U32, LOW32 = np.uint64(12), np.uint64(32), np.uint64(0xFFFFFFFF)
# Multipliers and Weyl increments of Philox4x32 (Salmon et al., SC11).
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
STREAM_STEP, STREAM_EXTRA = np.uint64(1 << 24), np.uint64(2 << 24)  # of `Stream`
NORMAL_COST = 4.0  # of a normal, in multiply-adds


@inlined
def _philox_round(c0, c1, c2, c3, k0, k1):
    p0 = c0 * _M0
    p1 = c2 * _M1
    return (p1 >> U32) ^ c1 ^ k0, p1 & LOW32, (p0 >> U32) ^ c3 ^ k1, p0 & LOW32


@inlined
def philox(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10: four 32-bit counter words and two key words, each held in a uint64.

    Ten rounds written out: LLVM vectorises the surrounding loop only without an inner one.
    """
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, k0, k1)
    j0, j1 = (k0 + np.uint64(1) * _W0) & LOW32, (k1 + np.uint64(1) * _W1) & LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(2) * _W0) & LOW32, (k1 + np.uint64(2) * _W1) & LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(3) * _W0) & LOW32, (k1 + np.uint64(3) * _W1) & LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(4) * _W0) & LOW32, (k1 + np.uint64(4) * _W1) & LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(5) * _W0) & LOW32, (k1 + np.uint64(5) * _W1) & LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(6) * _W0) & LOW32, (k1 + np.uint64(6) * _W1) & LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(7) * _W0) & LOW32, (k1 + np.uint64(7) * _W1) & LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(8) * _W0) & LOW32, (k1 + np.uint64(8) * _W1) & LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    j0, j1 = (k0 + np.uint64(9) * _W0) & LOW32, (k1 + np.uint64(9) * _W1) & LOW32
    c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, j0, j1)
    return c0, c1, c2, c3


@cached
def philox4x32(counter, key):
    """One Philox4x32-10 block: counter (4,), key (2,) uint64 words -> (4,) uint64 words."""
    out = np.empty(4, np.uint64)
    out[0], out[1], out[2], out[3] = philox(
        counter[0], counter[1], counter[2], counter[3], key[0], key[1]
    )
    return out


@inlined
def unit(high, low):
    """52 of 64 random bits as (integer + 1/2)/2^52, strictly inside (0, 1) and exact."""
    bits = ((high << U32) | low) >> _U12
    return (np.float64(np.int64(bits)) + 0.5) * 2.220446049250313e-16


@inlined
def uniforms(i, t, word, k0, k1):
    """The two uniforms of block `word` of sample i at time t."""
    r0, r1, r2, r3 = philox(i & LOW32, i >> U32, t, word, k0, k1)
    return unit(r0, r1), unit(r2, r3)


@inlined
def box_muller(u, v):
    """Two independent standard normals from two uniforms."""
    radius = math.sqrt(-2.0 * log(u))
    sin_v, cos_v = sincos_turn(v)
    return radius * cos_v, radius * sin_v


@on_tile
def normal_rows(xi, uniform, first, t, stream, seed):
    """Fill xi with the normals of samples first.. at time t: rows 2p, 2p + 1 are the two normals
    of block p, so that xi has one row more than the data where their d is odd. uniform (2, TILE)
    is a place to work.

    Two loops: the counters' multiplications need other units than square roots and divisions.
    """
    wide()
    k0, k1 = seed & LOW32, seed >> U32
    t = t & LOW32  # tells LLVM that a 32-bit multiplication will do
    left, right = uniform[0], uniform[1]
    for p in range(xi.shape[0] // 2):
        word = (stream | np.uint64(p)) & LOW32
        even, odd = xi[2 * p], xi[2 * p + 1]
        for b in range(TILE):
            u, v = uniforms(first + np.uint64(b), t, word, k0, k1)
            left[b] = u
            right[b] = v
        for b in range(TILE):
            z0, z1 = box_muller(left[b], right[b])
            even[b] = z0
            odd[b] = z1


@cached
def normal_tiles(begin, end, out, first, times, weights, stream, seed):
    """Rows begin..end of out (n, d) = sum_r weights[r] xi(times[r])."""
    d = out.shape[1]
    xi, uniform = np.empty((d + d % 2, TILE)), np.empty((2, TILE))
    total = np.empty((d, TILE))
    alone = times.shape[0] == 1 and weights[0] == 1.0
    rows = xi if alone else total
    for start in range(begin, end, TILE):
        for r in range(times.shape[0]):
            normal_rows(xi, uniform, first + np.uint64(start), times[r], stream, seed)
            for j in range(0 if alone else d):
                for b in range(TILE):
                    total[j, b] = fma(weights[r], xi[j, b], total[j, b] if r > 0 else 0.0)
        for b in range(min(TILE, end - start)):
            for j in range(d):
                out[start + b, j] = rows[j, b]


def normals(out: Any, first: Any, t: Any, stream: Any, seed: Any) -> None:
    """Fill out (n, d) with the normals of samples first..first + n - 1 at time t."""
    _fill(out, first, np.array([t], np.uint64), np.ones(1), stream, seed)


def path_normals(out: Any, first: Any, times: Any, weights: Any, seed: Any) -> None:
    """Fill out (n, d) with sum_r weights[r] xi(times[r]), xi the step normals of `normals`."""
    _fill(out, first, times, weights, STREAM_STEP, seed)


def _fill(out: Any, first: Any, times: Any, weights: Any, stream: Any, seed: Any) -> None:
    each = NORMAL_COST * out.shape[1] * len(times)
    over_rows(normal_tiles, each, out, first, times, weights, stream, seed)
