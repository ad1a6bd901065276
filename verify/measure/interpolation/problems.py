"""The problems of arXiv 2406.09358: modes on a line, the square grid and its rotated diamond.

In one dimension the modes stand at the paper's places, sigma 0.05, without normalisation; both
plane mixtures are the standard 5 x 5 grid. All run under the paper's linear schedule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from mixdyn.problem import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule

SIGMA = 0.05
HALLUCINATION = 6.0  # a 1-D sample this many sigma from every mode is a hallucination
TRAINING_SIZES = (25_000, 50_000, 100_000, 500_000)
NEAR, FAR = (1.0, 2.0, 3.0), (1.0, 2.0, 4.0)  # the means between which the distance is varied
PAIR, QUARTET = (1.0, 2.0), (1.0, 2.0, 4.0, 5.0)
LINES = (NEAR, FAR, PAIR, QUARTET)


def schedule(T: int = 1000) -> NoiseSchedule:
    """Linear from 0.001 to 0.2."""
    return NoiseSchedule.linear(T, 0.001, 0.2)


def finer_schedule(factor: int) -> NoiseSchedule:
    """`factor` times as many steps of that much less noise each: the same end, about."""
    return NoiseSchedule.linear(1000 * factor, 0.001 / factor, 0.2 / factor)


def modes_at(places: tuple[float, ...]) -> GaussianMixture:
    """Equal one-dimensional modes at these places."""
    return GaussianMixture(np.array(places)[:, None], SIGMA)


def line_name(places: tuple[float, ...]) -> str:
    """What a line of modes is called, such as "1-2-4"."""
    return "-".join(f"{place:g}" for place in places)


def grid() -> GaussianMixture:
    """The 5 x 5 grid, edges along the axes."""
    return presets.grid()


def diamond() -> GaussianMixture:
    """The same grid, turned by 45 degrees."""
    return presets.grid(rotate=math.pi / 4)


PLANES: Mapping[str, GaussianMixture] = MappingProxyType({"grid": grid(), "diamond": diamond()})
