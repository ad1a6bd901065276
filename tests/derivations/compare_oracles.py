"""mixdyn.oracles against the derived formulas."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest

from mixdyn import oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import InputError, NotApplicableError

from . import compare_clones, compare_maps
from .comparing import agree, agree_all, collect, covers, data, formula, numbers, random_mixture

AXIS = GaussianMixture([[-1.0], [0.3], [1.1]], 0.2, [0.5, 0.2, 0.3])
GRID = GaussianMixture(
    [[a, b] for a in (-1.0, 0.3, 1.1) for b in (0.0, 0.9)],
    0.2,
    [p * q for p in (0.5, 0.2, 0.3) for q in (0.6, 0.4)],
)
GRID_AXES = (([-1.0, 0.3, 1.1], [0.5, 0.2, 0.3]), ([0.0, 0.9], [0.6, 0.4]))


# -- O1 ------------------------------------------------------------------------------------------


class _Law:
    """The derived reverse law of a mixture at one point, exactly for the doubles given."""

    def __init__(self, mixture, x, abar_t, abar_s):
        with mpmath.workdps(60):
            at, as_ = mpmath.mpf(abar_t), mpmath.mpf(abar_s)
            self.alpha_t, self.alpha_s = mpmath.sqrt(at), mpmath.sqrt(as_)
            self.rho_t, self.rho_s = (1 - at) / at, (1 - as_) / as_
            variances = [at * mpmath.mpf(float(s)) ** 2 + 1 - at for s in mixture.sigmas]
        w, mu = data(mixture)
        self.S = variances
        self.point = (x, w, mu, variances, self.alpha_t, mixture.N, mixture.d)
        self.extra = (self.alpha_s, self.rho_t, self.rho_s)

    def weight(self, k):
        return formula("reverse_law", "weight")(*self.point, k)

    def mean(self, k, e):
        return formula("reverse_law", "mean")(*self.point, *self.extra, k, e)

    def variance(self, k):
        return formula("reverse_law", "variance")(self.S, self.alpha_t, *self.extra, k)

    def moments(self):
        mean, cov = (formula("reverse_law", f"moment_{m}") for m in ("mean", "covariance"))
        return (
            lambda e: mean(*self.point, *self.extra, e),
            lambda e, f: cov(*self.point, *self.extra, e, f),
        )


@covers(oracles.reverse_law, oracles.reverse_mixture, oracles.reverse_moments)
def reverse_law():
    for sigma in (0.4, [0.2, 0.5, 0.9]):
        mixture = random_mixture(60, sigma=sigma)
        x = numbers(61, (3, 2), -1.0, 1.0)
        weights, means, variances = oracles.reverse_law(mixture, x, 0.4, 0.9)
        mean, covariance = oracles.reverse_moments(mixture, x, 0.4, 0.9)
        for n in range(3):
            law = _Law(mixture, x[n].tolist(), 0.4, 0.9)
            agree_all(weights[n], law.weight)
            agree_all(means[n], law.mean, scale=1.0)
            agree_all(variances, law.variance)
            exact_mean, exact_covariance = law.moments()
            agree_all(mean[n], exact_mean, scale=1.0)
            agree_all(covariance[n], exact_covariance, scale=1.0)
    clean = oracles.reverse_mixture(mixture, x, 0.4)  # down to the data
    agree_all(clean.variances, _Law(mixture, x[0].tolist(), 0.4, 1.0).variance)


@covers(oracles.reverse_law, oracles.reverse_mixture)
def reverse_law_of_covariances():
    """Along the axes the coordinates know of each other through the weights alone."""
    means, stds = numbers(64, (3, 2), -1.0, 1.0), numbers(65, (3, 2), 0.2, 0.9)
    shares = [0.5, 0.3, 0.2]
    mixture = GaussianMixture(means, covariance=[np.diag(s**2) for s in stds], weights=shares)
    axes = [GaussianMixture(means[:, [e]], stds[:, e]) for e in range(2)]
    x = numbers(66, (3, 2), -1.0, 1.0)
    weights, found, covariances = oracles.reverse_law(mixture, x, 0.4, 0.9)
    for n in range(3):
        laws = [_Law(axes[e], [float(x[n, e])], 0.4, 0.9) for e in range(2)]
        with mpmath.workdps(50):
            parts = [
                mpmath.mpf(shares[k]) * laws[0].weight(k) * laws[1].weight(k) for k in range(3)
            ]
            total = sum(parts)
        agree_all(weights[n], lambda k, p=parts, s=total: p[k] / s)
        agree_all(found[n], lambda k, e, laws=laws: laws[e].mean(k, 0), scale=1.0)

        def covariance(k, e, f, laws=laws):
            return laws[e].variance(k) if e == f else mpmath.mpf(0)

        agree_all(covariances, covariance, scale=1.0)


@covers(oracles.ReverseLaw)
def reverse_slab():
    mixture = random_mixture(62)
    x = numbers(63, (2, 2), -1.0, 1.0)
    direction, center = np.array([0.6, 0.8]), np.array([0.1, -0.2])
    interval = formula("reverse_law", "interval")
    for width in (0.5, 0.02, 2e-4):
        law = oracles.reverse_mixture(mixture, x, 0.4, 0.9)
        value = law.log_slab_probability(2.0 * direction, center, width)

        def probability(n, width=width):
            exact = _Law(mixture, x[n].tolist(), 0.4, 0.9)
            total = mpmath.mpf(0)
            with mpmath.workdps(50):
                for k in range(3):
                    place = sum(
                        mpmath.mpf(direction[e])
                        * (exact.mean(k, e) - exact.alpha_s * mpmath.mpf(center[e]))
                        for e in range(2)
                    )
                    std = mpmath.sqrt(exact.variance(k))
                    total += exact.weight(k) * interval(
                        (-width - place) / std, (width - place) / std
                    )
                return mpmath.log(total)

        agree_all(value, probability, scale=1.0)


@covers(oracles.log_interval)
def log_interval():
    exact = formula("reverse_law", "interval")
    wide = [(-1.0, 0.5), (-0.3, 2.0), (0.4, 1.1), (-2.5, -1.0), (1.0, 9.0), (-1e-3, 2e-3)]
    # narrow: below 1e-3/(1 + |mid|) the second term of the midpoint rule carries 1e-8 of the value
    narrow = [(0.3, 0.30068), (-2.0, -1.99975), (1.7, 1.70036), (-0.0004, 0.00055)]
    for a, b in wide + narrow:
        value = oracles.log_interval(a, b)
        with mpmath.workdps(50):
            agree(
                value, mpmath.log(exact(a, b)), rtol=2e-12 if (a, b) in narrow else 1e-13, scale=1
            )


# -- O2 ------------------------------------------------------------------------------------------


def _conserved(axis, v_from, y, v_to, end, rtol=1e-12):
    """F at the end against F at the start, in units of the end point's own error."""
    values, weights = axis
    F, density = formula("cdf_conservation", "F"), formula("cdf_conservation", "density")
    n = len(values)
    with mpmath.workdps(50):
        gap = F(end, values, weights, v_to, n) - F(y, values, weights, v_from, n)
        error = abs(gap) / density(end, values, weights, v_to, n)
        assert error <= rtol * (1 + abs(mpmath.mpf(end))), mpmath.nstr(error, 5)


