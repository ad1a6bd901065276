r"""The saddle of the full mixture, and what divides the basins.

Statement: The other modes change the parallel drift of a pair by at most $E = \sum_k \gamma_k
    \max(|a_k|, |1 - a_k|)$, so the full mixture's saddle lies within (error of the field)/(slope
    bound) $= E/s$ of the two-mode one along the pair, and within $R = \sum_k \gamma_k |\xi_k|$
    across it; the margin $\kappa$ bounds both on that box, and $s$ is the least slope there. For
    unequal weights the boundary between the basins is not the moving saddle: it is the level of the
    distribution function at which as much of $i$ lies below as of $j$ above.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - saddle: the pair by itself has one, B.1 (1).
    - dominance: the pair dominates on a box around it whose half widths are $E/s < 1/4$ and $R$.
Measured: the full mixture's saddle by Newton's method on the engine's field, for neighbouring pairs
    at $l^2/v$ = 5 to 50, reached by the process or not; and for two modes with weights
    1:1, 2:1 and 10:1 the place from which the engine's paths go either way, by bisection.
Predicted: distances to the two-mode saddle at most $E/s$ and $R$; the level of the distribution
    function at the start. The sharper bound is the linear response, field over slope.
Evidence: exact; nothing is drawn.
Source: arXiv 2605.06831 v1, Proposition B.1 (2); the basin boundary is ours
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mixdyn import bounds, oracles
from mixdyn.geometry import Pair, dominance_times, dynamics
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.errors import ConvergenceError, NotApplicableError
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.midpoint.traps import neighbour_pairs, separatrix, two_modes

CLAIM = Claim.from_docstring(
    __doc__,
    id="B.1 (2)",
    short="its displacement",
    rests_on={
        "B.1 (1)": "the saddle of the pair by itself",
        "G.3": "the margin bounds the field's error",
        "O2": "the level that divides the basins",
    },
    needs=(
        modes(2),
        one_sigma.because(
            "separatrices are level sets in one dimension alone, and this is measured across a pair"
        ),
    ),
    derivation="derivations/errors/unequal_weights.py",
    does_not_show=(
        "The basins' boundary of the full mixture: that is a curved surface through no saddle in "
        "particular, known in closed form only where the mixture separates."
    ),
)

STRENGTHS = (5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 30.0, 50.0)
MAX_PAIRS = 8
RATIOS = (1.0, 2.0, 10.0)
K_START, K_END = 12.0, 400.0  # two modes: from where both ratios have a saddle until all is decided
_PLACES, _ROUNDS = 33, 5
_RESOLVED = 1e-11  # in units of `Place.scale`: rounding of the engine's saddle is well below it


@CLAIM.exact(unit="pairs × strengths")
def displacement(case: Case, factor: float = 1.0, towards: float = 0.0) -> Iterator[Part]:
    """Saddles of the full mixture, then the boundary between two basins. factor: on E/s; towards:
    how far the predicted boundary is moved to the saddle."""
    places, held = _places(case), _held(case)
    for name in ("saddle", "dominance"):
        yield Hypothesis(name, float(np.mean([p.slack[name] > 0.0 for p in places])))
    yield Facts(applicable=len(held) / len(places))
    if not held:
        yield "No pair dominates on such a box."
        return
    sides = [*_moved(held, "along", factor)]
    if case.mixture.d > 1:
        sides += _moved(held, "across", 1.0)
    yield from sides
    (first,) = next(side for side in sides if side.asked).worst
    yield Facts(sharper_bound=held[first].response)
    limits = [_boundary(ratio) for ratio in RATIOS]
    yield from _divides(limits, towards)
    yield lambda: _boundary_table(limits)


def _moved(held: Sequence[Place], what: str, factor: float) -> Iterator[Side]:
    """Displacements over l along or across the pair: in logs where rounding leaves digits, then
    where it does not."""
    name = f"displacement of the saddle {what} the pair over l"
    measured = np.array([getattr(p, what) for p in held])
    bound = factor * np.array([getattr(p, f"bound_{what}") for p in held])
    resolved = np.array([p.resolves(what) for p in held])
    where = {
        "pair": np.array([(p.pair.i, p.pair.j) for p in held]),
        "k": np.array([p.k for p in held]),
    }
    with np.errstate(divide="ignore"):
        logs = np.log(measured), np.log(bound)
    yield Side(
        name,
        logs[0],
        at_most=logs[1],
        among=resolved,
        tolerance=Tolerance(rtol=1e-4, log=True),
        where=where,
    )
    yield Side(
        f"{name}, below what doubles resolve",
        measured,
        at_most=bound,
        among=~resolved,
        tolerance=Tolerance(atol=1e-13),
        scale=[p.scale for p in held],
        where=where,
    )


def _divides(limits: Sequence[Boundary], towards: float) -> Iterator[Side]:
    """The bisected boundary against the level, and the level against the closed form."""
    ratio, measured, level, closed, saddle, resolution = np.array(limits).T
    where = {"weight_ratio": ratio}
    yield Side(
        "boundary between the basins of two modes",
        measured,
        equals=level + towards * (saddle - level),
        tolerance=Tolerance(atol=1.0),
        scale=resolution,
        where=where,
    )
    yield Side(
        "that level against the closed form",
        level,
        equals=closed,
        tolerance=Tolerance(atol=1e-12),
        where=where,
    )


def _seen_to_move(case: Case) -> bool:
    """Whether a saddle of the full mixture is displaced by more than rounding."""
    return any(p.resolves("along") for p in _held(case))


CLAIM.must_fail(displacement, "the moving saddle divides the basins", towards=1.0)
CLAIM.must_fail_narrowly(
    displacement,
    "a boundary {} of the way from the level to the saddle",
    1.0,
    towards=lambda share: share,
)
CLAIM.must_fail(displacement, "E/s scaled by 1e-9", when=_seen_to_move, factor=1e-9)
CLAIM.must_fail_narrowly(
    displacement,
    "E/s scaled by e^(-{})",
    20.0,
    when=_seen_to_move,
    factor=lambda less: math.exp(-less),
)


@dataclass(frozen=True)
class Place:
    """A pair at one strength k = l^2/v. slack: by hypothesis, positive where it holds.

    along, across: measured distances of the two saddles over l; bound_along, bound_across: theirs.
    response: (drift of the full field at the two-mode saddle)/(its slope), the linear prediction.
    scale: of rounding, that of the coordinates over l, divided by a slope below one.
    """

    pair: Pair
    k: float
    slack: dict[str, float]
    along: float = math.nan
    across: float = math.nan
    bound_along: float = math.nan
    bound_across: float = math.nan
    response: float = math.nan
    scale: float = 1.0

    def resolves(self, what: str) -> bool:
        """Whether a measured displacement is more than rounding."""
        return bool(getattr(self, what) > _RESOLVED * self.scale)


class Boundary(NamedTuple):
    """Two modes of one weight ratio at the start, lengths over l from the midpoint."""

    ratio: float
    measured: float
    level: float
    closed: float
    saddle: float
    resolution: float


# -- full mixture --------------------------------------------------------------------------------


def _places(case: Case) -> list[Place]:
    def measure() -> list[Place]:
        pairs = neighbour_pairs(case.mixture, MAX_PAIRS)
        return [_place(case, pair, k) for pair in pairs for k in STRENGTHS]

    return case.memo("B.1 (2) places", measure)


def _held(case: Case) -> list[Place]:
    return [p for p in _places(case) if min(p.slack.values()) > 0.0]


def _place(case: Case, pair: Pair, k: float) -> Place:
    mixture, v = case.mixture, pair.length**2 / k
    b = math.log(mixture.weights[pair.i] / mixture.weights[pair.j])
    roots = oracles.two_mode_equilibria(k, b)
    if len(roots) < 3:
        lacking = abs(b) - float(bounds.critical_log_weight_ratio(k))
        return Place(pair, k, {"saddle": min(-lacking, 0.0), "dominance": 0.0})
    a = float(roots[1]) + 0.5
    box = _box(case, pair, k, b, a)
    if box is None:
        return Place(pair, k, {"saddle": 1.0, "dominance": -1.0})
    two_mode = pair.mu_j + a * (pair.mu_i - pair.mu_j)
    field = dynamics.mean_field(mixture, two_mode[None], v)[0] - two_mode
    drift = float(field @ pair.direction) / pair.length
    slope = float(bounds.equilibrium_slope(k, a))
    scale = float(np.abs(mixture.means).max()) / pair.length / min(slope, 1.0)
    try:
        full = dynamics.saddle(mixture, pair, v).point[None]
        where, xi = pair.coordinates(full)
        along, across = abs(float(where[0]) - a), float(np.linalg.norm(xi)) / pair.length
    except (ConvergenceError, NotApplicableError):
        along = across = math.inf  # no saddle of the full mixture: the claim's own failure
    held = {"saddle": 1.0, "dominance": 1.0}
    return Place(pair, k, held, along, across, *box, abs(drift) / slope, scale)


def _box(case: Case, pair: Pair, k: float, b: float, a: float) -> tuple[float, float] | None:
    """Half widths E/s along and R/l across, on which they bound themselves; None without any."""
    mixture, v = case.mixture, pair.length**2 / k
    a_modes, xi = pair.coordinates(mixture.means)
    farthest = float(np.linalg.norm(xi, axis=1).max())
    reach = np.maximum(np.abs(a_modes), np.abs(1.0 - a_modes))
    others = np.setdiff1d(np.arange(mixture.N), (pair.i, pair.j))
    along, across = 0.0, 0.0
    for _ in range(200):
        ends = np.array([a - along, min(max(0.5, a - along), a + along), a + along])
        y = pair.mu_j + ends[:, None] * (pair.mu_i - pair.mu_j)
        # The margin is the larger of two affine functions: least at an end or on the bisector.
        margin = dominance_times.dominance_margin(mixture, y, v, (pair.i, pair.j)).min()
        kappa = min(float(margin), 1e3) - across * pair.length * farthest / v
        if kappa <= 0.0:
            return None
        gamma = bounds.responsibility_bound(mixture, pair.i, pair.j, kappa)
        logit = b + k * (ends - 0.5)
        slope = float(np.min(0.25 * k / np.cosh(0.5 * logit) ** 2)) - 1.0
        if slope <= 0.0:
            return None
        new_along = float(gamma[others] @ reach[others]) / slope
        new_across = float(bounds.orthogonal_remainder(mixture, pair.i, pair.j, kappa))
        new_across /= pair.length
        if new_along <= along and new_across <= across:
            return along, across
        along, across = 1.000001 * new_along, 1.000001 * new_across
        if along >= 0.25:
            return None
    return None


# -- two modes -----------------------------------------------------------------------------------


@functools.cache  # the same two modes for every case
def _boundary(ratio: float) -> Boundary:
    """The boundary at K_START of two modes at distance 1: bisected, as a level, in closed form."""
    b, v_start, v_end = math.log(ratio), 1.0 / K_START, 1.0 / K_END
    two = two_modes(1.0, math.sqrt(v_end), b)
    solver = DormandPrince(rtol=1e-10, atol=1e-12)
    low, high = -0.5, 0.5
    for _ in range(_ROUNDS):
        z = np.linspace(low, high, _PLACES)
        end = integrate_ode(two, z[:, None], [v_start, v_end], solver).y[:, 0]
        first = int(np.argmax(end > 0.0))  # of the starts that end at mode i
        low, high = float(z[first - 1]), float(z[first])
    level = separatrix(1.0, b, v_start)
    trap = oracles.trap_radius(two, (1, 0), 0.1, v_start, v_end)
    saddle = float(oracles.two_mode_equilibria(K_START, b)[1])
    middle = 0.5 * (low + high)
    return Boundary(ratio, middle, level, trap.center_offset, saddle, high - low)


def _boundary_table(limits: list[Boundary]) -> Table:
    rows = [(b.ratio, b.saddle, b.level, b.measured, b.level - b.saddle) for b in limits]
    columns = ("w_i/w_j", "moving saddle", "level", "bisected", "level minus saddle")
    caption = f"Two modes at l²/v = {K_START:g}: places over l from the midpoint, mode i at 0.5"
    return Table(caption, columns, rows)
