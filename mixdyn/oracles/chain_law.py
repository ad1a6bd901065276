"""X11: the law of a sampler's chain with the exact score, coordinate by coordinate.

On a product grid the exact denoiser of a coordinate depends on that coordinate alone, and so does a
step of DDIM(eta): in static coordinates y = x/alpha, with rho = (1 - abar)/abar, q = rho_s/rho_t,

    y_s = f(y_t) + eta sqrt(rho_s (1 - q)) xi,
    f(y) = x0_hat + sqrt(q (1 - eta^2 (1 - q))) (y - x0_hat),  x0_hat = (sigma^2 y + rho_t m)/v_t.

The density is carried from node to node by quadrature, in logarithms. Points are equally spaced in
u(y) = y/std_t + f(y)/std_s + G sum_b asinh((y - y_b)/width_b), std_t the noise that made y_t and
std_s that of the step: no coarser than either noise asks for, and fine where f is steep, at the
separatrices y_b between the modes that dominate in turn. The sum is there where f is so much
steeper than its surroundings that the step between them would fall between two points: it grades
the points towards it. The trapezoid rule in u then converges faster than any power. After every
step the mass is counted again, points are made denser until it is kept, and what is still off is
counted as missing. The last noisy step is not put on points: its law is a mixture of normals. This
is the law of the discrete chain, not of the reverse process. Derived here; steps as in arXiv
2010.02502, eq. 12.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array, check_array, check_positive, describe
from mixdyn.support.errors import InputError, NotApplicableError

from .linear import grid_index, kept_share, noise_levels
from .normal import log_interval, log_sum
from .separable import Axis, axis_variances, product_grid

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

REACH = 16.0  # standard deviations kept of every noise; what is left out is counted, not ignored
_LOG_OUTSIDE = math.log(2.0) - 0.5 * REACH**2  # at least the mass of a normal beyond REACH
KEPT = 1e-9  # a step that changes the mass by more than this share of it is taken again, finer
_HALVINGS = 3  # of the spacing, at most
_STEEP = 4.0  # from this contrast of u' at a separatrix on the points are graded towards it
_GRADING = 2.0  # points per factor e of the distance to a separatrix, over those per unit of u


@dataclass(frozen=True, eq=False)
class AxisLaw:
    """The law of one coordinate's y at the last noisy time, a mixture of n normals.

    log_mass (n,), centers (n,), std: its parts. log_missing: log of at most what they leave out,
    with what the quadrature is known to have lost or made, beyond a share of 1e-9 a step.
    values, weights (m,), sigma2, rho: the axis and the noise level, for the exact denoiser.
    """

    log_mass: Array
    centers: Array
    std: float
    log_missing: float
    axis: Axis
    sigma2: float
    rho: float

    def log_probability(self, low: ArrayLike, high: ArrayLike) -> Array:
        """log P(low <= y <= high), elementwise, never too small: what is left out is added. Up to
        the share of 1e-9 a step to which the quadrature keeps the mass."""
        a, b = np.broadcast_arrays(np.asarray(low, float), np.asarray(high, float))
        limits = [(side[..., None] - self.centers) / self.std for side in (a, b)]
        inside = log_sum(self.log_mass + log_interval(*limits))
        return np.asarray(np.logaddexp(inside, self.log_missing))

    def x0_hat(self, y: ArrayLike) -> Array:
        """The exact denoiser at the last noisy time, increasing in y."""
        points = np.atleast_1d(np.asarray(y, float))
        return _denoise(self.axis, self.sigma2, self.rho, points)[0]

    def pull_back(self, x_0: ArrayLike) -> Array:
        """The y at which the denoiser takes the values x_0 (n,), by bisection."""
        target = np.atleast_1d(np.asarray(x_0, float))
        # |y - x0_hat| = rho |m - y|/v with m between the outermost values.
        reach = (np.abs(target).max() + self.axis.extent) * (2.0 + self.rho / self.sigma2)
        low, high = np.full(target.shape, -reach), np.full(target.shape, reach)
        while ((middle := 0.5 * (low + high)) > low).any() and (high > middle).any():
            below = self.x0_hat(middle) < target
            low, high = np.where(below, middle, low), np.where(below, high, middle)
            if (high - low <= 2.0 * np.spacing(np.abs(middle))).all():
                break
        return middle


def chain_law(
    mixture: GaussianMixture,
    alpha_bar: ArrayLike,
    times: ArrayLike,
    eta: ArrayLike,
    *,
    noise_var: ArrayLike | None = None,
    spacing: float = 0.5,
) -> list[AxisLaw]:
    """The law of DDIM(eta) with the exact score at the last noisy time, one entry per coordinate.

    alpha_bar (T + 1,) by time; times (S + 1,) decreasing to 0, S >= 2; eta > 0, a number or one per
    noisy step (S - 1,) (1 on every time is DDPM, 1 on the first z steps a hybrid); noise_var (T +
    1,) replaces 1 - alpha_bar. The chain starts from x ~ N(0, I). spacing: of the points in u, in
    standard deviations; halved, up to three times, at a step that does not keep the mass.

    Raises NotApplicableError unless the mixture has one sigma or one covariance along the axes and
    is a product grid with product weights, InputError for noise beyond eta^2 = 1/(1 - q) or none.
    """
    variances = axis_variances(mixture, "the law of the chain")
    axes = product_grid(mixture)
    if axes is None:
        raise NotApplicableError(
            "the law of the discrete chain needs a product grid with product weights",
            f"{mixture.N} modes in {mixture.d} dimensions that are none",
            "Measure its rates by sampling.",
        )
    abar = check_array(alpha_bar, "alpha_bar", ndim=1)
    nu = 1.0 - abar if noise_var is None else check_array(noise_var, "noise_var", ndim=1)
    index = grid_index(times, len(abar))
    rho = noise_levels(abar, nu)[index]
    strength = _strengths(eta, len(index) - 2)
    width = check_positive(spacing, "spacing")
    start_std = float(abar[index[0]]) ** -0.5
    known: list[AxisLaw] = []
    for axis, sigma2 in zip(axes, variances.tolist(), strict=True):
        same = [law for law in known if law.sigma2 == sigma2 and _equal(law.axis, axis)]
        known += same[:1] or [_axis_law(axis, sigma2, rho[:-1], strength, (start_std, width))]
    return known


def _equal(a: Axis, b: Axis) -> bool:
    return np.array_equal(a.values, b.values) and np.array_equal(a.weights, b.weights)


def _strengths(eta: ArrayLike, count: int) -> Array:
    values = np.broadcast_to(np.asarray(eta, float), (max(count, 1),)) if np.ndim(eta) == 0 else eta
    strength = check_array(values, "eta", ndim=1)
    if count < 1 or len(strength) != count or not (strength > 0.0).all():
        raise InputError(
            "the chain needs a noisy step, and eta > 0 at each",
            f"{count} noisy steps, eta {describe(eta)}",
            "Use a grid with at least one time between the first and 0, and injected noise.",
        )
    return strength


def _axis_law(
    axis: Axis, sigma2: float, rho: Array, strength: Array, how: tuple[float, float]
) -> AxisLaw:
    """how: standard deviation of the start, spacing of the points."""
    start_std, spacing = how
    law, log_missing = _Normals(np.zeros(1), np.zeros(1), start_std), -math.inf
    for (rho_t, rho_s), eta in zip(itertools.pairwise(rho), strength, strict=True):
        change = (rho_t - rho_s) / rho_t
        keep = math.sqrt((1.0 - change) * kept_share(float(eta), change))
        std = float(eta) * math.sqrt(rho_s * change)
        step = _Step(axis, sigma2, float(rho_t), keep, law.std, std)
        moved, log_mass, log_lost = _spread(law, step, spacing)
        kept = log_mass > log_mass.max() - 0.5 * REACH**2
        dropped = log_sum(np.append(log_mass[~kept], [_LOG_OUTSIDE, log_lost, log_missing]))
        law, log_missing = _Normals(log_mass[kept], moved[kept], std), float(dropped)
    return AxisLaw(law.log_mass, law.centers, law.std, log_missing, axis, sigma2, float(rho[-1]))


def _spread(law: _Normals, step: _Step, spacing: float) -> tuple[Array, Array, float]:
    """Where a step takes its points (n,), log of the mass on each, and log of what is off in their
    sum: -inf where the mass is kept, else after the finest spacing allowed."""
    before = float(np.exp(log_sum(law.log_mass)))
    for halving in range(_HALVINGS + 1):
        y, moved, weight = step.points(law.low, law.high, spacing * 0.5**halving)
        log_mass = law.log_at(y) + np.log(weight)
        off = abs(float(np.exp(log_sum(log_mass))) - before)
        if off <= KEPT * before:
            return moved, log_mass, -math.inf
    return moved, log_mass, math.log(off)


@dataclass(frozen=True, eq=False)
class _Normals:
    """A mixture of normals of one std; centers (n,) increase."""

    log_mass: Array
    centers: Array
    std: float

    @property
    def low(self) -> float:
        """Below it the density is left out."""
        return float(self.centers[0] - REACH * self.std)

    @property
    def high(self) -> float:
        """Above it the density is left out."""
        return float(self.centers[-1] + REACH * self.std)

    def log_at(self, y: Array) -> Array:
        """At y (n,), from the parts within REACH standard deviations."""
        first = np.searchsorted(self.centers, y - REACH * self.std)
        last = np.searchsorted(self.centers, y + REACH * self.std)
        part = first[:, None] + np.arange(max(int((last - first).max()), 1))
        inside = part < last[:, None]
        part = np.minimum(part, len(self.centers) - 1)
        offset = (y[:, None] - self.centers[part]) / self.std
        terms = np.where(inside, self.log_mass[part] - 0.5 * offset**2, -math.inf)
        return log_sum(terms) - math.log(self.std * math.sqrt(2.0 * math.pi))


def _denoise(axis: Axis, sigma2: float, rho: float, y: Array) -> tuple[Array, Array]:
    """x0_hat (n,) of one coordinate and its derivative Var(x_0 | y)/rho at y (n,)."""
    v = sigma2 + rho
    values = axis.values[:, None]
    exponent = np.log(axis.weights)[:, None] - 0.5 * (y - values) ** 2 / v
    gamma = np.exp(exponent - exponent.max(axis=0))
    gamma /= gamma.sum(axis=0)
    mean = (gamma * values).sum(axis=0)
    variance = (gamma * (values - mean) ** 2).sum(axis=0)
    return (sigma2 * y + rho * mean) / v, (sigma2 + rho * variance / v) / v


@dataclass(frozen=True)
class _Step:
    """One noisy step of one coordinate from noise level rho, where the noise before left std_t."""

    axis: Axis
    sigma2: float
    rho: float
    keep: float
    std_t: float
    std_s: float

    def move(self, y: Array) -> tuple[Array, Array]:
        """f(y) and f'(y)."""
        x0_hat, slope = _denoise(self.axis, self.sigma2, self.rho, y)
        return x0_hat + self.keep * (y - x0_hat), slope + self.keep * (1.0 - slope)

    @functools.cached_property
    def separatrices(self) -> tuple[Array, Array]:
        """Places (k, 1) and widths (k, 1) of those at which u' rises steeply.

        Where one mode's share of the posterior gives way to that of another, of log weight + (y
        value - value^2/2)/v the largest changes: the corners of the upper envelope of lines.
        """
        v = self.sigma2 + self.rho
        values, log_w = self.axis.values, np.log(self.axis.weights)

        def corner(a: int, b: int) -> float:
            gap = values[b] - values[a]
            return float(0.5 * (values[a] + values[b]) + v * (log_w[a] - log_w[b]) / gap)

        hull: list[int] = []
        for k in range(len(values)):
            while len(hull) > 1 and corner(hull[-1], k) <= corner(hull[-2], hull[-1]):
                hull.pop()
            hull.append(k)
        pairs = np.array(list(itertools.pairwise(hull)), dtype=int).reshape(-1, 2)
        gap = values[pairs[:, 1]] - values[pairs[:, 0]]
        plain = 1.0 / self.std_t + (self.keep + (1.0 - self.keep) * self.sigma2 / v) / self.std_s
        rise = (1.0 - self.keep) * self.rho * (0.5 * gap / v) ** 2 / self.std_s
        steep = pairs[rise > (_STEEP - 1.0) * plain]
        at = np.array([corner(a, b) for a, b in steep.tolist()]).reshape(-1, 1)
        return at, v / (values[steep[:, 1]] - values[steep[:, 0]])[:, None]

    def place(self, y: Array) -> tuple[Array, Array, Array]:
        """u(y), u'(y) and f(y)."""
        f, slope = self.move(y)
        at, width = self.separatrices
        distance = (y - at) / width
        graded = _GRADING * np.arcsinh(distance).sum(axis=0)
        density = _GRADING * (1.0 / (width * np.hypot(1.0, distance))).sum(axis=0)
        u = y / self.std_t + f / self.std_s + graded
        return u, 1.0 / self.std_t + slope / self.std_s + density, f

    def points(self, low: float, high: float, spacing: float) -> tuple[Array, Array, Array]:
        """Points y (n,) of [low, high], equally spaced in u, where they move, and their weights."""
        table = np.linspace(low, high, 2 + int((high - low) / (spacing * self.std_t)))
        u = self.place(table)[0]
        while (wide := np.diff(u) > 4.0 * spacing).any():
            middle = (0.5 * (table[:-1] + table[1:]))[wide]
            at = np.flatnonzero(wide) + 1
            table, u = np.insert(table, at, middle), np.insert(u, at, self.place(middle)[0])
        target = np.arange(math.ceil(u[0] / spacing), math.floor(u[-1] / spacing) + 1) * spacing
        k = np.clip(np.searchsorted(u, target) - 1, 0, len(u) - 2)
        y, slope, moved = self._solve(target, np.interp(target, u, table), (table[k], table[k + 1]))
        return y, moved, spacing / slope

    def _solve(
        self, target: Array, y: Array, bracket: tuple[Array, Array]
    ) -> tuple[Array, Array, Array]:
        """u(y) = target by Newton's method from a guess, bisecting where it would leave the
        bracket; u' and f there."""
        low, high = bracket
        tolerance = 1e-10 + 8.0 * np.finfo(float).eps * float(np.abs(target).max())
        for _ in range(100):
            value, slope, moved = self.place(y)
            gap = value - target
            if np.abs(gap).max() < tolerance:
                break
            low, high = np.where(gap < 0, y, low), np.where(gap > 0, y, high)
            trial = y - gap / slope
            y = np.where((trial >= low) & (trial <= high), trial, 0.5 * (low + high))
        return y, slope, moved