@covers(oracles.flow_map)
def flow_map():
    y = numbers(64, (8, 2), -1.6, 1.6)
    for v_from, v_to in ((0.5, 0.04), (0.3, 0.08), (0.06, 0.4)):
        end = oracles.flow_map(GRID, y, v_from, v_to)
        for n, c in itertools.product(range(8), range(2)):
            _conserved(GRID_AXES[c], v_from, y[n, c], v_to, end[n, c])
    single = GaussianMixture([[0.7]], 0.2)
    factor = formula("hull_reduction", "ode_contraction")
    end = oracles.flow_map(single, [[1.9]], 0.5, 0.04)
    with mpmath.workdps(50):
        agree(end[0, 0], mpmath.mpf(0.7) + factor(0.5, 0.04) * (mpmath.mpf(1.9) - mpmath.mpf(0.7)))


@covers(oracles.flow_map)
def flow_map_on_a_tilted_line():
    direction = np.array([0.6, 0.8])
    means = np.array([[-1.0], [0.3], [1.1]]) * direction + [0.2, -0.1]
    mixture = GaussianMixture(means, 0.2, [0.5, 0.2, 0.3])
    y = numbers(65, (5, 2), -1.0, 1.0)
    end = oracles.flow_map(mixture, y, 0.5, 0.04)
    across = np.array([-0.8, 0.6])
    factor = formula("hull_reduction", "ode_contraction")
    for n in range(5):
        start, stop = y[n] - [0.2, -0.1], end[n] - [0.2, -0.1]
        _conserved(GRID_AXES[0], 0.5, start @ direction, 0.04, stop @ direction, rtol=1e-11)
        agree(stop @ across, factor(0.5, 0.04) * mpmath.mpf(start @ across), 1e-11, 1.0)


