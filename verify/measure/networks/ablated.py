"""The standard problem with one thing changed, and the shipped networks trained on each.

arXiv 2605.06831 v1, figure E.16: T = 500..3000, raw sigma 0.01..0.1 and raw spacing 1..3 of the
5 x 5 grid, one at a time.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.presets import grid
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.samplers import DDPM

from ...ledger.claim import Case
from .models import TrainedModel, trained_models
from .rates import Rates, Run, count_models, ddim

# Samples of each network under DDIM and DDPM in the quick profile; DDPM's steps are limited too.
_DDIM_SAMPLES, _DDPM_SAMPLES, _DDPM_STEPS = 10_000, 2_500, 4_000_000
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


def _case_of(case: Case, setting: Setting) -> Case:
    """The setting as a case that shares the workspace, so that models are loaded once."""
    return dataclasses.replace(case, mixture=setting.mixture, schedule=setting.schedule)


def ablated_models(case: Case) -> dict[Setting, TrainedModel]:
    """One network per setting that has one: all of the recipe that covers most settings, the first
    training seed each. Settings without such a network are absent.

    Raises MissingExtraError without torch.
    """
    shipped = dataclasses.replace(case, model=None)
    found = {s: trained_models(_case_of(shipped, s)) for s in every_setting()}
    covered = Counter(r for models in found.values() for r in {m.recipe for m in models})
    if not covered:
        return {}
    recipe = max(sorted(map(str, covered)), key=covered.__getitem__)
    own = {s: [m for m in models if m.recipe == recipe] for s, models in found.items()}
    return {s: models[0] for s, models in own.items() if models}


def ablated_rates(case: Case) -> Mapping[Setting, Rates]:
    """DDIM with 50 steps and DDPM with all, per setting with a network; counted once per case.

    Empty where no changed setting has a network: the standard problem alone is no ablation.
    """

    def measure() -> dict[Setting, Rates]:
        models = ablated_models(case)
        if not models.keys() - {BASE}:
            return {}
        return {s: _count(case, s, [model]) for s, model in models.items()}

    return case.memo("learned rates over ablations", measure)


def _count(case: Case, setting: Setting, models: Sequence[TrainedModel]) -> Rates:
    schedule = setting.schedule
    most = min(_DDPM_SAMPLES, _DDPM_STEPS // setting.T)
    few, every = (case.pick(n, _FULL * n) for n in (_DDIM_SAMPLES, most))
    runs = [Run(SAMPLERS[0], ddim(schedule), few), Run(SAMPLERS[1], DDPM(), every)]
    return count_models(_case_of(case, setting), models, runs)
