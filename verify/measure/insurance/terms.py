"""Guarantees from noise: the cost of a model's paths, what they cannot do, and how often they do.

A model's chain and the exact one share start and noise. The cost C of a path bounds how often the
model's chain meets what the exact chain (almost) never does (`mixdyn.bounds.insurance`); the budget
K is fixed by the exact chain alone, before any cost is seen.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.run.path_cost import PathDivergence, step_prices
from mixdyn.run.sampling import sample
from mixdyn.score import ExactScore
from mixdyn.support.checks import Array
from mixdyn.support.statistics import VERDICT_MISS, Proportion

from ...ledger.case import Case
from ...ledger.verdict import Table
from .chains import BoolArray, Chain, Gaps, exact_laws, find_gaps, is_product, log_gap

LEVEL = 1e-4  # what the budget leaves to the pathwise bound's second term, where L allows it
_LEAST_SHARE = 1.0 / 9.0  # of L: the budget where it is small, at a term 2 exp(-4 L/9)


def budget_for(log_p: float) -> float:
    """K from the event's probability under the exact chain alone."""
    return max(float(bounds.path_budget(log_p, LEVEL)), -_LEAST_SHARE * log_p)


@dataclass(frozen=True, eq=False)
class Insured:
    """One model's paths under one chain.

    log_p: log of the exact chain's probability of a gap; budget K. cost (n,): C of each path;
    mixed_up (n,): with the noise's standard deviation in place of its variance, for a negative
    control. gap, final (n,): whether the exact denoiser at the last noisy time, and the output, lie
    in a gap.
    """

    model: str
    chain: Chain
    log_p: float
    budget: float
    cost: Array
    mixed_up: Array
    gap: BoolArray
    final: BoolArray

    @property
    def name(self) -> str:
        """For comparisons and tables."""
        return f"{self.chain.name}, {self.model}"

    def for_event(self, log_p: float, gap: BoolArray) -> Insured:
        """The same paths, asked about another event."""
        return dataclasses.replace(self, log_p=log_p, budget=budget_for(log_p), gap=gap)

    @property
    def exceeded(self) -> Proportion:
        """How many paths cost more than K."""
        return _share(self.cost > self.budget)

    @property
    def rate(self) -> Proportion:
        """How many paths are in a gap at the last noisy time."""
        return _share(self.gap)

    def pathwise(self, miss: float = VERDICT_MISS) -> float:
        """P(C > K) + 2 exp(-(sqrt L - sqrt K)^2), P(C > K) at its upper limit."""
        most = min(self.exceeded.interval(miss)[1], 1.0)
        return float(bounds.pathwise_probability(most, self.budget, self.log_p))

    def stopped(self, miss: float = VERDICT_MISS, factor: float = 1.0) -> float:
        """kl^-1(E min(C, K); P) + P(C > K), both at their upper limits; factor on the former is for
        negative controls."""
        n, k = len(self.cost), self.budget
        mean = min(float(np.minimum(self.cost, k).mean()), k)  # a mean of n times K rounds
        most = factor * bounds.bounded_mean_limit(mean, k, n, miss / 2)
        share = min(self.exceeded.interval(miss)[1], 1.0)
        return float(bounds.stopped_probability(most, share, self.log_p))

    def pathwise_estimate(self) -> float:
        """The pathwise form at the measured share."""
        return float(bounds.pathwise_probability(self.exceeded.rate, self.budget, self.log_p))

    def divergence_estimate(self) -> float:
        """kl^-1 at the measured mean cost."""
        return float(np.exp(bounds.log_kl_inverse(float(self.cost.mean()), self.log_p)))


def mean_guarantee(runs: Sequence[Insured]) -> float:
    """The pathwise form at the mean share of several models under one chain."""
    share = float(np.mean([run.exceeded.rate for run in runs]))
    return float(bounds.pathwise_probability(share, runs[0].budget, runs[0].log_p))


def _share(hits: BoolArray) -> Proportion:
    return Proportion(int(np.count_nonzero(hits)), len(hits))


def exact_score(case: Case) -> ExactScore:
    """The case's own, which keeps what it knows of each level from run to run."""
    return case.memo("exact score", lambda: ExactScore(case.mixture, case.schedule))


def insure(case: Case, chain: Chain, model: tuple[str, Any], n: int, first: int = 0) -> Insured:
    """Run (name, score) under the chain, n samples from index `first` on, and count.

    Raises NotApplicableError where there is no gap.
    """
    log_p, gaps = log_gap(case, chain), find_gaps(case, chain)
    exact, prices = exact_score(case), step_prices(chain.plan)
    confused = prices * chain.plan.noise_std[: len(prices)]
    run = sample(
        model[1],
        case.schedule,
        chain.sampler,
        n=n,
        rng=case.stream("insurance"),
        first=first,
        observers=[PathDivergence(exact, chain.plan, np.column_stack([prices, confused]))],
    )
    (paths,) = run.observations
    return Insured(
        model=model[0],
        chain=chain,
        log_p=log_p,
        budget=budget_for(log_p),
        cost=paths.cost[:, 0],
        mixed_up=paths.cost[:, 1],
        gap=gaps.hold(exact.x0(paths.x, paths.t)),
        final=gaps.hold(np.asarray(run.x)),
    )