@covers(oracles.flow_map_arb)
def flow_map_in_balls():
    F = formula("cdf_conservation", "F")
    axis = ([-1.0, 0.3, 1.1], [0.5, 0.2, 0.3])
    for y in (-1.4, -0.2, 0.7, 1.5):
        ((ball,),) = oracles.flow_map_arb(AXIS, [[y]], 0.5, 0.04, prec=100)
        with mpmath.workdps(50):
            end = mpmath.mpf(ball.mid().str(40, radius=False))
            density = formula("cdf_conservation", "density")(end, *axis, 0.04, 3)
            gap = F(end, *axis, 0.04, 3) - F(y, *axis, 0.5, 3)
            assert abs(gap) <= density * mpmath.mpf(10) ** -28


@covers(oracles.trap_radius)
def trap():
    values, weights = [0.25, 1.75, 3.5], [0.4, 0.4, 0.2]
    mixture = GaussianMixture([[m] for m in values], 0.1, weights)
    F = formula("cdf_conservation", "F")
    start, end, length = 0.25, 0.1, mpmath.mpf("1.5")
    for fraction in (0.3, 0.45):
        found = oracles.trap_radius(mixture, (0, 1), fraction, start, end)
        with mpmath.workdps(50):
            edges = []
            for sign in (-1, 1):
                target = F(1 + sign * mpmath.mpf(fraction) * length, values, weights, end, 3)
                edges.append(
                    mpmath.findroot(
                        lambda z, target=target: F(z, values, weights, start, 3) - target,
                        1 + sign * fraction / 2,
                    )
                )
            half = (edges[1] - edges[0]) / (2 * length)
            center = ((edges[1] + edges[0]) / 2 - 1) / length
            agree(found.log10_radius, mpmath.log10(half), rtol=1e-9)
            agree(found.radius, half, rtol=1e-9)
            agree(found.center_offset, -center, rtol=1e-7)  # positive towards mode i = 0
    oracles.trap_radius(mixture, (0, 1), 0.4999, start, end)
    with pytest.raises(NotApplicableError):
        oracles.trap_radius(mixture, (0, 1), 0.5001, start, end)


# -- O3, X4 --------------------------------------------------------------------------------------


@covers(oracles.ode_contraction, oracles.sde_contraction)
def contractions():
    ode, sde, spread = (
        formula("hull_reduction", key)
        for key in ("ode_contraction", "sde_contraction", "sde_variance")
    )
    for start, end in ((0.7, 0.2), (0.31, 0.3), (5.0, 1e-3)):
        agree(oracles.ode_contraction(start, end), ode(start, end))
        q, variance = oracles.sde_contraction(start, end)
        agree(q, sde(start, end))
        agree(variance, spread(start, end))


