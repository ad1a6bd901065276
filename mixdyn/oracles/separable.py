"""Product structure: mixtures whose probability-flow ODE splits into one-dimensional flows.

A mixture with one sigma, means on a full product grid and product weights is a product of 1-D
mixtures, in every diffused version too. A mixture whose means lie on one line is one as well, in
coordinates along and across the line.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mixdyn.problem.checks import check_common_sigma, check_mixture
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError

from .reduction import affine_hull

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_ULP = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Axis:
    """A 1-D mixture: values (m,) increasing, weights (m,) > 0; v is the variance of the narrowest
    modes, excess (m,) or 0 what the others have beside it."""

    values: Array
    weights: Array
    excess: Array | float = 0.0

    @property
    def extent(self) -> float:
        """Largest absolute mean or distance between means: the scale of rounding errors."""
        return float(max(np.abs(self.values).max(), self.values[-1] - self.values[0]))


@dataclass(frozen=True)
class Separation:
    """axes: one per coordinate of (y - origin) @ frame.T; frame None means y itself."""

    axes: list[Axis]
    origin: Array
    frame: Array | None

    def enter(self, y: Array) -> Array:
        """Separated coordinates of y, (n, d) -> (n, d)."""
        return y if self.frame is None else (y - self.origin) @ self.frame.T

    def leave(self, coordinates: Array) -> Array:
        """Back from separated coordinates, (n, d) -> (n, d)."""
        return coordinates if self.frame is None else self.origin + coordinates @ self.frame


def axis_variances(mixture: GaussianMixture, what: str) -> Array:
    """(d,) variances along the coordinate axes of modes that all share them: of one sigma, or of
    one covariance that is diagonal. NotApplicableError for others, naming `what` needs it."""
    c = mixture.covariance
    if c is None:
        return np.full(mixture.d, check_common_sigma(mixture, what) ** 2)
    matrix = c.matrices(mixture.d)[0]
    variances = np.diagonal(matrix)
    if not c.common or (matrix != np.diag(variances)).any() or not variances.all():
        raise NotApplicableError(
            f"{what} needs one covariance for all modes, positive and along the coordinate axes",
            f"{mixture.N} modes with {c.kind}",
            "Turn the axes to the eigenvectors of a common covariance.",
        )
    return variances.copy()


def product_grid(mixture: GaussianMixture) -> list[Axis] | None:
    """One Axis per coordinate if the mixture is a product grid, else None.

    Means within 8 ulp of the extent share a grid line; weights must factorise to 1e-12.
    """
    lines = [_grid_lines(column) for column in check_mixture(mixture).means.T]
    # A coordinate that all modes share is an axis of one value: it factors out by itself, and
    # leaving it out keeps the table within the 64 axes of an array.
    varying = [j for j, (values, _) in enumerate(lines) if len(values) > 1]
    shape = [len(lines[j][0]) for j in varying]
    if math.prod(shape) > mixture.N:
        return None
    total = mixture.weights.sum()
    marginals = [np.array([total])] * mixture.d
    if varying:
        table = np.zeros(shape)
        np.add.at(table, tuple(lines[j][1] for j in varying), mixture.weights)
        parts = _marginals(table)
        product = functools.reduce(np.multiply.outer, parts)
        if (np.abs(product * total ** (1 - len(varying)) - table) > 1e-12 * table).any():
            return None
        for j, part in zip(varying, parts, strict=True):
            marginals[j] = part
    return [Axis(values, weights) for (values, _), weights in zip(lines, marginals, strict=True)]


def separate(mixture: GaussianMixture, what: str = "the closed-form flow") -> Separation:
    """The separation of a mixture, or NotApplicableError where it has none."""
    check_common_sigma(mixture, what)
    axes = product_grid(mixture)
    if axes is not None:
        return Separation(axes, np.zeros(mixture.d), None)
    hull = affine_hull(mixture)
    if hull.rank != 1:
        raise NotApplicableError(
            f"{what} needs a product grid with product weights, or means on one line",
            f"{mixture.N} modes in {mixture.d} dimensions that are neither",
            "Integrate the ODE numerically for this mixture.",
        )
    return _separate_line(mixture, hull.origin, hull.basis[0])


def line_of_sigmas(mixture: GaussianMixture) -> Axis:
    """The one axis of a mixture in one dimension, each mode with its own sigma."""
    order, square = np.argsort(mixture.means[:, 0], kind="stable"), np.square(mixture.sigmas)
    return Axis(mixture.means[order, 0], mixture.weights[order], (square - square.min())[order])


def _separate_line(mixture: GaussianMixture, origin: Array, direction: Array) -> Separation:
    # Complete the direction to an orthonormal frame: QR of [direction, identity].
    seed = np.column_stack([direction, np.eye(mixture.d)])
    frame = np.linalg.qr(seed)[0].T
    frame[0] = direction
    values, index = _grid_lines((mixture.means - origin) @ direction)
    weights = np.zeros(len(values))
    np.add.at(weights, index, mixture.weights)
    single = Axis(np.zeros(1), np.array([weights.sum()]))
    return Separation([Axis(values, weights)] + [single] * (mixture.d - 1), origin, frame)


def _grid_lines(column: Array) -> tuple[Array, np.ndarray]:
    """Distinct values of a coordinate, increasing, and the index of each mode's value."""
    order = np.argsort(column, kind="stable")
    ordered = column[order]
    tolerance = 8 * _ULP * np.abs(column).max()
    label = np.concatenate([[0], np.cumsum(np.diff(ordered) > tolerance)])
    index = np.empty(len(column), dtype=np.int64)
    index[order] = label
    first = np.concatenate([[0], np.flatnonzero(np.diff(label)) + 1])
    return ordered[first], index


def _marginals(table: Array) -> list[Array]:
    axes = range(table.ndim)
    return [table.sum(axis=tuple(j for j in axes if j != i)) for i in axes]
