"""Solvers of the continuous reverse processes in static coordinates and intrinsic time.

The probability-flow ODE is dy/du = m - y, the reverse SDE dy = 2 (m - y) du + sqrt(2 v) dB, with u
zero at v_0 (docs/notation.md; arXiv 2605.06831 v1, Lemmas G.1 and G.2). Every solver takes
decreasing v. With one sigma per mode, v = sigma_min^2 + rho and m - y stands for v times the score.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from .. import kernels
from ..problem.mixture import GaussianMixture
from ..problem.noise import Seed, resolve_seed
from ..support.checks import (
    Array,
    check_decreasing,
    check_integer,
    check_limit,
    check_memory,
    check_nonnegative,
    check_points,
    check_positive,
    describe,
)
from ..support.errors import ConvergenceError, InputError
from .field import Field, MixtureField, pulled
from .multistep import Past, multistep
from .tableaus import DORMAND_PRINCE, EULER, HEUN, RK4, ButcherTableau


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """y (n, d) at the last v; n_eval evaluations of the field on the batch; n_rejected steps of an
    adaptive method; trajectory (K, n, d) at the K grid values of v, if asked for."""

    y: Array
    n_eval: int
    n_rejected: int
    trajectory: Array | None


# -- deterministic methods -----------------------------------------------------------------------


class OdeMethod(Protocol):
    """A solver of dy/du = pull(y, v(u))."""

    @property
    def order(self) -> int:
        """Order of convergence in u."""
        ...

    def start(self) -> _Work:
        """Fresh working state for one solve."""
        ...

    def advance(self, field: Field, y: Array, v_t: float, v_s: float, work: _Work) -> Array:
        """y at v_s from y at v_t."""
        ...


@dataclasses.dataclass
class _Work:
    n_eval: int = 0
    n_rejected: int = 0
    step: float = math.inf
    past: Past = dataclasses.field(default_factory=list)

    def pull(self, field: Field, y: Array, v: float) -> Array:
        self.n_eval += 1
        return pulled(field, y, v)


def _half_log(v_t: float, v_s: float) -> float:
    return 0.5 * math.log(v_t / v_s)


class RungeKutta:
    """A fixed-step explicit Runge-Kutta method in u."""

    def __init__(self, tableau: ButcherTableau) -> None:
        self.tableau = tableau
        self._a, self._b, self._c, self._error = tableau.arrays()

    @property
    def order(self) -> int:
        """Declared order of the tableau (its conditions were checked)."""
        return self.tableau.order

    def start(self) -> _Work:
        """No memory between steps."""
        return _Work()

    def stages(
        self, field: Field, y: Array, v_t: float, h: float, work: _Work, first: Array | None = None
    ) -> list[Array]:
        """The stage slopes of a step of length h in u; `first` is reused where given."""
        slopes: list[Array] = []
        for i, row in enumerate(self._a):
            if i == 0 and first is not None:
                slopes.append(first)
                continue
            at = y + h * sum((x * k for x, k in zip(row, slopes, strict=True)), np.zeros_like(y))
            v = v_t * math.exp(-2.0 * self._c[i] * h)
            slopes.append(work.pull(field, at, v))
        return slopes

    def combine(self, y: Array, h: float, slopes: list[Array], weights: Array) -> Array:
        """y + h sum_i weights_i slope_i."""
        return y + h * sum((x * k for x, k in zip(weights, slopes, strict=True)), np.zeros_like(y))

    def advance(self, field: Field, y: Array, v_t: float, v_s: float, work: _Work) -> Array:
        """One step."""
        h = _half_log(v_t, v_s)
        return self.combine(y, h, self.stages(field, y, v_t, h, work), self._b)


def euler() -> RungeKutta:
    """Explicit Euler in u, order 1."""
    return RungeKutta(EULER)


def heun() -> RungeKutta:
    """Heun's trapezoidal method in u, order 2, evaluated at nodes only."""
    return RungeKutta(HEUN)


def rk4() -> RungeKutta:
    """The classical Runge-Kutta method in u, order 4."""
    return RungeKutta(RK4)


