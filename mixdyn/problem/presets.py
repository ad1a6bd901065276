"""The mixtures of the papers, and the shapes people ask for first."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
from numpy.typing import ArrayLike

from ..support.checks import LARGEST, Array, check_integer, check_positive, check_real, describe
from ..support.errors import InputError, MemoryLimitError, printable
from .mixture import GaussianMixture

# Numbers in the means of a preset, and in the lattice points that farthest_point draws: a slip such
# as n = 1e10 is refused before the memory is asked for.
MAX_SIZE = 20_000_000
_FEWEST = 2_000  # lattice points drawn in many dimensions


def _check_size(n: int, d: int, what: str = "modes") -> None:
    if n * d > MAX_SIZE:
        raise MemoryLimitError(
            f"a preset holds at most {MAX_SIZE} numbers",
            f"{printable(n)} {what} in {printable(d)} dimensions",
            "Take fewer modes or dimensions.",
        )


def _within(value: float, name: str) -> float:
    """A number whose multiples and squares stay doubles."""
    number = check_real(value, name)
    if abs(number) > LARGEST:
        raise InputError(f"{name} must be at most {LARGEST:g} in size", number, "Take other units.")
    return number


def _length(value: float, name: str) -> float:
    return _within(check_positive(value, name), name)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} must be True or False", describe(value), "Choose one.")
    return bool(value)


def _unit_scale(means: Array, sigma: float) -> tuple[Array, float]:
    """Divide by sqrt(tr Cov / d) of the equal-weight mixture."""
    centred = means - means.mean(axis=0)
    scale = math.sqrt((np.square(centred).sum() / means.size) + sigma**2)
    return means / scale, sigma / scale


def grid(
    side: int = 5,
    spacing: float = 2.0,
    sigma: float = 0.02,
    *,
    normalize: bool = True,
    rotate: float = 0.0,
) -> GaussianMixture:
    """`side` x `side` equal modes on a square lattice in the plane, centred at the origin.

    The default is the standard problem of arXiv 2605.06831 v1 (appendix F): 25 modes at raw
    spacing 2 and raw sigma 0.02, divided by sqrt(tr Cov / d). `rotate` is in radians. The rotated
    lattice of arXiv 2406.09358 has another spacing and sigma: see `diamond`.
    """
    m = check_integer(side, "side", 1)
    step = _length(spacing, "spacing")
    std = _length(sigma, "sigma")
    _check_size(m * m, 2)
    axis = step * (np.arange(m) - (m - 1) / 2)
    means = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    if _flag(normalize, "normalize"):
        means, std = _unit_scale(means, std)
    angle = check_real(rotate, "rotate")
    if angle:
        c, s = math.cos(angle), math.sin(angle)
        means = means @ np.array([[c, s], [-s, c]])
    return GaussianMixture(means, std)


def diamond(sigma: float = 0.05) -> GaussianMixture:
    """The 25 modes of the square turned by 45 degrees of arXiv 2406.09358: spacing 0.500 and sigma
    0.0177 as the networks see them.

    Source: the data set Gaussian25_Rotated of the authors' public code
    (locuslab/diffusion-model-hallucination, ddpm_torch/toy/toy_data.py): raw spacing sqrt(2) and
    raw sigma 0.05, all divided by sqrt(sigma^2 + 8), the scale of their unrotated lattice of
    spacing 2. So the coordinates keep half the unit variance.
    """
    std = check_positive(sigma, "sigma")
    raw = grid(5, math.sqrt(2.0), std, normalize=False, rotate=math.pi / 4)
    scale = math.sqrt(std**2 + 8.0)
    return GaussianMixture(raw.means / scale, std / scale)


def line(
    n: int = 3,
    spacing: float = 1.0,
    sigma: float = 0.05,
    *,
    d: int = 1,
    start: float = 1.0,
    normalize: bool = False,
) -> GaussianMixture:
    """n equal modes at start, start + spacing, ... along the first axis of d dimensions.

    The default is the 1-D mixture with means 1, 2, 3 of arXiv 2406.09358.
    """
    count, dim = check_integer(n, "n", 1), check_integer(d, "d", 1)
    _check_size(count, dim)
    means = np.zeros((count, dim))
    means[:, 0] = _within(start, "start") + _length(spacing, "spacing") * np.arange(count)
    std = _length(sigma, "sigma")
    return GaussianMixture(
        *(_unit_scale(means, std) if _flag(normalize, "normalize") else (means, std))
    )


def two_modes(
    separation: float = 2.0,
    sigma: float = 0.05,
    *,
    d: int = 1,
    weights: ArrayLike | None = None,
) -> GaussianMixture:
    """Two modes at -separation/2 and +separation/2 on the first axis of d dimensions."""
    half = _length(separation, "separation") / 2
    _check_size(2, check_integer(d, "d", 1))
    means = np.zeros((2, d))
    means[:, 0] = -half, half
    return GaussianMixture(means, _length(sigma, "sigma"), weights)


def ring(n: int = 8, radius: float = 1.0, sigma: float = 0.05) -> GaussianMixture:
    """n equal modes evenly spaced on a circle in the plane."""
    count = check_integer(n, "n", 1)
    _check_size(count, 2)
    angle = 2 * np.pi * np.arange(count) / count
    circle = _length(radius, "radius") * np.column_stack([np.cos(angle), np.sin(angle)])
    return GaussianMixture(circle, _length(sigma, "sigma"))


def farthest_point(
    d: int, n: int = 25, sigma: float = 0.02, *, seed: int = 0, normalize: bool = True
) -> GaussianMixture:
    """n modes picked by farthest-point sampling from the lattice 2 * {-2, ..., 2}^d.

    Source: arXiv 2605.06831 v1, figures E.6 to E.8. The first point is the all-lowest corner. Up
    to 5^d = 100,000 lattice points the greedy choice is exact; above, it runs over that many
    lattice points drawn with `seed` (the lattice cannot be listed), corners included with
    probability one half per point since the farthest points are nearly always corners.

    Raises InputError if the lattice has fewer than n points.
    """
    dim = check_integer(d, "d", 1)
    count = check_integer(n, "n", 1)
    check_integer(seed, "seed", 0)
    std = _length(sigma, "sigma")
    _check_size(count, dim)
    _check_size(_FEWEST, dim, "lattice points")
    means = _farthest(dim, count, seed).copy()
    return GaussianMixture(
        *(_unit_scale(means, std) if _flag(normalize, "normalize") else (means, std))
    )


@functools.lru_cache(maxsize=32)  # a large lattice takes longer to list than its modes to use
def _farthest(d: int, count: int, seed: int) -> Array:
    candidates = _lattice_candidates(d, seed)
    if count > len(candidates):
        raise InputError(
            f"n must not exceed the {len(candidates)} points of the lattice in d = {d}",
            count,
            "Use fewer modes or more dimensions.",
        )
    chosen: Array = candidates[_farthest_indices(candidates, count)]
    return chosen


def _lattice_candidates(d: int, seed: int) -> Array:
    limit, levels = 100_000, 2.0 * np.arange(-2, 3)
    if d <= math.log(limit, 5):
        return np.array(list(itertools.product(levels, repeat=d)))
    rng = np.random.default_rng(seed)
    size = min(limit, max(_FEWEST, 2_000_000 // d))
    points = rng.choice(levels, size=(size, d))
    corners = rng.random(size) < 0.5
    points[corners] = rng.choice(levels[[0, -1]], size=(int(corners.sum()), d))
    points[0] = levels[0]
    return np.unique(points, axis=0)


def _farthest_indices(points: Array, count: int) -> list[int]:
    chosen = [0]
    nearest = np.square(points - points[0]).sum(axis=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.square(points - points[chosen[-1]]).sum(axis=1))
    return chosen
