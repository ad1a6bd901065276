r"""With the exact score nothing ends between modes.

Statement: Sampling with the exact score of $p_0$ gives no interpolation: the share of samples
    farther than $r_k$ from every mode, $r_k = 5\sigma_k$ (above ten dimensions $\sigma_k(\sqrt{d}
    + 4)$), is at most the mixture's own tail mass $P(\chi^2_d > r_k^2/\sigma_k^2)$.
Hypotheses:
    - room: the closest pair leaves room between its two modes, $l > r_i + r_j$.
    - noise: the last marginal is noise, $KL(p_T | N(0, I)) \le 0.01$, so that samplers start
      right.
Measured: for DDIM over all $T$ steps. On product mixtures the probability itself: the sampler
    acts on each coordinate by an increasing map, whose inverse on the ends of intervals gives the
    law of the squared distance per coordinate; laws are convolved with distances rounded up, and
    down. On every mixture, a count among samples.
Predicted: at most the tail mass. A sampler of finitely many steps need not obey that, nor one whose
    last noise level does not resolve the closest pair, $l^2 \ge 8 v_1 \log(1/Q)$ with $Q$ the tail
    mass, which is a number here: M1' is the statement that survives, with the flow and the reverse
    SDE in its place and what start, steps and last step add. M1 (2) is about the paper's problems.
Evidence: exact on product mixtures, between the two roundings of distances to 1/64 of $r^2$;
    sampled otherwise. A count decides only if the sample is large enough for so small a rate.
Source: arXiv 2406.09358 v1, section 3
"""

from __future__ import annotations

import math

import numpy as np

from mixdyn import geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import TimeGrid
from mixdyn.run.observers import ClassCounts
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.support.checks import Array
from mixdyn.support.statistics import Proportion, trials_to_bound
from verify.ledger.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.ledger.controls import narrowest
from verify.ledger.needs import modes
from verify.ledger.relations import Comparison, Outcome, Statistical, Upper, compare, compare_rate
from verify.measure.outside_modes import (
    closest_pair,
    ddim_starts,
    normal_mass,
    radius_factor,
    resolution,
    tail_mass,
)
from verify.measure.paths import ddim_grid

CLAIM = Claim.from_docstring(
    __doc__,
    id="M1",
    short="no interpolation",
    rests_on={"G.1": "the exact score"},
    needs=(modes(2),),
    basis=(Basis.EXACT, Basis.SAMPLED),
    does_not_show=(
        "Anything about a learned score, whose smoothing between modes is where interpolation "
        "comes from (M2). The bound is the tail of the data, not the sampler's: DDIM's own tail is "
        "lighter where its modes are narrower than the data's. Where the row fails, the score is "
        "exact and the steps are at fault: M1' is the corrected form."
    ),
)


CELLS = 64
_NOISE = 0.01  # nats that the last marginal may differ from noise
CONTROL_SAMPLES = 50  # few enough for a gross fault to fail narrowly
_RESOLVES = "l²/v_1 of the closest pair over the 8 log(1/Q) that resolves it"


def check(case: Case) -> list[Verdict]:
    """The probability on product mixtures, and a count on all."""
    return [
        _exact(case, case.mixture),
        _sampled(case, case.mixture, _sample_size(case, case.schedule.T)),
    ]


def mutants(case: Case) -> dict[str, Verdict]:
    """The score of a mixture whose modes are smeared over half the distance to the next one, and a
    tail mass that is too small."""
    smooth = _smeared(case)
    found = {
        "smeared score, in closed form": _exact(case, smooth),
        f"smeared score, {CONTROL_SAMPLES} samples": _sampled(case, smooth, CONTROL_SAMPLES),
    }
    if case.mixture.product_axes() is None:
        return found
    if _compare(case, case.mixture, 1.0)[0].outcome is not Outcome.HOLDS:
        return found  # where the row itself fails, no tail is the largest that does
    return found | narrowest(
        "the tail mass times 1 - {}", lambda less: _exact(case, case.mixture, 1.0 - less), 1.0
    )


