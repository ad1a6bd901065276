"""When two modes dominate a trajectory, and when modes are separated: tau_1 and tau_2.

The condition of arXiv 2605.06831 v1, Assumption 4.1, in static coordinates. Times are raw schedule
times, never counts of sampler steps; :func:`steps_left` converts. Every function needs a sigma
common to all modes (else NotApplicableError) and two modes (else InputError).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..problem.checks import check_common_sigma
from ..support.checks import (
    Array,
    IntArray,
    check_array,
    check_integer,
    check_points,
    check_positive,
    describe,
)
from ..support.errors import InputError
from .pairs import Mask, require_pair, row_blocks, squared_distances

if TYPE_CHECKING:
    from ..problem.mixture import GaussianMixture
    from ..problem.schedule import NoiseSchedule

NEVER = -1  # the raw time reported where a condition holds at no node


def dominance_margin(
    mixture: GaussianMixture, y: Array, v: float, pair: tuple[int, int] | None = None
) -> Array:
    """The largest kappa with which two modes dominate all others at points y (n, d), shape (n,).

    ``min over k not in {i, j} of (|y - mu_k|^2 - min(|y - mu_i|^2, |y - mu_j|^2)) / (2 v)`` for the
    given pair (negative where a third mode is nearer), or for the best pair, the two nearest
    modes, when pair is None. Infinite for N = 2. Source: arXiv 2605.06831 v1, Assumption 4.1.
    """
    check_common_sigma(mixture, "the dominance margin")
    require_pair(mixture.N)
    y, v = check_points(y, mixture.d, name="y"), check_positive(v, "v")
    margin = np.full(y.shape[0], np.inf)
    if mixture.N == 2:
        return margin
    columns = None if pair is None else list(_check_pair(mixture, pair))
    for block in row_blocks(y.shape[0], mixture.N):
        d2 = squared_distances(y[block], mixture.means)
        if columns is None:
            d2.partition(2, axis=1)
            margin[block] = (d2[:, 2] - d2[:, :2].min(axis=1)) / (2.0 * v)
        else:
            nearer = d2[:, columns].min(axis=1)
            d2[:, columns] = np.inf
            margin[block] = (d2.min(axis=1) - nearer) / (2.0 * v)
    return margin


def _check_pair(mixture: GaussianMixture, pair: tuple[int, int]) -> tuple[int, int]:
    i = check_integer(pair[0], "i", 0, mixture.N - 1)
    j = check_integer(pair[1], "j", 0, mixture.N - 1)
    if i == j:
        raise InputError("a pair needs two different modes", f"({i}, {j})", "Choose i != j.")
    return i, j


@dataclass(frozen=True, eq=False)
class DominanceTimes:
    """Raw times, each (n,), from which two modes dominate along n trajectories; NEVER where none.

    first: the first node, coming from noise, where some pair dominates. last: the node from which
    on some pair dominates at every node. last_fixed: the node from which on one fixed pair does.
    pair (n, 2): that pair in increasing order; its second entry is NEVER where one mode is so
    near that any partner serves, both are where last_fixed is.
    """

    first: IntArray
    last: IntArray
    last_fixed: IntArray
    pair: IntArray


def tau_1(
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    times: IntArray,
    trajectory: Array,
    kappa: float,
) -> DominanceTimes:
    """When two modes start to dominate with margin kappa > 0 along trajectories.

    times (S + 1,): decreasing raw times of the nodes; trajectory (S + 1, n, d): the states x_t (not
    static). The margin is not monotone in time, so three times are reported. Let A be the set of
    modes less than ``2 kappa v`` behind the nearest in squared distance: a pair dominates iff it
    contains A, and a fixed pair dominates from a node on iff it contains the union of A over the
    nodes that remain. Source: arXiv 2605.06831 v1, Assumption 4.1.
    """
    v = schedule.effective_variance(check_common_sigma(mixture, "the dominance time"))
    require_pair(mixture.N)
    kappa = check_positive(kappa, "kappa")
    times = _check_times(times, schedule.T)
    states = check_array(trajectory, "trajectory", ndim=3)
    if states.shape[::2] != (times.size, mixture.d) or states.shape[1] == 0:
        raise InputError(
            f"trajectory must have shape ({times.size}, n, {mixture.d}) with n >= 1",
            f"shape {states.shape}",
            "Pass one state of every sample for each time.",
        )
    nodes = (
        (t, _contenders(mixture, x / schedule.alpha[t], 2.0 * kappa * v[t]))
        for t, x in zip(times[::-1], states[::-1], strict=True)
    )
    return times_of(nodes, states.shape[1], mixture.N)


def times_of(nodes: Iterable[tuple[int, Mask]], n: int, n_modes: int) -> DominanceTimes:
    """The times of n trajectories from each node's raw time and the modes (n, N) of which a
    dominating pair must hold all that are true, from data to noise."""
    first, last, fixed = (np.full(n, NEVER, dtype=np.int64) for _ in range(3))
    still = np.ones(n, dtype=bool)
    union, chosen = (np.zeros((n, n_modes), dtype=bool) for _ in range(2))
    for t, close in nodes:
        dominated = close.sum(axis=1) <= 2
        first[dominated] = t
        still &= dominated
        last[still] = t
        union |= close
        feasible = union.sum(axis=1) <= 2
        fixed[feasible] = t
        chosen[feasible] = union[feasible]
    return DominanceTimes(first, last, fixed, _two_members(chosen))


def _contenders(mixture: GaussianMixture, y: Array, slack: float) -> Mask:
    """The modes whose squared distance exceeds the smallest by less than slack, (n, N)."""
    close = np.empty((y.shape[0], mixture.N), dtype=bool)
    for block in row_blocks(y.shape[0], mixture.N):
        d2 = squared_distances(y[block], mixture.means)
        close[block] = d2 - d2.min(axis=1, keepdims=True) < slack
    return close


def _two_members(chosen: Mask) -> IntArray:
    """Indices of the at most two true columns of each row, padded with NEVER, shape (n, 2)."""
    count = chosen.sum(axis=1)
    lowest = np.argmax(chosen, axis=1)
    highest = chosen.shape[1] - 1 - np.argmax(chosen[:, ::-1], axis=1)
    members = np.column_stack([lowest, highest]).astype(np.int64)
    members[count < 2, 1] = NEVER
    members[count < 1, 0] = NEVER
    return members


def _check_times(times: IntArray, latest: int) -> IntArray:
    values = np.asarray(times)
    if (
        values.ndim != 1
        or values.size == 0
        or values.dtype.kind not in "iu"
        or values.min() < 0
        or values.max() > latest
        or (np.diff(values.astype(np.int64)) >= 0).any()
    ):
        raise InputError(
            f"times must be integers in 0..{latest} that decrease strictly",
            describe(times),
            "Pass the times of the grid on which the trajectory was recorded.",
        )
    return values.astype(np.int64)


def tau_2(mixture: GaussianMixture, schedule: NoiseSchedule, kappa: float) -> IntArray:
    """Raw time, per pair, from which on the modes are separated: (N, N), NEVER where at none.

    The largest t with ``|mu_i - mu_j|^2 >= 4 kappa d v_t``; since v grows with t it then holds at
    every t below. Along a trajectory, take the entry of its pair. The diagonal is NEVER. Source:
    arXiv 2605.06831 v1, Assumption 4.4.
    """
    v = schedule.effective_variance(check_common_sigma(mixture, "the separation time"))
    require_pair(mixture.N)
    length2 = squared_distances(mixture.means, mixture.means)
    allowed = length2 / (4.0 * check_positive(kappa, "kappa") * mixture.d)
    return np.searchsorted(v, allowed, side="right").astype(np.int64) - 1


def steps_left(times: IntArray, tau_raw: int) -> int:
    """How many steps a sampler on the grid ``times`` takes from its first node at or below tau_raw.

    This turns a raw time into the unit of the papers' tau_3. times: decreasing, ending at 0.
    """
    return int(np.count_nonzero((times >= 1) & (times <= tau_raw)))
