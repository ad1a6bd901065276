"""Order and floor of a sampler, from its errors at small numbers of steps, before they are lost in
rounding: measured here, kept in a row, and judged by one rule when the page is written."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np

from ...affine.drivers import driver_of
from ...affine.gaussian import off_flow, power_law
from ...affine.impulses import transcribe
from ...affine.plan import Plan
from ...support.errors import MixdynError
from ..card import Card
from ..measuring import Guarded

# Three doublings each, the finest first: on a table of 1000 times 5 to 40 and 25 to 200 divide it.
# The first is for those that do not settle before.
WINDOWS = (
    (50, 100, 200, 400),
    (25, 50, 100, 200),
    (20, 40, 80, 160),
    (10, 20, 40, 80),
    (5, 10, 20, 40),
)
_MOST_CALLS = 1300
AGREE = 0.1  # relative: of the slopes of two neighbouring doublings
_NONE = 0.1  # a slope that is no fall
_ROUNDINGS = 100.0  # of the sampler's arithmetic: a change below it is not told from rounding


class Unsettled(StrEnum):
    """Why no order is told."""

    FAILS = "fails"
    ROUNDS = "rounds"
    TURNS = "turns"
    DRIFTS = "drifts"
    SAMPLED = "sampled"
    NOT_RUN = "–"


@dataclasses.dataclass(frozen=True)
class Order:
    """error = floor + C evaluations^-order, between `calls` evaluations."""

    order: float
    floor: float
    calls: tuple[int, int]


def ladder(spec: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """{"steps", "calls", "error", each a list, and "rounding"}: errors of the spread 0.2 against
    the exact flow to the sampler's last level, with all their digits."""
    counts = sorted({steps for window in WINDOWS for steps in window})
    found: dict[str, Any] = {"steps": [], "calls": [], "error": [], "rounding": 0.0}
    for steps in counts:
        if steps == counts[-1] and isinstance(settled(found), Order):
            break
        try:
            plan: Plan = transcribe(Guarded(driver_of(spec, steps, settings)))
            error = float(off_flow(plan, np.array([Card.order_at]))[0])
        except MixdynError:
            continue
        if not math.isfinite(error):
            continue
        for name, value in (("steps", steps), ("calls", plan.calls), ("error", error)):
            found[name].append(value)
        found["rounding"] = max(found["rounding"], float(f"{plan.rounding:.2g}"))
        if plan.calls > 0.5 * _MOST_CALLS:
            break
    return found


def settled(rungs: Mapping[str, Any] | None) -> Order | Unsettled:
    """The order where two neighbouring doublings agree on it: the powers by which what a doubling
    changes falls, through counts n, 2n, 4n and 2n, 4n, 8n, differ by less than 10 %. The finest
    such window counts; without one the reason is that of the finest that all ran."""
    if rungs is None:
        return Unsettled.NOT_RUN
    at = {
        s: (n, e) for s, n, e in zip(*(rungs[k] for k in ("steps", "calls", "error")), strict=True)
    }
    why = Unsettled.FAILS
    for window in WINDOWS:
        if not all(steps in at for steps in window):
            continue
        n, error = np.array([at[steps] for steps in window], dtype=float).T
        found = _of(n, error, rungs["rounding"])
        if isinstance(found, Order):
            return found
        if why in (Unsettled.FAILS, Unsettled.ROUNDS):
            why = found
    return why


def _of(n: Any, error: Any, rounding: float) -> Order | Unsettled:
    """Of one window."""
    change = -np.diff(error)
    if np.abs(change).min() < _ROUNDINGS * max(rounding, np.finfo(float).eps):
        return Unsettled.ROUNDS
    if not (change / change[0] > 0.0).all():
        return Unsettled.TURNS
    (before, _), (order, floor) = (power_law(n[k : k + 3], error[k : k + 3]) for k in (0, 1))
    if not (order > _NONE and abs(before - order) <= AGREE * order):
        return Unsettled.DRIFTS
    return Order(order, floor, (int(n[0]), int(n[-1])))
