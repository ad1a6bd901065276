"""Steps x_s = keep x_t + denoise x0_hat + noise_std xi, one at a time or all in one call, and exact
reverse draws.

A plan row is (c_x, c_eps, c_noise, eps_scale): x_s = c_x x + c_eps eps + c_noise xi with eps =
eps_scale move (eps_scale = -noise_std_t/var_ref_t, `modes` says what a move is). The generic loop
calls `step` on the eps of any model; the rollouts do the same operations in the same order.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from .arithmetic import fma, wide
from .axes import axis_move, axis_sizes
from .compiling import TILE, cached_parallel, inlined, on_tile, parallel
from .modes import begin_of, load, moves, store
from .noise import LOW32, STREAM_EXTRA, STREAM_STEP, U32, box_muller, normal_rows, uniforms


@inlined
def _advance(x, eps, xi, c_x, c_eps, c_noise):
    return fma(c_x, x, fma(c_eps, eps, c_noise * xi))


@parallel
def step(x, eps, xi, c_x, c_eps, c_noise):
    """One step in place: x (n, d) from eps (n, d) and noise xi (n, d) (unread if c_noise is 0)."""
    for i in prange(x.shape[0]):
        for j in range(x.shape[1]):
            z = xi[i, j] if c_noise != 0.0 else 0.0
            x[i, j] = _advance(x[i, j], eps[i, j], z, c_x, c_eps, c_noise)


@on_tile
def _advance_row(x, j, move, m, xi, plan, s):
    """Row j of x by row m of its moves and row j of the normals, in step s of a plan."""
    wide()
    c_x, c_eps, c_noise, eps_scale = plan[s, 0], plan[s, 1], plan[s, 2], plan[s, 3]
    first, to = begin_of(j), begin_of(m)
    for b in range(TILE):
        eps = eps_scale * move[to + b]
        x[first + b] = _advance(x[first + b], eps, xi[j, b], c_x, c_eps, c_noise)


@cached_parallel
def rollout(x, first, seed, plan, times, means, alpha, h, lw, ratio):
    """All steps of a plan in place on x (n, d), with the exact score of a general mixture.

    plan (S, 4), times (S,) uint64 the t of each step, alpha (S,), mode tables h, lw, ratio (S, N).
    In the precision of x, which plan and tables share; means and alpha are double in either.
    """
    n, d = x.shape
    n_modes = means.shape[0]
    for tile in prange((n + TILE - 1) // TILE):
        rows, move = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
        xi, uniform = np.zeros((d + d % 2, TILE), x.dtype), np.empty((2, TILE))
        logit, a = np.empty(n_modes * TILE, x.dtype), np.empty((n_modes, d), x.dtype)
        top, total = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
        load(x, tile * TILE, rows)
        for s in range(plan.shape[0]):
            for k in range(n_modes):
                for j in range(d):
                    a[k, j] = alpha[s] * means[k, j]
            moves(rows, a, h[s], lw[s], ratio[s], logit, top, total, move)
            if plan[s, 2] != 0.0:
                at = first + np.uint64(tile * TILE)
                normal_rows(xi, uniform, at, times[s], STREAM_STEP, seed)
            for j in range(d):
                _advance_row(rows, j, move, j, xi, plan, s)
        store(rows, tile * TILE, x)


@cached_parallel
def rollout_product(x, first, seed, plan, times, axes, alpha, h, lw, lattice):
    """`rollout` for a product mixture of one sigma: axes (d, M) mode values per coordinate, lw
    (d, M) the log2 of their weights (-inf pads short axes), h (S,) = log2(e)/(2 var), lattice
    (S, axes of two values or more, W) their rows of `lattice_rows`."""
    n, d = x.shape
    sizes = axis_sizes(lw)
    for tile in prange((n + TILE - 1) // TILE):
        rows, move = np.empty(d * TILE, x.dtype), np.empty(TILE, x.dtype)
        xi, uniform = np.zeros((d + d % 2, TILE), x.dtype), np.empty((2, TILE))
        work = np.empty((3 + axes.shape[1], TILE), x.dtype)
        load(x, tile * TILE, rows)
        for s in range(plan.shape[0]):
            if plan[s, 2] != 0.0:
                at = first + np.uint64(tile * TILE)
                normal_rows(xi, uniform, at, times[s], STREAM_STEP, seed)
            q, of_step = 0, lattice[s]
            for j in range(d):
                axis_move(rows, j, axes, alpha[s], sizes[j], h[s], lw, of_step, q, work, move, 0)
                _advance_row(rows, j, move, 0, xi, plan, s)
                q += sizes[j] > 1
        store(rows, tile * TILE, x)


@parallel
def reverse_draw(x, first, t, seed, means, log_weights, var_t, keep, noise_std, alphas):
    """One exact reverse step x_t -> x_s in place (time reversal of the forward diffusion).

    Draw mode k with its posterior probability at x_t, then x_s = alpha_s [mu_k + keep_k (y_t -
    mu_k)] + noise_std_k xi. var_t, keep, noise_std (N,): variance of mode k at t in x units, ratio
    of effective variances, standard deviation in x_s units; alphas = (alpha_t, alpha_s).
    """
    n, d = x.shape
    n_modes = means.shape[0]
    alpha_t, alpha_s = alphas
    k0, k1 = seed & LOW32, seed >> U32
    for i in prange(n):
        index = first + np.uint64(i)
        logit = np.empty(n_modes)
        for k in range(n_modes):
            square = 0.0
            for j in range(d):
                u = x[i, j] - alpha_t * means[k, j]
                square += u * u
            logit[k] = log_weights[k] - 0.5 * (square / var_t[k] + d * math.log(var_t[k]))
        top = logit.max()
        total = 0.0
        for k in range(n_modes):
            logit[k] = math.exp(logit[k] - top)
            total += logit[k]
        left = uniforms(index, t, STREAM_EXTRA, k0, k1)[0] * total
        mode = 0
        while mode < n_modes - 1 and left > logit[mode]:
            left -= logit[mode]
            mode += 1
        for p in range((d + 1) // 2):
            u, v = uniforms(index, t, STREAM_STEP | np.uint64(p), k0, k1)
            z0, z1 = box_muller(u, v)
            for j in range(2 * p, min(2 * p + 2, d)):
                z = z0 if j == 2 * p else z1
                mu = means[mode, j]
                mean = mu + keep[mode] * (x[i, j] / alpha_t - mu)
                x[i, j] = alpha_s * mean + noise_std[mode] * z