def _smeared(case: Case) -> GaussianMixture:
    i, j = closest_pair(case.mixture)
    length = float(np.linalg.norm(case.mixture.means[i] - case.mixture.means[j]))
    sigma = 0.5 * length / radius_factor(case.mixture)
    return GaussianMixture(case.mixture.means, sigma, case.mixture.weights)


def _room(mixture: GaussianMixture) -> float:
    """The room between the balls of the tightest pair."""
    radius = geometry.mode_radius(mixture)
    i, j = np.triu_indices(mixture.N, k=1)
    lengths = geometry.pairwise_distances(mixture.means)[i, j]
    return float((lengths - radius[i] - radius[j]).min())


def _hypotheses(case: Case) -> list[Hypothesis]:
    """Room between modes, and noise at T, by the convexity of the divergence in its mixture."""
    mixture, abar = case.mixture, float(case.schedule.alpha_bar[-1])
    var = abar * np.square(mixture.sigmas) + float(case.schedule.noise_var[-1])
    shift = abar * np.square(mixture.means).sum(axis=1)
    divergence = 0.5 * mixture.weights @ (shift + mixture.d * (var - 1.0 - np.log(var)))
    return [
        Hypothesis.from_slack("room", np.array([_room(mixture)])),
        Hypothesis.from_slack("noise", np.array([_NOISE - divergence])),
    ]


# -- product mixtures ----------------------------------------------------------------------------


def _exact(case: Case, model: GaussianMixture, tail: float = 1.0) -> Verdict:
    """tail: a factor on the tail mass (mutant)."""
    if case.mixture.product_axes() is None:
        reason = "The mixture is no product of one-dimensional ones, so only counts remain."
        return CLAIM.not_applicable(case, reason, Basis.EXACT)
    worst, low, high = _compare(case, model, tail)
    finding = Finding(
        comparisons=[worst],
        hypotheses=_hypotheses(case),
        nonvacuous_share=1.0,
        witness=lambda comparison: {"sampler": "DDIM, every step", "sigma": model.sigma},
        unit="mixtures",
        note=_note(case, worst),
        numbers={
            "the probability is at least": low,
            "and at most": high,
            _RESOLVES: resolution(case),
        },
        tables=[_steps(case)] if model is case.mixture and tail == 1.0 else [],
    )
    return CLAIM.judge(case, finding, Basis.EXACT)


def _compare(case: Case, model: GaussianMixture, tail: float) -> tuple[Comparison, float, float]:
    """The comparison that the two roundings allow, and both: a NaN where they disagree."""
    low, high = case.memo(
        f"M1 outside {model.digest}",
        lambda: _outside(case, model, TimeGrid.full(case.schedule.T)),
    )
    bound, relation = tail * tail_mass(case.mixture), Upper(rtol=1e-9, atol=1e-14)
    name = "probability of ending outside every mode"
    above, below = (compare(name, relation, value, bound) for value in (high, low))
    if above.outcome is below.outcome:
        return (above if above.outcome is Outcome.HOLDS else below), low, high
    return compare(name, relation, np.nan, bound), low, high


def _note(case: Case, worst: Comparison) -> str:
    """Why the statement does not apply, or else falls, and what is left of it then."""
    room, noise = _hypotheses(case)
    if room.worst_gap:
        return f"The closest pair overlaps: its room is {-room.worst_gap:.3g}."
    if noise.worst_gap:
        return (
            "The last marginal is not noise: its divergence from N(0, I) may be "
            f"{_NOISE + noise.worst_gap:.3g} nats, more than {_NOISE}."
        )
    if worst.outcome is not Outcome.FAILS:
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
                rows.append((name, steps, _outside(case, case.mixture, make(T, steps))[1]))
    columns = ("spacing", "DDIM steps", "probability outside every mode, at most")
    return Table("The same with fewer steps: what is left is discretisation alone", columns, rows)