def log_gap_probability(laws: Sequence[AxisLaw], radius: float | Array) -> float:
    """log of at most the sum over coordinates of P(x0_hat lies in a gap) at the last noisy time.

    A gap is what lies between two neighbouring values of an axis, farther than radius > 0 (one, or
    one for each law) from both. Never below the log of the probability that some coordinate does;
    -inf without gaps.
    """
    sizes = [check_positive(each, "radius") for each in np.atleast_1d(radius).tolist()]
    found = [-math.inf]
    for law, size in zip(laws, sizes * len(laws) if len(sizes) == 1 else sizes, strict=True):
        values = law.axis.values
        wide = np.diff(values) > 2.0 * size
        low, high = (values[:-1] + size)[wide], (values[1:] - size)[wide]
        if wide.any():
            found.extend(law.log_probability(law.pull_back(low), law.pull_back(high)))
    return float(log_sum(np.array(found)))


def log_away_probability(laws: Sequence[AxisLaw], distance: float) -> float:
    """log of at most the sum over coordinates of P(y is farther than `distance` > 0 from every
    value of the axis) at the last noisy time."""
    size = check_positive(distance, "distance")
    found = [-math.inf]
    for law in laws:
        low = np.append(law.centers[0] - REACH * law.std, law.axis.values + size)
        high = np.append(law.axis.values - size, law.centers[-1] + REACH * law.std)
        wide = low < high
        found.extend(law.log_probability(low[wide], high[wide]))
    return float(log_sum(np.array(found)))


def log_middle_probability(laws: Sequence[AxisLaw], share: float = 0.3) -> float:
    """log of at most the sum over coordinates of P(y lies in the middle `share` between two
    neighbouring values) at the last noisy time; share in (0, 1). -inf for one value an axis."""
    part = check_positive(share, "share")
    if part >= 1.0:
        raise InputError("share must be below 1", part, "0.3 is the middle 30 %.")
    found = [-math.inf]
    for law in laws:
        middle, gap = 0.5 * (law.axis.values[:-1] + law.axis.values[1:]), np.diff(law.axis.values)
        if gap.size:
            half = 0.5 * part * gap
            found.extend(law.log_probability(middle - half, middle + half))
    return float(log_sum(np.array(found)))
