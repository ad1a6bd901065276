"""How fast two paths part where widths differ: by the logarithmic norm of the flow's Jacobian."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.solvers.integrators import DormandPrince, integrate_ode
from mixdyn.support.checks import Array

from ..ledger.case import Case
from ..ledger.sides import Part, Side, Tolerance
from .covariances import law_at, matrices
from .midpoint.traps import neighbour_pairs
from .paths import FLOW_RTOL, ddim_grid, extent, log_panels

_MOST = 12.0  # of the exponent: paths start 1e-7 apart
_NODES, _PANELS = 6, 6


@dataclass(frozen=True)
class Spreading:
    """A bound on the logarithmic norm at any rho.

    inverse (N, d, d) of rho: the inverse covariances; radius: of a ball about the center (d,) that
    no path leaves.
    """

    mixture: GaussianMixture
    center: Array
    radius: float

    @functools.cached_property
    def _covariances(self) -> Array:
        return matrices(self.mixture)

    @functools.cached_property
    def common(self) -> bool:
        """Whether all modes have one covariance: then no ball is needed."""
        return bool((self._covariances == self._covariances[0]).all())

    def rate(self, rho: float, factor: float) -> float:
        """At most lambda_max of the score's Jacobian in the ball; factor on its first term."""
        eye = np.eye(self.mixture.d)
        inverse = np.linalg.inv(self._covariances + rho * eye)
        pairs = list(itertools.combinations(range(self.mixture.N), 2))
        if self.common:
            moved = [inverse[0] @ (self.mixture.means[i] - self.mixture.means[j]) for i, j in pairs]
            found = [0.25 * factor * np.outer(s, s) - inverse[0] for s in moved]
            return float(np.linalg.eigvalsh(np.array(found))[:, -1].max())
        pull = np.einsum("kde,ke->kd", inverse, self.mixture.means - self.center)
        apart = max(
            float(np.linalg.norm(pull[i] - pull[j]))
            + self.radius * float(np.linalg.norm(inverse[i] - inverse[j], 2))
            for i, j in pairs
        )
        return 0.25 * factor * apart**2 - float(np.linalg.eigvalsh(inverse)[:, 0].min())

    def exponent(self, rho: Array, factor: float = 1.0) -> Array:
        """(K,) Lambda from the first of decreasing rho (K,), by quadrature in log(rho + s)."""
        floor = self.mixture.smallest_var
        total = [0.0]
        for high, low in itertools.pairwise(rho.tolist()):
            at, weight = log_panels((low, high), floor, _PANELS)
            rates = np.array([self.rate(each, factor) for each in at.tolist()])
            total.append(total[-1] + 0.5 * float(weight @ rates))
        return np.array(total)


def _levels(case: Case, spreading: Spreading) -> Array:
    """(K,) rho from where the means begin to matter to where a bound says nothing any more."""
    rho = case.schedule.rho[ddim_grid(case).times[:-1]]
    size2 = float(np.square(np.ptp(spreading.mixture.means, axis=0)).sum())
    start, last = min(float(rho[0]), max(size2, 4.0 * float(rho[-1]))), float(rho[-1])
    fine = np.geomspace(start, last, 25)
    beyond = np.flatnonzero(spreading.exponent(fine) > _MOST)
    end = fine[max(int(beyond[0]) - 1, 1)] if beyond.size else last
    return np.geomspace(start, end, _NODES)


def _spreading(case: Case, mixture: GaussianMixture) -> Spreading:
    """In the ball about the mean of half more than the radius of the least that no path leaves."""
    center = mixture.weights @ mixture.means
    values = np.linalg.eigvalsh(matrices(mixture))
    least = float(case.schedule.rho[ddim_grid(case).times[-2]])
    ratio = (values[:, -1] + least) / (np.maximum(values[:, 0], 0.0) + least)
    away = np.linalg.norm(mixture.means - center, axis=1)
    return Spreading(mixture, center, 1.5 * float((np.sqrt(ratio) * away).max()))


