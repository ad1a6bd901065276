"""DDIM with injected noise on trained models: rate and spread within the modes against eta.

arXiv 2605.06831 v1, figure E.13 (eta in 0..1), with the exact score on the same samples beside each
model; beyond eta = 1 the noise exceeds that of the exact bridge.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.ledger.claim import Case
from verify.measure.networks.rate_sweeps import allowed_etas, eta_rates, within_mode_std

from .common import describe_models, require_models, require_window


def run(case: Case) -> dict[str, Any]:
    """n (E,) samples a model; models (M,); eta (E,); counts and exact (M, E, 3) class counts;
    spread and exact_spread (M, E), recursion (E,): standard deviation within a mode in units of
    sigma."""
    require_window(case)
    models = require_models(case)
    rates = eta_rates(case, models)
    sigma, etas = float(case.mixture.sigma), allowed_etas(case.schedule)
    return {
        "n": rates.counts[0].sum(axis=1),
        "models": describe_models(models),
        "eta": etas,
        "counts": rates.counts,
        "exact": rates.exact,
        "spread": rates.spread / sigma,
        "exact_spread": rates.exact_spread / sigma,
        "recursion": np.array([within_mode_std(case, eta) for eta in etas]) / sigma,
    }
