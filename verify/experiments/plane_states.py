"""Where a network's samples lie in the plane: the grid and the diamond under DDPM.

arXiv 2406.09358 v2, figure 3, with counts on sides and diagonals under DDPM and DDIM.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.support.errors import NotApplicableError
from verify.ledger.claim import Case
from verify.measure.interpolation.networks import KINDS, final_states, networks, plane_counts
from verify.measure.interpolation.problems import PLANES
from verify.measure.measurement import Measurement

_SHOWN = 20_000


@Measurement
def plane_states(case: Case) -> dict[str, Any]:
    """n shown samples a plane; planes (P,); NAME_means (N, 2), NAME_x (n, 2) of DDPM; kinds (K,);
    samplers (C,) and plane (C,), counts (C, K), exact (C, K) among draws (C,) samples each."""
    counted = plane_counts(case)
    if {c.plane for c in counted} != set(PLANES):
        raise NotApplicableError(
            "this experiment needs a network for the grid and one for the diamond",
            "one of them missing among the shipped ones",
            "Train it with `mixdyn train` and put it beside the others.",
        )
    n = case.pick(2_500, _SHOWN)
    data: dict[str, Any] = {
        "n": n,
        "planes": list(PLANES),
        "kinds": KINDS,
        "plane": [c.plane for c in counted],
        "samplers": [c.sampler for c in counted],
        "draws": [c.n for c in counted],
        "counts": np.array([c.learned for c in counted]),
        "exact": np.array([c.exact for c in counted]),
    }
    for name, mixture in PLANES.items():
        network = networks(case, mixture)[0]
        data[f"{name}_means"] = mixture.means
        data[f"{name}_x"] = final_states(case, network.model.score, "DDPM", n)
    return data
