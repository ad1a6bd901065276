"""X13: mmse, mutual information and the price of a grid, by another road than the engine's.

On a line, y = x_0 + sqrt(rho) eps with density p: the Fisher information J = E (p'/p)^2 gives
mmse = rho - rho^2 J (Brown's identity, by Tweedie), the differential entropy h gives I = h - 1/2
log(2 pi e rho). A product grid, or means on a line, is a sum of such lines. For eta = 1 a grid of
levels costs half the left Riemann error of the integral of the mmse over g = 1/rho (I-MMSE, Guo,
Shamai and Verdu 2005), here as integrals of mmse(g_k) - mmse(g) step by step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.problem.checks import check_mixture
from mixdyn.support.checks import Array, check_array, check_positive
from mixdyn.support.errors import InputError

from .linear import kept_share
from .quadrature import legendre
from .separable import Axis, line_of_sigmas, separate

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_REACH = 10.0  # standard deviations
_POINTS = 20  # of the Gauss-Legendre rule on a panel
_PANEL = 0.8  # length of a panel in the least standard deviation
_PER_STEP, _PER_FOLD = 3, 8  # points in a step, and more for each factor e that g changes by


def channel_mmse(mixture: GaussianMixture, rho: ArrayLike) -> Array:
    """E |x_0 - E[x_0 | y]|^2 (k,) at rho (k,) > 0: lines with any sigmas, product grids and means
    on a line with one. NotApplicableError elsewhere."""
    return _of_axes(mixture, rho)[0]


def channel_nats(mixture: GaussianMixture, rho: ArrayLike) -> Array:
    """I(x_0; y) in nats (k,) at rho (k,) > 0, where `channel_mmse` is."""
    return _of_axes(mixture, rho)[1]


def grid_price(mixture: GaussianMixture, rho: ArrayLike, eta: float = 1.0) -> Array:
    """(K,) what each step of DDIM(eta) costs in nats, along levels rho (K + 1,) that fall.

    With q = rho_s/rho_t and r^2 = q (1 - eta^2 (1 - q)) the mean is off by (q - r) (y - x0_hat), of
    mean square d rho_t - mmse, and the variance is eta^2 times the bridge's.
    """
    levels = check_array(rho, "rho", ndim=1)
    strength = check_positive(eta, "eta")
    if len(levels) < 2 or not (np.diff(levels) < 0.0).all() or levels[-1] <= 0.0:
        raise InputError("levels fall and stay above 0", levels, "Pass the noisy levels of a grid.")
    g = 1.0 / levels
    folds = np.diff(np.log(g))
    points = (_PER_STEP + np.ceil(_PER_FOLD * folds)).astype(int)
    at, weight, step = [], [], np.repeat(np.arange(len(folds)), points)
    for a, fold, count in zip(np.log(g[:-1]), folds, points.tolist(), strict=True):
        z, w = legendre(count)
        u = a + fold * (z + 1.0) / 2.0
        at.append(np.exp(u))
        weight.append(0.5 * fold * w * np.exp(u))
    inner = np.concatenate(at)
    mmse = channel_mmse(mixture, levels[:-1])
    lost = 0.5 * np.concatenate(weight) * (mmse[step] - channel_mmse(mixture, 1.0 / inner))
    cost = np.asarray(np.bincount(step, lost, len(folds)), float)
    if strength == 1.0:
        return cost
    q, square = levels[1:] / levels[:-1], strength**2
    kept = np.sqrt([q_k * kept_share(strength, 1.0 - q_k) for q_k in q.tolist()])
    variance = square * levels[1:] * (1.0 - q)
    spread = 0.5 * mixture.d * (1.0 / square - 1.0 + math.log(square))
    off = 0.5 * (q - kept) ** 2 * (mixture.d * levels[:-1] - mmse) / variance
    return cost + spread + off + 0.5 * (1.0 / square - 1.0) * np.diff(g) * mmse


def _of_axes(mixture: GaussianMixture, rho: ArrayLike) -> tuple[Array, Array]:
    levels = check_array(rho, "rho", ndim=1)
    if check_mixture(mixture).d == 1:
        axes, sigma2 = [line_of_sigmas(mixture)], float(np.square(mixture.sigmas).min())
    else:
        axes, sigma2 = separate(mixture, "this price").axes, float(mixture.sigma) ** 2
    mmse, nats = np.zeros(len(levels)), np.zeros(len(levels))
    known: dict[tuple[bytes, bytes], tuple[Array, Array]] = {}
    for axis in axes:
        key = axis.values.tobytes(), axis.weights.tobytes()
        if key not in known:
            each = np.array([_fisher_and_entropy(axis, sigma2, float(r)) for r in levels])
            fisher, entropy = each.reshape(-1, 2).T
            known[key] = (
                levels - levels**2 * fisher,
                entropy - 0.5 * np.log(2.0 * math.pi * math.e * levels),
            )
        mmse, nats = mmse + known[key][0], nats + known[key][1]
    return mmse, nats


def _fisher_and_entropy(axis: Axis, sigma2: float, rho: float) -> tuple[float, float]:
    var = np.broadcast_to(sigma2 + rho + np.asarray(axis.excess), axis.values.shape)
    std = np.sqrt(var)
    low, high = axis.values - _REACH * std, axis.values + _REACH * std
    z, w = legendre(_POINTS)
    fisher, entropy = [], []
    for a, b in _covered(low, high):
        panels = max(math.ceil((b - a) / (_PANEL * std.min())), 1)
        edges = np.linspace(a, b, panels + 1)
        half = 0.5 * (edges[1] - edges[0])
        y = (edges[:-1, None] + half * (z + 1.0)).ravel()
        away = (y - axis.values[:, None]) / std[:, None]
        parts = np.exp(-0.5 * away**2) * (axis.weights / (std * math.sqrt(2.0 * math.pi)))[:, None]
        p = parts.sum(axis=0)
        slope = -(parts * (away / std[:, None])).sum(axis=0)
        inside = p > 0.0
        weight = np.tile(half * w, panels)[inside]
        fisher.append(float(weight @ (slope[inside] ** 2 / p[inside])))
        entropy.append(-float(weight @ (p[inside] * np.log(p[inside]))))
    return math.fsum(fisher), math.fsum(entropy)


def _covered(low: Array, high: Array) -> list[tuple[float, float]]:
    """The union of intervals, as disjoint ones."""
    found: list[tuple[float, float]] = []
    for a, b in sorted(zip(low.tolist(), high.tolist(), strict=True)):
        if found and a <= found[-1][1]:
            found[-1] = found[-1][0], max(b, found[-1][1])
        else:
            found.append((a, b))
    return found
