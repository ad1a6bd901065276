"""Eigenvalues of the flow at the saddles between modes, against time.

arXiv 2605.06831 v1, figure E.12 (Jacobian eigenvalues at the midpoint) and Proposition 4.7 (1).
Eigenvalues per unit of intrinsic time: Cov_gamma/v - I at the saddle of the full mixture, and
l^2/(4 v) - 1 and -1 for two modes alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.geometry import Pair, dynamics, nearest_pairs, pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array
from mixdyn.support.errors import ConvergenceError, NotApplicableError
from verify.ledger.claim import Case

from .common import require_window


def _at(mixture: GaussianMixture, between: Pair, v: float) -> tuple[float, float, float]:
    """Largest and smallest eigenvalue and distance of the saddle to the midpoint; NaN without."""
    try:
        found = dynamics.saddle(mixture, between, v)
    except (NotApplicableError, ConvergenceError):
        return np.nan, np.nan, np.nan
    shift = float(np.linalg.norm(found.point - between.midpoint))
    return float(found.eigenvalues[-1]), float(found.eigenvalues[0]), shift


def _times(case: Case, n: int) -> Array:
    """About n raw times, evenly spread in log v, from the first where l^2 > 4 v down to 1."""
    window = require_window(case)
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    last = max(int(np.searchsorted(v, window.pair.length**2 / 4.0)) - 1, 1)
    level = np.geomspace(v[1], v[last], n)
    return np.unique(np.searchsorted(v, level * (1 - 1e-12)))


def run(case: Case) -> dict[str, Any]:
    """times (M,), v (M,); along, lowest, shift (P, M) of the saddles of P closest pairs, shift in
    l; two_modes (M,) along the pair. NaN where a pair has no saddle."""
    mixture, window = case.mixture, require_window(case)
    times = _times(case, case.pick(40, 80))
    v = case.schedule.effective_variance(float(mixture.sigma))[times]
    every = nearest_pairs(mixture)
    chosen = every[:: max(1, len(every) // case.pick(10, 40))]
    frames = [pair(mixture, i, j) for i, j in chosen]
    found = np.array([[_at(mixture, frame, float(level)) for level in v] for frame in frames])
    return {
        "n": len(frames),
        "times": times,
        "v": v,
        "along": found[:, :, 0],
        "lowest": found[:, :, 1],
        "shift": found[:, :, 2] / window.pair.length,
        "two_modes": bounds.midpoint_eigenvalues(window.pair.length, v)[0],
        "tau_2": window.t,
    }
