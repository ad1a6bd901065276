"""DDIM's rate between modes beside DDPM's guarantee, network by network: X21's learned links."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.support.numbers import Log10
from mixdyn.support.statistics import DISPLAY_MISS, VERDICT_MISS, Proportion

from ...ledger.case import Case
from ...ledger.verdict import Table
from ..measurement import Measurement
from ..midpoint.difference import links
from ..networks.models import TrainedModel, require_models
from ..networks.paths import ReverseRuns, by_sampler, reverse_runs
from . import models as trained
from .chains import find_chains, find_gaps
from .terms import Insured


@dataclass(frozen=True)
class Title:
    """Of each network: counts (M,) of outputs in a gap under DDIM and DDPM, and the insured paths
    of DDPM, asked about gaps of the output."""

    models: tuple[str, ...]
    ddim_counts: tuple[Proportion, ...]
    ddpm_counts: tuple[Proportion, ...]
    insured: tuple[Insured, ...]

    @property
    def ddim(self) -> Proportion:
        """Mean over networks: each drew as many samples."""
        return Proportion.pooled(self.ddim_counts)

    @property
    def ddpm(self) -> Proportion:
        """The same of DDPM."""
        return Proportion.pooled(self.ddpm_counts)

    @property
    def rest(self) -> float:
        """What the guarantee adds to P(C > K), mean over networks."""
        return float(np.mean([_rest(run) for run in self.insured]))

    @property
    def exceeded(self) -> Proportion:
        """How many of DDPM's paths cost more than K, mean over networks."""
        return Proportion.pooled([run.exceeded for run in self.insured])

    def guarantee(self, miss: float) -> float:
        """At most DDPM's rate, mean over networks, with `miss` the chance that it is not."""
        return min(1.0, self.exceeded.interval(miss)[1] + self.rest)

    def swapped(self) -> Title:
        """With DDPM's counts in place of DDIM's."""
        return replace(self, ddim_counts=self.ddpm_counts, ddpm_counts=self.ddim_counts)

    def apart(self) -> list[Title]:
        """One of each network."""
        parts = zip(self.models, self.ddim_counts, self.ddpm_counts, self.insured, strict=True)
        return [Title((name,), (a,), (b,), (run,)) for name, a, b, run in parts]

    def steps(self, miss: float) -> list[tuple[str, float]]:
        """From the measured difference to the proved one, what each link takes away."""
        low, high = self.ddim.interval(miss)[0], self.exceeded.interval(miss)[1]
        return [
            ("measured difference", self.ddim.rate - self.ddpm.rate),
            ("DDIM's lower limit", low - self.ddim.rate),
            ("P(C > K) in place of DDPM's rate", self.ddpm.rate - self.exceeded.rate),
            ("its upper limit", self.exceeded.rate - high),
            ("the second term of X11", -self.rest),
        ]

    def proved(self, miss: float) -> float:
        """The difference that is proved, from the two limits."""
        return self.ddim.interval(miss)[0] - self.guarantee(miss)

    def numbers(self) -> dict[str, float]:
        """Of the mean over networks."""
        return {
            "measured difference, mean over networks": self.ddim.rate - self.ddpm.rate,
            "proved difference, 1 - 1e-6 a limit": self.proved(VERDICT_MISS),
            "proved difference, 95 % a limit": self.proved(DISPLAY_MISS),
            "proved over measured, 95 %": self.proved(DISPLAY_MISS)
            / max(self.ddim.rate - self.ddpm.rate, 1e-300),
        }

    def tables(self) -> list[Table]:
        """By network, and by link."""
        rows: list[tuple[float | str | Log10 | None, ...]] = []
        for one in self.apart():
            (run,), ddim, ddpm = one.insured, one.ddim, one.ddpm
            cells: list[str | float] = [*one.models, ddim.trials, ddim.rate, ddpm.rate]
            cells += [ddim.rate - ddpm.rate, -run.log_p, run.budget]
            for miss in (DISPLAY_MISS, VERDICT_MISS):
                cells += [ddim.interval(miss)[0], one.guarantee(miss), one.proved(miss)]
            rows.append(tuple(cells))
        columns = (
            *("network", "samples of DDIM", "DDIM", "DDPM", "measured difference", "L", "K"),
            *("DDIM at least, 95 %", "DDPM at most, 95 %", "difference at least, 95 %"),
            *("DDIM at least, 1e-6", "DDPM at most, 1e-6", "difference at least, 1e-6"),
        )
        each = Table("Outputs in a gap between modes, by network", columns, rows)
        pooled: list[tuple[float | str | Log10 | None, ...]] = [
            (name, *(dict(self.steps(miss))[name] for miss in (DISPLAY_MISS, VERDICT_MISS)))
            for name, _ in self.steps(DISPLAY_MISS)
        ]
        total = ("proved difference", self.proved(DISPLAY_MISS), self.proved(VERDICT_MISS))
        links = Table(
            "What each link takes away, mean over networks",
            ("link", "limits of 95 %", "limits of 1 - 1e-6"),
            [*pooled, total],
        )
        return [each, links]


def _rest(run: Insured) -> float:
    return float(bounds.pathwise_probability(0.0, run.budget, run.log_p))


@Measurement
def title(case: Case) -> dict[str, Any]:
    """n: samples of DDIM of a network; links (L,) of the exact score, of, published, lower,
    log10_bound and log10_truth (L,); steps (S,) from the measured difference to the proved one with
    limits of 95 % and their value (S,); models (M,), their measured difference and the proved one
    with limits of 95 % (M,)."""
    found, trained_title = links(case), title_of(case, require_models(case))
    steps = trained_title.steps(DISPLAY_MISS)
    each = trained_title.apart()
    return {
        "n": np.unique([count.trials for count in trained_title.ddim_counts]),
        "links": [link.name for link in found],
        "of": [link.of for link in found],
        "published": np.array([link.published for link in found]),
        "lower": np.array([link.lower for link in found]),
        "log10_bound": np.array([link.log_bound for link in found]) / math.log(10.0),
        "log10_truth": np.array([link.log_truth for link in found]) / math.log(10.0),
        "steps": [name for name, _ in steps],
        "value": np.array([value for _, value in steps]),
        "proved_at_1e_6": np.array([trained_title.proved(VERDICT_MISS)]),
        "models": list(trained_title.models),
        "measured": np.array([one.ddim.rate - one.ddpm.rate for one in each]),
        "proved": np.array([one.proved(DISPLAY_MISS) for one in each]),
    }


def title_of(case: Case, models: Sequence[TrainedModel]) -> Title:
    """Counts of the runs that F1 rests on, and X11's paths of DDPM; no network runs anew where
    these are kept."""
    first = find_chains(case)[0]
    insured = {
        run.model: run
        for run in trained.after(case, models, trained.measured(case, models))
        if run.chain.name == first.name
    }
    gaps = find_gaps(case, first)
    by_ddim, by_ddpm = by_sampler(reverse_runs(case, models)).values()

    def counted(run: ReverseRuns) -> Proportion:
        hits = gaps.hold(run.visits.end)
        return Proportion(int(hits.sum()), len(hits))

    kept = [
        (a.model.name, counted(a), counted(b), insured[a.model.name])
        for a, b in zip(by_ddim, by_ddpm, strict=True)
        if a.model.name in insured and not math.isnan(insured[a.model.name].log_p)
    ]
    parts = list(zip(*kept, strict=True)) or [(), (), (), ()]
    return Title(*(tuple(part) for part in parts))
