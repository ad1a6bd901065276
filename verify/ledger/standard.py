"""The ledger's standard problem, and rows that are shown on it alone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mixdyn.problem import presets
from mixdyn.problem.schedule import NoiseSchedule

from .case import Case, Profile
from .sides import NotApplicable


def standard(seed: int = 0, profile: Profile = Profile.QUICK) -> Case:
    """The 5 x 5 grid under the linear schedule: the standard problem of arXiv 2605.06831 v1."""
    origin = "5 x 5 grid, spacing 2 and sigma 0.02 before normalisation (arXiv 2605.06831 v1)"
    return Case("standard", presets.grid(), NoiseSchedule.linear(), seed, profile, origin)


@functools.cache
def _digest() -> str:
    return standard().digest


def is_standard(case: Case) -> bool:
    """Whether a case is the ledger's standard one under the shipped networks."""
    return case.digest == _digest() and not case.random


def on_standard(measured: Callable[[Case], Any], why: str) -> Callable[[Case], Any]:
    """What a row of a claim that brings its own problems rests on, as a claim's `of`: what
    `measured` gives, on the standard case alone; elsewhere `why` not, on drawn ones no row."""

    def source(case: Case) -> Any:
        if case.random:
            return None
        return measured(case) if is_standard(case) else NotApplicable(why)

    return source
