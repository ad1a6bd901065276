r"""The saddle between modes of unequal weight.

Statement: For two modes with $b = \log(w_i/w_j)$ and $k = l^2/v$ the equilibria obey
    $\mathrm{logit}(a^*) = b + k (a^* - 1/2)$, with slope $k a^* (1 - a^*) - 1$. An unstable one
    exists iff $k > 4$ and $|b| < ks/2 - 2\,\mathrm{artanh}(s)$, $s = \sqrt{1 - 4/k}$; it lies
    towards the lighter mode.
Hypotheses:
    - common_sigma: all modes share one sigma; of one covariance $C = \Sigma + \rho I$ the same
      holds in $C^{-1/2} y$, where $v = 1$.
    - saddle: the existence condition (what follows it only).
Measured: the number of zeros of the engine's two-mode field; its saddle and the eigenvalue there,
    for $k$ from 2 to 500, for those of the closest pair at nodes of the papers' grid, and for its
    own weights and ratios from equal to beyond the threshold.
Predicted: 3 zeros or 1 by the existence condition; the root of the closed form; the slope there;
    $b (a^* - 1/2) \le 0$; the equation for $\mathrm{logit}(a^*)$ at the engine's saddle.
Evidence: exact; nothing is drawn. Certified: at every $k$ from 1.2 times the threshold to 500, for
    $b$ = 1, 3 and 8, one saddle in a box around the closed form, which lies on the lighter side.
Source: arXiv 2605.06831 v1, Proposition B.1 (1); the existence condition in this form is ours
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.geometry import dynamics
from mixdyn.proof import Law, Statement
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_covariance
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis, Table
from verify.measure.continuum import NO_TOLERANCE, can_prove, cells, certified
from verify.measure.continuum import saddle as proved_saddle
from verify.measure.covariances import COMMON_SIGMA, noisy_levels, one_width, whitened
from verify.measure.midpoint.traps import closest_pair, node_variances, two_modes
from verify.measure.paths import thinned

CLAIM = Claim.from_docstring(
    __doc__,
    id="B.1 (1)",
    short="unequal weights",
    rests_on={"O4": "the two-mode field", "P4.7 (1)": "the saddle that moves"},
    needs=(modes(2), one_covariance),
    derivation="derivations/errors/unequal_weights.py",
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "Which starts end at which mode: the boundary between the basins is not this moving "
        "saddle, see B.1 (2)."
    ),
)

STRENGTHS = (2.0, 3.9, 4.5, 6.0, 8.0, 12.0, 20.0, 50.0, 200.0, 500.0)
# Log weight ratios as shares of the critical one.
SHARES = (-1.01, -0.5, 0.0, 0.1, 0.5, 0.9, 0.99, 1.01, 1.5)
TABLE_RATIOS = (1.0, 2.0, 10.0, 100.0)
MAX_NODES = 6


@CLAIM.exact(unit="two-mode problems")
def saddle(
    case: Case, artanh: float = 1.0, sign: float = 1.0, moved: bool = True
) -> Iterator[Part]:
    """Existence, place and slope of the saddle. artanh: factor on that term of the threshold; sign:
    of b; moved: slope at the saddle, not at the midpoint."""
    if one_width(case):
        yield COMMON_SIGMA
    problems = case.memo("B.1 (1) problems", lambda: _problems(case))
    *places, zeros = np.array(problems).T
    k, b, closed = places[:3]
    held = ~np.isnan(closed)
    yield Hypothesis("saddle", float(held.mean()))
    yield from _at_saddle(*(values[held] for values in places), sign=sign, moved=moved)
    yield Side(
        "number of equilibria",
        zeros,
        equals=1.0 + 2.0 * (np.abs(b) < _threshold(k, artanh)),
        tolerance=Tolerance(atol=0.5),
        where={"k": k, "log_weight_ratio": b},
    )
    yield {"problems whose equilibria are counted, saddle or not": len(problems)}
    yield _table


def _at_saddle(
    k: Array, b: Array, closed: Array, a: Array, eigenvalue: Array, *, sign: float, moved: bool
) -> Iterator[Side]:
    """Place and slope of the saddles of problems that have one."""
    slope = bounds.equilibrium_slope(k, closed)
    # Rounding of the field moves a root by its size over the slope, and the slope by its own.
    give = 1.0 + 1.0 / slope
    logit = np.log(a) - np.log1p(-a)
    where = {"k": k, "log_weight_ratio": b}
    fine, coarse = Tolerance(atol=1e-13), Tolerance(atol=1e-12)
    yield Side("a* of the saddle", a, equals=closed, tolerance=fine, scale=give, where=where)
    yield Side(
        "eigenvalue at the saddle",
        eigenvalue,
        equals=slope if moved else bounds.equilibrium_slope(k, np.full(len(k), 0.5)),
        tolerance=coarse,
        scale=k * give,
        where=where,
    )
    yield Side(
        "b (a* - 1/2)",
        sign * b * (a - 0.5),
        at_most=0.0,
        tolerance=fine,
        scale=give,
        where=where,
    )
    yield Side(
        "logit(a*)",
        logit,
        equals=sign * b + k * (a - 0.5),
        tolerance=coarse,
        scale=k * give / (a * (1.0 - a)),
        where=where,
    )


def _threshold(k: Array, artanh: float) -> Array:
    """The critical |b|, with a factor on its second term: 1 for the claim itself."""
    critical = bounds.critical_log_weight_ratio(k)
    s = np.sqrt(np.maximum(1.0 - 4.0 / k, 0.0))
    return np.where(k > 4.0, artanh * critical + (1.0 - artanh) * 0.5 * k * s, 0.0)


CLAIM.must_fail(saddle, "|b| < ks/2", artanh=0.0)
CLAIM.must_fail(saddle, "logit(a*) = -b + k(a* - 1/2)", sign=-1.0)
CLAIM.must_fail(saddle, "slope k/4 - 1", moved=False)


class Problem(NamedTuple):
    """Two modes: k, b; where there is a saddle (else NaN), its a in closed form and by the engine,
    and the engine's eigenvalue; the number of zeros."""

    k: float
    b: float
    closed: float
    a: float
    eigenvalue: float
    zeros: int


