"""Interpolation rate of trained models against the number of DDIM steps, and under DDPM.

arXiv 2605.06831 v1, figures 1 and 3, with the exact score on the same samples beside each model.
"""

from __future__ import annotations

from typing import Any

from verify.ledger.claim import Case
from verify.measure.networks.rate_sweeps import allowed_steps, step_rates

from .common import describe_models, require_models


def run(case: Case) -> dict[str, Any]:
    """models (M,); steps (S,); n (S + 1,) samples a model, DDPM's last; ddim (M, S, 3) and ddpm
    (M, 3) class counts, exact_ddim and exact_ddpm those of the exact score."""
    models = require_models(case)
    rates = step_rates(case, models)
    return {
        "n": rates.counts[0].sum(axis=1),
        "models": describe_models(models),
        "steps": allowed_steps(case.schedule),
        "ddim": rates.counts[:, :-1],
        "ddpm": rates.counts[:, -1],
        "exact_ddim": rates.exact[:, :-1],
        "exact_ddpm": rates.exact[:, -1],
    }
