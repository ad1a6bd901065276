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
from mixdyn.geometry import Region, classify, mode_radius, nearest_pairs, pair, two_nearest
from mixdyn.samplers import DDPM, Hybrid, Sampler
from mixdyn.sampling import sample
from mixdyn.validation import Array, IntArray
from verify.claim import Case

from .blurred import BLUR, blurred_score
from .common import ddim, require_window

RADII = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, *(0.1 + 0.05 * k for k in range(9)))
LATE_STEPS = 3
HYBRIDS = (2, 5, 8)


def _samplers(case: Case) -> dict[str, Sampler]:
    base = ddim(case.schedule)
    hybrids = {f"hybrid z={z}": Hybrid(z, base) for z in HYBRIDS}
    return {"DDIM": base, **hybrids, "DDPM": DDPM()}


def _starts(case: Case, radius: float, n: int) -> Array:
    """(n, d) points y on random closest pairs, `radius` lengths to either side of the midpoint."""
    rng = case.rng(f"radius {radius}")
    mixture = case.mixture
    pairs = [pair(mixture, i, j) for i, j in nearest_pairs(mixture)]
    midpoint = np.array([p.midpoint for p in pairs])
    edge = np.array([p.mu_i - p.mu_j for p in pairs])
    chosen = rng.integers(0, len(pairs), n)
    side = rng.choice([-1.0, 1.0], n)
    return midpoint[chosen] + (radius * side)[:, None] * edge[chosen]


def _outcomes(
    model: Any, case: Case, sampler: Sampler, start: int, n: int
) -> tuple[IntArray, Array]:
    """Per radius, (R,): interpolations among n runs, and the mean distance to the nearest mode."""
    hits, ends = [], []
    for radius in RADII:
        x = case.schedule.alpha[start] * _starts(case, radius, n)
        run = sample(model, case.schedule, sampler, x=x, rng=case.stream("radius"), start=start)
        final = np.asarray(run.x)
        hits.append(int(np.sum(classify(case.mixture, final) == Region.INTERPOLATION)))
        ends.append(float(two_nearest(case.mixture.means, final)[2].mean()))
    return np.array(hits), np.array(ends)


def _budget(case: Case, start: int) -> dict[str, float]:
    """Factors by which (1/2 - r) l shrinks from `start` to clean data: SDE, ODE, DDIM's steps."""
    schedule, sigma = case.schedule, float(case.mixture.sigma)
    v = schedule.effective_variance(sigma)
    times = ddim(schedule).grid(schedule, start).times
    steps = oracles.linear_recursion_std(
        schedule.alpha_bar, times, 0.0, sigma, noise_var=schedule.noise_var, start_std=1.0
    )
    return {
        "factor_sde": oracles.sde_contraction(v[start], v[0])[0],
        "factor_ode": oracles.ode_contraction(v[start], v[0]),
        "factor_ddim": float(steps[-1]),
    }


def run(case: Case) -> dict[str, Any]:
    """radius (R,) in l; samplers (A,); late_hits, early_hits (A, R) interpolations among n runs;
    late_end (A, R) mean end distances in l; factor_*; late_start, early_start raw times."""
    window = require_window(case)
    n = case.pick(4_000, 20_000)
    times = ddim(case.schedule).grid(case.schedule).times
    late = int(times[-1 - min(LATE_STEPS, window.steps)])
    samplers = _samplers(case)
    blurred = blurred_score(case.mixture, case.schedule)
    late_runs = [_outcomes(case.mixture, case, s, late, n) for s in samplers.values()]
    early_runs = [_outcomes(blurred, case, s, window.t, n) for s in samplers.values()]
    return {
        "n": n,
        "radius": RADII,
        "samplers": list(samplers),
        "late_start": late,
        "late_hits": np.array([hits for hits, _ in late_runs]),
        "late_end": np.array([ends for _, ends in late_runs]) / window.pair.length,
        "early_start": window.t,
        "early_hits": np.array([hits for hits, _ in early_runs]),
        "mode_radius": float(mode_radius(case.mixture)[0]) / window.pair.length,
        "blur": BLUR,
        **_budget(case, late),
    }
