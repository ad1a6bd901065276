"""Distance to the nearest segment along the reverse process of trained models, and their floor.

arXiv 2605.06831 v1, figures 4 and E.9, at the papers' nodes, static coordinates, with the exact
score on the same noise. The floor is what a trained score adds to DDIM's offset from the line
through the two modes that dominate the path (`verify.measure.networks.envelopes`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.support.errors import NotApplicableError
from verify.ledger.claim import Case
from verify.measure.networks.envelopes import follow, segment_distances
from verify.measure.networks.paths import reverse_runs

from .common import describe_models, require_models, require_window

LEVELS = (0.05, 0.5, 0.95)
_FAIR = 0.05  # nodes that fewer of the paths have reached are left out


def run(case: Case) -> dict[str, Any]:
    """models (M,); times (K,), v (K,); levels (L,); per sampler NAME: NAME_quantiles (1 + M, L, K)
    of the distance to the nearest segment over l, the exact score first.

    DDIM's paths from their own tau_1 on, (1 + M, K), NaN where few are: floor_median, floor_high
    (its 95 % quantile), offset (median of what its steps leave with the exact score), envelope
    (median of the tube theorem's bound), over l. tau_1 (1 + M,) median, tau_2 raw times.
    """
    models, window = require_models(case), require_window(case)
    if case.mixture.d == 1:
        raise NotApplicableError(
            "a distance to segments needs a direction across them", "d = 1", "Use d >= 2."
        )
    runs = reverse_runs(case, models)
    ddim, length = runs[::2], window.pair.length
    followed = [follow(case, run) for run in ddim]
    data: dict[str, Any] = {}
    for name, group in (("ddim", ddim), ("ddpm", runs[1::2])):
        distances = [segment_distances(case, run.paths) / length for run in group]
        data[f"{name}_quantiles"] = np.array([np.quantile(d, LEVELS, axis=1) for d in distances])
    fair = np.array([f.later.mean(axis=1) >= _FAIR for f in followed])
    curves = {
        "floor_median": [f.quantile(f.floor, 0.5) for f in followed],
        "floor_high": [f.quantile(f.floor, 0.95) for f in followed],
        "offset": [f.quantile(f.own_steps, 0.5) for f in followed],
        "envelope": [f.quantile(f.allowed, 0.5) for f in followed],
    }
    data |= {name: np.where(fair, np.array(rows) / length, np.nan) for name, rows in curves.items()}
    first = [f.times[np.argmax(f.later, axis=0)[f.dominated] - 1] for f in followed]
    return data | {
        "n": [run.paths.n for run in runs[:2]],
        "models": describe_models(models),
        "levels": LEVELS,
        "times": followed[0].times,
        "v": followed[0].v,
        "tau_1": [float(np.median(times)) for times in first],
        "tau_2": window.t,
        "length": length,
    }
