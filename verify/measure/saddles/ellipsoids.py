"""The midpoint of two modes that share a covariance of any shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixdyn import geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array

from ...ledger.case import Case
from ..covariances import axes_of, law_at, noisy_levels

MOST_PAIRS = 8


@dataclass(frozen=True)
class Midpoint:
    """A pair by itself at one level, in the eigenvectors of the covariance C = Sigma + rho I.

    ends: the modes; rho; variances (d,): those of C. delta (d,): mu_i - mu_j. score (d,), hessian
    (d, d): of the engine's log density, a share of delta beside the midpoint.
    """

    ends: tuple[int, int]
    rho: float
    variances: Array
    delta: Array
    score: Array
    hessian: Array

    @property
    def length2(self) -> float:
        """Delta^T C^-1 Delta."""
        return float((np.square(self.delta) / self.variances).sum())

    @property
    def direction(self) -> Array:
        """Of C^-1/2 Delta, (d,)."""
        return np.asarray(self.delta / np.sqrt(self.variances * self.length2))

    @property
    def scaled(self) -> Array:
        """C^1/2 H C^1/2, (d, d): a saddle's signs, in units of the flow's clock along Delta."""
        root = np.sqrt(self.variances)
        return np.asarray(root[:, None] * self.hessian * root)

    def spectrum(self) -> tuple[float, float]:
        """The eigenvalue along C^-1/2 Delta, and the one farthest from -1 of the others."""
        along = float(self.direction @ self.scaled @ self.direction)
        values = np.linalg.eigvalsh(self.scaled)
        others = np.delete(values, np.argmin(np.abs(values - along)))
        return along, float(others[np.argmax(np.abs(others + 1.0))]) if others.size else -1.0

    def closed(self, factor: float) -> Array:
        """C^-1 (Delta Delta^T C^-1/4 - I), with a factor on 1/4."""
        pulled = self.delta / self.variances
        return 0.25 * factor * np.outer(pulled, pulled) - np.diag(1.0 / self.variances)


def midpoints(case: Case, offset: float) -> list[Midpoint]:
    """Of the closest pairs at nodes of the papers' grid, from noise to the last with a density."""
    mixture, found = case.mixture, []
    values, rows = axes_of(mixture)
    rho = noisy_levels(case)
    i, j = np.triu_indices(mixture.N, k=1)
    order = np.argsort(geometry.pairwise_distances(mixture.means)[i, j], kind="stable")
    for p in order[:MOST_PAIRS].tolist():
        ends = int(i[p]), int(j[p])
        edge = mixture.means[ends[0]] - mixture.means[ends[1]]
        pair = _pair(mixture, edge)
        for level in rho.tolist():
            law, at = law_at(pair, level), offset * edge[None]
            found.append(
                Midpoint(
                    ends,
                    level,
                    values + level,
                    rows @ edge,
                    rows @ law.score(at)[0],
                    rows @ law.score_jacobian(at)[0] @ rows.T,
                )
            )
    return found


def _pair(mixture: GaussianMixture, edge: Array) -> GaussianMixture:
    """The two modes about the origin, with the covariance of all."""
    ends = np.array([0.5 * edge, -0.5 * edge])
    if mixture.covariance is None:
        return GaussianMixture(ends, mixture.sigma)
    return GaussianMixture(ends, covariance=mixture.covariance.matrices(mixture.d)[0])
