"""Step plans: a grid of steps on a schedule and the coefficients of each, as data.

Every sampler of the DDIM family advances x_t by x_s = keep x_t + denoise x0_hat + noise_std xi.
With nu = noise_var, 1 - abar where variance is preserved, DDIM(eta) (arXiv 2010.02502) takes
noise_std = eta sqrt(nu_s (1 - q)), q = rho_s/rho_t, keep = sqrt((nu_s - noise_std^2)/nu_t), denoise
= alpha_s - keep alpha_t: given x0 it is the Gaussian bridge between two times, for any eta and on
every path. In flow matching's t the step of eta = 0 is Euler's: x + (s - t)(eps - x0). DDPM (arXiv
2006.11239) is eta = 1 on the full grid. The last step goes to time 0 and returns x0_hat without
noise.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import numpy as np

from ..problem.checks import check_schedule
from ..problem.schedule import NoiseSchedule, TimeGrid
from ..support.checks import Array, IntArray, describe
from ..support.errors import InputError

Spacing = Literal[
    "full", "uniform", "trailing", "linspace", "leading", "quadratic", "log_snr", "price"
]


def spaced_grid(schedule: NoiseSchedule, spacing: Spacing, steps: int) -> TimeGrid:
    """The named grid of `steps` steps on a schedule."""
    T = check_schedule(schedule).T
    if spacing == "log_snr":
        return TimeGrid.log_snr(schedule, steps)
    if spacing == "price":
        raise InputError(
            "the grid of the least price is that of a mixture",
            "spacing 'price' where the mixture is not known",
            "Pass spacing=mixdyn.best_grid(mixture, schedule, steps).",
        )
    if spacing == "full":
        return TimeGrid.full(T)
    if spacing not in get_args(Spacing):
        raise InputError(
            f"spacing must be {', '.join(get_args(Spacing))}",
            describe(spacing),
            "Choose one, or pass an explicit TimeGrid.",
        )
    grid: TimeGrid = getattr(TimeGrid, spacing)(T, steps)
    return grid


def stepped_grid(
    schedule: NoiseSchedule, spacing: Spacing | TimeGrid, steps: int, start: int | None = None
) -> TimeGrid:
    """A given grid, or the named one of `steps` steps; cut at `start`."""
    full = spacing if isinstance(spacing, TimeGrid) else spaced_grid(schedule, spacing, steps)
    return full if start is None else full.cut(start)


def check_reach(grid: TimeGrid, schedule: NoiseSchedule) -> None:
    """Refuse a grid that starts beyond the schedule."""
    if grid.times[0] > schedule.T:
        raise InputError(
            f"the grid must lie within the schedule, T = {schedule.T}",
            f"time {grid.times[0]}",
            "Use a shorter grid or a longer schedule.",
        )


@dataclasses.dataclass(frozen=True, eq=False)
class StepPlan:
    """The steps of one sampler on one schedule, as data.

    share (S,) is the part of the noise variance at s that the step replaces, in [0, 1], and
    noise_std (S,) what it injects instead: share noise_var_s = noise_std^2 keeps every marginal of
    a Gaussian target. Checked on construction, with noise_std = 0 into time 0.
    """

    grid: TimeGrid
    schedule: NoiseSchedule
    share: Array
    noise_std: Array

    def __post_init__(self) -> None:
        shape = (self.grid.steps,)
        check_reach(self.grid, self.schedule)
        if self.share.shape != shape or self.noise_std.shape != shape:
            raise InputError(
                f"a plan needs one coefficient for each of {shape[0]} steps",
                f"shapes {self.share.shape} and {self.noise_std.shape}",
                "Match them to the grid.",
            )
        inside = (self.share >= 0).all() and (self.share <= 1).all() and (self.noise_std >= 0).all()
        if not inside or self.noise_std[-1] != 0.0:
            raise InputError(
                "share must lie in [0, 1], noise_std be >= 0, and the last step be noiseless",
                f"shares from {self.share.min():.3g} to {self.share.max():.3g}, last noise_std "
                f"{self.noise_std[-1]:.3g}",
                "Correct the coefficients.",
            )

    @property
    def t(self) -> IntArray:
        """(S,) times the steps start from."""
        return self.grid.times[:-1]

    @property
    def s(self) -> IntArray:
        """(S,) times the steps end at."""
        return self.grid.times[1:]

    @property
    def keep(self) -> Array:
        """(S,) factor on x_t: sqrt(noise_var_s (1 - share)/noise_var_t)."""
        nu = self.schedule.noise_var
        return np.sqrt(nu[self.s] * (1.0 - self.share) / nu[self.t])

    @property
    def denoise(self) -> Array:
        """(S,) factor on x0_hat: alpha_s - keep alpha_t."""
        alpha = self.schedule.alpha
        return alpha[self.s] - self.keep * alpha[self.t]

    @property
    def blind(self) -> bool:
        """Whether the first step starts without signal."""
        return bool(self.schedule.alpha[self.t[0]] == 0.0)

    def eps_form(self) -> tuple[Array, Array, Array]:
        """(c_x, c_eps, c_noise), each (S,): x_s = c_x x_t + c_eps eps + c_noise xi.

        c_x = alpha_s/alpha_t, c_eps = direction - c_x sqrt(nu_t) with direction = sqrt(nu_s (1 -
        share)), rationalised. Its error is that of the schedule's log_alpha_bar, on other paths
        than the variance-preserving one that of its rho. A first step without signal has c_x = 0,
        c_eps = direction, and adds alpha_s x0_hat.
        """
        first, nu = int(self.blind), self.schedule.noise_var
        t, s, share = self.t[first:], self.s[first:], self.share[first:]
        direction = np.sqrt(nu[self.s] * (1.0 - self.share))
        c_x, rise = self._rise(t, s)
        # c_x^2 nu_t - nu_s = rise, direction^2 = nu_s (1 - share).
        c_eps = -(rise + nu[s] * share) / (c_x * np.sqrt(nu[t]) + direction[first:])
        blind = np.zeros(first), direction[:first]
        return np.append(blind[0], c_x), np.append(blind[1], c_eps), self.noise_std

    def _rise(self, t: IntArray, s: IntArray) -> tuple[Array, Array]:
        """alpha_s/alpha_t, and its square times nu_t less nu_s, without cancellation."""
        schedule = self.schedule
        if schedule.variance_preserving:
            log_rise = schedule.log_alpha_bar[s] - schedule.log_alpha_bar[t]
            return np.exp(0.5 * log_rise), np.expm1(log_rise)
        rho = schedule.rho
        return schedule.alpha[s] / schedule.alpha[t], schedule.alpha_bar[s] * (rho[t] - rho[s])


def bridge_plan(
    schedule: NoiseSchedule, grid: TimeGrid, eta: float, *, capped: bool = False
) -> StepPlan:
    """DDIM(eta) on a grid: share = eta^2 (1 - q) with q = rho_s/rho_t.

    capped: lower eta, step by step, to the largest that the step allows. Otherwise InputError is
    raised where share > 1: more noise than x_s carries.
    """
    t, s = grid.times[:-1], grid.times[1:]
    rho = schedule.rho
    reached = t <= schedule.T  # a grid beyond the schedule is refused by StepPlan, with its rule
    change = np.zeros(grid.steps)
    change[reached] = 1.0 - rho[s[reached]] / rho[t[reached]]
    # Beyond 1e150, whose square is a double, every share exceeds one just as well.
    share = np.where(s > 0, min(eta, 1e150) ** 2 * change, 0.0)
    # At eta = 1/sqrt(1 - q) the share is 1 to rounding: all of the noise is fresh.
    share = np.where(np.abs(share - 1.0) < 8 * np.finfo(float).eps, 1.0, share)
    if capped:
        share = np.minimum(share, 1.0)
    if (share > 1.0).any():
        k = int(np.argmax(share))
        raise InputError(
            f"eta must not exceed 1/sqrt(1 - rho_s/rho_t) = {change[k] ** -0.5:.6g} on the step "
            f"{t[k]} -> {s[k]}",
            describe(eta),
            "Lower eta or take finer steps.",
        )
    return StepPlan(grid, schedule, share, np.sqrt(_at(schedule.noise_var, s, reached) * share))


def _at(values: Array, index: IntArray, valid: np.ndarray) -> Array:
    out = np.zeros(len(index))
    out[valid] = values[index[valid]]
    return out
