"""The DDIM family: DDIM, DDPM and their hybrids, samplers whose steps are a `StepPlan`."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.protocol import ScoreModel
from ..support.checks import check_integer, check_kind, check_nonnegative, describe
from ..support.errors import InputError
from .options import Options, offer
from .plan import Spacing, StepPlan, bridge_plan, stepped_grid
from .step import PlanStepper, Stepper


class _PlanSampler(Options, abc.ABC):
    """A sampler that is a StepPlan."""

    @abc.abstractmethod
    def plan(self, schedule: NoiseSchedule, grid: TimeGrid) -> StepPlan:
        """The coefficients on a grid."""

    def stepper(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> Stepper:
        """The plan on this model."""
        return PlanStepper(model, self.plan(schedule, grid))


@dataclasses.dataclass(frozen=True)
class DDIM(_PlanSampler):
    """DDIM (Song et al., arXiv 2010.02502) with noise factor eta >= 0 on the standard deviation.

    eta = 0 is deterministic, eta = 1 has the noise of the exact Gaussian bridge; beyond 1 it
    over-disperses, up to 1/sqrt(1 - rho_s/rho_t). `spacing` names a grid of `steps` steps ("full"
    takes every time and ignores `steps`; "price" is `best_grid` of the mixture whose score runs); a
    TimeGrid in its place is used as it is.
    """

    name: ClassVar[str] = "ddim"

    steps: int = dataclasses.field(default=50, metadata=offer(int, "Number of steps."))
    spacing: Spacing | TimeGrid = dataclasses.field(
        default="quadratic", metadata=offer(Spacing, "Spacing of the steps.")
    )
    eta: float = dataclasses.field(default=0.0, metadata=offer(float, "DDIM noise factor."))

    def __post_init__(self) -> None:
        check_integer(self.steps, "the number of steps", 1)
        check_nonnegative(self.eta, "eta")

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The named grid, cut at `start`."""
        return stepped_grid(schedule, self.spacing, self.steps, start)

    def plan(self, schedule: NoiseSchedule, grid: TimeGrid) -> StepPlan:
        """The bridge with this eta."""
        return bridge_plan(schedule, grid, self.eta)


@dataclasses.dataclass(frozen=True)
class DDPM(_PlanSampler):
    """Ancestral sampling (Ho et al., arXiv 2006.11239) over every time T, T - 1, ..., 0.

    variance = "posterior" injects the bridge variance (1 - abar_{t-1})/(1 - abar_t) beta_t, the
    same as DDIM(eta=1) on the full grid; "beta" injects beta_t with the same mean. On every path
    the first is noise_var_s (1 - rho_s/rho_t), the second what the reverse kernel of data N(0, I)
    has, (a_s^2 + b_s^2) beta_t with the beta of the variance-preserving path of the same rho.
    """

    name: ClassVar[str] = "ddpm"
    elsewhere: ClassVar[Mapping[str, str]] = {
        "steps": "It takes every time; on fewer steps DDPM is DDIM(steps=50, eta=1).",
        "spacing": "It takes every time; on another grid DDPM is DDIM(spacing=..., eta=1).",
        "eta": "It is DDIM(spacing='full', eta=1); take DDIM for another eta.",
    }

    variance: Literal["posterior", "beta"] = "posterior"

    def __post_init__(self) -> None:
        if self.variance not in ("posterior", "beta"):
            raise InputError(
                "variance must be 'posterior' or 'beta'", describe(self.variance), "Choose one."
            )

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """Every time from `start` (T when omitted) down to 0."""
        full = TimeGrid.full(schedule.T)
        return full if start is None else full.cut(start)

    def plan(self, schedule: NoiseSchedule, grid: TimeGrid) -> StepPlan:
        """The bridge with eta = 1, its noise replaced for variance = "beta"."""
        plan = bridge_plan(schedule, grid, 1.0)
        if self.variance == "posterior":
            return plan
        noise_std = np.where(plan.s > 0, np.sqrt(schedule.beta[plan.t]), 0.0)
        noise_std *= schedule.scale[plan.s]
        return dataclasses.replace(plan, noise_std=noise_std)


@dataclasses.dataclass(frozen=True)
class Hybrid(_PlanSampler):
    """z raw DDPM steps t -> t - 1 from the start, then `base` on its nodes below.

    Source: arXiv 2605.06831 v1, the radius experiment (figure 5).
    """

    name: ClassVar[str] = "hybrid"

    z: int = dataclasses.field(default=5, metadata=offer(int, "DDPM steps of a hybrid."))
    base: DDIM | DDPM = dataclasses.field(default_factory=DDIM)

    def __post_init__(self) -> None:
        check_integer(self.z, "z", 0)
        check_kind(self.base, DDIM | DDPM, "base", "Pass a DDIM or a DDPM.")

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """start, start - 1, ..., start - z, then the base's times below; `start` is any time in
        1..T (the base's first time when omitted). z up to T; all steps are raw where it reaches
        the start."""
        below = self.base.grid(schedule)
        first = int(below.times[0]) if start is None else start
        first = check_integer(first, "start", 1, schedule.T)
        check_integer(self.z, "z", 0, schedule.T)
        if self.z == 0:
            return below.cut(first)
        last = max(first - self.z, 0)
        raw = list(range(first, last - 1, -1))
        return TimeGrid(raw + [int(t) for t in below.times if t < last], schedule.T)

    def plan(self, schedule: NoiseSchedule, grid: TimeGrid) -> StepPlan:
        """DDPM's coefficients on the first z steps, the base's on the rest."""
        head = DDPM().plan(schedule, grid)
        if self.z >= grid.steps:
            return head
        tail = self.base.plan(schedule, grid.cut(int(grid.times[self.z])))
        share = np.concatenate([head.share[: self.z], tail.share])
        noise_std = np.concatenate([head.noise_std[: self.z], tail.noise_std])
        return StepPlan(grid, schedule, share, noise_std)
