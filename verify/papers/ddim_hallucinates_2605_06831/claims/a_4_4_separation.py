r"""Separation of modes.

Statement: From some time $\tau_2 > 0$ on, $|\mu_i - \mu_j|^2 \ge 4 \kappa d v_t$, where $v_t =
    \sigma^2 + (1 - \bar\alpha_t)/\bar\alpha_t$; equivalently $\alpha_t |\mu_i - \mu_j| \ge 2
    \sqrt{\kappa d}\, \sigma_t$. Of modes of any covariances, with $\Delta = \mu_i - \mu_j$:
    $\Delta^T (\Sigma_k + \rho_t I)^{-1} \Delta \ge 4 \kappa d$ for both $k = i$ and $k = j$.
Hypotheses:
    - common_sigma: all modes share one sigma (for the first form).
Measured: $\tau_2$ of every pair of modes at $\kappa = 7$ in raw time, from the definition in $x$
    coordinates with the engine's diffused mixtures, at every time of the schedule.
Predicted: at least 1 for every pair, and the last time at which $v_t \le l^2/(4 \kappa d)$. An
    assumption met by no pair does not apply; met by some, it fails.
Evidence: exact; nothing is drawn. For the closest pair also $\tau_2$ for $\kappa$ = 1 to 20.
    Certified at every level between two times, for every pair of the mixture.
Source: arXiv 2605.06831 v1, Assumption 4.4
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from mixdyn import bounds, geometry
from mixdyn.geometry import dominance_times
from mixdyn.proof import Law, Statement
from mixdyn.proof.statement import v as level
from mixdyn.support.checks import Array, IntArray
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.relations import Outcome
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Table
from verify.measure.continuum import NO_TOLERANCE, certified, variances
from verify.measure.covariances import COMMON_SIGMA, one_width, separated_until, squared_lengths
from verify.measure.paths import KAPPA, ddim_grid, ddim_tails, level_at

CLAIM = Claim.from_docstring(
    __doc__,
    id="A4.4",
    short="separation",
    needs=(modes(2),),
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "That a trajectory has reached its pair by then: dominance along trajectories is A4.1, and "
        "either time can come first."
    ),
)

REPORTED = (1.0, 2.0, 7.0, 20.0)


@CLAIM.exact(unit="pairs")
def separation(case: Case, constant: float = 4.0, from_time: int = 1) -> Iterator[Part]:
    """tau_2 of every pair at kappa = 7, by three routes. constant: of the predicted one."""
    if one_width(case):
        yield COMMON_SIGMA
    i, j, length = _pairs(case)
    scan = case.memo("A4.4 scan", lambda: _scan(case))
    where = {"pair": np.stack([i, j], axis=1), "length": length, "kappa": KAPPA}
    routes = [
        # A threshold within rounding of some v may tip by one step.
        Side(name, scan, equals=tau, tolerance=Tolerance(atol=1.01), where=where)
        for name, tau in _predictions(case, constant).items()
    ]
    yield Side(
        "τ₂ of the pair in raw time",
        scan,
        at_least=from_time,
        tolerance=Tolerance(atol=0.5),
        where=where,
    )
    yield from routes
    if scan.max() < 1 and all(side.comparison.outcome is Outcome.HOLDS for side in routes):
        yield Facts(applicable=0.0)
        yield "No pair of modes is separated with margin 7 at a noisy time."
    yield lambda: (_numbers(case), _table(case))


CLAIM.must_fail(separation, "l² ≥ 2κdv", constant=2.0)
CLAIM.must_fail_each(
    separation,
    lambda case: {"separated from the first time on": {"from_time": case.schedule.T}},
)


def _predictions(case: Case, constant: float) -> dict[str, ArrayLike]:
    """τ₂ by the other routes. constant: of the first."""
    if not one_width(case):
        return {"scan against the fractions of Δ": _predict(case, 0.25 * constant * KAPPA)}
    i, j, _ = _pairs(case)
    return {
        "scan against l²/(4κd)": _predict(case, 0.25 * constant * KAPPA),
        "scan against the engine's τ₂": _engine(case)[i, j],
    }


def _pairs(case: Case) -> tuple[IntArray, IntArray, Array]:
    i, j = np.triu_indices(case.mixture.N, k=1)
    return i, j, geometry.pairwise_distances(case.mixture.means)[i, j]


def _scan(case: Case) -> IntArray:
    """tau_2 of every pair by scanning the schedule in x coordinates, -1 where never."""
    i, j, _ = _pairs(case)
    tau = np.full(len(i), -1, dtype=np.int64)
    still = np.ones(len(i), dtype=bool)
    for t in range(case.schedule.T + 1):
        marginal = level_at(case, t).marginal
        if one_width(case):
            square = np.square(marginal.means[i] - marginal.means[j]).sum(axis=1)
            still &= square >= 4.0 * KAPPA * case.mixture.d * float(marginal.sigma) ** 2
        elif marginal.smallest_var > 0.0:  # else clean data, flat in some direction
            still &= squared_lengths(marginal)[i, j] >= 4.0 * KAPPA * case.mixture.d
        if not still.any():
            break
        tau[still] = t
    return tau


def _predict(case: Case, kappa: float) -> Array:
    """The last time at which v is below the bound's threshold."""
    i, j, length = _pairs(case)
    if not one_width(case):
        until = separated_until(case.mixture, 4.0 * kappa * case.mixture.d, i, j)
        found = np.searchsorted(case.schedule.rho, until, side="right") - 1.0
        return np.where(until < 0.0, -1.0, found)
    v = case.schedule.effective_variance(float(case.mixture.sigma))
    threshold = bounds.separation_variance(length, kappa, case.mixture.d)
    return np.asarray(np.searchsorted(v, threshold, side="right") - 1.0, dtype=np.float64)


