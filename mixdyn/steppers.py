"""What carries a block of samples along a grid: a step plan on a model, or exact reverse draws."""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Any, Literal, Protocol

import numpy as np

from . import kernels
from .plans import StepPlan, check_reach
from .problem.mixture import GaussianMixture
from .problem.noise import Stream, path_normals, standard_normals
from .problem.schedule import NoiseSchedule, TimeGrid
from .score import LARGEST_SINGLE, ExactScore, ScoreModel, checked_eps, is_exact
from .support.checks import Array, IntArray
from .support.errors import InputError

_TABLE_BYTES = 2e9
NoiseKind = Literal["step", "path"]


class Use(enum.IntEnum):
    """What an extra normal is for; with time and attempt it makes the counter's time word."""

    CHECK = 0
    KICK = 1
    STEP = 2


MAX_ATTEMPTS = 31  # five bits of the counter's time word


@dataclasses.dataclass(frozen=True)
class Rows:
    """Which samples a block holds and where their noise comes from.

    attempt : 0 on the first way down; a path that is tried again meets other noise each time.
    chosen : (m,) places in the block of the states at hand; None for all of them.
    """

    first: int
    seed: int
    noise: NoiseKind = "step"
    attempt: int = 0
    chosen: IntArray | None = None

    def choose(self, chosen: IntArray, attempt: int) -> Rows:
        """The same block's samples at these places, on another attempt."""
        return dataclasses.replace(self, chosen=chosen, attempt=attempt)

    def normals(self, use: Use, t: int, shape: tuple[int, ...]) -> Array:
        """Normals of this shape (m, d) beside those of the steps: a function of sample, use, time
        (below 2^24, see MAX_T) and attempt alone."""
        m, d = shape
        n = m if self.chosen is None else int(self.chosen.max(initial=0)) + 1
        word = t | (int(use) << 24) | (self.attempt << 27)
        drawn = standard_normals(self.seed, n, d, word, stream=Stream.EXTRA, first=self.first)
        return drawn if self.chosen is None else drawn[self.chosen]


class Stepper(Protocol):
    """Carries blocks of samples along a grid. `needs_eps`: whether a step uses the prediction.
    `extra`: evaluations so far beyond one a sample and step. `resumable`, where it has it: whether
    some of a block's paths may go on from any node with fresh noise."""

    grid: TimeGrid
    fused: bool
    needs_eps: bool

    @property
    def extra(self) -> int:
        """See above."""
        ...

    def eps(self, x: Array, t: int) -> Array | None:
        """Noise prediction at a node, for the step and for observers."""
        ...

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Step k in place."""
        ...

    def run(self, x: Array, rows: Rows) -> None:
        """All steps in place (only where `fused`)."""
        ...


class PlanStepper:
    """The step family on any model; one fused kernel where the score is exact.

    Steps in the precision of an exact score: states are then float32 numbers held in doubles.
    """

    needs_eps = True
    resumable = True
    extra = 0

    def __init__(self, model: ScoreModel, plan: StepPlan) -> None:
        self.model = model
        self.plan = plan
        self.grid = plan.grid
        self._coefficients = np.column_stack(plan.eps_form())
        self._dtype = model.dtype if is_exact(model) else np.float64
        self._check_range()
        # A mixture of very many modes takes its tables time by time, in the generic loop.
        fits = is_exact(model) and 24.0 * len(plan.t) * model.mixture.N <= _TABLE_BYTES
        # Along a hull the noise is the projection of d normals: no fewer than the generic loop's.
        self.fused = (
            is_exact(model)
            and fits
            and model.schedule == plan.schedule
            and (model.hull is None or not plan.noise_std.any())
        )

    def _check_range(self) -> None:
        """Refuse steps whose factors would leave no digit of a float32."""
        largest = float(np.abs(self._coefficients).max())
        if self._dtype is np.float32 and largest > LARGEST_SINGLE:
            raise InputError(
                f"single precision needs steps with alpha_s/alpha_t up to {LARGEST_SINGLE:g}",
                f"{largest:.3g}",
                "Take finer steps, or use precision='double'.",
            )

    def eps(self, x: Array, t: int) -> Array:
        """The model's prediction, which must be finite and shaped like x."""
        return checked_eps(self.model, x, t)

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """x <- c_x x + c_eps eps + c_noise xi."""
        factors = self._coefficients[k].astype(self._dtype, copy=False)
        noisy = factors[2] != 0.0
        xi = step_noise(self.plan.schedule, self.grid, k, rows, x.shape) if noisy else x
        states, *rest = (np.asarray(part, self._dtype) for part in (x, eps, xi))
        kernels.step(states, *rest, *factors)
        if states is not x:
            x[...] = states

    def run(self, x: Array, rows: Rows) -> None:
        """One kernel call for the whole grid; with a hull on the projection alone."""
        if self._exact.hull is not None:
            self._run_along(x, rows)
            return
        first, seed = np.uint64(rows.first), np.uint64(rows.seed)
        states = self._exact.rounded(x)
        head = (states, first, seed, self._plan_table, self.plan.t.astype(np.uint64))
        alpha = self.plan.schedule.alpha[self.plan.t]
        if self._exact.axes is not None:
            axes, log_weights = self._exact.axes
            log_weights = log_weights.astype(self._dtype, copy=False)
            h = self._mode_tables[0][:, 0].copy()
            kernels.rollout_product(*head, axes, alpha, h, log_weights, self._lattice)
        else:
            kernels.rollout(*head, self._exact.mixture.means, alpha, *self._mode_tables)
        if states is not x:
            x[...] = states

    def _run_along(self, x: Array, rows: Rows) -> None:
        hull, alpha = self._exact.hull, self.plan.schedule.alpha[self.grid.times[[0, -1]]]
        if hull is None:
            raise TypeError("only a mixture with a hull has a projection")
        c_x, c_eps, _, eps_scale = self._double_table.T
        across = float(np.prod(c_x - c_eps * eps_scale))
        z = hull.project(x, alpha[0])
        begin = z.copy()
        PlanStepper(self._exact.along, self.plan).run(z, rows)
        x[...] = hull.lift(x, z - across * begin, across, (alpha[0], alpha[1]))

    @property
    def _exact(self) -> ExactScore:
        if not isinstance(self.model, ExactScore):
            raise TypeError("only an exact score has a fused rollout")
        return self.model

    @functools.cached_property
    def _mode_tables(self) -> tuple[Any, Any, Any]:
        exact = self._exact
        log_weights = np.log(exact.mixture.weights)
        rows = [
            kernels.mode_table(exact.mixture.means, exact.variances(t), log_weights)[1:]
            for t in self.plan.t
        ]
        h, lw, r = (np.array(part).astype(self._dtype) for part in zip(*rows, strict=True))
        return h, lw, r

    @functools.cached_property
    def _lattice(self) -> Any:
        return self._exact.lattice(self.plan.t)

    @functools.cached_property
    def _plan_table(self) -> Any:
        return self._double_table.astype(self._dtype)

    @functools.cached_property
    def _double_table(self) -> Array:
        var_ref = np.array([self._exact.variances(t).min() for t in self.plan.t])
        eps_scale = -np.sqrt(self.plan.schedule.noise_var[self.plan.t]) / var_ref
        return np.column_stack([self._coefficients, eps_scale])


