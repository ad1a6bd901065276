r"""The budget of time next to a mode.

Statement: Where one mode $i$ owns the point, $|y - \mu_i|$ contracts by $\sqrt{v_{end}/v_{start}}$
    under the probability-flow ODE, while the conditional mean of the reverse SDE contracts by
    $v_{end}/v_{start}$. A start with too little time left ends short of the mode: to come within
    $r$ from $D$ the ODE needs $v_{start}/v_{end} \ge (D/r)^2$, the SDE's mean $D/r$. All this up
    to the pull of the other modes, for a contraction $q$ at most
    $(1 - q) \sum_{k \ne i} \gamma_k |\mu_k - \mu_i|$.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - owned: at the start the other modes' responsibilities add up to at most 1e-4.
Measured: from places on a segment, 1 to 45 % of $l$ off its midpoint, with 3, 6 and 9 DDIM steps
    left: the mean end of DDPM, the ends of the flow and of DDIM, and whether the flow ends within
    the radius that counts as the mode.
Predicted: the two contractions; for DDIM the product of
    $(\sigma^2 + \sqrt{\rho_t \rho_s})/v_t$ over its steps, which is below the flow's: the
    discretisation gap. DDPM's mean has none, each of its steps contracts by $v_s/v_t$.
Evidence: sampled; means of DDPM by Student's law, which a correct one misses with probability
    1e-10. A place at which a distance 20 % off would have passed says nothing, and the share that
    says something is that of DDPM's mean. Truth is the exact reverse law.
Source: our result; it explains arXiv 2605.06831 v1, Figure E.15
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from mixdyn import bounds, geometry, oracles
from mixdyn.geometry import Pair, dynamics
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array
from mixdyn.support.numbers import show_share
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Outcome
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.midpoint.traps import neighbour_pairs
from verify.measure.paths import (
    FLOW_RTOL,
    ddim_grid,
    extent,
    flow_tolerance,
    level_at,
    recursion_end,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="X4",
    short="budget trapping",
    rests_on={"O3": "linear where one mode owns the point", "O1": "the conditional mean"},
    needs=(
        modes(2),
        one_sigma.because(
            "the budgets are powers of the one variance; X7 has them for each direction"
        ),
    ),
    derivation="derivations/modes/budgets.py",
    does_not_show=(
        "What happens closer to the midpoint, where no mode owns the point, or with a learned "
        "score, whose field next to a segment can be another one."
    ),
)

STEPS_LEFT = (3, 6, 9)
OFFSETS = np.array([0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45])  # from the midpoint, over l
MAX_PAIRS = 4
OWNED = 1e-4
MISS = 1e-10  # with which a correct mean is taken for a wrong one
COARSE = 0.2  # of a distance: a tolerance beyond it tells nothing
_LEAST = 64  # draws


Starts = dict[str, Array]  # what `_group` says of a group, of several: (G, R), (G, 1)


def starts_of(case: Case) -> Starts:
    """From some of the closest pairs, with as many steps left as the grid has."""
    grid = ddim_grid(case)
    left = [steps for steps in STEPS_LEFT if steps < grid.steps] or [min(STEPS_LEFT[0], grid.steps)]

    def measure() -> Starts:
        pairs = neighbour_pairs(case.mixture, MAX_PAIRS)
        groups = [_group(case, pair, steps) for steps in left for pair in pairs]
        return {name: np.array([group[name] for group in groups]) for name in groups[0]}

    return case.memo("X4 starts", measure)


@CLAIM.sampled(unit="starts", of=starts_of)
def contractions(
    case: Case, starts: Starts, ode: float = 0.5, sde: float = 1.0, factor: float = 1.0
) -> Iterator[Part]:
    """Contractions of DDPM's mean, the flow and DDIM. ode, sde: the powers of v_end/v_start in the
    flow's and the mean's; factor: on the mean's."""
    yield Hypothesis.from_slack("owned", OWNED - starts["others"])
    if not (starts["others"] <= OWNED).any():
        return
    left, solver = starts["v_end"] / starts["v_start"], flow_tolerance(case)
    mean, seen = _contraction("DDPM's mean", starts, factor * left**sde, solver + starts["reach"])
    yield mean
    yield _contraction("the flow's", starts, left**ode, solver)[0]
    yield _contraction("DDIM's", starts, starts["ddim"], solver)[0]
    radius = float(geometry.mode_radius(case.mixture)[0])
    needed = bounds.ode_budget(starts["distance"], radius) ** (0.5 / ode)
    yield _owned(
        "the flow ends within the mode's radius (1) or not (0)",
        starts,
        starts["the flow's"] <= radius,
        needed <= starts["v_start"] / starts["v_end"],
        atol=0.5,
    )
    yield Facts(nonvacuous=float(np.mean(seen <= COARSE)))
    yield lambda: Facts(truth=float((starts["exact mean"] / starts["length"])[mean.worst]))
    yield _note(seen)
    yield _nearest(starts)
    yield _table(case, starts)


