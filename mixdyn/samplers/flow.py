"""`ProbabilityFlow`: the deterministic sampler that needs the fewest evaluations.

The probability-flow ODE dy/du = m - y (docs/notation.md) is linear apart from m, which is constant
before the modes part and after one of them owns the point. So m is extrapolated through the last
nodes and the rest solved exactly (`multistep`), on times evenly spaced in log SNR, at one
evaluation a step.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.protocol import ScoreModel, checked_eps, is_exact, unseen_cost, unseen_x0
from ..solvers.multistep import Past, multistep
from ..support.checks import Array, check_integer, check_nonnegative
from .options import Options, offer
from .plan import Spacing, check_reach, stepped_grid
from .step import Rows, Stepper


@dataclasses.dataclass(frozen=True)
class ProbabilityFlow(Options):
    """The probability-flow ODE by an exponential multistep method.

    order (1..4): when omitted every step takes the highest, up to 4, that its length and the
    unevenness of the last ones in log SNR allow (`multistep.chosen_weights`). data_std (>= 0) is
    the sigma of the clock v = sigma^2 + rho: when omitted the smallest sigma of an exact score,
    else 0, where the method extrapolates the model's x0_hat as arXiv 2211.01095 does. `spacing` as
    in `DDIM`.
    """

    name: ClassVar[str] = "ode"

    steps: int = dataclasses.field(default=50, metadata=offer(int, "Number of steps."))
    order: int | None = None
    spacing: Spacing | TimeGrid = dataclasses.field(
        default="log_snr", metadata=offer(Spacing, "Spacing of the steps.")
    )
    data_std: float | None = None

    def __post_init__(self) -> None:
        check_integer(self.steps, "the number of steps", 1)
        if self.order is not None:
            check_integer(self.order, "order", 1, 4)
        if self.data_std is not None:
            check_nonnegative(self.data_std, "data_std")

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The named grid, cut at `start`."""
        return stepped_grid(schedule, self.spacing, self.steps, start)

    def stepper(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> Stepper:
        """The multistep method on this model."""
        sigma = self.data_std
        if sigma is None:
            sigma = math.sqrt(model.mixture.smallest_var) if is_exact(model) else 0.0
        return FlowStepper(model, schedule, grid, self.order, sigma**2)


class FlowStepper:
    """Carries blocks of samples along the ODE; remembers the nodes behind the present block."""

    step_noise_only = "ProbabilityFlow draws no noise"
    needs_eps = True
    extra = 0

    def __init__(
        self,
        model: ScoreModel,
        schedule: NoiseSchedule,
        grid: TimeGrid,
        order: int | None,
        data_var: float,
    ) -> None:
        check_reach(grid, schedule)
        self.model = model
        self.schedule = schedule
        self.grid = grid
        self.order = order
        self._v = data_var + schedule.rho
        self._past: Past = []

    def eps(self, x: Array, t: int) -> Array:
        """The model's prediction, which must be finite and shaped like x."""
        return checked_eps(self.model, x, t)

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Step k in place; a block begins with k = 0."""
        if eps is None:
            raise TypeError("a step of the flow needs the prediction")
        if k == 0:
            self._past = []
        t, s = self.grid.pairs[k]
        alpha, v = self.schedule.alpha, self._v
        if alpha[t] == 0.0:
            self.extra += unseen_cost(self.model, len(x))
            # The limit of the first-order step: y keeps sqrt(v_s/v_t) of its way, x/noise_std.
            x[...] = alpha[s] * (unseen_x0(self.model, x, t) + math.sqrt(v[s]) * eps)
            return
        # v times the score of y: grad_y log p = alpha score = -alpha eps/noise_std.
        pull = (-v[t] * alpha[t] / math.sqrt(self.schedule.noise_var[t])) * eps
        step = float(v[t]), float(v[s])
        x[...] = alpha[s] * multistep(x / alpha[t], pull, step, self._past, self.order)
