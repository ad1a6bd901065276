"""Bounds and closed forms of guidance, smooth maps and first-order errors against the derived
formulas."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np

from mixdyn import bounds, oracles
from mixdyn.problem.mixture import GaussianMixture

from .comparing import agree, agree_all, covers, formula, numbers

SPOTS = 5


@covers(bounds.guidance_shift_far, bounds.guidance_shift_limits)
def guidance_shifts():
    xi, weight, odds = numbers(90, SPOTS, -2.0, 2.5), numbers(91, SPOTS, 0.1, 5.0), 0.4
    far, slope = formula("guidance", "far"), formula("guidance", "slope")
    agree_all(bounds.guidance_shift_far(xi, weight, odds), lambda k: far(xi[k], weight[k], odds))
    for reach in ((0.0, math.inf), (0.2, 3.0)):
        least, most = bounds.guidance_shift_limits(xi, weight, odds, reach)

        def rise(at, w, reach=reach):
            ends = [mpmath.mpf(reach[0]), 1, 3, mpmath.inf if reach[1] > 9 else reach[1]]
            with mpmath.workdps(30):
                return mpmath.quad(lambda kappa: slope(kappa, at, w, odds), sorted(set(ends)))

        agree_all(most, lambda k, rise=rise: rise(xi[k], weight[k]), rtol=1e-9)
        agree_all(least, lambda k, rise=rise, x=least: rise(xi[k] + x[k], weight[k]), rtol=1e-9)


@covers(oracles.guided_flow)
def guided_lines():
    slope, length, sigma = formula("guidance", "slope"), 1.3, 0.2
    v_from, v_to = 2.0, sigma**2
    for weights, w, start in (([0.5, 0.5], 2.0, -0.4), ([0.3, 0.7], 0.5, 1.1)):
        two = GaussianMixture([[0.0], [length]], sigma, weights)
        odds = math.log(weights[1] / weights[0])
        y = length + math.sqrt(v_from) * start
        found = oracles.guided_flow(two, 1, w, [[y]], v_from, v_to)[0, 0]
        with mpmath.workdps(15):
            ends = [length / mpmath.sqrt(v) for v in (v_from, v_to)]
            path = mpmath.odefun(
                lambda kappa, x, w=w, odds=odds: slope(kappa, x, w, odds), ends[0], start
            )
            exact = length + mpmath.sqrt(v_to) * path(ends[1])
        agree(found, exact, rtol=1e-8)


@covers(bounds.gap_probability)
def gaps():
    q, width, slope = (
        numbers(92 + k, SPOTS, *r) for k, r in enumerate(((-3, 3), (0.1, 2), (0.3, 9)))
    )
    gap = formula("isoperimetry", "gap")
    agree_all(bounds.gap_probability(q, width, slope), lambda k: gap(q[k], width[k], slope[k]))
    for reach in (1e-14, 0.9, 1.1, 8.0):
        for at in (-2.0, 0.3, 2.0):
            agree(bounds.gap_probability(at, reach, 1.0), gap(at, reach, 1.0), rtol=1e-11)


@covers(oracles.first_order_std)
def products_of_cosines():
    factor, best = formula("first_order", "factor"), formula("first_order", "best")
    s, sigma = np.array([3.0, 1.1, 0.4, 0.07, 0.0]), 0.3
    with mpmath.workdps(40):
        theta = [mpmath.atan(mpmath.mpf(float(v)) / mpmath.mpf(sigma)) for v in s]
        exact = mpmath.fprod(factor(a, b) for a, b in itertools.pairwise(theta))
        even = [sigma * math.tan(float(theta[0]) * k / 4) for k in (4, 3, 2, 1)]
    agree(oracles.first_order_std(s, sigma), exact)
    agree(oracles.first_order_std([*even, 0.0], sigma), best(float(theta[0]), 4), rtol=1e-11)


@covers(oracles.LevelError, oracles.first_order_levels)
def errors_of_levels():
    bend = formula("first_order", "bend")
    line = GaussianMixture([[-0.7], [0.9]], 0.4, [0.3, 0.7])
    s = np.append(3.0 * np.linspace(1.0, 0.0, 61)[:-1] ** 2, 0.0)
    level = np.array([0.2, 0.55])
    found = oracles.first_order_levels(line, level, s)
    for k, wanted in enumerate(level):
        terms = [_bent_density(line, wanted, float(v), bend) for v in s]
        tau = np.linspace(1.0, 0.0, 61)
        values = np.array([float(t[0]) for t in terms]) * np.square(6.0 * tau)
        exact = float(np.sum((values[1:] + values[:-1]) / 2) / 60 / 2)
        # The grid's speed is by differences there, exact here.
        agree(found.constant[k], mpmath.mpf(exact), rtol=2e-3)
        agree(found.place[k], terms[-1][1], rtol=1e-10)
        agree(found.density[k], terms[-1][2], rtol=1e-10)


def _bent_density(line, level, s, bend):
    """y'' p_s where the marginal at s has a level, that place, and the density there."""
    with mpmath.workdps(30):
        std = mpmath.sqrt(mpmath.mpf(float(line.sigma)) ** 2 + mpmath.mpf(s) ** 2)
        parts = [
            (mpmath.mpf(float(w)), mpmath.mpf(float(m)))
            for w, m in zip(line.weights, line.means[:, 0], strict=True)
        ]

        def below(y):
            return sum(w * mpmath.ncdf((y - m) / std) for w, m in parts) - mpmath.mpf(float(level))

        y = mpmath.findroot(below, (-3 - 9 * std, 3 + 9 * std), solver="anderson")

        def log_density(at):
            return mpmath.log(sum(w * mpmath.npdf(at, m, std) for w, m in parts))

        g, g_1, g_2 = (mpmath.diff(log_density, y, n) for n in (1, 2, 3))
        p = mpmath.exp(log_density(y))
        return bend(s, g, g_1, g_2) * p, y, p


OF_ORACLES = [guided_lines, products_of_cosines, errors_of_levels]
OF_BOUNDS = [guidance_shifts, gaps]