# -- the last step, which has no noise -------------------------------------------------------------

_CELLS = 81  # of the mesh, a coordinate and mode
_DEVIATIONS = 12.0  # of p_t to the mesh's end: beyond lie e^-72
_HALF_WIDTH = 0.3  # of the mesh at most, over the shortest distance between two grid lines


def log_gap_after(case: Case, chain: Chain, model: tuple[str, Any]) -> float | None:
    """log of the exact chain's probability of the states that the model's own last step sends into
    a gap; None unless d = 2 and the mixture is a product.

    On a mesh around every mode; a cell counts if it or a neighbour does, everything off the meshes
    counts. The mesh does not see what is smaller than a cell.
    """
    gaps = find_gaps(case, chain) if is_product(case.mixture) else None
    if case.mixture.d != 2 or not isinstance(gaps, Gaps):
        return None
    laws, t = exact_laws(case, chain), int(chain.plan.t[-1])
    shortest = min(float(np.diff(v).min()) for v in gaps.values if len(v) > 1)
    spread = math.sqrt(case.schedule.effective_variance(float(case.mixture.sigma))[t])
    reach = min(_HALF_WIDTH * shortest, _DEVIATIONS * spread)
    edges = reach * np.linspace(-1.0, 1.0, _CELLS + 1)
    log_cells = case.memo(
        f"X11 cells {chain.name}",
        lambda: [
            law.log_probability(line[:, None] + edges[:-1], line[:, None] + edges[1:])
            for law, line in zip(laws, gaps.values, strict=True)
        ],
    )
    hits = case.memo(  # chains that end at the same time share it
        f"X11 last step from {t} {model[0]}", lambda: _land_in_gap(case, t, model[1], gaps, edges)
    )
    found = [oracles.log_away_probability(laws, reach)]
    for (i, j), hit in hits.items():
        found.extend((log_cells[0][i][:, None] + log_cells[1][j])[hit])
    return min(float(np.logaddexp.reduce(found)), 0.0)


def _land_in_gap(
    case: Case, t: int, model: Any, gaps: Gaps, edges: Array
) -> dict[tuple[int, int], BoolArray]:
    """Per mode, by its place on both axes, the cells (cells, cells) whose middle, or a neighbour's,
    the model's step from t to 0 sends into a gap."""
    middle, found = 0.5 * (edges[:-1] + edges[1:]), {}
    offset = np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1).reshape(-1, 2)
    alpha_t, noise_std = case.schedule.alpha[t], np.sqrt(case.schedule.noise_var[t])
    for i, j in itertools.product(*(range(len(line)) for line in gaps.values)):
        y = offset + np.array([gaps.values[0][i], gaps.values[1][j]])
        x_0 = y - (noise_std / alpha_t) * model.eps(alpha_t * y, t)
        found[i, j] = dilated(gaps.hold(x_0).reshape(len(middle), len(middle)))
    return found


def dilated(hit: BoolArray) -> BoolArray:
    """Cells that hit or have a neighbour that does, the diagonal ones included."""
    wide = np.pad(hit, 1)
    rows = wide[:-2] | wide[1:-1] | wide[2:]
    return np.asarray(rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:])


# -- showing -------------------------------------------------------------------------------------

COLUMNS = (
    *("chain, model", "paths", "L", "K", "mean cost", "P(C > K)"),
    *("pathwise", "kl, mean cost", "pathwise, 95 %", "stopped kl, 95 %"),
    *("measured", "at most, 95 %"),
)


def table(caption: str, runs: Sequence[Insured]) -> Table:
    """What every run is guaranteed and what is measured."""
    return Table(caption, COLUMNS, [_table_row(run) for run in runs])


def _table_row(found: Insured, miss: float = 0.05) -> tuple[str | float, ...]:
    """What is guaranteed and what is measured."""
    return (
        *(found.name, len(found.cost), -found.log_p, found.budget),
        *(float(found.cost.mean()), found.exceeded.rate),
        *(found.pathwise_estimate(), found.divergence_estimate()),
        *(found.pathwise(miss), found.stopped(miss)),
        *(found.rate.rate, found.rate.interval(miss)[1]),
    )


def gap_costs(runs: Sequence[Insured]) -> dict[str, float | None]:
    """Least and median cost of the paths that are in a gap at the last noisy time."""
    costs = np.concatenate([run.cost[run.gap] for run in runs])
    found = (float(costs.min()), float(np.median(costs))) if costs.size else (None, None)
    return dict(zip(("least cost of a path in a gap", "median cost"), found, strict=True))
