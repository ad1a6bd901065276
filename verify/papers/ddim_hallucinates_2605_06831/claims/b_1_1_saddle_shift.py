r"""The saddle between modes of unequal weight.

Statement: For two modes with $b = \log(w_i/w_j)$ and $k = l^2/v$ the equilibria obey
    $\mathrm{logit}(a^*) = b + k (a^* - 1/2)$, with slope $k a^* (1 - a^*) - 1$. An unstable one
    exists iff $k > 4$ and $|b| < ks/2 - 2\,\mathrm{artanh}(s)$, $s = \sqrt{1 - 4/k}$; it lies
    towards the lighter mode.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - saddle: the existence condition (what follows it only).
Measured: the number of zeros of the engine's two-mode field; its saddle and the eigenvalue there,
    for $k$ from 2 to 500, for those of the closest pair at nodes of the papers' grid, and for its
    own weights and ratios from equal to beyond the threshold.
Predicted: 3 zeros or 1 by the existence condition; the root of the closed form; the slope there;
    $b (a^* - 1/2) \le 0$; the equation for $\mathrm{logit}(a^*)$ at the engine's saddle.
Evidence: exact; nothing is drawn.
Source: arXiv 2605.06831 v1, Proposition B.1 (1); the existence condition in this form is ours
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.geometry import dynamics
from mixdyn.support.checks import Array
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Equality, Upper, compare
from verify.measure.midpoint.traps import neighbour_pairs, node_variances, two_modes

CLAIM = Claim.from_docstring(
    __doc__,
    id="B.1 (1)",
    short="unequal weights",
    rests_on={"O4": "the two-mode field", "P4.7 (1)": "the saddle that moves"},
    needs=(modes(2), one_sigma),
    basis=(Basis.EXACT,),
    derivation="derivations/unequal_weights.py",
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


@dataclass(frozen=True)
class Problem:
    """Two modes: k, b, the number of zeros; where there is a saddle, its a by the engine and in
    closed form, and the engine's eigenvalue."""

    k: float
    b: float
    zeros: int
    a: float | None
    eigenvalue: float
    closed: float


def check(case: Case) -> Verdict:
    """Existence, place and slope of the saddle."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """Another threshold, a shift towards the heavier mode, the slope of the midpoint."""
    return {
        "|b| < ks/2": _judge(case, artanh=0.0),
        "logit(a*) = -b + k(a* - 1/2)": _judge(case, sign=-1.0),
        "slope k/4 - 1": _judge(case, moved=False),
    }


def _judge(case: Case, artanh: float = 1.0, sign: float = 1.0, moved: bool = True) -> Verdict:
    """artanh: factor on that term of the threshold; sign: of b; moved: slope at the saddle."""
    problems = case.memo("B.1 (1) problems", lambda: _problems(case))
    k, b, zeros = (np.array([getattr(p, name) for p in problems]) for name in ("k", "b", "zeros"))
    exists = np.abs(b) < _threshold(k, artanh)
    held = [p for p in problems if p.a is not None]
    comparisons = [
        *_at_saddle(held, sign, moved),
        compare("number of equilibria", Equality(atol=0.5), zeros, 1.0 + 2.0 * exists),
    ]

    def witness(comparison: Comparison) -> dict[str, Any]:
        among = problems if comparison is comparisons[-1] else held
        problem = among[comparison.index]
        return {"quantity": comparison.name, "k": problem.k, "log_weight_ratio": problem.b}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[
            Hypothesis("common_sigma", 1.0, 0.0),
            Hypothesis("saddle", len(held) / len(problems)),
        ],
        nonvacuous_share=1.0,
        witness=witness,
        unit="two-mode problems",
        numbers={"problems whose equilibria are counted, saddle or not": len(problems)},
        tables=[_table()],
    )
    return CLAIM.judge(case, finding)


def _threshold(k: Array, artanh: float) -> Array:
    """The critical |b|, with a factor on its second term: 1 for the claim itself."""
    critical = bounds.critical_log_weight_ratio(k)
    s = np.sqrt(np.maximum(1.0 - 4.0 / k, 0.0))
    return np.where(k > 4.0, artanh * critical + (1.0 - artanh) * 0.5 * k * s, 0.0)


def _at_saddle(held: list[Problem], sign: float, moved: bool) -> list[Comparison]:
    k, b, a, eigenvalue, closed = np.array(
        [(p.k, p.b, p.a, p.eigenvalue, p.closed) for p in held]
    ).T
    slope = bounds.equilibrium_slope(k, closed)
    predicted = slope if moved else bounds.equilibrium_slope(k, np.full(len(k), 0.5))
    # Rounding of the field moves a root by its size over the slope, and the slope by its own.
    give = 1.0 + 1.0 / slope
    logit = np.log(a) - np.log1p(-a)
    return [
        compare("a* of the saddle", Equality(atol=1e-13), a, closed, scale=give),
        compare(
            "eigenvalue at the saddle",
            Equality(atol=1e-12),
            eigenvalue,
            predicted,
            scale=k * give,
        ),
        compare("b (a* - 1/2)", Upper(atol=1e-13), sign * b * (a - 0.5), 0.0, scale=give),
        compare(
            "logit(a*)",
            Equality(atol=1e-12),
            logit,
            sign * b + k * (a - 0.5),
            scale=k * give / (a * (1.0 - a)),
        ),
    ]


def _problems(case: Case) -> list[Problem]:
    pair = neighbour_pairs(case.mixture, 1)[0]
    own = math.log(case.mixture.weights[pair.i] / case.mixture.weights[pair.j])
    v = node_variances(case)
    nodes = v[np.unique(np.linspace(0, len(v) - 1, MAX_NODES).astype(int))]
    at_nodes = (pair.length**2 / nodes).tolist()
    found = []
    # Beyond k = 500 the lighter weight at the threshold leaves the range of doubles.
    for k in sorted({*STRENGTHS, *(k for k in at_nodes if k < STRENGTHS[-1])}):
        critical = float(bounds.critical_log_weight_ratio(k))
        ratios = {share * critical for share in SHARES} | {own}
        found += [_problem(k, b) for b in sorted(ratios)]
    return [p for p in found if not _on_the_edge(p)]


def _on_the_edge(problem: Problem) -> bool:
    """So close to the threshold that rounding decides."""
    critical = float(bounds.critical_log_weight_ratio(problem.k))
    return critical > 0.0 and abs(abs(problem.b) - critical) < 1e-6 * critical


def _problem(k: float, b: float) -> Problem:
    two, v = two_modes(1.0, 1.0, b), 1.0 / k
    z = _fine_grid(k, b)
    drift = dynamics.mean_field(two, z[:, None], v)[:, 0] - z
    signs = np.sign(drift)
    zeros = int(np.count_nonzero(np.diff(signs[signs != 0.0])))
    closed = oracles.two_mode_equilibria(k, b)
    if len(closed) < 3:
        return Problem(k, b, zeros, None, math.nan, math.nan)
    found = dynamics.saddle(two, geometry.pair(two, 1, 0), v)
    a = float(found.point[0]) + 0.5
    return Problem(k, b, zeros, a, float(found.eigenvalues[-1]), float(closed[1]) + 0.5)


def _fine_grid(k: float, b: float) -> Array:
    """Places dense where the responsibility changes, and around both modes."""
    active = (np.arange(-45.0, 45.0, 0.011) - b) / k
    z = np.concatenate([active, np.linspace(-0.7, 0.7, 2000)])
    return np.asarray(np.unique(z[np.abs(z) <= 0.7]))


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
