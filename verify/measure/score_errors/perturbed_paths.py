"""Paths of the flow between the two closest modes under synthetic errors of the score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds
from mixdyn.geometry import Mask, Pair, dynamics
from mixdyn.solvers.field import ModelField
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array, IntArray

from ...ledger.case import Case
from ...ledger.sides import Part, Side, Tolerance
from ...ledger.verdict import Hypothesis
from ..midpoint.stretch import Window, find_window
from ..paths import KAPPA, ddim_grid
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

        push (S + 1,) at the nodes. Between two of them it is at most the larger of the two: alpha v
        falls and then rises with v, and the error's size is constant or its inverse.
        """
        rows, current = [], start
        for k in range(len(self.v) - 1):
            u = 0.5 * np.log(self.v[k] / self.v[k + 1])
            current = bounds.tube_distance_u(current, u, remainder + max(push[k], push[k + 1]))
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
    grid, errors = ddim_grid(case).times, [*_errors(case, window)]
    times = grid[grid <= window.t]
    v = case.schedule.effective_variance(float(case.mixture.sigma))[times]
    starts = np.tile(_starts(case, window), (len(errors), 1))
    solver = DormandPrince(rtol=_RTOL, atol=_RTOL * window.pair.length)
    field = PerturbedField(case.mixture, *errors)
    path = integrate_ode(field, starts, v, solver, keep="trajectory").trajectory
    each = np.split(np.asarray(path), len(errors), axis=1)
    return [
        _paths(case, window.pair, error, times, np.ascontiguousarray(y))
        for error, y in zip(errors, each, strict=True)
    ]


def _paths(case: Case, pair: Pair, error: ErrorField, times: IntArray, y: Array) -> PerturbedPaths:
    sigma = float(case.mixture.sigma)
    v = case.schedule.effective_variance(sigma)[times]
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


# -- a distance along the paths ------------------------------------------------------------------

Sides = Callable[[PerturbedPaths], tuple[Array, Array]]
TOLERANCE = Tolerance(rtol=1e-9, atol=1e-8)


def along_paths(
    case: Case,
    name: str,
    sides: Sides,
    velocity: str,
    *,
    along: bool,
    more: Callable[[PerturbedPaths], Side] | None = None,
) -> Iterator[Part]:
    """The row of a claim that bounds a distance over l along the paths.

    sides: the distance at later nodes and its bound, (paths that held, later nodes) each. velocity:
    the name of the check of the velocity along the pair, or across it. more: a side of each error
    besides.
    """
    found = case.memo("inexact paths", lambda: perturbed_paths(case))
    yield from _hypotheses(found)
    if not any(paths.held.any() for paths in found):
        return
    distance = Side.joined([_distance(name, paths, *sides(paths)) for paths in found])
    yield distance
    if more is not None:
        yield Side.joined([more(paths) for paths in found])
    measured, predicted = case.memo(
        f"inexact velocity {along}", lambda: _velocity_error(case, found, along=along)
    )
    yield Side(velocity, measured, equals=predicted, tolerance=Tolerance(atol=1e-9))
    yield lambda: {
        f"largest {name} at a later node, in units of l": float(distance.left.max()),
        "largest σ_t² e_max/α_t, in units of l": max(float(p.delta.max()) for p in found),
        "largest e_max over the size of the score between the modes": _error_ratio(case, found),
    }


def _distance(name: str, paths: PerturbedPaths, measured: Array, bound: Array) -> Side:
    return Side(
        f"{name} in units of l",
        measured,
        at_most=bound,
        tolerance=TOLERANCE,
        telling=bound < 0.5,
        where=lambda path, node: paths.witness(path),
    )


def _hypotheses(found: Sequence[PerturbedPaths]) -> Iterator[Part]:
    """Separation and dominance, the share of paths on which they held."""
    if not found:
        yield Hypothesis("separation", 0.0)
        return
    kappa = np.concatenate([paths.kappa for paths in found])
    yield Hypothesis("separation", 1.0, 0.0)
    yield Hypothesis.from_slack("dominance", np.minimum(kappa, 1e300) - KAPPA)


def _error_ratio(case: Case, found: Sequence[PerturbedPaths]) -> float:
    """The largest e_max over |s| = l/(4 alpha v), the score half-way between midpoint and mode."""
    ratios = []
    for paths in found:
        for v in paths.v.tolist():
            alpha = amplitude(v, float(case.mixture.sigma)) / v
            ratios.append(paths.error.size(v) * 4.0 * alpha * v / paths.pair.length)
    return max(ratios)


def _velocity_error(
    case: Case, found: Sequence[PerturbedPaths], along: bool
) -> tuple[Array, Array]:
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
