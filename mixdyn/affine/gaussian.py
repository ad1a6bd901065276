"""What a plan does on Gaussian data, where the exact prediction is affine: no random number.

On N(m, var) the prediction at call k is A_k (u_k - a_k m) + c_k m (`predictions.on_gaussian`), so
u = p x_T + E o + N xi is a triangular system. The law of the end needs its transposed solution
alone, one vector a variance; the law of every input needs the solution for each draw.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..support.checks import Array, check_array, check_choice
from ..support.errors import InputError, NotApplicableError
from .predictions import Reference, on_gaussian

if TYPE_CHECKING:
    from .plan import Plan

Start = Literal["own", "true"]


def end_law(
    plan: Plan, variances: Array, start: Start, reference: Reference = "mean"
) -> tuple[Array, Array]:
    """(mean per unit of m, standard deviation), each (k,), of the end on N(m, variance (k,))."""
    K = plan.calls
    slope, offset = exact(plan, variances, reference)
    adjoint = np.empty_like(slope)
    for j in range(K - 1, -1, -1):
        # adjoint_j = d end/d o_j: by itself, and through the inputs of later calls.
        later = slice(j + 1, K)
        adjoint[j] = plan.outputs[K, j] + plan.outputs[later, j] @ (slope[later] * adjoint[later])
    moved = slope * adjoint
    on_start = plan.start[K] + plan.start[:K] @ moved
    on_draws = plan.noises[K][:, None] + plan.noises[:K].T @ moved
    start_mean, start_var = start_law(plan, variances, start)
    mean = on_start * start_mean + (offset * adjoint).sum(axis=0)
    return mean, np.sqrt(on_start**2 * start_var + np.square(on_draws).sum(axis=0))


def exact(plan: Plan, variances: Array, reference: Reference = "mean") -> tuple[Array, Array]:
    """(A (K, k), constant per unit of m (K, k)) of the exact predictions at the calls."""
    alpha = plan.alpha[:-1]
    slope, c_x0 = on_gaussian(plan.predicts, alpha, plan.noise_std[:-1], variances, reference)
    if not np.isfinite(slope).all():
        k = int(np.argmin(np.isfinite(slope).all(axis=1)))
        raise NotApplicableError(
            f"the {plan.predicts} that a plan asks for must exist at its levels",
            f"call {k + 1} at alpha = {alpha[k]:.6g}, noise_std = {plan.noise_std[k]:.6g}",
            "Ask for x0, which exists at both ends.",
        )
    return slope, c_x0[:, None] - slope * alpha[:, None]


def start_law(plan: Plan, variances: Array, start: Start) -> tuple[Array, Array]:
    """(mean per unit of m, variance), each (k,), of x_T: its own, or the one with which the first
    input has the data's law at its level."""
    check_choice(start, ("own", "true"), "start", "Choose one.")
    if start == "own":
        return np.zeros_like(variances), np.full_like(variances, plan.start_std**2)
    p = plan.start[0]
    wanted = plan.alpha[0] ** 2 * variances + plan.noise_var[0] - np.square(plan.noises[0]).sum()
    if p == 0.0 or (wanted < 0.0).any():
        raise NotApplicableError(
            "a true start needs x_T in the first input, and no more noise there than its level has",
            f"x_T with the coefficient {p:.6g}, a variance of {wanted.min():.3g} left for it",
            "Use start='own'.",
        )
    return np.full_like(variances, plan.alpha[0] / p), wanted / p**2


# -- the clock -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Clock:
    """Each call's level, and that of the end, as asked and as it is; arrays (K + 1,).

    On data at one point m a consistent sampler has u_k ~ N(alpha_k m, noise_std_k^2) at every call.

    asked, true : noise_std/alpha, the noise in y = x/alpha, of the level asked for and of the
    state. signal, noise : the state is signal m + noise N(0, 1). signal_error, noise_error : their
    quotients by alpha and noise_std, less 1 (noise_error NaN where no noise is asked for).
    """

    asked: Array
    true: Array
    signal: Array
    noise: Array
    signal_error: Array
    noise_error: Array

    @property
    def worst(self) -> float:
        """The largest error of a call's level: |log(true/asked)|, over the calls with noise."""
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.abs(np.log(self.true[:-1] / self.asked[:-1]))
        return float(np.nanmax(np.where(self.asked[:-1] > 0.0, error, np.nan)))


