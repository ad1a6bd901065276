r"""Paths next to a mode track one another.

Statement: On a convex set that the flow does not leave, two paths approach each other at the rate
    $\lambda = \inf (1 - \lambda_{max}(\mathrm{Cov}_\gamma/v))$: $|\delta(u)| \le e^{-\lambda u}
    |\delta(0)|$. In the ball of radius $r$ around mode $i$, with $L_k = |\mu_k - \mu_i|$ and
    $P_n(r) = \sum_k \frac{w_k}{w_i} L_k^n e^{-(L_k^2 - 2 r L_k)/(2v)}$, $\lambda \ge 1 - P_2(r)/v$,
    and $P_1(r) \le r$ makes the ball invariant; both improve as $v$ falls.
Hypotheses:
    - common_sigma: all modes share one sigma.
    - separation: from some node on $P_1(r) \le r$, $P_2(r) < v$ and $2v \le l(l - 2r)$, with $l$
        the distance to the nearest mode.
Measured: distances between pairs of paths that start in balls of radius 0.1, 0.25 and 0.4 $l$, at
    the first node that serves every mode looked at; the distance to the mode; the largest
    eigenvalue of the engine's Jacobian in the ball at the start.
Predicted: $e^{-\lambda u}$ with $\lambda$ at the start; the product of such factors with $\lambda$
    at every node; the radius; $-\lambda$.
Evidence: sampled starts, solved to 1e-11. Certified: the flow does not leave the cube in each of
    the balls of radius 0.25 $l$, and no eigenvalue in it is above $-\lambda$, at every level from
    that node on.
Source: arXiv 2605.06831 v1, Corollary 4.6
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.proof import Law, Statement
from mixdyn.support.checks import Array, IntArray
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Basis, Hypothesis
from verify.measure.continuum import NO_TOLERANCE, can_prove, certified, node
from verify.measure.midpoint.traps import node_variances
from verify.measure.paths import Paths, flow_from, flow_tolerance

CLAIM = Claim.from_docstring(
    __doc__,
    id="C4.6",
    short="tracking",
    rests_on={"P4.5": "an invariant ball around the mode", "G.2": "the Jacobian Cov/v - I"},
    needs=(
        modes(2),
        one_sigma.because("its rate is an eigenvalue over the one clock; X3 has the general form"),
    ),
    derivation="derivations/modes/tracking.py",
    no_narrow_control={Basis.CERTIFIED: NO_TOLERANCE},
    does_not_show=(
        "Anything about paths in two basins, whose distance grows, or about noise: paths of the "
        "reverse SDE on their own noise do not approach each other."
    ),
)

SHARES = (0.1, 0.25, 0.4)
MAX_MODES = 12


@CLAIM.sampled(unit="pairs × nodes")
def tracking(
    case: Case, factor: float = 1.0, fixed: float | None = None, straddle: bool = False
) -> Iterator[Part]:
    """Pairs of paths around every mode. factor: on lambda; fixed: in place of lambda at the start;
    straddle: starts on both sides of a saddle."""
    balls = case.memo(f"C4.6 balls {straddle}", lambda: _balls(case, straddle))
    yield Hypothesis("separation", len(balls) / len(SHARES))
    if not balls:
        yield "No node of the papers' grid makes a ball around every mode invariant."
        return
    sides = [_sides(case, ball, factor, fixed) for ball in balls]
    yield from map(Side.joined, zip(*sides, strict=True))
    yield _numbers(balls[-1])


def _sides(case: Case, ball: Ball, factor: float, fixed: float | None) -> list[Side]:
    """One size of ball: distances at later nodes (S, n), then the eigenvalue at the start (n,)."""
    u = 0.5 * np.log(ball.first.v[0] / ball.first.v)
    start, rate = ball.distance[0], factor * ball.rate
    slow = rate[0] if fixed is None else np.full(len(ball.mode), fixed)
    # The rate grows along a path, so that its value at a node serves to the next one.
    elapsed = np.cumsum(rate[:-1] * np.diff(u)[:, None], axis=0)
    away = np.linalg.norm(ball.first.y[1:] - case.mixture.means[ball.mode], axis=2)
    two, later = "distance between two paths, λ at ", ball.distance[1:]
    bounded = {
        f"{two}the start": (later, np.exp(-slow * u[1:, None]) * start),
        f"{two}every node": (later, np.exp(-elapsed) * start),
        "distance to the mode": (away, ball.radius),
        "largest eigenvalue in the ball": (ball.largest, -slow),
    }
    paths = Tolerance(rtol=1e-9, atol=flow_tolerance(case))
    return [
        Side(
            name,
            left,
            at_most=right,
            tolerance=paths if left.ndim == 2 else Tolerance(atol=1e-9),
            where=lambda *place: ball.witness(place[-1]),
        )
        for name, (left, right) in bounded.items()
    ]


CLAIM.must_fail(tracking, "λ = 1.05", fixed=1.05)
CLAIM.must_fail(tracking, "one start beyond the saddle", straddle=True)
CLAIM.must_fail_narrowly(tracking, "(1 + {}) λ in place of λ", 1.0, factor=lambda more: 1.0 + more)


@dataclass(frozen=True)
class Ball:
    """Pairs of paths that start in balls of one relative size, at one node.

    share: radius over the distance to the nearest mode. mode (n,), radius (n,): of each pair.
    first, second: the two paths of each pair. rate (S + 1, n): lambda at every node. largest (n,):
    the largest eigenvalue at the first path's start.
    """

    share: float
    mode: IntArray
    radius: Array
    first: Paths
    second: Paths
    rate: Array
    largest: Array

    @property
    def distance(self) -> Array:
        """(S + 1, n) between the two paths."""
        return np.linalg.norm(self.first.y - self.second.y, axis=2)

    def witness(self, pair: int) -> dict[str, Any]:
        """Where a pair of paths starts."""
        starts = {"y_first": self.first.y[0, pair], "y_second": self.second.y[0, pair]}
        return {"mode": int(self.mode[pair]), "t_start": int(self.first.times[0]), **starts}


def _numbers(widest: Ball) -> dict[str, float]:
    """What the widest balls did."""
    return {
        "raw time of the start, widest balls": int(widest.first.times[0]),
        "their radius over the distance to the nearest mode": widest.share,
        "their least λ at the start": float(widest.rate[0].min()),
        "contraction to the end of a path that one mode owns": float(
            np.sqrt(widest.first.v[-1] / widest.first.v[0])
        ),
        "largest contraction factor measured": float(
            (widest.distance[-1] / widest.distance[0]).max()
        ),
    }


def _balls(case: Case, straddle: bool) -> list[Ball]:
    gap, _ = _nearest_modes(case.mixture.means)
    modes = np.sort(case.rng("C4.6").permutation(case.mixture.N)[:MAX_MODES])
    found = []
    for share in SHARES:
        node = _first_node(case, modes, gap, share)
        if node is not None:
            found.append(_ball(case, share, modes, gap, node, straddle))
    return found


def _first_node(case: Case, modes: IntArray, gap: Array, share: float) -> int | None:
    """The first noisy node at which the ball of every mode meets the hypothesis."""
    for place, v in enumerate(node_variances(case)[:-1].tolist()):
        # Beyond this the rate would fall before it rises.
        if 2.0 * v > gap[modes].min() ** 2 * (1.0 - 2.0 * share):
            continue
        if all(_serves(case, mode, share * float(gap[mode]), v) for mode in modes.tolist()):
            return place
    return None


def _serves(case: Case, mode: int, radius: float, v: float) -> bool:
    if float(bounds.ball_pull(case.mixture, mode, radius, v)) > radius:
        return False
    return float(bounds.tracking_rate(case.mixture, mode, radius, v)) > 0.0


def _ball(case: Case, share: float, mode: IntArray, gap: Array, node: int, straddle: bool) -> Ball:
    """Pairs of starts in the balls of the given modes, their paths and rates."""
    rng, mixture = case.rng(f"C4.6 {share}"), case.mixture
    mode = np.repeat(mode, case.pick(10, 100))
    radius, centre = share * gap[mode], mixture.means[mode]
    n, d = centre.shape
    starts = [centre + radius[:, None] * _in_ball(rng, n, d, wall) for wall in (True, False)]
    if straddle:
        _, nearest = _nearest_modes(mixture.means)
        way = mixture.means[nearest[mode]] - centre
        starts = [centre + step * way for step in (0.2, 0.75)]
    both = flow_from(case, np.concatenate(starts), node)
    first, second = (Paths(both.times, both.v, y) for y in np.split(both.y, 2, axis=1))
    rate = np.empty((len(both.v), len(mode)))
    for k in np.unique(mode).tolist():
        own = float(share * gap[k])
        rate[:, mode == k] = bounds.tracking_rate(mixture, k, own, both.v)[:, None]
    largest = dynamics.flow_spectrum(mixture, starts[0], float(both.v[0]))[:, -1]
    return Ball(share, mode, radius, first, second, rate, largest)


def _nearest_modes(means: Array) -> tuple[Array, IntArray]:
    """Of each mode its distance to the nearest other one, and that one's index, (N,)."""
    distances = geometry.pairwise_distances(means)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1), distances.argmin(axis=1)


