"""Six schemes on Gaussian data, eigenvalue by eigenvalue, and a published table of their W2.

The process of arXiv 2405.14250 v5: dx = -beta x dt + sqrt(2 beta) dw on 0 <= t <= 1, beta linear
from 0.05 to 10, B its integral. `points` times from 1 down to the truncation time are points - 1
steps. Every scheme turns a variance V into gain^2 V + noise, so its end is affine in the start's.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.support.checks import Array

from ..ledger import standard
from ..ledger.case import Case
from .measurement import Measurement

_FROM, _TO = 0.05, 10.0
on_standard = functools.partial(
    standard.on_standard,
    why="The process is the one of arXiv 2405.14250; the standard case shows it.",
)
Step = tuple[Array | float, Array | float]  # the gain and the variance of the noise


def beta(t: Any) -> Any:
    """The rate at time t."""
    return _FROM + (_TO - _FROM) * t


def integral(t: Any) -> Any:
    """B, of the rate from 0 to t."""
    return _FROM * t + 0.5 * (_TO - _FROM) * t**2


def variance(eigenvalues: Array, t: Any) -> Array:
    """Of x_t, where the data have these eigenvalues."""
    two_b = 2.0 * integral(t)
    return np.exp(-two_b) * eigenvalues - np.expm1(-two_b)


def _flow(eigenvalues: Array, t: Any) -> Array:
    """The probability flow's rate of growth, backwards in time."""
    return np.asarray(beta(t) * (1.0 - 1.0 / variance(eigenvalues, t)))


def _euler_maruyama(lam: Array, t: Any, s: Any) -> Step:
    h = (t - s) * beta(t)
    return 1.0 + h * (1.0 - 2.0 / variance(lam, t)), 2.0 * h


def _exponential(lam: Array, t: Any, s: Any) -> Step:
    b = integral(t) - integral(s)
    return 1.0 + np.expm1(b) * (1.0 - 2.0 / variance(lam, t)), np.expm1(2.0 * b)


def _ddpm(lam: Array, t: Any, s: Any) -> Step:
    b = 2.0 * (t - s) * beta(t)
    return (1.0 - b / variance(lam, t)) / np.sqrt(1.0 - b), b


def _euler(lam: Array, t: Any, s: Any) -> Step:
    return 1.0 + (t - s) * _flow(lam, t), 0.0


def _heun(lam: Array, t: Any, s: Any) -> Step:
    h, c, d = t - s, _flow(lam, t), _flow(lam, s)
    return 1.0 + 0.5 * h * (c + d * (1.0 + h * c)), 0.0


def _rk4(lam: Array, t: Any, s: Any) -> Step:
    h, c, m, d = t - s, _flow(lam, t), _flow(lam, 0.5 * (t + s)), _flow(lam, s)
    k2 = m * (1.0 + 0.5 * h * c)
    k3 = m * (1.0 + 0.5 * h * k2)
    return 1.0 + h / 6.0 * (c + 2.0 * k2 + 2.0 * k3 + d * (1.0 + h * k3)), 0.0


SCHEMES: Mapping[str, Callable[[Array, Any, Any], Step]] = {
    "EM": _euler_maruyama,
    "EI": _exponential,
    "DDPM": _ddpm,
    "Euler": _euler,
    "Heun": _heun,
    "RK4": _rk4,
}
NOISY = ("EM", "EI", "DDPM")
CALLS = {"Heun": 2, "RK4": 4}  # evaluations of the score a step, 1 for the others
STARTS = ("p_T", "N(0, I)")


def times(points: int, truncation: Any) -> Array:
    """(points, ...) from 1 down to the truncation times."""
    k = np.arange(points).reshape(-1, *(1,) * np.ndim(truncation))
    return 1.0 - (1.0 - truncation) * k / (points - 1)


def end_variance(scheme: str, points: int, truncation: Any, lam: Array) -> Array:
    """(2, ..., k) variances of the end from p_T and from N(0, I): truncation times (...), 1."""
    gain, noise = np.ones(1), np.zeros(1)
    grid = times(points, truncation)
    for t, s in itertools.pairwise(grid):
        factor, added = SCHEMES[scheme](lam, t, s)
        gain, noise = gain * factor, noise * np.square(factor) + added
    starts = (variance(lam, 1.0), np.ones_like(lam))
    return np.stack([np.square(gain) * start + noise for start in starts])


def continuous_variance(noisy: bool, truncation: Any, lam: Array) -> Array:
    """(2, ..., k) the same of the reverse SDE, or of the probability flow, solved exactly."""
    here, first = variance(lam, truncation), variance(lam, 1.0)
    if not noisy:
        return np.stack([here + 0.0 * first, here / first])
    kept = np.exp(2.0 * (integral(truncation) - integral(1.0))) * np.square(here) / first
    return np.stack([here + 0.0 * kept, here + kept * (1.0 / first - 1.0)])


