r"""The distance to any convex set.

Statement: For every convex $K$, $D = dist(y, K)$ along the flow obeys $D' \le -D + \sum_k
    \gamma_k\, dist(\mu_k, K)$: distance is convex, and $y + h(m - y)$ a convex combination of $y$
    and the means. It holds for the plain segment of a pair, for any weights and for hulls of
    several modes. While a pair dominates with margin $\kappa$ its plain segment obeys $D(u) \le
    e^{-u} D(0) + (1 - e^{-u}) S$ with $S = e^{-\kappa} \sum_k \frac{w_k}{\min(w_i, w_j)}
    dist(\mu_k, K)$. Of modes of several widths it holds in no metric (X12: a start in $K$ leaves
    it). But where they have common eigenvectors each coordinate $e$ obeys it for every interval,
    with shares in proportion to $\gamma_k/v_{k,e}$ in place of $\gamma_k$ and the clock
    $\frac{1}{2} \sum_k \gamma_k/v_{k,e}$. And of any covariances, $C_k = \Sigma_k + \rho I$, about
    any $c$: $-\frac{d}{d\rho}|y - c|^2 \le \frac{1}{2} \sum_k \gamma_k (|\mu_k - c|_k^2 - |y -
    c|_k^2)$, $|x|_k^2 = x^T C_k^{-1} x$, so that no path leaves the ball about $c$ of radius
    $\max_k \sqrt{\mathrm{cond}\,C_k}\,|\mu_k - c|$.
Hypotheses:
    - common_sigma: all modes share one sigma (for every convex set).
    - dominance: one fixed pair dominates from some node on, with more nodes to come (along paths).
Measured: the distance after a step $y + h(m - y)$, $h$ = 1, 0.1 and 0.01, with the engine's $m$,
    for plain segments, hulls of random modes, and random polytopes that contain no mode; and the
    distance to the plain segment along the flow, each path from its own $\tau$, for $\kappa = 7$.
Predicted: at most $D + h(-D + \sum_k \gamma_k\, dist(\mu_k, K))$, for every $h \in [0, 1]$ without
    remainder; and the last bound.
Evidence: sampled: random convex combinations of means with noise, at $v$ from a half to a
    sixtieth of the set's size squared; trajectories.
Source: our sharper form of arXiv 2605.06831 v1, Theorem 4.2 and Lemma G.4
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mixdyn import bounds, geometry
from mixdyn.geometry import dynamics
from mixdyn.support.checks import Array
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes
from verify.ledger.sides import Facts, Part, Side, Tolerance
from verify.ledger.verdict import Hypothesis
from verify.measure.convex import distance_to_hull
from verify.measure.covariances import COMMON_SIGMA, common_axes, law_at, matrices, one_width
from verify.measure.midpoint.traps import neighbour_pairs
from verify.measure.paths import KAPPA, extent, flow_paths, flow_tails, flow_tolerance, tail_place

CLAIM = Claim.from_docstring(
    __doc__,
    id="X2'",
    short="any convex set",
    rests_on={"G.2": "m is a convex combination of means", "X1": "the clock"},
    sharpens={"T4.2": "plain segment, any weights, no split"},
    needs=(modes(2),),
    derivation="derivations/segment/convex_set.py",
    does_not_show=(
        "Anything inside the set, where the distance is zero. With every mode in the set the bound "
        "is a plain contraction; with none of them it is a distance that the flow need not lose."
    ),
)

STEPS = np.array([1.0, 0.1, 0.01])
KINDS = ("segments", "hulls of modes", "polytopes without a mode")
RANGES = "ranges of a coordinate"


@dataclass(frozen=True)
class Batch:
    """Points y (n, d) at one v against one set K.

    kind: one of KINDS, or RANGES. vertices (m, d) of the set. gamma (n, N). before, after
    (STEPS, n), modes (N,): distances of y, of y after each step, and of the means to the set.
    """

    kind: str
    vertices: Array
    v: float
    y: Array
    gamma: Array
    before: Array
    after: Array
    modes: Array

    def side(self, case: Case, speed: float) -> Side:
        """D after a step against D + h D' with the bound on D'."""
        rate = bounds.convex_set_rate(self.before, self.gamma, self.modes)
        rate = rate - (speed - 1.0) * self.before
        h = STEPS[:, None]
        return Side(
            f"distance after a step, {self.kind}",
            self.after,
            at_most=self.before + h * rate,
            tolerance=Tolerance(atol=1e-12 * extent(case.mixture)),
            scale=1.0 + self.before / extent(case.mixture),
            where={"y": self.y[None], "v": self.v, "h": h, "vertices": self.vertices[None, None]},
        )


def convex(case: Case) -> list[Batch]:
    """Points around segments of neighbours, hulls of random modes and random polytopes."""

    def measure() -> Iterator[Batch]:
        rng, n = case.rng("X2'"), case.pick(120, 1000)
        if not one_width(case):
            yield from _ranges(case, rng, n)
            return
        for kind, vertices in _sets(case, rng):
            y = _points(case, rng, vertices, n)
            size2 = float(np.square(np.ptp(vertices, axis=0)).sum())
            v = size2 / float(np.exp(rng.uniform(np.log(2.0), np.log(60.0))))
            yield _batch(case, kind, vertices, v, y, distance_to_hull)

    return case.memo("X2' batches", lambda: list(measure()))


def two_points(case: Case) -> list[Batch]:
    """The same points around segments, against their ends alone: a set that is not convex."""

    def nearest(points: Array, vertices: Array) -> Array:
        return np.sqrt(geometry.squared_distances(points, vertices).min(axis=1))

    if not one_width(case):
        return list(_ranges(case, case.rng("X2'"), case.pick(120, 1000), _off_ends))
    segments = [b for b in convex(case) if b.kind == KINDS[0]]
    return [_batch(case, b.kind, b.vertices, b.v, b.y, nearest) for b in segments]


@CLAIM.sampled(unit="steps")
def distance(
    case: Case, speed: float = 1.0, sets: Callable[[Case], list[Batch]] = convex
) -> Iterator[Part]:
    """The plain segment along the flow, then steps of any length. speed: a factor on D; sets: those
    of the steps."""
    if not one_width(case):
        yield from _several_widths(case, speed, sets(case))
        return
    yield COMMON_SIGMA
    tails = flow_tails(case, KAPPA)
    if tails.dominated.any():
        yield _along_flow(case, speed)
        yield Hypothesis("dominance", float(tails.dominated.mean()))
        yield Facts(unit="path nodes")
    else:  # the steps ask for no dominance
        yield "No pair dominates along the flow: steps only."
    batches = sets(case)
    for kind in dict.fromkeys(batch.kind for batch in batches):
        yield Side.joined([batch.side(case, speed) for batch in batches if batch.kind == kind])
    yield Facts(nonvacuous=_telling(batches))
    yield {
        "convex sets": len(batches),
        "largest number of vertices": max(len(batch.vertices) for batch in batches),
    }


CLAIM.must_fail(distance, "D' ≤ -1.5 D + ...", speed=1.5)
CLAIM.must_fail(distance, "K = the two ends without the segment", sets=two_points)
CLAIM.must_fail_narrowly(distance, "D' ≤ -(1 + {}) D + ...", 0.5, speed=lambda more: 1.0 + more)


def _telling(batches: list[Batch]) -> Array | float:
    """The points outside the set: whether their bound lets the distance fall."""
    pulls = [(b.before, b.gamma @ b.modes) for b in batches]
    before, pull = (np.concatenate(part) for part in zip(*pulls, strict=True))
    outside = before > 1e-9 * before.max()
    return (pull < before)[outside] if outside.any() else 0.0


# -- one step ------------------------------------------------------------------------------------


def _sets(case: Case, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Segments of neighbours, hulls of random modes, and random polytopes between the modes."""
    means = case.mixture.means
    for pair in neighbour_pairs(case.mixture, case.pick(4, 20)):
        yield KINDS[0], np.array([pair.mu_j, pair.mu_i])
    for _ in range(case.pick(3, 12)):
        size = int(rng.integers(min(3, len(means)), min(len(means), 6) + 1))
        yield KINDS[1], means[rng.choice(len(means), size, replace=False)]
    for _ in range(case.pick(3, 12)):
        size = int(rng.integers(2, 7))
        yield KINDS[2], rng.dirichlet(np.ones(len(means)), size) @ means