CLAIM.must_fail(contractions, "DDPM's mean contracts by 1.05 v_end/v_start", factor=1.05)
CLAIM.must_fail(contractions, "DDPM's mean contracts as the flow", sde=0.5)
CLAIM.must_fail(contractions, "the flow contracts as the SDE's mean", ode=1.0)


def _owned(
    name: str,
    starts: Starts,
    left: ArrayLike,
    right: ArrayLike,
    *,
    atol: float = 1.0,
    error: ArrayLike = 1.0,
) -> Side:
    """An equality to within atol times an error at the places that one mode owns."""
    return Side(
        name,
        left,
        equals=right,
        tolerance=Tolerance(atol=atol),
        scale=error,
        among=starts["others"] <= OWNED,
        where={"pair": starts["pair"], "offset": OFFSETS, "t": starts["t"]},
    )


def _contraction(whose: str, starts: Starts, q: Array, error: ArrayLike) -> tuple[Side, Array]:
    """Distances of ends over l, and the relative difference that would have been seen at every
    place. A place's error is its own: solver, sampling, other modes. Without a place that tells
    anything the side decides nothing."""
    length = starts["length"]
    right = q * starts["distance"] / length
    error = (np.asarray(error) + (1.0 - q) * starts["pull"]) / length
    name = f"distance of {whose} end over l"
    side = _owned(name, starts, starts[whose] / length, right, error=error)
    seen = (error / right)[starts["others"] <= OWNED]
    if side.comparison.outcome is Outcome.HOLDS and (seen > COARSE).all():
        side.comparison = replace(side.comparison, outcome=Outcome.INCONCLUSIVE)
    return side, seen


