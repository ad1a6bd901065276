r"""Trapping at the midpoint.

Statement: Let $\lambda = l^2/(4v) - 1$, $k = l^2/v$ and $U$ the intrinsic time left. If
    $|z_0| \le r e^{-\frac{3}{2} \lambda_{max} U}$ and $r \le 6\sqrt{3} \lambda_{min}/k_{max}^2$,
    the flow of two modes stays within $r$ of the midpoint to the end. To leave it takes
    $U \ge \frac{2}{3 \lambda_{max}} \log(r/|z_0|)$. Lengths are in units of $l$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - two_modes: the field of two modes of equal weight by itself.
    - saddle: $l^2 > 4v$ at the start, a noisy node of the papers' grid.
Measured: the start radius that ends exactly at $r$, where the published start ends, and the time to
    leave $r$, all from the flow of $\log|z|$, which no start is too small for; from the papers'
    regime, the first node with $l^2 \ge 28 d v$, to the last noisy time and to clean data.
Predicted: at least the published start; at most $r$; at least the published time. Truth is the
    conserved distribution function in ball arithmetic, the sharper bound is $r e^{-\Lambda}$ (X3).
Evidence: exact; nothing is drawn. A start within 1e-30 of the segment's length counts as vacuous.
Source: arXiv 2605.06831 v1, Proposition 4.7 (2)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixdyn import bounds, oracles
from mixdyn.geometry import Pair, dynamics
from mixdyn.support.checks import Array
from mixdyn.support.errors import ConvergenceError, NotApplicableError
from mixdyn.support.numbers import Log10
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.midpoint.traps import (
    LOG,
    VACUOUS_LOG_RADIUS,
    against_truth,
    exact_log_trap,
    exit_clock,
    flow_of_log_distance,
    full_trap,
    neighbour_pairs,
    node_below,
    node_variances,
    of_distinct_length,
    regime_node,
    two_modes,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="P4.7 (2)",
    short="midpoint trapping",
    rests_on={"P4.7 (1)": "the eigenvalue", "X1": "the time left"},
    needs=(
        modes(2),
        one_sigma.because(
            "the drift along a pair depends on the place across it where widths differ"
        ),
    ),
    derivation="derivations/saddle/paper_trap.py",
    does_not_show=(
        "Anything about the full mixture: its separatrix is not the midpoint, and misses it by far "
        "more than the published start, which then contains no trapped point at all. Nor that the "
        "trap can be seen with the exact score; a learned score may have another eigenvalue."
    ),
)

ENDS = ("last noisy time", "clean data")
MAX_PAIRS = 4
SLOWEST = 1e3  # a factor on the published exit times that every problem refutes
DEPTHS = (0.1, 0.3, 0.5, 0.7, 0.9)  # starts r e^(-depth Λ), from which the exit is timed


@CLAIM.exact(unit="pairs")
def trap(case: Case, safe: bool = True, slower: float = 1.0) -> Iterator[Part]:
    """Published trap against the flow of log z and the closed form. safe: the published start;
    slower: a factor on its exit times."""
    pairs = of_distinct_length(neighbour_pairs(case.mixture, case.pick(MAX_PAIRS, 60)))
    starts = [_start_variance(case, pair) for pair in pairs]
    yield Hypothesis("two_modes", 1.0, 0.0)
    yield Hypothesis("saddle", float(np.mean([v is not None for v in starts])))
    places = case.memo("P4.7 (2) places", lambda: _places(case, pairs, starts))
    if not places:
        yield "The midpoint is no saddle at a noisy node."
        return
    log_radius = np.array([math.log(p.published.radius) for p in places])
    start = np.array([p.published.log_start for p in places])
    if not safe:
        slowest = [p.published.eigenvalue_start * p.published.u for p in places]
        start = log_radius - 0.5 * np.array(slowest)
    exact = [p.log_exact for p in places]
    for end in ENDS:
        name = f"start radius over l that ends within r at {end}"
        here = np.array([p.end == end for p in places])
        yield _side(name, places, exact, at_least=start, among=here, tolerance=LOG)
    ends = [p.log_end for p in places]
    name = "where the published start ends, over l"
    yield _side(name, places, ends, at_most=log_radius, tolerance=LOG)
    measured, needed = case.memo("P4.7 (2) exits", lambda: _exit_times(places))
    tolerance = Tolerance(rtol=1e-8)
    yield _side("time to leave r", places, measured, at_least=slower * needed, tolerance=tolerance)
    yield from _cross_checks(case, places)
    yield from _shown(case, places)


CLAIM.must_fail(trap, "|z_0| ≤ r exp(-λ_min U/2)", safe=False)
CLAIM.must_fail_narrowly(
    trap,
    "exit time 2/(3 λ_max) log(r/|z_0|) times 1 + {}",
    SLOWEST,
    slower=lambda more: 1.0 + more,
)


@dataclasses.dataclass(frozen=True)
class Place:
    """One pair from its start to one end, lengths in units of l.

    published: the paper's trap; log_exact: log of the start that ends at r; log_end: where the
    published start ends; log_truth: the same trap in closed form; log_sharp: r e^(-Lambda).
    """

    pair: Pair
    end: str
    v_start: float
    v_end: float
    published: bounds.PaperTrap
    log_exact: float
    log_end: float
    log_truth: float
    log_sharp: float

    @property
    def k(self) -> tuple[float, float]:
        """l^2/v at the start and at the end."""
        return self.pair.length**2 / self.v_start, self.pair.length**2 / self.v_end


def _side(name: str, places: Sequence[Place], left: ArrayLike, **stated: Any) -> Side:
    """A side whose first axis are the places."""

    def where(place: int, *rest: int) -> dict[str, Any]:
        p = places[place]
        return {"pair": [p.pair.i, p.pair.j], "v_start": p.v_start, "v_end": p.v_end}

    return Side(name, left, where=where, **stated)


def _start_variance(case: Case, pair: Pair) -> float | None:
    """v at the start of the papers' regime, else at the first noisy node with a saddle."""
    node = regime_node(case, pair.length)
    if node is None:
        # Just below l^2/4, where the eigenvalue vanishes.
        node = node_below(case, 0.25 * pair.length**2 * (1.0 - 1e-9))
    return None if node is None else float(node_variances(case)[node])


