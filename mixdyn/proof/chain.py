"""Where DDIM on a line ends, with the exact score of modes of one width: enclosed, start by start.

A step is x_s = (b_s/b_t) x + (a_s - a_t b_s/b_t) E[x_0 | x], increasing in x: so what is below a
start ends below its end, and probabilities of ends are normal probabilities of starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.checks import Array

from .interval import Interval
from .law import Law


def ddim_ends(
    line: GaussianMixture, schedule: NoiseSchedule, times: Sequence[int], x: Array
) -> Interval:
    """Ends of starts x (n,) at the first of the decreasing times, in one dimension.

    The schedule's doubles alpha_bar and noise_var are exact; a = sqrt(alpha_bar), b =
    sqrt(noise_var).
    """
    law = Law.of(line, np.zeros(1), np.eye(1))
    low, high = np.array(x, dtype=np.float64), np.array(x, dtype=np.float64)
    n, own = len(low), Interval.of(float(line.sigma)).square()
    for t, s in itertools.pairwise(times):
        squares = Interval.of([schedule.alpha_bar[t], schedule.alpha_bar[s]])
        noises = Interval.of([schedule.noise_var[t], schedule.noise_var[s]])
        a, b = squares.sqrt(), noises.sqrt()
        rho = noises[0] / squares[0]
        kept = b[1] / b[0]
        ends = Interval.of(np.concatenate([low, high]))  # each by itself: the step is increasing
        y = ends / a[0]
        v = (own + rho) + np.zeros(2 * n)
        boxes = Interval(np.stack([y.lo, v.lo], axis=1), np.stack([y.hi, v.hi], axis=1))
        clean = (y * own + law.over(boxes).mean(0) * rho) / v
        out = ends * kept + clean * (a[1] - a[0] * kept)
        low, high = out.lo[:n], out.hi[n:]
    return Interval(low, high)


def normal_probability(low: Array, high: Array) -> Any:
    """sum of P(low_k < Z < high_k) of disjoint intervals, Z standard normal, as a flint.arb."""
    from flint import arb

    root, total = arb(2).sqrt(), arb(0)
    for first, last in zip(low.tolist(), high.tolist(), strict=True):
        if first < last:
            total += ((arb(last) / root).erf() - (arb(first) / root).erf()) / 2
    return total
