"""What it costs a learned chain to leave the exact one: the divergence of their paths, streamed.

A noisy step draws x_s = m + noise_std xi with m = c_x x_t + c_eps eps. Two scores that share the
noise differ in m alone, and the log likelihood ratio of their paths has mean, under the first,

    E C,   C = sum_t |m - m_exact|^2/(2 noise_std^2) = sum_t (c_eps/noise_std)^2 |eps - eps_ex|^2/2

over the nodes of the first chain's own path. A noiseless step tells the two apart at once: C runs
over the noisy steps before the first of them (all but the last for DDPM and DDIM with eta > 0), and
speaks of the state there.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..problem.mixture import GaussianMixture
from ..problem.schedule import TimeGrid
from ..samplers.plan import StepPlan
from ..score.protocol import ScoreModel, checked_eps, model_for
from ..support.checks import Array
from ..support.errors import InputError, NotApplicableError


@dataclasses.dataclass(frozen=True, eq=False)
class PathCosts:
    """cost (n,) of each path up to time t, x (n, d) its state there, by_step (K,) mean cost of each
    of the K noisy steps, in the order they are taken; at m prices (n, m) and (K, m)."""

    cost: Array
    x: Array
    t: int
    by_step: Array


def noisy_steps(plan: StepPlan) -> int:
    """How many steps a plan takes before its first noiseless one."""
    return int(np.argmin(plan.noise_std > 0.0))


def step_prices(plan: StepPlan) -> Array:
    """(K,) what each noisy step charges for |eps - eps_ex|^2 = 1."""
    _, c_eps, c_noise = (part[: noisy_steps(plan)] for part in plan.eps_form())
    return 0.5 * np.square(c_eps / c_noise)


class PathDivergence:
    """Observer of C and of the state at the end of the noisy steps; result: `PathCosts`.

    exact: the mixture, or any model that plays the exact score. plan: of the sampler that runs, on
    the grid that it runs on. prices: in place of `step_prices`, (K,) or several at once, (K, m).
    Raises NotApplicableError for a plan whose first step has no noise: deterministic samplers have
    no such cost, and no guarantee from it.
    """

    def __init__(
        self,
        exact: GaussianMixture | ScoreModel,
        plan: StepPlan,
        prices: Array | None = None,
    ) -> None:
        steps = noisy_steps(plan)
        if plan.blind:
            raise NotApplicableError(
                "path divergence is that of two predictions of eps: it needs signal",
                f"alpha = 0 at t = {plan.t[0]}",
                "Start below it.",
            )
        if steps == 0:
            raise NotApplicableError(
                "path divergence needs noise in the first step",
                f"a noiseless step {plan.t[0]} -> {plan.s[0]}",
                "Use DDPM, or DDIM with eta > 0: a deterministic sampler has no such divergence.",
            )
        self.plan = plan
        self.exact = model_for(exact, plan.schedule)
        self._prices = step_prices(plan) if prices is None else prices
        self._end = int(plan.s[steps - 1])

    def init(self, grid: TimeGrid, d: int) -> dict[str, Any]:
        """No paths yet."""
        if not np.array_equal(grid.times, self.plan.grid.times):
            raise InputError(
                "the plan must be of the grid that runs",
                f"{grid.steps} steps from {grid.times[0]}, the plan's {self.plan.grid.steps}",
                "Take sampler.plan(schedule, sampler.grid(schedule)).",
            )
        nothing = np.zeros_like(self._prices)
        return {"cost": None, "by_step": nothing, "done": [], "x": [], "k": 0}

    def step(
        self, state: Any, rows: slice, t: int, s: int | None, x: Array, eps: Array | None
    ) -> Any:
        """Add the cost of a noisy step; keep the state where they end."""
        k = state["k"]
        if k < len(self._prices) and eps is not None:
            square = np.square(eps - checked_eps(self.exact, x, t)).sum(axis=1)
            cost = np.multiply.outer(square, self._prices[k])
            state["by_step"][k] += cost.sum(axis=0)
            state["cost"] = cost if state["cost"] is None else state["cost"] + cost
        if t == self._end:
            state["done"].append(state["cost"])
            state["x"].append(x.copy())
        state["k"] = k + 1
        return state

    def merge(self, a: Any, b: Any) -> Any:
        """Append."""
        joined = {name: a[name] + b[name] for name in ("by_step", "done", "x")}
        return {**a, **joined}

    def result(self, state: Any) -> PathCosts:
        """Costs and states in sample order."""
        cost = np.concatenate(state["done"])
        by_step = state["by_step"] / len(cost)
        return PathCosts(cost, np.concatenate(state["x"]), self._end, by_step)
