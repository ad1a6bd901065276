"""The probability-flow ODE in the plane: paths, and the field around one pair with its saddle.

arXiv 2605.06831 v1, figures 1b and 2. Static coordinates y = x/alpha_t, in which the modes stand
still; the field is m(y, v) - y.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.geometry import Pair, dynamics, nearest_pairs, pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array
from mixdyn.support.errors import ConvergenceError, NotApplicableError
from verify.ledger.case import Case
from verify.measure.measurement import Measurement
from verify.measure.midpoint.stretch import require_window
from verify.measure.paths import KAPPA, level_at

FIELD_SIDE = 21  # arrows along each side of the zoomed window
REACH = 0.85  # half its side, in distances of the pair


def _paths(case: Case, n: int) -> dict[str, Any]:
    """The flow at all raw times from the first at which the noise is no larger than the mixture."""
    schedule, mixture = case.schedule, case.mixture
    spread = float(np.mean(np.var(mixture.means, axis=0)))
    v = schedule.effective_variance(float(mixture.sigma))
    times = np.flatnonzero(v <= max(spread, float(v[1])))[::-1]
    start = level_at(case, int(times[0]))
    y = start.marginal.sample(n, case.rng("phase")) / start.alpha
    solver = DormandPrince(rtol=1e-8, atol=1e-10)
    solution = integrate_ode(mixture, y, v[times], solver, keep="trajectory")
    return {"times": times, "paths": np.asarray(solution.trajectory)}


def _central_pair(mixture: GaussianMixture) -> Pair:
    """The closest pair whose midpoint is nearest to the centre of the means."""
    frames = [pair(mixture, i, j) for i, j in nearest_pairs(mixture)]
    centre = mixture.means.mean(axis=0)
    return min(frames, key=lambda frame: float(np.linalg.norm(frame.midpoint - centre)))


def _saddles(case: Case, v: float) -> Array:
    """(P, 2) saddles of the closest pairs at v, NaN for a pair without one."""
    found = []
    for i, j in nearest_pairs(case.mixture):
        try:
            found.append(dynamics.saddle(case.mixture, pair(case.mixture, i, j), v).point)
        except (NotApplicableError, ConvergenceError):
            found.append(np.full(2, np.nan))
    return np.array(found)


@Measurement
def phase_portrait(case: Case) -> dict[str, Any]:
    """paths (S + 1, n, 2) at times (S + 1,); means (N, 2); pairs (P, 2) closest pairs and their
    saddles (P, 2) at tau; around the central pair (2,): field (F, F, 2) of m - y at tau on points
    (F, F, 2), and the radius `tube` of its invariant tube for margin kappa."""
    mixture = case.mixture
    if mixture.d != 2:
        raise NotApplicableError(
            "a phase portrait needs a mixture in the plane", f"d = {mixture.d}", "Use d = 2."
        )
    window = require_window(case)
    central = _central_pair(mixture)
    v = float(case.schedule.effective_variance(float(mixture.sigma))[window.t])
    span = REACH * central.length * np.linspace(-1.0, 1.0, FIELD_SIDE)
    grid = np.stack(np.meshgrid(span, span), axis=-1) + central.midpoint
    flat = grid.reshape(-1, 2)
    n = case.pick(150, 200)
    radius = bounds.orthogonal_remainder(mixture, central.i, central.j, KAPPA)
    return {
        "n": n,
        "means": mixture.means,
        "pairs": np.array(nearest_pairs(mixture)),
        "saddles": _saddles(case, v),
        "pair": [central.i, central.j],
        "points": grid,
        "field": (dynamics.mean_field(mixture, flat, v) - flat).reshape(grid.shape),
        "tau": window.t,
        "kappa": KAPPA,
        "tube": float(radius),
        "length": central.length,
        **_paths(case, n),
    }