def _group(case: Case, pair: Pair, steps_left: int) -> dict[str, ArrayLike]:
    """Starts on one segment at one node: arrays (R,) by offset, (1,) of what they share.

    pair (1, 2): modes i, j. distance: to mode i at the start. others: sum of the other modes'
    responsibilities. pull: their sum of gamma_k |mu_k - mu_i|. DDPM's mean: distance of its mean
    end from the mode along the pair; reach: how far that strays from its law, up to probability
    MISS; away: mean distance of the ends. the flow's, DDIM's: distance of the end. inside: share of
    ends within the mode's radius. exact mean: O1. ddim: product of DDIM's steps within one mode.
    """
    from mixdyn.support import laws

    mixture, schedule, t = case.mixture, case.schedule, int(ddim_grid(case).times[-1 - steps_left])
    level = level_at(case, t)
    y = pair.midpoint + OFFSETS[:, None] * pair.length * pair.direction
    gamma = dynamics.static_responsibilities(mixture, y, level.v)
    gaps = np.linalg.norm(mixture.means - pair.mu_i, axis=1)
    v_end = float(mixture.sigma) ** 2
    most = case.pick(65_536, 1_000_000) // mixture.d
    n = max(min(case.pick(4096, 16_384), most), _LEAST)
    seed = case.stream(f"X4 {pair.i} {pair.j} {t}")
    x = np.repeat(level.alpha * y, n, axis=0)
    drawn = sample(mixture, schedule, DDPM(), x=x, start=t, rng=seed).x
    ends = np.asarray(drawn).reshape(len(OFFSETS), n, mixture.d)
    short = (pair.mu_i - ends) @ pair.direction
    away = np.linalg.norm(ends - pair.mu_i, axis=2)
    solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL * extent(mixture))
    flow = integrate_ode(mixture, y, [level.v, v_end], solver).y
    grid, sigma = ddim_grid(case), float(mixture.sigma)
    sampler = DDIM(spacing=grid)
    ddim = np.asarray(sample(mixture, schedule, sampler, x=level.alpha * y, start=t, rng=0).x)
    law_mean, _ = oracles.reverse_moments(
        mixture, level.alpha * y, level.abar, noise_var_t=level.noise_var, noise_var_s=0.0
    )
    radius = float(geometry.mode_radius(mixture)[0])
    to_mode = np.linalg.norm(ddim - pair.mu_i, axis=1)
    student_reach = float(laws.student_upper(MISS / 2, n - 1))
    return {
        "pair": [[pair.i, pair.j]],
        "t": [t],
        "steps left": [steps_left],
        "length": [pair.length],
        "v_start": [level.v],
        "v_end": [v_end],
        "distance": np.linalg.norm(y - pair.mu_i, axis=1),
        "others": 1.0 - gamma[:, pair.i],
        "pull": gamma @ gaps,
        "DDPM's mean": short.mean(axis=1),
        "reach": student_reach * short.std(axis=1, ddof=1) / math.sqrt(n),
        "away": away.mean(axis=1),
        "DDPM inside": (away <= radius).mean(axis=1),
        "the flow's": np.linalg.norm(flow - pair.mu_i, axis=1),
        "DDIM's": to_mode,
        "DDIM inside": 1.0 * (to_mode <= radius),
        "exact mean": np.linalg.norm(law_mean - pair.mu_i, axis=1),
        "ddim": [recursion_end(case, grid.cut(t).times, 0.0, sigma, 1.0)],
    }


def _note(seen: Array) -> str:
    """How finely DDPM's contraction is compared; `seen` relative, by place."""
    finest, middle = (100.0 * float(value) for value in (seen.min(), np.median(seen)))
    blind = int(np.count_nonzero(seen > COARSE))
    return (
        f"DDPM's mean is compared to within {finest:.2g} % at the most telling place and "
        f"{middle:.2g} % at the median one; at {blind} of {len(seen)} places to more than "
        f"{show_share(COARSE, 2)}, which tells nothing."
    )


def _nearest(starts: Starts) -> dict[str, float]:
    """Numbers of the start nearest to the midpoint."""
    v_start, v_end = float(starts["v_start"][0, 0]), float(starts["v_end"][0, 0])
    closed = oracles.sde_contraction(v_start, v_end)[0] * (0.5 - OFFSETS[0])
    return {
        "offset of the nearest start over l": float(OFFSETS[0]),
        "DDPM's mean end distance from it over l": float(
            starts["away"][0, 0] / starts["length"][0, 0]
        ),
        "its closed form, of the mean end": float(closed),
    }


def _table(case: Case, starts: Starts) -> Table:
    """What the time left allows from each start of the first group, and where the samplers end."""
    radius = float(geometry.mode_radius(case.mixture)[0])
    columns = (
        "offset over l",
        "v_start/v_end",
        "needed by the flow",
        "needed by the SDE's mean",
        "flow ends at",
        "DDIM ends at",
        "DDPM's mean ends at",
        "DDIM within the mode",
        "DDPM within the mode",
    )
    measured = np.column_stack(
        [
            np.broadcast_to(starts["v_start"][0] / starts["v_end"][0], OFFSETS.shape),
            bounds.ode_budget(starts["distance"][0], radius),
            bounds.sde_budget(starts["distance"][0], radius),
            *(
                starts[end][0] / starts["length"][0]
                for end in ("the flow's", "DDIM's", "DDPM's mean")
            ),
            starts["DDIM inside"][0],
            starts["DDPM inside"][0],
        ]
    )
    i, j = starts["pair"][0, 0].tolist()
    caption = (
        f"Starts {starts['steps left'][0, 0]} DDIM steps before the end on the segment of modes "
        f"{i} and {j}; distances to mode {i} over l"
    )
    rows = [(offset, *row) for offset, row in zip(OFFSETS.tolist(), measured.tolist(), strict=True)]
    return Table(caption, columns, rows)
