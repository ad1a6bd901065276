"""Interpolation rates under other schedules, widths of the modes and distances between them.

arXiv 2605.06831 v1, figure E.16: T = 500..3000, raw sigma 0.01..0.1 and raw spacing 1..3 of the
5 x 5 grid, one at a time. With the exact score, and with one blurred by a width that is fixed in
raw units: a model of given resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixdyn.geometry import pairwise_distances
from mixdyn.presets import grid
from mixdyn.samplers import DDPM
from mixdyn.schedule import NoiseSchedule
from mixdyn.validation import IntArray
from verify.claim import Case
from verify.rates import Draws

from .blurred import BLUR, BlurredScore
from .common import ddim

SAMPLERS = ("DDIM", "DDPM")


@dataclass(frozen=True)
class Setting:
    """One problem: a linear schedule of T steps, raw sigma and raw spacing of the grid."""

    T: int = 1000
    sigma: float = 0.02
    spacing: float = 2.0

    def with_value(self, name: str, value: float) -> Setting:
        """The same problem with one value changed."""
        return Setting(**{**vars(self), name: value})


AXES: dict[str, tuple[float, ...]] = {
    "T": (500, 1000, 2000, 3000),
    "sigma": (0.01, 0.02, 0.05, 0.1),
    "spacing": (1.0, 1.5, 2.0, 3.0),
}
BASE = Setting()


def _counts(setting: Setting, draws: Draws) -> IntArray:
    """(2 scores, 2 samplers, 3) class counts."""
    mixture = grid(spacing=setting.spacing, sigma=setting.sigma)
    schedule = NoiseSchedule.linear(setting.T)
    unit = float(pairwise_distances(mixture.means)[0, 1]) / setting.spacing
    models = (mixture, BlurredScore(mixture, schedule, BLUR * BASE.spacing * unit))
    here = replace(draws, schedule=schedule)
    samplers = (ddim(schedule), DDPM())
    return np.array([[here.count(model, mixture, s) for s in samplers] for model in models])


def run(case: Case) -> dict[str, Any]:
    """Per axis NAME: NAME (V,) values and NAME_counts (V, 2 scores, 2 samplers, 3) among n."""
    draws = Draws.of(case, 10_000, 100_000)
    data: dict[str, Any] = {"n": draws.n, "samplers": SAMPLERS, "width": BLUR * BASE.spacing}
    for name, values in AXES.items():
        settings = [BASE.with_value(name, value) for value in values]
        data[name] = np.array(values)
        data[f"{name}_counts"] = np.array([_counts(setting, draws) for setting in settings])
    return data
