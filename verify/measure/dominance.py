"""When two modes dominate a path (tau_1) and when they are separated (tau_2), against kappa and d.

arXiv 2605.06831 v1, figures E.6 to E.8: 25 modes picked by farthest-point sampling from the lattice
2 {-2..2}^d, DDIM with 50 steps and the exact score. Raw times; the mixture is the presets', only
the schedule is the case's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.geometry.dominance_times import NEVER, tau_1, tau_2
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.presets import farthest_point
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.run.sampling import sample
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.statistics import Proportion
from verify.ledger.case import Case
from verify.ledger.verdict import Table
from verify.measure.measurement import Measurement
from verify.measure.networks.rates import ddim

DIMENSIONS = (2, 4, 8, 32, 64)
KAPPAS = (1.0, 2.0, 4.0, 7.0, 10.0, 14.0, 20.0)
LEVELS = (0.1, 0.5, 0.9)
OWN_PROBLEMS = (
    "The problems are 25 modes in 2 to 64 dimensions by farthest-point sampling; the standard case "
    "shows them."
)
_DRAWS = 1_000, 2_000  # paths in each dimension: quick, full


@dataclass(frozen=True)
class Times:
    """Raw times along n paths in one dimension, (K, n) for K margins, NEVER where there is none.

    first, fixed: tau_1, at which some pair of modes dominates and from which on one pair does. own:
    tau_2 of that pair, NEVER too where a single mode is so near that any partner serves.
    """

    d: int
    first: IntArray
    fixed: IntArray
    own: IntArray


def times_along(
    mixture: GaussianMixture, schedule: NoiseSchedule, nodes: IntArray, trajectory: Array
) -> Times:
    """Of paths (S + 1, n, d), in x, at decreasing raw times (S + 1,), for all of KAPPAS."""
    rows: list[tuple[IntArray, IntArray, IntArray]] = []
    for kappa in KAPPAS:
        found = tau_1(mixture, schedule, nodes, trajectory, kappa)
        separated, (i, j) = tau_2(mixture, schedule, kappa), found.pair.T
        rows.append((found.first, found.last_fixed, np.where(j >= 0, separated[i, j], NEVER)))
    return Times(mixture.d, *(np.array(column) for column in zip(*rows, strict=True)))


def summary(found: Sequence[Times]) -> dict[str, Any]:
    """What paths in D dimensions show: quantiles (D, K, levels) of first, fixed and own (those of
    two modes); least (D, K) of fixed; earlier (D - 1, K): how many of n pairs of paths, one in each
    of neighbouring dimensions, that in more dimensions is dominated earlier of; paired (D, K): how
    many are dominated by two modes, before (D, K): of these no later than the two are separated."""
    fixed, own = (np.array([getattr(t, name) for t in found]) for name in ("fixed", "own"))
    paired = own >= 0
    return {
        "n": fixed.shape[2],
        "d": [t.d for t in found],
        "kappa": KAPPAS,
        "levels": LEVELS,
        "first": _quantiles(np.array([t.first for t in found])),
        "fixed": _quantiles(fixed),
        "own": np.array([[_of_pairs(times) for times in row] for row in own]),
        "least": fixed.min(axis=2),
        "earlier": (fixed[1:] > fixed[:-1]).sum(axis=2),
        "paired": paired.sum(axis=2),
        "before": (paired & (fixed >= own)).sum(axis=2),
    }


def _quantiles(times: IntArray) -> Array:
    """(..., levels) over the last axis of raw times; a path on which the condition never holds
    counts as time NEVER."""
    return np.moveaxis(np.quantile(times, LEVELS, axis=-1, method="inverted_cdf"), 0, -1)


def _of_pairs(own: IntArray) -> Array:
    """(levels,) of tau_2 over the paths (n,) that two modes dominate."""
    held = own[own >= 0]
    return _quantiles(held) if held.size else np.full(len(LEVELS), float(NEVER))


def _one_dimension(d: int, case: Case, n: int) -> Times:
    mixture, run = farthest_point(d), ddim(case.schedule)
    seed = case.stream("dominance")
    found = sample(mixture, case.schedule, run, n=n, rng=seed, keep="trajectory")
    return times_along(mixture, case.schedule, found.times, np.asarray(found.trajectory))


def closest(mixture: GaussianMixture, schedule: NoiseSchedule) -> IntArray:
    """(K,) tau_2 of the closest pair, for all of KAPPAS."""
    upper = np.triu_indices(mixture.N, k=1)
    return np.array([tau_2(mixture, schedule, kappa)[upper].min() for kappa in KAPPAS])


@Measurement
def dominance(case: Case) -> dict[str, Any]:
    """The `summary` of the exact score's paths in all of DIMENSIONS, and closest (D, K): tau_2 of
    the closest pair. kappa (K,); d (D,); levels (L,); NEVER where never."""
    found = [_one_dimension(d, case, case.pick(*_DRAWS)) for d in DIMENSIONS]
    pairs = [closest(farthest_point(d), case.schedule) for d in DIMENSIONS]
    return {**summary(found), "closest": np.array(pairs)}


def least_first(
    counts: IntArray, totals: IntArray, names: Sequence[str], kappa: Sequence[float]
) -> list[tuple[Proportion, str]]:
    """The shares of counts (R, K) among totals (R, K), the smallest first, and which each is: its
    row's name and its margin."""
    found = [
        (Proportion(int(count), int(total)), f"{name}, κ = {k:g}")
        for name, row, all_ in zip(names, counts, totals, strict=True)
        for k, count, total in zip(kappa, row, all_, strict=True)
    ]
    return sorted(found, key=lambda one: one[0].rate)


def times_table(found: Mapping[str, Any]) -> Table:
    """The quantiles of tau_1 by dimension and margin."""
    rows = [
        (d, kappa, int(found["n"]), float(low), *map(float, levels))
        for d, least, quantiles in zip(found["d"], found["least"], found["fixed"], strict=True)
        for kappa, low, levels in zip(found["kappa"], least, quantiles, strict=True)
    ]
    columns = ("d", "κ", "paths", "least τ₁", *(f"{100 * level:g} %" for level in LEVELS))
    return Table("Raw times from which one pair of modes dominates", columns, rows)
