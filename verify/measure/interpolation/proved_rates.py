"""Rates of the shipped networks of lines with DDIM-50: proved, bisected in doubles and sampled in
single precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.support.checks import Array

from ...ledger.case import Case
from ..measurement import Measurement
from ..networks.models import TrainedModel
from ..networks.proved import (
    ProvedStarts,
    ddim_steps,
    ended_in_gaps,
    proved_starts,
    rounding_of,
)
from .networks import networks
from .problems import HALLUCINATION, LINES, SIGMA, modes_at, schedule

MARGIN = HALLUCINATION * SIGMA
_FOLLOWED = 500  # starts along which single precision is compared


@dataclass(frozen=True, eq=False)
class Line:
    """One network: its modes, and what is proved of its starts."""

    model: TrainedModel
    places: tuple[float, ...]
    starts: ProvedStarts

    @property
    def name(self) -> str:
        """The checkpoint's."""
        return self.model.name


def proved_lines(case: Case) -> list[Line]:
    """Every shipped network of a line."""
    return [
        Line(network.model, places, proved_starts(case, places, MARGIN, network.model))
        for places in LINES
        for network in networks(case, modes_at(places))
    ]


@dataclass(frozen=True)
class Samples:
    """Of L networks: counts (L,) that end in a gap among n starts each; rounding (L,): see
    `rounding_of`."""

    counts: Array
    n: int
    rounding: Array


def samples_of(case: Case, lines: Sequence[Line]) -> Samples:
    """Every network with starts of its own, in its own precision."""
    steps, rng = ddim_steps(schedule()), np.random.default_rng(case.stream("X22"))
    starts = rng.standard_normal((len(lines), case.pick(10_000, 1_000_000)))

    def build() -> Samples:
        each = list(zip(lines, starts, strict=True))
        counts = [ended_in_gaps(steps, x.model.score, x.places, MARGIN, z) for x, z in each]
        off = [rounding_of(steps, x.model.score, z[:_FOLLOWED]) for x, z in each]
        return Samples(np.array(counts), starts.shape[1], np.array(off))

    return case.memo(f"proved rates, samples of {len(lines)} networks", build)


@Measurement
def proved_rates(case: Case) -> dict[str, Any]:
    """names (L,); proved, found (L,): masses of starts that end in a gap, proved and bisected in
    doubles; counts (L,) of n samples."""
    lines = proved_lines(case)
    samples = samples_of(case, lines)
    return {
        "n": samples.n,
        "names": [x.name for x in lines],
        "proved": [x.starts.proved(MARGIN).sum() for x in lines],
        "found": [x.starts.found.sum() for x in lines],
        "counts": samples.counts,
    }
