r"""With the exact score nothing ends between modes.

Statement: Sampling with the exact score of $p_0$ gives no interpolation: the share of samples
    farther than $r_k$ from every mode, $r_k = 5\sigma_k$ (above ten dimensions $\sigma_k(\sqrt{d} +
    4)$), is at most the mixture's own tail mass $P(\chi^2_d > r_k^2/\sigma_k^2)$. Of modes that are
    not isotropic distances are those in standard deviations.
Hypotheses:
    - room: the closest pair leaves room between its two modes, $l > r_i + r_j$.
    - noise: the last marginal is noise, $KL(p_T | N(0, I)) \le 0.01$, so that samplers start
      right.
Measured: for DDIM over all $T$ steps. On product mixtures the probability itself: the sampler
    acts on each coordinate by an increasing map, whose inverse on the ends of intervals gives the
    law of the squared distance per coordinate; laws are convolved with distances rounded up, and
    down. On every mixture, a count among samples. Off product grids also the probability that DDPM
    ends in the gap between two modes, of any size, by weighted paths (`mixdyn.rare_event`): DDIM
    draws no noise that could be weighed, so that of it counts are all there is.
Predicted: at most the tail mass. A sampler of finitely many steps need not obey that, nor one whose
    last noise level does not resolve the closest pair, $l^2 \ge 8 v_1 \log(1/Q)$ with $Q$ the tail
    mass, which is a number here: M1' is the statement that survives, with the flow and the reverse
    SDE in its place and what start, steps and last step add. M1 (2) is about the paper's problems.
Evidence: exact on product mixtures, between the two roundings of distances to 1/64 of $r^2$;
    sampled otherwise, and on those too: of the samples drawn those are run whose ends two of 65,537
    starts of each coordinate do not bracket within a mode. The rare event counts at the upper end
    of an interval that errs with probability 1e-8. A count decides only if the sample is large
    enough for so small a rate; it is judged as soon as a rate of zero would be decided, at an error
    of 9e-7, and where that leaves the verdict open once more with all samples, at 1e-7: at most
    1e-6 together. Certified on product mixtures of one width: starts that provably end within
    $r_k/\sqrt{d}$ of a value, coordinate by coordinate, whose normal probabilities bound what is
    left outside; of DDIM's 50 quadratic steps those bounds are numbers of the row.
Source: arXiv 2406.09358 v2, section 3
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.observers import ClassCounts
from mixdyn.run.rare import RareEvent, rare_event
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM
from mixdyn.support.errors import NotApplicableError
from mixdyn.support.numbers import Log10
from mixdyn.support.statistics import VERDICT_MISS, Proportion, trials_to_bound
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, proper
from verify.ledger.relations import Outcome, Statistical, compare_rate
from verify.ledger.sides import Facts, NotApplicable, Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis, Table
from verify.measure.continuum import NO_TOLERANCE, can_prove
from verify.measure.covariances import matrices
from verify.measure.outside_modes import (
    NO_PRODUCT,
    DecidedEnds,
    after_ddim,
    half_way,
    resolution,
    show_resolution,
    tail_mass,
)
from verify.measure.paths import ddim_grid
from verify.measure.proved_ends import ProvedLine, certificate, proved_axes, proved_outside

CLAIM = Claim.from_docstring(
    __doc__,
    id="M1",
    short="no interpolation",
    rests_on={"G.1": "the exact score"},
    needs=(modes(2), proper),
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "Anything about a learned score, whose smoothing between modes is where interpolation "
        "comes from (M2). The bound is the tail of the data, not the sampler's: DDIM's own tail is "
        "lighter where its modes are narrower than the data's. Where the row fails, the score is "
        "exact and the steps are at fault: M1' is the corrected form."
    ),
)

_NOISE = 0.01  # nats that the last marginal may differ from noise
_FIRST = 0.9  # of the probability of a wrong verdict, spent at the first look
_ELLIPSOIDS = 8  # times as much work as a mode of one sigma
_RARE_WORK = 300_000  # modes x dimensions x steps for which a rare event takes seconds
RARE_MISS = 1e-8  # with which a rare event is more probable than it counts as
_DRAWN = 20_000_000  # samples at most, however few of them are run
CONTROL_SAMPLES = 50  # few enough for a gross fault to fail narrowly

Source = Callable[[Case], GaussianMixture]


def _own(case: Case) -> GaussianMixture:
    return case.mixture


# -- product mixtures ----------------------------------------------------------------------------


def _product(case: Case) -> bool | None:
    """No row where no closed form is: the sampled row has a rare event instead, where it can."""
    product = case.mixture.product_axes() is not None
    return True if product or not case.mixture.has_common_sigma else None


@CLAIM.exact(unit="mixtures", of=_product)
def probability(case: Case, _: bool, scored: Source = _own, tail: float = 1.0) -> Iterator[Part]:
    """The probability of ending outside every mode. scored: the mixture whose score is sampled;
    tail: a factor on the tail mass."""
    if case.mixture.product_axes() is None:
        yield NotApplicable(NO_PRODUCT)
        return
    low, high = _between(case, scored(case))
    worst = _worst(case, scored(case), tail)
    hypotheses = _hypotheses(case)
    yield worst
    yield from hypotheses
    yield {"the probability is at least": low, "and at most": high, **show_resolution(case)}
    yield _note(case, *hypotheses, worst.comparison.outcome)
    yield lambda: _steps(case)


def _between(case: Case, model: GaussianMixture) -> tuple[float, float]:
    grid = TimeGrid.full(case.schedule.T)
    return case.memo(f"M1 outside {model.digest}", lambda: after_ddim(case, model, grid))


def _worst(case: Case, model: GaussianMixture, tail: float = 1.0) -> Side:
    """The comparison that the two roundings allow: of a NaN where they disagree."""

    def side(value: float) -> Side:
        return Side(
            "probability of ending outside every mode",
            value,
            at_most=tail * tail_mass(case.mixture),
            tolerance=Tolerance(rtol=1e-9, atol=1e-14),
            where={"sampler": "DDIM, every step", "sigma": model.sigma},
        )

    least, most = (side(value) for value in _between(case, model))
    if most.comparison.outcome is Outcome.HOLDS:
        return most
    return least if least.comparison.outcome is Outcome.FAILS else side(np.nan)


def _hypotheses(case: Case) -> tuple[Hypothesis, Hypothesis]:
    """Room between modes, and noise at T, by the convexity of the divergence in its mixture."""
    mixture, abar = case.mixture, float(case.schedule.alpha_bar[-1])
    shift = abar * np.square(mixture.means).sum(axis=1)
    if mixture.covariance is not None:
        last = mixture.covariance.at(abar, float(case.schedule.noise_var[-1]))
        own = last.total(lambda var: var - 1.0 - np.log(var), mixture.d)
    else:
        var = abar * np.square(mixture.sigmas) + float(case.schedule.noise_var[-1])
        own = mixture.d * (var - 1.0 - np.log(var))
    divergence = 0.5 * mixture.weights @ (shift + own)
    return (
        Hypothesis.from_slack("room", np.array([_room(mixture)])),
        Hypothesis.from_slack("noise", np.array([_NOISE - divergence])),
    )


def _room(mixture: GaussianMixture) -> float:
    """The room between the balls of the tightest pair, of ellipsoids along the line of a pair."""
    i, j = np.triu_indices(mixture.N, k=1)
    if mixture.covariance is not None:
        edge = mixture.means[i] - mixture.means[j]
        length = np.linalg.norm(edge, axis=1)
        std = [
            np.sqrt(np.einsum("pd,pde,pe->p", edge, matrices(mixture)[k], edge)) / length
            for k in (i, j)
        ]
        return float((length - geometry.radius_in_stds(mixture.d) * (std[0] + std[1])).min())
    radius = geometry.mode_radius(mixture)
    lengths = geometry.pairwise_distances(mixture.means)[i, j]
    return float((lengths - radius[i] - radius[j]).min())


def _note(case: Case, room: Hypothesis, noise: Hypothesis, outcome: Outcome) -> str:
    """Why the statement does not apply, or else falls, and what is left of it then."""
    if room.worst_gap:
        return f"The closest pair overlaps: its room is {-room.worst_gap:.3g}."
    if noise.worst_gap:
        return (
            "The last marginal is not noise: its divergence from N(0, I) may be "
            f"{_NOISE + noise.worst_gap:.3g} nats, more than {_NOISE}."
        )
    if outcome is not Outcome.FAILS:
        return ""
    share = resolution(case)
    if share < 1.0:
        cause = (
            f"the last noise level does not resolve the closest pair, l^2/v_1 is {share:.2g} of "
            "the 8 log(1/Q) that this takes"
        )
    else:
        cause = f"this is what {case.schedule.T} steps and the start from noise add"
    return f"As stated it falls here. The score is exact: {cause}. The corrected form is M1'."


def _steps(case: Case) -> Table:
    """What coarse steps add, with the same exact score."""
    T, rows = case.schedule.T, []
    for name, make in (("quadratic", TimeGrid.quadratic), ("uniform", TimeGrid.uniform)):
        for steps in (50, 100, 250):
            if steps <= T:
                rows.append((name, steps, after_ddim(case, case.mixture, make(T, steps))[1]))
    columns = ("spacing", "DDIM steps", "probability outside every mode, at most")
    return Table("The same with fewer steps: what is left is discretisation alone", columns, rows)


# -- product mixtures, proved --------------------------------------------------------------------

_MOST_TIMES = 1000


def _provable(case: Case) -> bool | None:
    """In up to two dimensions, where a square in the disc leaves little outside."""
    product = can_prove(case) and case.mixture.product_axes() is not None
    return True if product and case.mixture.d <= 2 and case.schedule.T <= _MOST_TIMES else None


@CLAIM.certified(unit="mixtures", of=_provable)
def proved(case: Case, _: bool, smeared: bool = False) -> Iterator[Part]:
    """Bounds on the probability of ending outside every mode. smeared: with the score of modes that
    reach half-way to the next."""
    mixture, tail = case.mixture, tail_mass(case.mixture)
    sigma = half_way(mixture) if smeared else float(mixture.sigma)
    full, few = TimeGrid.full(case.schedule.T), ddim_grid(case)
    least, most = case.memo(
        f"M1 proved {sigma}", lambda: proved_outside(mixture, sigma, case.schedule, full)
    )
    yield Side(
        "probability of ending outside every mode, between proved bounds",
        most if most <= tail else least if least > tail else np.nan,
        at_most=tail,
        tolerance=Tolerance(rtol=1e-9),
        where={"sampler": "DDIM, every step", "sigma": sigma},
    )
    yield from _hypotheses(case)
    yield {"the probability is proved to be at least": least, "and at most": most}
    if not smeared:
        least, most = proved_outside(mixture, sigma, case.schedule, few)
        name = f"with {few.steps} quadratic steps it is proved to be"
        yield {f"{name} at least": least, f"{name} at most": most}


def _certificates(case: Case) -> dict[str, dict[str, Any]] | None:
    """By the number of DDIM's steps."""
    if not _provable(case):
        return None
    grids = {grid.steps: grid for grid in (TimeGrid.full(case.schedule.T), ddim_grid(case))}
    return {
        f"DDIM, {steps} steps": certificate(
            {f"axis {k}": axis for k, axis in enumerate(_axes(case, grid), 1)},
            case.schedule,
            grid,
        )
        for steps, grid in grids.items()
    }