@covers(
    oracles.affine_hull, oracles.AffineHull, oracles.orthogonal_flow, oracles.orthogonal_reverse
)
def across_the_hull():
    mixture = GaussianMixture([[-1.0, 0.5, 0.25], [0.5, 0.5, 0.25]], 0.2, [0.3, 0.7])
    y = numbers(66, (4, 3), -1.0, 1.0)
    assert oracles.affine_hull(mixture).rank == 1
    offset = y - [0.0, 0.5, 0.25]
    ode, sde, spread = (
        formula("hull_reduction", key)
        for key in ("ode_contraction", "sde_contraction", "sde_variance")
    )
    flow = oracles.orthogonal_flow(mixture, y, 0.5, 0.04)
    mean, variance = oracles.orthogonal_reverse(mixture, y, 0.5, 0.04)
    agree(variance, spread(0.5, 0.04))
    for n, e in itertools.product(range(4), (1, 2)):
        agree(flow[n, e], ode(0.5, 0.04) * mpmath.mpf(offset[n, e]), scale=0.1)
        agree(mean[n, e], sde(0.5, 0.04) * mpmath.mpf(offset[n, e]), scale=0.1)


# -- O4 ------------------------------------------------------------------------------------------


@covers(oracles.two_mode_logit, oracles.two_mode_drift, oracles.two_mode_slope)
def two_modes():
    z = numbers(67, 12, -0.7, 0.7)
    for k, b in ((2.0, 0.0), (9.0, 0.7), (60.0, -0.4)):
        for name, scale in (("logit", 1.0), ("drift", 1.0)):
            exact = formula("two_modes", name)
            value = getattr(oracles, f"two_mode_{name}")(z, k, b)
            agree_all(value, lambda n, e=exact, k=k, b=b: e(z[n], k, b), scale=scale)
        slope = formula("two_modes", "slope_at_zero")
        agree_all(oracles.two_mode_slope(z, k), lambda n, s=slope, k=k: s(z[n], k), scale=1.0)


@covers(oracles.two_mode_equilibria)
def equilibria():
    drift, critical = formula("two_modes", "drift"), formula("unequal_weights", "critical")
    slope = formula("two_modes", "slope_at_zero")
    for k in (2.0, 3.99, 4.0000001, 4.02, 4.5, 9.0, 25.0, 5000.0):
        with mpmath.workdps(50):
            limit = critical(mpmath.mpf(k)) if k > 4 else mpmath.mpf(0)
        biases = [0.0] if k > 4 else [0.0, 0.3]
        # close to the threshold, and beyond it
        biases += [s * float(limit) * r for s in (-1, 1) for r in (0.9, 0.9995, 1.0005, 1.2)]
        for b in biases:
            roots = oracles.two_mode_equilibria(k, b)
            assert len(roots) == (3 if abs(b) < limit else 1), (k, b)
            with mpmath.workdps(50):
                for z in roots:
                    steep = abs(slope(z, k))
                    assert abs(drift(z, k, b)) <= 1e-12 * max(steep, mpmath.mpf("0.05"))


@covers(oracles.two_mode_equilibria)
def equilibria_of_a_faint_bias():
    """Every root changes the sign of the derived drift within a relative 1e-12."""
    drift = formula("two_modes", "drift")
    for k in (0.3, 3.0, 4.0, 4.0000001, 9.0, 60.0):
        for b in (1e-59, 1e-60, -1e-60, 3e-150, -1e-305):
            roots = oracles.two_mode_equilibria(k, b)
            assert len(roots) == (3 if k > 4 else 1), (k, b)
            with mpmath.workdps(400):
                for z in map(mpmath.mpf, roots):
                    ends = [drift(z * (1 + s * mpmath.mpf("1e-12")), k, b) for s in (-1, 1)]
                    assert ends[0] * ends[1] < 0, (k, b, float(z))


