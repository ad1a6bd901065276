"""DDIM with injected noise: interpolation rate and spread within the modes against eta.

arXiv 2605.06831 v1, figure E.13 (eta in 0..1); beyond eta = 1 the noise exceeds that of the exact
bridge. The spread is compared with the linear recursion that every sampler of the family obeys
where one mode owns the point.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.ledger.claim import Case
from verify.measure.networks.rate_sweeps import allowed_etas, within_mode_std
from verify.measure.networks.rates import Draws
from verify.measure.score_errors.blurred import BLUR, blurred_score

from .common import ddim, require_window
from .steps import SCORES


def run(case: Case) -> dict[str, Any]:
    """eta (E,); counts (2, E, 3) per score; spread (2, E) and recursion (E,) in units of sigma."""
    require_window(case)
    draws = Draws.of(case, 20_000, 100_000)
    models = (case.mixture, blurred_score(case.mixture, case.schedule))
    etas = allowed_etas(case.schedule)
    found = [
        [draws.count_and_spread(model, case.mixture, ddim(case.schedule, eta=eta)) for eta in etas]
        for model in models
    ]
    sigma = float(case.mixture.sigma)
    return {
        "n": draws.n,
        "scores": SCORES,
        "eta": etas,
        "counts": np.array([[counts for counts, _ in row] for row in found]),
        "spread": np.array([[spread for _, spread in row] for row in found]) / sigma,
        "recursion": np.array([within_mode_std(case, eta) for eta in etas]) / sigma,
        "blur": BLUR,
    }
