"""DDIM inversion: from data to the noise that DDIM turns into them.

A deterministic DDIM step takes x_t to x_s = c_x x_t + c_eps eps(x_t, t), s < t (arXiv 2010.02502).
Its inverse solves x_t = (x_s - c_eps eps(x_t, t))/c_x. With the prediction of the lower time,
eps(x_s, s), in place of the unknown one this is an explicit Euler step of the probability-flow ODE
in sqrt(rho), the inversion in common use: of order 1, so that a round trip misses by an amount that
halves with twice the steps. Iterating the equation with the prediction at its own solution removes
that error. For an exact score the step has the Jacobian keep I + denoise (alpha_t/(1 - abar_t))
Cov(x_0 | x_t), symmetric and positive: it is the gradient of a convex function, so its inverse
exists and is unique, and gradient steps of Barzilai and Borwein's length find it. The residual says
how well, also for a model of which this is not known.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..problem.checks import check_schedule
from ..problem.schedule import NoiseSchedule
from ..score.protocol import ScoreModel, checked_eps, model_for
from ..support.checks import (
    Array,
    IntArray,
    check_array,
    check_integer,
    check_kind,
    check_points,
    check_positive,
    describe,
)
from ..support.errors import InputError
from .ddim import DDIM

_SHORTEST, _LONGEST = 1e-4, 1e4  # strides


@dataclasses.dataclass(frozen=True, eq=False)
class Inversion:
    """What DDIM inversion found.

    x : (n, d) states at the grid's first time. times : (S + 1,) the grid, decreasing to 0.
    residual : (n,) by how much, at most over the steps and coordinates, the DDIM step from the
    state found misses the state below; of the explicit inversion (no iterations) NaN, since it does
    not look. n_eval : evaluations of the model a sample.
    """

    x: Array
    times: IntArray
    residual: Array
    n_eval: int


def invert(
    model: Any,
    schedule: NoiseSchedule,
    sampler: DDIM,
    x: ArrayLike,
    *,
    start: int | None = None,
    iterations: int = 100,
    tolerance: float = 1e-13,
) -> Inversion:
    """The noise that `sampler` turns into the data x (n, d).

    Parameters
    ----------
    model, schedule, start : as in `sample`. sampler : a DDIM with eta = 0.
    iterations : at most, a step; 0 is the explicit inversion of order 1, with
        one evaluation a step.
    tolerance : what may be left of the equation, relative to the largest coordinate (at least 1),
        where a step counts as solved.

    The first step up, from time 0, has no prediction at its own time; it begins from the one at the
    data scaled to the next time. Raises InputError for a sampler with noise and bad options.
    """
    target = model_for(model, check_schedule(schedule))
    check_kind(sampler, DDIM, "sampler", "Only the map of DDIM(eta=0) is inverted.")
    if sampler.eta != 0.0:
        raise InputError(
            "only a deterministic DDIM has an inverse",
            f"eta = {describe(sampler.eta)}",
            "Take eta = 0.",
        )
    count, small = (
        check_integer(iterations, "iterations", 0),
        check_positive(tolerance, "tolerance"),
    )
    d = getattr(target, "d", None)
    y = check_points(x, check_array(x, "x", ndim=2).shape[1] if d is None else d).copy()
    grid = sampler.grid(schedule, start)
    plan = sampler.plan(schedule, grid)
    if plan.blind:
        raise InputError(
            "inversion asks for eps, which says nothing of x_0 where alpha = 0",
            f"the grid's first time {grid.times[0]}",
            f"Invert up to start = {grid.times[1]}; the step above it only adds noise.",
        )
    c_x, c_eps, _ = plan.eps_form()
    residual = np.zeros(len(y)) if count else np.full(len(y), np.nan)
    n_eval = 0
    for k in reversed(range(grid.steps)):
        times, factors = grid.pairs[k], (float(c_x[k]), float(c_eps[k]))
        y, missed, used = _step_up(target, schedule, y, times, factors, (count, small))
        residual = np.maximum(residual, missed)
        n_eval += used
    return Inversion(y, grid.times, residual, n_eval)


def _step_up(
    model: ScoreModel,
    schedule: NoiseSchedule,
    below: Array,
    times: tuple[int, int],
    factors: tuple[float, float],
    stop: tuple[int, float],
) -> tuple[Array, Array, int]:
    """The state at t whose step ends at `below`, by how much it misses, and the evaluations."""
    (t, s), (c_x, c_eps), (iterations, tolerance) = times, factors, stop
    if s > 0:
        eps = checked_eps(model, below, s)
    else:
        eps = checked_eps(model, below * schedule.alpha[t], t)
    state = (below - c_eps * eps) / c_x
    if iterations == 0:
        return state, np.zeros(len(below)), 1
    best, missed = state, np.full(len(below), np.inf)
    before, gap_before, stride = state, np.zeros_like(state), np.ones(len(below))
    for used in range(1, iterations + 1):
        gap = (below - c_eps * checked_eps(model, state, t)) / c_x - state
        size = np.abs(gap).max(axis=1)
        best = np.where((size < missed)[:, None], state, best)
        missed = np.minimum(missed, size)
        if (missed <= tolerance * np.maximum(1.0, np.abs(best).max(axis=1))).all():
            break
        if used > 1:
            stride = _stride(state - before, gap - gap_before, stride)
        before, gap_before = state, gap
        state = state + stride[:, None] * gap
    return best, c_x * missed, used + 1


def _stride(moved: Array, change: Array, last: Array) -> Array:
    """Barzilai and Borwein's step (IMA J. Numer. Anal. 8, 1988), (n,): the inverse slope of the gap
    along the last move; the secant method in one dimension. `last` where nothing moved."""
    along, square = -(moved * change).sum(axis=1), np.square(change).sum(axis=1)
    found = np.divide(along, square, out=last.copy(), where=(square > 0.0) & (along > 0.0))
    return np.clip(found, _SHORTEST, _LONGEST)
