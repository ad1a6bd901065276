r"""Where hallucinations come from: decomposition by visits to midpoints.

Statement: Let $M$ be the event that a trajectory is within $\theta\, l$ of the midpoint of its two
    nearest modes, in static coordinates, at some node with raw time $1 \le t \le t(\tau_3)$. For
    any event $H$ of its end, $P(H) = P(H|M) P(M) + P(H|M^c) P(M^c)$.
Hypotheses: none.
Measured: DDIM with 50 quadratic steps and DDPM from noise, $\theta = 0.35$, $\tau_3$ = 11 DDIM
    steps: P(H) from fused runs, for H = interpolation, H = "the nearest mode changed after
    $t(\tau_3)$" and H = "in the outer half of its mode", a control that always has mass.
Predicted: the two conditional parts, counted node by node on the same runs.
Evidence: sampled; counts must agree exactly. The rates, with 95 % intervals, are in the table.
Source: arXiv 2605.06831 v1, Appendix I.1
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.mixture import GaussianMixture
from mixdyn.samplers import DDIM, DDPM, Sampler
from mixdyn.sampling import sample
from mixdyn.schedule import NoiseSchedule, TimeGrid
from mixdyn.statistics import Proportion
from mixdyn.validation import Array, IntArray
from verify.claim import Basis, Case, Claim, Finding, Table, Verdict
from verify.paths import ddim_grid
from verify.relations import Comparison, Equality, compare

CLAIM = Claim.from_docstring(
    __doc__,
    id="I.1",
    basis=(Basis.SAMPLED,),
    min_modes=2,
    does_not_show=(
        "That hallucinations come from midpoints: the identity holds for every event M. With the "
        "exact score there are hardly any to decompose; the same row on a learned score is the one "
        "that speaks about the papers' experiment."
    ),
)

THETA = 0.35
STEPS_LEFT = 11  # tau_3 in DDIM steps
EVENTS = ("outer half of its mode", "nearest mode changed", "interpolation")
Combine = Callable[[geometry.Mask, geometry.Mask], float]


@dataclass(frozen=True)
class Runs:
    """Per run: whether it visited a midpoint, the nearest mode at t(tau_3), and its end, once from
    the observed path and once from the fused one; each (n,) or (n, d)."""

    name: str
    visited: geometry.Mask
    nearest: IntArray
    end: Array
    fused_end: Array


class MidpointVisits:
    """Observer: visited (n,), nearest mode at the first node of the window (n,), end (n, d)."""

    def __init__(self, mixture: GaussianMixture, schedule: NoiseSchedule, latest: int) -> None:
        self.mixture, self.schedule, self.latest = mixture, schedule, latest

    def init(self, grid: TimeGrid, d: int) -> list[tuple[Array, IntArray, Array]]:
        """No block yet."""
        return []

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        """Mark the runs of this block that are near a midpoint at this node."""
        if t > self.latest:
            return state
        y = x / self.schedule.alpha[t]
        if t == 0:
            return [(*state[0][:2], y)]
        means = self.mixture.means
        i, j, _, _ = geometry.two_nearest(means, y)
        away = np.linalg.norm(y - 0.5 * (means[i] + means[j]), axis=1)
        near = away <= THETA * np.linalg.norm(means[i] - means[j], axis=1)
        if not state:
            return [(near, i, y)]
        return [(state[0][0] | near, state[0][1], y)]

    def merge(self, a: Any, b: Any) -> Any:
        """Blocks in order."""
        return a + b

    def result(self, state: Any) -> tuple[Array, IntArray, Array]:
        """All runs."""
        visited, nearest, end = (np.concatenate(parts) for parts in zip(*state, strict=True))
        return visited, nearest, end


def check(case: Case) -> Verdict:
    """Counts of the whole against the sum of the parts."""
    return _judge(case, lambda visited, hit: int((hit & visited).sum() + (hit & ~visited).sum()))


def mutants(case: Case) -> dict[str, Verdict]:
    """Visits alone, and conditional probabilities that are not weighted."""
    return {
        "P(H|M) P(M) alone": _judge(case, lambda visited, hit: int((hit & visited).sum())),
        "P(H|M) + P(H|M^c)": _judge(case, _unweighted),
    }


def _unweighted(visited: geometry.Mask, hit: geometry.Mask) -> float:
    parts = [hit[group].mean() if group.any() else 0.0 for group in (visited, ~visited)]
    return float(len(hit) * sum(parts))


def _judge(case: Case, combine: Combine) -> Verdict:
    runs = case.memo("I.1 runs", lambda: _runs(case))
    comparisons, where = [], []
    for run in runs:
        whole = _events(case, run.fused_end, run.nearest)
        parts = _events(case, run.end, run.nearest)
        counts = [int(hit.sum()) for hit in whole.values()]
        sums = [combine(run.visited, hit) for hit in parts.values()]
        comparisons.append(compare(f"runs with H, {run.name}", Equality(atol=0.5), counts, sums))
        where.append(run.name)

    def witness(comparison: Comparison) -> dict[str, Any]:
        name = where[comparisons.index(comparison)]
        return {"sampler": name, "event": EVENTS[comparison.index]}

    finding = Finding(
        comparisons=comparisons,
        nonvacuous_share=1.0,
        witness=witness,
        unit="events",
        note=f"t(τ_3) is raw time {_latest(case)}; {len(runs[0].end):,} runs of each sampler.",
        tables=[_table(case, runs)],
    )
    return CLAIM.judge(case, finding)


def _latest(case: Case) -> int:
    """Raw time of the node with 11 DDIM steps left, or the grid's first node."""
    times = ddim_grid(case).times
    return int(times[max(len(times) - 1 - STEPS_LEFT, 0)])


