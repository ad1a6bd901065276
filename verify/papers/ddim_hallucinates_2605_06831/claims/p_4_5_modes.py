r"""Stability of the modes.

Statement: Once the modes are separated, each has an equilibrium of the flow within $O(\epsilon)$,
    with negative slope in every direction. Explicitly, let $L_k = |\mu_k - \mu_i|$ and
    $P_n(r) = \sum_k \frac{w_k}{w_i} L_k^n e^{-(L_k^2 - 2 r L_k)/(2v)}$: if $P_1(r) \le r$, there is
    one within $r$ of $\mu_i$. For two modes of equal weight, $k = l^2/v$, the equilibria obey
    $\tanh(kz/2) = 2z$: a nonzero root exists iff $k > 4$, and its slope is $k(1/4 - z^2) - 1 < 0$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: $P_1(r) \le r$ for some $r$ below half the distance to the nearest mode.
Measured: the engine's fixed point from each mode and the largest eigenvalue of its Jacobian there,
    at nodes of the papers' grid; for two modes the number of zeros of the engine's field, its outer
    root and its slope, for $k$ from 1 to 1000.
Predicted: distance at most the least such $r$, eigenvalue at most $-1 + P_2(r)/v$; for two modes
    3 zeros or 1, the root of the closed form and its slope.
Evidence: exact; nothing is drawn.
Source: arXiv 2605.06831 v1, Proposition 4.5
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.geometry import dynamics
from mixdyn.support.checks import IntArray
from mixdyn.support.errors import ConvergenceError
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Equality, Upper, compare
from verify.measure.midpoint.traps import (
    node_variances,
    require_distinct_means,
    self_consistent_radius,
    two_modes,
)
from verify.measure.paths import extent

CLAIM = Claim.from_docstring(
    __doc__,
    id="P4.5",
    short="mode stability",
    rests_on={"O4": "the two-mode field", "G.2": "the pull of the other modes"},
    needs=(modes(2), one_sigma),
    basis=(Basis.EXACT,),
    derivation="derivations/mode_stability.py",
    does_not_show=(
        "That these are the only stable equilibria, or that a path reaches one: the field moves "
        "with v, and how close a path follows it is C4.6."
    ),
)

MAX_MODES, MAX_LEVELS = 40, 8
STRENGTHS = np.array([1.0, 2.0, 3.0, 3.9, 4.1, 4.5, 5.0, 6.0, 7.5, 12.0, 20.0, 50.0, 200.0, 1e3])


@dataclass(frozen=True)
class Place:
    """A mode at one noise level; radius is None where no ball around it is invariant.

    gap: distance to the nearest other mode. distance, largest: of the fixed point to the mode, and
    its largest eigenvalue. rate: lower bound on minus that eigenvalue.
    """

    mode: int
    v: float
    gap: float
    radius: float | None
    distance: float = np.inf
    largest: float = np.inf
    rate: float = -np.inf


def check(case: Case) -> Verdict:
    """Fixed points of the full mixture, then the two-mode problem."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """Another threshold, and slopes without and with too much of the linear pull."""
    return {
        "nonzero root iff k > 8": _judge(case, threshold=8.0),
        "slope k(1/4 - z²)": _judge(case, pull=0.0),
        "slope k(1/4 - z²) - 1.05": _judge(case, pull=1.05),
    } | narrowest("slope k(1/4 - z²) - 1 - {}", lambda more: _judge(case, pull=1.0 + more), 0.05)


def _judge(case: Case, threshold: float = 4.0, pull: float = 1.0) -> Verdict:
    """threshold: of k for three equilibria; pull: the 1 in the slope."""
    require_distinct_means(case.mixture)
    places = case.memo("P4.5 places", lambda: _places(case))
    held = [p for p in places if p.radius is not None]
    share = len(held) / len(places) if places else 0.0
    hypotheses = [Hypothesis("common_sigma", 1.0, 0.0), Hypothesis("separation", share)]
    if not held:
        note = "No mode is separated from the others at any node."
        finding = Finding(hypotheses=hypotheses, applicable_share=0.0, note=note)
        return CLAIM.judge(case, finding)
    at_modes = _modes(case, held, pull)
    comparisons = [*at_modes, *_two_modes(threshold, pull)]

    def witness(comparison: Comparison) -> dict[str, Any]:
        if "two modes" in comparison.name:
            return {"quantity": comparison.name, "k": STRENGTHS[comparison.index]}
        place = held[at_modes[comparison][comparison.index]]
        return {"quantity": comparison.name, "mode": place.mode, "v": place.v}

    small = [p.radius is not None and p.radius < 0.1 * p.gap for p in held]
    finding = Finding(
        comparisons=comparisons,
        hypotheses=hypotheses,
        applicable_share=share,
        nonvacuous_share=float(np.mean(small)),
        witness=witness,
        unit="modes × nodes",
        tables=[_table(held)],
    )
    return CLAIM.judge(case, finding)


# -- full mixture --------------------------------------------------------------------------------


def _places(case: Case) -> list[Place]:
    """Every mode (at most 40) at nodes of the papers' grid at which a pair with it has a saddle."""
    distances = geometry.pairwise_distances(case.mixture.means)
    np.fill_diagonal(distances, np.inf)
    found = []
    for mode in range(min(case.mixture.N, MAX_MODES)):
        gap = float(distances[mode].min())
        v = node_variances(case)
        v = v[v < 0.25 * gap**2]
        chosen = np.unique(np.linspace(0, len(v) - 1, min(len(v), MAX_LEVELS)).astype(int))
        found += [_place(case, mode, gap, float(v[k])) for k in chosen]
    return found


