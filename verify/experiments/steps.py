"""Interpolation rate against the number of DDIM steps, exact and blurred score.

arXiv 2605.06831 v1, figure 3: the rate of DDIM falls with its number of steps and stays above that
of DDPM. With the exact score both rates are zero to the precision of the count; the blurred score
(`blurred`) has a known error at which both can be seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.samplers import DDPM
from verify.ledger.claim import Case
from verify.measure.networks.rates import Draws
from verify.measure.score_errors.blurred import BLUR, blurred_score

from .common import ddim, require_window

STEPS = (10, 20, 50, 100, 200, 500, 1000)
SCORES = ("exact", "blurred")


def run(case: Case) -> dict[str, Any]:
    """steps (S,); ddim (2, S, 3) and ddpm (2, 3) class counts per score; n samples each; blur."""
    require_window(case)
    draws = Draws.of(case, 20_000, 100_000)
    mixture, schedule = case.mixture, case.schedule
    steps = [s for s in STEPS if s <= schedule.T]
    models = (mixture, blurred_score(mixture, schedule))
    ddim_counts = [
        [draws.count(model, mixture, ddim(schedule, s)) for s in steps] for model in models
    ]
    ddpm_counts = [draws.count(model, mixture, DDPM()) for model in models]
    return {
        "n": draws.n,
        "steps": steps,
        "scores": SCORES,
        "ddim": np.array(ddim_counts),
        "ddpm": np.array(ddpm_counts),
        "blur": BLUR,
    }
