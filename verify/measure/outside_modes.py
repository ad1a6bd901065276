"""Where a sampler's output lies outside every mode.

In one dimension DDIM and the flow are increasing maps from start to end, so the starts that end in
an interval form one. Bisection finds its ends for DDIM, the closed-form flow (O2) by running
backwards. Between two starts whose ends are near one mode none need be run to be counted as there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mixdyn import geometry, oracles
from mixdyn.geometry.pairs import Mask
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.noise import Stream, standard_normals
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.observers import ClassCounts
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM
from mixdyn.support.checks import Array, IntArray

from ..ledger.case import Case

FARTHEST = 10.0  # starts beyond it have probability 1e-23
_BISECTIONS = 56
_BATCH = 2048
CELLS = 64  # of squared distances up to r^2
_KNOTS = 1 << 16  # starts between which those of samples lie
_KNOWN = 7.0  # up to which they reach; a standard normal is beyond with probability 3e-12
_ROUNDING = 1e-6  # of the radius: far above what two routes of an end differ by
_DRAWN = 1 << 18  # samples at a time
NO_PRODUCT = "The mixture is no product of one-dimensional ones, so only counts remain."


def radius_factor(mixture: GaussianMixture) -> float:
    """Radius of a mode over its sigma, the same for every mode."""
    if mixture.covariance is not None:
        return geometry.radius_in_stds(mixture.d)
    return float((geometry.mode_radius(mixture) / mixture.sigmas)[0])


def tail_mass(mixture: GaussianMixture) -> float:
    """Q = P(chi^2_d > r^2/sigma^2): what a mode has outside its own radius."""
    from scipy.special import gammaincc

    return float(gammaincc(0.5 * mixture.d, 0.5 * radius_factor(mixture) ** 2))


def closest_pair(mixture: GaussianMixture) -> tuple[int, int]:
    """The first of the pairs at the least distance, N >= 2."""
    i, j = np.triu_indices(mixture.N, k=1)
    at = int(geometry.pairwise_distances(mixture.means)[i, j].argmin())
    return int(i[at]), int(j[at])


def resolution(case: Case) -> float:
    """l^2 of the closest pair over 8 v_1 log(1/Q), v_1 that of its wider mode: resolved from 1 on.
    Of modes that are not isotropic l^2/v_1 is the smaller squared Mahalanobis length of the two.

    e^(-l^2/(8 v_1)) bounds the overlap of two modes at the last noise level, which is about what
    the last step leaves between them.
    """
    i, j = closest_pair(case.mixture)
    if case.mixture.covariance is not None:
        last = case.mixture.at_level(1.0, 1.0, float(case.schedule.rho[1]))
        length2 = float(last.squared_distances(last.means[[i]])[0, j])
        length2 = min(length2, float(last.squared_distances(last.means[[j]])[0, i]))
        return length2 / (8.0 * -math.log(tail_mass(case.mixture)))
    length2 = float(np.square(case.mixture.means[i] - case.mixture.means[j]).sum())
    v = float(case.mixture.sigmas[[i, j]].max()) ** 2 + float(case.schedule.rho[1])
    return length2 / (8.0 * v * -math.log(tail_mass(case.mixture)))


def show_resolution(case: Case) -> dict[str, float]:
    """The `resolution` as a number of a row."""
    return {"l²/v_1 of the closest pair over the 8 log(1/Q) that resolves it": resolution(case)}


def half_way(mixture: GaussianMixture) -> float:
    """The sigma at which the radius of a mode is half the distance of the closest pair."""
    i, j = closest_pair(mixture)
    length = float(np.linalg.norm(mixture.means[i] - mixture.means[j]))
    return 0.5 * length / radius_factor(mixture)


# -- one dimension -------------------------------------------------------------------------------


def ddim_starts(
    line: GaussianMixture, schedule: NoiseSchedule, ends: Array, grid: TimeGrid
) -> tuple[Array, Array]:
    """Brackets (low, high) of the starts that DDIM takes to given ends, any shape.

    Its map is increasing: its slope is that of the posterior mean, which is >= 0. Starts beyond
    FARTHEST plus the largest mean there are cut off.
    """
    first = int(grid.times[0])
    farthest = FARTHEST + float(schedule.alpha[first] * np.abs(line.means).max())
    low, high = np.full(ends.size, -farthest), np.full(ends.size, farthest)
    # Several places in each bracket at once: of a small run most of the time is its setting up.
    places = int(np.clip(_BATCH // ends.size, 1, 15))
    share = np.arange(1, places + 1) / (places + 1)
    for _ in range(math.ceil(_BISECTIONS * math.log(2.0) / math.log(places + 1))):
        x = low[:, None] + (high - low)[:, None] * share
        out = sample(line, schedule, DDIM(spacing=grid), x=x.reshape(-1, 1), rng=0).x
        below = (np.asarray(out).reshape(x.shape) < ends.ravel()[:, None]).sum(axis=1)[:, None]
        knots = np.column_stack([low, x, high])
        low, high = (np.take_along_axis(knots, below + k, axis=1)[:, 0] for k in (0, 1))
    return low.reshape(ends.shape), high.reshape(ends.shape)


def normal_mass(low: Array, high: Array) -> Array:
    """P(low < z < high) of a standard normal z, 0 where low >= high."""
    from scipy.special import ndtr

    # Of two equal values, the difference on the side where both are small keeps its digits.
    share = np.where(low > 0.0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    return np.asarray(np.maximum(share, 0.0))


@dataclass(frozen=True)
class Line:
    """A 1-D mixture, its values in increasing order, and what lies outside `radius` of each.

    low, high (n + 1,): the regions below the first value, between two neighbours, and above the
    last; empty where low >= high.
    """

    mixture: GaussianMixture
    radius: float

    @property
    def low(self) -> Array:
        """Where each region begins."""
        return np.concatenate([[-np.inf], self._values + self.radius])

    @property
    def high(self) -> Array:
        """Where each region ends."""
        return np.concatenate([self._values - self.radius, [np.inf]])

    @property
    def _values(self) -> Array:
        return np.sort(self.mixture.means[:, 0])

    def _inner_ends(self) -> Array:
        return np.concatenate([self.low[1:], self.high[:-1]])

    def _between(self, starts: Array) -> tuple[Array, Array]:
        """The first and the last start of each region, from those that end at its inner ends."""
        after, before = np.split(starts, 2)
        return np.concatenate([[-np.inf], after]), np.concatenate([before, [np.inf]])

    def after_ddim(self, schedule: NoiseSchedule) -> Array:
        """Probability of each region after DDIM over every time of a schedule, (n + 1,)."""
        grid = TimeGrid.full(schedule.T)
        low, high = ddim_starts(self.mixture, schedule, self._inner_ends(), grid)
        return normal_mass(*self._between(0.5 * (low + high)))

    def after_flow(self, schedule: NoiseSchedule) -> Array:
        """The same after the flow from the schedule's last time, in closed form."""
        clean = float(self.mixture.sigma) ** 2
        v = clean + float(schedule.rho[-1])
        y = oracles.flow_map(self.mixture, self._inner_ends()[:, None], clean, v)[:, 0]
        return normal_mass(*self._between(float(schedule.alpha[-1]) * y))

    def after_last_step(self, schedule: NoiseSchedule) -> Array:
        """The same after the last step alone, from the marginal at time 1."""
        grid = TimeGrid([1, 0], schedule.T)
        low, high = ddim_starts(self.mixture, schedule, self._inner_ends(), grid)
        first, last = self._between(0.5 * (low + high))
        law = self.mixture.diffused(
            float(schedule.alpha_bar[1]), noise_var=float(schedule.noise_var[1])
        )
        std, means = float(law.sigma), law.means[:, 0, None]
        return np.asarray(law.weights @ normal_mass((first - means) / std, (last - means) / std))


