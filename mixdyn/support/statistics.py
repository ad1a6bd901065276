"""Intervals for rates, and how many samples a rate needs.

Every interval is Clopper-Pearson's: its probability of missing the true rate is at most `miss`,
half on each side, for every rate and every number of trials. `miss` is passed instead of the
confidence 1 - miss, because 1 - 1e-17 is 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .checks import Array, IntArray, check_integer, check_positive
from .errors import InputError

VERDICT_MISS = 1e-6
DISPLAY_MISS = 0.05
VERDICT_STDS = 5.0  # standard errors that a mean may be off: beyond with probability 5.7e-7
DISPLAY_STDS = 1.96  # standard errors of an interval that misses with probability 0.05
POWER = 0.9  # chance with which a difference said to be visible would have been seen
_TAIL_TERMS = 50_000
_FEWEST_FOR_TAIL = 100


@dataclass(frozen=True)
class Proportion:
    """A count of successes among independent trials."""

    successes: int
    trials: int

    def __post_init__(self) -> None:
        check_integer(self.trials, "trials", 1)
        check_integer(self.successes, "successes", 0, self.trials)

    @classmethod
    def pooled(cls, parts: Sequence[Proportion]) -> Proportion:
        """The count of all parts (one or more) together."""
        return cls(sum(p.successes for p in parts), sum(p.trials for p in parts))

    @property
    def rate(self) -> float:
        """The maximum-likelihood estimate successes/trials."""
        return self.successes / self.trials

    def interval(self, miss: float = DISPLAY_MISS) -> tuple[float, float]:
        """See :func:`clopper_pearson`."""
        return clopper_pearson(self.successes, self.trials, miss)


def standard_error(values: ArrayLike, axis: int = -1) -> Array:
    """Of the mean of two or more independent values along an axis; NaN of one alone."""
    array = np.asarray(values, float)
    return np.asarray(array.std(axis=axis, ddof=1) / math.sqrt(array.shape[axis]))


def systematic(weights: ArrayLike, n: int, rng: np.random.Generator) -> IntArray:
    """n places of weights (m,) >= 0, in order, (n,): evenly spaced points on the cumulative weights
    from one uniform. Each as often as its weight says, to one draw; unbiased."""
    above = np.cumsum(np.asarray(weights, float))
    marks = (np.arange(n) + rng.random()) / n * above[-1]
    return np.minimum(np.searchsorted(above, marks), len(above) - 1)


def pareto_shape(log_values: ArrayLike) -> float:
    """Exponent k of the generalised Pareto law of the largest of positive values, given as their
    logarithms (n,): moments from 1/k on are infinite. NaN for fewer than 100 values.

    Of the largest min(n/5, 3 sqrt n), by the posterior mean of Zhang and Stephens 2009, drawn
    towards 1/2 by ten values, as in arXiv 1507.02646.
    """
    log = np.sort(np.asarray(log_values, float))
    if len(log) < _FEWEST_FOR_TAIL or log[-1] == -np.inf:
        return math.nan
    count = int(min(len(log) / 5, 3.0 * math.sqrt(len(log))))
    values = np.exp(log[-count - 1 :] - log[-1])
    beyond = (values[1:] - values[0])[values[1:] > values[0]]
    n = len(beyond)
    if n < 2:
        return 0.0
    points = 30 + int(math.sqrt(n))
    quarter = beyond[int(n / 4 + 0.5) - 1]
    at = 1.0 / beyond[-1] + (1.0 - np.sqrt(points / (np.arange(points) + 0.5))) / (3.0 * quarter)
    shape = np.log1p(-at[:, None] * beyond).mean(axis=1)
    likelihood = n * (np.log(-at / shape) - shape - 1.0)
    weight = np.exp(likelihood - likelihood.max())
    found = float(np.log1p(-float(at @ weight / weight.sum()) * beyond).mean())
    return (n * found + 5.0) / (n + 10.0)


def _check_miss(miss: float) -> float:
    value = check_positive(miss, "miss")
    if value >= 1.0:
        raise InputError("miss must be below 1", miss, "A 95 % interval has miss = 0.05.")
    return value


def clopper_pearson(successes: int, trials: int, miss: float = DISPLAY_MISS) -> tuple[float, float]:
    """Two-sided interval for a rate, missing it with probability at most `miss` in (0, 1).

    Source: Clopper and Pearson, Biometrika 26 (1934); quantiles of the beta distribution.
    """
    n = check_integer(trials, "trials", 1)
    k = check_integer(successes, "successes", 0, n)
    log_tail = math.log(_check_miss(miss) / 2)
    # The two ends at which the beta quantile is elementary, to full relative accuracy.
    none, every = -math.expm1(log_tail / n), math.exp(log_tail / n)
    if k == 0:
        return 0.0, none
    if k == n:
        return every, 1.0
    from . import laws

    tail = math.exp(log_tail)
    return laws.beta_quantile(tail, k, n - k + 1), laws.beta_upper(tail, k + 1, n - k)


def log_binomial_tail(successes: int, trials: int, rate: float) -> float:
    """log P(X >= successes) for X binomial(trials, rate), rate in [0, 1]."""
    n = check_integer(trials, "trials", 1)
    k = check_integer(successes, "successes", 0, n)
    if not 0.0 <= rate <= 1.0:
        raise InputError("rate must lie in [0, 1]", rate, "Pass a probability.")
    if k == 0:
        return 0.0
    from scipy.special import logsumexp

    from . import laws

    tail = laws.binomial_tail(k - 1, n, rate)
    if tail > 0.0 or rate == 0.0:
        return math.log(tail) if tail > 0.0 else -math.inf
    # Underflowed, so far above the mean that the terms fall off faster than 0.999^j.
    terms = laws.log_binomial_mass(range(k, min(n, k + _TAIL_TERMS) + 1), n, rate)
    return float(logsumexp(terms))


def log_order_tail(first: Proportion, second: Proportion) -> float:
    """log of the chance that the first has as many of all successes, or more, were both rates
    equal; the two counts are independent.

    Hypergeometric given the sum of the successes, and smaller still where the first rate is the
    lower one. Source: Fisher's exact test, J. Royal Stat. Soc. 98 (1935).
    """
    from scipy.special import betaln, logsumexp

    def log_choose(n: int, k: IntArray) -> Array:
        return np.asarray(-math.log(n + 1) - betaln(n - k + 1, k + 1))

    k, total = first.successes, first.successes + second.successes
    counts = np.arange(max(k, total - second.trials), min(total, first.trials) + 1)
    ways = log_choose(first.trials, counts) + log_choose(second.trials, total - counts)
    every = log_choose(first.trials + second.trials, np.array(total))
    return min(float(logsumexp(ways) - every), 0.0)


def trials_to_bound(rate: float, miss: float = VERDICT_MISS) -> int:
    """Trials without a single success after which the interval's upper end is at most `rate`.

    rate in (0, 1). The sample size below which a claim "rarer than `rate`" cannot be decided.
    """
    bound = check_positive(rate, "rate")
    if bound >= 1.0:
        raise InputError("rate must be below 1", rate, "Every rate is at most 1.")
    return math.ceil(math.log(_check_miss(miss) / 2) / math.log1p(-bound))


def detectable_rate(
    bound: float,
    trials: int,
    side: str = "upper",
    miss: float = VERDICT_MISS,
    power: float = POWER,
) -> float | None:
    """The true rate closest to `bound`, above it for side "upper", below it for "lower", whose
    interval lies beyond `bound` with probability `power`.

    bound in [0, 1]. None where no rate does: with so few trials every interval reaches the bound.
    The least count that decides is a quantile of the binomial law at the bound, and the rate at
    which a count is reached with a given probability one of the beta law (Clopper and Pearson).
    """
    from . import laws

    n = check_integer(trials, "trials", 1)
    if side == "lower":
        mirrored = detectable_rate(1.0 - bound, n, "upper", miss, power)
        return None if mirrored is None else 1.0 - mirrored
    half = _check_miss(miss) / 2.0
    k = (
        laws.binomial_upper(half, n, bound) + 1
    )  # P(X >= k) <= half at the bound, and for no smaller k
    return None if k > n else laws.beta_quantile(power, k, n - k + 1)


def trials_to_tell(
    bound: float, rate: float, miss: float = VERDICT_MISS, power: float = POWER
) -> int:
    """Trials from which on a true `rate` above `bound` is seen to be so with probability `power`.

    0 <= bound < rate <= 1. The chance is no monotone function of the number of trials; beyond the
    number returned it is at least `power` up to the steps of a binomial law.
    """
    if not 0.0 <= bound < rate <= 1.0:
        raise InputError("0 <= bound < rate <= 1", (bound, rate), "Tell a larger rate from it.")

    def seen(n: int) -> bool:
        found = detectable_rate(bound, n, "upper", miss, power)
        return found is not None and found <= rate

    most = 1
    while not seen(most):
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if seen(middle) else (middle, most)
    return most


def heterogeneity(counts: Sequence[int], trials: Sequence[int]) -> tuple[float, int, float]:
    """Pearson's chi-square of groups sharing one rate, its degrees of freedom and its p-value.

    counts[i] successes among trials[i] >= 1 in group i, at least two groups. Where the p-value is
    small the groups differ by more than chance, and an interval of the pooled count says nothing of
    a further group. (0, degrees, 1) where no trial or every trial succeeded. The chi-square law
    needs a few expected events in a group; with fewer the p-value is a guide.
    """
    from . import laws

    if len(counts) != len(trials) or len(counts) < 2:
        raise InputError(
            "one count and one number of trials for each of at least two groups",
            f"{len(counts)} counts, {len(trials)} numbers of trials",
            "Compare at least two groups.",
        )
    groups = [Proportion(k, n) for k, n in zip(counts, trials, strict=True)]
    degrees = len(groups) - 1
    rate = Proportion.pooled(groups).rate
    if rate in (0.0, 1.0):
        return 0.0, degrees, 1.0
    misses = [(g.rate - rate) ** 2 * g.trials for g in groups]
    chi_square = math.fsum(misses) / (rate * (1.0 - rate))
    return chi_square, degrees, float(laws.chi2_tail(chi_square, degrees))
