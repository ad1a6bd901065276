"""When two modes dominate a path (tau_1) and when they are separated (tau_2), against kappa and d.

arXiv 2605.06831 v1, figures E.6 to E.8: 25 modes picked by farthest-point sampling from the lattice
2 {-2..2}^d, DDIM with 50 steps and the exact score. Raw times; the mixture is the presets', only
the schedule is the case's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn.geometry.dominance_times import NEVER, DominanceTimes, tau_1, tau_2
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.presets import farthest_point
from mixdyn.run.sampling import sample
from mixdyn.support.checks import Array, IntArray
from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.networks.rates import ddim

DIMENSIONS = (2, 4, 8, 32, 64)
KAPPAS = (1.0, 2.0, 4.0, 7.0, 10.0, 14.0, 20.0)
LEVELS = (0.1, 0.5, 0.9)


def _quantiles(times: IntArray) -> Array:
    """(levels,) of raw times; a path on which the condition never holds counts as time NEVER."""
    return np.quantile(times, LEVELS, method="inverted_cdf")


def _along_paths(
    mixture: GaussianMixture, case: Case, found: DominanceTimes, kappa: float
) -> Array:
    """tau_2 of each path's own pair, for the paths on which one pair of modes dominates."""
    own = found.pair[(found.pair >= 0).all(axis=1)]
    if len(own) == 0:
        return np.full(len(LEVELS), float(NEVER))
    return _quantiles(tau_2(mixture, case.schedule, kappa)[own[:, 0], own[:, 1]])


def _one_dimension(d: int, case: Case, n: int) -> dict[str, Array]:
    mixture = farthest_point(d)
    run = sample(
        mixture,
        case.schedule,
        ddim(case.schedule),
        n=n,
        rng=case.stream("dominance"),
        keep="trajectory",
    )
    rows: dict[str, list[Any]] = {"first": [], "fixed": [], "own": [], "closest": []}
    upper = np.triu_indices(mixture.N, k=1)
    for kappa in KAPPAS:
        found = tau_1(mixture, case.schedule, run.times, np.asarray(run.trajectory), kappa)
        rows["first"].append(_quantiles(found.first))
        rows["fixed"].append(_quantiles(found.last_fixed))
        rows["own"].append(_along_paths(mixture, case, found, kappa))
        rows["closest"].append(tau_2(mixture, case.schedule, kappa)[upper].min())
    return {name: np.array(values) for name, values in rows.items()}


@Measurement
def dominance(case: Case) -> dict[str, Any]:
    """kappa (K,); d (D,); levels (L,); tau_1 first and fixed (D, K, L) quantiles over n paths,
    tau_2 own (D, K, L) of the paths' own pairs and closest (D, K); -1 where never."""
    n = case.pick(300, 2_000)
    found = [_one_dimension(d, case, n) for d in DIMENSIONS]
    joined = {name: np.array([one[name] for one in found]) for name in found[0]}
    return {"n": n, "d": DIMENSIONS, "kappa": KAPPAS, "levels": LEVELS, **joined}
