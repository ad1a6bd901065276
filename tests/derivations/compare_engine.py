"""The engine (dynamics, crossings, score, schedule, step plans) against the derived formulas."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from mixdyn import crossings, dynamics
from mixdyn.geometry import pair
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.samplers import DDPM
from mixdyn.samplers.plan import StepPlan, bridge_plan
from mixdyn.score import ExactScore
from mixdyn.support.errors import NotApplicableError

from .comparing import agree, agree_all, collect, covers, data, formula, numbers, random_mixture

SCHEDULE = NoiseSchedule.linear(T=50, beta_start=1e-3, beta_end=0.2)


def _static(mixture, y, v):
    """Arguments of a static formula."""
    return (y.tolist(), *data(mixture), v, mixture.N, mixture.d)


# -- dynamics ------------------------------------------------------------------------------------


@covers(
    dynamics.static_responsibilities,
    dynamics.mean_field,
    dynamics.covariance,
    dynamics.flow_jacobian,
    dynamics.flow_spectrum,
)
def field():
    mixture = random_mixture(70, N=4, d=2)
    y = numbers(71, (3, 2), -1.0, 1.0)
    gamma, m = (
        formula("static_coordinates", "responsibility"),
        formula("static_coordinates", "mean_field"),
    )
    cov, jac = formula("jacobian", "covariance"), formula("jacobian", "jacobian")
    for v in (0.16, 0.7):
        at = [_static(mixture, point, v) for point in y]
        value = dynamics.static_responsibilities(mixture, y, v)
        agree_all(value, lambda n, k, at=at: gamma(*at[n], k), scale=1e-2)
        agree_all(dynamics.mean_field(mixture, y, v), lambda n, e, at=at: m(*at[n], e), scale=0.1)
        agree_all(
            dynamics.covariance(mixture, y, v),
            lambda n, e, f, at=at: cov(*at[n], e, f),
            scale=0.1,
        )
        jacobian = dynamics.flow_jacobian(mixture, y, v)
        agree_all(jacobian, lambda n, e, f, at=at: jac(*at[n], e, f), scale=1.0)
        spectrum = dynamics.flow_spectrum(mixture, y, v)
        for n in range(3):
            with mpmath.workdps(50):
                matrix = mpmath.matrix(2, 2)
                for e in range(2):
                    for f in range(2):
                        matrix[e, f] = jac(*at[n], e, f)
                exact = sorted(mpmath.eigsy(matrix, eigvals_only=True))
            for value, eigenvalue in zip(spectrum[n], exact, strict=True):
                agree(value, eigenvalue, scale=1.0)


@covers(dynamics.split_drift, dynamics.DriftSplit)
def split():
    mixture = random_mixture(72, N=4, d=3)
    y = numbers(73, (2, 3), -1.0, 1.0)
    for i, j in ((0, 1), (3, 1)):
        found = dynamics.split_drift(mixture, pair(mixture, i, j), y, 0.3)
        at = [_static(mixture, point, 0.3) for point in y]
        for name in ("a", "a_dot", "parallel_remainder"):
            exact = formula("split", name)
            agree_all(
                getattr(found, name), lambda n, x=exact, at=at, p=(i, j): x(*at[n], *p), scale=1.0
            )
        for name in ("xi", "xi_dot", "orthogonal_remainder"):
            exact = formula("split", name)
            agree_all(
                getattr(found, name),
                lambda n, e, x=exact, at=at, p=(i, j): x(*at[n], *p, e),
                scale=1.0,
            )


@covers(dynamics.equilibrium, dynamics.Equilibrium, dynamics.saddle)
def mixture_equilibria():
    mixture = random_mixture(74, N=3, d=2, sigma=0.1)
    drift, jac = formula("static_coordinates", "drift"), formula("jacobian", "jacobian")
    v = 0.05 * float(np.linalg.norm(mixture.means[0] - mixture.means[1])) ** 2
    found = [dynamics.equilibrium(mixture, v, mixture.means[k]) for k in range(3)]
    found.append(dynamics.saddle(mixture, pair(mixture, 0, 1), v))
    for e in found:
        at = _static(mixture, e.point, v)
        for component in range(2):
            assert abs(drift(*at, component)) <= 1e-13
        trace = sum(jac(*at, c, c) for c in range(2))
        agree(e.eigenvalues.sum(), trace, rtol=1e-11, scale=1.0)
    assert found[-1].eigenvalues[-1] > 0 > found[0].eigenvalues[-1]


@covers(dynamics.saddle)
def pair_saddle():
    """The start of the saddle solves the derived equation, up to the derived threshold."""
    residual = formula("unequal_weights", "residual")
    critical = formula("unequal_weights", "critical")
    for k in (4.1, 6.0, 20.0):
        limit = float(critical(k))
        v = 1.7**2 / k
        for share in (-0.999, -0.5, 0.3, 0.999, 1.001):
            odds = math.exp(share * limit)
            mixture = GaussianMixture([[0.0], [1.7]], 0.1, [1 / (1 + odds), odds / (1 + odds)])
            two = pair(mixture, 1, 0)
            bias = mpmath.log(mixture.weights[1]) - mpmath.log(mixture.weights[0])
            if share > 1:
                with pytest.raises(NotApplicableError):
                    dynamics._pair_saddle(mixture, two, v)
                continue
            a = dynamics._pair_saddle(mixture, two, v)
            slope = abs(1 / (a * (1 - a)) - k)
            with mpmath.workdps(50):
                assert (
                    abs(residual(a, mpmath.mpf(1.7) ** 2 / mpmath.mpf(v), bias))
                    <= 1e-12 + 1e-11 * slope
                )


# -- crossings -----------------------------------------------------------------------------------


def _margin(mixture, y, v, i, j):
    """The derived margin of a pair: the smallest over the other modes."""
    exact = formula("dominance", "margin")
    mu = mixture.means.tolist()
    others = [k for k in range(mixture.N) if k not in (i, j)]
    return min(exact(y.tolist(), mu, v, mixture.d, i, j, k) for k in others)


def _best(mixture, y, v):
    pairs = [(i, j) for i in range(mixture.N) for j in range(i)]
    return max(_margin(mixture, y, v, i, j) for i, j in pairs)


@covers(crossings.dominance_margin)
def margins():
    mixture = random_mixture(75, N=4, d=2)
    y = numbers(76, (5, 2), -1.0, 1.0)
    fixed = crossings.dominance_margin(mixture, y, 0.3, (0, 2))
    agree_all(fixed, lambda n: _margin(mixture, y[n], 0.3, 0, 2), scale=0.1)
    best = crossings.dominance_margin(mixture, y, 0.3)
    agree_all(best, lambda n: _best(mixture, y[n], 0.3), scale=0.1)


@covers(crossings.tau_1, crossings.DominanceTimes)
def dominance_times():
    """On one node two modes dominate exactly up to the derived margin; the rest is counting."""
    mixture = random_mixture(77, N=4, d=2, sigma=0.3)
    v = SCHEDULE.effective_variance(0.3)
    times = np.array([12, 5])
    states = numbers(78, (2, 10, 2), -1.5, 1.5) * SCHEDULE.alpha[times][:, None, None]
    for n in range(10):
        y = states[:, n] / SCHEDULE.alpha[times][:, None]
        margins = [float(_best(mixture, y[s], v[t])) for s, t in enumerate(times)]
        for kappa in (r * m for m in margins for r in (0.998, 1.002)):
            found = crossings.tau_1(mixture, SCHEDULE, times, states[:, n : n + 1], kappa)
            held = [margin >= kappa for margin in margins]
            first = next((t for t, h in zip(times, held, strict=True) if h), crossings.NEVER)
            tail = [t for s, t in enumerate(times) if all(held[s:])]
            assert found.first[0] == first
            assert found.last[0] == (tail[0] if tail else crossings.NEVER)


@covers(crossings.tau_2)
def separation_times():
    mixture = random_mixture(79, N=3, d=2, sigma=0.05)
    largest = formula("dominance", "separation_variance")
    v = SCHEDULE.effective_variance(0.05)
    for kappa in np.geomspace(0.2, 40.0, 60):
        found = crossings.tau_2(mixture, SCHEDULE, float(kappa))
        for i in range(3):
            for j in range(i):
                gap = mixture.means[i] - mixture.means[j]
                with mpmath.workdps(50):
                    length = mpmath.sqrt(sum(mpmath.mpf(x) ** 2 for x in gap))
                    limit = largest(length, float(kappa), 2)
                held = [t for t in range(SCHEDULE.T + 1) if v[t] <= limit]
                assert found[i, j] == (held[-1] if held else crossings.NEVER)


# -- mixture, score and kernels ------------------------------------------------------------------


def _marginal(mixture, x, t):
    """Arguments of a formula in x at time t, exact for the schedule's doubles."""
    with mpmath.workdps(60):
        abar = mpmath.mpf(float(SCHEDULE.alpha_bar[t]))
        nu = mpmath.mpf(float(SCHEDULE.noise_var[t]))
        S = [abar * mpmath.mpf(float(s)) ** 2 + nu for s in mixture.sigmas]
        return (x.tolist(), *data(mixture), S, mpmath.sqrt(abar), mixture.N, mixture.d), nu


