"""How much of the posterior variance that a model claims its last step should inject.

At the last noisy time the posterior of x_0 has, inside one mode, the variance rho D_y x0_hat
(Tweedie's second formula). A trained denoiser is smoother than the exact one, most so there: its
slope D is too large, and so is the mode that it paints. The slopes at larger noise are better. They
decide the width with which paths arrive: in static coordinates the variance about a mode obeys

    V_s = (keep_t + denoise_t D_t)^2 V_t + noise_std_t^2

and forgets where it began. The exact denoiser of a mode of variance sigma^2 has the slopes D_t =
sigma^2/(sigma^2 + rho_t). The sigma^2 with which these give the V that the model's slopes give is
what the late steps as a whole know of the width. The last step keeps D^2 V of it, so that sigma^2 -
D^2 V is missing: all that D claims where every slope is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .noise import Stream, standard_normals
from .plans import StepPlan
from .schedule import NoiseSchedule
from .score import ScoreModel, checked_eps
from .validation import Array

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


def implied_variance(plan: StepPlan, var: float) -> float:
    """The sigma^2 of a mode whose exact slopes let paths arrive with the variance `var`."""
    from scipy.optimize import brentq

    rho = plan.schedule.rho[plan.t]

    def excess(sigma2: float) -> float:
        return arriving_variance(plan, sigma2 / (sigma2 + rho)) - var

    return float(brentq(excess, 0.0, 2.0 * var)) if excess(0.0) < 0.0 < excess(2.0 * var) else 0.0


def last_noise_share(model: ScoreModel, plan: StepPlan, x_0: Array) -> float:
    """Missing variance over rho D at the last step of a plan, in [0, 1].

    plan : the steps from where rho is far above the modes' variance down to the data. x_0 (n, d) :
    samples of the model. Costs 2 n evaluations a step.
    """
    slopes = [slope_at(model, plan.schedule, x_0, t) for t in plan.t.tolist()]
    var, slope = arriving_variance(plan, slopes), slopes[-1]
    claimed = float(plan.schedule.rho[plan.t[-1]]) * slope
    missing = implied_variance(plan, var) - slope**2 * var
    return float(np.clip(missing / claimed, 0.0, 1.0)) if claimed > 0.0 else 0.0
