"""Very many modes of one sigma in one to three dimensions: at high noise their density on a lattice
at a lower noise level, at low noise those near a sample. See `kernels.meshes`, `trees`."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from ... import kernels
from ...problem.mixture import GaussianMixture
from ...support.checks import Array, IntArray
from ..precision import Real
from ..protocol import Level
from . import Rollout, StepTable

FEWEST_MODES, MOST_DIMENSIONS = 1024, 3


class Smoothed:
    """A data set's own score in few dimensions.

    work (3,): lattice points and modes looked at so far, and exponentials.
    """

    name: ClassVar[str] = "smoothed"
    order: ClassVar[int] = 30
    shared: ClassVar[bool] = True  # between scores of one mixture, and their threads

    def __init__(self, mixture: GaussianMixture) -> None:
        self._data_var = float(np.square(mixture.sigmas[0]))
        low, high = mixture.means.min(axis=0), mixture.means.max(axis=0)
        self._middle = 0.5 * low + 0.5 * high
        order = kernels.near_order(mixture.means)
        # About their middle the lattice's points are exact.
        self._means = mixture.means[order] - self._middle
        self._log_weights = np.log(mixture.weights[order])
        self._tree = kernels.tree(self._means, self._log_weights)
        # Coordinates that there are not have an empty box.
        self._low, self._high = np.zeros(3), np.full(3, -1.0)
        self._low[-mixture.d :], self._high[-mixture.d :] = low - self._middle, high - self._middle
        self._finest = kernels.finest(self._low, self._high, mixture.N)
        # The last has the size of the means for a standard deviation.
        size = max(float((self._high - self._low).max()), 1e-150)
        self._last = int(np.ceil(max(np.log2(size**2 / self._finest + 1e-300), 0.0)))
        self._meshes: tuple[kernels.Mesh, ...] = ()
        self.work: IntArray = np.zeros(3, np.int64)

    @classmethod
    def fits(cls, mixture: GaussianMixture, dtype: Real) -> Self | None:
        """Where the modes are many, of one sigma, and double precision is asked for."""
        fits = mixture.N >= FEWEST_MODES and mixture.d <= MOST_DIMENSIONS
        return cls(mixture) if fits and mixture.has_common_sigma and dtype is np.float64 else None

    def pull(self, x: Array, at: Level, scale: float) -> Array:
        """See `Route`."""
        var = at.signal_var * self._data_var + at.noise_var
        mesh = self._mesh(at.alpha, var)
        x = x - at.alpha * self._middle
        if mesh is None:
            h = float(kernels.bits(0.5 / var))
            out, work = kernels.tree_pull(x, scale, at.alpha, h, self._tree)
        else:
            out, work = kernels.mesh_pull(x, scale, at.alpha, var, self._tree, mesh)
        self.work += work
        return out

    def rollout(self, steps: StepTable) -> Rollout | None:
        """None: a step costs little beside its evaluation."""
        return None

    def _mesh(self, alpha: float, var: float) -> kernels.Mesh | None:
        """The coarsest mesh of at most half the variance; None where none is."""
        least, wanted = 2.0 * self._finest * alpha * alpha, 0
        if not least <= var:
            return None
        while wanted < self._last and 2.0 * least <= var:
            least, wanted = 2.0 * least, wanted + 1
        box, meshes = (self._low, self._high), self._meshes
        if not meshes:
            points = np.zeros((len(self._means), 3))
            points[:, -self._means.shape[1] :] = self._means
            given = points, self._log_weights, *box
            meshes = (kernels.first_mesh(*given, self._finest),)
        while len(meshes) <= wanted:
            meshes = (*meshes, kernels.next_mesh(meshes[-1], *box))
        self._meshes = meshes
        return meshes[wanted]
