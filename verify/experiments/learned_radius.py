"""Trained models started between two modes: rate against the distance from the midpoint.

arXiv 2605.06831 v1, figure 5: DDIM, hybrids and DDPM from the node at which the closest pair is
separated, and from an earlier one; the exact score on the same starts and noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.ledger.claim import Case
from verify.measure.networks.radius_sweep import LEARNED_RADII, learned_sweep
from verify.measure.networks.visits import STEPS_LEFT

from .common import describe_models, require_models, require_window


def run(case: Case) -> dict[str, Any]:
    """radius (R,) in l; samplers (K,); start (2,) raw times, steps_left (2,); hits (2, M, K, R) and
    exact (2, K, R) interpolations among n runs a model."""
    models, window = require_models(case), require_window(case)
    sweeps = [learned_sweep(case, models, steps) for steps in (window.steps, STEPS_LEFT)]
    return {
        "n": sweeps[0].n,
        "models": describe_models(models),
        "radius": LEARNED_RADII,
        "samplers": sweeps[0].samplers,
        "start": [sweep.start for sweep in sweeps],
        "steps_left": [sweep.steps_left for sweep in sweeps],
        "hits": np.array([sweep.hits for sweep in sweeps]),
        "exact": np.array([sweep.exact for sweep in sweeps]),
    }
