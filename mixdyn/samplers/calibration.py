"""The width of the modes as a model sees it, from a few pilot samples.

The true reverse kernel has, inside a mode of variance sigma^2 per coordinate, the variance rho_s
(1 - q) + (1 - q)^2 rho_t D_t with the slope D_t = sigma^2/(sigma^2 + rho_t) of x0_hat. The slopes
that a model has at one time are not to be trusted: a trained denoiser is smoother than the exact
one, most so near the data, its slopes are too large there and so is the mode that it paints. Those
at larger noise are better, and they decide the width with which paths arrive: in static coordinates
the variance about a mode obeys

    V_s = (keep_t + denoise_t D_t)^2 V_t + noise_std_t^2

and forgets where it began. The sigma^2 whose exact slopes give the V that the model's slopes give
is what the late steps as a whole know of the width: one number, exact where every slope is.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from ..problem.noise import Stream, standard_normals
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.protocol import ScoreModel, checked_eps
from ..support.checks import Array
from .plan import StepPlan

_STEEPEST = 0.99  # slope where the recursion starts: beyond it points lie between modes, not in one


def slope_at(model: ScoreModel, schedule: NoiseSchedule, x_0: Array, t: int) -> float:
    """The median over points x_0 (n, d) of <xi, D_y x0_hat xi>/|xi|^2 at time t.

    A difference across the noise of that time, xi a standard normal: 2 n evaluations. The median,
    as points between modes, and a network's worst places, have slopes many times those of a mode.
    """
    alpha, rho_std = schedule.alpha[t], np.sqrt(schedule.rho[t])
    n, d = x_0.shape
    xi = standard_normals(0, n, d, t, stream=Stream.EXTRA)
    ends = [x_0 + sign * rho_std * xi for sign in (1.0, -1.0)]
    eps = [checked_eps(model, alpha * y, t) for y in ends]
    # x0_hat = y - rho_std eps; the y are 2 rho_std xi apart.
    slope = 1.0 - ((eps[0] - eps[1]) * xi).sum(axis=1) / (2.0 * np.square(xi).sum(axis=1))
    return float(np.median(np.clip(slope, 0.0, 1.0)))


def arriving_variance(plan: StepPlan, slopes: ArrayLike) -> float:
    """V at the last noisy time of a plan of S steps, from the slopes (S,) of x0_hat at its times.

    Starts at the rho/(1 - D) that the first slope claims.
    """
    slope, alpha = np.asarray(slopes, dtype=float), plan.schedule.alpha
    kept = np.square(plan.keep * alpha[plan.t] + plan.denoise * slope)
    var = float(plan.schedule.rho[plan.t[0]]) / (1.0 - min(float(slope[0]), _STEEPEST))
    for k in range(len(slope) - 1):
        var = float((kept[k] * var + plan.noise_std[k] ** 2) / plan.schedule.alpha_bar[plan.s[k]])
    return var


def implied_variance(plan: StepPlan, slopes: ArrayLike) -> float:
    """The sigma^2 of a mode whose exact slopes let paths arrive as these slopes (S,) do; 0 for no
    width at all."""
    from scipy.optimize import brentq

    rho, var = plan.schedule.rho[plan.t], arriving_variance(plan, slopes)

    def excess(sigma2: float) -> float:
        return arriving_variance(plan, sigma2 / (sigma2 + rho)) - var

    if not excess(0.0) < 0.0 < excess(2.0 * var):
        return 0.0
    return float(brentq(excess, 0.0, 2.0 * var, xtol=1e-12 * var))


@dataclasses.dataclass(frozen=True)
class Width:
    """What a model makes of its modes at the late nodes of a grid.

    variance : of a mode per coordinate. slopes (S,) : of x0_hat at the nodes. owned (S,) : whether
    one mode owns the samples there; elsewhere the slopes are those of a mode of that variance.
    """

    variance: float
    slopes: Array
    owned: np.ndarray


def width_of(model: ScoreModel, plan: StepPlan, x_0: Array) -> Width:
    """The modes that a model sees about its samples x_0 (n, d).

    plan : the bridge's steps (eta = 1) from where rho is far above their variance down to the data.
    Costs 2 n evaluations a step. Inside a mode the slope rises as the noise falls; where it falls,
    other modes still have a part in it. So the recursion begins at the smallest slope.
    """
    slopes = np.array([slope_at(model, plan.schedule, x_0, t) for t in plan.t.tolist()])
    first = int(np.argmin(slopes))
    grid = TimeGrid(plan.grid.times[first:].tolist(), plan.schedule.T)
    owned = StepPlan(grid, plan.schedule, plan.share[first:], plan.noise_std[first:])
    variance = implied_variance(owned, slopes[first:])
    rho = plan.schedule.rho[plan.t[:first]]
    slopes[:first] = variance / (variance + rho)
    return Width(variance, slopes, np.arange(len(slopes)) >= first)


def kernel_variance(plan: StepPlan, width: Width) -> Array:
    """(S,) what each step of a plan must inject, in x, to keep the marginal's variance in a mode:
    abar_s (s^2 + rho_s) - (keep + denoise D)^2 (s^2 + rho_t), and the true kernel's variance
    where D = s^2/(s^2 + rho_t). A variance, it is not below zero, whatever D is.
    """
    schedule, s2, rho = plan.schedule, width.variance, plan.schedule.rho[plan.t]
    before = s2 + rho
    exact = s2 / before
    true = np.square(plan.noise_std) + np.square(plan.denoise) * rho * exact
    # Beyond it by what a steeper slope keeps: (a + b D)^2 - (a + b D')^2 with b = denoise.
    keep = plan.keep * schedule.alpha[plan.t]
    excess = plan.denoise * (width.slopes - exact)
    kept = (2.0 * (keep + plan.denoise * exact) + excess) * excess
    return np.maximum(true - kept * before, 0.0)
