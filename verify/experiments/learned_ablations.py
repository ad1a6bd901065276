"""Interpolation rates of networks trained under other schedules, widths and distances.

arXiv 2605.06831 v1, figure E.16, with the exact score on the same samples beside each network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.errors import NotApplicableError
from mixdyn.geometry import Region
from verify.ablated import AXES, BASE, SAMPLERS, ablated_rates, settings_along
from verify.claim import Case

from .common import require_torch


def run(case: Case) -> dict[str, Any]:
    """n (2,) samples under DDIM and DDPM; per axis NAME, for its values with a network: NAME (V,),
    NAME_counts and NAME_exact (V, 2 samplers, 3); missing: the values without, in words."""
    require_torch()
    rates = ablated_rates(case)
    changed = [s for s in rates if s != BASE]
    if not changed:
        raise NotApplicableError(
            "this experiment needs a network trained on a changed setting", "none", "Train some."
        )
    data: dict[str, Any] = {"samplers": SAMPLERS, "n": rates[changed[0]].counts[0].sum(axis=1)}
    missing = []
    for axis in AXES:
        settings = settings_along(axis)
        trained = [s for s in settings if s in rates]
        missing += [s.name for s in settings if s not in rates]
        data[axis] = np.array([vars(s)[axis] for s in trained])
        shape = len(trained), len(SAMPLERS), len(Region)
        data[f"{axis}_counts"] = np.array([rates[s].counts for s in trained]).reshape(shape)
        data[f"{axis}_exact"] = np.array([rates[s].exact for s in trained]).reshape(shape)
    return data | {"missing": np.array(missing, dtype=str)}
