"""Density, score and Hessian of a mixture: of isotropic modes, or of any covariances."""

from __future__ import annotations

import functools
import math

import numpy as np

from .. import kernels
from ..support.checks import Array
from ..support.errors import NotApplicableError
from .covariance import Covariance


def refuse_points(smallest: float) -> None:
    """Refuse a density where a mode has no extent in some direction."""
    if smallest == 0.0:
        raise NotApplicableError(
            "a density needs every mode to have a positive variance in every direction",
            "a mode of variance 0, a point mass, at a level without noise",
            "Ask at a level with noise: mixture.diffused(alpha_bar).",
        )


class Isotropic:
    """Modes of means (N, d), variances (N,) > 0 and log weights (N,)."""

    def __init__(self, means: Array, var: Array, log_weights: Array) -> None:
        refuse_points(float(var.min()))
        self._modes = means, var, log_weights

    def log_density(self, x: Array) -> Array:
        """log p (n,)."""
        return np.asarray(kernels.log_density(x, *self._modes))

    def score(self, x: Array, scale: float = 1.0) -> Array:
        """scale grad log p (n, d)."""
        score = kernels.score(x, *self._modes)
        return np.asarray(score if scale == 1.0 else scale * score)

    def squared_lengths(self, x: Array) -> Array:
        """Squared Mahalanobis distances (n, N)."""
        means, var, _ = self._modes
        return np.array([np.square(x - mean).sum(axis=1) for mean in means]).T / var

    def responsibilities(self, x: Array) -> Array:
        """(n, N)."""
        return np.asarray(kernels.responsibilities(x, *self._modes))

    def score_jacobian(self, x: Array) -> Array:
        """(n, d, d)."""
        return np.asarray(kernels.score_jacobian(x, *self._modes))


class Anisotropic:
    """Modes of any covariances, positive definite. Where all share their eigenvectors points are
    rotated once, about the centre of the means; else every difference from a mean is."""

    def __init__(self, means: Array, covariance: Covariance, log_weights: Array) -> None:
        refuse_points(covariance.smallest)
        self.means, self.covariance = means, covariance
        rest, directions = covariance.rest, covariance.directions
        self._turn = directions[0] if len(directions) == 1 and rest is None else None
        a = means
        if self._turn is not None:
            self._centre = means.mean(axis=0)
            a, directions = kernels.project(means, self._centre, self._turn), directions[:0]
        self._log_terms = log_weights - 0.5 * covariance.total(np.log, means.shape[1])
        top = self._log_terms.max()
        across = np.empty(0) if rest is None else 1.0 / rest
        lw = kernels.bits(self._log_terms - top)
        self._table = kernels.EllipsoidTable(a, directions, 1.0 / covariance.values, across, lw)

    @property
    def parts(self) -> tuple[kernels.EllipsoidTable, Array, Array]:
        """The kernels' table, and what points are turned by before: rotation (d, d) and centre
        (d,), or (0, d) and zeros."""
        if self._turn is None:
            d = self.means.shape[1]
            return self._table, np.empty((0, d)), np.zeros(d)
        return self._table, self._turn, self._centre

    def _turned(self, x: Array) -> Array:
        return x if self._turn is None else kernels.project(x, self._centre, self._turn)

    def _logits(self, x: Array) -> Array:
        """log(w_k p_k) (n, N) but for (d/2) log(2 pi)."""
        return np.asarray(
            self._log_terms - 0.5 * kernels.squared_lengths(self._turned(x), self._table)
        )

    def squared_lengths(self, x: Array) -> Array:
        """Squared Mahalanobis distances (n, N)."""
        return np.asarray(kernels.squared_lengths(self._turned(x), self._table))

    def log_density(self, x: Array) -> Array:
        """log p (n,)."""
        logits = self._logits(x)
        top = logits.max(axis=1)
        total = np.exp(logits - top[:, None]).sum(axis=1)
        return np.asarray(top + np.log(total) - 0.5 * x.shape[1] * math.log(2.0 * math.pi))

    def score(self, x: Array, scale: float = 1.0) -> Array:
        """scale grad log p (n, d)."""
        moved = kernels.ellipsoid_pull(self._turned(x), scale, self._table)
        if self._turn is None:
            return np.asarray(moved)
        none = np.zeros(x.shape[1])
        return np.asarray(kernels.lift(x, 0.0, none, self._turn, moved))

    def responsibilities(self, x: Array) -> Array:
        """(n, N)."""
        logits = self._logits(x)
        out = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(out / out.sum(axis=1, keepdims=True))

    @functools.cached_property
    def _precisions(self) -> Array:
        """(N, d, d): the inverse covariances."""
        factors = self.covariance.functions(np.reciprocal)
        eye = np.eye(self.means.shape[1])
        return np.array([self.covariance.applied(k, eye, factors) for k in range(len(self.means))])

    def score_jacobian(self, x: Array) -> Array:
        """(n, d, d)."""
        gamma = self.responsibilities(x)
        factors = self.covariance.functions(np.reciprocal)
        pulls = [
            np.where(gamma[:, k, None] > 0.0, self.covariance.applied(k, mean - x, factors), 0.0)
            for k, mean in enumerate(self.means)
        ]
        # Of the same pulls: where one mode is alone the difference is 0 at any precision.
        score = sum(gamma[:, k, None] * pull for k, pull in enumerate(pulls))
        out = np.zeros((*x.shape, x.shape[1]))
        for k, pull in enumerate(pulls):
            felt = np.sqrt(gamma[:, k, None]) * np.where(gamma[:, k, None] > 0.0, pull - score, 0.0)
            precision = 0.5 * (self._precisions[k] + self._precisions[k].T)
            out += felt[:, :, None] * felt[:, None, :] - gamma[:, k, None, None] * precision
        return out
