"""Convex sets as hulls of their vertices, and distances to them."""

from __future__ import annotations

import numpy as np

from mixdyn.support.checks import Array


def distance_to_hull(points: Array, vertices: Array) -> Array:
    """Distance of points (n, d) to the convex hull of vertices (m, d), (n,).

    The nearest point has weights proportional to the x >= 0 that minimises |V^T x|^2 +
    (1^T x - 1)^2, V the vertices seen from the point: along a ray of x that is a function of the
    distance alone, and increases with it. One vertex is a point.
    """
    from scipy.optimize import nnls

    scale = float(np.ptp(vertices, axis=0).max()) or 1.0
    target = np.zeros(vertices.shape[1] + 1)
    target[-1] = 1.0
    out = np.empty(len(points))
    for row, y in enumerate(points):
        offset = (vertices - y) / scale
        system = np.vstack([offset.T, np.ones(len(vertices))])
        weights, _ = nnls(system, target)
        out[row] = scale * float(np.linalg.norm(weights @ offset)) / float(weights.sum())
    return out
