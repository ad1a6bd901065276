"""mixdyn.bounds against the derived formulas."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from mixdyn import bounds
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.errors import InputError, NotApplicableError

from . import compare_clones, compare_insurance, compare_maps
from .comparing import agree, agree_all, collect, covers, data, formula, numbers, random_mixture

POINTS = 6


# -- dominance -----------------------------------------------------------------------------------


@covers(bounds.dominance_gap, bounds.separation_length2, bounds.separation_variance)
def separation():
    kappa, v, length = (numbers(s, POINTS, 0.3, 3.0) for s in (1, 2, 3))
    gap = formula("dominance", "gap")
    agree_all(bounds.dominance_gap(kappa, v), lambda k: gap(kappa[k], v[k]))
    length2 = formula("dominance", "separation_length2")
    agree_all(bounds.separation_length2(kappa, 3, v), lambda k: length2(kappa[k], 3, v[k]))
    variance = formula("dominance", "separation_variance")
    agree_all(
        bounds.separation_variance(length, kappa, 3), lambda k: variance(length[k], kappa[k], 3)
    )


@covers(bounds.responsibility_bound)
def responsibility_bounds():
    mixture = random_mixture(4, N=4)
    w, kappa = mixture.weights, numbers(5, POINTS, 0.3, 3.0)
    exact = formula("dominance", "responsibility")
    nearest = np.array([0, 2] * (POINTS // 2))
    for given, weight in (
        (nearest, lambda k: w[nearest[k]]),
        (None, lambda k: min(w[0], w[2])),
    ):
        bound = bounds.responsibility_bound(mixture, 0, 2, kappa, given)
        agree_all(
            bound,
            lambda k, n, weight=weight: (
                mpmath.mpf(1) if n in (0, 2) else exact(w[n], weight(k), kappa[k])
            ),
        )


@covers(bounds.orthogonal_remainder, bounds.parallel_excess, bounds.segment_remainder)
def remainders():
    for seed in range(3):
        mixture = random_mixture(seed + 6, N=5, d=3)
        w, mu = data(mixture)
        kappa = numbers(seed + 10, 3, 0.3, 3.0)
        distance2 = formula("dominance", "line_distance2")
        farthest = max(mpmath.sqrt(distance2(mu, 3, 0, 1, k)) for k in (2, 3, 4))
        R = formula("dominance", "remainder")
        agree_all(
            bounds.orthogonal_remainder(mixture, 0, 1, kappa),
            lambda k, R=R, w=w, kappa=kappa, f=farthest: R(kappa[k], f, w, 5, 0, 1),
        )
        for name in ("parallel_excess", "segment_remainder"):
            exact = formula("extended_segment", name)
            agree_all(
                getattr(bounds, name)(mixture, 0, 1, kappa),
                lambda k, e=exact, w=w, mu=mu, kappa=kappa: e(kappa[k], w, mu, 5, 3, 0, 1),
            )


@covers(bounds.diagonal_log_ratio)
def diagonal_ratio():
    kappa, v, ratio, bd2, ac2 = (numbers(s, POINTS, 0.3, 3.0) for s in range(13, 18))
    exact = formula("rectangle", "log_ratio")
    value = bounds.diagonal_log_ratio(
        kappa, v, far_to_near_weight=ratio, other_diagonal2=bd2, this_diagonal2=ac2
    )
    agree_all(value, lambda k: exact(kappa[k], v[k], ratio[k], bd2[k], ac2[k]), scale=1.0)
    agree_all(bounds.diagonal_log_ratio(kappa, v), lambda k: exact(kappa[k], v[k], 1, 1, 1))


# -- stability -----------------------------------------------------------------------------------


@covers(bounds.midpoint_eigenvalues, bounds.equilibrium_slope)
def slopes():
    length, v, k = (numbers(s, POINTS, 0.3, 3.0) for s in (18, 19, 20))
    along, across = bounds.midpoint_eigenvalues(length, v)
    exact = formula("saddle", "along")
    agree_all(along, lambda n: exact(length[n], v[n]), scale=1.0)
    agree_all(across, lambda n: formula("saddle", "across")())
    a, strength = numbers(21, POINTS, -0.2, 1.2), 4.0 * k
    exact_slope = formula("two_modes", "slope_in_a")
    agree_all(
        bounds.equilibrium_slope(strength, a), lambda n: exact_slope(strength[n], a[n]), scale=1.0
    )


@covers(bounds.critical_log_weight_ratio)
def critical_ratio():
    # Just above k = 4 too: the threshold opens as s^3, which the doubles form as a difference.
    k = np.array([4.02, 4.5, 6.0, 30.0, 4e4])
    exact = formula("unequal_weights", "critical")
    agree_all(bounds.critical_log_weight_ratio(k), lambda n: exact(k[n]), scale=0.1)
    assert (bounds.critical_log_weight_ratio([3.0, 3.99]) == 0.0).all()


@covers(bounds.paper_trap, bounds.exit_time)
def paper_trap():
    for length, start, end in ((1.0, 0.1, 0.01), (2.5, 0.7, 0.3)):
        trap = bounds.paper_trap(length, start, end)
        eigenvalue = formula("paper_trap", "eigenvalue")
        agree(trap.radius, formula("paper_trap", "radius")(length, start, end))
        agree(trap.log_start, formula("paper_trap", "log_start")(length, start, end))
        agree(trap.eigenvalue_start, eigenvalue(length, start))
        agree(trap.eigenvalue_end, eigenvalue(length, end))
        agree(trap.u, formula("paper_trap", "u")(start, end))
    logs, lam = numbers(22, POINTS, 0.1, 9.0), numbers(23, POINTS, 0.3, 3.0)
    exit_time = formula("paper_trap", "exit_time")
    agree_all(bounds.exit_time(logs, lam), lambda k: exit_time(logs[k], lam[k]))


@covers(bounds.growth_exponent, bounds.mixture_growth_exponent, bounds.log_safe_start)
def growth():
    D, end = numbers(24, POINTS, 0.3, 3.0), numbers(25, POINTS, 0.05, 0.5)
    start = end + numbers(26, POINTS, 0.05, 0.5)
    exact = formula("growth", "exponent")
    agree_all(
        bounds.growth_exponent(D, start, end), lambda k: exact(D[k], start[k], end[k]), scale=0.1
    )
    mixture = random_mixture(27, N=4, d=3)
    gaps = [np.linalg.norm(a - b) for a in mixture.means for b in mixture.means]
    agree(bounds.mixture_growth_exponent(mixture, 0.4, 0.1), exact(max(gaps), 0.4, 0.1))
    r, exponent = numbers(28, POINTS, 0.1, 0.4), numbers(29, POINTS, -1.0, 5.0)
    safe = formula("growth", "log_safe_start")
    agree_all(bounds.log_safe_start(r, exponent), lambda k: safe(r[k], exponent[k]), scale=1.0)


@covers(bounds.ode_budget, bounds.sde_budget)
def budgets():
    D, r = numbers(30, POINTS, 0.5, 3.0), numbers(31, POINTS, 0.01, 0.4)
    for name in ("ode", "sde"):
        exact = formula("budgets", name)
        agree_all(getattr(bounds, f"{name}_budget")(D, r), lambda k, e=exact: e(D[k], r[k]))


@covers(bounds.ball_pull, bounds.tracking_rate)
def balls():
    mixture = random_mixture(32, N=4, d=2)
    w, mu = data(mixture)
    nearest = min(np.linalg.norm(mixture.means[0] - m) for m in mixture.means[1:])
    v = numbers(33, 4, 0.02, 0.6)
    for r in (0.2 * nearest, 0.499 * nearest):
        pull, rate = formula("mode_stability", "ball_pull"), formula("tracking", "tracking_rate")
        agree_all(
            bounds.ball_pull(mixture, 0, r, v), lambda k, p=pull, r=r: p(w, mu, r, v[k], 4, 2, 0)
        )
        agree_all(
            bounds.tracking_rate(mixture, 0, r, v),
            lambda k, p=rate, r=r: p(w, mu, r, v[k], 4, 2, 0),
            scale=1.0,
        )
    with pytest.raises(InputError):  # responsibilities are bounded for r < L/2 alone
        bounds.ball_pull(mixture, 0, 0.502 * nearest, v)
    bounds.ball_pull(mixture, 0, 0.498 * nearest, v)


# -- terminal bounds -----------------------------------------------------------------------------


@covers(bounds.log_brownian_confinement, bounds.log_midpoint_terms)
def confinement():
    theta, Q, K, lam, beta = (numbers(s, POINTS, 0.1, 2.0) for s in range(34, 39))
    brownian = formula("brownian_confinement", "log_bound")
    agree_all(
        bounds.log_brownian_confinement(theta, Q), lambda k: brownian(theta[k], Q[k]), scale=1.0
    )
    confined, returned = bounds.log_midpoint_terms(theta, Q, K, lam, beta)
    first = formula("confinement", "log_confinement")
    second = formula("return_term", "log_return")
    agree_all(confined, lambda k: first(theta[k], Q[k], K[k]), scale=0.1)
    agree_all(returned, lambda k: second(theta[k], lam[k], beta[k]))


@covers(bounds.log_midpoint_probability, bounds.reference_drift)
def midpoint_probability():
    exact = formula("comparison_of_squares", "log_probability")
    for length, theta in ((0.2, 0.5), (1.0, 0.15), (1.0, 0.7), (2.0, 1.1), (2.0, 0.1)):
        value = bounds.log_midpoint_probability(length, theta, 0.4, 0.03)
        agree(value, exact(length, theta, 0.4, 0.03), rtol=2e-12, scale=1e-3)
    a, size, v = (numbers(s, POINTS, 0.2, 2.0) for s in (39, 40, 41))
    place = a - 1.0
    drift = formula("bisector", "reference_drift")
    value = bounds.reference_drift(place, size, v)
    agree_all(value, lambda k: drift(place[k], size[k], v[k]), scale=1.0)


@covers(bounds.log_linear_confinement)
def linear_confinement():
    exact = formula("ou_confinement", "log_confinement")
    for theta, growth, noise in ((0.3, 0.5, 0.8), (0.2, 1.5, 0.1), (0.3, -1.0, 0.5)):
        value = bounds.log_linear_confinement(theta, growth, noise)
        agree(value, exact(theta, growth, noise), scale=1e-3)
    deep = bounds.log_linear_confinement(0.2, 40.0, 0.5)
    agree(deep, exact(0.2, 40.0, 0.5))
    assert math.isfinite(deep)


# -- the tube ------------------------------------------------------------------------------------


@covers(bounds.laurent_massart_threshold, bounds.tube_distance_high_probability)
def high_probability():
    delta = 10.0 ** -numbers(42, POINTS, 0.1, 12.0)
    threshold = formula("chi_square", "threshold")
    for d in (1, 3, 64):
        value = bounds.laurent_massart_threshold(d, delta)
        agree_all(value, lambda k, d=d: threshold(d, delta[k]))
    sigma, alpha, R = (numbers(s, POINTS, 0.1, 1.0) for s in (43, 44, 45))
    exact = formula("tube", "high_probability")
    value = bounds.tube_distance_high_probability(3, delta, sigma, alpha, R)
    agree_all(value, lambda k: exact(3, delta[k], sigma[k], alpha[k], R[k]))


@covers(bounds.tube_distance_u, bounds.tube_distance, bounds.tube_distance_x)
def tube():
    D, u, R, end = (numbers(s, POINTS, 0.1, 1.5) for s in (46, 47, 48, 49))
    start = end + u
    in_u = formula("gronwall", "distance")
    agree_all(bounds.tube_distance_u(D, u, R), lambda k: in_u(D[k], u[k], R[k]))
    in_v = formula("tube", "distance")
    agree_all(bounds.tube_distance(D, start, end, R), lambda k: in_v(D[k], start[k], end[k], R[k]))
    in_x = formula("tube", "distance_x")
    agree_all(
        bounds.tube_distance_x(D, start, end, u, R),
        lambda k: in_x(D[k], start[k], end[k], u[k], R[k]),
    )


@covers(bounds.convex_set_rate)
def convex_set():
    gamma, gaps, D = numbers(50, (4, 3), 0.0, 1.0), numbers(51, 3, 0.0, 2.0), numbers(52, 4, 0, 2)
    exact = formula("convex_set", "rate")
    agree_all(
        bounds.convex_set_rate(D, gamma, gaps),
        lambda k: exact(D[k], gamma[k], gaps, 3),
        scale=1.0,
    )


@covers(bounds.clock_gap, bounds.pair_bend, bounds.hull_bend)
def bend():
    variances, delta = numbers(54, 3, 0.01, 0.5), numbers(55, 3, -1.0, 1.0)
    tail, apart, crossing = (formula("bent_segment", key) for key in ("tail", "apart", "crossing"))
    end = 0.02

    def gap(one, two, start):
        p, q = (mpmath.cbrt(mpmath.mpf(float(lam)) + mpmath.mpf(end)) for lam in (one, two))
        if crossing(p, q, end) <= start:
            return apart(p, q)
        return abs(tail(start, one, end) - tail(start, two, end))

    pairs = [(0, 1), (0, 2), (1, 2)]
    first, second = variances[[i for i, _ in pairs]], variances[[j for _, j in pairs]]
    for start in (0.03, 0.2, 5.0):
        exact = [gap(a, b, start) for a, b in zip(first, second, strict=True)]
        agree_all(bounds.clock_gap(first, second, start, end), exact.__getitem__, scale=1.0)
        square = sum(
            (mpmath.mpf(float(delta[i])) * mpmath.mpf(float(delta[j])) * tau) ** 2
            for (i, j), tau in zip(pairs, exact, strict=True)
        )
        length = mpmath.sqrt(sum(mpmath.mpf(float(x)) ** 2 for x in delta))
        bend = bounds.pair_bend(delta, variances, start, end)
        agree(bend, mpmath.sqrt(square) / length, scale=1.0)
        # Against the best of some common measures; on one direction and its like, the first's own.
        size = bounds.hull_bend(np.abs(delta), variances, start, end)
        own = [
            mpmath.sqrt(
                sum(
                    (mpmath.mpf(float(delta[j])) * gap(variances[j], variances[i], start)) ** 2
                    for j in range(3)
                )
            )
            for i in range(3)
        ]
        assert float(bend) <= float(size) <= 1.001 * float(min(own))
        two = bounds.hull_bend([0.0, 1.0], variances[:2], start, end)
        assert float(two) < 1e-12


# -- outside every mode --------------------------------------------------------------------------


@covers(bounds.log_start_probability)
def start_probability():
    mixture, abar, noise = random_mixture(53, N=3, d=2), 1e-3, 0.998
    w, mu = data(mixture)
    s = [math.sqrt(abar * float(sigma) ** 2 + noise) for sigma in mixture.sigmas]
    moment = formula("outside", "log_moment")

    def bound(a, log_p):
        shift2 = [abar * sum(c * c for c in mode) for mode in mu]
        terms = [w[k] * mpmath.exp(moment(a, s[k], shift2[k], 2)) for k in range(3)]
        return (1 - 1 / a) * log_p + mpmath.log(sum(terms)) / a

    for log_p in (-0.1, -3.0, -14.0):
        # The smallest over the same orders: any choice of them gives a bound.
        orders = [1.0 + float(a) for a in np.geomspace(1e-3, 1e8, 1200)]
        exist = [a for a in orders if min(a * x**2 - (a - 1.0) for x in s) > 0.0]
        least = min(bound(mpmath.mpf(a), log_p) for a in exist)
        value = bounds.log_start_probability(mixture, log_p, abar, noise_var=noise)
        agree(value, least, rtol=1e-9)
    # 1 - abar is what a caller who knows no better would pass.
    alone = bounds.log_start_probability(mixture, -3.0, 0.25)
    agree(
        alone, mpmath.mpf(float(bounds.log_start_probability(mixture, -3.0, 0.25, noise_var=0.75)))
    )
    assert bounds.log_start_probability(mixture, -1e-12, 0.9) == 0.0


@covers(bounds.last_step_probability)
def last_step():
    mixture, rho, radius = random_mixture(54, N=3, d=1, sigma=0.05), 0.004, 0.25
    w, mu = data(mixture)
    exact, v = formula("outside", "overlap"), mpmath.mpf(float(mixture.sigma)) ** 2 + rho
    pairs = [(k, q) for k in range(3) for q in range(3) if k != q]

    def bound(delta):
        own = mpmath.erfc((radius - delta) * mpmath.sqrt(v / 2) / mpmath.mpf("0.0025"))
        gaps = [(w[k], w[q], abs(mu[k][0] - mu[q][0])) for k, q in pairs]
        kept = [g for g in gaps if 2 * rho * g[2] > v * delta]
        return own + sum(exact(a, b, 3, rho, v, delta, gap) for a, b, gap in kept)

    # The smallest over the same shares of the radius: any choice of them gives a bound.
    shares = np.geomspace(1e-6, 1.0, 400, endpoint=False)
    least = min(bound(mpmath.mpf(radius) * mpmath.mpf(float(share))) for share in shares)
    agree(bounds.last_step_probability(mixture, rho, radius), least, rtol=1e-9)


# -- a saddle of the full mixture ----------------------------------------------------------------


@covers(bounds.saddle_box)
def saddle_boxes():
    apart, beside = (
        ((0.3, 1.1), (-1.4, -0.6)),
        ((0.0527, 0.7098),),
    )  # (z_q, xi_q) of the other modes
    for w, others in (
        ([0.2, 0.3, 0.4, 0.1], apart),
        ([0.3, 0.3, 0.15, 0.25], apart),
        ([0.2915, 0.3371, 0.3714], beside),
        ([0.45, 0.5, 0.05], beside),
    ):
        for length in (1.0, 1.7):  # every power of l shows
            for share in (0.02, 0.043, 0.07, 0.2, 1 / 4.02):
                means = length * np.array([[0.5, 0.0], [-0.5, 0.0], *others])
                v = share * length**2
                box = bounds.saddle_box(GaussianMixture(means, 0.1, w), 0, 1, v)
                _agree_box(box, w, v, (length, others))
    with pytest.raises(NotApplicableError):
        bounds.saddle_box(GaussianMixture(means, 0.1, w), 0, 1, length**2 / 3.98)


def _agree_box(box, w, v, shape):
    length, places = shape
    b, k = mpmath.log(mpmath.mpf(w[0]) / w[1]), mpmath.mpf(length) ** 2 / v
    others = [(q + 2, z_q, abs(xi_q) * length) for q, (z_q, xi_q) in enumerate(places)]
    s = mpmath.mpf(box.span)
    step = float(25 * s / mpmath.sqrt(1 - 4 / k))  # the spreads tried
    assert abs(step - round(step)) < 1e-9
    log_share, place = formula("saddle_box", "log_share"), formula("saddle_box", "place")
    ends = [(1 - s) / 2, (1 + s) / 2]

    def share(p, q, z_q, h):
        z = place(2 * p - 1, b, k)
        return mpmath.exp(log_share(w[q], w[0], w[1], p, z, z_q, h, box.radius, length, v))

    agree(box.z_low, place(-s, b, k), scale=0.1)
    agree(box.z_high, place(s, b, k), scale=0.1)
    outward = formula("saddle_box", "outward")
    agree_all(box.outward, lambda f: outward(s, b if f else -b, k), scale=0.1)
    pull = [
        sum(share(p, *mode) * max(sign * (p - 0.5 - mode[1]), 0) for mode in others)
        for p, sign in zip(ends, (-1, 1), strict=True)
    ]
    agree_all(box.pull, lambda f: pull[f], scale=1e-3)
    # Concave in z: largest where its slope vanishes, or at the nearest end; no less than on a grid.
    top = [min(max(mpmath.mpf("0.5") + mode[1], ends[0]), ends[1]) for mode in others]
    most = [share(p, *mode) for p, mode in zip(top, others, strict=True)]
    grid = [ends[0] + (ends[1] - ends[0]) * n / 20 for n in range(21)]
    assert all(m >= share(p, *mode) for m, mode in zip(most, others, strict=True) for p in grid)
    agree(box.across, sum(m * mode[2] for m, mode in zip(most, others, strict=True)), rtol=1e-11)
    anywhere = sum(m * (abs(mode[1]) + s / 2) for m, mode in zip(most, others, strict=True))
    agree(box.pull_anywhere, anywhere, rtol=1e-11)
    mass = sum(most) / (1 + sum(most))
    agree(box.mass, mass, rtol=1e-11)
    stretch = (1 - mass) * k * ends[0] * ends[1]
    squeeze = sum(m * mode[2] ** 2 for m, mode in zip(most, others, strict=True)) / v
    agree(box.stretch, stretch, rtol=1e-11)
    agree(box.squeeze, squeeze, rtol=1e-11)
    needs = [k * (outward(s, b if f else -b, k) - pull[f]) for f in (0, 1)]
    needs += [stretch - 1, 1 - squeeze, ends[0] - max(most)]
    if box.across <= box.radius:
        agree(box.slack, min(needs), rtol=1e-9, scale=0.1)
    else:
        assert box.slack < 0.0


COMPARISONS = [
    *collect(globals()),
    *compare_clones.OF_BOUNDS,
    *collect(vars(compare_insurance)),
    *compare_maps.OF_BOUNDS,
]
