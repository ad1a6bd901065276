"""Paths of the flow between the two closest modes under synthetic errors of the score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, dynamics
from mixdyn.fields import ModelField
from mixdyn.geometry import Mask, Pair
from mixdyn.integrators import DormandPrince, integrate_ode
from mixdyn.validation import Array, IntArray

from .claim import Case, Hypothesis
from .inexact import (
    Curve,
    ErrorField,
    PerturbedField,
    Ridge,
    across,
    amplitude,
    fixed,
    perturbed_model,
)
from .paths import KAPPA, ddim_grid
from .window import Window, find_window

RELATIVE = (0.02, 0.1)  # delta_max at the start of the window, in units of l
_RTOL = 1e-10


@dataclass(frozen=True, eq=False)
class PerturbedPaths:
    """Paths y (S + 1, n, d) at the nodes times (S + 1,), variances v, under one error.

    a (S + 1, n), distance (S + 1, n): coordinate along the pair and distance to its line. delta
    (S + 1,): sigma_t^2 e_max/(alpha_t l). kappa (n,): smallest margin at the nodes. held (n,):
    whether it is at least 7.
    """

    pair: Pair
    error: ErrorField
    times: IntArray
    v: Array
    y: Array
    a: Array
    distance: Array
    delta: Array
    kappa: Array
    held: Mask

    def epsilon(self, case: Case) -> Array:
        """What the other modes can add to the segment, for the paths that held, in units of l."""
        if case.mixture.N == 2:
            return np.zeros(int(self.held.sum()))
        kappa = np.minimum(self.kappa[self.held], 700.0)
        return bounds.parallel_excess(case.mixture, self.pair.i, self.pair.j, kappa)

    def remainder(self, case: Case) -> Array:
        """R of the paths that held, in units of y."""
        if case.mixture.N == 2:
            return np.zeros(int(self.held.sum()))
        kappa = np.minimum(self.kappa[self.held], 700.0)
        return bounds.orthogonal_remainder(case.mixture, self.pair.i, self.pair.j, kappa)

    def recursion(self, start: Array, push: Array, remainder: Array | float = 0.0) -> Array:
        """Bound on a distance D with D' <= -D + remainder + push at the later nodes, (S, n).

        push (S + 1,) falls towards the data, so its value at a node bounds it up to the next.
        """
        rows, current = [], start
        for k in range(len(self.v) - 1):
            u = 0.5 * np.log(self.v[k] / self.v[k + 1])
            current = bounds.tube_distance_u(current, u, remainder + push[k])
            rows.append(current)
        return np.array(rows)

    def witness(self, path: int) -> dict[str, Any]:
        """The start of one of the paths that held."""
        index = np.flatnonzero(self.held)[path]
        where = {"pair": [self.pair.i, self.pair.j], "t_start": int(self.times[0])}
        return {**where, "error": self.error.name, "y_start": self.y[0, index]}


def perturbed_paths(case: Case) -> list[PerturbedPaths]:
    """Paths under every error of `_errors` from the window's start to clean data; none without a
    window."""
    window = find_window(case)
    if window is None:
        return []
    return [_solve(case, window, error) for error in _errors(case, window)]


def _solve(case: Case, window: Window, error: ErrorField) -> PerturbedPaths:
    grid = ddim_grid(case).times
    times = grid[grid <= window.t]
    sigma = float(case.mixture.sigma)
    v = case.schedule.effective_variance(sigma)[times]
    field, pair = PerturbedField(case.mixture, error), window.pair
    solver = DormandPrince(rtol=_RTOL, atol=_RTOL * pair.length)
    path = integrate_ode(field, _starts(case, window), v, solver, keep="trajectory").trajectory
    y = np.asarray(path)
    flat = y.reshape(-1, case.mixture.d)
    a = pair.coordinates(flat)[0].reshape(y.shape[:2])
    distance = pair.orthogonal_distance(flat).reshape(y.shape[:2])
    margins = [
        dynamics.dominance_margin(case.mixture, y[k], float(v[k]), (pair.i, pair.j))
        for k in range(len(v))
    ]
    kappa = np.min(margins, axis=0)
    delta = np.array([amplitude(x, sigma) * error.size(x) / pair.length for x in v.tolist()])
    return PerturbedPaths(
        pair, error, times, v, y, a, distance, delta, kappa, np.asarray(kappa >= KAPPA)
    )


def _starts(case: Case, window: Window) -> Array:
    """States around the segment and beyond its ends, some of them on the line."""
    pair, rng = window.pair, case.rng("inexact starts")
    n = max(16, case.pick(6000, 200_000) // (case.mixture.d * case.mixture.N))
    n = min(n, case.pick(96, 2000))
    std = np.sqrt(float(case.mixture.sigma) ** 2 + float(case.schedule.rho[window.t]))
    offset = rng.standard_normal((n, case.mixture.d))
    offset -= (offset @ pair.direction)[:, None] * pair.direction
    offset[::4] = 0.0
    a = rng.uniform(-0.3, 1.3, n)
    return np.asarray(pair.mu_j + a[:, None] * (pair.mu_i - pair.mu_j) + std * offset)


def _errors(case: Case, window: Window) -> Iterator[ErrorField]:
    """Errors along, outward, across and in waves; the size constant in the score or in delta."""
    pair, sigma = window.pair, float(case.mixture.sigma)
    v_start = sigma**2 + float(case.schedule.rho[window.t])
    n, side = pair.direction, across(pair)
    rng = case.rng("inexact errors")
    oblique = rng.standard_normal((2, case.mixture.d))
    oblique /= np.linalg.norm(oblique, axis=1, keepdims=True)
    shapes = {
        "along": Ridge(1.0, n, 0.0 * n, Curve.CONSTANT),
        "outward": Ridge(1.0, n, 6.0 / pair.length * n),
        "waves": Ridge(1.0, oblique[0], 12.0 / pair.length * oblique[1], Curve.SINE),
    }
    if side is not None:
        shapes["across"] = Ridge(1.0, side, 0.0 * side, Curve.CONSTANT)
        shapes["away from the line"] = Ridge(1.0, side, 6.0 / pair.length * side)
    for relative in RELATIVE:
        for kind in ("constant", "growing"):
            size = _size(relative * pair.length, sigma, v_start if kind == "constant" else None)
            for name, ridge in shapes.items():
                label = f"{name}, {kind}, {relative:g} l"
                yield ErrorField(label, pair.midpoint, (ridge,), size)


def _size(velocity: float, sigma: float, v_start: float | None) -> Callable[[float], float]:
    """e_max for a velocity at v_start and the same score error from there on, or (v_start None) for
    that velocity all along."""
    if v_start is None:
        return lambda v: velocity / amplitude(v, sigma)
    return fixed(velocity / amplitude(v_start, sigma))


def hypotheses(found: Sequence[PerturbedPaths]) -> list[Hypothesis]:
    """The three of C.2 and C.3."""
    common = Hypothesis("common_sigma", 1.0, 0.0)
    if not found:
        return [common, Hypothesis("separation", 0.0)]
    kappa = np.concatenate([paths.kappa for paths in found])
    dominance = Hypothesis.from_slack("dominance", np.minimum(kappa, 1e300) - KAPPA)
    return [common, Hypothesis("separation", 1.0, 0.0), dominance]


def error_ratio(case: Case, found: Sequence[PerturbedPaths]) -> float:
    """The largest e_max over |s| = l/(4 alpha v), the score half-way between midpoint and mode."""
    ratios = []
    for paths in found:
        for v in paths.v.tolist():
            alpha = amplitude(v, float(case.mixture.sigma)) / v
            ratios.append(paths.error.size(v) * 4.0 * alpha * v / paths.pair.length)
    return max(ratios)


def path_witness(
    found: Sequence[PerturbedPaths], sides: Sequence[tuple[Array, Array]], index: int
) -> dict[str, Any]:
    """The path behind place `index` of the joined measured sides, each (paths, later nodes)."""
    for paths, (measured, _) in zip(found, sides, strict=True):
        if index < measured.size:
            return paths.witness(index // measured.shape[1])
        index -= measured.size
    raise IndexError(index)


def velocity_error(case: Case, found: Sequence[PerturbedPaths], along: bool) -> tuple[Array, Array]:
    """Velocity of the sampler's perturbed score, and the exact field plus the error's share: along
    the pair, or across it by coordinate, in units of l, at noisy nodes."""
    measured, predicted = [], []
    sigma2 = float(case.mixture.sigma) ** 2
    for paths in found:
        model = perturbed_model(case.mixture, case.schedule, paths.error)
        field = ModelField(model, case.schedule, case.mixture.d, data_var=sigma2)
        for k in range(0, len(paths.v) - 1, 3):
            y, v = paths.y[k], float(paths.v[k])
            split = dynamics.split_drift(case.mixture, paths.pair, y, v)
            push = paths.delta[k] * paths.error.shape(y)
            whole = field.pull(y, v) / paths.pair.length
            part = whole @ paths.pair.direction
            if along:
                measured.append(part)
                predicted.append(split.a_dot + push @ paths.pair.direction)
            else:
                measured.append((whole - part[:, None] * paths.pair.direction).ravel())
                side = push - (push @ paths.pair.direction)[:, None] * paths.pair.direction
                predicted.append((split.xi_dot / paths.pair.length + side).ravel())
    return np.concatenate(measured), np.concatenate(predicted)
