"""AnalyticNoise: every step injects the variance of the true reverse kernel.

Of all Gaussian kernels from x_t to x_s the one nearest to the true reverse kernel, in the
Kullback-Leibler divergence of the true one from it, has its mean, the bridge's, and its covariance:
in y = x/alpha, with q = rho_s/rho_t,

    rho_s (1 - q) I + (1 - q)^2 Cov(x_0 | x_t),

or where the kernel's covariance must be diagonal, or isotropic, the diagonal of that, or its mean.
What is not known about x_0 is read off the model, at every state (`posterior`), or once for all
states of a time, as Analytic-DPM (arXiv 2201.06503) does. On one Gaussian mode the samples have its
variance on every grid. Between modes the true kernel is no Gaussian: the nearest one still ends
there, on the way, as long as steps are large.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal, get_args

import numpy as np

from ..problem.noise import Stream, standard_normals
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.protocol import ScoreModel, checked_eps, unseen_cost, unseen_x0
from ..support.checks import Array, check_integer, describe
from ..support.errors import InputError
from .checked import CheckedNoise
from .options import Options, offer
from .plan import Spacing, StepPlan, bridge_plan, stepped_grid
from .posterior import denoiser_slopes
from .step import Rows, Stepper, walk

Kernel = Literal["average", "isotropic", "diagonal", "full"]
# Of the samples over which "average" takes its mean, and the steps that make them.
_PILOT, _PILOT_STEPS = 256, 15


@dataclasses.dataclass(frozen=True)
class AnalyticNoise(Options):
    """Ancestral sampling on any grid with the nearest Gaussian kernel's covariance.

    Parameters
    ----------
    steps, spacing : of the grid, as of DDIM.
    covariance : "full", "diagonal" and "isotropic" are read off each state, by d evaluations' worth
        of derivatives a step (2 d differences of a model that has none); "average" is isotropic and
        one number a time, the mean error of x0_hat about a few samples of the model itself.
    last_noise : whether the last step, to the data, injects it too; without it x0_hat is returned.
    """

    name: ClassVar[str] = "analytic"

    steps: int = dataclasses.field(default=50, metadata=offer(int, "Number of steps."))
    spacing: Spacing | TimeGrid = dataclasses.field(
        default="quadratic", metadata=offer(Spacing, "Spacing of the steps.")
    )
    covariance: Kernel = dataclasses.field(
        default="full", metadata=offer(Kernel, "Covariance of a step's kernel.")
    )
    last_noise: bool = True

    def __post_init__(self) -> None:
        check_integer(self.steps, "the number of steps", 1)
        if self.covariance not in get_args(Kernel):
            raise InputError(
                f"covariance must be {', '.join(get_args(Kernel))}",
                describe(self.covariance),
                "Choose one.",
            )

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The named grid, cut at `start`."""
        return stepped_grid(schedule, self.spacing, self.steps, start)

    def stepper(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> Stepper:
        """The kernels of this model."""
        return AnalyticStepper(model, bridge_plan(schedule, grid, 1.0), self)


class AnalyticStepper:
    """AnalyticNoise on a model. `extra` counts derivatives and the samples of "average"."""

    needs_eps = True
    resumable = True

    def __init__(self, model: ScoreModel, plan: StepPlan, how: AnalyticNoise) -> None:
        self.model, self.plan, self.how = model, plan, how
        self.grid, self.extra = plan.grid, 0
        self._keep, self._denoise = plan.keep, plan.denoise
        self._means: dict[int, float] = {}
        self._pilot: Array | None = None

    def eps(self, x: Array, t: int) -> Array:
        """The model's prediction, which must be finite and shaped like x."""
        return checked_eps(self.model, x, t)

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Step k in place."""
        if eps is None:
            raise TypeError("a step needs the prediction")
        (t, s), schedule = self.grid.pairs[k], self.plan.schedule
        blind = schedule.alpha[t] == 0.0
        if blind:  # nothing is known of x_0, and no slope says how little
            self.extra += unseen_cost(self.model, len(x))
            x0_hat = unseen_x0(self.model, x, t)
        else:
            x0_hat = (x - np.sqrt(schedule.noise_var[t]) * eps) / schedule.alpha[t]
        bridge = float(self.plan.noise_std[k]) ** 2
        wanted = not blind and (s > 0 or self.how.last_noise)
        noise: Array | float = 0.0
        if wanted or bridge > 0.0:
            xi = rows.of_step(schedule, (t, s), x.shape)
            unknown = float(self._denoise[k]) ** 2 * float(schedule.rho[t]) if wanted else 0.0
            noise = self._noise(x, t, bridge, unknown, xi)
        x[...] = self._keep[k] * x + self._denoise[k] * x0_hat + noise

    def _noise(self, x: Array, t: int, bridge: float, unknown: float, xi: Array) -> Array:
        """xi with the covariance bridge I + unknown D at the states x."""
        if unknown == 0.0:
            return np.sqrt(bridge) * xi
        if self.how.covariance == "average":
            return np.sqrt(bridge + unknown * self._mean_slope(t, x.shape[1])) * xi
        slopes, cost = denoiser_slopes(self.model, self.plan.schedule, x, t)
        self.extra += cost * len(x)
        if self.how.covariance == "full":
            values, vectors = np.linalg.eigh(slopes)
            std = np.sqrt(bridge + unknown * np.maximum(values, 0.0))
            along = std * np.einsum("nij,ni->nj", vectors, xi)
            return np.asarray(np.einsum("nij,nj->ni", vectors, along))
        own = np.einsum("nii->ni", slopes)
        if self.how.covariance == "isotropic":
            own = own.mean(axis=1, keepdims=True)
        return np.sqrt(bridge + unknown * np.maximum(own, 0.0)) * xi

    def _mean_slope(self, t: int, d: int) -> float:
        """The mean of tr D/d over p_t, in [0, 1], over samples of the model: of |xi - eps|^2/d, the
        loss of training, which the published 1 - |eps|^2/d equals in the mean, with a variance that
        is not small against it."""
        if t not in self._means:
            schedule = self.plan.schedule
            if self._pilot is None:
                self._pilot = self._samples(d)
            xi = standard_normals(0, _PILOT, d, t, stream=Stream.EXTRA)
            x = schedule.alpha[t] * self._pilot + np.sqrt(schedule.noise_var[t]) * xi
            self.extra += _PILOT
            self._means[t] = min(float(np.square(xi - checked_eps(self.model, x, t)).mean()), 1.0)
        return self._means[t]

    def _samples(self, d: int) -> Array:
        """Some of the model's samples, by few steps."""
        schedule = self.plan.schedule
        how = CheckedNoise(min(_PILOT_STEPS, schedule.T), rounds=0)
        grid = how.grid(schedule)
        first = int(grid.times[0])
        x = standard_normals(0, _PILOT, d, first, stream=Stream.START)
        stepper = how.alone(self.model, schedule, grid)
        stepper.begin(x, Rows(0, 0))
        walk(stepper, x, Rows(0, 0))
        self.extra += _PILOT * grid.steps + stepper.extra
        return x
