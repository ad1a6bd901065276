"""Whole problems for the adversary to draw: mixtures, schedules and seeds that shrink well.

Everything is drawn as small integers and picks from short lists whose first item is the simplest,
so that Hypothesis shrinks a witness to few modes, few dimensions and round numbers.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mixdyn.geometry import pairwise_distances
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.checks import Array

from ..ledger.case import Case, Profile

Draw = Callable[..., Any]

MOST_MODES = 9
MOST_DIMENSIONS = 6
RATIOS = (100.0, 20.0, 10.0, 5.0, 3.0, 2.0, 1.0, 0.5, 50.0, 300.0, 1000.0)  # distance over sigma
SCALES = (1.0, 0.25, 4.0, 0.01, 100.0)
LENGTHS = (100, 50, 20, 10, 5, 3, 2, 1, 250, 1000)  # T


@dataclass(frozen=True)
class Problem:
    """A mixture, a schedule and a seed; `layout` names how the modes were placed."""

    mixture: GaussianMixture
    schedule: NoiseSchedule
    seed: int
    layout: str

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all that a check can depend on."""
        text = f"{self.mixture.digest}:{self.schedule.digest}:{self.seed}"
        return hashlib.sha256(text.encode()).hexdigest()

    def case(self, profile: Profile = Profile.QUICK) -> Case:
        """The case that `--mixture`, `--schedule` and `--seed` would build from this problem."""
        return Case("user", self.mixture, self.schedule, self.seed, profile, "found by --search")

    def words(self) -> str:
        """One line for a table."""
        m = self.mixture
        low, high = m.weights.min(), m.weights.max()
        weights = "equal weights" if high - low < 1e-12 else f"weights {low:.2g} to {high:.2g}"
        shape = f"{self.layout}, N = {m.N}, d = {m.d}"
        if m.N > 1:
            shortest = pairwise_distances(m.means)[np.triu_indices(m.N, k=1)].min()
            shape += f", shortest distance {shortest:.3g} = {shortest / m.sigmas.max():.3g} sigma"
        if not m.has_common_sigma:
            shape += ", sigma per mode"
        return f"{shape}, {weights}, T = {self.schedule.T}, seed {self.seed}"


@st.composite
def problems(draw: Draw, min_modes: int = 1, common_sigma: bool = False) -> Problem:
    """Problems with at least `min_modes` modes, all of one sigma if `common_sigma`."""
    name = draw(st.sampled_from([name for name in LAYOUTS if _fits(name, min_modes)]))
    means = LAYOUTS[name](draw, min_modes)
    weights = _weights(draw, means, name)
    sigma = _sigma(draw, means, common_sigma)
    scale = draw(st.sampled_from(SCALES))
    mixture = GaussianMixture(scale * means, scale * sigma, weights)
    return Problem(mixture, _schedule(draw), draw(st.integers(0, 7)), name)


# -- places of the modes -------------------------------------------------------------------------


def _fits(layout: str, min_modes: int) -> bool:
    return layout != "single mode" or min_modes <= 1


def _single(draw: Draw, least: int) -> Array:
    return np.zeros((1, draw(st.integers(1, MOST_DIMENSIONS))))


def _line(draw: Draw, least: int) -> Array:
    """Modes on the first axis, with gaps of 1 to 8."""
    gaps = draw(st.lists(st.integers(1, 8), min_size=max(least - 1, 1), max_size=MOST_MODES - 1))
    means = np.zeros((len(gaps) + 1, draw(st.integers(1, MOST_DIMENSIONS))))
    means[1:, 0] = np.cumsum(gaps)
    return means - means.mean(axis=0)


def _scattered(draw: Draw, least: int) -> Array:
    """Different points with coordinates -4..4."""
    d = draw(st.integers(2, MOST_DIMENSIONS))
    point = st.tuples(*[st.integers(-4, 4)] * d)
    points = draw(st.lists(point, min_size=max(least, 2), max_size=MOST_MODES, unique=True))
    return np.array(points, dtype=float)


def _grid(draw: Draw, least: int) -> Array:
    """A full product grid of two or three axes, two or three values each, with uneven gaps."""
    d = draw(st.integers(2, 3))
    gaps = st.lists(st.integers(1, 3), min_size=1, max_size=2 if d == 2 else 1)
    axes = [np.cumsum([0, *draw(gaps)]) for _ in range(d)]
    means = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    return means - means.mean(axis=0)


