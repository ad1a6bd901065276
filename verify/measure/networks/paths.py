"""Reverse runs of trained models from noise, once each, for every claim about learned paths or the
rates of the two samplers.

DDIM with the papers' 50 quadratic steps and DDPM, on the same counter-based noise for every score:
sample i starts from the same point and meets the same noise with the exact and with each learned
score. The two samplers share no normals: they start at different times, or with other samples
where a schedule is so short that both start at T, and DDIM adds no noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.observers import ClassCounts
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import Proportion

from ...ledger.case import Case
from ..measurement import Measurement
from ..paths import Paths, ddim_grid
from .models import EXACT, TrainedModel
from .visits import STEPS_LEFT, MidpointVisits, Visits, window_time

# tau_3 in DDIM steps, the longest window first.
WINDOWS = tuple(range(25, 4, -1))
WINDOW = WINDOWS.index(STEPS_LEFT)
STREAM = "learned paths"
# Runs of all models together in the quick profile; the full one draws more. DDPM's are as many as
# E.11 needs in its last window, which some 34 of them visit.
_DDIM_RUNS, _DDPM_RUNS = 32_000, 8_192


@dataclass(frozen=True, kw_only=True)
class SampledRuns:
    """Runs of one sampler.

    visits: of all runs, one window for each of WINDOWS. interpolates (n,): H, the end is an
    interpolation. paths: the first runs at the papers' nodes. counted: interpolations among all,
    streamed during the run. first: the index of the first sample.
    """

    sampler: str
    visits: Visits
    interpolates: geometry.Mask
    paths: Paths
    counted: Proportion
    first: int = 0


@dataclass(frozen=True, kw_only=True)
class ReverseRuns(SampledRuns):
    """Those of one score."""

    model: TrainedModel

    @property
    def learned(self) -> bool:
        """Whether the score is a trained one."""
        return self.model.name != EXACT


class NodeStates:
    """Observer: y = x/alpha at the given raw times, (K, n_kept, d), of the runs from `first` on."""

    def __init__(self, schedule: NoiseSchedule, times: IntArray, first: int, n_kept: int) -> None:
        self.schedule, self.last = schedule, first + n_kept
        self.times = {int(t) for t in times}

    def init(self, grid: TimeGrid, d: int) -> list[list[Array]]:
        """No node yet."""
        return []

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        """Keep the states at a node of the list."""
        if t not in self.times:
            return state
        nodes = state[0] if state else []
        return [[*nodes, x[: max(self.last - rows.start, 0)] / self.schedule.alpha[t]]]

    def merge(self, a: Any, b: Any) -> Any:
        """Blocks in order."""
        return a + b

    def result(self, state: Any) -> Array:
        """All kept runs."""
        return np.concatenate([np.stack(block) for block in state], axis=1)


def reverse_runs(case: Case, models: Sequence[TrainedModel]) -> list[ReverseRuns]:
    """DDIM and DDPM of the exact score and of every model.

    Model k takes the k-th block of samples, so that the counts of models add up; the exact score
    takes the samples of the first model.
    """
    exact = TrainedModel(EXACT, case.mixture)
    scores = [(exact, 0), *((model, k) for k, model in enumerate(models))]
    share = max(len(models), 1)
    return [
        ReverseRuns(model=model, **vars(run))
        for model, block in scores
        for run in sampled_runs(case, model, block, share)
    ]


def samplers(case: Case) -> dict[str, Sampler]:
    """The two by name, DDIM first."""
    grid = ddim_grid(case)
    return {f"DDIM-{grid.steps}": DDIM(spacing=grid), f"DDPM-{case.schedule.T}": DDPM()}


@Measurement
def sampled_runs(case: Case, model: TrainedModel, block: int, share: int) -> list[SampledRuns]:
    """DDIM and DDPM of one score on its block of samples, one of `share` blocks."""
    sizes = [case.pick(n, 10 * n) // share for n in (_DDIM_RUNS, _DDPM_RUNS)]
    apart = share if ddim_grid(case).times[0] == case.schedule.T else 0
    begins = [block * max(sizes), (block + apart) * max(sizes)]
    return [
        runs_of(case, model, name, range(begin, begin + n))
        for name, begin, n in zip(samplers(case), begins, sizes, strict=True)
    ]


def runs_of(case: Case, model: TrainedModel, name: str, rows: range) -> SampledRuns:
    """One of the `samplers` with one score on some samples."""
    times = ddim_grid(case).times
    latest = [window_time(case, steps) for steps in WINDOWS]
    seen = sample(
        model.score,
        case.schedule,
        samplers(case)[name],
        n=len(rows),
        rng=case.stream(STREAM),
        first=rows.start,
        observers=[
            MidpointVisits(case.mixture, case.schedule, latest),
            NodeStates(case.schedule, times, rows.start, case.pick(4_000, 20_000)),
            ClassCounts(case.mixture),
        ],
        keep="none",
    )
    visits, y, counts = seen.observations
    v = case.schedule.effective_variance(float(case.mixture.sigmas.max()))[times]
    ends = np.asarray(geometry.classify(case.mixture, visits.end) == geometry.Region.INTERPOLATION)
    return SampledRuns(
        sampler=name,
        visits=visits,
        interpolates=ends,
        paths=Paths(times, v, y),
        counted=Proportion(int(counts[geometry.Region.INTERPOLATION]), len(rows)),
        first=rows.start,
    )


def by_sampler(runs: Sequence[ReverseRuns]) -> dict[str, list[ReverseRuns]]:
    """The runs of trained models, DDIM's first."""
    names = dict.fromkeys(run.sampler for run in runs)
    return {name: [r for r in runs if r.sampler == name and r.learned] for name in names}


def of_recipe(group: Sequence[ReverseRuns]) -> dict[str, list[ReverseRuns]]:
    """Runs of the models of one recipe, where there are two or more."""
    found: dict[str, list[ReverseRuns]] = {}
    for run in group:
        if run.model.recipe is not None:
            found.setdefault(run.model.recipe, []).append(run)
    return {recipe: members for recipe, members in found.items() if len(members) > 1}
