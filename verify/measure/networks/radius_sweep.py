"""Runs started between two modes: the sweep over the start radius, for any score.

Starts lie on the segment of a random closest pair, `radius` lengths l to either side of its
midpoint (arXiv 2605.06831 v1, figures 5 and E.15).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import Region, classify, mode_radius, nearest_pairs, pair, two_nearest
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM, Hybrid, Sampler
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import Proportion

from ...ledger.case import Case
from ..measurement import Measurement
from ..midpoint.stretch import require_window
from ..paths import recursion_end
from ..score_errors.blurred import BLUR
from .models import BLURRED, EXACT, NETWORKS, named_scores, require_models
from .rates import ddim
from .visits import STEPS_LEFT, window_time

RADII = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, *(0.1 + 0.05 * k for k in range(9)))
HYBRIDS = (2, 5, 8)
NEAR = 0.05  # the paper's nearest start
LATE_STEPS = 3  # DDIM steps left where the budget of noise decides
# From every radius, of all models together in the quick profile: two neighbours in the order of F5
# are told apart with `POWER`.
_RUNS = 1_600
# The paper's radii, and one next to the midpoint.
LEARNED_RADII = (0.01, *(round(0.05 * k, 2) for k in range(1, 11)))


def samplers(case: Case) -> Mapping[str, Sampler]:
    """DDIM, the hybrids that take z DDPM steps first, and DDPM: in order of rising noise."""
    base = ddim(case.schedule)
    hybrids = {f"hybrid z={z}": Hybrid(min(z, case.schedule.T), base) for z in HYBRIDS}
    return {"DDIM": base, **hybrids, "DDPM": DDPM()}


def starts(case: Case, radius: float, n: int, label: str = "") -> Array:
    """(n, d) points y on random closest pairs, `radius` lengths to either side of the midpoint."""
    rng = case.rng(f"radius {radius}{label}")
    mixture = case.mixture
    pairs = case.memo(
        "nearest pairs", lambda: [pair(mixture, i, j) for i, j in nearest_pairs(mixture)]
    )
    midpoint = np.array([p.midpoint for p in pairs])
    edge = np.array([p.mu_i - p.mu_j for p in pairs])
    chosen = rng.integers(0, len(pairs), n)
    side = rng.choice([-1.0, 1.0], n)
    return midpoint[chosen] + (radius * side)[:, None] * edge[chosen]


@dataclass(frozen=True)
class Start:
    """n runs from a raw time t; runs of different blocks share neither starts nor noise."""

    t: int
    n: int
    block: int = 0


def outcomes(
    model: Any, case: Case, sampler: Sampler, start: Start, radii: Sequence[float] = RADII
) -> tuple[IntArray, Array]:
    """Per radius, (R,): interpolations, and the mean distance of the ends to the nearest mode."""
    hits, ends = [], []
    for radius in radii:
        y = starts(case, radius, start.n, f" {start.block}" if start.block else "")
        x = case.schedule.alpha[start.t] * y
        run = sample(
            model,
            case.schedule,
            sampler,
            x=x,
            rng=case.stream("radius"),
            start=start.t,
            first=start.block * start.n,
        )
        final = np.asarray(run.x)
        hits.append(int(np.sum(classify(case.mixture, final) == Region.INTERPOLATION)))
        ends.append(float(two_nearest(case.mixture.means, final)[2].mean()))
    return np.array(hits), np.array(ends)


def ddim_contraction(case: Case, start: int) -> float:
    """What DDIM's own steps from a raw time leave of a distance to a mode that owns the point."""
    times = ddim(case.schedule).grid(case.schedule, start).times
    return recursion_end(case, times, 0.0, float(case.mixture.sigma), 1.0)


@dataclass(frozen=True)
class Sweep:
    """Runs of A scores with K samplers from R radii, n each, from a raw time.

    hits (A, K, R): interpolations. ends (A, K, R): mean distance of the ends to the nearest mode.
    """

    scores: tuple[str, ...]
    samplers: tuple[str, ...]
    radii: tuple[float, ...]
    steps_left: int
    start: int
    n: int
    hits: IntArray
    ends: Array

    @property
    def learned(self) -> IntArray:
        """The hits of all scores but the exact one, (A - 1, K, R)."""
        return self.hits[[name != EXACT for name in self.scores]]

    @property
    def exact(self) -> IntArray:
        """The hits of the exact score, (K, R)."""
        return self.hits[self.scores.index(EXACT)]

    def each(self, sampler: str, radius: float) -> list[Proportion]:
        """The rate of every model."""
        hits = self.learned[:, self.samplers.index(sampler), self.radii.index(radius)]
        return [Proportion(int(k), self.n) for k in hits]

    def pooled(self, sampler: str, radius: float) -> Proportion:
        """The mean rate of these models: each made as many runs as the others."""
        every = self.each(sampler, radius)
        return Proportion.pooled(every)


