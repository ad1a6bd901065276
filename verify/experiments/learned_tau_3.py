"""Visits to midpoints by trained models for every window and radius.

arXiv 2605.06831 v1, figure E.11: how the decomposition of the interpolation rate by visits depends
on the window tau_3 and on the radius theta.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.ledger.claim import Case
from verify.measure.measurement import Measurement
from verify.measure.networks.models import require_models
from verify.measure.networks.paths import WINDOWS
from verify.measure.networks.visit_windows import THETAS, Choice, visits_by_choice
from verify.measure.networks.visits import STEPS_LEFT, THETA, Decomposition, window_time


def _counts(parts: list[Decomposition]) -> list[list[int]]:
    return [[part.n, part.visits, part.hits, part.both] for part in parts]


@Measurement
def learned_tau_3(case: Case) -> dict[str, Any]:
    """models (M,); samplers (2,), DDIM first; windows (W,) in DDIM steps left, window_times (W,);
    theta (R,); counts of runs, visits, interpolations and both: by_window (2, W, M, 4) at
    theta_fixed, by_theta (2, R, M, 4) at tau_3_fixed."""
    models = require_models(case)
    visited = visits_by_choice(case, models)
    by_window = [[_counts(found[Choice(w)]) for w in WINDOWS] for found in visited.values()]
    by_theta = [[_counts(found[Choice(theta=r)]) for r in THETAS] for found in visited.values()]
    counts = np.array(by_window)
    return {
        "n": counts[:, 0, 0, 0],
        "models": [model.label for model in models],
        "samplers": list(visited),
        "windows": WINDOWS,
        "window_times": [window_time(case, steps) for steps in WINDOWS],
        "theta": THETAS,
        "theta_fixed": THETA,
        "tau_3_fixed": STEPS_LEFT,
        "by_window": counts,
        "by_theta": np.array(by_theta),
    }
