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
    exact draws of the reverse SDE from both starts and among single last steps, at radii beyond
    which a mode has 0.1, 0.01, 0.001 and $Q$ of its mass.
Predicted: the bounds on the start and on the last step; the distance from the flow falls by a tenth
    or more with every doubling (a first-order method halves it in the limit).
Evidence: exact on product mixtures; sampled on all. The reverse SDE attains its bound, and no count
    shows that a rate is at most what it equals: each is shown to be at most the bound times one
    plus a margin, the least of 2, 5, 10, 20, 50 and 100 % at which that many draws decide; where
    none does (rarely met radii) the share is in the table alone.
Source: our correction of arXiv 2406.09358 v1, section 3
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, ExactReverse
from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion, detectable_rate
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes
from verify.ledger.quantities import Number
from verify.ledger.relations import Comparison, Statistical, Upper, compare, compare_rate
from verify.measure.midpoint.traps import require_distinct_means
from verify.measure.outside_modes import (
    Line,
    closest_pair,
    even_schedule,
    lines,
    radius_factor,
    resolution,
    tail_mass,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="M1'",
    short="none in continuous time",
    rests_on={"O1": "the reverse SDE ends in the data's law", "O2": "so does the flow"},
    sharpens={"M1": "what survives of it, and what steps add"},
    needs=(modes(2),),
    basis=(Basis.EXACT, Basis.SAMPLED),
    derivation="derivations/outside.py",
    does_not_show=(
        "A bound on what the steps before the last one add: it is measured, and seen to fall. Few "
        "steps with the exact score do put mass between modes, which M1 shows in its table."
    ),
)

MARGINS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # over the bound, chosen by the number of draws alone
DECIDES = 0.999  # chance with which a true rate at the bound is then shown to be within the margin
CONTROL_DRAWS = 20_000
COARSEST = 0.08  # log ratio of v in the coarsest of the three samplers
FALL = 0.9
_FLOOR = 1e-14  # rounding of the starts, as probability
_LAST = "outside after the last step alone"
_RESOLVES = "l²/v_1 of the closest pair over the 8 log(1/Q) that resolves it"


def check(case: Case) -> list[Verdict]:
    """Coordinates of product mixtures in closed form, and counts on all."""
    require_distinct_means(case.mixture)
    return [_exact(case), _sampled(case)]


def mutants(case: Case) -> dict[str, Verdict]:
    """Modes wider than the data's, steps that are not made finer, and a steeper fall."""
    gross = _gross(case)
    found = {
        "a smeared mixture, in closed form": _exact(case, _wider(case, gross)),
        "as many steps three times": _exact(case, finer=1),
    }
    found |= narrowest(
        "a fall to {} less of the distance",
        lambda less: _exact(case, fall=FALL * (1.0 - less)),
        1.0,
    )
    return found | narrowest(
        "modes wider by a share of {}, sampled",
        lambda share: _sampled(case, _wider(case, share), CONTROL_DRAWS),
        gross,
    )


def _gross(case: Case) -> float:
    """The share by which modes that reach half-way to the next one are wider, at least a fifth."""
    i, j = closest_pair(case.mixture)
    length = float(np.linalg.norm(case.mixture.means[i] - case.mixture.means[j]))
    sigma = 0.5 * length / radius_factor(case.mixture)
    return max(sigma / float(case.mixture.sigmas.max()) - 1.0, 0.2)


def _wider(case: Case, share: float) -> GaussianMixture:
    mixture = case.mixture
    sigma = (1.0 + share) * (mixture.sigma if mixture.has_common_sigma else mixture.sigmas)
    return GaussianMixture(mixture.means, sigma, mixture.weights)


def _resolved(case: Case) -> list[Hypothesis]:
    """Where it fails nothing is said of the last step, and nothing asks for it."""
    return [Hypothesis("resolved", 1.0, 0.0)] if resolution(case) >= 1.0 else []


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