@Measurement
def sweep(case: Case, scores: Sequence[str], radii: Sequence[float], steps_left: int) -> Sweep:
    """`named_scores` from the node with so many DDIM steps left. Each of NETWORKS has runs of its
    own under each sampler, which share neither starts nor noise with any other, and the exact score
    those of the first; without them all samplers make the same runs."""
    found, t = named_scores(case, scores), window_time(case, steps_left)
    learned = [model for model in found if model.name != EXACT]
    apart, how, rows = NETWORKS in scores, samplers(case).values(), []
    shared = case.pick(_RUNS, 20 * _RUNS) // max(len(learned), 1)
    n = shared if apart else case.pick(4_000, 20_000)
    for model in found:
        block = len(how) * (learned.index(model) if model in learned else 0)
        starts = [Start(t, n, block + k if apart else 0) for k in range(len(how))]
        rows.append([*map(partial(outcomes, model.score, case, radii=radii), how, starts)])
    hits, ends = (np.array([[pair[k] for pair in row] for row in rows]) for k in (0, 1))
    names = tuple(model.name for model in found)
    return Sweep(names, tuple(samplers(case)), tuple(radii), steps_left, t, n, hits, ends)


def learned_sweep(case: Case, steps_left: int) -> Sweep:
    """Every model and the exact score from the node with so many DDIM steps left."""
    return sweep(case, (NETWORKS, EXACT), LEARNED_RADII, steps_left)


# -- for figures ---------------------------------------------------------------------------------


@Measurement
def radius(case: Case) -> dict[str, Any]:
    """Late, with three DDIM steps left, the exact score; early, from the first node at which the
    pair is separated, the blurred one. radius (R,) in l; samplers (K,); late_hits, early_hits (K,
    R) interpolations among n runs; late_end (K, R) mean end distances in l; late_start, early_start
    raw times.

    factor_*: by which (1/2 - r) l shrinks from the late start to clean data once one mode owns the
    point, in the mean under the reverse SDE, under the PF ODE and in DDIM's steps. Late not the
    saddle but this budget of noise decides.
    """
    window = require_window(case)
    late = sweep(case, [EXACT], RADII, min(LATE_STEPS, window.steps))
    early = sweep(case, [BLURRED], RADII, window.steps)
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    return {
        "n": late.n,
        "radius": RADII,
        "samplers": late.samplers,
        "late_start": late.start,
        "late_hits": late.hits[0],
        "late_end": late.ends[0] / window.pair.length,
        "early_start": early.start,
        "early_hits": early.hits[0],
        "mode_radius": float(mode_radius(case.mixture)[0]) / window.pair.length,
        "blur": BLUR,
        "factor_sde": oracles.sde_contraction(v[late.start], v[0])[0],
        "factor_ode": oracles.ode_contraction(v[late.start], v[0]),
        "factor_ddim": ddim_contraction(case, late.start),
    }


@Measurement
def learned_radius(case: Case) -> dict[str, Any]:
    """From the node at which the closest pair is separated and from the window of the visits.
    radius (R,) in l; samplers (K,); start (2,) raw times; steps_left (2,); hits (2, M, K, R) and
    exact (2, K, R) interpolations among n runs a model."""
    sweeps = [learned_sweep(case, steps) for steps in (require_window(case).steps, STEPS_LEFT)]
    return {
        "n": sweeps[0].n,
        "models": [model.label for model in require_models(case)],
        "radius": LEARNED_RADII,
        "samplers": sweeps[0].samplers,
        "start": [sweep.start for sweep in sweeps],
        "steps_left": [sweep.steps_left for sweep in sweeps],
        "hits": np.array([sweep.learned for sweep in sweeps]),
        "exact": np.array([sweep.exact for sweep in sweeps]),
    }
