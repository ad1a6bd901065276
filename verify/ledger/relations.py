"""How a measured value must relate to a predicted one.

A relation is data: its kind, its tolerance and one comparison routine. `excess` is the violation
in units of the tolerance, so at most 1 means that the relation holds, and a mutant's excess says
by how much it was caught. Of a count it is the evidence against the bound in units of the evidence
that decides: below -1 it holds, above 1 it fails, between them nothing is decided. `resolution`
is the difference from the bound that would have been seen. NaN means that nothing can be said.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_nonnegative
from mixdyn.support.errors import InputError
from mixdyn.support.numbers import Log10, Number, nearest_double, number_from_log
from mixdyn.support.statistics import (
    VERDICT_MISS,
    Proportion,
    detectable_rate,
    log_binomial_tail,
    trials_to_tell,
)


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
    logarithms of positive numbers, and the tolerance is rtol * scale: a relative one, at any
    magnitude.
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
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = np.where(left == right, 0.0, left - right)  # also equal infinities
            return np.atleast_1d(self._violation(gap) / self.tolerance(right, scale))

    def tolerance(self, bound: ArrayLike, scale: ArrayLike = 1.0) -> Array:
        """The violation that is still taken for rounding, elementwise; relative with `log`."""
        right = np.asarray(bound, dtype=float)
        if self.log:
            return np.asarray(self.rtol * np.asarray(scale, dtype=float) * np.ones_like(right))
        size = np.where(np.isfinite(right), np.abs(right), 1.0)  # an infinite bound needs no slack
        return self.atol * np.asarray(scale) + self.rtol * size

    @abstractmethod
    def _violation(self, gap: Array) -> Array:
        """The violation from measured - bound."""

    def tightness(self, measured: float, bound: float) -> Number | None:
        """measured/bound, so that 1 is tight and small is loose; None where it means nothing."""
        if self.log:
            return None if math.isnan(measured - bound) else number_from_log(measured - bound)
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

    def tightness(self, measured: float, bound: float) -> Number | None:
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

    def tightness(self, measured: float, bound: float) -> Number | None:
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

    def excess(self, measured: Proportion, bound: float) -> float:
        """The evidence against the bound over the evidence that decides: log P/log(miss/2).

        P is the chance of a count as far on its side of the bound, were the bound the true rate;
        negative where that side agrees with the relation. Exactly +-1 at the ends of the interval.
        """
        k, n = measured.successes, measured.trials
        rate = min(max(bound, 0.0), 1.0)
        above = measured.rate > rate
        log_tail = log_binomial_tail(*((k, n, rate) if above else (n - k, n, 1.0 - rate)))
        sign = 1.0 if above == (self.side == "upper") else -1.0
        return sign * log_tail / math.log(self.miss / 2.0)

    def resolution(self, trials: int, bound: float) -> float | None:
        """How far beyond the bound a true rate must lie to come out as `fails` with probability
        `POWER`; None where no rate would."""
        rate = min(max(bound, 0.0), 1.0)
        found = detectable_rate(rate, trials, side=self.side, miss=self.miss)
        return None if found is None else abs(found - rate)

    def as_row(self) -> dict[str, Any]:
        """The relation as data of a ledger row."""
        return {"kind": self.kind, "symbol": self.symbol, "side": self.side, "miss": self.miss}


@dataclass(frozen=True)
class NotWorse:
    """Non-inferiority: one rate is at most `margin` times a reference, both counted.

    Decided by the first one's share of all successes of two independent counts, a binomial one
    given their sum where successes are rare (the conditional test of two Poisson counts,
    Przyborowski and Wilenski, Biometrika 31 (1940)): holds or fails only if the interval of that
    share that misses with probability `miss` lies on one side of what the margin makes of it.
    ratio : the sampler that must not pass; `needed` says with how many samples it fails.
    """

    margin: float = 2.0
    ratio: float = 3.0
    miss: float = VERDICT_MISS

    kind: ClassVar[str] = "not worse"

    def __post_init__(self) -> None:
        if not 1.0 <= self.margin < self.ratio < math.inf:
            raise InputError(
                "a margin is at least 1 and below the ratio that must be seen",
                (self.margin, self.ratio),
                "Twice the reference, against three times, is usual.",
            )

    @property
    def symbol(self) -> str:
        """The sign between the rate and the reference's."""
        return f"≤ {self.margin:g} ×"

    def share(self, ratio: float, trials: float, reference: float) -> float:
        """The expected share of all successes that are the first sampler's at a ratio of rates;
        trials, reference: the numbers of samples, or their proportion."""
        return ratio * trials / (ratio * trials + reference)

    def needed(self, reference: Proportion, per_sample: float = 1.0) -> int | None:
        """Samples of the reference, with `per_sample` times as many of the other, with which
        `ratio` times the observed reference rate fails with probability `POWER`; None where the
        reference had no success."""
        if reference.successes == 0:
            return None
        edge, beyond = (self.share(r, per_sample, 1.0) for r in (self.margin, self.ratio))
        events = trials_to_tell(edge, beyond, self.miss)
        return math.ceil(events / (reference.rate * (self.ratio * per_sample + 1.0)))

    def as_row(self) -> dict[str, Any]:
        """The relation as data of a ledger row."""
        facts = {"margin": self.margin, "ratio": self.ratio, "miss": self.miss}
        return {"kind": self.kind, "symbol": self.symbol, **facts}


