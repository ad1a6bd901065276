"""Grids of K steps that end at one last noisy time, and what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np

import mixdyn
from mixdyn.problem import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.problem.time_grid import distinct_times
from mixdyn.samplers import DDIM, DDPM
from mixdyn.samplers.best_grid import best_grid
from mixdyn.score.information_curve import Curve
from mixdyn.support.checks import Array, IntArray

from ...ledger.case import Case
from ..measurement import Measurement

BEST, LEAST = "price", "least total"
COUNTS = (5, 10, 20, 30, 50, 100)


def grids(mixture: GaussianMixture, schedule: NoiseSchedule, steps: int) -> dict[str, TimeGrid]:
    """By name; all end at time 1."""
    T = schedule.T
    return {
        BEST: best_grid(mixture, schedule, steps),
        LEAST: best_grid(mixture, schedule, steps, start_nats=np.inf),
        "quadratic": TimeGrid.quadratic(T, steps),
        "linspace": TimeGrid.linspace(T, steps),
        "log SNR": TimeGrid.log_snr(schedule, steps),
        "Karras": karras(schedule, steps),
        "equal arc": equal_arc(mixture, schedule, steps),
    }


def karras(schedule: NoiseSchedule, steps: int, power: float = 7.0) -> TimeGrid:
    """Times nearest to levels evenly spaced in sigma^(1/7), from T to 1 (arXiv 2206.00364)."""
    sigma = np.sqrt(schedule.rho[1:])
    start, end = (float(level) ** (1.0 / power) for level in (sigma[-1], sigma[0]))
    return _nearest(sigma, np.linspace(start, end, steps) ** power, schedule.T)


def equal_arc(mixture: GaussianMixture, schedule: NoiseSchedule, steps: int) -> TimeGrid:
    """Times nearest to equal shares of int sqrt(-d mmse/dg) dg from T to 1: where many steps of the
    least price tend, and what a schedule that adapts to the training loss aims at (arXiv
    2601.21943), here with the exact mmse."""
    rho = schedule.rho[1:][::-1]
    curve = Curve.of(mixture, rho)
    fall = np.maximum(-np.diff(curve.mmse), 0.0) * np.diff(1.0 / rho)
    arc = np.concatenate([[0.0], np.cumsum(np.sqrt(fall))])
    place = np.interp(np.linspace(0.0, arc[-1], steps), arc, np.arange(len(arc), dtype=float))
    return _grid(schedule.T - np.rint(place).astype(int), schedule.T)


def _nearest(values: Array, wanted: Array, T: int) -> TimeGrid:
    at = np.interp(wanted, values, np.arange(1.0, T + 1.0))
    return _grid(np.rint(at).astype(int), T)


def _grid(times: IntArray, T: int) -> TimeGrid:
    """Of falling times, which may repeat."""
    return TimeGrid([*distinct_times(times[::-1], T)[::-1].tolist(), 0], T)


@Measurement
def grid_prices(case: Case, problem: str = "own") -> dict[str, Any]:
    """names (G,) of grids, counts (K,), start and steps (G, K) of their price, errors (G, K); full
    (2,) of DDPM; n draws where they are not integrals. problem : the case's own, or 25 modes in 64
    dimensions under its schedule."""
    mixture = case.mixture if problem == "own" else presets.farthest_point(d=64)
    counts = [k for k in COUNTS if k <= case.schedule.T]
    found = [grids(mixture, case.schedule, k) for k in counts]
    price = [
        [mixdyn.price(mixture, case.schedule, DDIM(spacing=g, eta=1.0)) for g in by_name.values()]
        for by_name in found
    ]
    every = mixdyn.price(mixture, case.schedule, DDPM())
    drawn = Curve.of(mixture, case.schedule.rho[[-1, 1]]).drawn
    return {
        "n": np.array([0 if drawn is None else drawn.draws]),
        "names": list(found[0]),
        "counts": np.array(counts),
        "start": np.array([[p.start for p in row] for row in price]).T,
        "steps": np.array([[p.steps for p in row] for row in price]).T,
        "error": np.array([[p.error for p in row] for row in price]).T,
        "full": np.array([every.start, every.steps]),
    }


@Measurement
def both_prices(case: Case) -> dict[str, Any]:
    """`grid_prices` of the case, its keys after own_, and of 25 modes in 64 dimensions under the
    same schedule, after high_; names and counts are theirs. best: names of the two grids of
    least price, the first with a start of few nats."""
    own, high = grid_prices(case), grid_prices(case, "high")
    shared = {"n": high["n"], **{key: own[key] for key in ("names", "counts")}}
    shared["best"] = [BEST, LEAST]
    keys = ("start", "steps", "error", "full")
    return {
        **shared,
        **{f"own_{key}": own[key] for key in keys},
        **{f"high_{key}": high[key] for key in keys},
    }
