"""What each step of an affine sampler costs, as functions of the mmse: see `sampler_price`."""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..samplers.plan import StepPlan
from ..score.information import draw_noised, start_nats
from ..score.protocol import ScoreModel, at_levels, checked_eps, model_for, unseen_x0
from ..support.checks import Array, check_memory
from ..support.errors import NotApplicableError
from .plan import Plan
from .predictions import in_eps, shares
from .price import noisy_inputs
from .stepper import times_on

_BYTES = 2e9
Progress = Callable[[int, int], None]


class Accounts(abc.ABC):
    """A sampler's noisy steps between nodes of noise variance rho (K + 1,), falling.

    The exact score's share of step k is fixed[k] d + moment[k] E|x_0|^2 + (on_mmse @ mmse)[k] less
    the information gained. fixed, moment (K,), on_mmse (K, K + 1).
    """

    rho: Array
    start_var: float  # of the first state, in x
    first: tuple[float, float]  # its level: alpha and noise variance
    fixed: Array
    moment: Array
    on_mmse: Array

    def start(self, mixture: GaussianMixture, told: float) -> float:
        """KL of the exact law of the first state from the start's."""
        alpha, noise_var = self.first
        return float(start_nats(mixture, alpha**2, noise_var, self.start_var) - told)

    @abc.abstractmethod
    def learning(
        self,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        model: ScoreModel,
        draws: tuple[int, int],
        progress: Progress | None,
    ) -> tuple[Array, float]:
        """(K,) what a model adds to each step, from (n, seed) draws, and the sum's standard
        error."""


def _spread(ratio: Array) -> Array:
    """(V/S - 1 - log(V/S))/2."""
    return np.asarray(0.5 * (ratio - 1.0 - np.log(ratio)))


class StepAccounts(Accounts):
    """Of a StepPlan, whose steps know the last state alone."""

    def __init__(self, plan: StepPlan) -> None:
        self.plan = plan
        schedule, t, s = plan.schedule, plan.t[:-1], plan.s[:-1]
        self.rho = schedule.rho[plan.t]
        self.first = float(schedule.alpha[plan.t[0]]), float(schedule.noise_var[plan.t[0]])
        self.start_var = float(schedule.scale[plan.t[0]]) ** 2
        alpha_t, alpha_s, nu_t = schedule.alpha[t], schedule.alpha[s], schedule.noise_var[t]
        fresh = 1.0 - self.rho[1:] / self.rho[:-1]  # 1 - q
        bridge = schedule.noise_var[s] * fresh
        self.noise_var = np.square(plan.noise_std[:-1])
        self.denoise = plan.denoise[:-1]
        # The exact mean less the sampler's is off * (x - alpha x0_hat), which is noise_std eps_hat.
        self.off = alpha_s * self.rho[1:] * alpha_t / nu_t - plan.keep[:-1]
        eta_one = np.abs(bridge / self.noise_var - 1.0) < 1e-12
        self.off[eta_one] = 0.0
        ratio = np.where(eta_one, 1.0, bridge / self.noise_var)
        self.fixed = _spread(ratio) + 0.5 * np.square(self.off) * nu_t / self.noise_var
        self.moment = np.zeros(len(t))
        told = np.square(alpha_s * fresh) / self.noise_var
        told[eta_one] = (np.diff(1.0 / self.rho))[eta_one]
        own = 0.5 * (told - np.square(self.off * alpha_t) / self.noise_var)
        self.on_mmse = np.zeros((len(t), len(self.rho)))
        self.on_mmse[np.arange(len(t)), np.arange(len(t))] = own

    def learning(
        self,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        model: ScoreModel,
        draws: tuple[int, int],
        progress: Progress | None,
    ) -> tuple[Array, float]:
        """Of draws of each node's own."""
        (n, seed), plan = draws, self.plan
        exact = model_for(mixture, plan.schedule)
        size = 8.0 * len(self.noise_var) * n
        check_memory(size, _BYTES, "what draws give at every step", "Lower n.")
        each = np.empty((len(self.noise_var), n))
        for k, t in enumerate(plan.t[:-1].tolist()):
            x_0, xi = draw_noised(mixture, n, (seed, k))
            alpha, b = float(plan.schedule.alpha[t]), math.sqrt(plan.schedule.noise_var[t])
            x = alpha * x_0 + b * xi
            if alpha == 0.0:
                gap = unseen_x0(model, x, t) - mixture.weights @ mixture.means
                eps = np.zeros_like(x)
            else:
                eps = checked_eps(exact, x, t)
                gap = -(b / alpha) * (checked_eps(model, x, t) - eps)
            gap = self.denoise[k] * gap
            cross = (gap * eps).sum(axis=1) * self.off[k] * b
            each[k] = (0.5 * np.square(gap).sum(axis=1) - cross) / self.noise_var[k]
            if progress is not None:
                progress(k + 1, len(each))
        return _summed(each)


