"""The price of a sampler in nats: KL(exact paths || the sampler's paths), split by cause.

The exact reversed diffusion, seen at the levels of a sampler's inputs u_k, has x_{k+1} given the
past equal to a bridge from u_k to a draw of x_0 from its posterior: a Gaussian channel. An affine
sampler's next input is Gaussian, of covariance S_k I. With V_k the bridge's variance, m_k the
sampler's mean and mu_k the exact conditional mean,

    KL_k = d/2 (V_k/S_k - 1 - log(V_k/S_k)) + e_k^2 mmse_k/(2 S_k) + E |mu_k - m_k|^2/(2 S_k)
           - I(x_0; u_{k+1} | u_k),

e_k the bridge's weight on x_0. All second moments of exact paths and of the exact predictions on
them follow from the curve of the mmse alone, so every term is known: for eta = 1 the sum is

    1/2 sum_k (g_{k+1} - g_k) mmse(g_k) - (I(g_K) - I(g_0)),   g = 1/rho,

the error of the left Riemann sum of the I-MMSE integral. The nodes lose nothing: given u_k and
u_{k+1} the exact path between them is a Brownian bridge whatever x_0 was, as is the Euler scheme's,
so this is the divergence of whole paths too. Known for eta = 1: arXiv 2502.02305 (in discrete
time), arXiv 2601.21943.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..problem.checks import check_mixture, check_schedule
from ..problem.mixture import GaussianMixture
from ..problem.schedule import NoiseSchedule
from ..samplers.best_grid import settled
from ..samplers.plan import StepPlan, bridge_plan
from ..samplers.reverse import ExactReverse
from ..score.information import second_moment, start_nats
from ..score.information_curve import Curve
from ..score.protocol import model_for
from ..support.checks import Array, check_integer, describe
from ..support.errors import InputError, MemoryLimitError, NotApplicableError
from .accounts import Accounts, accounts_of, most_from_loss
from .impulses import transcribe
from .plan import Plan

_DRAWS = 2048
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Price:
    """KL(exact paths || the sampler's paths) in nats, from the start to the last noisy state.

    start : of the law at the first level from the sampler's start. steps : of its steps with the
    exact score. learning : what a model adds, 0 without one; for eta = 1 half the sum of (change of
    1/rho) E |x0_hat - x0_model|^2 and never negative. total : their sum.
    error, learning_error : standard errors of start + steps and of learning, 0 where integrals.
    by_step, learning_by_step (K,) : what each noisy step adds. rho (K + 1,) : noise variance of
    y = x/alpha at its ends. from_loss : the most that the loss recorded in a checkpoint allows the
    learning to be, where it says anything; None else. why : why a price is infinite, else empty.
    end_rms : root mean square per coordinate of x_0 about E[x_0 | last noisy state]: the last map,
    which has no noise, returns that mean, and the price does not speak of it.
    """

    start: float
    steps: float
    learning: float
    rho: Array
    by_step: Array
    learning_by_step: Array
    error: float = 0.0
    learning_error: float = 0.0
    from_loss: float | None = None
    end_rms: float = 0.0
    why: str = ""

    @property
    def total(self) -> float:
        """start + steps + learning."""
        return self.start + self.steps + self.learning

    @property
    def total_error(self) -> float:
        """Standard error of the total."""
        return math.hypot(self.error, self.learning_error)

    def __str__(self) -> str:
        def shown(value: float, error: float) -> str:
            return f"{value:.4g}" + (f" +- {error:.2g}" if error else "")

        lines = [
            f"start     {self.start:.4g} nats",
            f"steps     {shown(self.steps, self.error)} nats",
            f"learning  {shown(self.learning, self.learning_error)} nats",
            f"total     {shown(self.total, self.total_error)} nats",
        ]
        return "\n".join([*lines, self.words()])

    def words(self) -> str:
        """What it says, in a few sentences."""
        if self.why:
            return (
                f"The price is infinite: {self.why}. A law without density against the exact one "
                "has no guarantee from a divergence."
            )
        parts = {"start": self.start, "steps": self.steps, "learning": self.learning}
        largest = max(parts, key=lambda name: parts[name])
        said = (
            f"Most of it is the {largest}. It is paid by the last noisy state, rho = "
            f"{self.rho[-1]:.3g}; the last map has no noise and returns E[x_0 | x], "
            f"{self.end_rms:.3g} per coordinate (root mean square) from x_0."
        )
        if len(self.by_step):
            k = int(np.argmax(self.by_step))
            said += (
                f" The dearest of {len(self.by_step)} noisy steps takes rho from {self.rho[k]:.3g} "
                f"to {self.rho[k + 1]:.3g} and costs {self.by_step[k]:.3g}."
            )
        if self.from_loss is not None:
            said += f" The recorded training loss allows {self.from_loss:.3g} of learning at most."
        return said


def price(
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    sampler: Any,
    model: Any = None,
    *,
    n: int | None = None,
    seed: int = 0,
    excess: float | None = None,
    progress: Progress | None = None,
) -> Price:
    """What `sampler` pays in nats on `mixture`, and with `model` in place of the exact score.

    sampler : one of ours on `schedule`, or a `Plan`. n : draws, of the learning (2048 by default)
    and, off lines and product grids, of the mmse (as many as levels and modes allow). excess : the
    model's training loss above the best possible, per coordinate of eps and averaged over the times
    1..T, as a checkpoint records it. progress : called with (steps done, steps) of the learning.
    Samplers without noise in some step before the last have an infinite price.

    Raises NotApplicableError for samplers that are not affine, whose levels do not fall, or whose
    inputs have two draws.
    """
    target, clock = check_mixture(mixture), check_schedule(schedule)
    sampler = settled(sampler, target, clock)
    plan = plan_of(sampler, clock)
    books = accounts_of(plan)
    if isinstance(books, str):
        return _infinite(target, plan, books, model is not None, (n, seed))
    found = _exact(target, books, (n, seed))
    if isinstance(sampler, ExactReverse):  # draws from the law itself
        nothing = np.zeros_like(found.by_step)
        found = dataclasses.replace(found, steps=0.0, by_step=nothing, error=0.0)
    if model is None:
        return found
    count = _DRAWS if n is None else check_integer(n, "n", 2)
    ready = model_for(model, clock)
    each, error = books.learning(target, clock, ready, (count, seed), progress)
    limit = None if excess is None else most_from_loss(books, excess, clock.T, target.d)
    return dataclasses.replace(
        found,
        learning=float(each.sum()),
        learning_by_step=each,
        learning_error=error,
        from_loss=limit,
    )


def plan_of(sampler: Any, schedule: NoiseSchedule) -> StepPlan | Plan:
    """The coefficients of a sampler: of our step family on its own grid, else as matrices."""
    if isinstance(sampler, Plan | StepPlan):
        return sampler
    if isinstance(sampler, ExactReverse):
        return bridge_plan(schedule, sampler.grid(schedule), 1.0)
    made = not isinstance(sampler, type)
    if made and hasattr(sampler, "plan") and hasattr(sampler, "grid"):
        found: StepPlan = sampler.plan(schedule, sampler.grid(schedule))
        return found
    if made and hasattr(sampler, "stepper"):
        return _transcribed(sampler, schedule)
    raise InputError(
        "a price is that of a sampler of ours or of a Plan",
        describe(sampler),
        "Transcribe it first: mixdyn.transcribe.",
    )


def _transcribed(sampler: Any, schedule: NoiseSchedule) -> Plan:
    """The plan of a sampler without one of its own; what the transcription meets of one that has
    none is nothing that its user could mend."""
    try:
        return transcribe(sampler, schedule=schedule)
    except MemoryLimitError:
        raise
    except InputError as error:
        raise NotApplicableError(
            "a price is that of steps whose noise does not depend on the state",
            describe(sampler),
            "Price DDPM, DDIM with eta > 0 or a hybrid, or judge it by sampling.",
        ) from error


def _exact(mixture: GaussianMixture, books: Accounts, draws: tuple[int | None, int]) -> Price:
    """Start and steps."""
    curve = Curve.of(mixture, books.rho, *draws)
    by_step = mixture.d * books.fixed + books.moment * second_moment(mixture)
    by_step = by_step + books.on_mmse @ curve.mmse - curve.gained
    on_mmse, steps = books.on_mmse.sum(axis=0), len(by_step)
    return Price(
        start=max(books.start(mixture, curve.first), 0.0),
        steps=float(by_step.sum()),
        learning=0.0,
        rho=books.rho,
        by_step=by_step,
        learning_by_step=np.zeros(steps),
        error=curve.error(on_mmse, -np.ones(steps), -1.0),
        end_rms=math.sqrt(max(float(curve.mmse[-1]), 0.0) / mixture.d),
    )


def _infinite(
    mixture: GaussianMixture,
    plan: StepPlan | Plan,
    why: str,
    learned: bool,
    draws: tuple[int | None, int],
) -> Price:
    """Of a sampler whose paths have no density; the start is as finite as ever."""
    if isinstance(plan, Plan):
        alpha, noise_var = float(plan.alpha[0]), float(plan.noise_var[0])
        start_var = float(plan.start[0] * plan.start_std) ** 2
    else:
        schedule, t = plan.schedule, plan.t[0]
        alpha, noise_var = float(schedule.alpha[t]), float(schedule.noise_var[t])
        start_var = float(schedule.scale[t]) ** 2
    rho = np.array([noise_var / alpha**2 if alpha > 0.0 else math.inf])
    curve = Curve.of(mixture, rho, *draws)
    start = float(start_nats(mixture, alpha**2, noise_var, start_var)) - curve.first
    nothing = np.empty(0)
    return Price(
        start=max(start, 0.0),
        steps=math.inf,
        learning=math.inf if learned else 0.0,
        rho=rho,
        by_step=nothing,
        learning_by_step=nothing,
        why=why,
    )