def _axes(case: Case, grid: TimeGrid) -> list[ProvedLine]:
    return proved_axes(case.mixture, float(case.mixture.sigma), case.schedule, grid)


proved.certificates = _certificates  # type: ignore[attr-defined]
CLAIM.must_fail(proved, "a smeared mixture, proved", smeared=True)


# -- counts --------------------------------------------------------------------------------------


@CLAIM.sampled(unit="samples")
def share(case: Case, scored: Source = _own, n: int | None = None) -> Iterator[Part]:
    """A count among n samples. scored: the mixture whose score is sampled."""
    bound, grid = tail_mass(case.mixture), TimeGrid.full(case.schedule.T)
    between = invalid = drawn = 0
    ends = None if n is not None else _decided(case, scored(case), grid)
    for size, miss in _looks(case, bound, ends) if n is None else [(n, VERDICT_MISS)]:
        if ends is None:
            more = _count(case, scored(case), grid, size - drawn, drawn)
        else:
            more = ends.counts(size - drawn, case.stream("M1"), drawn)
        between, invalid, drawn = between + more[0], invalid + more[1], size
        outside = compare_rate(
            "share outside every mode",
            Statistical("upper", miss),
            Proportion(between + invalid, drawn),
            bound,
        )
        if outside.outcome is not Outcome.INCONCLUSIVE:
            break
    hypotheses = _hypotheses(case)
    yield outside
    yield from hypotheses
    needed = trials_to_bound(bound)
    few = f"A rate below {bound:.3g} takes {needed:,} samples; {drawn:,} were drawn."
    note = _note(case, *hypotheses, outside.outcome)
    yield note or (few if drawn < needed else "")
    yield from _between_modes(case)
    where = {"sampler": "DDIM, every step", "n": drawn, "seed": case.stream("M1")}
    yield Facts(witness=lambda found: where)
    yield {
        **show_resolution(case),
        "interpolations": between,
        "outside but not between two modes": invalid,
    }
    yield lambda: _with_few_steps(case)