def squared_errors(end: Array, lam: Array) -> Array:
    """Of the standard deviation along each eigenvector; their sum is W2 squared."""
    return np.square(np.sqrt(end) - np.sqrt(lam))


# -- the published table -------------------------------------------------------------------------

DIMENSION = 3072  # 32 x 32 images of three colours
TRUNCATIONS = (0.0, 1e-5, 1e-4, 1e-3)
COSTS = (50, 250, 500, 1000)  # its columns: evaluations of the score
# By scheme and truncation time: W2 of the continuous process and at each cost, from p_T and from
# N(0, I); a dash where it is infinite.
PRINTED = """
EM    0    0       6.7E-04 4.78  4.78  0.65 0.66 0.32 0.32 0.16 0.16
EM    1e-5 4.1E-03 4.2E-03 4.77  4.77  0.66 0.66 0.32 0.32 0.16 0.16
EM    1e-4 0.03    0.03    4.76  4.76  0.66 0.66 0.32 0.32 0.17 0.17
EM    1e-3 0.18    0.18    4.68  4.68  0.70 0.70 0.40 0.40 0.27 0.27
EI    0    0       6.7E-04 2.81  2.81  0.57 0.57 0.30 0.30 0.16 0.16
EI    1e-5 4.1E-03 4.2E-03 2.81  2.81  0.57 0.57 0.30 0.30 0.16 0.16
EI    1e-4 0.03    0.03    2.82  2.82  0.58 0.58 0.31 0.31 0.17 0.17
EI    1e-3 0.18    0.18    2.91  2.91  0.67 0.67 0.41 0.41 0.29 0.29
DDPM  0    0       6.7E-04 6.82  6.82  0.97 0.97 0.47 0.47 0.23 0.23
DDPM  1e-5 4.1E-03 4.2E-03 6.82  6.82  0.97 0.97 0.47 0.47 0.24 0.23
DDPM  1e-4 0.03    0.03    6.81  6.81  0.98 0.98 0.47 0.47 0.24 0.24
DDPM  1e-3 0.18    0.18    6.74  6.74  1.00 1.00 0.53 0.53 0.32 0.32
Euler 0    0       0.07    1.72  1.78  0.38 0.44 0.20 0.26 0.10 0.17
Euler 1e-5 4.1E-03 0.07    1.72  1.78  0.38 0.44 0.20 0.26 0.10 0.17
Euler 1e-4 0.03    0.08    1.72  1.78  0.38 0.44 0.20 0.26 0.11 0.17
Euler 1e-3 0.18    0.19    1.73  1.79  0.42 0.48 0.27 0.32 0.21 0.25
Heun  0    0       0.07    -     -     -    -    -    -    -    -
Heun  1e-5 4.1E-03 0.07    23.42 23.42 2.86 2.87 1.05 1.06 0.37 0.38
Heun  1e-4 0.03    0.08    4.68  4.68  0.43 0.44 0.12 0.14 0.03 0.08
Heun  1e-3 0.18    0.19    0.58  0.59  0.13 0.15 0.16 0.18 0.17 0.19
RK4   0    0       0.07    -     -     -    -    -    -    -    -
RK4   1e-5 4.1E-03 0.07    67.32 67.32 5.49 5.49 2.11 2.11 0.77 0.77
RK4   1e-4 0.03    0.08    14.35 14.35 0.93 0.93 0.29 0.29 0.07 0.10
RK4   1e-3 0.18    0.19    2.60  2.60  0.09 0.12 0.15 0.17 0.17 0.19
"""


@dataclass(frozen=True)
class Entry:
    """A printed number. cost : 0 for the continuous process. half : of a unit of its last digit."""

    scheme: str
    truncation: float
    cost: int
    start: str
    value: float
    half: float


