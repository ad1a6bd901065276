"""Runs started between two modes: rate and end distance against the distance from the midpoint.

arXiv 2605.06831 v1, figures 5 and E.15. Starts lie on the segment of a random closest pair, r
lengths l from its midpoint, with a given number of DDIM steps left (tau_3 there). Two parts:

late: exact score, three steps left. Not the saddle but the budget of noise that is left decides:
once one mode owns the point its distance |y - mu| = (1/2 - r) l shrinks by v_0/v_start in the mean
under the reverse SDE, by sqrt(v_0/v_start) under the PF ODE, and under DDIM by the product of
(sigma^2 + sqrt(rho_t rho_s))/v_t over its steps (own results).

early: the blurred score (`blurred`), from the first node at which the pair is separated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import mode_radius
from verify.ledger.claim import Case
from verify.measure.networks.radius_sweep import RADII, Start, ddim_contraction, outcomes, samplers
from verify.measure.score_errors.blurred import BLUR, blurred_score

from .common import ddim, require_window

LATE_STEPS = 3


def _budget(case: Case, start: int) -> dict[str, float]:
    """Factors by which (1/2 - r) l shrinks from `start` to clean data: SDE, ODE, DDIM's steps."""
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    return {
        "factor_sde": oracles.sde_contraction(v[start], v[0])[0],
        "factor_ode": oracles.ode_contraction(v[start], v[0]),
        "factor_ddim": ddim_contraction(case, start),
    }


def run(case: Case) -> dict[str, Any]:
    """radius (R,) in l; samplers (A,); late_hits, early_hits (A, R) interpolations among n runs;
    late_end (A, R) mean end distances in l; factor_*; late_start, early_start raw times."""
    window = require_window(case)
    n = case.pick(4_000, 20_000)
    times = ddim(case.schedule).grid(case.schedule).times
    late = int(times[-1 - min(LATE_STEPS, window.steps)])
    runs = samplers(case)
    blurred = blurred_score(case.mixture, case.schedule)
    late_runs = [outcomes(case.mixture, case, s, Start(late, n)) for s in runs.values()]
    early_runs = [outcomes(blurred, case, s, Start(window.t, n)) for s in runs.values()]
    return {
        "n": n,
        "radius": RADII,
        "samplers": list(runs),
        "late_start": late,
        "late_hits": np.array([hits for hits, _ in late_runs]),
        "late_end": np.array([ends for _, ends in late_runs]) / window.pair.length,
        "early_start": window.t,
        "early_hits": np.array([hits for hits, _ in early_runs]),
        "mode_radius": float(mode_radius(case.mixture)[0]) / window.pair.length,
        "blur": BLUR,
        **_budget(case, late),
    }
