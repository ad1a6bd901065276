r"""Stability of the modes.

Statement: Once the modes are separated, each has an equilibrium of the flow within $O(\epsilon)$,
    with negative slope in every direction. Explicitly, let $L_k = |\mu_k - \mu_i|$ and
    $P_n(r) = \sum_k \frac{w_k}{w_i} L_k^n e^{-(L_k^2 - 2 r L_k)/(2v)}$: if $P_1(r) \le r$, there is
    one within $r$ of $\mu_i$. For two modes of equal weight, $k = l^2/v$, the equilibria obey
    $\tanh(kz/2) = 2z$: a nonzero root exists iff $k > 4$, and its slope is $k(1/4 - z^2) - 1 < 0$.
Hypotheses:
    - common_sigma: all modes share one sigma; of one covariance $C = \Sigma + \rho I$ the same
      holds in $C^{-1/2} y$, where $v = 1$.
    - separation: $P_1(r) \le r$ for some $r$ below half the distance to the nearest mode.
Measured: the engine's fixed point from each mode and the largest eigenvalue of its Jacobian there,
    at nodes of the papers' grid; for two modes the number of zeros of the engine's field, its outer
    root and its slope, for $k$ from 1 to 1000.
Predicted: distance at most the least such $r$, eigenvalue at most $-1 + P_2(r)/v$; for two modes
    3 zeros or 1, the root of the closed form and its slope.
Evidence: exact; nothing is drawn. Certified: one equilibrium in a cube around each mode, with
    negative eigenvalues and walls that the flow enters by, at every level of the separated stretch.
Source: arXiv 2605.06831 v1, Proposition 4.5
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.geometry import dynamics
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.proof import Law, Statement
from mixdyn.support.checks import Array, frozen
from mixdyn.support.errors import ConvergenceError
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_covariance
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis, Table
from verify.measure.continuum import (
    NO_TOLERANCE,
    can_prove,
    certified,
    nearest_gap,
    node,
)
from verify.measure.covariances import COMMON_SIGMA, noisy_levels, one_width, whitened
from verify.measure.midpoint.traps import node_variances, self_consistent_radius, two_modes
from verify.measure.paths import KAPPA, extent, thinned

CLAIM = Claim.from_docstring(
    __doc__,
    id="P4.5",
    short="mode stability",
    rests_on={"O4": "the two-mode field", "G.2": "the pull of the other modes"},
    needs=(modes(2), one_covariance),
    derivation="derivations/modes/mode_stability.py",
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "That these are the only stable equilibria, or that a path reaches one: the field moves "
        "with v, and how close a path follows it is C4.6."
    ),
)

MAX_MODES, MAX_LEVELS = 40, 8
STRENGTHS = np.array([1.0, 2.0, 3.0, 3.9, 4.1, 4.5, 5.0, 6.0, 7.5, 12.0, 20.0, 50.0, 200.0, 1e3])


@CLAIM.exact(unit="modes × nodes")
def equilibria(case: Case, threshold: float = 4.0, pull: float = 1.0) -> Iterator[Part]:
    """Fixed points of the full mixture, then the two-mode problem. threshold: of k for three
    equilibria; pull: the 1 in the slope."""
    if one_width(case):
        yield COMMON_SIGMA
    every = case.memo("P4.5 places", lambda: np.array(list(_places(case))).reshape(-1, 9))
    held = np.isfinite(every[:, 3])
    yield Hypothesis("separation", float(held.mean()) if held.size else 0.0)
    if not held.any():
        yield "No mode is separated from the others at any node."
        return
    mode, v, gap, radius, distance, largest, rate, rho, size = every[held].T
    where = {"mode": mode.astype(int), **({"v": v} if one_width(case) else {"rho": rho})}
    resolved = distance > 1e-9 * size  # six digits of the distance are right there
    yield Side(
        "distance of the fixed point to its mode",
        np.log(np.where(resolved, distance, radius)),
        at_most=np.log(radius),
        tolerance=Tolerance(rtol=1e-5, log=True),
        among=resolved,
        where=where,
    )
    yield Side(
        "the same, where it is down at the rounding error",
        distance,
        at_most=radius,
        tolerance=Tolerance(atol=1e-14),
        scale=size,
        among=~resolved,
        where=where,
    )
    yield Side(
        "largest eigenvalue at the fixed point",
        largest,
        at_most=-rate - (pull - 1.0),
        tolerance=Tolerance(atol=1e-9),
        where=where,
    )
    yield from _two_modes(threshold, pull)
    yield Facts(nonvacuous=float(np.mean(radius < 0.1 * gap)))
    yield lambda: _table(every[held])


CLAIM.must_fail(equilibria, "nonzero root iff k > 8", threshold=8.0)
CLAIM.must_fail(equilibria, "slope k(1/4 - z²)", pull=0.0)
CLAIM.must_fail(equilibria, "slope k(1/4 - z²) - 1.05", pull=1.05)
CLAIM.must_fail_narrowly(
    equilibria, "slope k(1/4 - z²) - 1 - {}", 0.05, pull=lambda more: 1.0 + more
)


# -- full mixture --------------------------------------------------------------------------------


def _places(case: Case) -> Iterator[tuple[float, ...]]:
    """Every mode (at most 40) at nodes of the papers' grid at which a pair with it has a saddle:
    mode, v, distance to the nearest other mode, what `_place` says, rho and the scale of rounding.
    """
    if not one_width(case):
        yield from _whitened_places(case)
        return
    floor, size = float(case.mixture.sigma) ** 2, extent(case.mixture)
    distances = geometry.pairwise_distances(case.mixture.means)
    np.fill_diagonal(distances, np.inf)
    for mode in range(min(case.mixture.N, MAX_MODES)):
        gap = float(distances[mode].min())
        v = node_variances(case)
        for level in thinned(v[v < 0.25 * gap**2], MAX_LEVELS).tolist():
            found = _place(case.mixture, mode, gap, level)
            yield (mode, level, gap, *found, level - floor, size)


def _whitened_places(case: Case) -> Iterator[tuple[float, ...]]:
    """The same of one covariance, where v = 1."""
    for rho in thinned(noisy_levels(case), MAX_LEVELS).tolist():
        law = whitened(case.mixture, rho)
        distances = geometry.pairwise_distances(law.means)
        np.fill_diagonal(distances, np.inf)
        for mode in range(min(law.N, MAX_MODES)):
            gap = float(distances[mode].min())
            if gap > 2.0:
                yield (mode, 1.0, gap, *_place(law, mode, gap, 1.0), rho, extent(law))


def _place(
    mixture: GaussianMixture, mode: int, gap: float, v: float
) -> tuple[float, float, float, float]:
    """The radius of an invariant ball, NaN without one; the fixed point's distance to the mode and
    its largest eigenvalue, infinite without one; and the lower bound on minus that eigenvalue."""
    none = (np.nan, np.inf, np.inf, -np.inf)
    radius = self_consistent_radius(mixture, mode, gap, v)
    if radius is None:
        return none
    rate = float(bounds.tracking_rate(mixture, mode, radius, v))
    if rate <= 0.0:
        return none
    mean = mixture.means[mode]
    try:
        found = dynamics.equilibrium(mixture, v, mean)
    except ConvergenceError:
        return radius, np.inf, np.inf, rate
    return radius, float(np.linalg.norm(found.point - mean)), float(found.eigenvalues[-1]), rate


def _table(places: Array) -> Table:
    """The worst place of each level of the first mode's gap in effective variances."""
    places = places[np.argsort(places[:, 2] ** 2 / places[:, 1], kind="stable")]
    rows: list[tuple[float, ...]] = []
    for part in np.array_split(places, min(len(places), 8)):
        worst = part[np.argmax(part[:, 4] / part[:, 2])].tolist()
        mode, v, gap, radius, distance, largest, *_ = worst
        rows.append((gap**2 / v, int(mode), distance / gap, radius / gap, largest))
    columns = ("l²/v", "mode", "distance over l", "bound on it over l", "largest eigenvalue")
    caption = "Fixed points next to modes, l the distance to the nearest other mode"
    return Table(caption, columns, rows)


