"""Visits to midpoints by trained models for every window and radius: claims I.1 and E.11."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ledger.case import Case
from ...ledger.relations import Comparison
from ..measurement import Measurement
from .models import TrainedModel, require_models
from .order import compare_independent, compare_order
from .paths import WINDOWS, ReverseRuns, by_sampler, reverse_runs
from .rates import Cell, over_seeds
from .visits import STEPS_LEFT, THETA, Decomposition, window_time

THETAS = (0.15, 0.2, 0.25, 0.35, 0.45)  # in lengths l
# Shares of a `Decomposition` by their names in tables.
SHARES = {
    "P(M)": "p_visit",
    "P(H|M)": "hit_given_visit",
    "P(H|not M)": "hit_given_none",
    "P(M|H)": "visit_given_hit",
    "P(H)": "p_hit",
}


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
        name: {
            choice: [decompose(r, choice, complement=complement) for r in group]
            for choice in choices()
        }
        for name, group in groups.items()
    }


def decompose(
    run: ReverseRuns, choice: Choice | None = None, *, complement: bool = False
) -> Decomposition:
    """Visits and interpolations of one sampler's runs with one score, by the paper's choice unless
    another is given."""
    by = choice or Choice()
    visited = run.visits.visited(WINDOWS.index(by.steps_left), by.theta)
    return Decomposition.of(visited ^ complement, run.interpolates)


def compare_visits(where: str, ddim: Decomposition, ddpm: Decomposition) -> Iterator[Comparison]:
    """A visit makes DDIM's interpolation likelier, and more so than DDPM's; nothing of what has no
    run to condition on."""
    if ddim.visit_given_hit is not None:
        name = f"P(M|H) of DDIM above P(M), {where}"
        yield compare_order(name, ddim.visit_given_hit, ddim.p_visit)
    if ddim.hit_given_visit is not None and ddpm.hit_given_visit is not None:
        name = f"P(H|M) of DDIM above DDPM's, {where}"
        yield compare_independent(name, ddim.hit_given_visit, ddpm.hit_given_visit)


def over_models(parts: Sequence[Decomposition], name: str) -> list[Cell]:
    """The mean of one of SHARES over models and Student's interval; blanks unless all have it."""
    shares = [getattr(part, SHARES[name]) for part in parts]
    if None in shares:
        return [None, None, None]
    rates = [share.rate for share in shares]
    return [float(np.mean(rates)), *(over_seeds(rates) or (None, None))]


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