def _between_modes(case: Case) -> Iterator[Part]:
    """Off product grids, how rarely DDPM ends between two modes."""
    mixture = case.mixture
    if mixture.product_axes() is not None or not mixture.has_common_sigma:
        return
    if mixture.N * mixture.d * case.schedule.T > case.pick(_RARE_WORK, 20 * _RARE_WORK):
        return  # minutes: the count above stands alone
    try:
        found = case.memo("M1 rare", lambda: _rare(case))
    except NotApplicableError:
        return  # no room between any two modes
    most = found.interval(RARE_MISS)[1]
    yield Side(
        "log of the probability that DDPM ends between two modes, at most",
        most,
        at_most=np.log(tail_mass(case.mixture)),
        tolerance=Tolerance(rtol=1e-9, log=True),
        where={"sampler": "DDPM", "seed": found.seed, "runs": len(found.runs)},
    )
    yield {
        "P(DDPM ends between two modes)": Log10.from_log(found.log_p),
        "its relative standard error": found.relative_error,
        "evaluations for it": found.evaluations,
    }


def _rare(case: Case) -> RareEvent:
    n = case.pick(60, 400)
    return rare_event(case.mixture, case.schedule, DDPM(), n=n, rel=0.2, rng=case.stream("M1 rare"))


def _with_few_steps(case: Case) -> dict[str, float]:
    grid = ddim_grid(case)
    n = min(100_000, _sample_size(case, grid.steps))
    outside = sum(_count(case, case.mixture, grid, n, 0))
    return {f"outside with {grid.steps} quadratic steps, of {n:,}": outside}


