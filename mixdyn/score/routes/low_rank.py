"""Means in a low-dimensional affine hull: the score is nonlinear only along it.

With one sigma the responsibilities depend on x only through its projection on the affine hull of
the means, since what lies across adds the same to every squared distance. With x = alpha c + U z +
w, c the centre of the means, U (d, r) an orthonormal basis and w across the hull, the noise
prediction is U eps_r(z) + f w, eps_r that of the projected mixture and f = noise_std/sigma_t^2. So
an evaluation costs two passes over the data and a mixture in r dimensions, and a noiseless run of
any number of steps does too: along the hull it is the run of the projected mixture, and w is
multiplied by one number.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Self

import numpy as np

from ... import kernels
from ...problem.mixture import GaussianMixture
from ...support.checks import Array, frozen
from ..precision import Real
from ..protocol import Level
from . import Rollout, Route, StepTable, first_fitting

# The hull is used from this dimension on, where its own is at most this share of d: the projection
# costs two passes over the data, and must save more.
SMALLEST_DIMENSION = 16
LARGEST_SHARE = 0.25


@dataclasses.dataclass(frozen=True, eq=False)
class Hull:
    """centre (d,), directions (r, d) with orthonormal rows, projected: the mixture in r dimensions
    whose means are those of the original along the directions, from the centre."""

    centre: Array
    directions: Array
    projected: GaussianMixture

    def project(self, x: Array, alpha: float) -> Array:
        """z (n, r) = U^T (x - alpha c)."""
        return kernels.project(x, alpha * self.centre, self.directions)

    def lift(self, x: Array, along: Array, factor: float, alphas: tuple[float, float]) -> Array:
        """factor (x - alpha_from c) + alpha_to c + U along: (n, d) from x (n, d), along (n, r)."""
        alpha_from, alpha_to = alphas
        shift = (alpha_to - factor * alpha_from) * self.centre
        return kernels.lift(x, factor, shift, self.directions, along)


def find_hull(mixture: GaussianMixture) -> Hull | None:
    """The hull of the means where it is worth using, to rounding; else None."""
    if not mixture.has_common_sigma or mixture.d < SMALLEST_DIMENSION:
        return None
    centre = mixture.means.mean(axis=0)
    offsets = mixture.means - centre
    size = np.finfo(float).eps * max(mixture.means.shape) * np.abs(mixture.means).max()
    enough = int(LARGEST_SHARE * mixture.d) + 1
    if 8 * enough < mixture.N:
        # Some rows span no more than all do, and have no larger singular values.
        some = offsets[:: mixture.N // enough]
        if np.count_nonzero(np.linalg.svd(some, compute_uv=False) > size) >= enough:
            return None
    _, singular, directions = np.linalg.svd(offsets, full_matrices=False)
    rank = max(int(np.count_nonzero(singular > size)), 1)
    if rank > LARGEST_SHARE * mixture.d:
        return None
    basis = np.ascontiguousarray(directions[:rank])
    projected = GaussianMixture(
        offsets @ basis.T, mixture.sigma, mixture.weights, allow_duplicates=True
    )
    return Hull(frozen(centre), frozen(basis), projected)


class LowRank:
    """Along the hull the route of the projected mixture, across it one factor.

    Only the mixture along the hull is computed in single precision where that is asked for.
    """

    name: ClassVar[str] = "low_rank"
    order: ClassVar[int] = 20

    def __init__(self, hull: Hull, along: Route) -> None:
        self.hull, self.along = hull, along
        self._data_var = float(np.square(hull.projected.sigmas[0]))

    @classmethod
    def fits(cls, mixture: GaussianMixture, dtype: Real) -> Self | None:
        """Where the hull of the means is worth using."""
        hull = find_hull(mixture)
        if hull is None:
            return None
        return cls(hull, first_fitting(hull.projected, dtype, {cls.name}))

    def pull(self, x: Array, at: Level, scale: float) -> Array:
        """See `Route`."""
        z = self.hull.project(x, at.alpha)
        along = self.along.pull(z, at, scale)
        return self.hull.lift(x, along + scale * z, -scale, (at.alpha, 0.0))

    def rollout(self, steps: StepTable) -> Rollout | None:
        """Two passes over the data, whatever the steps. With noise none: along the hull it is the
        projection of d normals, no fewer than the generic loop's. None either where the centre does
        not stay the centre."""
        noisy = steps.coefficients[..., 2].any()
        run_along = None if noisy or not steps.carries_points else self.along.rollout(steps)
        if run_along is None:
            return None
        c_x, c_eps, _, scale = steps.with_scale(self._data_var)[:, 0].T
        across = float(np.prod(c_x - c_eps * scale))
        ends = float(steps.alpha[0]), steps.alpha_end

        def run(x: Array, first: int, seed: int) -> None:
            z = self.hull.project(x, ends[0])
            begin = z.copy()
            run_along(z, first, seed)
            x[...] = self.hull.lift(x, z - across * begin, across, ends)

        return run
