"""The saddle between two modes of unequal weight, and the separatrix of the flow.

arXiv 2605.06831 v1, appendix B.1: the saddle solves logit(a) = log(w_i/w_j) + (l^2/v)(a - 1/2) and
exists up to a limit on the weights. The curve that divides the starts of the flow is not the moving
saddle but a level set of the distribution function (own result).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.geometry import dynamics, pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.presets import two_modes
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.midpoint.stretch import require_window

from ..midpoint.basin import FRACTIONS

STRENGTHS = (5.0, 8.0, 16.0, 50.0)  # k = l^2/v
SHARES = np.linspace(0.0, 0.995, 40)  # of the limit on log(w_i/w_j)
RATIO = 4.0  # w_i/w_j of the pair followed in time


def _pair_mixture(log_ratio: float, length: float, sigma: float) -> GaussianMixture:
    """Two modes in one dimension, mode 1 (upper) heavier by exp(log_ratio)."""
    # Each from its own exponential: 1 - heavy would lose the light mode's digits.
    weights = [1.0 / (1.0 + math.exp(sign * log_ratio)) for sign in (1.0, -1.0)]
    return two_modes(length, sigma, weights=weights)


def _saddle(mixture: GaussianMixture, v: float) -> float:
    """The engine's saddle as z: distance to the midpoint in l, positive to the heavy mode."""
    frame = pair(mixture, 1, 0)
    try:
        point = dynamics.saddle(mixture, frame, v).point[None]
    except NotApplicableError:
        return np.nan
    return float(frame.bisector_coordinate(point)[0]) / frame.length


def _sweep(k: float) -> dict[str, Array]:
    """log ratios (S,) up to the limit at strength k, the engine's saddle and the closed form's."""
    ratios = SHARES * float(bounds.critical_log_weight_ratio(k))
    engine = [_saddle(_pair_mixture(r, 1.0, 0.5 / math.sqrt(k)), 1.0 / k) for r in ratios]
    exact = [oracles.two_mode_equilibria(k, r)[1] for r in ratios]
    return {"log_ratio": ratios, "engine": np.array(engine), "exact": np.array(exact)}


def _in_time(case: Case) -> dict[str, Any]:
    """Saddle and separatrix of a pair with weights RATIO to 1, at raw times from 1 up."""
    window = require_window(case)
    length, sigma = window.pair.length, float(case.mixture.sigma)
    mixture = _pair_mixture(math.log(RATIO), length, sigma)
    v = case.schedule.effective_variance(sigma)
    last = int(np.searchsorted(v, length**2 / 4.0))
    times = np.unique(np.geomspace(1, max(last, 2), 40).astype(int))
    saddle = [_saddle(mixture, float(v[t])) for t in times]
    divide = [
        oracles.trap_radius(mixture, (1, 0), FRACTIONS[0], float(v[t]), float(v[0])).center_offset
        for t in times
    ]
    return {"times": times, "saddle": saddle, "separatrix": divide}


@Measurement
def weights(case: Case) -> dict[str, Any]:
    """Per strength k (K,): limit (K,), log_ratio, engine, exact (K, S); for one ratio in time:
    times (M,), saddle (M,) and separatrix (M,) as distance to the midpoint in l."""
    in_time = _in_time(case)
    sweeps = [_sweep(k) for k in STRENGTHS]
    joined = {name: np.array([sweep[name] for sweep in sweeps]) for name in sweeps[0]}
    return {
        "n": len(STRENGTHS) * len(SHARES),
        "k": STRENGTHS,
        "limit": [float(bounds.critical_log_weight_ratio(k)) for k in STRENGTHS],
        "ratio": RATIO,
        **joined,
        **in_time,
    }
