"""Visits to midpoints by trained models for every window and radius: claim and figure E.11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...ledger.claim import Case
from .models import TrainedModel
from .paths import WINDOWS, ReverseRuns, by_sampler, reverse_runs
from .visits import STEPS_LEFT, THETA, Decomposition

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
