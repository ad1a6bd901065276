"""AdaptiveNoise on the exact score: its spread, mode weights and rate beside those of the data."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mixdyn.geometry import mode_radius, pairwise_distances
from mixdyn.problem import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.run.sampling import sample
from mixdyn.samplers.adaptive import AdaptiveNoise

from ..ledger.case import Case
from ..ledger.relations import Comparison, Statistical, Upper, compare, compare_rate
from ..ledger.verdict import Table
from .ends import Ends, compare_spread, compare_weights, ends_of

EVALUATIONS = 50
SPREAD_MARGIN, WEIGHT_MARGIN, RATE_MARGIN = 0.03, 0.01, 1e-3
_SAMPLES = (30_000, 200_000)  # in up to seven dimensions
_FULL_DIMENSIONS = 7
_FEWEST = 5.0  # expected samples of the lightest mode
_APART = 10.0  # sigmas between modes
_SIZE = (0.25, 4.0)  # of the data's variance per coordinate, which late_rho takes to be near 1
_SIGNAL = 0.01  # of alpha_bar at T: a start from N(0, I) overlooks no more
_ONE_MODE = (0.02, 0.05, 0.2, 0.5)
_TELLING = f"one mode, σ = {_ONE_MODE[1]}"  # where the last step alone does least


@dataclass(frozen=True)
class Wrong:
    """What a negative control gets wrong: which sampler runs, and on the score of which mixture."""

    sampler: AdaptiveNoise | None = None
    wider: float = 1.0
    tilt: float = 0.0


RIGHT = Wrong()
CONTROLS: Mapping[str, Wrong] = {
    "posterior variance in the last step only": Wrong(AdaptiveNoise(late_noise=False)),
    "the score of modes 5 % wider": Wrong(wider=1.05),
    "the score of weights off by 20 %": Wrong(tilt=0.2),
}


def obstacle(case: Case) -> str | None:
    """Why the sampler is not judged on this case's exact score, or None."""
    mixture, schedule = case.mixture, case.schedule
    if not mixture.has_common_sigma:
        return "its modes differ in width, and the sampler has one width for all"
    if mixture.smallest_var == 0.0:
        return "its modes have no width, by which its spread could be told"
    if AdaptiveNoise().steps > schedule.T:
        return f"the schedule has fewer than {AdaptiveNoise().steps} times"
    if schedule.alpha_bar[-1] > _SIGNAL:
        return "a start from N(0, I) is not where this schedule ends"
    total = mixture.sigmas[0] ** 2
    if mixture.N > 1:
        distances = pairwise_distances(mixture.means)[np.triu_indices(mixture.N, k=1)]
        if distances.min() < _APART * mixture.sigmas[0]:
            return f"its modes are less than {_APART:g} sigma apart"
        mean = mixture.weights @ mixture.means
        total += mixture.weights @ np.square(mixture.means - mean).mean(axis=1)
        if not _SIZE[0] <= total <= _SIZE[1]:
            return f"its variance per coordinate, {total:.3g}, is not near 1"
    if mixture.weights.min() * _count(case, mixture) < _FEWEST:
        return "its lightest mode is too rare for the number of samples"
    return None


def problems(case: Case) -> dict[str, GaussianMixture]:
    """The case itself; on the standard problem also single modes, a ring and 64 dimensions."""
    found = {"this problem": case.mixture}
    if case.name != "standard":
        return found
    found |= {f"one mode, σ = {sigma}": GaussianMixture([[0.0, 0.0]], sigma) for sigma in _ONE_MODE}
    return found | {
        "ring of 8": presets.ring(8),
        "one mode in 64 dimensions": GaussianMixture(np.zeros((1, 64)), 0.05),
    }


def compare_exact(case: Case, wrong: Wrong = RIGHT) -> list[Comparison]:
    """The comparisons of a case on which the sampler is judged."""
    comparisons = []
    for problem, ends in _measured(case, wrong).items():
        mixture, label = problems(case)[problem], f"exact score, {problem}"
        comparisons.append(compare_spread(f"spread/σ, {label}", ends, SPREAD_MARGIN))
        if mixture.N > 1:
            name = f"error of the weights, {label}"
            comparisons.append(compare_weights(name, ends, WEIGHT_MARGIN))
    ends = _measured(case, wrong)["this problem"]
    bound = _tail(case.mixture) + RATE_MARGIN
    return [
        *comparisons,
        compare_rate("outside the modes, exact score", Statistical(), ends.outside, bound),
        compare("evaluations, exact score", Upper(rtol=1e-12), ends.n_eval, EVALUATIONS),
    ]


def controls(case: Case) -> dict[str, Wrong]:
    """Those that say something on this case: on narrow modes nearly all of the posterior's variance
    is the last step's, and one mode has no weights. None where the sampler is not judged."""
    if obstacle(case) is not None:
        return {}
    alone = case.mixture.N == 1
    return {
        name: wrong
        for name, wrong in CONTROLS.items()
        if (wrong.sampler is None or case.name == "standard") and not (wrong.tilt and alone)
    }


def exact_table(case: Case) -> Table:
    """Spread, weights and rate of every problem."""
    rows = [
        (name, int(e.counts.sum()), e.n_eval, e.spread, e.weight_error, e.outside.rate)
        for name, e in _measured(case, RIGHT).items()
    ]
    columns = ("problem", "samples", "evaluations", "spread/σ", "weight error", "outside")
    return Table("AdaptiveNoise on the exact score", columns, rows)


def _measured(case: Case, wrong: Wrong) -> dict[str, Ends]:
    key = f"X8 exact {wrong}"
    return case.memo(key, functools.partial(_measure, case, wrong))


def _measure(case: Case, wrong: Wrong) -> dict[str, Ends]:
    found = {}
    for name, mixture in problems(case).items():
        if wrong != RIGHT and name != "this problem" and not (wrong.sampler and name == _TELLING):
            continue  # a control needs no more than where it shows
        model = _changed(mixture, wrong)
        run = sample(
            model,
            case.schedule,
            wrong.sampler or AdaptiveNoise(),
            n=_count(case, mixture),
            rng=case.stream("X8 exact"),
        )
        found[name] = ends_of(mixture, np.asarray(run.x), run.n_eval)
    return found


def _changed(mixture: GaussianMixture, wrong: Wrong) -> GaussianMixture:
    if wrong.wider == 1.0 and not (wrong.tilt and mixture.N > 1):
        return mixture
    signs = np.resize([1.0, -1.0], mixture.N) if mixture.N > 1 else np.zeros(1)
    weights = mixture.weights * (1.0 + wrong.tilt * signs)
    return GaussianMixture(mixture.means, wrong.wider * mixture.sigmas, weights / weights.sum())


def _count(case: Case, mixture: GaussianMixture) -> int:
    return math.ceil(case.pick(*_SAMPLES) * min(1.0, _FULL_DIMENSIONS / mixture.d))


def _tail(mixture: GaussianMixture) -> float:
    """The data's own share beyond the radius of a true mode ([D], F.1), at most."""
    from mixdyn.support import laws

    radius = float((mode_radius(mixture) / mixture.sigmas).min())
    return float(laws.chi2_tail(radius**2, mixture.d))
