"""`ExactReverse`: draws from the law of the reversed diffusion of a mixture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from ..problem.covariance import Covariance
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..score.protocol import ScoreModel, is_exact, model_for
from ..support.checks import Array, describe
from ..support.errors import InputError
from .ddim import DDIM
from .options import Offer, Options
from .plan import check_reach
from .step import Rows, Stepper, Use


@dataclasses.dataclass(frozen=True)
class ExactReverse(Options):
    """Draws from the exact law of x_s given x_t of the reversed diffusion: no discretisation error
    at any step size. It needs a GaussianMixture (or its ExactScore).

    By Bayes' rule the forward kernel reverses to a mixture: mode k has posterior weight
    gamma_k(x_t) and, in y = x/alpha with effective variance v_k and q_k = v_k(s)/v_k(t), mean
    mu_k + q_k (y_t - mu_k) and variance v_k(s)(1 - q_k); of covariances these in each of its
    eigenvectors.
    """

    name: ClassVar[str] = "exact"
    mixture_only: ClassVar[str] = "draws from the mixture's own reverse law"

    times: TimeGrid | tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.times is not None and not isinstance(self.times, TimeGrid):
            times = TimeGrid.from_times(self.times).times.tolist()
            object.__setattr__(self, "times", tuple(times))

    @classmethod
    def offers(cls) -> dict[str, Offer]:
        """The grids that DDIM offers; one step without."""
        return {name: offer for name, offer in DDIM.offers().items() if name != "eta"}

    @classmethod
    def chosen(cls, given: Mapping[str, Any], schedule: NoiseSchedule) -> Self:
        """On DDIM's grid with these options, where there are any."""
        return cls(DDIM.chosen(given, schedule).grid(schedule) if given else None)

    def grid(self, schedule: NoiseSchedule, start: int | None = None) -> TimeGrid:
        """The given times, or one step from T (or `start`) to 0."""
        if self.times is None:
            return TimeGrid([schedule.T if start is None else start, 0], schedule.T)
        grid = TimeGrid.from_times(self.times) if isinstance(self.times, tuple) else self.times
        return grid if start is None else grid.cut(start)

    def stepper(self, model: ScoreModel, schedule: NoiseSchedule, grid: TimeGrid) -> Stepper:
        """Exact draws, mode by posterior probability."""
        if not is_exact(model):
            raise InputError(
                "ExactReverse needs the mixture itself",
                describe(model),
                "Pass a GaussianMixture as the model, or use DDPM.",
            )
        if model.precision != "double":
            raise InputError(
                "ExactReverse draws in double precision",
                f"an ExactScore in {model.precision} precision",
                "Pass the mixture itself, or use DDPM.",
            )
        return ReverseStepper(model.mixture, schedule, grid)


class ReverseStepper:
    """Exact reverse draws of a mixture."""

    step_noise_only = "ExactReverse has step noise only"
    needs_eps = False
    extra = 0

    def __init__(self, mixture: GaussianMixture, schedule: NoiseSchedule, grid: TimeGrid) -> None:
        check_reach(grid, schedule)
        self.mixture = mixture
        self.schedule = schedule
        self.grid = grid
        self._model = model_for(mixture, schedule)

    def eps(self, x: Array, t: int) -> Array:
        """The exact noise prediction, for observers."""
        return self._model.eps(x, t)

    def advance(self, x: Array, eps: Array | None, k: int, rows: Rows) -> None:
        """Draw x_s given x_t."""
        from .. import kernels

        t, s = self.grid.pairs[k]
        if self.mixture.covariance is not None:
            self._advance_ellipsoids(self.mixture.covariance, x, (t, s), rows)
            return
        sch, square = self.schedule, np.square(self.mixture.sigmas)
        alpha_t, alpha_s, var_s = sch.alpha[t], sch.alpha[s], square + sch.rho[s]
        var_t = sch.alpha_bar[t] * square + sch.noise_var[t]
        keep = var_s / (square + sch.rho[t])
        if alpha_t > 0.0:
            # 1 - keep as a ratio of noise variances: for small steps the difference cancels.
            fresh = (sch.rho[t] - sch.rho[s]) / (square + sch.rho[t])
        else:  # the state says nothing: any signal in it drowns
            alpha_t, var_t, fresh = 1.0, np.full(self.mixture.N, 1e300), np.ones_like(square)
        noise_std = alpha_s * np.sqrt(var_s * fresh)
        kernels.reverse_draw(
            x,
            np.uint64(rows.first),
            np.uint64(t),
            np.uint64(rows.seed),
            self.mixture.means,
            np.log(self.mixture.weights),
            var_t,
            keep,
            noise_std,
            alpha_t,
            alpha_s,
        )

    def _advance_ellipsoids(
        self, covariance: Covariance, x: Array, step: tuple[int, int], rows: Rows
    ) -> None:
        from scipy.special import ndtr

        (t, s), sch = step, self.schedule
        levels = float(sch.alpha[t]), float(sch.alpha_bar[t]), float(sch.noise_var[t])
        gamma = self.mixture.at_level(*levels).responsibilities(x)
        xi = rows.of_step(sch, step, x.shape)
        u = ndtr(rows.normals(Use.KICK, t, (len(x), 1)))
        mode = np.minimum((np.cumsum(gamma, axis=1) < u).sum(axis=1), self.mixture.N - 1)
        rho_t, rho_s = float(sch.rho[t]), float(sch.rho[s])
        seen = rho_t < np.inf  # else nothing of x is kept
        keep = covariance.functions(lambda v: (v + rho_s) / (v + rho_t))
        noise_std = covariance.functions(
            lambda v: np.sqrt((v + rho_s) * ((rho_t - rho_s) / (v + rho_t) if seen else 1.0))
        )
        for k in np.unique(mode):
            mine, mean = mode == k, self.mixture.means[k]
            offset = x[mine] / sch.alpha[t] - mean if seen else np.zeros_like(x[mine])
            moved = mean + covariance.applied(k, offset, keep)
            x[mine] = sch.alpha[s] * (moved + covariance.applied(k, xi[mine], noise_std))