@covers(ExactScore)
def scores():
    x = numbers(80, (3, 2), -1.0, 1.0)
    product = GaussianMixture([[a, b] for a in (-1.0, 0.5) for b in (0.0, 0.9)], 0.4)
    for mixture in (random_mixture(81), random_mixture(82, sigma=[0.3, 0.5, 0.9]), product):
        model = ExactScore(mixture, SCHEDULE)
        for t in (3, 25, 50):
            at = [_marginal(mixture, point, t) for point in x]
            nu = at[0][1]
            score, eps = formula("score", "score"), formula("score", "eps")
            hessian, denoiser = (
                formula("jacobian", "score_jacobian"),
                formula("tweedie", "denoiser"),
            )
            gamma = formula("score", "responsibility")
            agree_all(model.score(x, t), lambda n, e, at=at, f=score: f(*at[n][0], e), scale=1.0)
            agree_all(
                model.eps(x, t), lambda n, e, at=at, f=eps, nu=nu: f(*at[n][0], nu, e), scale=1.0
            )
            agree_all(
                model.x0(x, t),
                lambda n, e, at=at, f=denoiser, nu=nu: f(*at[n][0], nu, e),
                scale=1.0,
            )
            agree_all(
                model.responsibilities(x, t),
                lambda n, k, at=at, f=gamma: f(*at[n][0], k),
                scale=0.1,
            )
            agree_all(
                model.jacobian(x, t),
                lambda n, e, f, at=at, h=hessian: h(*at[n][0], e, f),
                scale=10.0,
            )


