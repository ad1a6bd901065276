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
from typing import Any

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.geometry import Pair, dynamics
from mixdyn.support.checks import Array
from mixdyn.support.errors import ConvergenceError, NotApplicableError
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes, one_sigma
from verify.ledger.quantities import Log10
from verify.ledger.relations import Comparison, Equality, Lower, Upper, compare
from verify.measure.midpoint.traps import (
    LOG_RTOL,
    VACUOUS_LOG_RADIUS,
    against_truth,
    exact_log_trap,
    exit_clock,
    flow_of_log_distance,
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
    needs=(modes(2), one_sigma),
    basis=(Basis.EXACT,),
    derivation="derivations/paper_trap.py",
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


def check(case: Case) -> Verdict:
    """Published trap against the flow of log z and the closed form."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """A start with the smallest eigenvalue in its exponent, and exits counted as slower."""
    return {"|z_0| ≤ r exp(-λ_min U/2)": _judge(case, safe=False)} | narrowest(
        "exit time 2/(3 λ_max) log(r/|z_0|) times 1 + {}",
        lambda more: _judge(case, slower=1.0 + more),
        SLOWEST,
    )


def _judge(case: Case, safe: bool = True, slower: float = 1.0) -> Verdict:
    """safe: the published start; slower: a factor on its exit times (mutants)."""
    pairs = of_distinct_length(neighbour_pairs(case.mixture, case.pick(MAX_PAIRS, 60)))
    v_start = [_start_variance(case, pair) for pair in pairs]
    hypotheses = [
        Hypothesis("common_sigma", 1.0, 0.0),
        Hypothesis("two_modes", 1.0, 0.0),
        Hypothesis("saddle", float(np.mean([v is not None for v in v_start]))),
    ]
    places = case.memo("P4.7 (2) places", lambda: _places(case, pairs, v_start))
    if not places:
        finding = Finding(hypotheses=hypotheses, note="The midpoint is no saddle at a noisy node.")
        return CLAIM.judge(case, finding)

    def witness(comparison: Comparison) -> dict[str, Any]:
        place = _named(comparison, places)
        levels = {"v_start": place.v_start, "v_end": place.v_end}
        return {"quantity": comparison.name, "pair": [place.pair.i, place.pair.j], **levels}

    first = places[0]
    safe_logs = [p.published.log_start for p in places]
    finding = Finding(
        comparisons=[
            *_starts(places, safe),
            _exits(case, places, slower),
            *_cross_checks(case, places),
        ],
        hypotheses=hypotheses,
        nonvacuous_share=float(np.mean(np.array(safe_logs) > VACUOUS_LOG_RADIUS)),
        truth=Log10.from_log(first.log_truth),
        sharper_bound=Log10.from_log(first.log_sharp),
        witness=witness,
        unit="pairs",
        note=_note(case, first),
        numbers={
            "raw time of the start": int(np.argmin(abs(_all_variances(case) - first.v_start))),
            "r over l": first.published.radius,
            "λ at the start": first.published.eigenvalue_start,
            "λ at the end": first.published.eigenvalue_end,
            "intrinsic time left": first.published.u,
        },
        tables=[_table(case, pairs[0], places)],
    )
    return CLAIM.judge(case, finding)


def _all_variances(case: Case) -> Array:
    return case.schedule.effective_variance(float(case.mixture.sigma))


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
        _place(case, pair, end, start, v_end)
        for end, v_end in levels
        for pair, start in zip(pairs, v_start, strict=True)
        if start is not None and start > v_end
    ]


def _place(case: Case, pair: Pair, end: str, v_start: float, v_end: float) -> Place:
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


def _named(comparison: Comparison, places: list[Place]) -> Place:
    """The place a comparison's worst point belongs to."""
    among = [p for p in places if p.end in comparison.name] or places
    return among[(comparison.index // _points_per_place(comparison)) % len(among)]


def _points_per_place(comparison: Comparison) -> int:
    return len(DEPTHS) if "time to leave" in comparison.name else 1


def _starts(places: list[Place], safe: bool) -> list[Comparison]:
    """The exact start against the published one, and where the published one ends."""
    found = []
    for end in ENDS:
        here = [p for p in places if p.end == end]
        if not here:
            continue
        starts = [
            p.published.log_start
            if safe
            else math.log(p.published.radius) - 0.5 * p.published.eigenvalue_start * p.published.u
            for p in here
        ]
        name = f"start radius over l that ends within r at {end}"
        exact = [p.log_exact for p in here]
        found.append(compare(name, Lower(rtol=LOG_RTOL, log=True), exact, starts))
    ends, radii = [p.log_end for p in places], [math.log(p.published.radius) for p in places]
    name = "where the published start ends, over l"
    return [*found, compare(name, Upper(rtol=LOG_RTOL, log=True), ends, radii)]


def _exits(case: Case, places: list[Place], slower: float) -> Comparison:
    """Time to leave r from starts below it that do leave before the end."""
    measured, needed = case.memo("P4.7 (2) exits", lambda: _exit_times(places))
    return compare("time to leave r", Lower(rtol=1e-8), measured, slower * needed)


def _exit_times(places: list[Place]) -> tuple[Array, Array]:
    """Measured and published, for every place and depth."""
    measured, needed = [], []
    for p in places:
        k_start, k_end = p.pair.length**2 / p.v_start, p.pair.length**2 / p.v_end
        log_r = math.log(p.published.radius)
        for depth in DEPTHS:
            log_ratio = depth * (log_r - p.log_sharp)
            measured.append(exit_clock(log_r - log_ratio, log_r, k_start, k_end))
            needed.append(float(bounds.exit_time(log_ratio, p.published.eigenvalue_end)))
    return np.array(measured), np.array(needed)


def _cross_checks(case: Case, places: list[Place]) -> list[Comparison]:
    """The flow of log z against ball arithmetic, the engine's field against the logistic one."""
    z = np.linspace(-0.6, 0.6, 49)
    engine, closed = [], []
    for p in places:
        two = two_modes(p.pair.length, float(case.mixture.sigma))
        y = p.pair.length * z[:, None]
        field = dynamics.mean_field(two, y, p.v_end)[:, 0] / p.pair.length - z
        engine.append(field)
        closed.append(oracles.two_mode_drift(z, p.pair.length**2 / p.v_end))
    exact, truth = [p.log_exact for p in places], [p.log_truth for p in places]
    return [
        compare("two-mode field of the engine", Equality(atol=1e-11), engine, closed),
        against_truth(exact, truth, [p.pair.length**2 / p.v_end for p in places]).comparison,
    ]


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
        full = _full_trap(case, p)
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


def _full_trap(case: Case, place: Place) -> oracles.Trap | None:
    """The exact trap of a separable mixture, where the pair is adjacent on an axis, else None."""
    modes = (place.pair.i, place.pair.j)
    try:
        return oracles.trap_radius(
            case.mixture, modes, place.published.radius, place.v_start, place.v_end
        )
    except NotApplicableError:
        return None