def _place(case: Case, mode: int, gap: float, v: float) -> Place:
    radius = self_consistent_radius(case.mixture, mode, gap, v)
    if radius is None:
        return Place(mode, v, gap, None)
    rate = float(bounds.tracking_rate(case.mixture, mode, radius, v))
    if rate <= 0.0:
        return Place(mode, v, gap, None)
    mean = case.mixture.means[mode]
    try:
        found = dynamics.equilibrium(case.mixture, v, mean)
    except ConvergenceError:
        return Place(mode, v, gap, radius, rate=rate)
    distance = float(np.linalg.norm(found.point - mean))
    return Place(mode, v, gap, radius, distance, float(found.eigenvalues[-1]), rate)


def _modes(case: Case, held: list[Place], pull: float) -> dict[Comparison, IntArray]:
    """The comparisons over modes, with the places that each is about."""
    distance, radius, largest, rate = np.array(
        [(p.distance, p.radius, p.largest, p.rate) for p in held]
    ).T
    size = extent(case.mixture)
    places = np.arange(len(held))
    resolved = distance > 1e-9 * size  # six digits of the distance are right there
    found = {}
    if resolved.any():
        sides = np.log(distance[resolved]), np.log(radius[resolved])
        name = "distance of the fixed point to its mode"
        found[compare(name, Upper(rtol=1e-5, log=True), *sides)] = places[resolved]
    if not resolved.all():
        name = "the same, where it is down at the rounding error"
        sides = distance[~resolved], radius[~resolved]
        found[compare(name, Upper(atol=1e-14), *sides, scale=size)] = places[~resolved]
    name = "largest eigenvalue at the fixed point"
    found[compare(name, Upper(atol=1e-9), largest, -rate - (pull - 1.0))] = places
    return found


def _table(held: list[Place]) -> Table:
    """The worst place of each level of the first mode's gap in effective variances."""
    rows: list[tuple[float, ...]] = []
    order = sorted(held, key=lambda p: p.gap**2 / p.v)
    for part in np.array_split(np.arange(len(order)), min(len(order), 8)):
        group = [order[k] for k in part]
        p = max(group, key=lambda q: q.distance / q.gap)
        rows.append(
            (p.gap**2 / p.v, p.mode, p.distance / p.gap, (p.radius or 0.0) / p.gap, p.largest)
        )
    columns = ("l²/v", "mode", "distance over l", "bound on it over l", "largest eigenvalue")
    return Table(
        "Fixed points next to modes, l the distance to the nearest other mode", columns, rows
    )


# -- two modes -----------------------------------------------------------------------------------


def _two_modes(threshold: float, pull: float) -> list[Comparison]:
    two = two_modes(1.0, 1.0)
    # No grid point at zero, where the drift vanishes for every k.
    z = np.linspace(-0.6, 0.6, 4000)
    zeros, roots, slopes, want_root = [], [], [], []
    for k in STRENGTHS.tolist():
        drift = dynamics.mean_field(two, z[:, None], 1.0 / k)[:, 0] - z
        zeros.append(np.count_nonzero(np.diff(np.sign(drift))))
        found = dynamics.equilibrium(two, 1.0 / k, np.array([0.5]))
        roots.append(found.point[0])
        slopes.append(found.eigenvalues[-1])
        want_root.append(oracles.two_mode_equilibria(k)[-1])
    want_slope = bounds.equilibrium_slope(STRENGTHS, 0.5 + np.array(want_root)) + (1.0 - pull)
    want_zeros = np.where(threshold < STRENGTHS, 3.0, 1.0)
    return [
        compare("number of equilibria of two modes", Equality(atol=0.5), zeros, want_zeros),
        compare("outer root of two modes", Equality(atol=1e-11), roots, want_root),
        compare("slope at the outer root of two modes", Equality(atol=1e-9), slopes, want_slope),
    ]