class DormandPrince(RungeKutta):
    """Adaptive embedded 5(4) pair. All rows share their steps: the error of a step is the largest
    row's, measured against atol + rtol |y| per coordinate. ConvergenceError beyond `max_steps`."""

    def __init__(self, rtol: float = 1e-8, atol: float = 1e-10, max_steps: int = 100_000) -> None:
        super().__init__(DORMAND_PRINCE)
        self.rtol = check_nonnegative(rtol, "rtol")
        self.atol = check_positive(atol, "atol")
        self.max_steps = check_integer(max_steps, "max_steps", 1)

    def advance(self, field: Field, y: Array, v_t: float, v_s: float, work: _Work) -> Array:
        """As many steps as the tolerance asks for."""
        span, done, first = _half_log(v_t, v_s), 0.0, None
        h = min(work.step, span)
        for _ in range(self.max_steps):
            last = done + h >= span * (1 - 1e-14)
            h = span - done if last else h
            slopes = self.stages(field, y, v_t * math.exp(-2.0 * done), h, work, first)
            new = self.combine(y, h, slopes, self._b)
            error = self._error_norm(h, slopes, y, new)
            factor = 0.9 * error**-0.2 if error > 0 else 5.0
            if error <= 1.0:
                # The last stage is the first of the next step: same point, same time.
                y, done, first = new, done + h, slopes[-1]
                work.step = h * min(5.0, max(0.2, factor))
                if last:
                    return y
                h = work.step
            else:
                work.n_rejected += 1
                first = slopes[0]
                h *= max(0.2, min(1.0, factor))
        raise ConvergenceError(
            f"Dormand-Prince took {self.max_steps} steps from v = {v_t:.6g} and reached only v = "
            f"{v_t * math.exp(-2 * done):.6g}; loosen rtol, or raise max_steps"
        )

    def _error_norm(self, h: float, slopes: list[Array], y: Array, new: Array) -> float:
        gap = self.combine(np.zeros_like(y), h, slopes, self._error)
        scale = self.atol + self.rtol * np.maximum(np.abs(y), np.abs(new))
        return float(np.sqrt(np.square(gap / scale).mean(axis=1)).max())


class ExponentialEuler:
    """y_s = m + sqrt(v_s/v_t)(y_t - m): exact for a frozen m, order 1."""

    order: ClassVar[int] = 1

    def start(self) -> _Work:
        """No memory between steps."""
        return _Work()

    def advance(self, field: Field, y: Array, v_t: float, v_s: float, work: _Work) -> Array:
        """One step, one evaluation."""
        return y - math.expm1(-_half_log(v_t, v_s)) * work.pull(field, y, v_t)


class ExponentialMidpoint:
    """Exponential midpoint rule (as DPM-Solver-2, arXiv 2206.00927): m at half the step in u,
    reached by ExponentialEuler. Order 2, two evaluations."""

    order: ClassVar[int] = 2

    def start(self) -> _Work:
        """No memory between steps."""
        return _Work()

    def advance(self, field: Field, y: Array, v_t: float, v_s: float, work: _Work) -> Array:
        """One step."""
        h, v_mid = _half_log(v_t, v_s), math.sqrt(v_t * v_s)
        middle = y - math.expm1(-0.5 * h) * work.pull(field, y, v_t)
        m = middle + work.pull(field, middle, v_mid)
        return y - math.expm1(-h) * (m - y)


class ExponentialMultistep:
    """Exponential Adams-Bashforth method: m is extrapolated in u through the last `order` nodes and
    the linear part is exact. One evaluation a step, at nodes only.

    Order 2 is DPM-Solver++(2M) (arXiv 2211.01095) in this clock; orders 1 to 4 are allowed. The
    first steps have fewer nodes, which leaves an error of second order where m moves there already:
    none to speak of on a run that begins in noise.
    """

    def __init__(self, order: int = 2) -> None:
        self._order = check_integer(order, "order", 1, 4)

    @property
    def order(self) -> int:
        """Order of convergence in u on a run that begins in noise."""
        return self._order

    def start(self) -> _Work:
        """No nodes yet."""
        return _Work()

    def advance(self, field: Field, y: Array, v_t: float, v_s: float, work: _Work) -> Array:
        """One step: y_s = e^-h y + int_0^h e^(w - h) m(w) dw."""
        return multistep(y, work.pull(field, y, v_t), (v_t, v_s), work.past, self._order)


def integrate_ode(
    target: GaussianMixture | Field,
    y: ArrayLike,
    v: ArrayLike,
    method: OdeMethod | None = None,
    *,
    keep: str = "final",
    memory_limit: float = 2e9,
) -> Solution:
    """Solve the PF ODE from y (n, d) at v[0] down the grid v (strictly decreasing, > 0).

    A fixed-step method takes one step per grid interval; DormandPrince as many as it needs.
    keep = "trajectory" also returns the states at every v, within `memory_limit` bytes.
    """
    field = _field(target)
    nodes = check_decreasing(v, "v")
    state = check_points(y, field.d, "y").copy()
    solver = DormandPrince() if method is None else method
    path = _path(keep, nodes, state, memory_limit)
    work = solver.start()
    for k in range(len(nodes) - 1):
        state = solver.advance(field, state, float(nodes[k]), float(nodes[k + 1]), work)
        if path is not None:
            path[k + 1] = state
    return Solution(state, work.n_eval, work.n_rejected, path)


# -- stochastic methods --------------------------------------------------------------------------


class SdeMethod(Protocol):
    """A one-step solver of dy = 2 pull du + sqrt(2 v) dB with Gaussian increments."""

    weak_order: ClassVar[int]

    def mean(self, y: Array, pull: Array, v_t: float, v_s: float) -> Array:
        """Mean of the step."""
        ...

    def noise_var(self, v_t: float, v_s: float) -> float:
        """Variance of the step."""
        ...

    def carry(self, v_t: float, v_s: float) -> float:
        """Factor by which the linear part shrinks noise injected before this step."""
        ...


