"""Convex sets as hulls of their vertices, and distances to them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mixdyn.support.checks import Array


def distance_to_hull(points: Array, vertices: Array) -> Array:
    """Distance of points (n, d) to the convex hull of vertices (m, d), (n,).

    The nearest point has weights proportional to the x >= 0 that minimises |V^T x|^2 +
    (1^T x - 1)^2, V the vertices seen from the point: along a ray of x that is a function of the
    distance alone, and increases with it. One vertex is a point.
    """
    found = _offsets(points, vertices)
    return np.array([scale * np.linalg.norm(offset) / total for offset, scale, total in found])


def nearest_in_hull(points: Array, vertices: Array) -> Array:
    """(n, d) the points of the hull of vertices (m, d) next to points (n, d)."""
    if len(vertices) == 2:
        along = vertices[1] - vertices[0]
        a = np.clip((points - vertices[0]) @ along / (along @ along), 0.0, 1.0)
        return np.asarray(vertices[0] + a[:, None] * along)
    found = _offsets(points, vertices)
    return points + np.array([offset * (scale / total) for offset, scale, total in found])


def _offsets(points: Array, vertices: Array) -> Iterator[tuple[Array, float, float]]:
    """From each point to the nearest one of the hull, (d,), but for a factor scale/total."""
    from scipy.optimize import nnls

    scale = float(np.ptp(vertices, axis=0).max()) or 1.0
    target = np.zeros(vertices.shape[1] + 1)
    target[-1] = 1.0
    for y in points:
        offset = (vertices - y) / scale
        system = np.vstack([offset.T, np.ones(len(vertices))])
        weights, _ = nnls(system, target)
        yield weights @ offset, scale, float(weights.sum())