@covers(oracles.reverse_bisector_drift)
def bisector_drift():
    exact = formula("bisector", "drift_per_beta")
    a = numbers(68, 10, -0.8, 0.8)
    for length, abar, sigma in ((1.0, 0.9, 0.2), (0.6, 0.3, 0.5), (1.4, 0.99, 0.3)):
        value = oracles.reverse_bisector_drift(a, length, abar, sigma)
        agree_all(value, lambda n, p=(length, abar, sigma): exact(a[n], *p), scale=1.0)


# -- X6, X7, X8 ----------------------------------------------------------------------------------


def _pulled(axis, end, v_end, v_noise):
    """The derived pull-back: where the flow from v_noise reaches `end` at v_end."""
    F = formula("cdf_conservation", "F")
    values, weights = axis
    target = F(end, values, weights, v_end, len(values))
    return mpmath.findroot(
        lambda z: F(z, values, weights, v_noise, len(values)) - target, mpmath.mpf(end)
    )


@covers(oracles.hybrid_log_interval)
def hybrid_probability():
    y = np.array([[0.2, 0.4], [-0.5, 0.1]])
    stages = [("ode", 0.4), ("sde", 0.15), ("ode", 0.08)]
    boxes = [
        ([-0.8, 0.1], [0.4, 1.2]),
        ([0.1, 0.3], [0.1004, 0.3005]),
        ([-np.inf, -np.inf], [0.2, 0.7]),
        ([0.2, 0.7], [np.inf, np.inf]),
    ]
    kernel = formula("hybrid", "kernel_interval")
    for low, high in boxes:
        value = oracles.hybrid_log_interval(GRID, y, 0.6, stages, (low, high))
        for n, c in itertools.product(range(2), range(2)):
            axis = GRID_AXES[c]
            with mpmath.workdps(50):
                start = _pulled(axis, y[n, c], 0.6, 0.4)
                limits = [
                    _pulled(axis, side[c], 0.08, 0.15) if np.isfinite(side[c]) else None
                    for side in (low, high)
                ]
                a, b = (
                    mpmath.mpf(s * 60) if x is None else x
                    for s, x in zip((-1, 1), limits, strict=True)
                )
                exact = mpmath.log(kernel(start, *axis, 0.4, 0.15, a, b, len(axis[0])))
            agree(value[n, c], exact, rtol=1e-11, scale=1.0)


@covers(oracles.hybrid_sample)
def hybrid_draws():
    mixture = GaussianMixture([[-2.0], [1.5]], 1.3, [0.4, 0.6])  # sigma > 1: v = sigma^2 is allowed
    y, v_from, v_to = np.array([[0.3], [-1.0], [2.2]]), 6.0, 2.5
    value = oracles.hybrid_sample(mixture, y, v_from, [("sde", v_to)], np.random.default_rng(5))
    oracles.hybrid_sample(mixture, y, v_from, [("sde", 1.3**2)], np.random.default_rng(5))
    rng = np.random.default_rng(5)  # the same uniforms and normals, put through the derived law
    uniform, normal = rng.random((3, 1)), rng.standard_normal((3, 1))
    weight, mean, variance = (formula("reverse_law", key) for key in ("weight", "mean", "variance"))
    with mpmath.workdps(60):
        rho = [mpmath.mpf(v) - mpmath.mpf(1.3) ** 2 for v in (v_from, v_to)]
    S, extra = [v_from] * 2, (1, *rho)  # static coordinates: alpha = 1 and S = v
    for n in range(3):
        point = (y[n].tolist(), *data(mixture), S, 1, 2, 1)
        pick = int(uniform[n, 0] > weight(*point, 0))
        with mpmath.workdps(50):
            noise = mpmath.sqrt(variance(S, 1, *extra, pick)) * mpmath.mpf(normal[n, 0])
            exact = mean(*point, *extra, pick, 0) + noise
        agree(value[n, 0], exact, rtol=1e-11, scale=1.0)


