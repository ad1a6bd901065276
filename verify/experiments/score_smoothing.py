"""Predicted x_0 and its slope at midpoints: networks on lines against the exact score.

arXiv 2406.09358 v2, figure 4, and the smoothing behind it by time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.support.errors import NotApplicableError
from verify.ledger.claim import Case
from verify.measure.interpolation.networks import networks, own_case
from verify.measure.interpolation.problems import FAR, NEAR, modes_at
from verify.measure.interpolation.smoothing import PLACES, smoothing
from verify.measure.measurement import Measurement


@Measurement
def score_smoothing(case: Case) -> dict[str, Any]:
    """n places along a segment; models (A,); times (K,); places (n,) in l from the midpoint; x0_hat
    (A, K, n) and exact_x0_hat (K, n) on the first pair, in l from its midpoint; eigenvalue (A, K),
    exact_eigenvalue (K,), width (A, K) over the exact one, sigma (A, K) over the true one, left
    (A, K): means over the pairs."""
    found = {
        net.model.name: smoothing(own_case(case, modes_at(places)), net.model)
        for places in (NEAR, FAR)
        for net in networks(case, modes_at(places))
    }
    if not found:
        raise NotApplicableError(
            "this experiment needs networks on lines", "none among the shipped ones", "Train one."
        )
    each = list(found.values())
    return {
        "n": len(PLACES),
        "models": list(found),
        "times": each[0].times,
        "places": PLACES,
        "x0_hat": np.array([s.x0_hat[:, 0] for s in each]),
        "exact_x0_hat": each[0].exact_x0_hat[:, 0],
        "eigenvalue": np.array([s.eigenvalue.mean(axis=1) for s in each]),
        "exact_eigenvalue": each[0].exact_eigenvalue.mean(axis=1),
        "width": np.array([(s.width / s.exact_width).mean(axis=1) for s in each]),
        "sigma": np.array([s.sigma for s in each]),
        "left": np.array([s.left for s in each]),
        "room": each[0].room,
    }