def clock(plan: Plan, start: Start) -> Clock:
    """See `Plan.clock`."""
    law = state_laws(plan, 0.0, start)
    with np.errstate(divide="ignore", invalid="ignore"):
        asked, true = plan.noise_std / plan.alpha, law.std / law.per_mean
        signal_error = law.per_mean / plan.alpha - 1.0
        noise_error = np.where(plan.noise_std > 0.0, law.std / plan.noise_std - 1.0, np.nan)
    return Clock(asked, true, law.per_mean, law.std, signal_error, noise_error)


@dataclasses.dataclass(frozen=True, eq=False)
class StateLaws:
    """On N(m, var), of the inputs and the end: factors (K + 1, 1 + D) of the standardised start and
    of the draws; per_mean, std (K + 1,): u_k ~ N(per_mean m, std^2)."""

    factors: Array
    per_mean: Array

    @property
    def std(self) -> Array:
        """See above."""
        return np.sqrt(np.square(self.factors).sum(axis=1))


def state_laws(plan: Plan, variance: float, start: Start) -> StateLaws:
    """The joint law of all inputs and the end on N(m, variance)."""
    from scipy.linalg import solve_triangular

    K, only = plan.calls, np.array([variance])
    slope, offset = (part[:, 0] for part in exact(plan, only))
    mean, var = (float(part[0]) for part in start_law(plan, only, start))
    constant = plan.start * mean + plan.outputs @ offset
    fixed = np.column_stack([plan.start * np.sqrt(var), plan.noises, constant])
    through = plan.outputs * slope
    system = np.eye(K) - through[:K]
    inputs = solve_triangular(system, fixed[:K], lower=True, unit_diagonal=True)
    laws = np.vstack([inputs, fixed[K] + through[K] @ inputs])
    return StateLaws(laws[:, :-1], laws[:, -1])


# -- many plans of one sampler -------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Convergence:
    """A sampler's error on Gaussian data as its calls grow, of the gain against that of the exact
    flow: started from the data's law at its first level, and run to the level of its end.

    calls (P,). error (P, k), signed. slope (P - 1, k) : -d log|error|/d log(calls) between
    neighbours. order, floor (k,) : of error = floor + C calls^-order through the last three plans;
    NaN where no such curve passes them.
    """

    calls: Array
    error: Array
    slope: Array
    order: Array
    floor: Array


def convergence(plans: Sequence[Plan], stds: ArrayLike) -> Convergence:
    """Order and floor of one sampler from three or more of its plans, of ever more calls.

    stds (k,) > 0: the data's standard deviations.
    """
    std = check_array(np.atleast_1d(stds), "stds", ndim=1)
    calls = np.array([float(plan.calls) for plan in plans])
    if len(calls) < 3 or not (np.diff(calls) > 0).all():
        raise InputError(
            "order and floor need three or more plans, of ever more calls",
            f"calls {calls.astype(int).tolist()}",
            "Transcribe the sampler at 10, 20, 40, ... steps.",
        )
    error = np.stack([off_flow(plan, std) for plan in plans])
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = -np.diff(np.log(np.abs(error)), axis=0) / np.diff(np.log(calls))[:, None]
    fitted = [power_law(calls[-3:], column[-3:]) for column in error.T]
    order, floor = np.array(fitted).T
    return Convergence(calls, error, slope, order, floor)


def off_flow(plan: Plan, std: Array) -> Array:
    """(k,) errors of the gain against that of the exact flow, as `Convergence` has them."""
    gain = plan.response(std, start="true")[1]
    return gain - np.sqrt(plan.alpha[-1] ** 2 + plan.noise_var[-1] / std**2)


def power_law(n: Array, error: Array) -> tuple[float, float]:
    """(p, f) of error = f + C n^-p through three points."""
    first, second = error[0] - error[1], error[1] - error[2]
    if second == 0.0 or not first / second > 0.0:
        return np.nan, np.nan

    def excess(p: float) -> float:
        a, b, c = n**-p
        return float((a - b) / (b - c) - first / second)

    low, high = 1e-3, 20.0
    if excess(low) * excess(high) > 0.0:
        return np.nan, np.nan
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(low) * excess(middle) > 0.0 else (low, middle)
    _a, b, c = n**-low
    return low, float(error[2] - second * c / (b - c))
