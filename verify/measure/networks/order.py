"""Whether one rate is above another, and whether rates fall along a sequence."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mixdyn.support.statistics import (
    POWER,
    VERDICT_MISS,
    Proportion,
    detectable_rate,
    log_order_tail,
)

from ...ledger.relations import Comparison, Outcome, Statistical, compare_rate
from .rates import Rates

_FIRST = 0.9  # of the probability of a wrong order, spent at the first of two looks


def compare_order(
    name: str, larger: Proportion, smaller: Proportion, miss: float = VERDICT_MISS
) -> Comparison:
    """Whether one true rate is above another: decided only if their intervals lie apart.

    Each interval misses with probability `miss` (Clopper-Pearson); the two counts may depend on
    each other: for others see `compare_independent`. The bound is the end of the smaller rate's
    interval that faces the larger one's; resolution: as in `Order.unseen`.
    """
    relation = Statistical("lower", miss)
    low, high = larger.interval(relation.miss)
    other_low, other_high = smaller.interval(relation.miss)
    outcome = Outcome.INCONCLUSIVE
    if low > other_high:
        outcome = Outcome.HOLDS
    elif high < other_low:
        outcome = Outcome.FAILS
    facing = other_high if larger.rate >= smaller.rate else other_low
    found = compare_rate(name, relation, larger, facing)
    excess = found.excess
    if excess is not None and outcome is Outcome.INCONCLUSIVE:
        excess = min(max(excess, -1.0), 1.0)  # beyond the other's interval, but on its wrong side
    seen = detectable_rate(high, smaller.trials, "upper", miss)
    resolution = None if seen is None else seen - larger.rate
    return dataclasses.replace(found, outcome=outcome, excess=excess, resolution=resolution)


@dataclass(frozen=True)
class Order(Statistical):
    """One rate is above another, of two independent counts, by Fisher's exact test: holds or fails
    only if so many of all successes would lie on its side with probability at most miss/2 were the
    rates equal. Two intervals that each miss as often take twice the samples to lie apart."""

    side: str = "lower"

    kind: ClassVar[str] = "order"

    def against(self, larger: Proportion, smaller: Proportion) -> float:
        """The evidence against the order over the evidence that decides."""
        ahead = larger.rate >= smaller.rate
        counts = (larger, smaller) if ahead else (smaller, larger)
        evidence = log_order_tail(*counts) / math.log(self.miss / 2.0)
        return -evidence if ahead else evidence

    def unseen(self, larger: Proportion, trials: int) -> float | None:
        """By how much a second rate, counted in so many trials, would have to lie above the first,
        as it was counted, to come out as `fails` with probability `POWER`; None where none does."""
        from mixdyn.support import laws

        least = bisect.bisect_left(
            range(trials + 1),
            True,
            lo=math.ceil(larger.rate * trials),
            key=lambda k: self.against(larger, Proportion(k, trials)) >= 1.0,
        )
        if least > trials:
            return None
        return laws.beta_quantile(POWER, least, trials - least + 1) - larger.rate

    def needed(self, larger: Proportion, ratio: float, most: int) -> int:
        """The fewest trials, at most so many, in which a rate `ratio` times smaller than the first
        is seen to be below it with probability `POWER`."""
        from mixdyn.support import laws

        def seen(trials: int) -> bool:
            hits = laws.binomial_quantile(POWER, trials, larger.rate / ratio)
            return self.against(larger, Proportion(hits, trials)) <= -1.0

        return bisect.bisect_left(range(1, most), True, key=seen) + 1


def trials_of_each(larger: Proportion, smaller: Proportion, most: int) -> int | None:
    """The fewest trials of each of two rates as they were counted, at most so many, in which their
    order comes out with probability `POWER`, about; None where that takes more.

    Both counts stand where each misses by as much as moves their difference to its quantile, were
    their variances alike.
    """
    from mixdyn.support import laws

    share = float(laws.normal_share(laws.normal_quantile(POWER) / math.sqrt(2.0)))
    relation = Order()

    def seen(n: int) -> bool:
        few = Proportion(laws.binomial_quantile(share, n, smaller.rate), n)
        many = Proportion(laws.binomial_quantile(1.0 - share, n, larger.rate), n)
        return relation.against(many, few) <= -1.0

    found = bisect.bisect_left(range(1, most + 1), True, key=seen) + 1
    return found if found <= most else None


def looks(larger: Proportion, ratio: float, most: int) -> list[tuple[int, float]]:
    """Sizes of a second count, at most so large, at which its order with the first is judged, each
    with the probability of a wrong one then, VERDICT_MISS together: where no success decides, at
    nine tenths of that, and, if that leaves it open, where a rate `ratio` times smaller is seen
    with probability `POWER`."""
    early, late = (Order(miss=share * VERDICT_MISS) for share in (_FIRST, 1.0 - _FIRST))
    first, last = early.needed(larger, math.inf, most), late.needed(larger, ratio, most)
    return [(first, early.miss), (last, late.miss)] if first < last else [(last, VERDICT_MISS)]


def compare_independent(
    name: str, larger: Proportion, smaller: Proportion, miss: float = VERDICT_MISS
) -> Comparison:
    """Whether one true rate is above another by `Order`; the two counts must be independent (no
    common noise)."""
    relation = Order(miss=miss)
    excess, outcome = relation.against(larger, smaller), Outcome.INCONCLUSIVE
    if abs(excess) >= 1.0:
        outcome = Outcome.FAILS if excess > 0.0 else Outcome.HOLDS
    return Comparison(
        name=name,
        relation=relation,
        measured=larger.rate,
        bound=smaller.rate,
        outcome=outcome,
        n=larger.trials,
        n_held=larger.trials - larger.successes,
        excess=excess,
        tightness=smaller.rate / larger.rate if larger.successes else None,
        interval=larger.interval(),
        resolution=relation.unseen(larger, smaller.trials),
    )


@dataclass(frozen=True)
class Trend:
    """A rate along a sequence: ends, its first against its last member, and every single step.

    A step counts against the trend where its comparison shows the contrary. One that this cannot
    decide does not show the trend either: `in_words` counts these.
    """

    ends: Comparison
    steps: tuple[Comparison, ...]

    @property
    def comparisons(self) -> list[Comparison]:
        """What a row that claims the trend from first to last is judged by."""
        return [self.ends, *(s for s in self.steps if s.outcome is Outcome.FAILS)]

    @property
    def undecided(self) -> list[Comparison]:
        """The steps that show neither the trend nor the contrary."""
        return [s for s in self.steps if s.outcome is Outcome.INCONCLUSIVE]

    def in_words(self, does: str = "fall", contrary: str = "rise") -> str:
        """How many steps are decided, and how large a contrary the others may hide."""
        shown = [s.name for s in self.steps if s.outcome is Outcome.HOLDS]
        text = f"Judged from the first to the last; of {len(self.steps)} single steps "
        text += f"{len(shown)} {does} beyond doubt"
        text += f" ({'; '.join(shown)})" if shown else ""
        if not self.undecided:
            return text + "."
        seen = [s.resolution for s in self.undecided if s.resolution is not None]
        text += f", {len(self.undecided)} are undecided: "
        if len(seen) < len(self.undecided):
            return text + f"at some of them no {contrary}, however large, would have been seen."
        least, most = (f"{100 * end:.2g}" for end in (min(seen), max(seen)))
        size = least if least == most else f"{least} to {most}"
        return text + f"only a {contrary} by {size} percentage points would have been seen."


def compare_fall(rates: Rates, names: Sequence[str]) -> Trend:
    """Whether the mean rate falls along samplers, from the first to the last of `names` and at
    every single step."""

    def above(here: str, there: str) -> Comparison:
        return compare_independent(f"{here} above {there}", rates.mean(here), rates.mean(there))

    steps = tuple(above(here, there) for here, there in itertools.pairwise(names))
    return Trend(above(names[0], names[-1]), steps)
