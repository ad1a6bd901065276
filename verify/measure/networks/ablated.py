"""The standard problem with one thing changed, and how often scores of each miss the modes.

arXiv 2605.06831 v1, figure E.16: T = 500..3000, raw sigma 0.01..0.1 and raw spacing 1..3 of the
5 x 5 grid, one at a time.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.geometry import Region, pairwise_distances
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.presets import grid
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.samplers import DDPM
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.statistics import VERDICT_MISS, Proportion

from ...ledger.case import Case
from ...ledger.relations import Comparison
from ..measurement import Measurement
from ..score_errors.blurred import BLUR, BlurredScore
from .models import BLURRED, NETWORKS, TrainedModel, trained_models
from .order import Order, compare_independent, looks
from .rate_sweeps import common_rates
from .rates import Rates, Run, count_models, ddim

_SYNTHETIC = (10_000, 100_000)  # samples with the synthetic error: quick, full
# Samples of each network under DDIM in the quick profile, and at most under DDPM, which draws as
# many as show that none is fewer, and only if one is found as many as show that a share so many
# times smaller than the one counted under DDIM is below it.
_DDIM_SAMPLES, _DDPM_SAMPLES, _RATIO = 6_000, 2_500, 30.0
_FULL = 15  # the full profile draws so many times more
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

    @property
    def mixture(self) -> GaussianMixture:
        """Its grid, scaled to unit variance."""
        return grid(spacing=self.spacing, sigma=self.sigma)

    @property
    def schedule(self) -> NoiseSchedule:
        """Its schedule."""
        return NoiseSchedule.linear(self.T)

    @property
    def name(self) -> str:
        """What differs from the standard problem, in words."""
        changed = {k: v for k, v in vars(self).items() if v != vars(BASE)[k]}
        return ", ".join(f"{k} = {v:g}" for k, v in changed.items()) or "standard"


AXES: dict[str, tuple[float, ...]] = {
    "T": (500, 1000, 2000, 3000),
    "sigma": (0.01, 0.02, 0.05, 0.1),
    "spacing": (1.0, 1.5, 2.0, 3.0),
}
BASE = Setting()


def settings_along(axis: str) -> list[Setting]:
    """The settings of one axis, the standard problem among them."""
    return [BASE.with_value(axis, value) for value in AXES[axis]]


def every_setting() -> list[Setting]:
    """All settings, each once, axis by axis."""
    return list(dict.fromkeys(s for axis in AXES for s in settings_along(axis)))


def case_of(case: Case, setting: Setting) -> Case:
    """The setting as a case that shares the workspace, so that models are loaded once."""
    return dataclasses.replace(case, mixture=setting.mixture, schedule=setting.schedule)


def ablated_models(case: Case) -> dict[Setting, TrainedModel]:
    """One network per setting that has one: all of the recipe that covers most settings, the first
    training seed each. Settings without such a network are absent.

    Raises MissingExtraError without torch.
    """
    shipped = dataclasses.replace(case, model=None)
    found = {s: trained_models(case_of(shipped, s)) for s in every_setting()}
    covered = Counter(r for models in found.values() for r in {m.recipe for m in models})
    if not covered:
        return {}
    recipe = max(sorted(map(str, covered)), key=covered.__getitem__)
    own = {s: [m for m in models if m.recipe == recipe] for s, models in found.items()}
    return {s: models[0] for s, models in own.items() if models}


def ablated_rates(case: Case, scores: str = NETWORKS) -> Mapping[Setting, Rates]:
    """DDIM with 50 steps and DDPM with all, of NETWORKS per setting that has one, or of BLURRED: by
    the width that is a quarter of the standard problem's distance, a model of one resolution.

    Empty where no changed setting has a network: the standard problem alone is no ablation.
    """
    if scores == BLURRED:
        return {s: model_rates(case_of(case, s), _blurred(s)) for s in every_setting()}
    models, shipped = ablated_models(case), dataclasses.replace(case, model=None)
    if not models.keys() - {BASE}:
        return {}
    return {s: _of_setting(case_of(shipped, s), s, model) for s, model in models.items()}


def _of_setting(case: Case, setting: Setting, model: TrainedModel) -> Rates:
    """Of the standard problem's network what all claims about rates count."""
    if setting == BASE:
        return common_rates(case).of_model(model.name).reordered(SAMPLERS)
    return model_rates(case, model)