def _problems(case: Case) -> list[Problem]:
    pair, own = closest_pair(case.mixture)
    at_nodes = _strengths(case, pair).tolist()
    found = []
    # Beyond k = 500 the lighter weight at the threshold leaves the range of doubles.
    for k in sorted({*STRENGTHS, *(k for k in at_nodes if k < STRENGTHS[-1])}):
        critical = float(bounds.critical_log_weight_ratio(k))
        ratios = {share * critical for share in SHARES} | {own}
        found += [_problem(k, b) for b in sorted(ratios)]
    return [p for p in found if not _on_the_edge(p)]


def _strengths(case: Case, pair: geometry.Pair) -> Array:
    """l^2/v of the pair at some nodes, or Delta^T C^-1 Delta."""
    if one_width(case):
        return np.asarray(pair.length**2 / thinned(node_variances(case), MAX_NODES))
    laws = [whitened(case.mixture, rho) for rho in thinned(noisy_levels(case), MAX_NODES).tolist()]
    return np.array([np.square(law.means[pair.i] - law.means[pair.j]).sum() for law in laws])


def _on_the_edge(problem: Problem) -> bool:
    """So close to the threshold that rounding decides."""
    critical = float(bounds.critical_log_weight_ratio(problem.k))
    return critical > 0.0 and abs(abs(problem.b) - critical) < 1e-6 * critical


@functools.cache  # most strengths and ratios are those of every case
def _problem(k: float, b: float) -> Problem:
    two, v = two_modes(1.0, 1.0, b), 1.0 / k
    z = _fine_grid(k, b)
    drift = dynamics.mean_field(two, z[:, None], v)[:, 0] - z
    signs = np.sign(drift)
    zeros = int(np.count_nonzero(np.diff(signs[signs != 0.0])))
    closed = oracles.two_mode_equilibria(k, b)
    if len(closed) < 3:
        return Problem(k, b, math.nan, math.nan, math.nan, zeros)
    found = dynamics.saddle(two, geometry.pair(two, 1, 0), v)
    a, eigenvalue = float(found.point[0]) + 0.5, float(found.eigenvalues[-1])
    return Problem(k, b, float(closed[1]) + 0.5, a, eigenvalue, zeros)


def _fine_grid(k: float, b: float) -> Array:
    """Places dense where the responsibility changes, and around both modes."""
    active = (np.arange(-45.0, 45.0, 0.011) - b) / k
    z = np.concatenate([active, np.linspace(-0.7, 0.7, 2000)])
    return np.asarray(np.unique(z[np.abs(z) <= 0.7]))


@functools.cache
def _table() -> Table:
    """Where the saddle lies, by weight ratio and k."""
    rows = []
    for k in (5.0, 8.0, 12.0, 20.0, 50.0, 200.0):
        places = [oracles.two_mode_equilibria(k, math.log(ratio)) for ratio in TABLE_RATIOS]
        rows.append((k, *(float(p[1]) + 0.5 if len(p) == 3 else None for p in places)))
    columns = ("l²/v", *(f"w_i/w_j = {ratio:g}" for ratio in TABLE_RATIOS))
    return Table(
        "a* of the saddle, 0 at the lighter mode j; a dash where there is none", columns, rows
    )


# -- at every level ------------------------------------------------------------------------------

PROVED_RATIOS = (1.0, 3.0, 8.0)


def branches(case: Case, sign: float = 1.0) -> list[Statement] | None:
    """The saddles of two modes at distance 1, as v = 1/k falls. sign: of the side they lie on."""
    if not can_prove(case):
        return None
    found: list[Statement] = []
    for b in PROVED_RATIOS:
        two = two_modes(1.0, 1.0, b)
        k = np.geomspace(4.001, 500.0, 2000)
        first = float(k[bounds.critical_log_weight_ratio(k) > 1.2 * b][0])
        for low, high in cells(1.0 / STRENGTHS[-1], 1.0 / first, 1.1):
            ends = [oracles.two_mode_equilibria(1.0 / v, b)[1] for v in (low, high)]
            half = 0.75 * abs(ends[1] - ends[0]) + 0.05 * low
            law = Law.of(two, [sign * 0.5 * sum(ends)], np.eye(1))
            found += proved_saddle(f"b = {b:g}, k = {1.0 / high:.4g}", law, half, (low, high))
    return found


CLAIM.must_fail(certified(CLAIM, branches), "saddles on the heavier side", sign=-1.0)