def _places(case: Case, pairs: list[Pair], v_start: list[float | None]) -> list[Place]:
    v = node_variances(case)
    levels = [(ENDS[0], float(v[-2])), (ENDS[1], float(v[-1]))]
    return [
        _place(pair, end, start, v_end)
        for end, v_end in levels
        for pair, start in zip(pairs, v_start, strict=True)
        if start is not None and start > v_end
    ]


def _place(pair: Pair, end: str, v_start: float, v_end: float) -> Place:
    published = bounds.paper_trap(pair.length, v_start, v_end)
    k_start, k_end = pair.length**2 / v_start, pair.length**2 / v_end
    log_r = math.log(published.radius)
    exponent = bounds.growth_exponent(pair.length, v_start, v_end)
    return Place(
        pair,
        end,
        v_start,
        v_end,
        published,
        log_exact=float(flow_of_log_distance(log_r, k_end, k_start)[0]),
        log_end=float(flow_of_log_distance(published.log_start, k_start, k_end)[0]),
        log_truth=exact_log_trap(pair.length, published.radius, v_start, v_end),
        log_sharp=float(bounds.log_safe_start(published.radius, exponent)),
    )


def _exit_times(places: list[Place]) -> tuple[Array, Array]:
    """Time to leave r from starts below it that do leave before the end, measured and published,
    (places, depths)."""
    measured, needed = np.empty((2, len(places), len(DEPTHS)))
    for k, p in enumerate(places):
        log_r = math.log(p.published.radius)
        for j, depth in enumerate(DEPTHS):
            log_ratio = depth * (log_r - p.log_sharp)
            measured[k, j] = exit_clock(log_r - log_ratio, log_r, *p.k)
            needed[k, j] = bounds.exit_time(log_ratio, p.published.eigenvalue_end)
    return measured, needed


