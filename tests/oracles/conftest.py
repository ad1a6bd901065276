"""The standard problem, for the tests of the closed forms."""

from dataclasses import dataclass

import numpy as np
import pytest

from mixdyn import GaussianMixture, NoiseSchedule, presets


@dataclass(frozen=True)
class StandardProblem:
    """5x5 grid, linear schedule; a pair of adjacent modes at distance l, raw start time 22."""

    mixture: GaussianMixture
    schedule: NoiseSchedule
    v: np.ndarray
    pair: tuple[int, int]
    length: float
    midpoint: np.ndarray
    tau: int = 22


@pytest.fixture(scope="session")
def standard() -> StandardProblem:
    mixture, schedule = presets.grid(), NoiseSchedule.linear()
    i, j = 11, 6
    length = float(np.linalg.norm(mixture.means[i] - mixture.means[j]))
    return StandardProblem(
        mixture=mixture,
        schedule=schedule,
        v=schedule.effective_variance(mixture.sigma),
        pair=(i, j),
        length=length,
        midpoint=0.5 * (mixture.means[i] + mixture.means[j]),
    )
