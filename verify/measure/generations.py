"""Recursive training under three filters, as saved (arXiv 2406.09358 v2, figures 7 and 8a)."""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.retraining import FILTERS, saved


@Measurement
def recursions(case: Case) -> dict[str, Any]:
    """n samples a generation; filters and seeds (R,) of the recursions; counts (R, G, 3) class
    counts; modes (R, G, N) counts; spread (R, G) in sigma; at (C,), clouds (F, C, P, 2): samples of
    some generations under each filter; means (N, 2)."""
    held = saved()
    runs = [run for name in FILTERS for run in held.of(name)]
    counts = np.array([[g.regions for g in run.generations] for run in runs])
    shown = [next(run for run in held.of(name) if run.clouds) for name in FILTERS]
    at = sorted(shown[0].clouds)
    return {
        "n": counts[0, 0].sum(),
        "filters": [run.filter for run in runs],
        "seeds": [run.seed for run in runs],
        "counts": counts,
        "modes": np.array([[g.mode_counts for g in run.generations] for run in runs]),
        "spread": np.array([[g.spread for g in run.generations] for run in runs], dtype=float),
        "at": at,
        "clouds": np.array([[run.clouds[k] for k in at] for run in shown]),
        "means": held.mixture.means,
    }
