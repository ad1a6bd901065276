"""Interpolation by cause: exact or learned score, DDIM or DDPM, from the same noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.geometry import mode_radius
from mixdyn.samplers import DDPM
from mixdyn.support.statistics import Proportion

from ...ledger.case import Case
from ...ledger.standard import is_standard
from ..insurance.chains import Chain, exact_laws
from ..measurement import Measurement
from ..networks.models import TrainedModel
from ..networks.pooled import Shares
from ..networks.rate_sweeps import common_rates, ddpm_name
from .networks import (
    KINDS,
    PlaneCounts,
    exact_gaps_of,
    exact_plane_log,
    gap_probabilities,
    law_on_line,
    networks,
    plane_counts,
)
from .problems import LINES, PLANES, line_name, modes_at

Cell = Proportion | float  # a count, or a probability that was computed
NAMES = ("exact, DDIM", "exact, DDPM", "learned, DDIM", "learned, DDPM")


@dataclass(frozen=True)
class Cells:
    """The four cells of one problem, by name, each a count or a computed probability."""

    problem: str
    model: str
    cells: Mapping[str, Cell]

    def rate(self, name: str) -> float:
        """The share or the probability in a cell."""
        cell = self.cells[name]
        return cell.rate if isinstance(cell, Proportion) else cell

    def shares(self) -> tuple[float, float]:
        """What the score adds to (exact, DDPM) and what the sampler does: the mean of each one's
        effect before and after the other's."""
        ed, ep, ld, lp = (self.rate(name) for name in NAMES)
        return 0.5 * ((ld - ed) + (lp - ep)), 0.5 * ((ld - lp) + (ed - ep))

    def interaction(self) -> float:
        """(learned, DDIM) less what each cause adds alone."""
        ed, ep, ld, lp = (self.rate(name) for name in NAMES)
        return ld - lp - ed + ep

    def together(self) -> float:
        """What both causes add to (exact, DDPM), over the sum of what each adds alone."""
        ed, ep, ld, lp = (self.rate(name) for name in NAMES)
        return (ld - ep) / max((lp - ep) + (ed - ep), 1e-300)

    def samples(self, name: str) -> int | None:
        """How many samples a cell counts, None where it was computed."""
        cell = self.cells[name]
        return cell.trials if isinstance(cell, Proportion) else None

    def interval(self, name: str) -> tuple[float | None, float | None]:
        """The 95 % interval of a count, nothing where the probability was computed."""
        cell = self.cells[name]
        return cell.interval() if isinstance(cell, Proportion) else (None, None)


def own_cells(case: Case) -> Cells:
    """The case's models, mean over them, from the counts that F1 and F3 rest on."""
    rates = common_rates(case)
    few, every = rates.samplers
    exact = rates.from_exact()
    computed = _exact_ddpm(case)
    of_ddpm: Cell = exact.mean(every) if computed is None else computed
    cells: tuple[Cell, ...]
    cells = (exact.mean(few), of_ddpm, rates.mean(few), rates.mean(every))
    names = ", ".join(rates.models)
    return Cells(f"case {case.name}", names, dict(zip(NAMES, cells, strict=True)))


def own_shares(case: Case) -> Shares:
    """The share of each of the case's models in the two learned cells, whose mean they show."""
    rates = common_rates(case)
    return dict(zip(NAMES[2:], map(rates.each, rates.samplers), strict=True))


def _exact_ddpm(case: Case) -> float | None:
    """At most the probability that DDPM with the exact score ends between modes, by the law of its
    chain; None where the mixture is no product."""
    mixture, clock = case.mixture, case.schedule
    if mixture.product_axes() is None or not mixture.has_common_sigma or clock.T < 3:
        return None
    laws = exact_laws(case, Chain.of(ddpm_name(clock), DDPM(), clock))
    return math.exp(oracles.log_gap_probability(laws, float(mode_radius(mixture)[0])))


def paper_cells(case: Case) -> list[Cells]:
    """The problems of arXiv 2406.09358: on lines by the law, in the plane by counts, exact DDPM by
    the law of its chain, which is the same on both.

    On the standard case alone; of each line the network with the most training points.
    """
    if not is_standard(case):
        return []
    exact_ddpm = 2.0 * math.exp(exact_plane_log(case))  # at most: in either coordinate
    return [*_lines(case), *_planes(plane_counts(case), exact_ddpm)]


def paper_problems(case: Case) -> int:
    """How many problems of that paper a case shows: four lines and two planes, or none."""
    return len(LINES) + len(PLANES) if is_standard(case) else 0


def _lines(case: Case) -> list[Cells]:
    found = []
    for places in LINES:
        for network in networks(case, modes_at(places))[-1:]:
            exact = _between(case, places, "DDIM"), np.exp(exact_gaps_of(case, places)).sum()
            learned = [
                _between(case, places, sampler, network.model) for sampler in ("DDIM", "DDPM")
            ]
            cells = dict(zip(NAMES, map(float, (*exact, *learned)), strict=True))
            found.append(Cells(f"modes at {line_name(places)}", network.model.name, cells))
    return found


def _line_cells(case: Case, places: tuple[float, ...], model: TrainedModel) -> list[float]:
    exact = _between(case, places, "DDIM"), float(np.exp(exact_gaps_of(case, places)).sum())
    return [*exact, *(_between(case, places, sampler, model) for sampler in ("DDIM", "DDPM"))]


def _between(
    case: Case, places: tuple[float, ...], sampler: str, model: TrainedModel | None = None
) -> float:
    return float(gap_probabilities(law_on_line(case, places, sampler, model), places).sum())


def _planes(counts: Sequence[PlaneCounts], exact_ddpm: float) -> list[Cells]:
    by_plane: dict[str, dict[str, PlaneCounts]] = {}
    for counted in counts:
        by_plane.setdefault(counted.plane, {})[counted.sampler] = counted
    return [
        Cells(plane, found["DDIM"].model, _plane_cells(found) | {NAMES[1]: exact_ddpm})
        for plane, found in by_plane.items()
    ]


def _plane_cells(found: Mapping[str, PlaneCounts]) -> dict[str, Cell]:
    """Counts: between modes is on a side or on a diagonal; what lies elsewhere is not."""
    cells: dict[str, Cell] = {}
    for name in NAMES:
        score, sampler = name.split(", ")
        counted = found[sampler]
        kinds = [counted.of(kind, exact=score == "exact").successes for kind in KINDS[:2]]
        cells[name] = Proportion(sum(kinds), counted.n)
    return cells


# -- for figures ---------------------------------------------------------------------------------


@Measurement
def causes(case: Case) -> dict[str, Any]:
    """n: the numbers of samples that occur; problems (P,); cells (4,) by name; rate, low, high (P,
    4): share and its 95 % interval, NaN where the law was computed; shares (P, 2) of score and
    sampler."""
    found = [own_cells(case), *paper_cells(case)]
    ends = np.array(
        [
            [[end if end is not None else np.nan for end in c.interval(n)] for n in NAMES]
            for c in found
        ]
    )
    counted = [c.samples(name) for c in found for name in NAMES]
    return {
        "n": np.unique([n for n in counted if n is not None]),
        "problems": [c.problem for c in found],
        "cells": NAMES,
        "rate": np.array([[c.rate(name) for name in NAMES] for c in found]),
        "low": ends[..., 0],
        "high": ends[..., 1],
        "shares": np.array([c.shares() for c in found]),
    }
