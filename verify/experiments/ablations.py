"""Interpolation rates under other schedules, widths of the modes and distances between them.

arXiv 2605.06831 v1, figure E.16: T = 500..3000, raw sigma 0.01..0.1 and raw spacing 1..3 of the
5 x 5 grid, one at a time. With the exact score, and with one blurred by a width that is fixed in
raw units: a model of given resolution.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mixdyn.geometry import pairwise_distances
from mixdyn.samplers import DDPM
from mixdyn.support.checks import IntArray
from verify.ledger.claim import Case
from verify.measure.networks.ablated import AXES, BASE, SAMPLERS, Setting, settings_along
from verify.measure.networks.rates import Draws
from verify.measure.score_errors.blurred import BLUR, BlurredScore

from .common import ddim

OWN_MIXTURE = True


def _counts(setting: Setting, draws: Draws) -> IntArray:
    """(2 scores, 2 samplers, 3) class counts."""
    mixture, schedule = setting.mixture, setting.schedule
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
        data[name] = np.array(values)
        data[f"{name}_counts"] = np.array([_counts(s, draws) for s in settings_along(name)])
    return data