def _ring(draw: Draw, least: int) -> Array:
    """A regular polygon of radius 2."""
    angle = 2.0 * np.pi * np.arange(n := draw(st.integers(max(least, 3), 8))) / n
    return 2.0 * np.column_stack([np.cos(angle), np.sin(angle)])


def _parallelogram(draw: Draw, least: int) -> Array:
    """a, a + u, a + w, a + u + w in the plane: rectangles and sheared ones."""
    u = np.array([float(draw(st.integers(1, 4))), 0.0])
    w = np.array([float(draw(st.integers(0, 5))), float(draw(st.integers(1, 4)))])
    return np.array([0.0 * u, u, w, u + w]) - 0.5 * (u + w)


def _collision(draw: Draw, least: int) -> Array:
    """Scattered modes and one more next to the first, 0.1 to 1e-6 away."""
    means = _scattered(draw, max(least - 1, 2))
    near = means[0].copy()
    near[0] += 10.0 ** -draw(st.integers(1, 6))
    return np.vstack([means, near])


def _outlier(draw: Draw, least: int) -> Array:
    """Scattered modes and one more 10 to 1e4 away."""
    means = _scattered(draw, max(least - 1, 2))
    far = means[0].copy()
    far[0] += 10.0 ** draw(st.integers(1, 4))
    return np.vstack([means, far])


LAYOUTS: dict[str, Callable[[Draw, int], Array]] = {
    "single mode": _single,
    "line": _line,
    "scattered": _scattered,
    "grid": _grid,
    "ring": _ring,
    "parallelogram": _parallelogram,
    "near-collision": _collision,
    "outlier": _outlier,
}


# -- weights, sigma, schedule --------------------------------------------------------------------


def _weights(draw: Draw, means: Array, layout: str) -> Array:
    """Equal, one odd mode, or powers of ten down to 1e-12 each; on grids also of product form."""
    kinds = ("equal", "one odd", "powers", "product") if layout == "grid" else None
    kind = draw(st.sampled_from(kinds or ("equal", "one odd", "powers")))
    exponents = np.zeros(len(means))
    if kind == "one odd":
        exponents[draw(st.integers(0, len(means) - 1))] = draw(st.integers(-12, 3))
    elif kind == "powers":
        power = st.integers(0, 12)
        exponents = -np.array([draw(power) for _ in means], dtype=float)
    elif kind == "product":
        for j in range(means.shape[1]):
            values, place = np.unique(means[:, j], return_inverse=True)
            drawn = [0.25 * draw(st.integers(0, 8)) for _ in values]
            exponents -= np.array(drawn)[place.reshape(-1)]
    weights = 10.0**exponents
    return np.asarray(weights / weights.sum())


def _sigma(draw: Draw, means: Array, common: bool) -> float | Array:
    """The middle of the nearest-neighbour distances over a ratio; per mode up to 8 times it."""
    ratio = draw(st.sampled_from(RATIOS))
    if len(means) == 1:
        return 1.0 / ratio
    distances = pairwise_distances(means) + np.diag(np.full(len(means), np.inf))
    sigma = float(f"{np.median(distances.min(axis=1)) / ratio:.3g}")
    if common or not draw(st.booleans()):
        return sigma
    powers = [draw(st.integers(0, 3)) for _ in means]
    return sigma * 2.0 ** np.array(powers)


def _schedule(draw: Draw) -> NoiseSchedule:
    """Linear, cosine, constant or geometric betas; long and short, to noise or stopping before."""
    kind = draw(st.sampled_from(("papers", "linear", "cosine", "constant", "geometric")))
    if kind == "papers":
        return NoiseSchedule.linear()
    T = draw(st.sampled_from(LENGTHS))
    if kind == "cosine":
        return NoiseSchedule.cosine(T)
    total = draw(st.sampled_from((10.0, 4.0, 1.0, 0.1, 20.0, 60.0)))  # -log alpha_bar_T
    share = np.ones(T)
    if kind == "linear":
        share = np.linspace(0.01, 1.0, T)
    elif kind == "geometric":
        share = np.geomspace(1e-6, 1.0, T)
    betas = -np.expm1(-np.maximum(total * share / share.sum(), 1e-12))
    return NoiseSchedule.from_betas(np.minimum(betas, 0.999))
