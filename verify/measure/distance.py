"""Distance to the nearest segment along the reverse process, DDIM and DDPM.

arXiv 2605.06831 v1, figures 4 and E.9, with the times tau_1 (two modes dominate, margin kappa) and
tau_2 (the closest pair is separated). Static coordinates y = x/alpha_t. With trained scores also
the floor: what they add to DDIM's offset from the line through the two modes that dominate the path
(`envelopes`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.geometry.dominance_times import tau_1
from mixdyn.run.observers import SegmentDistance
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM, Sampler
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.midpoint.stretch import Window, require_window
from verify.measure.networks.envelopes import follow, segment_distances
from verify.measure.networks.models import require_models
from verify.measure.networks.paths import reverse_runs
from verify.measure.networks.rates import ddim
from verify.measure.paths import KAPPA

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_FAIR = 0.05  # nodes that fewer of the paths have reached are left out


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


def _require_plane(case: Case) -> Window:
    window = require_window(case)
    if case.mixture.d == 1:
        raise NotApplicableError(
            "a distance to segments needs a direction across them", "d = 1", "Use d >= 2."
        )
    return window


@Measurement
def distance(case: Case) -> dict[str, Any]:
    """With the exact score, per sampler NAME: NAME_times (S + 1,), NAME_v (S + 1,), NAME_quantiles
    (levels, S + 1), in data units.

    levels (L,); tau_1_first, tau_1_fixed (n_tau_1,): raw times along DDIM trajectories, -1 where
    never; tau_2: raw time of the closest pair; length of that pair; kappa.
    """
    window = _require_plane(case)
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


@Measurement
def learned_distance(case: Case) -> dict[str, Any]:
    """Of trained models at the papers' nodes, with the exact score on the same noise. models (M,);
    times (K,), v (K,); levels (L,); per sampler NAME: NAME_quantiles (1 + M, L, K)
    of the distance to the nearest segment over l, the exact score first.

    DDIM's paths from their own tau_1 on, (1 + M, K), NaN where few are: floor_median, floor_high
    (its 95 % quantile), offset (median of what its steps leave with the exact score), envelope
    (median of the tube theorem's bound), over l. tau_1 (1 + M,) median, tau_2 raw times.
    """
    models, window = require_models(case), _require_plane(case)
    runs, length = reverse_runs(case, models), window.pair.length
    followed = [follow(case, run) for run in runs[::2]]
    data: dict[str, Any] = {}
    for name, group in (("ddim", runs[::2]), ("ddpm", runs[1::2])):
        distances = [segment_distances(case, run.paths) / length for run in group]
        quantiles = [np.quantile(d, LEVELS[::2], axis=1) for d in distances]
        data[f"{name}_quantiles"] = np.array(quantiles)
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
        "models": [model.label for model in models],
        "levels": LEVELS[::2],
        "times": followed[0].times,
        "v": followed[0].v,
        "tau_1": [float(np.median(times)) for times in first],
        "tau_2": window.t,
        "length": length,
    }
