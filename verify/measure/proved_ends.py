"""What DDIM leaves outside every mode of a line or a product, between proved bounds.

Its map of starts to ends is increasing, so that a start which provably ends on one side of a place
bounds a probability by a normal one. Bisection in doubles only proposes the starts.
"""

from __future__ import annotations

import numpy as np

from mixdyn import geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.proof.chain import ddim_ends, normal_probability

from .outside_modes import ddim_starts

_NUDGE = 1e-10  # by which starts in doubles are moved inward, over 1 + |x|, to be proved


def proved_outside(
    mixture: GaussianMixture, sigma: float, schedule: NoiseSchedule, grid: TimeGrid
) -> tuple[float, float]:
    """Bounds on the probability outside every mode of a product mixture, scored with width sigma.

    Coordinates are independent: outside the ball is outside a cube in it; and who is outside of a
    radius in one coordinate is outside the ball.
    """
    radius = float(geometry.mode_radius(mixture)[0])
    known: dict[bytes, tuple[float, float]] = {}
    least, most = 0.0, 0.0
    for values, weights in mixture.product_axes() or []:
        key = values.tobytes() + weights.tobytes()
        if key not in known:
            line = GaussianMixture(values[:, None], sigma, weights)
            near = radius / np.sqrt(mixture.d)
            known[key] = proved_on_line(line, schedule, grid, near, radius)
        least, most = max(least, known[key][0]), most + known[key][1]
    return least, most


def proved_on_line(
    line: GaussianMixture, schedule: NoiseSchedule, grid: TimeGrid, near: float, far: float
) -> tuple[float, float]:
    """At least the probability beyond `far` of every value, at most that beyond `near`."""
    values = np.sort(line.means[:, 0])
    middle = 0.5 * (values[1:] + values[:-1])
    cuts = np.concatenate([[-np.inf], middle]), np.concatenate([middle, [np.inf]])
    inner = [np.maximum(values - near, cuts[0]), np.minimum(values + near, cuts[1])]
    outer = [np.maximum(values - far, cuts[0]), np.minimum(values + far, cuts[1])]
    ends, n = np.concatenate([*inner, *outer]), len(values)
    low, high = ddim_starts(line, schedule, ends, grid)
    up = np.repeat([True, False, False, True], n)  # which way a start is moved, to be proved
    starts = np.where(up, high, low)
    starts += _NUDGE * np.where(up, 1.0, -1.0) * (1.0 + np.abs(starts))
    found = ddim_ends(line, schedule, [*map(int, grid.times)], starts)
    sure = np.where(up, found.lo >= ends, found.hi <= ends).reshape(4, n)
    at = starts.reshape(4, n)
    within = sure[0] & sure[1]
    most = 1 - normal_probability(at[0][within], at[1][within])
    # A start that is not proved to end beyond `far` counts as within.
    first, last = np.where(sure[2], at[2], -np.inf), np.where(sure[3], at[3], np.inf)
    if not (sure[2:].all() and (first[1:] > last[:-1]).all()):
        return 0.0, float(most.upper())
    return max(0.0, float((1 - normal_probability(first, last)).lower())), float(most.upper())
