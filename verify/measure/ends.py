"""Where a sampler's paths end: classes, mode weights and spread, and how they are judged.

An estimate with an interval is within a margin of its target if the whole interval is, and not if
none of it is; otherwise nothing is decided. The intervals miss with probability 1e-6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixdyn.geometry import Region, within_modes
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import POWER, VERDICT_MISS, Proportion

from ..ledger.relations import Comparison, Equality, Outcome, compare

Interval = tuple[float, float]


@dataclass(frozen=True)
class Ends:
    """What one sampler makes of one model.

    counts (3,) by `Region`; modes (N,) true-mode samples per mode, expected (N,) by the mixture's
    weights, chi_square of the two; spread within the modes over sigma, with its standard error;
    n_eval evaluations a sample.
    """

    counts: IntArray
    modes: IntArray
    expected: Array
    chi_square: float
    spread: float
    spread_error: float
    n_eval: float

    @property
    def interpolation(self) -> Proportion:
        """The share of interpolations."""
        return Proportion(int(self.counts[Region.INTERPOLATION]), int(self.counts.sum()))

    @property
    def outside(self) -> Proportion:
        """The share of samples in no mode."""
        n = int(self.counts.sum())
        return Proportion(n - int(self.counts[Region.TRUE_MODE]), n)

    @property
    def weight_error(self) -> float:
        """An estimate of sum (p - w)^2/w over the modes, free of how many samples were drawn."""
        return (self.chi_square - (len(self.modes) - 1)) / max(int(self.modes.sum()), 1)

    def spread_interval(self, miss: float = VERDICT_MISS) -> Interval:
        """Of the spread, by its standard error."""
        from mixdyn.support import laws

        half = -float(laws.normal_quantile(miss / 2)) * self.spread_error
        return self.spread - half, self.spread + half

    def weight_interval(self, miss: float = VERDICT_MISS) -> Interval:
        """Of sum (p - w)^2/w: the statistic is a noncentral chi-square (Pearson, for small errors
        of the weights and some expected samples in every mode)."""
        from scipy.optimize import brentq
        from scipy.special import chndtr

        degrees, n = max(len(self.modes) - 1, 1), max(int(self.modes.sum()), 1)
        most = 2.0 * self.chi_square + 50.0 * (degrees + 50.0)

        def end(tail: float) -> float:
            def miss_by(noncentrality: float) -> float:
                return float(chndtr(self.chi_square, degrees, noncentrality)) - tail

            return float(brentq(miss_by, 0.0, most)) / n if miss_by(0.0) > 0.0 else 0.0

        return end(1.0 - miss / 2), end(miss / 2)


def ends_of(mixture: GaussianMixture, x: Array, n_eval: float) -> Ends:
    """Classify final samples x (n, d)."""
    codes, nearest, offset = within_modes(mixture, x)
    modes = np.bincount(nearest, minlength=mixture.N)
    expected = mixture.weights * max(len(nearest), 1)
    square = np.square(offset / mixture.sigmas[nearest, None]).mean(axis=1)
    spread = float(np.sqrt(square.mean())) if len(nearest) else float("nan")
    # Of a root: half the relative error of its square.
    error = float(square.std()) / (2.0 * spread * np.sqrt(len(nearest))) if len(nearest) else spread
    return Ends(
        counts=np.bincount(codes, minlength=len(Region)),
        modes=modes,
        expected=expected,
        chi_square=float((np.square(modes - expected) / expected).sum()),
        spread=spread,
        spread_error=error,
        n_eval=n_eval,
    )


def compare_spread(name: str, ends: Ends, margin: float | Interval) -> Comparison:
    """Whether the spread is within a margin of sigma."""
    return _within(name, ends.spread, 1.0, ends.spread_interval(), margin)


def compare_weights(name: str, ends: Ends, margin: float | Interval) -> Comparison:
    """Whether sum (p - w)^2/w is within a margin of 0."""
    return _within(name, ends.weight_error, 0.0, ends.weight_interval(), margin)


def _within(
    name: str, value: float, target: float, interval: Interval, margin: float | Interval
) -> Comparison:
    """Whether |value - target| is at most the margin, which may be known by its interval alone.

    resolution: the distance from the target that would come out as `fails` with probability
    `POWER`, a normal law's.
    """
    from mixdyn.support import laws

    least, most = margin if isinstance(margin, tuple) else (margin, margin)
    far = max(abs(end - target) for end in interval)
    near = 0.0 if interval[0] <= target <= interval[1] else min(abs(e - target) for e in interval)
    outcome = Outcome.INCONCLUSIVE
    if far <= least:
        outcome = Outcome.HOLDS
    elif near > most:
        outcome = Outcome.FAILS
    middle = max(0.5 * (least + most), np.finfo(float).tiny)
    found = compare(name, Equality(atol=middle), value, target)
    half = 0.5 * (interval[1] - interval[0])
    power = 1.0 - float(laws.normal_quantile(POWER) / laws.normal_quantile(VERDICT_MISS / 2))
    return replace(found, outcome=outcome, resolution=most + half * power)
