"""What another model costs on a plan's paths, in nats.

Where every input after the start has a draw of its own, two models that share the noise move the
inputs apart by E (o - o'), and the draws that the second would have needed by N^-1 of that: the log
likelihood ratio of the paths has mean

    KL = 1/2 E sum_k |(N^-1 E (o - o'))_k|^2

over the first model's paths. By data processing it bounds how far any event of those inputs can be
likelier under the first model than under the second. An input without a draw of its own tells the
two apart at once, so the paths end before it, and a deterministic plan has no such price.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from ..problem.noise import Seed, Stream, resolve_seed, standard_normals
from ..problem.schedule import NoiseSchedule
from ..samplers.step import Rows
from ..score.protocol import model_for
from ..support.checks import Array, check_integer, check_memory
from ..support.errors import InputError, NotApplicableError
from .predictions import in_eps
from .stepper import PlanRun

if TYPE_CHECKING:
    from .plan import Plan

_BYTES = 2e9


@dataclasses.dataclass(frozen=True, eq=False)
class PathPrice:
    """nats : KL of the model's path law from the reference's, an estimate with standard error
    `error`. by_draw (M,) : what each of the M draws adds. cost (n,) : of each path. last : the
    input that the paths end with, counted from 0; K is the plan's end."""

    nats: float
    error: float
    by_draw: Array
    cost: Array
    last: int


def noisy_inputs(plan: Plan) -> tuple[int, int]:
    """(first, last) of the inputs, one after the other, that each have a new draw, and one.

    Raises NotApplicableError for a plan whose second input has none.
    """
    used = np.flatnonzero(plan.noises.any(axis=0))
    first = np.argmax(plan.noises[:, used] != 0.0, axis=0)
    if len(used) == 0:
        raise NotApplicableError(
            "a price in nats needs noise in the steps",
            f"{plan!r}",
            "A deterministic sampler has none: the score error alone bounds nothing there.",
        )
    in_turn = np.flatnonzero(first != first[0] + np.arange(len(first)))
    count = int(in_turn[0]) if len(in_turn) else len(first)
    doubled = count < len(first) and first[count] == first[0] + count - 1
    if first[0] > 1 or doubled:
        where = int(first[0]) if first[0] > 1 else int(first[count])
        fault = f"two draws in input {where}" if doubled else f"none before input {where}"
        raise NotApplicableError(
            "a price in nats needs one new draw in each input after the start",
            f"{fault} of {plan!r}",
            "Its paths have no density against another model's.",
        )
    return int(first[0]), int(first[0]) + count - 1


def path_price(
    plan: Plan,
    model: Any,
    reference: Any,
    schedule: NoiseSchedule,
    n: int,
    rng: Seed,
    d: int | None = None,
) -> PathPrice:
    """See `Plan.price`."""
    begin, last = noisy_inputs(plan)
    runs = [
        PlanRun(plan, model_for(m, schedule), schedule, plan.grid(schedule))
        for m in (model, reference)
    ]
    width = next((int(w) for m in (model, reference) if (w := getattr(m, "d", None))), d)
    if width is None:
        raise InputError("a price needs the dimension", "models without an attribute d", "Pass d=.")
    count = check_integer(n, "n", 2)
    calls, remedy = min(last, plan.calls), "Ask for fewer paths, n."
    check_memory(24.0 * calls * count * width, _BYTES, "the paths of a price", remedy)
    gaps = _gaps(runs, calls, (count, width), resolve_seed(rng))
    inputs, used = slice(begin, last + 1), np.flatnonzero(plan.noises.any(axis=0))
    draws = plan.noises[inputs, used[: last + 1 - begin]]
    from scipy.linalg import solve_triangular

    moved = plan.outputs[inputs, :calls] @ gaps.reshape(calls, -1)
    needed = solve_triangular(draws, moved, lower=True).reshape(-1, count, width)
    each = 0.5 * np.square(needed).sum(axis=2)
    cost = each.sum(axis=0)
    error = float(cost.std(ddof=1) / np.sqrt(count))
    return PathPrice(float(cost.mean()), error, each.mean(axis=1), cost, last)


def _gaps(runs: list[PlanRun], calls: int, shape: tuple[int, int], seed: int) -> Array:
    """(calls, n, d): the first model's outputs less the second's along the first one's paths."""
    own, other = runs
    plan = own.plan
    _, h = in_eps(plan.predicts, plan.alpha[:-1], plan.noise_std[:-1])
    if not np.isfinite(h[:calls]).all():
        k = int(np.argmin(np.isfinite(h[:calls])))
        raise NotApplicableError(
            "a price in nats compares predictions of the noise, at levels with signal",
            f"call {k + 1} at alpha = {plan.alpha[k]:.3g}",
            "Begin one call later.",
        )
    rows, times = Rows(0, seed), own.grid.times.tolist()
    x = standard_normals(seed, *shape, times[0], stream=Stream.START)
    if own.begin is not None:
        own.begin(x, rows)
    gaps = np.empty((calls, *shape))
    for k in range(calls):
        eps = own.eps(x, times[k])
        gaps[k] = h[k] * (eps - other.eps(x, times[k]))
        own.advance(x, eps, k, rows)
    return gaps