AnyRelation = Relation | Statistical | NotWorse


@dataclass(frozen=True)
class Comparison:
    """One measured side against one predicted side, at the worst of `n` points.

    n_held: the points at which the relation holds; of a counted rate, the trials without success.
    index: the worst point's place among the points compared. excess: the violation there in units
    of the tolerance. interval: the displayed 95 % interval of a counted rate. resolution: the
    difference from the bound that would have come out as `fails`, with certainty where there is a
    tolerance (a relative one of logarithms), with probability `POWER` for a count; None where no
    difference would.
    """

    name: str
    relation: AnyRelation
    measured: Number
    bound: Number
    outcome: Outcome
    n: int
    n_held: int
    index: int = 0
    excess: float | None = None
    tightness: Number | None = None
    interval: tuple[float, float] | None = None
    resolution: float | None = None

    def as_row(self) -> dict[str, Any]:
        """The comparison as data of a ledger row."""
        return {
            "name": self.name,
            "relation": self.relation.as_row(),
            "measured": self.measured,
            "bound": self.bound,
            "outcome": self.outcome,
            "excess": self.excess,
            "resolution": self.resolution,
            "n": self.n,
            "n_held": self.n_held,
        }


def either_way(lenient: Comparison, strict: Comparison, shown: Comparison) -> Comparison:
    """A statement at a level that is only known to lie between two: it fails at the lenient one or
    holds at the strict one, else the comparison that is shown is undecided."""
    if lenient.outcome is Outcome.FAILS:
        return lenient
    if strict.outcome is Outcome.HOLDS:
        return strict
    excess = min(max(float(shown.excess or 0.0), -1.0), 1.0)
    return replace(shown, outcome=Outcome.INCONCLUSIVE, excess=excess)


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
        resolution=float(relation.tolerance(b, size[worst])),
    )


def compare_rate(
    name: str, relation: Statistical, measured: Proportion, bound: Number
) -> Comparison:
    """Compare the true rate behind a count with a bound, which may lie beyond the doubles."""
    edge = nearest_double(bound)
    ratio = (measured.rate, edge) if relation.side == "upper" else (edge, measured.rate)
    return Comparison(
        name=name,
        relation=relation,
        measured=measured.rate,
        bound=bound,
        outcome=relation.outcome(measured, edge),
        n=measured.trials,
        n_held=measured.trials - measured.successes,
        excess=relation.excess(measured, edge),
        tightness=_ratio(*ratio),
        interval=measured.interval(),
        resolution=relation.resolution(measured.trials, edge),
    )


def compare_not_worse(
    name: str, measured: Proportion, reference: Proportion, relation: NotWorse | None = None
) -> Comparison:
    """Compare the true rate behind a count with a multiple of another's; the counts must be
    independent (no common noise).

    `bound` is the margin times the reference's rate, `resolution` in the units of the rates at the
    reference's observed rate.
    """
    rule = relation or NotWorse()
    successes = measured.successes + reference.successes
    edge = rule.share(rule.margin, measured.trials, reference.trials)
    outcome, excess, resolution = Outcome.INCONCLUSIVE, 0.0, None
    if successes:
        share = Proportion(measured.successes, successes)
        test = Statistical("upper", rule.miss)
        outcome, excess = test.outcome(share, edge), test.excess(share, edge)
        seen = detectable_rate(edge, successes, miss=rule.miss)
        if seen is not None and seen < 1.0 and reference.successes:
            ratio = seen / (1.0 - seen) * reference.trials / measured.trials
            resolution = (ratio - rule.margin) * reference.rate
    return Comparison(
        name=name,
        relation=rule,
        measured=measured.rate,
        bound=rule.margin * reference.rate,
        outcome=outcome,
        n=measured.trials + reference.trials,
        n_held=measured.trials + reference.trials - successes,
        excess=excess,
        tightness=_ratio(measured.rate, rule.margin * reference.rate),
        interval=measured.interval(),
        resolution=resolution,
    )
