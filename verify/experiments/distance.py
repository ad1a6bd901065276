"""Distance to the nearest segment along the reverse process, DDIM and DDPM, exact score.

arXiv 2605.06831 v1, figures 4 and E.9, with the times tau_1 (two modes dominate, margin kappa) and
tau_2 (the closest pair is separated). Static coordinates y = x/alpha_t, lengths in data units.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.geometry.dominance_times import tau_1
from mixdyn.run.observers import SegmentDistance
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM, Sampler
from mixdyn.support.errors import NotApplicableError
from verify.ledger.claim import Case
from verify.measure.paths import KAPPA

from .common import ddim, require_window

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def _quantiles(case: Case, sampler: Sampler, n: int) -> dict[str, Any]:
    """times (S + 1,), the effective variance there, and quantiles (levels, S + 1)."""
    observer = SegmentDistance(case.mixture, case.schedule, bins=1200)
    seed = case.stream("distance")
    run = sample(
        case.mixture, case.schedule, sampler, n=n, rng=seed, observers=[observer], keep="none"
    )
    summary = run.observations[0]
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    quantiles = np.array([summary.quantile(level) for level in LEVELS])
    return {"times": summary.times, "v": v[summary.times], "quantiles": quantiles}


def run(case: Case) -> dict[str, Any]:
    """Per sampler NAME: NAME_times (S + 1,), NAME_v (S + 1,), NAME_quantiles (levels, S + 1).

    levels (L,); tau_1_first, tau_1_fixed (n_tau_1,): raw times along DDIM trajectories, -1 where
    never; tau_2: raw time of the closest pair; length of that pair; kappa.
    """
    window = require_window(case)
    if case.mixture.d == 1:
        raise NotApplicableError(
            "a distance to segments needs a direction across them", "d = 1", "Use d >= 2."
        )
    n_ddim, n_ddpm = case.pick(20_000, 100_000), case.pick(2_000, 20_000)
    n_tau_1 = case.pick(2_000, 10_000)
    data: dict[str, Any] = {"n": [n_ddim, n_ddpm, n_tau_1], "levels": LEVELS, "kappa": KAPPA}
    samplers: list[tuple[str, Sampler, int]] = [
        ("ddim", ddim(case.schedule), n_ddim),
        ("ddpm", DDPM(), n_ddpm),
    ]
    for name, sampler, n in samplers:
        found = _quantiles(case, sampler, n)
        data |= {f"{name}_{key}": value for key, value in found.items()}
    traced = sample(
        case.mixture,
        case.schedule,
        ddim(case.schedule),
        n=n_tau_1,
        rng=case.stream("distance"),
        keep="trajectory",
    )
    times = tau_1(case.mixture, case.schedule, traced.times, np.asarray(traced.trajectory), KAPPA)
    return data | {
        "tau_1_first": times.first,
        "tau_1_fixed": times.last_fixed,
        "tau_2": window.t,
        "length": window.pair.length,
    }
