"""`rare_event`: how often a sampler's chain ends between modes, down to any probability.

Particles carry the pair of modes in whose gap they are to end. While many modes are near they go
the chain's own way, and those are repeated that the reversed diffusion would more likely take into
the gap (splitting). From where the pair is alone their noise along it is drawn from the chain's own
noise tilted by the pair's chance of the gap (`rare_tables`). Every draw is weighed by the ratio of
the chain's density to its own, so that the mean weight of a run is the probability itself,
whatever the tilts are: they decide the variance alone, and runs of independent noise measure that.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..geometry.gaps import Between, Gap
from ..problem.checks import check_common_sigma, check_mixture, check_schedule
from ..problem.noise import Seed, resolve_seed
from ..support.checks import Array, check_array, check_integer, check_positive, describe
from ..support.errors import InputError
from ..support.statistics import DISPLAY_MISS, pareto_shape
from .rare_paths import Chain, Paths

if TYPE_CHECKING:
    from ..problem.mixture import GaussianMixture
    from ..problem.schedule import NoiseSchedule
    from ..samplers import Sampler

_FIRST_RUNS = 24  # of which the spread tells how many more are needed
_SPARE = 1.3  # times as many, since that spread is an estimate itself
_HEAVY = 0.7  # exponent of the runs' tail from which on their spread is no error of their mean
_TOGETHER = 4_000_000  # doubles of the runs that go side by side


@dataclasses.dataclass(frozen=True, eq=False)
class RareEvent:
    """What `rare_event` returns.

    log_p : log of the estimated probability, -inf where no path was in the gap. runs (R,) : log of
    each independent, unbiased estimate, of which it is the mean. relative_error : the standard
    error of that mean over the mean, infinite where the runs have no mean that could be seen (see
    `tail`). evaluations : of the score, all together. by_pair : log P of each pair (i, j), i < j.
    seed : that reproduces it. tail : exponent of the power law that the largest runs follow, 0 for
    light tails: from 1/2 on they have no variance, from 1 on no mean; NaN of few runs.
    """

    log_p: float
    runs: Array
    relative_error: float
    evaluations: int
    by_pair: dict[tuple[int, int], float]
    seed: int
    tail: float = math.nan

    def interval(self, miss: float = DISPLAY_MISS) -> tuple[float, float]:
        """Log of an interval that misses P with probability about `miss`, by Student's law of the
        runs' mean; the lower end is -inf where it is not above 0, all of it where the runs have no
        error."""
        from ..support.laws import student_upper

        if self.log_p == -math.inf or math.isinf(self.relative_error):
            return -math.inf, 0.0
        wide = float(student_upper(0.5 * miss, len(self.runs) - 1)) * self.relative_error
        low = math.log1p(-wide) if wide < 1.0 else -math.inf
        return self.log_p + low, min(self.log_p + math.log1p(wide), 0.0)


def rare_event(
    mixture: GaussianMixture,
    schedule: NoiseSchedule,
    sampler: Sampler,
    event: Between | None = None,
    *,
    rel: float = 0.1,
    n: int = 200,
    rng: Seed = None,
    x: ArrayLike | None = None,
    start: int | None = None,
    budget: int = 200_000_000,
    progress: Callable[[int, int], None] | None = None,
) -> RareEvent:
    """The probability that a sampler with noise ends between modes, with the exact score.

    Of DDPM, DDIM with eta > 0 and hybrids whose noisy steps come first; the steps without noise
    that follow are taken as they are. The discrete chain's own probability, without bias, of 1e-2
    as of 1e-80, on any mixture of isotropic modes of one sigma.

    Without bias is the mean over all seeds. The error is read off the runs. Where most of the
    probability lies in paths that few runs take, the largest runs follow a power law; one without a
    usable variance (`tail` above 0.7, as in arXiv 1507.02646) has no error and an interval from 0
    to 1. That shows from a hundred runs on: where the start is far from the marginal, as on a
    schedule of a few steps, ask for a small `rel`, so that there are as many.

    Parameters
    ----------
    event : which gaps, see `geometry.Between`; all of them where None.
    rel : relative standard error to reach; runs are added until it is, or the budget is spent. The
        one reached is in the result.
    n : paths of a run.
    rng : seed of the draws. x, start : one state (d,) to start from, at a time of the sampler's
        grid (its first where None); from noise where x is None.
    budget : evaluations at most, of 24 runs at least. progress : called with (runs done, in all).

    Raises
    ------
    NotApplicableError : modes of different sigma, a sampler without noise, no gap, or one that the
    steps without noise reach from closer states than doubles tell apart. InputError : bad
    numbers, or a budget below 24 runs.
    """
    sigma2 = check_common_sigma(check_mixture(mixture), "rare events") ** 2
    wanted, size = check_positive(rel, "rel"), check_integer(n, "n", 2)
    chain = Chain.of(mixture, check_schedule(schedule), sampler, start, sigma2)
    given = None if x is None else check_array(x, "x", ndim=1) / chain.alpha[0]
    if given is not None and given.shape != (mixture.d,):
        raise InputError(f"x must have shape ({mixture.d},)", given.shape, "Pass one state.")
    where = Between() if event is None else event
    if not isinstance(where, Between):
        raise InputError("an event is a geometry.Between", describe(where), "Name the gaps by one.")
    paths = Paths(chain, where.gaps(mixture), given)
    cost = size * chain.clock.plan.grid.steps
    most = int(check_integer(budget, "budget", 1)) // cost
    if most < _FIRST_RUNS:
        raise InputError(
            f"a budget holds {_FIRST_RUNS} runs, {_FIRST_RUNS * cost:,} evaluations",
            budget,
            "Raise it, or lower n.",
        )
    seed = resolve_seed(rng)
    found: list[Array] = []
    wished = _FIRST_RUNS
    together = max(1, _TOGETHER // (size * (mixture.N + mixture.d)))
    while len(found) < wished:
        own = np.random.SeedSequence([seed, len(found)])
        part = min(wished - len(found), together)
        found.extend(paths.run(size, part, np.random.default_rng(own)))
        if progress is not None:
            progress(len(found), wished)
        if len(found) == wished:
            wished = _more(np.array(found), wanted, most)
    return _result(np.array(found), paths.gaps, cost * len(found), seed)


def _more(log_runs: Array, wanted: float, most: int) -> int:
    """How many runs to have; as many as there are where their error is the wanted one. Their spread
    is an estimate itself: of a few runs it is often too small, so it is asked for again."""
    count = len(log_runs)
    share = (_relative_error(np.logaddexp.reduce(log_runs, axis=1)) / wanted) ** 2
    if share <= 1.0:
        return count
    return min(most, max(count + 1, math.ceil(count * _SPARE * min(share, 1e6))))


def _relative_error(total: Array) -> float:
    """Of the mean over runs, total (R,) their logarithms."""
    if not np.isfinite(total).any():
        return math.inf
    share = np.exp(total - total.max())
    return float(share.std(ddof=1) / (math.sqrt(len(share)) * share.mean()))


def _result(log_runs: Array, gaps: list[Gap], evaluations: int, seed: int) -> RareEvent:
    each = np.logaddexp.reduce(log_runs, axis=0) - math.log(len(log_runs))
    total = np.logaddexp.reduce(log_runs, axis=1)
    log_p = float(np.logaddexp.reduce(each))
    by_pair = {(g.i, g.j): float(p) for g, p in zip(gaps, each, strict=True)}
    tail = pareto_shape(total)
    error = math.inf if tail > _HEAVY else _relative_error(total)
    return RareEvent(log_p, total, error, evaluations, by_pair, seed, tail)