@dataclass(frozen=True)
class Pairs:
    """Pairs of paths y (K, 2, n, d) at rho (K,)."""

    name: str
    spreading: Spreading
    rho: Array
    y: Array

    def side(self, factor: float) -> Side:
        """Their distances against exp(Lambda)."""
        apart = np.linalg.norm(self.y[:, 0] - self.y[:, 1], axis=-1)
        size = 2.0 * extent(self.spreading.mixture)
        log_bound = np.log(apart[0]) + self.spreading.exponent(self.rho, factor)[1:, None]
        bound = np.exp(np.minimum(log_bound, math.log(1e6 * size)))
        return Side(
            self.name,
            apart[1:],
            at_most=bound,
            tolerance=Tolerance(atol=1.0),
            scale=bound * (1e-6 + 1e-12 * size / apart[0]) + 1e-12 * size,
            telling=log_bound < math.log(size),
            where={
                "y": self.y[0].swapaxes(0, 1)[None],
                "rho_start": float(self.rho[0]),
                "rho_end": self.rho[1:, None],
            },
        )


def several_widths(case: Case, factor: float) -> Iterator[Part]:
    """The distance between two paths against exp(Lambda). factor: on the first term of it."""
    groups = case.memo("X3 several widths", lambda: list(_groups(case)))
    for group in groups:
        yield group.side(factor)
    if len(groups) == 1:
        yield "Covariances differ: the exponent is that of a ball that no path leaves."


def _groups(case: Case) -> Iterator[Pairs]:
    spreading = _spreading(case, case.mixture)
    yield _solved(case, "distance of two paths, several widths", spreading, _anywhere)
    if spreading.common:
        pair = neighbour_pairs(case.mixture, 1)[0]
        ends = [pair.i, pair.j]
        covariance = matrices(case.mixture)[0]
        two = GaussianMixture(case.mixture.means[ends], covariance=covariance)
        name = "distance of two paths, two modes of the same covariance"
        yield _solved(case, name, _spreading(case, two), _at_the_midpoint)


def _anywhere(case: Case, spreading: Spreading, rho: float) -> tuple[Array, Array]:
    """Starts (n, d) of the marginal and at midpoints, and steps from them."""
    mixture, rng = spreading.mixture, case.rng("X3 several widths")
    n = max(16, case.pick(512, 8192) // mixture.d)
    first = law_at(mixture, rho).sample(n, rng)
    i, j = rng.integers(mixture.N, size=(2, n // 2))
    first[: n // 2] = 0.5 * (mixture.means[i] + mixture.means[j])
    offset = first - spreading.center
    far = np.linalg.norm(offset, axis=1, keepdims=True) / (0.8 * spreading.radius)
    step = rng.standard_normal(first.shape)
    size = 0.2 * spreading.radius * 10.0 ** rng.uniform(-6.0, 0.0, (n, 1))
    step *= size / np.linalg.norm(step, axis=1, keepdims=True)
    return spreading.center + offset / np.maximum(far, 1.0), step


def _at_the_midpoint(case: Case, spreading: Spreading, rho: float) -> tuple[Array, Array]:
    """Starts around the midpoint of two modes, along the direction that grows fastest there."""
    mixture, rng = spreading.mixture, case.rng("X3 several widths, midpoint")
    hessian = law_at(mixture, rho).score_jacobian(spreading.center[None])[0]
    along = np.linalg.eigh(hessian)[1][:, -1]
    size = spreading.radius * 10.0 ** rng.uniform(-6.0, -1.0, (case.pick(32, 256), 1))
    return spreading.center - rng.random(size.shape) * size * along, size * along


Starts = Callable[[Case, Spreading, float], tuple[Array, Array]]


def _solved(case: Case, name: str, spreading: Spreading, starts: Starts) -> Pairs:
    mixture, rho = spreading.mixture, _levels(case, spreading)
    first, step = starts(case, spreading, float(rho[0]))
    both = np.concatenate([first, first + step])
    solver = DormandPrince(rtol=FLOW_RTOL, atol=FLOW_RTOL * extent(mixture))
    v = mixture.smallest_var + rho
    path = np.asarray(integrate_ode(mixture, both, v, solver, keep="trajectory").trajectory)
    return Pairs(name, spreading, rho, path.reshape(len(rho), 2, len(first), mixture.d))