def _in_ball(rng: np.random.Generator, n: int, d: int, wall: bool) -> Array:
    """Points of the unit ball, with `wall` half of them on the sphere."""
    x = rng.standard_normal((n, d))
    size = rng.random(n) ** (1.0 / d)
    size[::2] = 1.0 if wall else size[::2]
    return np.asarray(size[:, None] * x / np.linalg.norm(x, axis=1, keepdims=True))


# -- at every level ------------------------------------------------------------------------------


def basins(case: Case, factor: float = 1.0) -> list[Statement] | None:
    """Cubes that the flow does not leave and in which paths approach at the rate lambda. factor: on
    its distance from 1."""
    mixture = case.mixture
    if not can_prove(case):
        return None
    gap, _ = _nearest_modes(mixture.means)
    first = _first_node(case, np.arange(mixture.N), gap, SHARES[1])
    if first is None:
        return None
    window = (float(mixture.sigma) ** 2, float(node_variances(case)[first]))
    found: list[Statement] = []
    for mode in range(mixture.N):
        radius = SHARES[1] * float(gap[mode])
        rate = float(bounds.tracking_rate(mixture, mode, radius, window[1]))
        rate = 1.0 - factor * (1.0 - rate)
        law = Law.of(mixture, mixture.means[mode], np.eye(mixture.d))
        found += node(f"mode {mode}", law, radius / math.sqrt(mixture.d), window, rate)
    return found


CLAIM.must_fail(certified(CLAIM, basins), "1 - (1 - λ)/1000 in place of λ", factor=1e-3)
