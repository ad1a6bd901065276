"""Visits to midpoints by trained models for every window and radius: claim and figure E.11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ledger.claim import Case
from ..measurement import Measurement
from .models import TrainedModel, require_models
from .paths import WINDOWS, ReverseRuns, by_sampler, reverse_runs
from .visits import STEPS_LEFT, THETA, Decomposition, window_time

THETAS = (0.15, 0.2, 0.25, 0.35, 0.45)  # in lengths l


@dataclass(frozen=True)
class Choice:
    """A window, in DDIM steps left, and a radius."""

    steps_left: int = STEPS_LEFT
    theta: float = THETA


def choices() -> list[Choice]:
    """Every window at the paper's radius, and every other radius at its window."""
    radii = [Choice(theta=theta) for theta in THETAS if theta != THETA]
    return [Choice(steps) for steps in WINDOWS] + radii


Visited = Mapping[str, Mapping[Choice, list[Decomposition]]]


def visits_by_choice(
    case: Case, models: Sequence[TrainedModel], *, complement: bool = False
) -> Visited:
    """Per sampler, DDIM first, and choice: the counts of every model.

    complement: runs without a visit count as visits and the others not, a negative control.
    """
    groups = by_sampler(reverse_runs(case, models))
    return {
        name: {choice: [_count(r, choice, complement) for r in group] for choice in choices()}
        for name, group in groups.items()
    }


def _count(run: ReverseRuns, choice: Choice, complement: bool) -> Decomposition:
    window = WINDOWS.index(choice.steps_left)
    visited = run.visits.visited(window, choice.theta)
    return Decomposition.of(visited ^ complement, run.interpolates)


# -- for figures ---------------------------------------------------------------------------------


def _counts(parts: list[Decomposition]) -> list[list[int]]:
    return [[part.n, part.visits, part.hits, part.both] for part in parts]


@Measurement
def visits_by_window(case: Case) -> dict[str, Any]:
    """models (M,); samplers (2,), DDIM first; windows (W,) in DDIM steps left, window_times (W,);
    theta (R,); counts of runs, visits, interpolations and both: by_window (2, W, M, 4) at
    theta_fixed, by_theta (2, R, M, 4) at tau_3_fixed."""
    models = require_models(case)
    visited = visits_by_choice(case, models)
    by_window = [[_counts(found[Choice(w)]) for w in WINDOWS] for found in visited.values()]
    by_theta = [[_counts(found[Choice(theta=r)]) for r in THETAS] for found in visited.values()]
    counts = np.array(by_window)
    return {
        "n": counts[:, 0, 0, 0],
        "models": [model.label for model in models],
        "samplers": list(visited),
        "windows": WINDOWS,
        "window_times": [window_time(case, steps) for steps in WINDOWS],
        "theta": THETAS,
        "theta_fixed": THETA,
        "tau_3_fixed": STEPS_LEFT,
        "by_window": counts,
        "by_theta": np.array(by_theta),
    }
