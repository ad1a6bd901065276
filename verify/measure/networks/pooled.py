"""What counts on a few networks say of a further one.

Counts of several networks add up to a rate of their mean, and its Clopper-Pearson interval is over
samples: it covers the mean of these networks and no other. Another training seed gives another
network, whose rate strays by what training strays. That is seen only between networks: the range
over them, the chi-square of their counts, and Student's interval over training seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mixdyn.support.checks import Array
from mixdyn.support.numbers import show_share
from mixdyn.support.statistics import DISPLAY_MISS, POWER, Proportion, heterogeneity

from ...ledger.relations import Comparison, Outcome, Statistical
from ...ledger.verdict import Table

SEED_MISS = 0.01  # at 1e-6 three seeds a side would have to differ by 40 standard errors
LEAST_SEEDS = 3
MEAN_ONLY = (
    "Intervals of pooled counts cover the mean share of these networks, not the share of another."
)
Shares = Mapping[str, Sequence[Proportion]]


# -- several networks under one sampler ----------------------------------------------------------


def variation_table(shares: Shares) -> Table:
    """Per quantity its mean over the networks with the 95 % interval of the pooled counts, the
    range over the networks, and whether their counts can share one rate.

    shares: for each quantity one proportion a network, of independent samples.
    """
    rows: list[list[float | str | None]] = []
    for name, parts in shares.items():
        rates = [p.rate for p in parts]
        pooled = Proportion.pooled(parts)
        ends = *pooled.interval(), min(rates), max(rates)
        rows.append([name, len(parts), pooled.rate, *ends, *_chi_square(parts)])
    columns = (
        *("share", "networks", "pooled", "from", "to", "least network", "largest network"),
        *("chi-square", "degrees", "p"),
    )
    return Table(
        "Between the networks: another one lies outside the pooled interval", columns, rows
    )


def _chi_square(parts: Sequence[Proportion]) -> list[float | int | None]:
    if len(parts) < 2:
        return [None, None, None]
    return list(heterogeneity([p.successes for p in parts], [p.trials for p in parts]))


def variation_note(shares: Shares) -> str:
    """In a sentence, which of the pooled quantities differ between the networks beyond chance."""
    several = {name: parts for name, parts in shares.items() if len(parts) > 1}
    if not several:
        return "One network: how much another would differ is unknown."
    differ = []
    for name, parts in several.items():
        chi_square, degrees, p = _chi_square(parts)
        if p is not None and p < SEED_MISS:
            rates = [part.rate for part in parts]
            span = f"{show_share(min(rates), 2)} to {show_share(max(rates), 2)}"
            differ.append(f"{name} ({span}, chi-square {chi_square:.3g} on {degrees})")
    words = f"The networks differ beyond chance in {'; '.join(differ)}." if differ else ""
    return f"{MEAN_ONLY} {words}".strip()


# -- two sets of training seeds ------------------------------------------------------------------


@dataclass(frozen=True)
class OverSeeds(Statistical):
    """The mean rate of networks over their training seeds is at most another set's.

    Decided by Student's interval, with Welch's degrees of freedom, of the difference of the mean
    logarithms, which misses with probability `miss`: holds or fails only if it lies on one side of
    0, and never with fewer than three seeds a side, whose variation is unknown or nearly so.
    """

    miss: float = SEED_MISS

    kind: ClassVar[str] = "over seeds"


def compare_over_seeds(
    name: str, smaller: Sequence[float], larger: Sequence[float], miss: float = SEED_MISS
) -> Comparison:
    """Whether the rates `smaller` (m,) lie below the rates `larger` (n,), one a training seed; all
    are positive.

    measured: the ratio of their geometric means, bound: 1. excess: Student's t over the value that
    decides. resolution: the excess of the ratio over 1 that would have come out as `fails` with
    probability `POWER`, by the noncentral t at the observed spread. Source: Welch, Biometrika 34
    (1947).
    """
    relation = OverSeeds("upper", miss)
    low, high = (np.log(np.asarray(rates, dtype=float)) for rates in (smaller, larger))
    pairs = low[:, None] - high
    found = Comparison(
        name=name,
        relation=relation,
        measured=math.exp(low.mean() - high.mean()),
        bound=1.0,
        outcome=Outcome.INCONCLUSIVE,
        n=pairs.size,
        n_held=int((pairs < 0.0).sum()),
        excess=0.0,
        tightness=math.exp(low.mean() - high.mean()),
    )
    if min(len(low), len(high)) < LEAST_SEEDS:
        return found
    return _student(found, low, high, miss)


def _student(found: Comparison, low: Array, high: Array, miss: float) -> Comparison:
    """The comparison decided by Student's interval of the difference of two means."""
    from scipy.special import nctdtrinc

    from mixdyn.support import laws

    parts = [values.var(ddof=1) / len(values) for values in (low, high)]
    error = math.sqrt(sum(parts))
    if error == 0.0:
        return found
    shares = [p**2 / (len(v) - 1) for p, v in zip(parts, (low, high), strict=True)]
    degrees = error**4 / sum(shares)
    gap = float(low.mean() - high.mean())
    deciding = float(laws.student_upper(miss / 2.0, degrees))
    shown = float(laws.student_upper(DISPLAY_MISS / 2.0, degrees)) * error
    excess = gap / (error * deciding)
    outcome = found.outcome
    if abs(excess) > 1.0:
        outcome = Outcome.FAILS if excess > 0.0 else Outcome.HOLDS
    return replace(
        found,
        outcome=outcome,
        excess=excess,
        interval=(math.exp(gap - shown), math.exp(gap + shown)),
        resolution=math.expm1(float(nctdtrinc(degrees, 1.0 - POWER, deciding)) * error),
    )