# -- two modes -----------------------------------------------------------------------------------


def _two_modes(threshold: float, pull: float) -> Iterator[Side]:
    where, (zeros, roots, slopes, want_root) = {"k": STRENGTHS}, _outer_roots()
    want_slope = bounds.equilibrium_slope(STRENGTHS, 0.5 + want_root) + (1.0 - pull)
    for name, found, wanted, atol in (
        ("number of equilibria", zeros, np.where(threshold < STRENGTHS, 3.0, 1.0), 0.5),
        ("outer root", roots, want_root, 1e-11),
        ("slope at the outer root", slopes, want_slope, 1e-9),
    ):
        tolerance = Tolerance(atol=atol)
        yield Side(f"{name} of two modes", found, equals=wanted, tolerance=tolerance, where=where)


@functools.cache  # the same two modes for every case
def _outer_roots() -> Array:
    """Zeros of the engine's field, its outer root and the slope there, and that root in closed
    form, (4, strengths)."""
    two, found = two_modes(1.0, 1.0), np.empty((4, len(STRENGTHS)))
    # No grid point at zero, where the drift vanishes for every k.
    z = np.linspace(-0.6, 0.6, 4000)
    for at, k in enumerate(STRENGTHS.tolist()):
        drift = dynamics.mean_field(two, z[:, None], 1.0 / k)[:, 0] - z
        outer = dynamics.equilibrium(two, 1.0 / k, np.array([0.5]))
        zeros, closed = np.count_nonzero(np.diff(np.sign(drift))), oracles.two_mode_equilibria(k)
        found[:, at] = zeros, outer.point[0], outer.eigenvalues[-1], closed[-1]
    return frozen(found)


# -- at every level ------------------------------------------------------------------------------


def nodes(case: Case, wider: float = 2.0) -> list[Statement] | None:
    """A stable node next to each mode, from clean data to the first node of the grid at which the
    radius exists. wider: the cube's half width over that radius."""
    if not can_prove(case):
        return None
    found: list[Statement] = []
    for mode, gap in enumerate(nearest_gap(case.mixture.means).tolist()):
        for v in node_variances(case)[:-1].tolist():
            radius = self_consistent_radius(case.mixture, mode, gap, v)
            if radius is not None and v * KAPPA * 4.0 * case.mixture.d <= gap**2:
                law = Law.of(case.mixture, case.mixture.means[mode], np.eye(case.mixture.d))
                half = max(wider * radius, 1e-9 * gap) if wider < gap / radius else 0.75 * gap
                window = (float(case.mixture.sigma) ** 2, v)
                found += node(f"mode {mode}", law, half, window)
                break
    return found


CLAIM.must_fail(certified(CLAIM, nodes), "a cube that reaches beyond the saddles", wider=math.inf)