# -- product mixtures ----------------------------------------------------------------------------


def after_ddim(case: Case, model: GaussianMixture, grid: TimeGrid) -> tuple[float, float]:
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


class DecidedEnds:
    """Counts among DDIM's samples on a product mixture, of which few are run.

    Every coordinate's end is an increasing function of its start alone, so the ends of two starts
    bracket those of all between them. Samples whose brackets lie inside the radius of a mode are
    counted as there, all others are run; the counts are those of running them all.
    """

    def __init__(self, case: Case, model: GaussianMixture, grid: TimeGrid) -> None:
        self.case, self.model, self.grid = case, model, grid
        self.room = float(geometry.mode_radius(case.mixture)[0]) ** 2
        self.knots = np.linspace(-_KNOWN, _KNOWN, _KNOTS + 1)
        known: dict[bytes, Array] = {}  # axes often repeat
        self.most = []
        for values, weights in case.mixture.product_axes() or []:
            key = values.tobytes() + weights.tobytes()
            if key not in known:
                known[key] = self._distances(GaussianMixture(values[:, None], model.sigma, weights))
            self.most.append(known[key])

    @property
    def share(self) -> float:
        """Of the samples, how many at most are run, each axis having its part of r^2."""
        mass = normal_mass(self.knots[:-1], self.knots[1:])
        part = self.room / len(self.most)
        open_ = sum(float(mass[most[1:-1] > part].sum()) for most in self.most)
        return min(1.0, open_ + math.erfc(_KNOWN / math.sqrt(2.0)) * len(self.most))

    def counts(self, n: int, seed: int, first: int = 0) -> tuple[int, int]:
        """Interpolations and invalid samples among n, from index `first` of the seed on."""
        found = np.zeros(len(geometry.Region), np.int64)
        t, d = int(self.grid.times[0]), self.case.mixture.d
        for begin in range(first, first + n, _DRAWN):
            size = min(_DRAWN, first + n - begin)
            x = standard_normals(seed, size, d, t, stream=Stream.START, first=begin)
            x *= self.case.schedule.scale[t]  # 1 where the schedule preserves variance
            rows = self._open(x)
            if rows.any():
                found += self._run(x[rows])
        return int(found[geometry.Region.INTERPOLATION]), int(found[geometry.Region.INVALID])

    def _distances(self, line: GaussianMixture) -> Array:
        """Squared distance at most of the ends from one value, of the starts below the knots,
        between each two of them, and above: (knots + 1,)."""
        sampler = DDIM(spacing=self.grid)
        x = self.knots[:, None] * self.case.schedule.scale[self.grid.times[0]]
        ends = np.asarray(sample(line, self.case.schedule, sampler, x=x, rng=0).x)[:, 0]
        values = np.sort(line.means[:, 0])
        middle = 0.5 * (values[1:] + values[:-1])
        value = values[np.searchsorted(middle, 0.5 * (ends[:-1] + ends[1:]))]
        far = np.maximum(np.abs(ends[:-1] - value), np.abs(ends[1:] - value))
        rounding = _ROUNDING * math.sqrt(self.room)
        # Ends that do not increase bracket nothing: then all are run.
        far += np.inf if (np.diff(ends) < -rounding).any() else rounding
        return np.concatenate([[np.inf], np.square(far), [np.inf]])

    def _open(self, x: Array) -> Mask:
        """Whether each start's brackets leave open that it ends at a mode, (n,)."""
        scale = float(self.case.schedule.scale[self.grid.times[0]])
        total = np.zeros(len(x))
        for k, most in enumerate(self.most):
            place = (x[:, k] / scale + _KNOWN) * (_KNOTS / (2.0 * _KNOWN))
            total += most[1 + np.clip(np.floor(place), -1, _KNOTS).astype(np.int64)]
        return np.asarray(total > self.room)

    def _run(self, x: Array) -> IntArray:
        return sample(
            self.model,
            self.case.schedule,
            DDIM(spacing=self.grid),
            x=x,
            rng=0,
            observers=[ClassCounts(self.case.mixture)],
            keep="none",
        ).observations[0]


def lines(mixture: GaussianMixture) -> list[GaussianMixture]:
    """The different 1-D factors, of two or more values, of a product mixture; none for others."""
    found: dict[bytes, GaussianMixture] = {}  # axes often repeat
    for values, weights in mixture.product_axes() or []:
        if len(values) > 1:
            key = values.tobytes() + weights.tobytes()
            found[key] = GaussianMixture(values[:, None], float(mixture.sigma), weights)
    return list(found.values())


def even_schedule(sigma: float, rho: float, steps: int) -> NoiseSchedule:
    """From noise level rho to clean data in steps of equal ratio of v = sigma^2 + rho.

    They resolve every scale down to sigma, the last step too.
    """
    ratio = math.log1p(rho / sigma**2) / steps
    levels = sigma**2 * np.expm1(ratio * np.arange(steps + 1))
    log_alpha_bar = -np.log1p(levels)
    return NoiseSchedule.from_betas(-np.expm1(np.diff(log_alpha_bar)))
