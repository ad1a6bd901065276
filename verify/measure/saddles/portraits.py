"""Eigenvalues of the flow at the saddles between modes, and how wide its traps are, against time.

arXiv 2605.06831 v1, figure E.12 (Jacobian eigenvalues at the midpoint) and Proposition 4.7 (1).
Eigenvalues per unit of intrinsic time: Cov_gamma/v - I at the saddle of the full mixture, and
l^2/(4 v) - 1 and -1 for two modes alone; of trained scores at the midpoints, with the part of a
segment whose starts DDIM takes to neither mode (own result).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.geometry import Pair, dynamics, nearest_pairs, pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array
from mixdyn.support.errors import ConvergenceError, NotApplicableError
from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.midpoint.stretch import require_window
from verify.measure.networks.field import find_segments
from verify.measure.networks.learned_growth import exact_trap
from verify.measure.networks.models import require_models
from verify.measure.networks.traps import end_reach, exact_traps, observed, start_nodes, traps
from verify.measure.saddles.slopes import midpoint_slopes


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


@Measurement
def saddles(case: Case) -> dict[str, Any]:
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


@Measurement
def learned_saddles(case: Case) -> dict[str, Any]:
    """n midpoints; models (A,); times (M,); growth, lowest (A, M, P): largest and smallest real
    part of the learned eigenvalues; exact (M, P): the largest exact one. starts (K,) raw times;
    width, least (A, K, P): of the learned trap over l, and the bound by its own growth; flow (K,):
    log10 of the exact flow's; ddim (K,): of DDIM's with the exact score. hits (A,): interpolations
    of `runs` DDIM runs."""
    window = require_window(case)
    models = require_models(case)
    slopes = [midpoint_slopes(case, model) for model in models]
    found = [traps(case, model) for model in models]
    growth = np.array([[trap.growth for trap in every] for every in found])
    ended = [observed(case, model).ended for model in models]
    return {
        "n": len(find_segments(case).modes),
        "models": [model.label for model in models],
        "times": slopes[0].times,
        "growth": [s.growth for s in slopes],
        "lowest": [s.lowest for s in slopes],
        "exact": slopes[0].exact_growth,
        "starts": start_nodes(case),
        "width": [[trap.width for trap in every] for every in found],
        "least": 2.0 * end_reach(case) * np.exp(-growth),
        "flow": [exact_trap(case, t)[0] / math.log(10.0) for t in start_nodes(case).tolist()],
        "ddim": [math.log10(float(np.median(trap.width))) for trap in exact_traps(case)],
        "hits": [e.successes for e in ended],
        "runs": ended[0].trials,
        "tau_2": window.t,
    }
