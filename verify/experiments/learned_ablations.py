"""Interpolation rates of networks trained under other schedules, widths and distances.

arXiv 2605.06831 v1, figure E.16, with the exact score on the same samples beside each network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.geometry import Region
from mixdyn.support.errors import NotApplicableError
from verify.ledger.claim import Case
from verify.measure.networks.ablated import (
    AXES,
    SAMPLERS,
    ablated_rates,
    every_setting,
    settings_along,
)

from .common import require_torch

OWN_MIXTURE = True


def run(case: Case) -> dict[str, Any]:
    """n: the numbers of samples that occur; per axis NAME, for its values with a network: NAME
    (V,), NAME_counts and NAME_exact (V, 2 samplers, 3); settings (S,) with a network, in words,
    their counts (S, 2, 3), and those missing."""
    require_torch()
    rates = ablated_rates(case)
    if not rates:
        raise NotApplicableError(
            "this experiment needs a network trained on a changed setting",
            "none among the shipped ones",
            "Train one with `mixdyn train` and put it beside them.",
        )
    missing = [s.name for s in every_setting() if s not in rates]
    counts = np.array([r.counts[0] for r in rates.values()])
    data: dict[str, Any] = {
        "n": np.unique(counts.sum(axis=2)),
        "samplers": SAMPLERS,
        "settings": [s.name for s in rates],
        "counts": counts,
        "missing": np.array(missing, dtype=str),
    }
    for axis in AXES:
        trained = [s for s in settings_along(axis) if s in rates]
        data[axis] = np.array([vars(s)[axis] for s in trained])
        shape = len(trained), len(SAMPLERS), len(Region)
        data[f"{axis}_counts"] = np.array([rates[s].counts for s in trained]).reshape(shape)
        data[f"{axis}_exact"] = np.array([rates[s].exact for s in trained]).reshape(shape)
    return data