@covers(oracles.linear_recursion_std)
def linear_recursion():
    schedule = NoiseSchedule.linear(T=100, beta_start=1e-3, beta_end=0.1)
    times = [100, 60, 30, 8, 1, 0]
    variance = formula("linear_recursion", "variance")
    last = formula("linear_recursion", "last_factor")
    for eta, sigma, start in ((0.0, 0.2, None), (0.5, 0.4, 0.9), (1.0, 0.1, None)):
        value = oracles.linear_recursion_std(schedule.alpha_bar, times, eta, sigma, start_std=start)
        with mpmath.workdps(50):
            abar = [mpmath.mpf(float(schedule.alpha_bar[t])) for t in times]
            rho = [(1 - a) / a for a in abar]
            V = mpmath.mpf(sigma) ** 2 + rho[0] if start is None else mpmath.mpf(start) ** 2
            agree(value[0], mpmath.sqrt(V))
            for n in range(len(times) - 2):
                V = variance(V, rho[n], rho[n + 1], sigma, eta)
                agree(value[n + 1], mpmath.sqrt(V))
            agree(value[-1], mpmath.sqrt(V) * last(rho[-2], sigma))


@covers(oracles.late_noise_std)
def late_noise():
    schedule = NoiseSchedule.linear(T=100, beta_start=1e-3, beta_end=0.1)
    times = [100, 80, 55, 30, 8, 1, 0]
    kernel, bridge, slope, deterministic = (
        formula("kernel_variance", name)
        for name in ("variance", "bridge_alone", "slope", "deterministic")
    )
    abar = [mpmath.mpf(float(schedule.alpha_bar[t])) for t in times]
    for late_rho, sigma, start, posterior in (
        (0.5, 0.2, None, (True, True)),
        (0.5, 0.4, 0.9, (False, True)),
        (1e-9, 0.3, None, (True, True)),  # the last step alone is late
    ):
        value = oracles.late_noise_std(
            schedule.alpha_bar, times, late_rho, sigma, start_std=start, posterior=posterior
        )
        with mpmath.workdps(50):
            rho = [(1 - a) / a for a in abar]
            std = mpmath.sqrt(mpmath.mpf(sigma) ** 2 + rho[0]) if start is None else start
            agree(value[0], std)
            before = None
            for n in range(len(times) - 1):
                if rho[n] > late_rho and n < len(times) - 2:
                    x_0 = middle = slope(rho[n], sigma) * std
                    if before is not None:
                        stretch = mpmath.log(rho[n] / rho[n + 1])
                        stretch /= mpmath.log(rho[n - 1] / rho[n])
                        middle += stretch * (x_0 - before) / 2
                    std, before = deterministic(std, middle, rho[n], rho[n + 1]), x_0
                else:
                    added = posterior[n == len(times) - 2]
                    var = (kernel if added else bridge)(std**2, rho[n], rho[n + 1], sigma)
                    std = mpmath.sqrt(var)
                agree(value[n + 1], std)


