"""Gaussian kernels of a reverse step against the true one, and what steps make of one mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mixdyn import geometry, oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.samplers.analytic import AnalyticNoise
from mixdyn.samplers.step import Rows
from mixdyn.score import ExactScore
from mixdyn.support.checks import Array

from ..ledger.case import Case

_STATES, _MIDPOINTS, _STEPS = 6, 4, 10
_REACH, _SPACING = 12.0, 0.3  # of the quadrature, in standard deviations of a mode
_NEGLIGIBLE = 1e-25  # weight of a mode that no digit of a moment sees


@dataclass(frozen=True)
class Kernels:
    """One step at some points: the true kernel, and what Tweedie's second formula knows of it.

    points (n, d) in x; law of x_s; unknown (n, d, d) Cov(x_0 | x_t) from the score's Jacobian; rho
    at both ends, alpha_s.
    """

    step: tuple[int, int]
    points: Array
    law: oracles.ReverseLaw
    unknown: Array
    rho: tuple[float, float]

    def covariance(self, posterior: float = 1.0, power: int = 2) -> Array:
        """(n, d, d) in x_s: rho_s (1 - q) I + posterior (1 - q)^power Cov(x_0 | x_t), scaled."""
        rho_t, rho_s = self.rho
        rest = 1.0 - rho_s / rho_t
        bridge = rho_s * rest * np.eye(self.points.shape[1])
        return self.law.alpha_s**2 * (bridge + posterior * rest**power * self.unknown)

    def along(self, direction: Array) -> Array:
        """(N,) the true kernel's variances of each mode along a direction (d,) of length 1."""
        variances = self.law.variances
        return variances if variances.ndim == 1 else direction @ variances @ direction

    @property
    def bridge(self) -> float:
        """The variance that eta = 1 injects, in x_s."""
        rho_t, rho_s = self.rho
        return self.law.alpha_s**2 * rho_s * (1.0 - rho_s / rho_t)


def kernels_at(case: Case, points: Array, step: tuple[int, int]) -> Kernels:
    """The kernels of a step at points (n, d) in x."""
    (t, s), schedule = step, case.schedule
    law = oracles.reverse_mixture(
        case.mixture,
        points,
        float(schedule.alpha_bar[t]),
        float(schedule.alpha_bar[s]),
        noise_var_t=float(schedule.noise_var[t]),
        noise_var_s=float(schedule.noise_var[s]),
    )
    nu = schedule.noise_var[t]
    hessian = ExactScore(case.mixture, schedule).jacobian(points, t)
    unknown = nu / schedule.alpha_bar[t] * (np.eye(case.mixture.d) + nu * hessian)
    return Kernels(step, points, law, unknown, (float(schedule.rho[t]), float(schedule.rho[s])))


def states(case: Case, t: int, n: int, rng: np.random.Generator) -> Array:
    """n states of p_t."""
    clean, schedule = case.mixture.sample(n, rng), case.schedule
    noise = rng.standard_normal(clean.shape)
    return np.asarray(schedule.alpha[t] * clean + np.sqrt(schedule.noise_var[t]) * noise)


def kernels_of(case: Case) -> list[Kernels]:
    """At midpoints of nearest pairs and states of p_t, over the steps of a coarse grid: fine ones
    make every kernel nearly the bridge."""

    def measure() -> list[Kernels]:
        rng, middle = case.rng("X14"), np.empty((0, case.mixture.d))
        if case.mixture.N > 1:
            pairs = geometry.nearest_pairs(case.mixture)[:_MIDPOINTS]
            middle = np.array([geometry.pair(case.mixture, i, j).midpoint for i, j in pairs])
        found = []
        for t, s in TimeGrid.quadratic(case.schedule.T, min(_STEPS, case.schedule.T)).pairs:
            drawn = states(case, t, _STATES, rng)
            points = np.concatenate([case.schedule.alpha[t] * middle, drawn])
            found.append(kernels_at(case, points, (t, s)))
        return found

    return case.memo("X14 kernels", measure)


