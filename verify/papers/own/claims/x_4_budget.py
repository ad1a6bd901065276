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
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixdyn import bounds, geometry, oracles
from mixdyn.geometry import Mask, Pair, dynamics
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array
from mixdyn.support.numbers import show_share
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.needs import modes, one_sigma
from verify.ledger.relations import Comparison, Equality, Outcome, compare
from verify.measure.midpoint.traps import neighbour_pairs
from verify.measure.paths import FLOW_RTOL, ddim_grid, extent, flow_tolerance, level_at

CLAIM = Claim.from_docstring(
    __doc__,
    id="X4",
    short="budget trapping",
    rests_on={"O3": "linear where one mode owns the point", "O1": "the conditional mean"},
    needs=(modes(2), one_sigma),
    basis=(Basis.SAMPLED,),
    derivation="derivations/budgets.py",
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
SMALL = 0.05  # of a contraction: a fault that must be seen
_LEAST = 64  # draws


@dataclass(frozen=True)
class Starts:
    """Starts on one segment at one node, all arrays by offset, (R,).

    distance: to mode i at the start. others: sum of the other modes' responsibilities. pull: their
    sum of gamma_k |mu_k - mu_i|. ddpm_mean: distance of the mean end from the mode along the pair;
    ddpm_reach: how far it strays from its law, up to probability MISS. ddpm_distance: mean distance
    of the ends. flow, ddim: distance of the end. ddpm_inside, ddim_inside: share of ends within the
    mode's radius. exact_mean: O1.
    """

    pair: Pair
    t: int
    steps_left: int
    v_start: float
    v_end: float
    distance: Array
    others: Array
    pull: Array
    ddpm_mean: Array
    ddpm_reach: Array
    ddpm_distance: Array
    ddpm_inside: Array
    flow: Array
    ddim: Array
    ddim_inside: Array
    exact_mean: Array


def check(case: Case) -> Verdict:
    """Contractions of DDPM's mean, the flow and DDIM."""
    return _judge(case)


def mutants(case: Case) -> dict[str, Verdict]:
    """The other process's exponent for each, and a factor that is hardly wrong."""
    return {
        "DDPM's mean contracts by 1.05 v_end/v_start": _judge(case, sde_factor=1.0 + SMALL),
        "DDPM's mean contracts as the flow": _judge(case, sde_power=0.5),
        "the flow contracts as the SDE's mean": _judge(case, ode_power=1.0),
    }


def _judge(
    case: Case, ode_power: float = 0.5, sde_power: float = 1.0, sde_factor: float = 1.0
) -> Verdict:
    """The powers of v_end/v_start in the two contractions, and a factor on the second."""
    groups = case.memo("X4 starts", lambda: list(_groups(case)))
    others = np.concatenate([g.others for g in groups])
    held = others <= OWNED
    hypotheses = [
        Hypothesis("common_sigma", 1.0, 0.0),
        Hypothesis.from_slack("owned", OWNED - others),
    ]
    if not held.any():
        return CLAIM.judge(case, Finding(hypotheses=hypotheses, applicable_share=0.0))
    sde = [sde_factor * (g.v_end / g.v_start) ** sde_power for g in groups]
    ode = [(g.v_end / g.v_start) ** ode_power for g in groups]
    found = _contractions(case, groups, held, sde, ode)
    comparisons = [c for c, _ in found]
    comparisons.append(_budget(case, groups, held, ode_power))
    seen = found[0][1]
    places = [(group, row) for group in groups for row in range(len(OFFSETS))]
    places = [place for place, holds in zip(places, held, strict=True) if holds]

    def witness(comparison: Comparison) -> dict[str, Any]:
        group, row = places[comparison.index % len(places)]
        where = {"pair": [group.pair.i, group.pair.j], "offset": OFFSETS[row], "t": group.t}
        return {"quantity": comparison.name, **where}

    group, row = places[comparisons[0].index]
    first = groups[0]
    finding = Finding(
        comparisons=comparisons,
        hypotheses=hypotheses,
        applicable_share=float(held.mean()),
        nonvacuous_share=float(np.mean(seen <= COARSE)),
        truth=float(group.exact_mean[row]) / group.pair.length,
        witness=witness,
        unit="starts",
        note=_note(seen),
        numbers={
            "offset of the nearest start over l": float(OFFSETS[0]),
            "DDPM's mean end distance from it over l": _over_length(first, first.ddpm_distance),
            "its closed form, of the mean end": float(
                oracles.sde_contraction(first.v_start, first.v_end)[0] * (0.5 - OFFSETS[0])
            ),
        },
        tables=[_table(case, first)],
    )
    return CLAIM.judge(case, finding)


def _over_length(group: Starts, values: Array) -> float:
    return float(values[0] / group.pair.length)


def _note(seen: Array) -> str:
    """How finely DDPM's contraction is compared; `seen` relative, by place."""
    finest, middle = (100.0 * float(value) for value in (seen.min(), np.median(seen)))
    blind = int(np.count_nonzero(seen > COARSE))
    return (
        f"DDPM's mean is compared to within {finest:.2g} % at the most telling place and "
        f"{middle:.2g} % at the median one; at {blind} of {len(seen)} places to more than "
        f"{show_share(COARSE, 2)}, which tells nothing."
    )


def _contractions(
    case: Case, groups: list[Starts], held: Mask, sde: list[float], ode: list[float]
) -> list[tuple[Comparison, Array]]:
    """DDPM's mean, the flow and DDIM, in lengths over l, each with the relative difference that
    would have been seen at every place. A place's tolerance is its own: solver, sampling, other
    modes. Without a place that tells anything a comparison decides nothing."""

    def stacked(values: list[Array]) -> Array:
        return np.concatenate(values)[held]

    def contraction(
        name: str, measured: str, factors: list[float], errors: list[Array]
    ) -> tuple[Comparison, Array]:
        lengths = [g.pair.length for g in groups]
        sides = [
            (getattr(g, measured) / l, q * g.distance / l, (e + (1.0 - q) * g.pull) / l)
            for g, q, e, l in zip(groups, factors, errors, lengths, strict=True)
        ]
        left, right, tolerance = (stacked(list(part)) for part in zip(*sides, strict=True))
        found = compare(name, Equality(atol=1.0), left, right, scale=tolerance)
        seen = tolerance / right
        if found.outcome is Outcome.HOLDS and (seen > COARSE).all():
            found = replace(found, outcome=Outcome.INCONCLUSIVE)
        return found, seen

    solver = [np.full(len(OFFSETS), flow_tolerance(case)) for _ in groups]
    sampling = [flow_tolerance(case) + g.ddpm_reach for g in groups]
    ddim = [_ddim_factor(case, g) for g in groups]
    return [
        contraction("distance of DDPM's mean end over l", "ddpm_mean", sde, sampling),
        contraction("distance of the flow's end over l", "flow", ode, solver),
        contraction("distance of DDIM's end over l", "ddim", ddim, solver),
    ]


def _ddim_factor(case: Case, group: Starts) -> float:
    """Product of DDIM's steps within one mode."""
    schedule, grid = case.schedule, ddim_grid(case).cut(group.t)
    sigma = float(case.mixture.sigma)
    spread = oracles.linear_recursion_std(
        schedule.alpha_bar, grid.times, 0.0, sigma, noise_var=schedule.noise_var, start_std=1.0
    )
    return float(spread[-1])


def _budget(case: Case, groups: list[Starts], held: Mask, ode_power: float) -> Comparison:
    """Whether the flow ends within the mode's radius, where the pull leaves no doubt about it."""
    radius = float(geometry.mode_radius(case.mixture)[0])
    reached, predicted = [], []
    for g in groups:
        needed = bounds.ode_budget(g.distance, radius) ** (0.5 / ode_power)
        predicted.append(1.0 * (needed <= g.v_start / g.v_end))
        reached.append(1.0 * (g.flow <= radius))
    return compare(
        "the flow ends within the mode's radius (1) or not (0)",
        Equality(atol=0.5),
        np.concatenate(reached)[held],
        np.concatenate(predicted)[held],
    )


def _groups(case: Case) -> Iterator[Starts]:
    grid = ddim_grid(case)
    for steps in STEPS_LEFT:
        if steps <= grid.steps - 1 or steps == STEPS_LEFT[0]:
            t = int(grid.times[-1 - min(steps, grid.steps)])
            for pair in neighbour_pairs(case.mixture, MAX_PAIRS):
                yield _starts(case, pair, t, min(steps, grid.steps))


def _starts(case: Case, pair: Pair, t: int, steps_left: int) -> Starts:
    from scipy.stats import t as student

    mixture, schedule, level = case.mixture, case.schedule, level_at(case, t)
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
    sampler = DDIM(spacing=ddim_grid(case))
    ddim = np.asarray(sample(mixture, schedule, sampler, x=level.alpha * y, start=t, rng=0).x)
    law_mean, _ = oracles.reverse_moments(
        mixture, level.alpha * y, level.abar, noise_var_t=level.noise_var, noise_var_s=0.0
    )
    radius = float(geometry.mode_radius(mixture)[0])
    to_mode = np.linalg.norm(ddim - pair.mu_i, axis=1)
    return Starts(
        pair,
        t,
        steps_left,
        level.v,
        v_end,
        distance=np.linalg.norm(y - pair.mu_i, axis=1),
        others=1.0 - gamma[:, pair.i],
        pull=gamma @ gaps,
        ddpm_mean=short.mean(axis=1),
        ddpm_reach=float(student.isf(MISS / 2, n - 1)) * short.std(axis=1, ddof=1) / math.sqrt(n),
        ddpm_distance=away.mean(axis=1),
        ddpm_inside=(away <= radius).mean(axis=1),
        flow=np.linalg.norm(flow - pair.mu_i, axis=1),
        ddim=to_mode,
        ddim_inside=1.0 * (to_mode <= radius),
        exact_mean=np.linalg.norm(law_mean - pair.mu_i, axis=1),
    )


def _table(case: Case, group: Starts) -> Table:
    """What the time left allows from each start, and where the samplers end."""
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
    over = np.array([group.flow, group.ddim, group.ddpm_mean]) / group.pair.length
    rows = [
        (
            float(OFFSETS[k]),
            group.v_start / group.v_end,
            float(bounds.ode_budget(group.distance[k], radius)),
            float(bounds.sde_budget(group.distance[k], radius)),
            *over[:, k].tolist(),
            float(group.ddim_inside[k]),
            float(group.ddpm_inside[k]),
        )
        for k in range(len(OFFSETS))
    ]
    caption = (
        f"Starts {group.steps_left} DDIM steps before the end on the segment of modes "
        f"{group.pair.i} and {group.pair.j}; distances to mode {group.pair.i} over l"
    )
    return Table(caption, columns, rows)
