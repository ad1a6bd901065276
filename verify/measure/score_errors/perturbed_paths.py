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

from ...ledger.claim import Case, Claim, Finding, Hypothesis, Verdict
from ...ledger.controls import narrowest
from ...ledger.relations import Comparison, Equality, Upper, compare
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


# -- the judgement on a distance along the paths -------------------------------------------------

Sides = tuple[Array, Array]  # measured and bound, or measured and predicted
TOLERANCE = Upper(rtol=1e-9, atol=1e-8)


@dataclass(frozen=True)
class Distance:
    """A distance over l that a claim bounds along the paths.

    sides: the distance at later nodes and its bound, (paths that held, later nodes) each. velocity:
    the name of the check of the velocity along the pair, or across it. more: further comparisons.
    """

    name: str
    velocity: str
    along: bool
    sides: Callable[[PerturbedPaths], Sides]
    more: Callable[[Sequence[PerturbedPaths]], list[Comparison]] = lambda found: []
    flat: bool = False  # whether the distance is zero for want of a direction


def forgetful(judge: Callable[[float], Verdict]) -> dict[str, Verdict]:
    """Mutants of a claim whose bound counts the error: judge(factor) with a factor on it."""
    return {
        "without the error's term": judge(0.0),
        "half the error": judge(0.5),
    } | narrowest("(1 - {}) of the error", lambda less: judge(1.0 - less), 0.5)


def judge_distance(claim: Claim, case: Case, what: Distance) -> Verdict:
    """The row of a claim: its distance and bound, and the velocity, on all perturbed paths."""
    found = case.memo("inexact paths", lambda: perturbed_paths(case))
    held = [paths.held for paths in found]
    if not found or not np.concatenate(held).any():
        return claim.judge(case, Finding(hypotheses=_hypotheses(found), applicable_share=0.0))
    sides = [what.sides(paths) for paths in found]
    measured, bound = join(sides)
    velocity = case.memo(
        f"{claim.id} velocity", lambda: _velocity_error(case, found, along=what.along)
    )
    comparisons = [
        compare(f"{what.name} in units of l", TOLERANCE, measured, bound),
        *what.more(found),
        compare(what.velocity, Equality(atol=1e-9), *velocity),
    ]

    def witness(comparison: Comparison) -> dict[str, Any]:
        if comparison is not comparisons[0]:
            return {"quantity": comparison.name}
        return _witness(found, sides, comparison.index)

    finding = Finding(
        comparisons=comparisons,
        hypotheses=_hypotheses(found),
        applicable_share=float(np.concatenate(held).mean()),
        nonvacuous_share=0.0 if what.flat else float(np.mean(bound < 0.5)),
        witness=witness,
        unit="path nodes",
        note="On a line every state lies on the line of the pair." if what.flat else "",
        numbers={
            f"largest {what.name} at a later node, in units of l": float(measured.max()),
            "largest σ_t² e_max/α_t, in units of l": max(float(p.delta.max()) for p in found),
            "largest e_max over the size of the score between the modes": _error_ratio(case, found),
        },
    )
    return claim.judge(case, finding)


def join(sides: Sequence[Sides]) -> Sides:
    """The two sides over all errors, flat."""
    measured, bound = (np.concatenate([side[k].ravel() for side in sides]) for k in (0, 1))
    return measured, bound


def _hypotheses(found: Sequence[PerturbedPaths]) -> list[Hypothesis]:
    """The three of the claims on paths."""
    common = Hypothesis("common_sigma", 1.0, 0.0)
    if not found:
        return [common, Hypothesis("separation", 0.0)]
    kappa = np.concatenate([paths.kappa for paths in found])
    dominance = Hypothesis.from_slack("dominance", np.minimum(kappa, 1e300) - KAPPA)
    return [common, Hypothesis("separation", 1.0, 0.0), dominance]


def _error_ratio(case: Case, found: Sequence[PerturbedPaths]) -> float:
    """The largest e_max over |s| = l/(4 alpha v), the score half-way between midpoint and mode."""
    ratios = []
    for paths in found:
        for v in paths.v.tolist():
            alpha = amplitude(v, float(case.mixture.sigma)) / v
            ratios.append(paths.error.size(v) * 4.0 * alpha * v / paths.pair.length)
    return max(ratios)


def _witness(found: Sequence[PerturbedPaths], sides: Sequence[Sides], index: int) -> dict[str, Any]:
    """The path behind place `index` of the joined measured sides, each (paths, later nodes)."""
    for paths, (measured, _) in zip(found, sides, strict=True):
        if index < measured.size:
            return paths.witness(index // measured.shape[1])
        index -= measured.size
    raise IndexError(index)


def _velocity_error(case: Case, found: Sequence[PerturbedPaths], along: bool) -> Sides:
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