# -- the nearest kernel by quadrature ----------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A mixture's density on a line: nodes x (m,), weight times density (m,), log density (m,)."""

    x: Array
    mass: Array
    log_density: Array

    def divergence(self, mean: float, var: float) -> float:
        """From N(mean, var), in nats."""
        log_normal = -0.5 * np.log(2.0 * np.pi * var) - np.square(self.x - mean) / (2.0 * var)
        return float(self.mass @ (self.log_density - log_normal))


def line_of(kernels: Kernels, point: int, direction: Array) -> Line:
    """The true kernel of a point along a direction (d,) of length 1, on equal steps."""
    weights, law = kernels.law.weights[point], kernels.law
    seen = weights > _NEGLIGIBLE
    means, std = law.means[point][seen] @ direction, np.sqrt(kernels.along(direction)[seen])
    low, high = (means - _REACH * std).min(), (means + _REACH * std).max()
    x = np.linspace(low, high, int(np.ceil((high - low) / (_SPACING * std.min()))) + 1)
    z = (x - means[:, None]) / std[:, None]
    logs = np.log(weights[seen] / std)[:, None] - 0.5 * z**2 - 0.5 * np.log(2.0 * np.pi)
    log_density = np.logaddexp.reduce(logs, axis=0)
    return Line(x, (x[1] - x[0]) * np.exp(log_density), log_density)


def nearest(line: Line, guess: float) -> tuple[float, float, float]:
    """Mean and variance of the Gaussian that the density is least divergent from, found by search
    alone, and that divergence. guess : a variance."""
    from scipy.optimize import minimize_scalar

    # The mean of least divergence does not depend on the variance.
    span = float(line.x[-1] - line.x[0])
    ends = np.array([-1.0, 0.0, 1.0]) * span + line.x.mean()
    at = [line.divergence(m, span**2) for m in ends]
    mean = float(ends[1] + 0.5 * span * (at[0] - at[2]) / (at[0] - 2.0 * at[1] + at[2]))
    found = minimize_scalar(
        lambda log_var: line.divergence(mean, float(np.exp(log_var))),
        bracket=(np.log(guess) - 1.0, np.log(guess) + 1.3),
        tol=1e-12,
    )
    return mean, float(np.exp(found.x)), float(found.fun)


# -- one mode ------------------------------------------------------------------------------------


def grids(schedule: NoiseSchedule) -> dict[str, TimeGrid]:
    """Grids of all kinds, down to a single step."""
    T = schedule.T
    drawn = np.random.default_rng(0).choice(np.arange(1, T + 1), min(7, T), replace=False)
    found = {
        "quadratic": TimeGrid.quadratic(T, min(50, T)),
        "quadratic, coarse": TimeGrid.quadratic(T, min(5, T)),
        "uniform": TimeGrid.uniform(T, min(10, T)),
        "at random": TimeGrid([*sorted(drawn.tolist(), reverse=True), 0], T),
        "one step": TimeGrid([T, 0], T),
    }
    return {name: grid for name, grid in found.items() if np.isfinite(schedule.rho[grid.times[0]])}


def engine_std(schedule: NoiseSchedule, grid: TimeGrid, sigma: float) -> float:
    """Standard deviation of x_0 over sigma that AnalyticNoise makes of one mode, from the states'
    own law on: every step of the engine is affine there, and its factors are read off."""
    mode = GaussianMixture([[0.0]], sigma)
    stepper = AnalyticNoise().stepper(ExactScore(mode, schedule), schedule, grid)
    t0 = int(grid.times[0])
    var = float(schedule.alpha_bar[t0] * sigma**2 + schedule.noise_var[t0])
    rows = Rows(0, 1)
    for k, step in enumerate(grid.pairs):
        size = np.sqrt(var)  # so that rounding is a share of the states
        x = np.array([[0.0], [size]])
        xi = rows.of_step(schedule, step, x.shape)
        stepper.advance(x, stepper.eps(x, step[0]), k, rows)
        noise_std = float(x[0, 0] / xi[0, 0])
        keep = float((x[1, 0] - noise_std * xi[1, 0]) / size)
        var = keep**2 * var + noise_std**2
    return float(np.sqrt(var) / sigma)


