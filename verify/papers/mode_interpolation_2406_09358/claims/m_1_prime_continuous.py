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
Source: our correction of arXiv 2406.09358 v2, section 3
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, ExactReverse
from mixdyn.support.checks import Array
from mixdyn.support.numbers import Number
from mixdyn.support.statistics import Proportion, detectable_rate
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import isotropic, modes
from verify.ledger.sides import NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis, Table
from verify.measure.outside_modes import (
    NO_PRODUCT,
    Line,
    even_schedule,
    half_way,
    lines,
    radius_factor,
    resolution,
    show_resolution,
    tail_mass,
)

CLAIM = Claim.from_docstring(
    __doc__,
    id="M1'",
    short="none in continuous time",
    rests_on={"O1": "the reverse SDE ends in the data's law", "O2": "so does the flow"},
    sharpens={"M1": "what survives of it, and what steps add"},
    needs=(
        modes(2),
        isotropic.because("what the last step leaves outside is known about balls"),
    ),
    derivation="derivations/samplers/outside.py",
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


@CLAIM.exact(unit="coordinates")
def coordinates(
    case: Case, wider: float = 0.0, finer: int = 2, fall: float = FALL
) -> Iterator[Part]:
    """What flow, steps and last step leave outside. wider: the modes whose flow is meant, by this
    share; finer: factor from one sampler to the next; fall: of the distance with it."""
    own, source = lines(case.mixture), _wider(case, wider)
    if not own:
        yield NotApplicable(NO_PRODUCT)
        return
    found = case.memo(
        f"M1' {source.digest} {finer}",
        lambda: [_measure(case, *pair, finer) for pair in zip(own, lines(source), strict=True)],
    )
    rounding = Tolerance(rtol=1e-9, atol=_FLOOR)

    def where(line: int, *_: int) -> dict[str, Array]:
        return {"values": own[line].means[:, 0]}

    flow_bound = np.array([m.flow_bound for m in found])
    yield Side(
        "outside after the flow",
        [m.flow for m in found],
        at_most=flow_bound,
        tolerance=rounding,
        telling=flow_bound < 1.0,
        where=where,
    )
    distances = np.array([[value for _, value in m.distances] for m in found])
    yield Side(
        "distance from the flow with more steps, over that with fewer",
        distances[:, 1:],
        at_most=fall * distances[:, :-1],
        tolerance=rounding,
        where=where,
    )
    if resolution(case) >= 1.0:  # else nothing is said of the last step
        yield Hypothesis("resolved", 1.0, 0.0)
        yield Side(
            _LAST,
            [m.last_step for m in found],
            at_most=[m.last_step_bound for m in found],
            tolerance=rounding,
            where=where,
        )
    yield {"tail mass of a coordinate": tail_mass(own[0]), **show_resolution(case)}
    yield lambda: _table(found)


def _measure(case: Case, line: GaussianMixture, model: GaussianMixture, finer: int) -> Measured:
    schedule, radius = case.schedule, radius_factor(line) * float(line.sigma)
    outside = Line(line, radius)
    flow = Line(model, radius).after_flow(schedule)
    rho, sigma = float(schedule.rho[-1]), float(line.sigma)
    coarse = math.ceil(math.log1p(rho / sigma**2) / COARSEST)

    def once(what: object, measure: Callable[[], Array]) -> Array:
        return case.memo(f"M1' {line.digest} {what}", measure)

    def after(steps: int) -> Array:
        return once(steps, lambda: outside.after_ddim(even_schedule(sigma, rho, steps)))

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
        float(once("every step", lambda: outside.after_ddim(schedule)).sum()),
        float(once("last step", lambda: outside.after_last_step(schedule)).sum()),
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

    def side(self) -> Side:
        """Whether the true share is at most the bound and its margin."""
        margin = self.margin or 0.0
        return Side(
            f"{self.law}, beyond a tail of {self.tail:.3g}, to within {100.0 * margin:g} %",
            self.count,
            at_most=(1.0 + margin) * self.bound,
            telling=self.bound < 1.0,
            where={
                "quantity": self.law,
                "tail beyond the radius": self.tail,
                "n": self.count.trials,
            },
        )


@CLAIM.sampled(unit="draws")
def draws(case: Case, wider: float = 0.0, most: int = 10**6) -> Iterator[Part]:
    """Shares among exact draws and single last steps. wider: the modes of the mixture that is
    sampled, by this share; most: draws."""
    mixture = case.mixture
    n = int(np.clip(case.pick(2 * 10**7, 10**9) // (mixture.N * mixture.d), 1000, most))
    shares = _shares(case, _wider(case, wider), n)
    yield from (share.side() for share in shares if share.margin is not None)
    if resolution(case) >= 1.0:
        yield Hypothesis("resolved", 1.0, 0.0)
    yield {"draws of each": n, "tail mass": tail_mass(mixture), **show_resolution(case)}
    yield lambda: _share_table(shares)


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
        Share(law, float(tail), count, float(bound), deciding_margin(float(bound), n))
        for law, (x, limits) in draws.items()
        for tail, count, bound in zip(tails, _counts(case, x), limits, strict=True)
    ]


def deciding_margin(bound: float, n: int) -> float | None:
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
    schedule, seed = case.schedule, case.stream(f"M1' reverse {noise}")
    x = None if noise else _marginal(case, source, schedule.T).sample(n, case.rng("M1' start"))
    run = sample(source, schedule, ExactReverse(), n=n if noise else None, x=x, rng=seed)
    return np.asarray(run.x)


def _marginal(case: Case, source: GaussianMixture, t: int) -> GaussianMixture:
    schedule = case.schedule
    return source.diffused(float(schedule.alpha_bar[t]), noise_var=float(schedule.noise_var[t]))


def _tails(case: Case) -> Array:
    """The tail masses looked at: three that a count sees well, and Q."""
    return np.array([0.1, 0.01, 0.001, tail_mass(case.mixture)])


def _factors(case: Case) -> Array:
    """Radius over sigma at which a mode has these tail masses."""
    from scipy.special import gammainccinv

    return np.asarray(np.sqrt(2.0 * gammainccinv(0.5 * case.mixture.d, _tails(case))))


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


# -- what must fail ------------------------------------------------------------------------------


def _wider(case: Case, share: float) -> GaussianMixture:
    """The mixture with modes wider by a share."""
    mixture = case.mixture
    if share == 0.0:
        return mixture
    sigma = (1.0 + share) * (mixture.sigma if mixture.has_common_sigma else mixture.sigmas)
    return GaussianMixture(mixture.means, sigma, mixture.weights)


def _gross(case: Case) -> float:
    """The share by which modes that reach half-way to the next one are wider, at least a fifth."""
    return max(half_way(case.mixture) / float(case.mixture.sigmas.max()) - 1.0, 0.2)


CLAIM.must_fail_each(
    coordinates, lambda case: {"a smeared mixture, in closed form": {"wider": _gross(case)}}
)
CLAIM.must_fail(coordinates, "as many steps three times", finer=1)
CLAIM.must_fail_narrowly(
    coordinates,
    "a fall to {} less of the distance",
    1.0,
    fall=lambda less: FALL * (1.0 - less),
)
CLAIM.must_fail_narrowly(
    draws,
    "modes wider by a share of {}, sampled",
    _gross,
    wider=lambda share: share,
    most=lambda share: CONTROL_DRAWS,
)