def _decided(case: Case, model: GaussianMixture, grid: TimeGrid) -> DecidedEnds | None:
    return None if case.mixture.product_axes() is None else DecidedEnds(case, model, grid)


def _looks(case: Case, bound: float, ends: DecidedEnds | None) -> list[tuple[int, float]]:
    """Sizes of the sample at which it is judged, each with the probability of a wrong verdict then,
    VERDICT_MISS together: first, at nine tenths of that, where a rate of zero is decided."""
    most = _sample_size(case, case.schedule.T, 1.0 if ends is None else ends.share)
    first = trials_to_bound(bound, _FIRST * VERDICT_MISS)
    if first >= most:
        return [(most, VERDICT_MISS)]
    return [(first, _FIRST * VERDICT_MISS), (most, (1.0 - _FIRST) * VERDICT_MISS)]


def _sample_size(case: Case, steps: int, run: float = 1.0) -> int:
    """Three times what decides a rate of zero, within a budget of (sample x step x mode x d) for
    the share that is run: at a rate of a fifth of the bound, as steps leave on some problems, half
    as many decide nothing.

    A quarter of the budget where all of it would not decide.
    """
    axes = case.mixture.product_axes()
    units = case.mixture.N * case.mixture.d if axes is None else sum(len(v) for v, _ in axes)
    units *= 1 if case.mixture.covariance is None else _ELLIPSOIDS
    budget = case.pick(4_000_000_000, 300_000_000_000)
    affordable = min(int(budget / (units * steps * run)), _DRAWN)
    needed = trials_to_bound(tail_mass(case.mixture))
    return max(1000, min(3 * needed, affordable if affordable >= needed else affordable // 4))


def _count(
    case: Case, model: GaussianMixture, grid: TimeGrid, n: int, first: int
) -> tuple[int, int]:
    """Interpolations and invalid samples among n of DDIM on a grid, from index `first` on."""
    counts = sample(
        model,
        case.schedule,
        DDIM(spacing=grid),
        n=n,
        rng=case.stream("M1"),
        first=first,
        observers=[ClassCounts(case.mixture)],
        keep="none",
    ).observations[0]
    return int(counts[geometry.Region.INTERPOLATION]), int(counts[geometry.Region.INVALID])


# -- what must fail ------------------------------------------------------------------------------


def _smeared(case: Case) -> GaussianMixture:
    """Modes that are smeared over half the distance to the next one."""
    mixture = case.mixture
    return GaussianMixture(mixture.means, half_way(mixture), mixture.weights)


def _holds(case: Case) -> bool:
    """Where the row itself fails, no tail is the largest that does."""
    return _worst(case, case.mixture).comparison.outcome is Outcome.HOLDS


CLAIM.must_fail(probability, "smeared score, in closed form", scored=_smeared)
CLAIM.must_fail(
    share, f"smeared score, {CONTROL_SAMPLES} samples", scored=_smeared, n=CONTROL_SAMPLES
)
CLAIM.must_fail_narrowly(
    probability,
    "the tail mass times 1 - {}",
    1.0,
    tail=lambda less: 1.0 - less,
    when=lambda case: case.mixture.product_axes() is not None and _holds(case),
)
