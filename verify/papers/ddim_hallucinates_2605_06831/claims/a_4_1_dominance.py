r"""Two-mode dominance.

Statement: From some time $\tau_1 > 0$ on there is a pair $i, j$ with $|x_t - \alpha_t\mu_k|^2 -
    \min(|x_t - \alpha_t\mu_i|^2, |x_t - \alpha_t\mu_j|^2) \ge 2 \kappa \sigma_t^2$ for every
    other mode $k$. Of modes of any covariances: $E_k - \min(E_i, E_j) \ge \kappa$ with $E_k =
    \frac{1}{2}(x_t - \alpha_t\mu_k)^T C_k^{-1} (x_t - \alpha_t\mu_k) + \frac{1}{2}\log\det C_k$,
    which is what the assumption gives: $\gamma_k \le (w_k/w_*) e^{-\kappa}$.
Hypotheses:
    - common_sigma: all modes share one sigma (for the first form).
Measured: along trajectories with the exact score, three times in raw steps: the first node where
    some pair dominates (the paper's $\tau_1$), the node from which on some pair does, and the
    node from which on one fixed pair does, which is what Theorem 4.2 uses. The margin is not
    monotone, so the three differ.
Predicted: the third is at least 1 on every trajectory, for $\kappa = 7$: dominance begins before
    the last noisy state. An assumption met on no trajectory does not apply; met on some, it fails.
Evidence: sampled trajectories of DDIM with 50 quadratic steps and of the exact reverse SDE at the
    same nodes, from the marginal at the first node. Certified for the closest pair in a tube
    around its segment, at every place and level from its separation on.
Source: arXiv 2605.06831 v1, Assumption 4.1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mixdyn.geometry.dominance_times import DominanceTimes, steps_left, tau_1
from mixdyn.proof import Statement
from mixdyn.proof.statement import least, most, of_law
from mixdyn.support.checks import IntArray
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.sides import NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Table
from verify.measure.continuum import (
    NO_TOLERANCE,
    certified,
    dominated_tube,
    pair_law,
    proof_window,
    variances,
)
from verify.measure.covariances import COMMON_SIGMA, one_width, posterior_times
from verify.measure.paths import KAPPA, Paths, ddim_paths, reverse_paths

CLAIM = Claim.from_docstring(
    __doc__,
    id="A4.1",
    short="two-mode dominance",
    needs=(modes(3),),
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "Dominance between two nodes of the grid, or for every trajectory: a set of starts too "
        "small to be drawn ends where three modes meet."
    ),
)

REPORTED = (1.0, 2.0, 7.0, 20.0)
Runs = Mapping[str, Paths]


def dominated_runs(case: Case) -> Runs | NotApplicable:
    """Trajectories by sampler, if any of them meets the assumption."""
    runs = {"DDIM": ddim_paths(case), "reverse SDE": reverse_paths(case)}
    if any((_times(case, run, KAPPA).last_fixed >= 1).any() for run in runs.items()):
        return runs
    return NotApplicable(
        "No trajectory has one dominant pair with margin 7 before it reaches clean data."
    )


@CLAIM.sampled(unit="trajectories", of=dominated_runs)
def dominance(case: Case, runs: Runs, kappa: float = KAPPA, from_time: int = 1) -> Iterator[Part]:
    """The times from which one fixed pair dominates with margin kappa, at least from_time."""
    if one_width(case):
        yield COMMON_SIGMA
    for name, paths in runs.items():
        yield Side(
            f"raw time from which one pair dominates, {name}",
            _times(case, (name, paths), kappa).last_fixed,
            at_least=from_time,
            tolerance=Tolerance(atol=0.5),
            where={"y_first": paths.y[0], "y_last_noisy": paths.y[-2], "kappa": kappa},
        )
    yield lambda: _table(case, runs)


def _controls(case: Case) -> Mapping[str, Mapping[str, Any]]:
    """A margin wider than the mixture allows, and dominance from the first node on."""
    means = case.mixture.means
    diameter2 = float(np.square(means[:, None] - means[None]).sum(axis=2).max())
    least = case.mixture.smallest_var or float(case.schedule.rho[1])
    return {
        "κ = diameter²/(2σ²)": {"kappa": diameter2 / (2.0 * least)},
        "dominance from the first node on": {"from_time": int(ddim_paths(case).times[0])},
    }


CLAIM.must_fail_each(dominance, _controls)


def _times(case: Case, run: tuple[str, Paths], kappa: float) -> DominanceTimes:
    """When two modes dominate the paths of a sampler, by its name."""
    name, paths = run

    def measure() -> DominanceTimes:
        if not one_width(case):
            return posterior_times(case, paths, kappa)
        return tau_1(case.mixture, case.schedule, paths.times, paths.states(case), kappa)

    return case.memo(f"A4.1 {name} {kappa!r}", measure)


def _table(case: Case, runs: Runs) -> Table:
    rows: list[tuple[float | str, ...]] = [
        (level, name, *_summary(paths.times, _times(case, (name, paths), level)))
        for level in REPORTED
        for name, paths in runs.items()
    ]
    columns = (
        "κ",
        "trajectories",
        "some pair, first",
        "some pair, for good",
        "one pair, for good",
        "steps left then",
        "share whose margin falls again",
        "share whose pair changes",
    )
    caption = "Medians over trajectories of the raw times from which two modes dominate"
    return Table(caption, columns, rows)


def _summary(times: IntArray, found: DominanceTimes) -> tuple[float, ...]:
    first, last, fixed = (int(np.median(t)) for t in (found.first, found.last, found.last_fixed))
    return (
        first,
        last,
        fixed,
        steps_left(times, fixed),
        float(np.mean(found.first != found.last)),
        float(np.mean(found.last != found.last_fixed)),
    )


# -- a tube, at every level ----------------------------------------------------------------------


def tube(case: Case, kappa: float = KAPPA) -> list[Statement] | None:
    """The pair dominates every other mode by kappa in a tube around its segment."""
    window = proof_window(case)
    box = None if window is None else dominated_tube(case, window, KAPPA)
    if window is None or box is None or case.mixture.N < 3:
        return None
    pair, weights = window.pair, np.log(case.mixture.weights)
    ahead = []
    for k in sorted({*range(case.mixture.N)} - {pair.i, pair.j}):
        pull = [of_law("log_ratio", q, k) - (weights[q] - weights[k]) for q in (pair.i, pair.j)]
        ahead.append(most(pull))
    name, term = f"margin {kappa:g} in the tube", least(ahead) - kappa
    law, v = pair_law(case.mixture, pair), variances(case, window.t)
    return [Statement.over(name, law, term, *box, v)]


CLAIM.must_fail(certified(CLAIM, tube), "margin 700", kappa=100.0 * KAPPA)