class ReverseStepper:
    """Exact reverse draws of a mixture."""

    needs_eps = False
    extra = 0

    def __init__(self, mixture: GaussianMixture, schedule: NoiseSchedule, grid: TimeGrid) -> None:
        check_reach(grid, schedule)
        self.mixture = mixture
        self.schedule = schedule
        self.grid = grid
        self._model = ExactScore(mixture, schedule)
        self.fused = False

    def eps(self, x: Array, t: int) -> Array:
        """The exact noise prediction, for observers."""
        return self._model.eps(x, t)

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Draw x_s given x_t."""
        t, s = self.grid.pairs[k]
        if rows.noise != "step":
            raise InputError("ExactReverse has step noise only", rows.noise, "Use noise='step'.")
        sch, square = self.schedule, np.square(self.mixture.sigmas)
        alpha_s, var_s = sch.alpha[s], square + sch.rho[s]
        keep = var_s / (square + sch.rho[t])
        # 1 - keep as a ratio of noise variances: for small steps the difference cancels.
        spread = alpha_s * np.sqrt(var_s * ((sch.rho[t] - sch.rho[s]) / (square + sch.rho[t])))
        kernels.reverse_draw(
            x,
            np.uint64(rows.first),
            np.uint64(t),
            np.uint64(rows.seed),
            self.mixture.means,
            np.log(self.mixture.weights),
            sch.alpha_bar[t] * square + sch.noise_var[t],
            keep,
            spread,
            (sch.alpha[t], alpha_s),
        )

    def run(self, x: Array, rows: Rows) -> None:
        """Never called: not fused."""
        raise TypeError("ExactReverse has no fused rollout")


def step_noise(
    schedule: NoiseSchedule, grid: TimeGrid, k: int, rows: Rows, shape: tuple[int, ...]
) -> Array:
    """The normals of step k for a block of samples, or for those that are tried again."""
    t, s = grid.pairs[k]
    if rows.attempt > 0:
        return rows.normals(Use.STEP, t, shape)
    n, d = shape
    if rows.noise == "path":
        return path_normals(rows.seed, n, d, schedule, (t, s), first=rows.first)
    return standard_normals(rows.seed, n, d, t, first=rows.first)