def _cross_checks(case: Case, places: list[Place]) -> Iterator[Side]:
    """The flow of log z against ball arithmetic, the engine's field against the logistic one."""
    z = np.linspace(-0.6, 0.6, 49)
    engine, closed = [], []
    for p in places:
        two = two_modes(p.pair.length, float(case.mixture.sigma))
        y = p.pair.length * z[:, None]
        engine.append(dynamics.mean_field(two, y, p.v_end)[:, 0] / p.pair.length - z)
        closed.append(oracles.two_mode_drift(z, p.k[1]))
    tolerance = Tolerance(atol=1e-11)
    yield _side("two-mode field of the engine", places, engine, equals=closed, tolerance=tolerance)
    exact, truth, k = np.array([(p.log_exact, p.log_truth, p.k[1]) for p in places]).T
    yield against_truth(exact, truth, k)


# -- for the report ------------------------------------------------------------------------------


def _shown(case: Case, places: list[Place]) -> Iterator[Part]:
    """Facts, note, numbers and table."""
    first, v = places[0], case.schedule.effective_variance(float(case.mixture.sigma))
    yield Facts(
        nonvacuous=float(np.mean([p.published.log_start > VACUOUS_LOG_RADIUS for p in places])),
        truth=Log10.from_log(first.log_truth),
        sharper_bound=Log10.from_log(first.log_sharp),
    )
    yield lambda: (
        _note(case, first),
        {
            "raw time of the start": int(np.argmin(abs(v - first.v_start))),
            "r over l": first.published.radius,
            "λ at the start": first.published.eigenvalue_start,
            "λ at the end": first.published.eigenvalue_end,
            "intrinsic time left": first.published.u,
        },
        _table(case, first.pair, places),
    )


def _note(case: Case, first: Place) -> str:
    """In words, what the full mixture does at the midpoint, where that is known for certain."""
    if case.mixture.N == 2 and np.ptp(case.mixture.weights) < 1e-12:
        return ""  # the full mixture is the two-mode problem
    where = _from_midpoint(case, first)
    if where is None:
        return ""
    inside = "stays within" if where <= first.published.radius else "leaves"
    return (
        f"In the full mixture the start exactly at the midpoint of modes {first.pair.i} and "
        f"{first.pair.j} ends {where:.3g} l away from it and so {inside} r."
    )


def _from_midpoint(case: Case, place: Place) -> float | None:
    """|z| at the end of the full mixture's flow from the midpoint, None without a closed form."""
    from flint import arb, ctx

    pair = place.pair
    with ctx.workprec(256):  # the midpoint of two doubles is exact
        middle = [(arb(a) + arb(b)) / 2 for a, b in zip(pair.mu_i, pair.mu_j, strict=True)]
    try:
        ball = oracles.flow_map_arb(case.mixture, [middle], place.v_start, place.v_end, prec=32)[0]
    except (NotApplicableError, ConvergenceError):
        return None
    end = np.array([[float(value.mid()) for value in ball]])
    return float(abs(pair.bisector_coordinate(end)[0]) / pair.length)


def _table(case: Case, pair: Pair, places: list[Place]) -> Table:
    """Start radii of one pair: published, X3, exact for two modes and for the full mixture."""
    rows = []
    for p in places:
        if (p.pair.i, p.pair.j) != (pair.i, pair.j):
            continue
        full = full_trap(case.mixture, pair, p.published.radius, p.v_start, p.v_end)
        rows.append(
            (
                p.end,
                p.published.radius,
                Log10.from_log(p.published.log_start),
                Log10.from_log(p.log_sharp),
                Log10.from_log(p.log_truth),
                None if full is None else Log10(full.log10_radius),
                None if full is None else abs(full.center_offset),
                _from_midpoint(case, p),
            )
        )
    columns = (
        "to",
        "r",
        "published start",
        "r exp(-Λ)",
        "exact, two modes",
        "exact, full mixture",
        "its centre's distance to the midpoint",
        "full mixture from the midpoint ends at",
    )
    return Table(f"Start radii of modes {pair.i} and {pair.j}, in units of l", columns, rows)
