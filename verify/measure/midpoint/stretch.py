"""The stretch between two modes on which the results about midpoints speak, and the drift there.

A is the coordinate along a pair, <x - alpha midpoint, n>. In the clock c = -log abar, which is int
beta, the reverse SDE has dA = b dc + dB with b = A/2 + <s, n>: beta drops out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixdyn import geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import NotApplicableError

from ...ledger.case import Case
from ..covariances import one_width
from ..paths import KAPPA, Level, ddim_grid, level_at, node_of_tau_2

HALF_WIDTH = 0.15  # theta over l in the experiments of arXiv 2605.06831 v1
_NEAR = 48  # places next to the bisector, each at most 1.2 times as far out as the one before


def first_pair(mixture: GaussianMixture) -> geometry.Pair:
    """The first of the closest pairs."""
    return geometry.pair(mixture, *geometry.nearest_pairs(mixture)[0])


@dataclass(frozen=True)
class Window:
    """The closest pair and the first node of the papers' grid at which it is separated.

    pair: `first_pair`. t: raw time of that node. steps: DDIM steps left from it.
    """

    pair: geometry.Pair
    t: int
    steps: int


def find_window(case: Case, kappa: float = KAPPA) -> Window | None:
    """The window of a case, or None for one mode, several widths or none, or a pair never
    separated."""
    if case.mixture.N < 2 or not one_width(case):
        return None
    node = node_of_tau_2(case, kappa)
    if node is None:
        return None
    times = ddim_grid(case).times
    return Window(first_pair(case.mixture), int(times[node]), len(times) - 1 - node)


def require_window(case: Case) -> Window:
    """The closest pair and the node from which on it is separated (kappa = 7).

    Raises NotApplicableError for one mode, a sigma per mode, or a pair that is never separated.
    """
    window = find_window(case)
    if window is None:
        raise NotApplicableError(
            "this measurement needs two modes of one sigma that the noise separates before the end",
            f"{case.mixture.N} modes with sigma from {case.mixture.std_range[0]:.4g} "
            f"to {case.mixture.std_range[1]:.4g}",
            "Use modes farther apart, or a schedule with finer last steps.",
        )
    return window


def usable_nodes(case: Case) -> IntArray:
    """The papers' nodes with rho < 1e12: beyond it 1 - abar of two times may be one double."""
    times = ddim_grid(case).times
    return times[case.schedule.rho[times] < 1e12]


def start_time(case: Case) -> int:
    """Raw time of the window's start, or the first usable node where there is none."""
    window = find_window(case)
    return int(usable_nodes(case)[0]) if window is None else window.t


def level_between(mixture: GaussianMixture, v: float) -> Level:
    """The noise level with effective variance v >= sigma^2, between the times of a schedule."""
    rho = max(v - float(mixture.sigma) ** 2, 0.0)
    abar = 1.0 / (1.0 + rho)
    return Level(mixture, -1, abar, rho * abar)


def bisector_drift(level: Level, pair: geometry.Pair, a: Array, xi: Array | None = None) -> Array:
    """b of the full mixture at A = a (n,), offset xi (n, d) across the pair; all in x units."""
    across = np.zeros((1, len(pair.direction))) if xi is None else xi
    x = level.alpha * pair.midpoint + a[:, None] * pair.direction + across
    return np.asarray(0.5 * a + level.marginal.score(x) @ pair.direction)


def elapsed_noise(case: Case, t: int) -> Array:
    """int beta over each of the steps 1..t, that is log(abar_{s-1}/abar_s), (t,)."""
    return -np.diff(case.schedule.log_alpha_bar[: t + 1])


@dataclass(frozen=True)
class DriftRange:
    """What the drift does near a bisector at every raw time 1..t, each (t,).

    sup: sup |b| over |a| <= 2 theta, divided by 2 theta. slope: sup |b|/|a| over 0 < |a| <= 2
    theta. far_slope: the same over theta <= |a| <= 2 theta. outward: inf of sgn(a) b/|a| there.
    at_zero: |b(0)|/(2 theta). All per unit of int beta.
    """

    sup: Array
    slope: Array
    far_slope: Array
    outward: Array
    at_zero: Array

    @property
    def vanishes(self) -> bool:
        """Whether the drift vanishes at the midpoint, up to rounding, at all times."""
        return bool((self.at_zero <= 1e-9 * self.sup).all())


def drift_range(case: Case, pair: geometry.Pair, theta: float, t: int, n: int = 200) -> DriftRange:
    """Extremes of b on the line through the pair, at n places on each side and next to 0.

    The largest drift stands at (v/l) log(l^2/v) from the bisector, which may be next to nothing.
    """
    near = np.geomspace(1e-6, 1.0 / n, _NEAR)[:-1]
    a = 2.0 * theta * np.concatenate([near, np.arange(1, n + 1) / n])
    far = np.tile(a >= theta * (1.0 - 1e-12), 2)
    both = np.concatenate([a, -a])
    places = np.append(both, 0.0)
    rows = []
    for s in range(1, t + 1):
        level = level_at(case, s)
        drift = bisector_drift(level, pair, places)
        b, ratio = drift[:-1], drift[:-1] / both
        rows.append(
            (
                np.abs(b).max() / (2.0 * theta),
                np.abs(ratio).max(),
                np.abs(ratio[far]).max(),
                ratio[far].min(),
                abs(drift[-1]) / (2.0 * theta),
            )
        )
    return DriftRange(*np.array(rows).T)