def entries() -> Iterator[Entry]:
    """Those that say something: neither the zeros nor the infinities."""
    for line in PRINTED.split("\n")[1:-1]:
        scheme, truncation, *texts = line.split()
        for k, text in enumerate(texts):
            if text not in ("0", "-"):
                digits = len(text.partition("E")[0].partition(".")[2])
                half = 0.5 * 10.0 ** (int(text.partition("E")[2] or 0) - digits)
                place = (float(truncation), (0, *COSTS)[k // 2], STARTS[k % 2])
                yield Entry(scheme, *place, float(text), half)


# What a column's cost is read as, in evaluations of the score a step.
AS_STATED = tuple(CALLS.items())
AS_FOUND = (("Heun", 1), ("RK4", 4))
Reading = tuple[tuple[str, int], ...]


def points_at(scheme: str, cost: int) -> int:
    """How many times a scheme has that asks for the score `cost` times."""
    return cost // CALLS.get(scheme, 1) + 1


def points_of(scheme: str, cost: int, reading: Reading) -> int:
    """How many times a scheme has at a cost."""
    return cost // dict(reading).get(scheme, 1)


def table_errors(reading: Reading, lam: Array, extra: int = 0) -> Array:
    """(entries, k) what one eigenvalue of each size adds to the square of each entry.

    extra : points more than `points_of`.
    """
    truncation, found = np.array(TRUNCATIONS)[:, None], {}
    with np.errstate(divide="ignore", invalid="ignore"):  # 1/0 at no truncation
        for scheme in SCHEMES:
            end = continuous_variance(scheme in NOISY, truncation, lam)
            found[scheme, 0] = squared_errors(end, lam)
            for cost in COSTS:
                points = points_of(scheme, cost, reading) + extra
                end = end_variance(scheme, points, truncation, lam)
                found[scheme, cost] = squared_errors(end, lam)
    return np.stack(
        [
            found[e.scheme, e.cost][STARTS.index(e.start), TRUNCATIONS.index(e.truncation)]
            for e in entries()
        ]
    )


_NODES = np.concatenate([[0.0], np.geomspace(1e-8, 1e3, 241)])
_FINER = np.concatenate([[0.0], np.geomspace(1e-10, 1e5, 1501)])


@Measurement
def table_fit(case: Case, reading: Reading, extra: int = 0) -> Mapping[str, Array]:
    """The spectrum of `DIMENSION` eigenvalues whose table is nearest to the printed one.

    eigenvalues, counts (k,), counts >= 0 of any real size. miss (entries,) : of W2 squared, in half
    units of the printed last digit. least : no spectrum comes nearer than this in the largest, by
    the dual of the linear programme, at six times as many eigenvalues. value (entries,) : its W2.
    """
    from scipy.optimize import linprog

    printed = [*entries()]
    low, high = (
        np.array([np.square(e.value + sign * e.half) for e in printed]) for sign in (-1.0, 1.0)
    )
    half, middle = 0.5 * (high - low), 0.5 * (high + low)
    unit = table_errors(reading, _NODES, extra)
    scaled, wanted = unit / half[:, None], middle / half
    n, slack = len(_NODES), np.ones((len(half), 1))
    solved = linprog(
        np.r_[np.zeros(n), 1.0],
        A_ub=np.block([[scaled, -slack], [-scaled, -slack]]),
        b_ub=np.r_[wanted, -wanted],
        A_eq=np.r_[np.ones(n), 0.0][None],
        b_eq=[DIMENSION],
        method="highs",
    )
    counts = np.maximum(solved.x[:-1], 0.0)
    # Multipliers z of absolute sum 1, any spectrum: max |miss| >= z (wanted - scaled counts).
    above, below = np.split(solved.ineqlin.marginals, 2)
    z = (above - below) / np.abs(above - below).sum()
    dearest = (z @ (table_errors(reading, _FINER, extra) / half[:, None])).max()
    kept = counts > 0.0
    return {
        "eigenvalues": _NODES[kept],
        "counts": counts[kept],
        "miss": (unit @ counts - middle) / half,
        "least": np.array(z @ wanted - DIMENSION * dearest),
        "value": np.sqrt(unit @ counts),
    }


@Measurement
def ablation(case: Case) -> Mapping[str, Array]:
    """W2 on the spectrum that gives the table, (schemes, ...) each.

    steps : at `costs`, from p_T, truncated at 1e-3. start : its change with N(0, I). truncated : at
    `truncations`, 500 evaluations, from N(0, I). floor : of the exact process, at 1e-3.
    """
    fit = table_fit(case, AS_FOUND)
    lam, counts = fit["eigenvalues"], fit["counts"]
    costs = np.unique(np.geomspace(24, 2000, 14).astype(int) // 4 * 4)
    truncations = np.geomspace(1e-5, 1e-1, 13)

    def w2(end: Array) -> Array:
        return np.asarray(np.sqrt(squared_errors(end, lam) @ counts))

    def at(scheme: str, cost: int, truncation: Array | float) -> Array:
        return w2(end_variance(scheme, points_at(scheme, cost), truncation, lam))

    by_cost = np.array([[at(scheme, cost, 1e-3) for cost in costs] for scheme in SCHEMES])
    return {
        "n": np.array(DIMENSION),
        "schemes": np.array([*SCHEMES]),
        "costs": costs,
        "truncations": truncations,
        "steps": by_cost[..., 0],
        "start": np.abs(by_cost[..., 1] - by_cost[..., 0]),
        "truncated": np.array([at(scheme, 500, truncations[:, None])[1] for scheme in SCHEMES]),
        "floor": w2(continuous_variance(False, 1e-3, lam)[0]),
    }
