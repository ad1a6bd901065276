"""Eigenvalues of trained scores at the midpoints against time, and how wide their traps are.

arXiv 2605.06831 v1, figure E.12, per unit of intrinsic time; then the part of a segment whose
starts DDIM takes to neither mode (own result).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from verify.ledger.claim import Case
from verify.measure.networks.field import find_segments
from verify.measure.networks.learned_growth import exact_trap
from verify.measure.networks.traps import end_reach, exact_traps, observed, start_nodes, traps
from verify.measure.saddles.learned_flip import midpoint_slopes

from .common import describe_models, require_models, require_window


def run(case: Case) -> dict[str, Any]:
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
        "models": describe_models(models),
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
