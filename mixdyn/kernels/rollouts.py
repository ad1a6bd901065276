"""Steps x_s = keep x_t + denoise x0_hat + noise_std xi, one at a time or all in one call, and exact
reverse draws.

A plan row is (c_x, c_eps, c_noise, eps_scale): x_s = c_x x + c_eps eps + c_noise xi with eps =
eps_scale move (eps_scale = -noise_std_t/var_ref_t, `modes` says what a move is). A method that
looks back has 1 + H rows a step: row i is what x, eps and xi add to the state i steps later, and H
sums of what earlier steps added are carried along. The generic loop calls `step` on the eps of any
model; the rollouts do the same operations in the same order. An evaluation is a rollout that stops
at the first eps: the kernels are compiled once for both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arithmetic import fma, wide
from .axes import axis_move, axis_sizes
from .compiling import TILE, cached, on_tile, over_rows, pasted
from .modes import begin_of, load, moves, scale_tile, store
from .noise import (
    LOW32,
    NORMAL_COST,
    STREAM_EXTRA,
    STREAM_STEP,
    U32,
    box_muller,
    normal_rows,
    uniforms,
)


@pasted
def _advance(x, eps, xi, c_x, c_eps, c_noise):
    return fma(c_x, x, fma(c_eps, eps, c_noise * xi))


@cached
def step_rows(begin, end, x, eps, xi, c_x, c_eps, c_noise):
    """`step` of rows begin..end."""
    for i in range(begin, end):
        for j in range(x.shape[1]):
            z = xi[i, j] if c_noise != 0.0 else c_noise
            x[i, j] = _advance(x[i, j], eps[i, j], z, c_x, c_eps, c_noise)


def step(x: Any, eps: Any, xi: Any, c_x: Any, c_eps: Any, c_noise: Any) -> None:
    """One step in place: x (n, d) from eps (n, d) and noise xi (n, d) (unread if c_noise is 0)."""
    over_rows(step_rows, x.shape[1], x, eps, xi, c_x, c_eps, c_noise)


@on_tile
def advance_row(x, j, move, xi, plan, s):
    """Row j of x by its moves and normals, in step s of a plan."""
    wide()
    c_x, c_eps, c_noise, eps_scale = plan[s, 0, 0], plan[s, 0, 1], plan[s, 0, 2], plan[s, 0, 3]
    first = begin_of(j)
    for b in range(TILE):
        eps, z = eps_scale * move[first + b], x.dtype.type(xi[j, b])
        x[first + b] = _advance(x[first + b], eps, z, c_x, c_eps, c_noise)


@on_tile
def recall_row(x, j, move, xi, plan, s, sums):
    """`advance_row` of a method that looks back. sums (H d TILE,): what is added to coordinate j
    of the state q steps from here is row ((s + q) mod H) d + j."""
    wide()
    lags, first, eps_scale = plan.shape[1] - 1, begin_of(j), plan[s, 0, 3]
    d = sums.size // (lags * TILE)
    for q in range(1, lags):
        c_x, c_eps, c_noise = plan[s, q, 0], plan[s, q, 1], plan[s, q, 2]
        if c_x != 0.0 or c_eps != 0.0 or c_noise != 0.0:
            to = begin_of((s + q) % lags * d + j)
            for b in range(TILE):
                eps, z = eps_scale * move[first + b], x.dtype.type(xi[j, b])
                sums[to + b] += _advance(x[first + b], eps, z, c_x, c_eps, c_noise)
    # The sum that this state takes is the one to which the row H steps on goes.
    to = begin_of(s % lags * d + j)
    c_x, c_eps, c_noise = plan[s, 0, 0], plan[s, 0, 1], plan[s, 0, 2]
    e_x, e_eps, e_noise = plan[s, lags, 0], plan[s, lags, 1], plan[s, lags, 2]
    for b in range(TILE):
        u, eps, z = x[first + b], eps_scale * move[first + b], x.dtype.type(xi[j, b])
        x[first + b] = _advance(u, eps, z, c_x, c_eps, c_noise) + sums[to + b]
        sums[to + b] = _advance(u, eps, z, e_x, e_eps, e_noise)


@on_tile
def is_noisy(plan, s):
    """Whether step s draws a normal."""
    for q in range(plan.shape[1]):
        if plan[s, q, 2] != 0.0:
            return True
    return False


@cached
def mode_tiles(begin, end, x, first, seed, plan, times, means, alpha, h, lw, ratio, only_eps):
    """Rows begin..end of a rollout in place on x (n, d), with the exact score of a general mixture;
    with `only_eps`, the eps of its only step in their place.

    plan (S, 1 + H, 4), times (S,) uint64 the t of each step, alpha (S,), mode tables h, lw, ratio
    (S, N). In the precision of x, which plan and tables share; means and alpha are double in
    either.
    """
    d, n_modes = x.shape[1], means.shape[0]
    rows, move = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
    xi, uniform = np.empty((d + d % 2, TILE)), np.empty((2, TILE))
    logit, a = np.empty(n_modes * TILE, x.dtype), np.empty((n_modes, d), x.dtype)
    top, total = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
    sums = np.empty((plan.shape[1] - 1) * d * TILE, x.dtype)
    for start in range(begin, end, TILE):
        load(x, start, rows)
        xi[:], sums[:] = 0.0, 0.0
        for s in range(plan.shape[0]):
            for k in range(n_modes):
                for j in range(d):
                    a[k, j] = alpha[s] * means[k, j]
            moves(rows, a, h[s], lw[s], ratio[s], logit, top, total, move)
            if only_eps:
                break
            if is_noisy(plan, s):
                normal_rows(xi, uniform, first + np.uint64(start), times[s], STREAM_STEP, seed)
            for j in range(d):
                if len(sums) == 0:
                    advance_row(rows, j, move, xi, plan, s)
                else:
                    recall_row(rows, j, move, xi, plan, s, sums)
        _finish(only_eps, plan, rows, move, start, x)


@on_tile
def _finish(only_eps, plan, rows, move, start, x):
    if only_eps:
        scale_tile(plan[0, 0, 3], move)
        store(move, start, x)
    else:
        store(rows, start, x)


@cached
def axis_tiles(begin, end, x, first, seed, plan, times, axes, alpha, h, lw, lattice, only_eps):
    """`mode_tiles` for a product mixture of one sigma: axes (d, M) mode values per coordinate, lw
    (d, M) the log2 of their weights (-inf pads short axes), h (S,) = log2(e)/(2 var), lattice
    (S, axes of two values or more, W) their rows of `lattice_rows`."""
    d = x.shape[1]
    sizes = axis_sizes(lw)
    rows, move = np.empty(d * TILE, x.dtype), np.empty(d * TILE, x.dtype)
    xi, uniform = np.empty((d + d % 2, TILE)), np.empty((2, TILE))
    work = np.empty((3, TILE), x.dtype)
    sums = np.empty((plan.shape[1] - 1) * d * TILE, x.dtype)
    for start in range(begin, end, TILE):
        load(x, start, rows)
        xi[:], sums[:] = 0.0, 0.0
        for s in range(plan.shape[0]):
            if is_noisy(plan, s):
                normal_rows(xi, uniform, first + np.uint64(start), times[s], STREAM_STEP, seed)
            q, of_step = 0 * d, lattice[s]  # a written 0 is a type of its own to the compiler
            for j in range(d):
                axis_move(rows, j, axes, alpha[s], sizes[j], h[s], lw, of_step, q, work, move)
                if len(sums) > 0:
                    recall_row(rows, j, move, xi, plan, s, sums)
                elif not only_eps:
                    advance_row(rows, j, move, xi, plan, s)
                q += sizes[j] > 1
        _finish(only_eps, plan, rows, move, start, x)


def rollout(x: Any, first: Any, seed: Any, plan: Any, times: Any, means: Any, *tables: Any) -> None:
    """All steps of a plan in place on x (n, d), with the exact score of a general mixture; tables:
    alpha, h, lw, ratio. See `mode_tiles`."""
    each = (means.size + NORMAL_COST * x.shape[1]) * len(plan)
    over_rows(mode_tiles, each, x, first, seed, plan, times, means, *tables, False)


def rollout_product(
    x: Any, first: Any, seed: Any, plan: Any, times: Any, axes: Any, *tables: Any
) -> None:
    """`rollout` for a product mixture; tables: alpha, h, lw, lattice. See `axis_tiles`."""
    each = (_AXIS_COST + NORMAL_COST) * x.shape[1] * len(plan)
    over_rows(axis_tiles, each, x, first, seed, plan, times, axes, *tables, False)


def mode_pull(x: Any, scale: float, means: Any, *tables: Any) -> Any:
    """scale times the move (n, d) of x (n, d), in its precision; tables: h, lw, ratio (N,)."""
    out, given = x.copy(), [np.array([1.0]), *(part.astype(x.dtype)[None] for part in tables)]
    over_rows(mode_tiles, means.size, out, *_only_step(x, scale), means, *given, True)
    return out


def product_pull(x: Any, scale: float, axes: Any, alpha: Any, h: Any, lw: Any, row: Any) -> Any:
    """`mode_pull` of a product mixture: lw in the precision of x, row (axes of two values or more,
    W) of `lattice_rows`."""
    out, given = x.copy(), (np.array([alpha]), np.array([h], x.dtype), lw, row[None])
    each = _AXIS_COST * x.shape[1]
    over_rows(axis_tiles, each, out, *_only_step(x, scale), axes, *given, True)
    return out


_AXIS_COST = 4.0  # of the move along an axis, in multiply-adds


def _only_step(x: Any, scale: float) -> tuple[Any, ...]:
    """first, seed, plan and times of a step that is not taken."""
    zero = np.uint64(0)
    return zero, zero, np.array([[[0.0, 0.0, 0.0, scale]]], x.dtype), np.zeros(1, np.uint64)


@cached
def reverse_rows(
    begin, end, x, first, t, seed, means, log_weights, var_t, keep, noise_std, alpha_t, alpha_s
):
    """`reverse_draw` of rows begin..end."""
    d, n_modes = x.shape[1], means.shape[0]
    k0, k1 = seed & LOW32, seed >> U32
    logit = np.empty(n_modes)
    for i in range(begin, end):
        index, top = first + np.uint64(i), -np.inf
        for k in range(n_modes):
            square = 0.0
            for j in range(d):
                u = x[i, j] - alpha_t * means[k, j]
                square += u * u
            logit[k] = log_weights[k] - 0.5 * (square / var_t[k] + d * math.log(var_t[k]))
            top = max(top, logit[k])
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


def reverse_draw(x: Any, first: Any, t: Any, seed: Any, means: Any, *modes: Any) -> None:
    """One exact reverse step x_t -> x_s in place (time reversal of the forward diffusion).

    Draw mode k with its posterior probability at x_t, then x_s = alpha_s [mu_k + keep_k (y_t -
    mu_k)] + noise_std_k xi. modes: log_weights, var_t, keep, noise_std (N,), variance of mode k at
    t in x units, ratio of effective variances, standard deviation in x_s units; alpha_t, alpha_s.
    """
    over_rows(reverse_rows, 4 * means.size, x, first, t, seed, means, *modes)
