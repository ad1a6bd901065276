"""How a measured value must relate to a predicted one.

A relation is data: its kind, its tolerance and one comparison routine. `excess` is the violation
in units of the tolerance, so at most 1 means that the relation holds, and a mutant's excess says
by how much it was caught. NaN means that nothing can be said.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.errors import InputError
from mixdyn.statistics import VERDICT_MISS, Proportion
from mixdyn.validation import Array, check_nonnegative

from .quantities import Log10, Number


class Outcome(StrEnum):
    """What a check found. It says nothing about the kind of evidence: that is the basis."""

    HOLDS = "holds"
    FAILS = "fails"
    VACUOUS = "vacuous"
    NOT_APPLICABLE = "not applicable"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


@dataclass(frozen=True)
class Relation(ABC):
    """A kind of comparison with its tolerance.

    The tolerance of a point is atol * scale + rtol * |bound|. With `log` the two sides are natural
    logarithms of positive numbers, and the tolerance is rtol: a relative one, at any magnitude.
    """

    rtol: float = 0.0
    atol: float = 0.0
    log: bool = False

    kind: ClassVar[str]
    symbol: ClassVar[str]

    def __post_init__(self) -> None:
        check_nonnegative(self.rtol, "rtol")
        check_nonnegative(self.atol, "atol")
        if (self.rtol if self.log else self.rtol + self.atol) <= 0.0:
            raise InputError(
                "a relation needs a tolerance > 0 (rtol when it compares logarithms)",
                self,
                "State the rounding error of the two sides.",
            )

    def excess(self, measured: ArrayLike, bound: ArrayLike, scale: ArrayLike = 1.0) -> Array:
        """Violation in units of the tolerance, elementwise: at most 1 where the relation holds."""
        left, right = np.asarray(measured, dtype=float), np.asarray(bound, dtype=float)
        size = np.where(np.isfinite(right), np.abs(right), 1.0)  # an infinite bound needs no slack
        absolute = self.atol * np.asarray(scale)
        tolerance = self.rtol if self.log else absolute + self.rtol * size
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = np.where(left == right, 0.0, left - right)  # also equal infinities
            return np.atleast_1d(self._violation(gap) / tolerance)

    @abstractmethod
    def _violation(self, gap: Array) -> Array:
        """The violation from measured - bound."""

    def tightness(self, measured: float, bound: float) -> float | None:
        """measured/bound, so that 1 is tight and small is loose; None where it means nothing."""
        if self.log:
            return math.exp(min(measured - bound, 700.0))
        return _ratio(measured, bound)

    def as_row(self) -> dict[str, Any]:
        """The relation as data of a ledger row."""
        tolerance = {"rtol": self.rtol, "atol": self.atol, "log": self.log}
        return {"kind": self.kind, "symbol": self.symbol, **tolerance}


def _ratio(numerator: float, denominator: float) -> float | None:
    if denominator == 0.0 or not (math.isfinite(numerator) and math.isfinite(denominator)):
        return None
    return numerator / denominator


class Equality(Relation):
    """measured = bound."""

    kind, symbol = "equality", "="

    def _violation(self, gap: Array) -> Array:
        return np.abs(gap)

    def tightness(self, measured: float, bound: float) -> float | None:
        """None: an equality has no slack to speak of."""
        return None


class Upper(Relation):
    """measured <= bound."""

    kind, symbol = "upper", "≤"

    def _violation(self, gap: Array) -> Array:
        return gap


class Lower(Relation):
    """measured >= bound."""

    kind, symbol = "lower", "≥"

    def _violation(self, gap: Array) -> Array:
        return -gap

    def tightness(self, measured: float, bound: float) -> float | None:
        """bound/measured."""
        return super().tightness(bound, measured)


class Rate(Equality):
    """A fitted exponent or order equals the predicted one to within atol."""

    kind, symbol = "rate", "≈"


@dataclass(frozen=True)
class Statistical:
    """The true rate behind a count is at most (upper) or at least (lower) a bound.

    Decided by the Clopper-Pearson interval that misses with probability `miss`: holds or fails
    only if the whole interval lies on one side of the bound.
    """

    side: str = "upper"
    miss: float = VERDICT_MISS

    kind: ClassVar[str] = "statistical"

    def __post_init__(self) -> None:
        if self.side not in ("upper", "lower"):
            raise InputError("side is 'upper' or 'lower'", self.side, "Choose one.")

    @property
    def symbol(self) -> str:
        """The sign between the true rate and the bound."""
        return "≤" if self.side == "upper" else "≥"

    def outcome(self, measured: Proportion, bound: float) -> Outcome:
        """The one comparison routine of counts."""
        low, high = measured.interval(self.miss)
        below, above = high <= bound, low >= bound
        if self.side == "lower":
            below, above = above, below
        if below:
            return Outcome.HOLDS
        return Outcome.FAILS if above else Outcome.INCONCLUSIVE

    def as_row(self) -> dict[str, Any]:
        """The relation as data of a ledger row."""
        return {"kind": self.kind, "symbol": self.symbol, "side": self.side, "miss": self.miss}


@dataclass(frozen=True)
class Comparison:
    """One measured side against one predicted side, at the worst of `n` points.

    n_held: the points at which the relation holds; of a counted rate, the trials without success.
    index: the worst point's place among the points compared. excess: the violation there in units
    of the tolerance. interval: the displayed 95 % interval of a counted rate.
    """

    name: str
    relation: Relation | Statistical
    measured: Number
    bound: Number
    outcome: Outcome
    n: int
    n_held: int
    index: int = 0
    excess: float | None = None
    tightness: float | None = None
    interval: tuple[float, float] | None = None

    def as_row(self) -> dict[str, Any]:
        """The comparison as data of a ledger row."""
        return {
            "name": self.name,
            "relation": self.relation.as_row(),
            "measured": self.measured,
            "bound": self.bound,
            "outcome": self.outcome,
            "excess": self.excess,
            "n": self.n,
            "n_held": self.n_held,
        }


def compare(
    name: str,
    relation: Relation,
    measured: ArrayLike,
    bound: ArrayLike,
    *,
    scale: ArrayLike = 1.0,
) -> Comparison:
    """Compare arrays elementwise (they broadcast) and keep the point of the largest excess.

    A NaN anywhere makes the comparison inconclusive at that point, unless another point fails.
    """
    sides = np.broadcast_arrays(*(np.asarray(side, float) for side in (measured, bound, scale)))
    left, right, size = (np.atleast_1d(side).ravel() for side in sides)
    if left.size == 0:
        raise InputError("a comparison needs at least one point", name, "Report not applicable.")
    excess = relation.excess(left, right, size)
    unknown = np.isnan(excess)
    worst = int(np.nanargmax(excess)) if not unknown.all() else 0
    if excess[worst] > 1.0:
        outcome = Outcome.FAILS
    elif unknown.any():
        worst, outcome = int(np.argmax(unknown)), Outcome.INCONCLUSIVE
    else:
        outcome = Outcome.HOLDS
    m, b = float(left[worst]), float(right[worst])
    wrap: Callable[[float], Number] = Log10.from_log if relation.log else float
    return Comparison(
        name=name,
        relation=relation,
        measured=wrap(m),
        bound=wrap(b),
        outcome=outcome,
        n=left.size,
        n_held=int(np.count_nonzero(excess <= 1.0)),
        index=worst,
        excess=float(excess[worst]),
        tightness=relation.tightness(m, b),
    )


def compare_rate(
    name: str, relation: Statistical, measured: Proportion, bound: float
) -> Comparison:
    """Compare the true rate behind a count with a bound."""
    ratio = (measured.rate, bound) if relation.side == "upper" else (bound, measured.rate)
    return Comparison(
        name=name,
        relation=relation,
        measured=measured.rate,
        bound=bound,
        outcome=relation.outcome(measured, bound),
        n=measured.trials,
        n_held=measured.trials - measured.successes,
        tightness=_ratio(*ratio),
        interval=measured.interval(),
    )
