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

from .. import kernels
from ..geometry.gaps import Between, Gap, in_gap
from ..geometry.pairs import Mask, Pair, pair, squared_distances, two_nearest
from ..problem.checks import check_common_sigma, check_mixture, check_schedule
from ..problem.noise import Seed, resolve_seed
from ..score import ExactScore
from ..support.checks import Array, IntArray, check_array, check_integer, check_positive, describe
from ..support.errors import InputError, NotApplicableError
from ..support.statistics import DISPLAY_MISS, pareto_shape, systematic
from .path_cost import noisy_steps
from .rare_tables import REACH, Clock, GapTables, Line

if TYPE_CHECKING:
    from ..problem.mixture import GaussianMixture
    from ..problem.schedule import NoiseSchedule
    from ..samplers import Sampler

_ALONE = 8.0  # l^2/v from which on the two modes of a pair decide
_ALONE_AT_LAST = 80.0  # and from which on they are taken to, whatever third mode is near
_MARGIN = 3.0  # by which they dominate a third mode there, at the midpoint
_FIRST_RUNS = 24  # of which the spread tells how many more are needed
_SPARE = 1.3  # times as many, since that spread is an estimate itself
_HEAVY = 0.7  # exponent of the runs' tail from which on their spread is no error of their mean
_TOGETHER = 4_000_000  # doubles of the runs that go side by side
_KEPT = 0.5  # effective share of particles below which they are drawn anew


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
    chain = _Chain.of(mixture, check_schedule(schedule), sampler, start, sigma2)
    given = None if x is None else check_array(x, "x", ndim=1) / chain.alpha[0]
    if given is not None and given.shape != (mixture.d,):
        raise InputError(f"x must have shape ({mixture.d},)", given.shape, "Pass one state.")
    where = Between() if event is None else event
    if not isinstance(where, Between):
        raise InputError("an event is a geometry.Between", describe(where), "Name the gaps by one.")
    paths = _Paths(chain, where.gaps(mixture), given)
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


@dataclasses.dataclass(frozen=True, eq=False)
class _Chain:
    """A plan's steps on the exact score, in static coordinates."""

    model: ExactScore
    clock: Clock
    times: IntArray
    alpha: Array
    start_std: float

    @classmethod
    def of(
        cls,
        mixture: GaussianMixture,
        schedule: NoiseSchedule,
        sampler: Sampler,
        start: int | None,
        sigma2: float,
    ) -> _Chain:
        planned = None if isinstance(sampler, type) else getattr(sampler, "plan", None)
        if planned is None:
            raise NotApplicableError(
                "rare events are those of a sampler with a plan of steps",
                describe(sampler),
                "Use DDPM, DDIM with eta > 0 or Hybrid; count others by sampling.",
            )
        plan = planned(schedule, sampler.grid(schedule, start))
        if plan.blind:
            raise InputError(
                "rare events need signal at the first time",
                f"alpha = 0 at t = {plan.t[0]}",
                "Use schedule.with_signal().",
            )
        if noisy_steps(plan) == 0:
            raise NotApplicableError(
                "without noise no step can be tilted",
                f"a first step without noise, {plan.t[0]} -> {plan.s[0]}",
                "Count a deterministic sampler's ends by sampling.",
            )
        times = plan.grid.times
        alpha = schedule.alpha[times]
        std = float(schedule.scale[times[0]] / alpha[0])
        return cls(ExactScore(mixture, schedule), Clock.of(plan, sigma2), times, alpha, std)

    def mean(self, y: Array, k: int) -> Array:
        """Where step k takes y (n, d) before its noise."""
        x0_hat = self.model.x0(self.alpha[k] * y, int(self.times[k]))
        plan = self.clock.plan
        keep = float(plan.keep[k] * self.alpha[k] / self.alpha[k + 1])
        return np.asarray(x0_hat + keep * (y - x0_hat))

    def end(self, y: Array) -> Array:
        """Where the steps without noise take y (n, d)."""
        for k in range(self.clock.steps, len(self.times) - 1):
            y = self.mean(y, k)
        return y