def _outside(case: Case, model: GaussianMixture, grid: TimeGrid) -> tuple[float, float]:
    """Bounds on P(|x - nearest mode| > r) for DDIM on a product mixture, from below and above.

    Coordinates are independent; the law of each squared distance is put on a grid of CELLS cells
    up to r^2, rounded down (up), and the laws are convolved.
    """
    radius = float(geometry.mode_radius(case.mixture)[0])
    start = np.zeros(CELLS + 1)
    start[0] = 1.0
    down, up = start, start
    known: dict[bytes, Array] = {}  # axes often repeat
    for values, weights in case.mixture.product_axes() or []:
        key = values.tobytes() + weights.tobytes()
        if key not in known:
            line = GaussianMixture(values[:, None], model.sigma, weights)
            known[key] = np.diff(_distance_cdf(case, line, radius, grid), prepend=0.0)
        cells = known[key]
        down = np.convolve(down, cells)[: CELLS + 1]
        up = np.convolve(up, np.concatenate([[0.0], cells]))[: CELLS + 1]
    # A sum of distances in its last cell when rounded down is beyond r^2.
    return max(0.0, 1.0 - math.fsum(down[:CELLS])), max(0.0, 1.0 - math.fsum(up))


def _distance_cdf(case: Case, line: GaussianMixture, radius: float, grid: TimeGrid) -> Array:
    """P(|x - nearest value|^2 <= r^2 k/CELLS), k = 1..CELLS, for a 1-D mixture: an interval of
    starts for each value and k, to the last bits."""
    values = np.sort(line.means[:, 0])
    middle = 0.5 * (values[1:] + values[:-1])
    edge = radius * np.sqrt(np.arange(1, CELLS + 1) / CELLS)[:, None]
    ends = np.stack(
        [
            np.maximum(values - edge, np.concatenate([[-np.inf], middle])),
            np.minimum(values + edge, np.concatenate([middle, [np.inf]])),
        ]
    )
    low, high = ddim_starts(line, case.schedule, ends, grid)
    return np.asarray(normal_mass(high[0], low[1]).sum(axis=1))


# -- counts --------------------------------------------------------------------------------------


def _sample_size(case: Case, steps: int) -> int:
    """Three times what decides a rate of zero, within a budget of (sample x step x mode x d).

    A quarter of the budget where all of it would not decide.
    """
    axes = case.mixture.product_axes()
    units = case.mixture.N * case.mixture.d if axes is None else sum(len(v) for v, _ in axes)
    affordable = case.pick(4_000_000_000, 300_000_000_000) // (units * steps)
    needed = trials_to_bound(tail_mass(case.mixture))
    return max(1000, min(3 * needed, affordable if affordable >= needed else affordable // 4))


def _sampled(case: Case, model: GaussianMixture, n: int) -> Verdict:
    bound = tail_mass(case.mixture)
    needed = trials_to_bound(bound)
    between, invalid = _count(case, model, TimeGrid.full(case.schedule.T), n)
    coarse = ddim_grid(case)
    few = min(100_000, _sample_size(case, coarse.steps))
    with_few = sum(_count(case, model, coarse, few)) if model is case.mixture else None
    worst = compare_rate(
        "share outside every mode", Statistical(), Proportion(between + invalid, n), bound
    )
    seed = case.stream("M1")
    few_samples = (
        f"A rate below {bound:.3g} takes {needed:,} samples; {n:,} were drawn."
        if n < needed
        else ""
    )
    finding = Finding(
        comparisons=[worst],
        hypotheses=_hypotheses(case),
        nonvacuous_share=1.0,
        witness=lambda comparison: {"sampler": "DDIM, every step", "n": n, "seed": seed},
        unit="samples",
        note=_note(case, worst) or few_samples,
        numbers={
            _RESOLVES: resolution(case),
            "interpolations": between,
            "outside but not between two modes": invalid,
            f"outside with {coarse.steps} quadratic steps, of {few:,}": with_few,
        },
    )
    return CLAIM.judge(case, finding, Basis.SAMPLED)


def _count(case: Case, model: GaussianMixture, grid: TimeGrid, n: int) -> tuple[int, int]:
    """Interpolations and invalid samples among n of DDIM on a grid."""
    counts = sample(
        model,
        case.schedule,
        DDIM(spacing=grid),
        n=n,
        rng=case.stream("M1"),
        observers=[ClassCounts(case.mixture)],
        keep="none",
    ).observations[0]
    return int(counts[geometry.Region.INTERPOLATION]), int(counts[geometry.Region.INVALID])
