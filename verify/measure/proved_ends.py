"""What DDIM leaves outside every mode of a line or a product, between proved bounds.

Its map of starts to ends is increasing, so that a start which provably ends on one side of a place
bounds a probability by a normal one. Bisection in doubles only proposes the starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import geometry
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.proof.chain import ddim_ends, normal_probability
from mixdyn.proof.search import hexed
from mixdyn.proof.statement import FORMAT
from mixdyn.support.checks import Array

from .outside_modes import ddim_starts

_NUDGE = 1e-10  # by which starts in doubles are moved inward, over 1 + |x|, to be proved


@dataclass(frozen=True, eq=False)
class ProvedLine:
    """Bounds least and most on P(an end is farther than far, near from every value), for DDIM on a
    line from noise; within, around (k, 3): values and the starts about them that prove most and
    least, see `verify.checker.lines`; around is empty where least is 0."""

    line: GaussianMixture
    near: float
    far: float
    least: float
    most: float
    within: Array
    around: Array

    def statements(self, name: str) -> Iterator[dict[str, Any]]:
        """As a certificate keeps them."""
        order = np.argsort(self.line.means[:, 0])
        for side, radius, bound, starts in (
            ("at_most", self.near, self.most, self.within),
            ("at_least", self.far, self.least, self.around),
        ):
            if len(starts):
                yield {
                    "name": f"{name}, farther than {radius:.4g} from every value, {side}",
                    "side": side,
                    "values": hexed(self.line.means[order, 0]),
                    "weights": hexed(self.line.weights[order]),
                    "sigma": hexed(float(self.line.sigma)),
                    "radius": hexed(radius),
                    "bound": hexed(bound),
                    "starts": hexed(starts),
                }


def certificate(
    lines: Mapping[str, ProvedLine], schedule: NoiseSchedule, grid: TimeGrid
) -> dict[str, Any]:
    """What the checker replays, of lines by name."""
    rows = [row for name, line in lines.items() for row in line.statements(name)]
    times = [*map(int, grid.times)]
    return {
        "format": FORMAT,
        "kind": "lines",
        "proves": [row["name"] for row in rows],
        "steps": hexed(np.column_stack([schedule.alpha_bar[times], schedule.noise_var[times]])),
        "statements": rows,
    }


def proved_axes(
    mixture: GaussianMixture, sigma: float, schedule: NoiseSchedule, grid: TimeGrid
) -> list[ProvedLine]:
    """Of every axis of a product mixture, scored with width sigma.

    Coordinates are independent: outside the ball is outside a cube in it; and who is outside of a
    radius in one coordinate is outside the ball.
    """
    radius = float(geometry.mode_radius(mixture)[0])
    known: dict[bytes, ProvedLine] = {}
    found = []
    for values, weights in mixture.product_axes() or []:
        key = values.tobytes() + weights.tobytes()
        if key not in known:
            line = GaussianMixture(values[:, None], sigma, weights)
            near = radius / np.sqrt(mixture.d)
            known[key] = proved_on_line(line, schedule, grid, near, radius)
        found.append(known[key])
    return found


def proved_outside(
    mixture: GaussianMixture, sigma: float, schedule: NoiseSchedule, grid: TimeGrid
) -> tuple[float, float]:
    """Bounds on the probability outside every mode of a product mixture, see `proved_axes`."""
    axes = proved_axes(mixture, sigma, schedule, grid)
    return max((axis.least for axis in axes), default=0.0), sum(axis.most for axis in axes)


def proved_on_line(
    line: GaussianMixture, schedule: NoiseSchedule, grid: TimeGrid, near: float, far: float
) -> ProvedLine:
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
    inside = sure[0] & sure[1]
    most = 1 - normal_probability(at[0][inside], at[1][inside])
    within = np.column_stack([values, at[0], at[1]])[inside]
    # A start that is not proved to end beyond `far` counts as within.
    first, last = np.where(sure[2], at[2], -np.inf), np.where(sure[3], at[3], np.inf)
    least, around = 0.0, np.empty((0, 3))
    if sure[2:].all() and (first[1:] > last[:-1]).all():
        least = max(0.0, float((1 - normal_probability(first, last)).lower()))
        around = np.column_stack([values, first, last])
    return ProvedLine(line, near, far, least, float(most.upper()), within, around)