class EulerMaruyama:
    """Weak order 1, strong order 1 (the noise is additive). The variance int 2 v du = v_t - v_s of
    the Brownian increment is exact."""

    weak_order: ClassVar[int] = 1

    def mean(self, y: Array, pull: Array, v_t: float, v_s: float) -> Array:
        """y + 2 h pull."""
        return y + 2.0 * _half_log(v_t, v_s) * pull

    def noise_var(self, v_t: float, v_s: float) -> float:
        """v_t - v_s."""
        return v_t - v_s

    def carry(self, v_t: float, v_s: float) -> float:
        """The increments of one Brownian path simply add."""
        return 1.0


class ExponentialSde:
    """Exact for a frozen m: y_s ~ N(m + q (y - m), v_s (1 - q)), q = v_s/v_t. Weak order 1."""

    weak_order: ClassVar[int] = 1

    def mean(self, y: Array, pull: Array, v_t: float, v_s: float) -> Array:
        """m + q (y - m) = y + (1 - q) pull."""
        return y + (1.0 - v_s / v_t) * pull

    def noise_var(self, v_t: float, v_s: float) -> float:
        """v_s (1 - q)."""
        return v_s * (1.0 - v_s / v_t)

    def carry(self, v_t: float, v_s: float) -> float:
        """Earlier noise shrinks with y."""
        return v_s / v_t


def integrate_sde(
    target: GaussianMixture | Field,
    y: ArrayLike,
    v: ArrayLike,
    method: SdeMethod | None = None,
    *,
    rng: Seed = None,
    fine: ArrayLike | None = None,
    first: int = 0,
    keep: str = "final",
    memory_limit: float = 2e9,
) -> Solution:
    """Solve the reverse SDE from y (n, d) at v[0] down the grid v.

    Counter-based noise: the normal of fine interval r belongs to time r + 1. `fine` is a decreasing
    grid that contains every v (default: v itself); the step's normal is the sum of the fine ones it
    spans, so that runs which share `fine` and the seed follow one Brownian path.
    """
    field = _field(target)
    nodes = check_decreasing(v, "v")
    state = check_points(y, field.d, "y").copy()
    solver = ExponentialSde() if method is None else method
    path = _path(keep, nodes, state, memory_limit)
    all_nodes = nodes if fine is None else check_decreasing(fine, "fine")
    where = _positions(all_nodes, nodes)
    seed, xi = np.uint64(resolve_seed(rng)), np.empty_like(state)
    row = np.uint64(check_integer(first, "first", 0, 2**62))
    for k in range(len(nodes) - 1):
        v_t, v_s = float(nodes[k]), float(nodes[k + 1])
        weights = _increment_weights(solver, all_nodes[where[k] : where[k + 1] + 1])
        times = np.arange(where[k] + 1, where[k + 1] + 1).astype(np.uint64)
        kernels.path_normals(xi, row, times, weights, seed)
        mean = solver.mean(state, pulled(field, state, v_t), v_t, v_s)
        state = mean + math.sqrt(solver.noise_var(v_t, v_s)) * xi
        if path is not None:
            path[k + 1] = state
    return Solution(state, len(nodes) - 1, 0, path)


def _increment_weights(solver: SdeMethod, v: Array) -> Array:
    """Unit-norm weights of the fine normals within one coarse step over the nodes v."""
    var = [solver.noise_var(a, b) * solver.carry(b, v[-1]) ** 2 for a, b in itertools.pairwise(v)]
    return np.sqrt(np.array(var) / math.fsum(var))


def _positions(fine: Array, nodes: Array) -> np.ndarray:
    index = np.searchsorted(-fine, -nodes)
    if (index >= len(fine)).any() or (fine[np.minimum(index, len(fine) - 1)] != nodes).any():
        raise InputError(
            "fine must contain every node of v, bit for bit",
            f"{len(fine)} fine and {len(nodes)} coarse nodes",
            "Take the coarse grid as a subset of the fine one.",
        )
    return index


def _field(target: object) -> Field:
    if isinstance(target, GaussianMixture):
        return MixtureField(target)
    if not isinstance(target, Field):
        raise InputError(
            "the target is a GaussianMixture or a field with d and pull(y, v)",
            describe(target),
            "Wrap a model in ModelField.",
        )
    return target


def _path(keep: str, nodes: Array, y: Array, limit: float) -> Array | None:
    if keep not in ("final", "trajectory"):
        raise InputError("keep must be 'final' or 'trajectory'", repr(keep), "Choose one.")
    limit = check_limit(limit, "memory_limit")
    if keep == "final":
        return None
    size = 8.0 * len(nodes) * y.size
    remedy = "Keep fewer nodes or samples, or raise memory_limit."
    check_memory(size, limit, "a trajectory", remedy)
    path = np.empty((len(nodes), *y.shape))
    path[0] = y
    return path
