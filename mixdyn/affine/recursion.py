"""A plan step by step: each input from the last few, at a cost that does not grow with the calls.

The matrix says what every earlier output and draw is to an input. Most samplers look back a few
calls only: to rounding

    u_{k+1} = sum_{i <= H} (a_ki u_{k-i} + b_ki o_{k-i} + the draws of that step).

Where H is least is found row by row: everything older must be in u_k, or in the last H + 1 inputs,
alone. Step k then adds its share to each of the next 1 + H inputs (`Recursion`), and H partial sums
are all that is remembered.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from ..support.checks import Array, IntArray
from ..support.errors import NotApplicableError

if TYPE_CHECKING:
    from .plan import Plan

_ROUNDING = 1e-12  # of the largest coefficient: what counts as nothing
_MOST_INPUTS = 8  # that a combination of inputs is looked for among


@dataclasses.dataclass(frozen=True, eq=False)
class Recursion:
    """on_state[k, i] u_k + on_output[k, i] o_k, each array (K, 1 + H), is what step k adds to
    u_{k+1+i}, and on_draw[j, i] xi_j, (D, 1 + H), what draw j does, which belongs to step steps[j];
    -1 for draws before the first call, which are in the first input."""

    on_state: Array
    on_output: Array
    on_draw: Array
    steps: IntArray

    @property
    def memory(self) -> int:
        """H: how many partial sums a state carries along."""
        return self.on_state.shape[1] - 1


def recursion(plan: Plan) -> Recursion:
    """The recursion of a plan with the shortest memory, row by row.

    Raises NotApplicableError where x_T comes in after the first input.
    """
    K, terms = plan.calls, [_terms(plan, k) for k in range(plan.calls)]
    memory = max(len(term) - 1 for term in terms)
    steps = plan.draw_calls - 1
    on_state, on_output = np.zeros((2, K, 1 + memory))
    on_draw = np.zeros((plan.draws, 1 + memory))
    for k, term in enumerate(terms):
        recent = np.arange(k, k - len(term), -1)
        rest = plan.matrix[k + 1] - term @ plan.matrix[recent]
        lags = np.arange(len(term))
        on_state[recent, lags] = term
        on_output[recent, lags] = rest[1 + recent]
        drawn = np.flatnonzero((steps > k - len(term)) & (steps <= k) & (steps >= 0))
        on_draw[drawn, k - steps[drawn]] = rest[1 + K + drawn]
    return Recursion(on_state, on_output, on_draw, steps)


def _terms(plan: Plan, k: int) -> Array:
    """(1 + H,) coefficients of u_k, u_{k-1}, ... in u_{k+1} such that what is older than the last
    H + 1 calls is in them alone, for the least H."""
    target = plan.matrix[k + 1]
    nothing = max(_ROUNDING, 30.0 * plan.rounding) * np.abs(target).max()
    for H in range(k + 1):
        old = _old(plan, k - H)
        wanted = target[old]
        for count in dict.fromkeys((1, H + 1 if H < _MOST_INPUTS else 1)):
            inputs = plan.matrix[k - np.arange(count)][:, old]
            found = np.linalg.lstsq(inputs.T, wanted, rcond=None)[0]
            if np.abs(wanted - found @ inputs).max() <= nothing:
                return np.concatenate([found, np.zeros(H + 1 - count)])
    raise NotApplicableError(
        "a plan that runs has x_T in its first input, and from there alone",
        f"x_T in the input of call {k + 2} but for {plan.start[0]:.3g} of it in the first",
        "Sample from the library itself.",
    )


def _old(plan: Plan, calls: int) -> IntArray:
    """Columns of the start, of the first `calls` outputs and of the draws till then."""
    draws = int(np.searchsorted(plan.draw_calls, max(calls, 0), side="right"))
    return np.concatenate([np.arange(1 + max(calls, 0)), 1 + plan.calls + np.arange(draws)])
