r"""The dynamics know the schedule only through v.

Statement: In the clock $u = \frac{1}{2} \log(v_\tau/v)$ the probability-flow ODE is autonomous up
    to $v$, so its flow map from $v_\tau$ to $v$ depends on the two variances alone and every
    exponential rate is a power of $v$: across the affine hull of the means $|y_\perp(v)| =
    \sqrt{v/v_\tau}\,|y_\perp(v_\tau)|$.
Hypotheses:
    - common_sigma: all modes share one sigma.
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
from typing import Any

import numpy as np

from mixdyn import oracles
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import one_sigma
from verify.ledger.relations import Comparison, Equality, compare
from verify.measure.paths import FLOW_RTOL, ddim_grid, extent, level_at

CLAIM = Claim.from_docstring(
    __doc__,
    id="X1",
    short="intrinsic time",
    rests_on={"G.2": "flow and reverse SDE in y"},
    needs=(one_sigma,),
    basis=(Basis.SAMPLED,),
    derivation="derivations/static_coordinates.py",
    does_not_show=(
        "Anything at the separatrices, which random starts miss: there the map is as steep as the "
        "growth exponent allows, and only the closed form resolves it."
    ),
)

TOLERANCE = 1e-8
_NUDGE = 1e-10


def check(case: Case) -> Verdict:
    """The flow in x and abar against the flow map in v."""
    return _judge(case, shift=1.0)


def mutants(case: Case) -> dict[str, Verdict]:
    """A clock that counts the noise alone, and one that runs 1 % fast, or less."""
    times, v = _levels(case)
    span = float(v[0] / v[-1])
    found = {"clock 1 % fast": _judge(case, shift=span**0.01)} | narrowest(
        "clock fast by a share of {}", lambda share: _judge(case, shift=span**share), 0.01
    )
    if len(times) > 2:
        rho = case.schedule.rho[times]
        found["clock of ρ in place of v"] = _judge(case, shift=rho[0] / rho[1] * v[1] / v[0])
    return found


_NAMES = {1: "flow to the last noisy time", 0: "flow to clean data"}


def _levels(case: Case) -> tuple[list[int], Array]:
    """The first node, the last noisy time and clean data, with their effective variances (K,).

    K < 3 where two of them are one, or too close for doubles to tell their variances apart.
    """
    times = [int(ddim_grid(case).times[0]), 1, 0]
    v = case.schedule.effective_variance(float(case.mixture.sigma))[times]
    new = np.append(True, np.diff(v) < 0.0)
    return [t for t, apart in zip(times, new, strict=True) if apart], np.asarray(v[new])


def _judge(case: Case, shift: float) -> Verdict:
    """shift: factor on the start variance of the predicted map, 1 for the claim itself."""
    times, v = _levels(case)
    if len(times) == 1:
        return CLAIM.not_applicable(case, "Doubles do not tell σ² and the noisiest v apart.")
    start, ends = case.memo("X1 solved", lambda: _solve_in_x(case, times))
    scale = extent(case.mixture)
    predicted, route = _predict(case, _with_neighbours(case, start), np.append(shift * v[0], v[1:]))
    comparisons = []
    for t, end, both in zip(times[1:], ends, predicted, strict=True):
        want, nudged = np.split(both, 2)
        steepness = 10.0 / TOLERANCE * _length(nudged - want)
        tolerance = Equality(atol=TOLERANCE)
        size = scale + _length(want) + steepness
        comparisons.append(compare(_NAMES[t], tolerance, end, want, scale=size))
    hull = oracles.affine_hull(case.mixture)
    if hull.rank < case.mixture.d:
        across = [np.linalg.norm(hull.split(y)[1], axis=1) for y in (start, *ends)]
        want = math.sqrt(v[-1] / (shift * v[0])) * across[0]
        comparisons.append(
            compare("distance to the hull", Equality(atol=TOLERANCE), across[-1], want, scale=scale)
        )

    def witness(comparison: Comparison) -> dict[str, Any]:
        row = comparison.index
        if comparison.name != "distance to the hull":
            row //= case.mixture.d
        return {"quantity": comparison.name, "y": start[row], "v_start": v[0]}

    finding = Finding(
        comparisons=comparisons,
        hypotheses=[Hypothesis("common_sigma", 1.0, 0.0)],
        nonvacuous_share=1.0,
        witness=witness,
        unit="components",
        note=f"Predicted by {route}.",
        numbers={
            "intrinsic time from start to clean data": 0.5 * math.log(v[0] / v[-1]),
            "contraction across the hull": math.sqrt(v[-1] / v[0]),
            "rank of the hull of the means": hull.rank,
        },
    )
    return CLAIM.judge(case, finding)


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
