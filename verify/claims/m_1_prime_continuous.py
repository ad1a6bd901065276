r"""With the exact score the flow and the reverse SDE leave nothing between modes.

Statement: Let $Q = P(\chi^2_d > r^2/\sigma^2)$ be the mixture's own tail mass. In continuous time
    the exact score carries $p_T$ to $p_0$, so at most $Q$ ends farther than $r$ from every mode,
    and from the start $N(0, I)$ at most $\inf_{a > 1} Q^{1 - 1/a} M_a^{1/a}$ with
    $M_a = \int N(0, I)^a p_T^{1 - a}$. A sampler of finitely many steps adds what its steps cost.
    Its last step alone, from $p_1$ to the posterior mean, leaves at most
    $P(\chi_d > (r - \delta)\sqrt{v_1}/\sigma^2) + \sum_{k \ne q} \big(w_k w_q (N - 1) \rho_1
    L_{kq}/(v_1 \delta)\big)^{1/2} e^{-L_{kq}^2/(8 v_1)}$ for every $\delta$ in $(0, r)$, and what
    the others add vanishes as they are made finer down to the scale $\sigma$.
Hypotheses:
    - resolved: the last noise level resolves the closest pair, $l^2 \ge 8 v_1 \log(1/Q)$ (last step
      only): its overlap $e^{-l^2/(8 v_1)}$ is then at most $Q$. Without it the last step alone can
      leave any share between the two.
Measured: on product mixtures each different coordinate by itself, $r = 5\sigma$: what the flow
    leaves outside, from its closed form; how far DDIM is from that in steps of equal ratio of $v$,
    and in twice and four times as many (the probabilities of the regions between modes, summed
    without sign); what one DDIM step from the law at time 1 leaves. On every mixture, shares among
    exact draws of the reverse SDE from both starts and among single last steps, at four radii.
Predicted: the bounds on the start and on the last step; the distance from the flow falls by a tenth
    or more with every doubling (a first-order method halves it in the limit).
Evidence: exact on product mixtures; sampled on all, each share to within what a count exceeds with
    probability 1e-8.
Source: our correction of arXiv 2406.09358 v1, section 3
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.mixture import GaussianMixture
from mixdyn.samplers import DDIM, ExactReverse
from mixdyn.sampling import sample
from mixdyn.schedule import TimeGrid
from mixdyn.validation import Array
from verify.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.outside import (
    Line,
    closest_pair,
    even_schedule,
    lines,
    radius_factor,
    resolution,
    tail_mass,
)
from verify.quantities import Number
from verify.relations import Comparison, Upper, compare
from verify.traps import require_distinct_means

CLAIM = Claim.from_docstring(
    __doc__,
    id="M1'",
    basis=(Basis.EXACT, Basis.SAMPLED),
    min_modes=2,
    derivation="derivations/outside.py",
    does_not_show=(
        "A bound on what the steps before the last one add: it is measured, and seen to fall. Few "
        "steps with the exact score do put mass between modes, which M1 shows in its table."
    ),
)

MISS = 1e-8
COARSEST = 0.08  # log ratio of v in the coarsest of the three samplers
FALL = 0.9
_FLOOR = 1e-14  # rounding of the starts, as probability
_LAST = "outside after the last step alone"


def check(case: Case) -> list[Verdict]:
    """Coordinates of product mixtures in closed form, and counts on all."""
    require_distinct_means(case.mixture)
    return [_exact(case), _sampled(case)]


def mutants(case: Case) -> dict[str, Verdict]:
    """Modes smeared over half the closest distance, and steps that are not made finer."""
    smooth = _smeared(case)
    return {
        "a smeared mixture, in closed form": _exact(case, smooth),
        "as many steps three times": _exact(case, finer=1),
        "a smeared mixture, sampled": _sampled(case, smooth),
    }


def _smeared(case: Case) -> GaussianMixture:
    i, j = closest_pair(case.mixture)
    length = float(np.linalg.norm(case.mixture.means[i] - case.mixture.means[j]))
    factor = radius_factor(case.mixture)
    sigma = max(0.5 * length / factor, 1.2 * float(case.mixture.sigmas.max()))
    return GaussianMixture(case.mixture.means, sigma, case.mixture.weights)


def _resolved(case: Case) -> Hypothesis:
    return Hypothesis.from_slack("resolved", np.array([resolution(case) - 1.0]))


# -- product mixtures ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """One coordinate: probabilities outside after the flow, all steps and the last step alone, the
    bounds on the first and the third; distances from the flow by number of even steps."""

    flow: float
    flow_bound: float
    every_step: float
    last_step: float
    last_step_bound: float
    distances: list[tuple[int, float]]


def _exact(case: Case, model: GaussianMixture | None = None, finer: int = 2) -> Verdict:
    """model: the mixture whose flow is meant; finer: factor from one sampler to the next."""
    found = [
        _measure(case, line, other, finer)
        for line, other in zip(lines(case.mixture), lines(model or case.mixture), strict=True)
    ]
    if not found:
        reason = "The mixture is no product of one-dimensional ones, so only counts remain."
        return CLAIM.not_applicable(case, reason, Basis.EXACT)
    flow_bound = np.array([m.flow_bound for m in found])

    def witness(comparison: Comparison) -> dict[str, Any]:
        line = lines(case.mixture)[comparison.index * len(found) // comparison.n]
        return {"quantity": comparison.name, "values": line.means[:, 0]}

    finding = Finding(
        comparisons=_compare(case, found),
        hypotheses=[_resolved(case)],
        applicable_share=1.0,
        nonvacuous_share=float(np.mean(flow_bound < 1.0)),
        witness=witness,
        unit="coordinates",
        numbers={"tail mass of a coordinate": tail_mass(lines(case.mixture)[0])},
        tables=[_table(found)],
    )
    return CLAIM.judge(case, finding, Basis.EXACT)


def _compare(case: Case, found: list[Measured]) -> list[Comparison]:
    relation = Upper(rtol=1e-9, atol=_FLOOR)
    distances = np.array([[value for _, value in m.distances] for m in found])
    comparisons = [
        compare(
            "outside after the flow",
            relation,
            [m.flow for m in found],
            [m.flow_bound for m in found],
        ),
        compare(
            "distance from the flow with more steps, over that with fewer",
            relation,
            distances[:, 1:],
            FALL * distances[:, :-1],
        ),
    ]
    if resolution(case) >= 1.0:
        ends = [(m.last_step, m.last_step_bound) for m in found]
        comparisons.append(compare(_LAST, relation, *np.array(ends).T))
    return comparisons


def _measure(case: Case, line: GaussianMixture, model: GaussianMixture, finer: int) -> Measured:
    schedule, radius = case.schedule, radius_factor(line) * float(line.sigma)
    outside = Line(line, radius)
    flow = Line(model, radius).after_flow(schedule)
    rho, sigma = float(schedule.rho[-1]), float(line.sigma)
    coarse = math.ceil(math.log1p(rho / sigma**2) / COARSEST)

    def after(steps: int) -> Array:
        return case.memo(
            f"M1' {line.digest} {steps}",
            lambda: outside.after_ddim(even_schedule(sigma, rho, steps)),
        )

    counts = [coarse * finer**k for k in range(3)]
    log_bound = bounds.log_start_probability(
        line,
        math.log(tail_mass(line)),
        float(schedule.alpha_bar[-1]),
        noise_var=float(schedule.noise_var[-1]),
    )
    return Measured(
        float(flow.sum()),
        float(np.exp(log_bound)),
        float(outside.after_ddim(schedule).sum()),
        float(outside.after_last_step(schedule).sum()),
        bounds.last_step_probability(line, float(schedule.rho[1]), radius),
        [(steps, float(np.abs(after(steps) - flow).sum())) for steps in counts],
    )


def _table(found: list[Measured]) -> Table:
    """What is left outside by coordinate; the last three columns name their numbers of steps."""
    rows: list[tuple[Number | str, ...]] = []
    for m in found:
        steps = (f"{count:,} steps: {distance:.3g}" for count, distance in m.distances)
        rows.append((m.flow, m.every_step, m.last_step, m.last_step_bound, *steps))
    columns = (
        *("outside after the flow", "after every step", "after the last alone", "its bound"),
        *("distance from the flow in even steps", "in twice as many", "in four times as many"),
    )
    return Table("What start, steps and last step leave outside, by coordinate", columns, rows)


# -- counts --------------------------------------------------------------------------------------


def _sampled(case: Case, model: GaussianMixture | None = None) -> Verdict:
    """model: the mixture that is sampled."""
    schedule, mixture = case.schedule, case.mixture
    n = int(np.clip(case.pick(2 * 10**7, 10**9) // (mixture.N * mixture.d), 1000, 10**6))
    tails, source = _tails(case), model or mixture
    level, noise = float(schedule.alpha_bar[-1]), float(schedule.noise_var[-1])
    from_noise = np.exp(
        bounds.log_start_probability(mixture, np.log(tails), level, noise_var=noise)
    )
    draws = {
        "outside after the reverse SDE from p_T": (_reversed(case, source, n, False), tails),
        "outside after the reverse SDE from noise": (_reversed(case, source, n, True), from_noise),
    }
    if mixture.has_common_sigma and resolution(case) >= 1.0:
        rho, sigma = float(schedule.rho[1]), float(mixture.sigma)
        last = [bounds.last_step_probability(mixture, rho, f * sigma) for f in _factors(case)]
        draws[_LAST] = _last_steps(case, source, n), np.array(last)

    def witness(comparison: Comparison) -> dict[str, Any]:
        radius = float(_factors(case)[comparison.index])
        return {"quantity": comparison.name, "radius over sigma": radius, "n": n}

    finding = Finding(
        comparisons=[_shares(name, case, x, bound) for name, (x, bound) in draws.items()],
        hypotheses=[_resolved(case)],
        applicable_share=1.0,
        nonvacuous_share=1.0,
        witness=witness,
        unit="radii",
        numbers={"draws of each": n, "tail mass": tail_mass(mixture)},
    )
    return CLAIM.judge(case, finding, Basis.SAMPLED)


def _reversed(case: Case, source: GaussianMixture, n: int, noise: bool) -> Array:
    """n exact draws of the reverse SDE from the last marginal of `source`, or from noise."""
    schedule = case.schedule
    x = None
    if not noise:
        law = _marginal(case, source, schedule.T)
        x = law.sample(n, case.rng("M1' start"))
    seed = case.stream(f"M1' reverse {noise}")
    return np.asarray(
        sample(source, schedule, ExactReverse(), n=n if noise else None, x=x, rng=seed).x
    )


def _marginal(case: Case, source: GaussianMixture, t: int) -> GaussianMixture:
    schedule = case.schedule
    return source.diffused(float(schedule.alpha_bar[t]), noise_var=float(schedule.noise_var[t]))


def _tails(case: Case) -> Array:
    """The tail masses looked at: three that a count sees well, and Q."""
    return np.array([0.1, 0.01, 0.001, tail_mass(case.mixture)])


def _factors(case: Case) -> Array:
    """Radius over sigma at which a mode has these tail masses."""
    from scipy.stats import chi2

    return np.asarray(np.sqrt(chi2.isf(_tails(case), case.mixture.d)))


def _shares(name: str, case: Case, x: Array, bound: Array) -> Comparison:
    """Shares of x (n, d) outside balls of the four radii, against bounds (4,)."""
    from scipy.stats import binom

    scaled = np.full(len(x), np.inf)
    for block in geometry.row_blocks(len(x), case.mixture.N):
        d2 = geometry.squared_distances(x[block], case.mixture.means)
        scaled[block] = np.sqrt((d2 / np.square(case.mixture.sigmas)).min(axis=1))
    share = np.array([np.mean(scaled > factor) for factor in _factors(case)])
    stray = binom.isf(MISS, len(x), bound) / len(x) - bound
    return compare(name, Upper(atol=1.0), share, bound, scale=np.maximum(stray, 1e-12))


def _last_steps(case: Case, source: GaussianMixture, n: int) -> Array:
    """n states of the marginal at time 1, one DDIM step on."""
    schedule = case.schedule
    x = _marginal(case, source, 1).sample(n, case.rng("M1' last step"))
    grid = TimeGrid([1, 0], schedule.T)
    return np.asarray(sample(source, schedule, DDIM(spacing=grid), x=x, start=1, rng=0).x)