def _points(case: Case, rng: np.random.Generator, vertices: Array, n: int) -> Array:
    """Convex combinations of means, a third of them of the vertices, with noise of any size."""
    means, d = case.mixture.means, case.mixture.d
    y = rng.dirichlet(np.full(len(means), 0.3), n) @ means
    y[::3] = rng.dirichlet(np.full(len(vertices), 0.7), len(y[::3])) @ vertices
    size = extent(case.mixture) * 10.0 ** rng.uniform(-6.0, 0.3, (n, 1))
    return y + size * rng.standard_normal((n, d)) / np.sqrt(d)


def _batch(
    case: Case,
    kind: str,
    vertices: Array,
    v: float,
    y: Array,
    distance_to: Callable[[Array, Array], Array],
) -> Batch:
    """distance_to: of points (n, d) to what the vertices (m, d) stand for, (n,)."""
    mixture = case.mixture
    moved = y + STEPS[:, None, None] * (dynamics.mean_field(mixture, y, v) - y)
    gamma = dynamics.static_responsibilities(mixture, y, v)
    before, modes, *after = (distance_to(x, vertices) for x in (y, mixture.means, *moved))
    return Batch(kind, vertices, v, y, gamma, before, np.array(after), modes)


# -- along the flow ------------------------------------------------------------------------------