def _exact(
    case: Case, model: GaussianMixture | None = None, finer: int = 2, fall: float = FALL
) -> Verdict:
    """model: the mixture whose flow is meant; finer: factor from one sampler to the next; fall: of
    the distance with it."""
    source = model or case.mixture
    found = case.memo(
        f"M1' {source.digest} {finer}",
        lambda: [
            _measure(case, line, other, finer)
            for line, other in zip(lines(case.mixture), lines(source), strict=True)
        ],
    )
    if not found:
        reason = "The mixture is no product of one-dimensional ones, so only counts remain."
        return CLAIM.not_applicable(case, reason, Basis.EXACT)
    flow_bound = np.array([m.flow_bound for m in found])

    def witness(comparison: Comparison) -> dict[str, Any]:
        line = lines(case.mixture)[comparison.index * len(found) // comparison.n]
        return {"quantity": comparison.name, "values": line.means[:, 0]}

    finding = Finding(
        comparisons=_compare(case, found, fall),
        hypotheses=_resolved(case),
        nonvacuous_share=float(np.mean(flow_bound < 1.0)),
        witness=witness,
        unit="coordinates",
        numbers={
            "tail mass of a coordinate": tail_mass(lines(case.mixture)[0]),
            _RESOLVES: resolution(case),
        },
        tables=[_table(found)],
    )
    return CLAIM.judge(case, finding, Basis.EXACT)


def _compare(case: Case, found: list[Measured], fall: float) -> list[Comparison]:
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
            fall * distances[:, :-1],
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


@dataclass(frozen=True)
class Share:
    """A share of draws outside balls of one radius, its bound, and the margin that is decided."""

    law: str
    tail: float
    count: Proportion
    bound: float
    margin: float | None

    def compare(self) -> Comparison:
        """Whether the true share is at most the bound and its margin."""
        margin = self.margin or 0.0
        name = f"{self.law}, beyond a tail of {self.tail:.3g}, to within {100.0 * margin:g} %"
        return compare_rate(name, Statistical(), self.count, (1.0 + margin) * self.bound)


def _sampled(case: Case, model: GaussianMixture | None = None, most: int = 10**6) -> Verdict:
    """model: the mixture that is sampled; most: draws."""
    mixture = case.mixture
    n = int(np.clip(case.pick(2 * 10**7, 10**9) // (mixture.N * mixture.d), 1000, most))
    shares = _shares(case, model or mixture, n)
    decided = [share for share in shares if share.margin is not None]
    compared = [share.compare() for share in decided]

    def witness(comparison: Comparison) -> dict[str, Any]:
        share = decided[compared.index(comparison)]
        return {"quantity": share.law, "tail beyond the radius": share.tail, "n": n}

    finding = Finding(
        comparisons=compared,
        hypotheses=_resolved(case),
        nonvacuous_share=float(np.mean([share.bound < 1.0 for share in decided])),
        witness=witness,
        unit="draws",
        numbers={
            "draws of each": n,
            "tail mass": tail_mass(mixture),
            _RESOLVES: resolution(case),
        },
        tables=[_share_table(shares)] if model is None else [],
    )
    return CLAIM.judge(case, finding, Basis.SAMPLED)


def _shares(case: Case, source: GaussianMixture, n: int) -> list[Share]:
    """Of n draws of each law, at every radius."""
    schedule, mixture, tails = case.schedule, case.mixture, _tails(case)
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
    return [
        Share(law, float(tail), count, float(bound), _margin(float(bound), n))
        for law, (x, limits) in draws.items()
        for tail, count, bound in zip(tails, _counts(case, x), limits, strict=True)
    ]


def _margin(bound: float, n: int) -> float | None:
    """The least margin at which n draws of a rate at the bound decide; None where none does."""
    for margin in MARGINS:
        edge = (1.0 + margin) * bound
        below = detectable_rate(edge, n, side="lower", power=DECIDES) if edge < 1.0 else None
        if below is not None and below >= bound:
            return margin
    return None


def _share_table(shares: list[Share]) -> Table:
    rows = [(s.law, s.tail, s.count.rate, *s.count.interval(), s.bound, s.margin) for s in shares]
    columns = ("law", "tail beyond the radius", "share", "from", "to, 95 %", "bound", "margin")
    return Table("Shares of exact draws and of single last steps outside balls", columns, rows)


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


def _counts(case: Case, x: Array) -> list[Proportion]:
    """Of x (n, d), those outside balls of the four radii."""
    scaled = np.full(len(x), np.inf)
    for block in geometry.row_blocks(len(x), case.mixture.N):
        d2 = geometry.squared_distances(x[block], case.mixture.means)
        scaled[block] = np.sqrt((d2 / np.square(case.mixture.sigmas)).min(axis=1))
    return [Proportion(int((scaled > factor).sum()), len(x)) for factor in _factors(case)]


def _last_steps(case: Case, source: GaussianMixture, n: int) -> Array:
    """n states of the marginal at time 1, one DDIM step on."""
    schedule = case.schedule
    x = _marginal(case, source, 1).sample(n, case.rng("M1' last step"))
    grid = TimeGrid([1, 0], schedule.T)
    return np.asarray(sample(source, schedule, DDIM(spacing=grid), x=x, start=1, rng=0).x)
