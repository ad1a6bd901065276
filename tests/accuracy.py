"""The accuracy target of the README, at which two ways to an exact score must agree."""

from __future__ import annotations

import numpy as np

from mixdyn import ExactScore


def assert_within_target(one: ExactScore, other: ExactScore, x: np.ndarray, t: int) -> None:
    """Twice the target, of each of them, at x (n, d); one sigma."""
    mixture, schedule = one.mixture, one.schedule
    alpha, var = schedule.alpha[t], one.variances(t)[0]
    gap = np.linalg.norm(one.eps(x, t) - other.eps(x, t), axis=1)
    q = (((x[:, None, :] - alpha * mixture.means) ** 2).sum(-1) / (2 * var)).min(1)
    size = np.linalg.norm(x, axis=1) + alpha * np.linalg.norm(mixture.means, axis=1).max()
    # q here is the nearest mode's; modes that matter have at most 46 more.
    allowed = 2e-12 * size / var * np.maximum(1, (q + 46) / 1e3)
    assert (gap / np.sqrt(schedule.noise_var[t]) <= allowed).all()
