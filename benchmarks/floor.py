"""The exponentials alone: what no way of evaluating one for every mode can do without."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from mixdyn import kernels
from mixdyn.support.checks import Array

_exp2_of, _wide, _TILE, _HALF = kernels._exp2_of, kernels._wide, kernels.TILE, kernels.TILE // 2


@njit(error_model="numpy")  # type: ignore[untyped-decorator]
def _add_powers(x, first, modes, total):  # type: ignore[no-untyped-def]
    """total (TILE,) += sum_k 2^(x - k), k below `modes`, a multiple of 5."""
    _wide()
    for k in range(first, first + modes, 5):
        for b in range(_HALF):
            u, v = x[b] - k, x[b + _HALF] - k
            e, f = _exp2_of(
                (u, u - 1.0, u - 2.0, u - 3.0, u - 4.0), (v, v - 1.0, v - 2.0, v - 3.0, v - 4.0)
            )
            total[b] += ((e[0] + e[1]) + (e[2] + e[3])) + e[4]
            total[b + _HALF] += ((f[0] + f[1]) + (f[2] + f[3])) + f[4]


@njit(parallel=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _powers(x, modes, steps, out):  # type: ignore[no-untyped-def]
    for tile in prange(x.shape[0] // _TILE):
        row = x[tile * _TILE : (tile + 1) * _TILE].copy()
        total = np.zeros(_TILE)
        for s in range(steps):
            _add_powers(row, s % 7, modes, total)
        out[tile * _TILE : (tile + 1) * _TILE] = total


def exponentials(x: Array, modes: int, steps: int) -> Array:
    """Sums of one power of two for each row of x (n, d), mode (a multiple of 5) and step, with the
    engine's own `_exp2`; only whole tiles of rows are taken."""
    z = -np.abs(x[:, 0])
    out = np.zeros(len(z))
    _powers(z, modes, steps, out)
    return out
