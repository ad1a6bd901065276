"""Two plans side by side, and one as a table."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from ..support.checks import Array
from ..support.errors import InputError
from .predictions import in_eps

if TYPE_CHECKING:
    from .plan import Plan

_SAME = 1e-9
_SHOWN = 24  # rows of a table


@dataclasses.dataclass(frozen=True, eq=False)
class PlanDifference:
    """How far apart two plans are; arrays (K + 1,) over the inputs and the end.

    rows : largest difference of coefficients on the start, the predictions of the noise and the
    draws, over the largest coefficient of the row. levels : |log| of the quotient of noise_std/
    alpha, infinite where one has no noise, and of alpha; the larger. start : |log| of start_std's.
    """

    rows: Array
    levels: Array
    start: float

    @property
    def largest(self) -> float:
        """0 for equal plans."""
        return float(max(self.rows.max(), self.levels.max(), self.start))

    def first(self, tolerance: float = _SAME) -> int | None:
        """The first input that differs, K for the end; None where none does."""
        differs = np.flatnonzero(np.maximum(self.rows, self.levels) > tolerance)
        return int(differs[0]) if len(differs) else None

    def words(self, tolerance: float = _SAME) -> str:
        """One sentence."""
        k = self.first(tolerance)
        if k is None:
            same = f"the same to {self.largest:.2g}"
            return same if self.start <= tolerance else f"{same} but for the size of the start"
        what = "level" if self.levels[k] > tolerance else "coefficients"
        where = "the end" if k == len(self.rows) - 1 else f"the input of call {k + 1}"
        return f"{where} is the first to differ, in its {what}; by {self.largest:.3g} at most"


def difference(plan: Plan, other: Plan) -> PlanDifference:
    """See `Plan.difference`."""
    a, b = _in_eps(plan), _in_eps(other)
    if a.shape != b.shape:
        counts = [(p.calls, int(p.noises.any(axis=0).sum())) for p in (plan, other)]
        raise InputError(
            "plans that are compared have as many calls and draws",
            " and ".join(f"{calls} calls with {draws} draws" for calls, draws in counts),
            "Transcribe both at the same number of steps.",
        )
    scale = np.maximum(np.abs(a).max(axis=1), np.abs(b).max(axis=1))
    rows = np.abs(a - b).max(axis=1) / np.maximum(scale, 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = [
            (plan.alpha, other.alpha),
            (plan.noise_std / plan.alpha, other.noise_std / other.alpha),
        ]
        levels = [np.where(x == y, 0.0, np.abs(np.log(x / y))) for x, y in pairs]
    start = abs(float(np.log(plan.start_std / other.start_std)))
    return PlanDifference(rows, np.maximum(*levels), start)


def _in_eps(plan: Plan) -> Array:
    """The matrix with predictions of the noise as outputs, without draws that do nothing."""
    from scipy.linalg import solve_triangular

    K = plan.calls
    f, h = in_eps(plan.predicts, plan.alpha[:-1], plan.noise_std[:-1])
    if not np.isfinite(f).all():
        k = int(np.argmin(np.isfinite(f)))
        raise InputError(
            "plans are compared at levels with signal",
            f"call {k + 1} at alpha = {plan.alpha[k]:.3g}",
            "Begin one call later.",
        )
    used = plan.noises[:, plan.noises.any(axis=0)]
    given = np.hstack([plan.start[:, None], plan.outputs * h, used])
    through = plan.outputs * f
    system = np.eye(K) - through[:K]
    inputs = solve_triangular(system, given[:K], lower=True, unit_diagonal=True)
    return np.vstack([inputs, given[K] + through[K] @ inputs])


def table(plan: Plan) -> str:
    """The plan as text: a line a call, with its level and how the next input is made."""
    steps, K = plan.recursion, plan.calls
    lines = [
        f"{plan!r}",
        f"x_T ~ N(0, {plan.start_std:.6g}^2), first input {plan.start[0]:.6g} x_T",
        f"{'call':>5} {'alpha':>11} {'noise_std':>11}  the next input",
    ]
    shown = range(K) if K <= _SHOWN else [*range(_SHOWN // 2), -1, *range(K - _SHOWN // 2, K)]
    for k in shown:
        if k < 0:
            lines.append(f"{'...':>5}")
            continue
        parts = [f"{steps.on_state[k, 0]:+.6g} u"]
        for i in range(min(steps.memory, k) + 1):
            back = f"[{k + 1 - i}]" if i else ""
            if i and (a := steps.on_state[k - i, i]):
                parts.append(f"{a:+.6g} u{back}")
            if b := steps.on_output[k - i, i]:
                parts.append(f"{b:+.6g} {plan.predicts}{back}")
        for j in np.flatnonzero(plan.draw_calls == k + 1):
            parts.append(f"{steps.on_draw[j, 0]:+.6g} xi")
        level = f"{plan.alpha[k]:>11.6g} {plan.noise_std[k]:>11.6g}"
        lines.append(f"{k + 1:>5} {level}  {' '.join(parts)}")
    lines.append(f"{'end':>5} {plan.alpha[K]:>11.6g} {plan.noise_std[K]:>11.6g}")
    return "\n".join(lines)