class _Paths:
    """Runs of particles towards the gaps."""

    def __init__(self, chain: _Chain, gaps: list[Gap], given: Array | None) -> None:
        self.chain, self.given = chain, given
        mixture = chain.model.mixture
        frames, lines = _framed(mixture, gaps)
        self.gaps = gaps
        shapes = sorted(set(lines), key=lambda line: -line.v_first)
        self.shape = np.array([shapes.index(line) for line in lines])
        self.tables = GapTables(chain.clock, shapes)
        self.modes = np.array([(frame.i, frame.j) for frame in frames])
        self.middle = np.array([frame.midpoint for frame in frames])
        self.direction = np.array([frame.direction for frame in frames])
        self.spread = np.array([gap.half**2 / 3.0 for gap in self.gaps])
        chance = np.array([self.tables.log_chance(k) for k in range(len(shapes))])[self.shape]
        chance += np.log(mixture.weights[self.modes].sum(axis=1))
        share = np.exp(chance - chance.max())
        # A hundredth of the particles is shared evenly, whatever the tables say.
        self.share = 0.99 * share / share.sum() + 0.01 / len(share)
        # What makes a potential of mean `share`, so that no pair is drawn away by another whose
        # tables begin later.
        self.level = np.log(self.share)
        self.level_of_tables = self.level - chance

    def run(self, n: int, runs: int, rng: np.random.Generator) -> Array:
        """Log of unbiased estimates of each pair's probability, (runs, pairs), n particles each."""
        total, d = n * runs, self.chain.model.d
        pairs = rng.choice(len(self.share), total, p=self.share)
        fresh = self.chain.start_std * rng.standard_normal((total, d))
        y = fresh if self.given is None else np.tile(self.given, (total, 1))
        state = _State(self, pairs, y, -np.log(self.share[pairs]))
        state.enter(0)
        for k in range(self.chain.clock.steps):
            state.thin(runs, rng)
            state.step(k, rng)
        log_w = np.where(state.hits(), state.log_w - state.potential, -np.inf)
        each = np.full((runs, len(self.share)), -np.inf)
        np.logaddexp.at(each, (np.repeat(np.arange(runs), n), state.pairs), log_w)
        return each - math.log(n)


class _State:
    """The particles of runs, one behind another: y (n, d), their pairs, and log weights, of which
    the potential is a part."""

    def __init__(self, paths: _Paths, pairs: IntArray, y: Array, log_w: Array) -> None:
        self.paths, self.pairs, self.y, self.log_w = paths, pairs, y, log_w
        self.potential = np.zeros(len(y))
        self.tilted = np.zeros(len(y), bool)

    def enter(self, k: int) -> None:
        """Put the potentials at node k, of those not tilted before, into the weights: of pairs that
        are alone from here on the tables', of others the reversed diffusion's."""
        late = self.paths.shape[self.pairs] < self.paths.tables.counts[k]
        fresh, early = late & ~self.tilted, ~late
        new = self.potential.copy()
        if early.any():
            new[early] = self._diffusion(k, early)
        if fresh.any():
            new[fresh] = self._from_table(k, fresh)
        self.log_w += new - self.potential
        self.potential, self.tilted = new, late

    def step(self, k: int, rng: np.random.Generator) -> None:
        """Step k, and the potentials at its end."""
        chain, paths = self.paths.chain, self.paths
        mean, std = chain.mean(self.y, k), float(chain.clock.std[k])
        noise = rng.standard_normal(self.y.shape)
        uniform = rng.random(len(self.y))
        late, self.y = self.tilted, mean + std * noise
        if late.any():
            n_, shape = paths.direction[self.pairs[late]], paths.shape[self.pairs[late]]
            at = np.einsum("nd,nd->n", mean[late] - paths.middle[self.pairs[late]], n_)
            along = np.einsum("nd,nd->n", noise[late], n_)
            tables = paths.tables.of(k + 1)
            drawn = kernels.tilted(at, shape, tables, std, REACH, uniform[late], along)
            self.y[late] += (drawn[:, 0] - at - std * along)[:, None] * n_
            new = drawn[:, 1] + self._beside_table(k + 1, late)
            # log of (chain's density)/(drawn density) is drawn[:, 2] - log psi.
            self.log_w[late] += drawn[:, 2] - drawn[:, 1] + new - self.potential[late]
            self.potential[late] = new
        self.enter(k + 1)

    def thin(self, runs: int, rng: np.random.Generator) -> None:
        """In each run draw particles anew by their weights where few of them carry all of it."""
        log_w = self.log_w.reshape(runs, -1)
        n, top = log_w.shape[1], log_w.max(axis=1)
        share = np.exp(log_w - top[:, None])
        total = share.sum(axis=1)
        few = np.flatnonzero(total**2 <= _KEPT * n * np.square(share).sum(axis=1))
        if few.size == 0:
            return
        rows = np.arange(runs * n).reshape(runs, n)
        for run in few:
            rows[run] = run * n + systematic(share[run], n, rng)
            log_w[run] = top[run] + math.log(total[run] / n)
        flat = rows.ravel()
        self.y, self.pairs, self.potential = self.y[flat], self.pairs[flat], self.potential[flat]
        self.tilted = self.tilted[flat]

    def hits(self) -> Mask:
        """Whether each particle ends in its own pair's gap, its two modes the nearest, (n,)."""
        mixture = self.paths.chain.model.mixture
        end = self.paths.chain.end(self.y)
        first, second, _, _ = two_nearest(mixture.means, end)
        low, high = np.minimum(first, second), np.maximum(first, second)
        hit = np.zeros(len(end), bool)
        for k in np.unique(self.pairs):
            gap = self.paths.gaps[k]
            rows = np.flatnonzero((self.pairs == k) & (low == gap.i) & (high == gap.j))
            if rows.size:
                hit[rows] = in_gap(mixture, gap, end[rows])
        return hit

    def _from_table(self, k: int, rows: Mask) -> Array:
        paths, pairs = self.paths, self.pairs[rows]
        offset = self.y[rows] - paths.middle[pairs]
        at = np.einsum("nd,nd->n", offset, paths.direction[pairs])
        log_psi = kernels.tabulated(at, paths.shape[pairs], paths.tables.of(k))
        return np.asarray(log_psi + self._beside_table(k, rows))

    def _beside_table(self, k: int, rows: Mask) -> Array:
        """What a pair's potential has besides psi: the two modes' share of the posterior, and its
        level."""
        chain, pairs = self.paths.chain, self.pairs[rows]
        t, alpha = int(chain.times[k]), float(chain.alpha[k])
        gamma = chain.model.responsibilities(alpha * self.y[rows], t)
        own = np.take_along_axis(gamma, self.paths.modes[pairs], axis=1).sum(axis=1)
        return np.asarray(np.log(np.maximum(own, 1e-12)) + self.paths.level_of_tables[pairs])

    def _diffusion(self, k: int, rows: Mask) -> Array:
        """Log of the reversed diffusion's density of ending about the gap's middle over that of
        ending anywhere: by Bayes N(y; middle, rho + spread) over the marginal."""
        paths, pairs = self.paths, self.pairs[rows]
        y, rho = self.y[rows], float(paths.chain.clock.rho[k])
        var = rho + paths.spread[pairs]
        square = np.square(y - paths.middle[pairs]).sum(axis=1)
        gauss = -0.5 * (square / var + y.shape[1] * np.log(2.0 * math.pi * var))
        t, alpha = int(paths.chain.times[k]), float(paths.chain.alpha[k])
        log_p = paths.chain.model.log_density(alpha * y, t) + y.shape[1] * math.log(alpha)
        return np.asarray(gauss - log_p + paths.level[pairs])


