"""What several experiments measure: class counts of samplers, the stretch between two modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.errors import NotApplicableError
from mixdyn.mixture import GaussianMixture
from mixdyn.observers import ClassCounts
from mixdyn.samplers import DDIM, Sampler
from mixdyn.sampling import sample
from mixdyn.schedule import NoiseSchedule
from mixdyn.validation import IntArray
from verify.claim import Case
from verify.paths import DDIM_STEPS
from verify.window import Window, find_window

# Fractions of the distance l between two modes: how far from the midpoint counts as "ends there".
FRACTIONS = (0.15, 0.35, 0.45)


def ddim(schedule: NoiseSchedule, steps: int = DDIM_STEPS, eta: float = 0.0) -> DDIM:
    """DDIM on the quadratic grid, with fewer steps where the schedule has not that many."""
    return DDIM(min(steps, schedule.T), eta=eta)


def require_window(case: Case) -> Window:
    """The closest pair and the node from which on it is separated (kappa = 7).

    Raises NotApplicableError for one mode, a sigma per mode, or a pair that is never separated.
    """
    window = find_window(case)
    if window is None:
        raise NotApplicableError(
            "this experiment needs two modes of one sigma that the noise separates before the end",
            f"{case.mixture.N} modes with sigma from {case.mixture.sigmas.min():.4g} "
            f"to {case.mixture.sigmas.max():.4g}",
            "Use modes farther apart, or a schedule with finer last steps.",
        )
    return window


@dataclass(frozen=True)
class Draws:
    """How many samples a rate rests on, and the seed that they share with every other rate.

    Sample i starts from the same noise for every model and every sampler.
    """

    schedule: NoiseSchedule
    n: int
    seed: int

    @classmethod
    def of(cls, case: Case, quick: int, full: int) -> Draws:
        """The profile's number of samples under the case's schedule."""
        return cls(case.schedule, case.pick(quick, full), case.stream("rates"))

    def count(self, model: Any, mixture: GaussianMixture, sampler: Sampler) -> IntArray:
        """(3,) final states from noise: true modes, interpolations, invalid."""
        run = sample(
            model,
            self.schedule,
            sampler,
            n=self.n,
            rng=self.seed,
            observers=[ClassCounts(mixture)],
            keep="none",
        )
        counts: IntArray = np.asarray(run.observations[0])
        return counts