@covers(GaussianMixture)
def densities():
    x = numbers(83, (4, 2), -1.0, 1.0)
    exact = formula("marginal", "log_density")
    for mixture in (random_mixture(84), random_mixture(85, sigma=[0.3, 0.5, 0.9])):
        for abar in (0.3, 0.95):
            value = mixture.diffused(abar).log_density(x)
            w, mu = data(mixture)
            sigmas = mixture.sigmas.tolist()
            agree_all(
                value,
                lambda n, p=(w, mu, sigmas, abar): exact(x[n].tolist(), *p, 3, 2),
                scale=1.0,
            )


@covers(NoiseSchedule)
def effective_variances():
    exact = formula("static_coordinates", "effective_variance")
    v = SCHEDULE.effective_variance(0.3)
    agree_all(v, lambda t: exact(SCHEDULE.alpha_bar[t], 0.3))


# -- step plans ----------------------------------------------------------------------------------


@covers(bridge_plan, StepPlan)
def step_plans():
    grid = TimeGrid([50, 31, 12, 4, 0], 50)
    for eta in (0.0, 0.5, 1.0):
        plan = bridge_plan(SCHEDULE, grid, eta)
        c_x, c_eps, c_noise = plan.eps_form()
        for n, (t, s) in enumerate(grid.pairs[:-1]):
            at = (float(SCHEDULE.alpha_bar[t]), float(SCHEDULE.alpha_bar[s]), eta)
            keep, denoise, noise = (
                formula("ddim_bridge", key)(*at) for key in ("keep", "denoise", "noise_std")
            )
            agree(plan.keep[n], keep)
            agree(plan.denoise[n], denoise, scale=1.0)
            agree(plan.noise_std[n], noise)
            with mpmath.workdps(50):
                alpha_t, std_t = mpmath.sqrt(at[0]), mpmath.sqrt(1 - mpmath.mpf(at[0]))
                agree(c_x[n], keep + denoise / alpha_t)
                agree(c_eps[n], -denoise * std_t / alpha_t)
                agree(c_noise[n], noise)


@covers(DDPM)
def posterior_variances():
    grid = TimeGrid.full(50)
    plan = DDPM().plan(SCHEDULE, grid)
    exact = formula("ddim_bridge", "posterior_var")
    for n, (t, s) in enumerate(grid.pairs[:-1]):
        with mpmath.workdps(50):
            variance = exact(SCHEDULE.alpha_bar[t], SCHEDULE.alpha_bar[s])
            agree(plan.noise_std[n], mpmath.sqrt(variance), rtol=1e-11)


COMPARISONS = collect(globals())
