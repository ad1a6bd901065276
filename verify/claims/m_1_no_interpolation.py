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
    law of the squared distance per coordinate; laws are convolved with distances rounded up. On
    every mixture, a count among samples.
Predicted: at most the tail mass.
Evidence: exact on product mixtures, up to the rounding of distances to 1/64 of $r^2$; sampled
    otherwise. A count decides only if the sample is large enough for so small a rate.
Source: arXiv 2406.09358 v1, section 3
"""

from __future__ import annotations

import math

import numpy as np

from mixdyn import geometry
from mixdyn.mixture import GaussianMixture
from mixdyn.observers import ClassCounts
from mixdyn.samplers import DDIM
from mixdyn.sampling import sample
from mixdyn.schedule import TimeGrid
from mixdyn.statistics import Proportion, trials_to_bound
from mixdyn.validation import Array
from verify.claim import Basis, Case, Claim, Finding, Hypothesis, Table, Verdict
from verify.paths import ddim_grid
from verify.relations import Comparison, Outcome, Statistical, Upper, compare, compare_rate

CLAIM = Claim.from_docstring(
    __doc__,
    id="M1",
    basis=(Basis.EXACT, Basis.SAMPLED),
    min_modes=2,
    does_not_show=(
        "Anything about a learned score, whose smoothing between modes is where interpolation "
        "comes from (M2). The bound is the tail of the data, not of the sampler: DDIM's modes are "
        "narrower than the data's, so its own tail is lighter still."
    ),
)


CELLS = 64
_FARTHEST = 10.0  # starts beyond it have probability 1e-23


def check(case: Case) -> list[Verdict]:
    """The probability on product mixtures, and a count on all."""
    return [
        _exact(case, case.mixture),
        _sampled(case, case.mixture, _sample_size(case, case.schedule.T)),
    ]


def mutants(case: Case) -> dict[str, Verdict]:
    """The score of a mixture whose modes are smeared over half the distance to the next one."""
    smooth = _smeared(case)
    return {
        "smeared score, in closed form": _exact(case, smooth),
        "smeared score, sampled": _sampled(case, smooth, 1000),
    }


def _smeared(case: Case) -> GaussianMixture:
    factor = float((geometry.mode_radius(case.mixture) / case.mixture.sigmas)[0])
    length = _closest(case)[0]
    return GaussianMixture(case.mixture.means, 0.5 * length / factor, case.mixture.weights)


def _closest(case: Case) -> tuple[float, float]:
    """Distance of the closest pair, and the room between the balls of the tightest pair."""
    radius = geometry.mode_radius(case.mixture)
    i, j = np.triu_indices(case.mixture.N, k=1)
    lengths = geometry.pairwise_distances(case.mixture.means)[i, j]
    return float(lengths.min()), float((lengths - radius[i] - radius[j]).min())


def _tail_mass(case: Case) -> float:
    """P(chi^2_d > r^2/sigma^2): the same for every mode."""
    from scipy.stats import chi2

    factor = float((geometry.mode_radius(case.mixture) / case.mixture.sigmas)[0])
    return float(chi2.sf(factor**2, case.mixture.d))


def _hypotheses(case: Case) -> list[Hypothesis]:
    """Room between modes, and noise at T (by the convexity of the divergence in its mixture)."""
    mixture, abar = case.mixture, float(case.schedule.alpha_bar[-1])
    var = abar * np.square(mixture.sigmas) + float(case.schedule.noise_var[-1])
    shift = abar * np.square(mixture.means).sum(axis=1)
    divergence = 0.5 * mixture.weights @ (shift + mixture.d * (var - 1.0 - np.log(var)))
    return [
        Hypothesis.from_slack("room", np.array([_closest(case)[1]])),
        Hypothesis.from_slack("noise", np.array([0.01 - divergence])),
    ]


# -- product mixtures ----------------------------------------------------------------------------


def _exact(case: Case, model: GaussianMixture) -> Verdict:
    if case.mixture.product_axes() is None:
        reason = "The mixture is no product of one-dimensional ones, so only counts remain."
        return CLAIM.not_applicable(case, reason, Basis.EXACT)
    worst = compare(
        "probability of ending outside every mode",
        Upper(rtol=1e-9, atol=1e-14),
        _outside(case, model, TimeGrid.full(case.schedule.T)),
        _tail_mass(case),
    )
    finding = Finding(
        comparisons=[worst],
        hypotheses=_hypotheses(case),
        nonvacuous_share=1.0,
        witness=lambda comparison: {"sampler": "DDIM, every step", "sigma": model.sigma},
        unit="mixtures",
        note=_note(case, worst),
        tables=[_steps(case)] if model is case.mixture else [],
    )
    return CLAIM.judge(case, finding, Basis.EXACT)


def _note(case: Case, worst: Comparison) -> str:
    if worst.outcome is not Outcome.FAILS:
        return ""
    return f"The score is exact: this is the discretisation error of {case.schedule.T} steps."


def _steps(case: Case) -> Table:
    """What coarse steps add, with the same exact score."""
    T, rows = case.schedule.T, []
    for name, make in (("quadratic", TimeGrid.quadratic), ("uniform", TimeGrid.uniform)):
        for steps in (50, 100, 250):
            if steps <= T:
                rows.append((name, steps, _outside(case, case.mixture, make(T, steps))))
    columns = ("spacing", "DDIM steps", "probability outside every mode, at most")
    return Table("The same with fewer steps: what is left is discretisation alone", columns, rows)


def _outside(case: Case, model: GaussianMixture, grid: TimeGrid) -> float:
    """An upper bound on P(|x - nearest mode| > r) for DDIM on a product mixture.

    Coordinates are independent; the law of each squared distance is put on a grid of CELLS cells
    up to r^2, rounded up, and the laws are convolved.
    """
    radius = float(geometry.mode_radius(case.mixture)[0])
    inside = np.zeros(CELLS + 1)
    inside[0] = 1.0
    known: dict[bytes, Array] = {}  # axes often repeat
    for values, weights in case.mixture.product_axes() or []:
        key = values.tobytes() + weights.tobytes()
        if key not in known:
            line = GaussianMixture(values[:, None], model.sigma, weights)
            known[key] = np.diff(_distance_cdf(case, line, radius, grid), prepend=0.0)
        cells = known[key]
        inside = np.convolve(inside, np.concatenate([[0.0], cells]))[: CELLS + 1]
    return max(0.0, 1.0 - math.fsum(inside))


def _distance_cdf(case: Case, line: GaussianMixture, radius: float, grid: TimeGrid) -> Array:
    """Lower bounds on P(|x - nearest value|^2 <= r^2 k/CELLS), k = 1..CELLS, for a 1-D mixture.

    The map from start to end is increasing (its slope is that of the posterior mean, which is
    >= 0), so the starts that end in an interval form one; bisection brackets its ends, and the
    inner side of each bracket is used.
    """
    from scipy.special import ndtr

    values = np.sort(line.means[:, 0])
    middle = 0.5 * (values[1:] + values[:-1])
    edge = radius * np.sqrt(np.arange(1, CELLS + 1) / CELLS)[:, None]
    ends = np.stack(
        [
            np.maximum(values - edge, np.concatenate([[-np.inf], middle])),
            np.minimum(values + edge, np.concatenate([middle, [np.inf]])),
        ]
    )
    low, high = np.full(ends.shape, -_FARTHEST), np.full(ends.shape, _FARTHEST)
    for _ in range(56):
        z = 0.5 * (low + high)
        below = _ddim_line(case, line, z.ravel(), grid).reshape(z.shape) < ends
        low, high = np.where(below, z, low), np.where(below, high, z)
    first, last = high[0], low[1]
    # Of two equal values, the difference on the side where both are small keeps its digits.
    share = np.where(first > 0.0, ndtr(-first) - ndtr(-last), ndtr(last) - ndtr(first))
    return np.asarray(np.maximum(share, 0.0).sum(axis=1))


def _ddim_line(case: Case, line: GaussianMixture, z: Array, grid: TimeGrid) -> Array:
    final = sample(line, case.schedule, DDIM(spacing=grid), x=z[:, None], rng=0).x
    return np.asarray(final)[:, 0]


# -- counts --------------------------------------------------------------------------------------


def _sample_size(case: Case, steps: int) -> int:
    """Three times what decides a rate of zero, within a budget of (sample x step x mode x d).

    A quarter of the budget where all of it would not decide.
    """
    axes = case.mixture.product_axes()
    units = case.mixture.N * case.mixture.d if axes is None else sum(len(v) for v, _ in axes)
    affordable = case.pick(4_000_000_000, 300_000_000_000) // (units * steps)
    needed = trials_to_bound(_tail_mass(case))
    return max(1000, min(3 * needed, affordable if affordable >= needed else affordable // 4))


def _sampled(case: Case, model: GaussianMixture, n: int) -> Verdict:
    bound, needed = _tail_mass(case), trials_to_bound(_tail_mass(case))
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
