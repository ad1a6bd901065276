r"""The dynamics know the schedule only through v.

Statement: In the clock $u = \frac{1}{2} \log(v_\tau/v)$ the probability-flow ODE is autonomous up
    to $v$, so its flow map from $v_\tau$ to $v$ depends on the two variances alone and every
    exponential rate is a power of $v$: across the affine hull of the means $|y_\perp(v)| =
    \sqrt{v/v_\tau}\,|y_\perp(v_\tau)|$. Of modes of any covariances the flow is $dy/d\rho =
    \frac{1}{2} \sum_k \gamma_k (\Sigma_k + \rho I)^{-1} (y - \mu_k)$, and its map still depends on
    the two $\rho$ alone.
Hypotheses:
    - common_sigma: all modes share one sigma (for the clock and the power law).
Measured: end points of $dx/d\lambda = -\frac{1}{2}(x + s)$, $\lambda = -\log \bar\alpha$, which
    is the flow in the paper's own coordinates, solved by SciPy with the engine's score.
Predicted: the flow map in closed form where the mixture is a product of one-dimensional ones or
    lies on a line; otherwise the engine's solution in $(y, u)$. Across the hull the power law.
Evidence: sampled trajectories from $p_t$ at the first node of the papers' grid down to the last
    noisy time and to clean data. Errors in units of 1e-8 of the mixture's extent plus $|y|$, and of
    ten times what a start moved by 1e-10 of its length moves the end: what solvers can resolve.
Source: our sharper form of arXiv 2605.06831 v1, Lemmas G.1 and G.2
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mixdyn import oracles
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import one_sigma
from verify.ledger.sides import NotApplicable, Part, Side, Tolerance
from verify.measure.covariances import COMMON_SIGMA, one_width
from verify.measure.paths import FLOW_RTOL, ddim_grid, extent, level_at, variances

CLAIM = Claim.from_docstring(
    __doc__,
    id="X1",
    short="intrinsic time",
    rests_on={"G.2": "flow and reverse SDE in y"},
    derivation="derivations/forward/static_coordinates.py",
    proof_needs=(one_sigma.because("the rest is measured, the proof is of one sigma"),),
    does_not_show=(
        "Anything at the separatrices, which random starts miss: there the map is as steep as the "
        "growth exponent allows, and only the closed form resolves it."
    ),
)

TOLERANCE = Tolerance(atol=1e-8)
_NUDGE = 1e-10
_NAMES = {1: "flow to the last noisy time", 0: "flow to clean data"}


@CLAIM.sampled(unit="components")
def flow(case: Case, fast: float = 0.0, of_noise_alone: bool = False) -> Iterator[Part]:
    """The flow in x and abar against the flow map in v. fast: share by which the predicted clock is
    too fast; of_noise_alone: it counts ρ in place of v down to the second time."""
    times, v = _levels(case)
    if one_width(case):
        yield COMMON_SIGMA
    if len(times) == 1:
        yield NotApplicable("Doubles do not tell σ² and the noisiest v apart.")
        return
    rho = case.schedule.rho[times]
    shift = rho[0] / rho[1] * v[1] / v[0] if of_noise_alone else (v[0] / v[-1]) ** fast
    v_start = shift * v[0]
    start, ends = case.memo("X1 solved", lambda: _solve_in_x(case, times))
    predicted, route = _predict(case, _with_neighbours(case, start), np.append(v_start, v[1:]))
    scale = extent(case.mixture)
    for t, end, both in zip(times[1:], ends, predicted, strict=True):
        want, nudged = np.split(both, 2)
        steepness = 10.0 / TOLERANCE.atol * _length(nudged - want)
        yield Side(
            _NAMES[t],
            end,
            equals=want,
            tolerance=TOLERANCE,
            scale=scale + _length(want) + steepness,
            where={"y": start[:, None], "v_start": v[0]},
        )
    hull = oracles.affine_hull(case.mixture)
    if one_width(case) and hull.rank < case.mixture.d:
        at_start, at_end = (np.linalg.norm(hull.split(y)[1], axis=1) for y in (start, ends[-1]))
        yield Side(
            "distance to the hull",
            at_end,
            equals=math.sqrt(v[-1] / v_start) * at_start,
            tolerance=TOLERANCE,
            scale=scale,
            where={"y": start, "v_start": v[0]},
        )
    yield f"Predicted by {route}."
    yield {
        "intrinsic time from start to clean data": 0.5 * math.log(v[0] / v[-1]),
        "contraction across the hull": math.sqrt(v[-1] / v[0]),
        "rank of the hull of the means": hull.rank,
    }


CLAIM.must_fail(flow, "clock 1 % fast", fast=0.01)
CLAIM.must_fail_narrowly(flow, "clock fast by a share of {}", 0.01, fast=lambda share: share)
CLAIM.must_fail(
    flow,
    "clock of ρ in place of v",
    when=lambda case: len(_levels(case)[0]) > 2,
    of_noise_alone=True,
)


def _levels(case: Case) -> tuple[list[int], Array]:
    """The first node, the last noisy time and clean data, with their effective variances (K,).

    K < 3 where two of them are one, or too close for doubles to tell their variances apart.
    """
    times = [int(ddim_grid(case).times[0]), 1, 0]
    v = variances(case)[times]
    if case.mixture.smallest_var == 0.0:  # clean data have no score
        times, v = times[:-1], v[:-1]
    new = np.append(True, np.diff(v) < 0.0)
    return [t for t, apart in zip(times, new, strict=True) if apart], np.asarray(v[new])


def _length(y: Array) -> Array:
    return np.linalg.norm(y, axis=1, keepdims=True)


def _with_neighbours(case: Case, y: Array) -> Array:
    """The starts, and as many next to them: y (n, d) -> (2 n, d)."""
    step = case.rng("X1 neighbours").standard_normal(y.shape)
    return np.concatenate([y, y + _NUDGE * _length(y) * step / _length(step)])


def _predict(case: Case, y: Array, v: Array) -> tuple[list[Array], str]:
    try:
        ends = [oracles.flow_map(case.mixture, y, v[0], end) for end in v[1:].tolist()]
    except NotApplicableError:
        solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL * extent(case.mixture))
        path = integrate_ode(case.mixture, y, v, solver, keep="trajectory").trajectory
        return list(np.asarray(path)[1:]), "the engine's solution in v, as no closed form exists"
    return ends, "the closed-form flow map"


def _solve_in_x(case: Case, times: list[int]) -> tuple[Array, list[Array]]:
    """Starts y (n, d) at the first time and their ends at the others, by the ODE in x, log abar."""
    from scipy.integrate import solve_ivp

    level, alpha = level_at(case, times[0]), case.schedule.alpha[times]
    n = max(16, case.pick(512, 8192) // case.mixture.d)
    x = level.marginal.sample(n, case.rng("X1"))

    def slope(clock: float, flat: Array) -> Array:
        state = flat.reshape(n, -1)
        abar = math.exp(-clock)
        marginal = case.mixture.diffused(abar, noise_var=-math.expm1(-clock))
        return np.asarray(-0.5 * (state + marginal.score(state))).ravel()

    clocks = -case.schedule.log_alpha_bar[times]
    solved = solve_ivp(
        slope,
        (clocks[0], clocks[-1]),
        x.ravel(),
        method="DOP853",
        t_eval=clocks[1:],
        rtol=FLOW_RTOL,
        # In x the marginals are of size 1 in noise, however far apart the modes will be.
        atol=FLOW_RTOL * min(1.0, extent(case.mixture)),
    )
    ends = [end.reshape(n, -1) / a for end, a in zip(solved.y.T, alpha[1:], strict=True)]
    return x / alpha[0], ends