def _engine(case: Case) -> IntArray:
    return dominance_times.tau_2(case.mixture, case.schedule, KAPPA)


def _numbers(case: Case) -> dict[str, float | None]:
    """What the closest pair allows, and tau_2 of the pairs that DDIM's trajectories end at."""
    if not one_width(case):
        return {}
    _, _, length = _pairs(case)
    sigma = float(case.mixture.sigma)
    numbers: dict[str, float | None] = {
        "largest κ separated at clean data": length.min() ** 2 / (4.0 * case.mixture.d * sigma**2)
    }
    pair = ddim_tails(case).pair
    own = pair[pair[:, 1] >= 0]
    if len(own):
        name = "median over trajectories of τ₂ of their own pair"
        numbers[name] = float(np.median(_engine(case)[own[:, 0], own[:, 1]]))
    return numbers


def _table(case: Case) -> Table:
    """tau_2 of the closest pair for several kappa, in raw time and in steps of the papers' DDIM."""
    _, _, length = _pairs(case)
    times, rows = ddim_grid(case).times, []
    for kappa in REPORTED:
        tau = int(_predict(case, kappa)[length.argmin()])
        first = int(times[times <= tau].max()) if tau >= 1 else None
        rows.append((kappa, tau, first, dominance_times.steps_left(times, tau)))
    columns = ("κ", "τ₂ in raw time", "first node of DDIM at or below it", "DDIM steps left then")
    return Table("The closest pair", columns, rows)


# -- between the times of the schedule -----------------------------------------------------------


def between(case: Case, constant: float = 4.0) -> list[Statement] | None:
    """Of every pair from clean data to its tau_2, as a function of v alone."""
    if not one_width(case):
        return None
    found: list[Statement] = []
    law = Law.of(case.mixture, case.mixture.means[0], np.empty((0, case.mixture.d)))
    for i, j, length, tau in zip(
        *_pairs(case), case.memo("A4.4 scan", lambda: _scan(case)), strict=True
    ):
        if tau >= 1:
            room = length**2 - constant * KAPPA * case.mixture.d * level
            found.append(Statement.over(f"pair {i}, {j}", law, room, variances(case, int(tau))))
    return found


CLAIM.must_fail(certified(CLAIM, between), "4.4 κ d in place of 4 κ d", constant=4.4)