def _runs(case: Case) -> list[Runs]:
    """DDIM and DDPM from the same noise, twice each: observed, and fused."""
    mixture, schedule = case.mixture, case.schedule
    work = schedule.T * mixture.N * mixture.d
    n = int(np.clip(case.pick(3 * 10**8, 10**10) // work, 500, case.pick(8192, 100_000)))
    grid = ddim_grid(case)
    samplers: list[tuple[str, Sampler]] = [
        (f"DDIM-{grid.steps}", DDIM(spacing=grid)),
        (f"DDPM-{schedule.T}", DDPM()),
    ]
    found = []
    for name, sampler in samplers:
        seed = case.stream("I.1")
        observer = MidpointVisits(mixture, schedule, _latest(case))
        seen = sample(mixture, schedule, sampler, n=n, rng=seed, observers=[observer], keep="none")
        visited, nearest, end = seen.observations[0]
        fused = sample(mixture, schedule, sampler, n=n, rng=seed).x
        found.append(Runs(name, visited, nearest, end, np.asarray(fused)))
    return found


def _events(case: Case, end: Array, nearest: IntArray) -> dict[str, geometry.Mask]:
    first, _, distance, _ = geometry.two_nearest(case.mixture.means, end)
    relative = distance / case.mixture.sigmas[first]
    hits = (
        relative > np.median(relative),
        first != nearest,
        geometry.classify(case.mixture, end) == geometry.Region.INTERPOLATION,
    )
    return dict(zip(EVENTS, hits, strict=True))


def _table(case: Case, runs: list[Runs]) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for run in runs:
        for event, hit in _events(case, run.end, run.nearest).items():
            cells: list[float | None] = []
            for group in (run.visited, ~run.visited):
                if group.any():
                    part = Proportion(int(hit[group].sum()), int(group.sum()))
                    cells += [part.rate, *part.interval()]
                else:
                    cells += [None, None, None]
            whole = Proportion(int(hit.sum()), len(hit))
            rows.append(
                (run.name, event, run.visited.mean(), *cells, whole.rate, *whole.interval())
            )
    columns = (
        *("sampler", "H", "P(M)", "P(H|M)", "from", "to", "P(H|not M)", "from", "to"),
        *("P(H)", "from", "to"),
    )
    return Table("The decomposition, with 95 % intervals", columns, rows)