def _summed(each: Array) -> tuple[Array, float]:
    total = each.sum(axis=0)
    return each.mean(axis=1), float(total.std(ddof=1) / math.sqrt(len(total)))


@dataclasses.dataclass(frozen=True, eq=False)
class PlanAccounts(Accounts):
    """Of a Plan with one new draw in each input after the start.

    The draws that a path would have needed are on_u @ u + on_x0 @ x0_hat, rows for the inputs 1..K;
    scale (K,) what a draw counts for in its own input, through (K, K) what the outputs move them
    by.
    """

    plan: Plan
    on_u: Array
    on_x0: Array
    scale: Array
    through: Array

    @classmethod
    def of(cls, plan: Plan) -> PlanAccounts | str:
        """Or why the price is infinite. Raises NotApplicableError for levels that rise."""
        last = plan.calls - int(plan.noise_var[-1] == 0.0)
        if last == 0:
            nothing = np.empty((0, 1))
            return cls(plan, nothing, nothing[:, :0], np.empty(0), np.empty((0, 0)))
        if not plan.noises.any():
            return "the sampler draws no noise"
        begin, found = noisy_inputs(plan)
        if begin == 0:
            raise NotApplicableError(
                "a price needs a start that is x_T alone", f"a draw in it, {plan!r}", "None."
            )
        if found < last:
            return f"input {found + 2} of {last + 1} has no draw of its own"
        _check_levels(plan, last)
        used = np.flatnonzero(plan.noises.any(axis=0))[:last]
        rows = slice(1, last + 1)
        draws = plan.noises[rows, used]
        from scipy.linalg import solve_triangular

        a, b = plan.alpha[:last], plan.noise_std[:last]
        c_eps, c_x0 = shares(plan.predicts, plan.alpha[:-1], plan.noise_std[:-1])
        on_u, on_x0 = c_eps[:last] / b, c_x0[:last] - c_eps[:last] * a / b
        outputs = plan.outputs[rows, :last]
        given = np.zeros((last, last + 1))
        given[:, 1:] = np.eye(last)
        given[:, :last] -= outputs * on_u
        given[:, 0] -= plan.start[rows] / plan.start[0]
        both = np.hstack([given, -outputs * on_x0, -outputs])
        solved = solve_triangular(draws, both, lower=True)
        parts = np.split(solved, [last + 1, 2 * last + 1], axis=1)
        return cls(plan, parts[0], parts[1], np.abs(np.diag(draws)), parts[2])

    @functools.cached_property
    def _levels(self) -> tuple[Array, Array, Array]:
        """alpha, noise_var and rho (K + 1,) of the inputs that count."""
        count = len(self.scale) + 1
        a, nu = self.plan.alpha[:count], self.plan.noise_var[:count]
        with np.errstate(divide="ignore"):
            return a, nu, nu / np.square(a)

    @property
    def rho(self) -> Array:  # type: ignore[override]
        """(K + 1,)."""
        return self._levels[2]

    @property
    def first(self) -> tuple[float, float]:  # type: ignore[override]
        """Level of the first input."""
        return float(self.plan.alpha[0]), float(self.plan.noise_var[0])

    @property
    def start_var(self) -> float:  # type: ignore[override]
        """Of the first input."""
        return float(self.plan.start[0] * self.plan.start_std) ** 2

    @functools.cached_property
    def fixed(self) -> Array:  # type: ignore[override]
        """What does not depend on the data."""
        a, nu, rho = self._levels
        bridge = nu[1:] * (1.0 - rho[1:] / rho[:-1])
        signal = self.on_u * a
        earlier = np.cumsum(signal, axis=1) - signal
        finite = np.where(np.isinf(rho), 0.0, rho)
        noise = np.square(self.on_u) @ nu + 2.0 * (signal * earlier) @ finite
        return np.asarray(0.5 * (noise - 1.0) + np.log(self.scale) - 0.5 * np.log(bridge))

    @functools.cached_property
    def moment(self) -> Array:  # type: ignore[override]
        """On E|x_0|^2: 0 for samplers that know their levels."""
        a = self._levels[0]
        return np.asarray(0.5 * np.square(self.on_u @ a + self.on_x0.sum(axis=1)))

    @functools.cached_property
    def on_mmse(self) -> Array:  # type: ignore[override]
        """On the mmse of every node."""
        a, _, rho = self._levels
        signal = self.on_u * a

        def later(parts: Array) -> Array:
            return np.cumsum(parts[:, ::-1], axis=1)[:, ::-1] - parts

        finite = np.where(np.isinf(rho), 0.0, rho)
        states = later(signal) - later(signal * finite) / rho
        states = states[:, :-1]
        own = self.on_x0 * (2.0 * states + self.on_x0 + 2.0 * later(self.on_x0))
        return np.hstack([-0.5 * own, np.zeros((len(own), 1))])

    def learning(
        self,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        model: ScoreModel,
        draws: tuple[int, int],
        progress: Progress | None,
    ) -> tuple[Array, float]:
        """Of exact paths."""
        (n, seed), count = draws, len(self.scale)
        check_memory(40.0 * count * n * mixture.d, _BYTES, "the paths of a price", "Lower n.")
        u, x0_hat, gaps = self._paths(mixture, schedule, model, (n, seed), progress)
        a, _, rho = self._levels
        # The next input given the past, in place of itself: it has the same mean.
        on_u, on_x0 = self.on_u.copy(), self.on_x0.copy()
        k = np.arange(count)
        own = on_u[k, k + 1]
        on_u[k, k + 1] = 0.0
        kept = np.where(np.isinf(rho[:-1]), 0.0, rho[1:] / rho[:-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            on_u[k, k] += np.where(kept > 0.0, own * a[1:] * kept / a[:-1], 0.0)
        on_x0[k, k] += own * a[1:] * (1.0 - kept)
        flat = (count, -1)
        needed = on_u[:, :-1] @ u.reshape(flat) + on_x0 @ x0_hat.reshape(flat)
        moved = self.through @ gaps.reshape(flat)
        each = (0.5 * np.square(moved) + moved * needed).reshape(count, n, mixture.d)
        return _summed(each.sum(axis=2))

    def _paths(
        self,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        model: ScoreModel,
        draws: tuple[int, int],
        progress: Progress | None,
    ) -> tuple[Array, Array, Array]:
        """(K, n, d) each: inputs of exact paths, exact predictions of x_0 and by how much the
        model's outputs differ there."""
        plan, count = self.plan, len(self.scale)
        a, nu, rho = self._levels
        exact = at_levels(model_for(mixture, schedule), schedule)
        times = times_on(plan, schedule)
        asked = model if times is not None else at_levels(model, schedule)
        _, h = in_eps(plan.predicts, plan.alpha[:-1], plan.noise_std[:-1])
        if not np.isfinite(h[:count]).all():
            raise NotApplicableError(
                "the learning of a plan compares predictions of the noise, at levels with signal",
                f"alpha = 0 in {plan!r}",
                "Begin one call later.",
            )
        from ..score.protocol import Level

        x_0, _ = draw_noised(mixture, draws[0], (draws[1], 0))
        rng = np.random.default_rng([0x70617468, draws[1]])
        y = x_0 + math.sqrt(rho[count]) * rng.standard_normal(x_0.shape)
        u, x0_hat, gaps = np.empty((3, count, *x_0.shape))
        for k in range(count - 1, -1, -1):
            y = y + math.sqrt(rho[k] - rho[k + 1]) * rng.standard_normal(y.shape)
            u[k], at = a[k] * y, Level(float(a[k]), float(nu[k]))
            eps = checked_eps(exact, u[k], at)
            x0_hat[k] = y - math.sqrt(rho[k]) * eps
            other = checked_eps(asked, u[k], at if times is None else int(times[k]))
            gaps[k] = h[k] * (other - eps)
            if progress is not None:
                progress(count - k, count)
        return u, x0_hat, gaps


def _check_levels(plan: Plan, last: int) -> None:
    with np.errstate(divide="ignore"):
        rho = plan.noise_var[: last + 1] / np.square(plan.alpha[: last + 1])
    rises = np.flatnonzero(rho[1:] >= rho[:-1])
    if len(rises):
        k = int(rises[0])
        raise NotApplicableError(
            "a price in nats needs levels that fall from input to input",
            f"rho from {rho[k]:.4g} to {rho[k + 1]:.4g} at input {k + 2} of {plan!r}",
            "Two inputs of one level are one state of an exact path; noise put back is none of it.",
        )


def accounts_of(plan: StepPlan | Plan) -> Accounts | str:
    """Or why the price is infinite."""
    if isinstance(plan, Plan):
        return PlanAccounts.of(plan)
    quiet = np.flatnonzero(plan.noise_std[:-1] == 0.0)
    if len(quiet):
        k = int(quiet[0])
        return f"the step {plan.t[k]} -> {plan.s[k]} has no noise"
    return StepAccounts(plan)


def most_from_loss(accounts: Any, excess: float, T: int, d: int) -> float | None:
    """The largest learning that an excess loss allows: per coordinate of eps, mean over the times
    1..T. None but for steps of eta = 1."""
    if not isinstance(accounts, StepAccounts) or accounts.off.any() or accounts.plan.blind:
        return None
    dear = np.diff(1.0 / accounts.rho) * accounts.rho[:-1]
    return 0.5 * d * T * excess * float(dear.max(initial=0.0))