def _framed(mixture: GaussianMixture, gaps: list[Gap]) -> tuple[list[Pair], list[Line]]:
    """The pairs' frames, the heavier mode in front, and the lines of two modes that they are."""
    frames, lines = [], []
    for gap in gaps:
        heavier = mixture.weights[gap.i] >= mixture.weights[gap.j]
        i, j = (gap.i, gap.j) if heavier else (gap.j, gap.i)
        frame = pair(mixture, i, j)
        ratio = math.log(mixture.weights[i] / mixture.weights[j])
        v_first = min(frame.length**2 / _ALONE, _third_away(mixture, frame, ratio))
        v_first = max(v_first, frame.length**2 / _ALONE_AT_LAST)
        shape = [float(f"{value:.9g}") for value in (frame.length, ratio, gap.half, v_first)]
        frames.append(frame)
        lines.append(Line(*shape))
    return frames, lines


def _third_away(mixture: GaussianMixture, frame: Pair, log_ratio: float) -> float:
    """The variance up to which a pair (i, j), i the heavier one, dominates every third mode k where
    the two are as likely, at midpoint - (v log_ratio/l) n: there the exponents of j and k differ by
    away_k/(2 v) - log(w_k/w_j) - log_ratio <mu_j - mu_k, n>/l, away_k at the midpoint."""
    i, j = frame.i, frame.j
    away = squared_distances(frame.midpoint[None], mixture.means)[0] - 0.25 * frame.length**2
    beyond = (mixture.means[j] - mixture.means) @ frame.direction / frame.length
    needed = _MARGIN + np.log(mixture.weights / mixture.weights[j]) + log_ratio * beyond
    limit = away / (2.0 * np.maximum(needed, _MARGIN))
    return float(np.delete(limit, [i, j]).min(initial=math.inf))