@covers(oracles.kernel_excess)
def nearest_kernel():
    exact = formula("gaussian_kernel", "excess")
    cases = [(0.3, 0.2, 0.0), (0.1, 4.0, 0.7), (2.0, 2.0, 0.1), (1e-6, 3e-4, 1e-3)]
    for used, true, away in cases:
        value = oracles.kernel_excess([[[true]]], [[[used]]], [[away]])
        agree(value[0], exact(used, true, away), rtol=1e-11)
    # Turned, coordinates that do not know of each other: the sum.
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((2, 2)))[0]
    matrices = [turn @ np.diag(v) @ turn.T for v in ((0.2, 4.0), (0.3, 0.1))]
    value = oracles.kernel_excess(matrices[:1], matrices[1:], (turn @ [0.0, 0.7])[None])
    agree(value[0], exact(0.3, 0.2, 0.0) + exact(0.1, 4.0, 0.7), rtol=1e-11)
    for wrong in ([[[-1.0]]], [[[0.0]]]):
        with pytest.raises(InputError):
            oracles.kernel_excess(wrong, [[[1.0]]])
    with pytest.raises(InputError):
        oracles.kernel_excess(np.eye(2)[None], [[[1.0]]])


@covers(oracles.window_covariance, oracles.window_variance_law, oracles.QuadraticForm)
def law_over_a_window():
    schedule = NoiseSchedule.linear(T=60, beta_start=1e-3, beta_end=0.2)
    times, window, sigma = np.arange(60, -1, -1), 4, 0.3
    value = oracles.window_covariance(schedule.alpha_bar, times, window, sigma)
    covariance = formula("window_variance", "covariance")
    spread = oracles.linear_recursion_std(schedule.alpha_bar, times, 1.0, sigma)[-1 - window : -1]
    with mpmath.workdps(50):
        abar = [mpmath.mpf(float(schedule.alpha_bar[t])) for t in range(window, 0, -1)]
        exact = [
            covariance(mpmath.mpf(float(s)) ** 2, (1 - a) / a, sigma)
            for s, a in zip(spread, abar, strict=True)
        ]
        agree_all(value, lambda i, j: exact[min(i, j)])
        centre = mpmath.eye(window) - mpmath.ones(window) / window
        path = mpmath.matrix([[float(x) for x in row] for row in value])
        weights = sorted(mpmath.eigsy(centre * path * centre / window, eigvals_only=True))[1:]
        law = oracles.window_variance_law(value, 2)
        agree_all(law.weights, lambda k: weights[k], rtol=1e-10)
        agree(law.mean, sum(weights))
        agree(law.variance, sum(weight**2 for weight in weights))
        for ratio in (0.1, 1.0, 4.0):  # in two dimensions a sum of exponentials
            x = ratio * law.mean
            tail = sum(
                mpmath.exp(-x / a) * mpmath.fprod(a / (a - b) for b in weights if b != a)
                for a in weights
            )
            agree(law.tail(x), tail, scale=1.0)
            if 0.01 < tail < 0.99:  # where the quantile is well conditioned
                agree(law.quantile(float(1 - tail)), mpmath.mpf(x), rtol=1e-8)


@covers(oracles.expected_window_variance)
def mean_over_a_window():
    errors = np.sort(numbers(1, 7, 0.1, 1.0))[::-1]
    exact = formula("window_variance", "scaled_mean")([0.0, *errors], 7) / 49
    agree(oracles.expected_window_variance(errors), exact, scale=1.0)


@covers(oracles.pair_error)
def error_along_a_pair():
    error = formula("window_variance", "pair_error")
    for length, sigma, rho in ((1.0, 0.1, 0.05), (0.7, 0.3, 0.4)):
        with mpmath.workdps(30):
            l, v = mpmath.mpf(length), mpmath.mpf(sigma) ** 2 + mpmath.mpf(rho)

            def weighted(z, l=l, v=v, rest=(rho, sigma, length)):
                y = l / 2 + mpmath.sqrt(v) * z
                gamma = 1 / (1 + mpmath.exp(-l * y / v))
                return mpmath.npdf(z) * error(*rest, gamma)

            exact = mpmath.quad(weighted, [-14, -l / (2 * mpmath.sqrt(v)), 0, 3, 14])
        agree(oracles.pair_error(length, sigma, rho), exact, scale=length**2)


COMPARISONS = [*collect(globals()), *compare_clones.OF_ORACLES, *compare_maps.OF_ORACLES]
