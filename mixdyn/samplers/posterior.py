"""Moments of the clean data given a noisy state, as a model has them.

By Tweedie's second formula Cov(x_0 | x_t) = rho_t D, D = dx0_hat/dy, in y = x/alpha: the slope of
the denoiser, I + noise_var times the score's Jacobian. Scores of ours know their Jacobians; any
other model is differenced across each coordinate.
"""

from __future__ import annotations

import numpy as np

from ..problem.schedule import NoiseSchedule
from ..score.protocol import ScoreModel, checked_eps, is_ours
from ..support.checks import Array

_STEP = 1e-3  # of the noise: a difference keeps the digits of a model in float32


def denoiser_slopes(
    model: ScoreModel, schedule: NoiseSchedule, x: Array, t: int
) -> tuple[Array, int]:
    """D at states x (n, d) of time t, symmetric (n, d, d), and the evaluations a state took.

    The denoiser of a score that is a gradient has a symmetric slope of no negative eigenvalue; a
    trained one's is made so where it is used. A Jacobian costs as much as d evaluations, its d
    tangents; a difference takes 2 d.
    """
    d, nu = x.shape[1], float(schedule.noise_var[t])
    jacobian = getattr(model, "jacobian", None) if is_ours(model) else None
    if jacobian is not None:
        slopes, cost = np.eye(d) + nu * np.asarray(jacobian(x, t)), d
    else:
        slopes, cost = np.empty((len(x), d, d)), 2 * d
        step = _STEP * np.sqrt(nu)
        for i in range(d):
            ends = [x.copy(), x.copy()]
            ends[0][:, i] += step
            ends[1][:, i] -= step
            rise = checked_eps(model, ends[0], t) - checked_eps(model, ends[1], t)
            slopes[:, :, i] = np.eye(d)[i] - rise / (2.0 * _STEP)
    return 0.5 * (slopes + slopes.transpose(0, 2, 1)), cost
