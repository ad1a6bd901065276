"""Runs started between two modes: the sweep over the start radius, for any score.

Starts lie on the segment of a random closest pair, `radius` lengths l to either side of its
midpoint (arXiv 2605.06831 v1, figures 5 and E.15).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import Region, classify, nearest_pairs, pair, two_nearest
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDPM, Hybrid, Sampler
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import Proportion

from ...ledger.claim import Case
from .models import TrainedModel
from .rates import ddim
from .visits import window_time

RADII = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, *(0.1 + 0.05 * k for k in range(9)))
HYBRIDS = (2, 5, 8)
NEAR = 0.05  # the paper's nearest start
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
    pairs = [pair(mixture, i, j) for i, j in nearest_pairs(mixture)]
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
    schedule, sigma = case.schedule, float(case.mixture.sigma)
    times = ddim(schedule).grid(schedule, start).times
    steps = oracles.linear_recursion_std(
        schedule.alpha_bar, times, 0.0, sigma, noise_var=schedule.noise_var, start_std=1.0
    )
    return float(steps[-1])


@dataclass(frozen=True)
class Sweep:
    """Interpolations among n runs of each of M models, K samplers and R radii, from a raw time.

    hits (M, K, R); exact (K, R): of the exact score on the runs of the first model.
    """

    steps_left: int
    start: int
    n: int
    samplers: tuple[str, ...]
    hits: IntArray
    exact: IntArray

    def each(self, sampler: str, radius: float) -> list[Proportion]:
        """The rate of every model."""
        hits = self.hits[:, self.samplers.index(sampler), LEARNED_RADII.index(radius)]
        return [Proportion(int(k), self.n) for k in hits]

    def pooled(self, sampler: str, radius: float) -> Proportion:
        """The mean rate of these models: each made as many runs as the others."""
        every = self.each(sampler, radius)
        return Proportion.pooled(every)


def learned_sweep(case: Case, models: Sequence[TrainedModel], steps_left: int) -> Sweep:
    """Every model and the exact score from the node with so many DDIM steps left."""
    return case.memo(
        f"learned radius sweep {steps_left}",
        functools.partial(_learned_sweep, case, models, steps_left),
    )


def _learned_sweep(case: Case, models: Sequence[TrainedModel], steps_left: int) -> Sweep:
    t, n = window_time(case, steps_left), case.pick(4_500, 45_000) // len(models)

    def hits(model: Any, block: int) -> list[IntArray]:
        start = Start(t, n, block)
        every = samplers(case).values()
        return [outcomes(model, case, s, start, LEARNED_RADII)[0] for s in every]

    return Sweep(
        steps_left,
        t,
        n,
        tuple(samplers(case)),
        np.array([hits(model.score, k) for k, model in enumerate(models)]),
        np.array(hits(case.mixture, 0)),
    )