def recursion_std(
    schedule: NoiseSchedule, grid: TimeGrid, sigma: float, posterior: float, power: int
) -> float:
    """The same by the recursion: kernels with posterior (1 - q)^power rho_t D of unknown x_0."""
    rho = schedule.rho[grid.times]
    v = sigma**2 + rho
    var = float(v[0])
    for k in range(grid.steps):
        rest = 1.0 - rho[k + 1] / rho[k]
        unknown = posterior * rest**power * sigma**2 * rho[k] / v[k]
        var = float((v[k + 1] / v[k]) ** 2 * var + rho[k + 1] * rest + unknown)
    return float(np.sqrt(var) / sigma)


# -- kernels in several coordinates --------------------------------------------------------------

SHAPES: dict[str, Callable[[Array], Array]] = {
    "isotropic": lambda c: (
        np.trace(c, axis1=-2, axis2=-1)[..., None, None] / c.shape[-1] * np.eye(c.shape[-1])
    ),
    "diagonal": lambda c: c * np.eye(c.shape[-1]),
}


def log_normal(x: Array, mean: Array, covariance: Array) -> Array:
    """log N(x; mean, covariance) at x (n, m, d), with mean (n, d) and covariance (n, d, d)."""
    root = np.linalg.cholesky(covariance)
    z = np.linalg.solve(root, (x - mean[:, None, :]).transpose(0, 2, 1))
    log_det = np.log(np.einsum("nii->ni", root)).sum(axis=1)
    half = 0.5 * np.square(z).sum(axis=1)
    return np.asarray(-half - log_det[:, None] - 0.5 * x.shape[2] * np.log(2.0 * np.pi))


def draws(kernels: Kernels, m: int, rng: np.random.Generator) -> Array:
    """(n, m, d) draws of x_s from the true kernel at each point."""
    law = kernels.law
    n, N, d = law.means.shape
    chosen = np.array([rng.choice(N, m, p=w / w.sum()) for w in law.weights])
    noise = rng.standard_normal((n, m, d))
    if law.variances.ndim == 1:
        noise *= np.sqrt(law.variances)[chosen][:, :, None]
    else:
        noise = np.einsum("nmij,nmj->nmi", np.linalg.cholesky(law.variances)[chosen], noise)
    return np.asarray(law.means[np.arange(n)[:, None], chosen] + noise)


def log_true(kernels: Kernels, x: Array) -> Array:
    """log density of the true kernel at x (n, m, d)."""
    law, d = kernels.law, x.shape[2]
    if law.variances.ndim == 3:
        modes = [
            log_normal(x, law.means[:, k], np.broadcast_to(law.variances[k], (len(x), d, d)))
            for k in range(law.means.shape[1])
        ]
        return np.asarray(np.logaddexp.reduce(law.log_weights.T[:, :, None] + np.array(modes)))
    square = np.square(x[:, :, None, :] - law.means[:, None]).sum(axis=3)
    logs = law.log_weights[:, None] - 0.5 * square / law.variances
    return np.asarray(
        np.logaddexp.reduce(logs - 0.5 * d * np.log(2.0 * np.pi * law.variances), axis=2)
    )


def nats_of(case: Case, steps: int, n: int, m: int) -> dict[str, tuple[float, float]]:
    """Divergence of the exact paths from each kernel's, summed over the noisy steps of a quadratic
    grid and in the last one, by n states of p_t a step and m draws each."""
    rng = case.rng("X14 nats")
    total: dict[str, tuple[float, float]] = {}
    grid = TimeGrid.quadratic(case.schedule.T, steps)
    for t, s in grid.pairs:
        kernels = kernels_at(case, states(case, t, n, rng), (t, s))
        x = draws(kernels, m, rng)
        mean, full = kernels.law.moments()[0], kernels.covariance()
        known = log_true(kernels, x)
        averaged = np.broadcast_to(SHAPES["isotropic"](full.mean(axis=0)), full.shape)
        bridge = np.broadcast_to(kernels.bridge * np.eye(full.shape[1]), full.shape)
        used = {
            "full": full,
            **{name: shape(full) for name, shape in SHAPES.items()},
            "average": averaged,
            "eta = 1": bridge,
        }
        for name, covariance in used.items():
            lost = np.inf
            if s > 0 or name != "eta = 1":
                lost = float((known - log_normal(x, mean, covariance)).mean())
            noisy, last = total.get(name, (0.0, 0.0))
            total[name] = (noisy + lost, last) if s > 0 else (noisy, lost)
    return total
