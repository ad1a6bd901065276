"""The exponentials alone: what no way of evaluating one for every mode can do without."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from mixdyn.kernels import TILE
from mixdyn.kernels.arithmetic import exp2_of, wide
from mixdyn.kernels.modes import HALF
from mixdyn.support.checks import Array


@njit(error_model="numpy")
def _add_powers(x, first, modes, total):
    """total (TILE,) += sum_k 2^(x - k), k below `modes`, a multiple of 5."""
    wide()
    for k in range(first, first + modes, 5):
        for b in range(HALF):
            u, v = x[b] - k, x[b + HALF] - k
            e, f = exp2_of(
                (u, u - 1.0, u - 2.0, u - 3.0, u - 4.0), (v, v - 1.0, v - 2.0, v - 3.0, v - 4.0)
            )
            total[b] += ((e[0] + e[1]) + (e[2] + e[3])) + e[4]
            total[b + HALF] += ((f[0] + f[1]) + (f[2] + f[3])) + f[4]


@njit(parallel=True, error_model="numpy")
def _powers(x, modes, steps, out):
    for tile in prange(x.shape[0] // TILE):
        row = x[tile * TILE : (tile + 1) * TILE].copy()
        total = np.zeros(TILE)
        for s in range(steps):
            _add_powers(row, s % 7, modes, total)
        out[tile * TILE : (tile + 1) * TILE] = total


def exponentials(x: Array, modes: int, steps: int) -> Array:
    """Sums of one power of two for each row of x (n, d), mode (a multiple of 5) and step, with the
    engine's own `exp2`; only whole tiles of rows are taken."""
    z = -np.abs(x[:, 0])
    out = np.zeros(len(z))
    _powers(z, modes, steps, out)
    return out
