"""The paths of `rare_event`: particles of a chain, driven towards gaps and weighed for it."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from .. import kernels
from ..geometry.gaps import Gap, in_gap
from ..geometry.pairs import Mask, Pair, pair, squared_distances, two_nearest
from ..score import ExactScore
from ..support.checks import Array, IntArray, describe
from ..support.errors import InputError, NotApplicableError
from ..support.statistics import systematic
from .path_cost import noisy_steps
from .rare_tables import REACH, Clock, GapTables, Line

if TYPE_CHECKING:
    from ..problem.mixture import GaussianMixture
    from ..problem.schedule import NoiseSchedule
    from ..samplers import Sampler

_ALONE = 8.0  # l^2/v from which on the two modes of a pair decide
_ALONE_AT_LAST = 80.0  # and from which on they are taken to, whatever third mode is near
_MARGIN = 3.0  # by which they dominate a third mode there, at the midpoint
_KEPT = 0.5  # effective share of particles below which they are drawn anew


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
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
    ) -> Chain:
        """The chain of a sampler from time `start`. Raises NotApplicableError where none can be
        tilted, InputError without signal at its first time."""
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


class Paths:
    """Runs of particles towards the gaps."""

    def __init__(self, chain: Chain, gaps: list[Gap], given: Array | None) -> None:
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

    def __init__(self, paths: Paths, pairs: IntArray, y: Array, log_w: Array) -> None:
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