def _blurred(setting: Setting) -> TrainedModel:
    mixture, raw = setting.mixture, BLUR * BASE.spacing
    unit = float(pairwise_distances(mixture.means)[0, 1]) / setting.spacing
    return TrainedModel(BLURRED, BlurredScore(mixture, setting.schedule, raw * unit))


@Measurement
def model_rates(case: Case, model: TrainedModel) -> Rates:
    """Of one model on its own problem."""
    samplers = dict(zip(SAMPLERS, (ddim(case.schedule), DDPM()), strict=True))

    def count(first: int = 0, **sizes: int) -> Rates:
        runs = [Run(name, samplers[name], n) for name, n in sizes.items()]
        return count_models(case, [model], runs, first)

    if model.name == BLURRED:
        return count(**dict.fromkeys(SAMPLERS, case.pick(*_SYNTHETIC)))
    few = case.pick(_DDIM_SAMPLES, _FULL * _DDIM_SAMPLES)
    plain, noisy, drawn = count(DDIM=few), None, 0
    for size, miss in _looks(case, plain.of(0, "DDIM")):
        more = count(few + drawn, DDPM=size - drawn)  # on samples that share no noise with DDIM's
        noisy, drawn = more if noisy is None else noisy.joined(more), size
        if abs(Order(miss=miss).against(plain.of(0, "DDIM"), noisy.of(0, "DDPM"))) >= 1.0:
            break
    assert noisy is not None
    return plain.beside(noisy)


def _looks(case: Case, plain: Proportion) -> list[tuple[int, float]]:
    return looks(plain, _RATIO, case.pick(_DDPM_SAMPLES, _FULL * _DDPM_SAMPLES))


def compare(case: Case, name: str, larger: Proportion, smaller: Proportion) -> Comparison:
    """Whether one share is above another, at the error of the look at which the second count
    ended; whole for a count that was not looked at twice."""
    miss = dict(_looks(case, larger)).get(smaller.trials, VERDICT_MISS)
    return compare_independent(name, larger, smaller, miss)


@Measurement
def ablations(case: Case, scores: str = NETWORKS) -> dict[str, Any]:
    """The same as named arrays. n: the numbers of samples that occur; per axis NAME, for its values
    that were measured: NAME (V,), NAME_counts and NAME_exact (V, 2 samplers, 3); settings (S,) in
    words, their counts (S, 2, 3), and those missing; width of the blur in raw units."""
    rates = ablated_rates(case, scores)
    if not rates:
        raise NotApplicableError(
            "this measurement needs a network trained on a changed setting",
            "none among the shipped ones",
            "Train one with `mixdyn train` and put it beside them.",
        )
    missing = [s.name for s in every_setting() if s not in rates]
    counts = np.array([r.counts[0] for r in rates.values()])
    data: dict[str, Any] = {
        "n": np.unique(counts.sum(axis=2)),
        "samplers": SAMPLERS,
        "settings": [s.name for s in rates],
        "counts": counts,
        "missing": np.array(missing, dtype=str),
        "width": BLUR * BASE.spacing,
    }
    for axis in AXES:
        measured = [s for s in settings_along(axis) if s in rates]
        data[axis] = np.array([vars(s)[axis] for s in measured])
        shape = len(measured), len(SAMPLERS), len(Region)
        data[f"{axis}_counts"] = np.array([rates[s].counts for s in measured]).reshape(shape)
        data[f"{axis}_exact"] = np.array([rates[s].exact for s in measured]).reshape(shape)
    return data
