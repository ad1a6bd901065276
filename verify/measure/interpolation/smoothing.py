"""How a trained score on a line differs from the exact one between its modes.

In static coordinates y = x/alpha, z in units of l from the midpoint of two neighbours: the slope of
the flow there, its eigenvalue, against P4.7's; the width over which the predicted x_0 turns from
one mode to the other; and the sigma of the mixture whose exact score is nearest.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn.geometry.dynamics import mean_field
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.checks import Array, IntArray
from mixdyn.support.errors import NotApplicableError

from ...ledger.case import Case
from ..measurement import Measurement
from ..networks.field import LearnedFlow, find_segments, flow_of, variances
from ..networks.models import TrainedModel
from .networks import networks, own_case
from .problems import FAR, NEAR, modes_at

TIMES = (1, 2, 3, 5, 8, 12, 18, 26, 36, 50, 70, 100)
PLACES = np.linspace(-0.5, 0.5, 201)  # z, the midpoint among them
QUARTER = 0.25  # of l: x0_hat counts as turning between the two quarters
_WIDTHS = np.geomspace(0.5, 16.0, 151)  # sigmas tried, in units of the mixture's own,
_COARSE = 10  # every tenth first, then those next to the best of these


@dataclass(frozen=True, eq=False)
class Smoothing:
    """One network at the K times of `TIMES`, over the P closest pairs of its line.

    x0_hat, exact_x0_hat (K, P, G): predictions at `PLACES`, in l from the midpoint. eigenvalue,
    exact_eigenvalue (K, P): of the flow at the midpoint. width, exact_width (K, P): of the turn, in
    l. sigma (K,): the fitted sigma over the mixture's. left (K,): mean square of the score's error
    left by the fit, as a share of that without it. near, between (K,): root mean square errors of
    x0_hat, in l, within and outside three sigma_t/alpha_t of a mode. room (K,): whether anything
    is outside.
    """

    times: IntArray
    x0_hat: Array
    exact_x0_hat: Array
    eigenvalue: Array
    exact_eigenvalue: Array
    width: Array
    exact_width: Array
    sigma: Array
    left: Array
    near: Array
    between: Array
    room: np.ndarray


@Measurement
def smoothing(case: Case, model: TrainedModel) -> Smoothing:
    """Of one model of a case that is a problem of the line."""
    rows = [_at(case, flow_of(case, model), t) for t in TIMES]
    parts = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Smoothing(times=np.array(TIMES), **parts)


def _at(case: Case, flow: LearnedFlow, t: int) -> dict[str, Any]:
    segments, v = find_segments(case), float(variances(case)[t])
    rho, y = float(case.schedule.rho[t]), segments.points(PLACES)
    pulls = {
        "": flow.pull(y.reshape(-1, 1), t).reshape(y.shape),
        "exact_": flow.exact_pull(y.reshape(-1, 1), t).reshape(y.shape),
    }
    found: dict[str, Any] = {}
    for which, pull in pulls.items():
        turned = PLACES + rho / v * segments.along(pull)
        found[f"{which}x0_hat"] = turned
        found[f"{which}width"] = np.array([_turn(row) for row in turned])
    found["eigenvalue"] = flow.jacobian(segments.midpoints, t)[:, 0, 0]
    found["exact_eigenvalue"] = flow.exact_jacobian(segments.midpoints, t)[:, 0, 0]
    error = found["x0_hat"] - found["exact_x0_hat"]
    inside = 0.5 - np.abs(PLACES) <= 3.0 * np.sqrt(v) / segments.length
    found["room"] = bool((~inside).any())
    for name, where in (("near", inside), ("between", ~inside)):
        chosen = error[:, where]
        found[name] = float(np.sqrt(np.mean(chosen**2))) if chosen.size else 0.0
    found["sigma"], found["left"] = _fit(case.mixture, y.reshape(-1, 1), pulls, v, rho)
    return found


def _turn(x0_hat: Array) -> float:
    """The width in z between the last place at or below -1/4 and the first at or above 1/4.

    0 where it jumps, negative where it turns back in between; NaN where it never gets there.
    """
    low, high = np.flatnonzero(x0_hat <= -QUARTER), np.flatnonzero(x0_hat >= QUARTER)
    if low.size == 0 or high.size == 0:
        return float("nan")
    return _crossing(x0_hat, int(high[0]) - 1, QUARTER) - _crossing(x0_hat, int(low[-1]), -QUARTER)


def _crossing(x0_hat: Array, k: int, level: float) -> float:
    """Where the line through the places k and k + 1 meets a level."""
    k = min(max(k, 0), len(PLACES) - 2)
    rise = x0_hat[k + 1] - x0_hat[k]
    share = 0.5 if rise == 0.0 else float(np.clip((level - x0_hat[k]) / rise, 0.0, 1.0))
    return float(PLACES[k] + share * (PLACES[k + 1] - PLACES[k]))


def _fit(
    mixture: GaussianMixture, y: Array, pulls: dict[str, Array], v: float, rho: float
) -> tuple[float, float]:
    """The sigma, over the mixture's, whose exact score is nearest between the modes, and the share
    of the mean square error that it leaves. Scores in units of 1/alpha."""
    learned, exact = (pulls[which].reshape(-1) / v for which in ("", "exact_"))
    without = float(np.mean((learned - exact) ** 2))

    @functools.cache
    def square(k: int) -> float:
        wide = (float(_WIDTHS[k]) * float(mixture.sigma)) ** 2 + rho
        score = (mean_field(mixture, y, wide) - y)[:, 0] / wide
        return float(np.mean((learned - score) ** 2))

    about = min(range(0, len(_WIDTHS), _COARSE), key=square)
    near = range(max(about - _COARSE, 0), min(about + _COARSE + 1, len(_WIDTHS)))
    best = min(near, key=square)
    return float(_WIDTHS[best]), square(best) / max(without, 1e-300)


# -- for figures ---------------------------------------------------------------------------------


@Measurement
def score_smoothing(case: Case) -> dict[str, Any]:
    """n places along a segment; models (A,); times (K,); places (n,) in l from the midpoint; x0_hat
    (A, K, n) and exact_x0_hat (K, n) on the first pair, in l from its midpoint; eigenvalue (A, K),
    exact_eigenvalue (K,), width (A, K) over the exact one, sigma (A, K) over the true one, left
    (A, K): means over the pairs."""
    found = {
        net.model.name: smoothing(own_case(case, modes_at(places)), net.model)
        for places in (NEAR, FAR)
        for net in networks(case, modes_at(places))
    }
    if not found:
        raise NotApplicableError(
            "this measurement needs networks on lines", "none among the shipped ones", "Train one."
        )
    each = list(found.values())
    return {
        "n": len(PLACES),
        "models": list(found),
        "times": each[0].times,
        "places": PLACES,
        "x0_hat": np.array([s.x0_hat[:, 0] for s in each]),
        "exact_x0_hat": each[0].exact_x0_hat[:, 0],
        "eigenvalue": np.array([s.eigenvalue.mean(axis=1) for s in each]),
        "exact_eigenvalue": each[0].exact_eigenvalue.mean(axis=1),
        "width": np.array([(s.width / s.exact_width).mean(axis=1) for s in each]),
        "sigma": np.array([s.sigma for s in each]),
        "left": np.array([s.left for s in each]),
        "room": each[0].room,
    }