def _along_flow(case: Case, speed: float) -> Side:
    """Distance to the plain segment of each path's own pair, at every node after its tau."""
    paths, tails = flow_paths(case), flow_tails(case, KAPPA)
    ends = case.mixture.means
    distance = tails.along(paths, lambda i, j, y: geometry.distance_to_segment(y, ends[j], ends[i]))
    later = tails.later()
    u = speed * 0.5 * np.log(tails.at_start(paths.v) / paths.v[:, None])
    pull = tails.per_path(lambda i, j: float(bounds.segment_remainder(case.mixture, i, j, KAPPA)))
    start = (tails.at_start(distance), u, pull)
    return Side(
        "distance to the plain segment, κ = 7",
        distance,
        at_most=bounds.tube_distance_u(*(np.where(later, part, 0.0) for part in start)),
        tolerance=Tolerance(rtol=1e-9, atol=flow_tolerance(case)),
        among=later,
        where=lambda node, path: tail_place(paths, tails, node, path),
    )


# -- several widths ------------------------------------------------------------------------------


def _several_widths(case: Case, speed: float, batches: list[Batch]) -> Iterator[Part]:
    """Distances to points, and intervals of coordinates where modes have common eigenvectors."""
    yield _to_a_point(case, speed)
    if batches:
        yield Side.joined([batch.side(case, speed) for batch in batches])
        yield Facts(nonvacuous=_telling(batches))
    else:
        yield "The modes have no common eigenvectors: only distances to a point remain."


def _ranges(
    case: Case, rng: np.random.Generator, n: int, off: Callable[[Array, Array], Array] | None = None
) -> Iterator[Batch]:
    """Random intervals of every coordinate along common eigenvectors, none where there are none.
    off: distances to something else than the interval between two ends."""
    off = off or _off_interval
    mixture, axes = case.mixture, common_axes(case.mixture)
    if axes is None:
        return
    rows, variances = axes
    for e in range(mixture.d):
        along = mixture.means @ rows[e]
        for few in (min(3, mixture.N), 2):
            ends = rng.dirichlet(np.ones(len(along)), few) @ along if few == 2 else along[:few]
            vertices = np.array([[ends.min()], [ends.max()]])
            rho = float(np.square(np.ptp(mixture.means, axis=0)).sum()) / rng.uniform(2.0, 60.0)
            y = _points(case, rng, mixture.means, n)
            law = law_at(mixture, rho)
            pulls = law.responsibilities(y) / (variances[:, e] + rho)
            z, total = y @ rows[e], pulls.sum(axis=1)
            moved = z + STEPS[:, None] * (law.score(y) @ rows[e]) / total
            before, modes_off, *after = (off(x, vertices) for x in (z, along, *moved))
            shares = pulls / total[:, None]
            yield Batch(RANGES, vertices, rho, y, shares, before, np.array(after), modes_off)


def _off_interval(x: Array, ends: Array) -> Array:
    low, high = ends[:, 0]
    return np.asarray(np.maximum(np.maximum(low - x, x - high), 0.0))


def _off_ends(x: Array, ends: Array) -> Array:
    return np.asarray(np.abs(x[..., None] - ends[:, 0]).min(axis=-1))


def _to_a_point(case: Case, speed: float) -> Side:
    """The squared distance to random points, some of them modes, by the engine's score."""
    rng, mixture = case.rng("X2' points"), case.mixture
    sides = []
    for _ in range(case.pick(12, 60)):
        rho = float(np.square(np.ptp(mixture.means, axis=0)).sum()) / np.exp(rng.uniform(0.0, 9.0))
        law, y = law_at(mixture, rho), _points(case, rng, mixture.means, case.pick(120, 1000))
        center = mixture.means[rng.integers(mixture.N)] * rng.choice([1.0, 0.3])
        gamma = law.responsibilities(y)
        precision = np.linalg.inv(matrices(mixture) + rho * np.eye(mixture.d))
        lengths = [
            np.einsum("nd,kde,ne->nk", x, precision, x)
            for x in (y - center, mixture.means - center)
        ]
        most = 0.5 * ((gamma * np.diagonal(lengths[1])) - speed * gamma * lengths[0]).sum(axis=1)
        size = (gamma * (lengths[0] + np.diagonal(lengths[1]))).sum(axis=1)
        sides.append(
            Side(
                "growth of the squared distance to a point",
                ((y - center) * law.score(y)).sum(axis=1),
                at_most=most,
                tolerance=Tolerance(atol=1e-10),
                scale=size + 1.0,
                where={"y": y, "rho": rho, "center": center[None]},
            )
        )
    return Side.joined(sides)
