"""Guarantees from path divergence against their derived formulas at 50 digits."""

import math

import mpmath
import numpy as np

from mixdyn import bounds

from .comparing import agree, covers, formula

# Shares and divergences on both sides of every form that the code chooses between.
_CASES = [(0.3, 1e-6), (0.3, 0.05), (0.02, 0.3), (1e-4, 2.0), (1e-8, 5.0), (1e-3, 4.5), (0.5, 0.6)]


def _kl(x, p):
    return formula("binary_kl", "kl")(x, p)


def _closest(kl, p, target, low, high):
    """The x in (low, high) with kl(x, p) = target, for a kl that rises in x, by bisection."""
    with mpmath.workdps(50):
        low, high = mpmath.mpf(low), mpmath.mpf(high)
        for _ in range(170):
            middle = (low + high) / 2
            low, high = (middle, high) if kl(middle, p) < target else (low, middle)
        return high


@covers(bounds.log_kl_inverse)
def kl_inverse():
    for p, divergence in _CASES:
        value = bounds.log_kl_inverse(divergence, math.log(p))
        exact_p = mpmath.exp(mpmath.mpf(math.log(p)))
        exact = _closest(_kl, exact_p, mpmath.mpf(divergence), exact_p, 1)
        agree(value, mpmath.log(exact), rtol=1e-11)
    # Everything is allowed once the divergence reaches log(1/p), and nothing more before it.
    assert bounds.log_kl_inverse(2.0, -2.0) == 0.0
    assert -0.2 < bounds.log_kl_inverse(1.999, -2.0) < -1e-6
    # Far below the doubles the inverse is divergence/L, to log log L.
    tiny = float(bounds.log_kl_inverse(3.0, -1e5))
    assert math.log(3e-5) - 1e-3 < tiny < math.log(3e-5) + 2e-3


@covers(bounds.log_kl_coverage)
def kl_coverage():
    for p, divergence in ((0.04, 0.1), (0.04, 1e-6), (0.5, 0.05), (0.97, 3.0), (1e-3, 0.01)):
        value = bounds.log_kl_coverage(divergence, math.log(p))
        exact_p = mpmath.exp(mpmath.mpf(math.log(p)))
        # In the logarithm, where kl(p || q) falls.
        exact = _closest(
            lambda y, _, p=exact_p: _kl(p, mpmath.exp(-y)),
            None,
            mpmath.mpf(divergence),
            -mpmath.log(exact_p),
            500,
        )
        agree(value, -exact, rtol=1e-9)
    assert bounds.log_kl_coverage(math.inf, math.log(0.5)) == -math.inf
    assert bounds.log_kl_coverage(0.0, math.log(0.3)) == math.log(0.3)
    # A sure event of divergence D has probability e^-D at least.
    agree(bounds.log_kl_coverage(2.0, 0.0), -2.0)


@covers(bounds.pathwise_probability, bounds.path_budget)
def pathwise():
    exact = formula("pathwise_bound", "bound")
    for share, budget, rarity in ((0.0, 2.0, 40.0), (1e-3, 5.0, 23.0), (0.01, 0.5, 15.0)):
        value = bounds.pathwise_probability(share, budget, -rarity)
        agree(value, exact(share, budget, rarity))
    assert bounds.pathwise_probability(0.0, 9.0, -9.0) == 1.0
    assert bounds.pathwise_probability(1.0, 0.0, -50.0) == 1.0
    for level, rarity in ((1e-4, 40.0), (0.02, 15.0)):
        budget = float(bounds.path_budget(-rarity, level))
        agree(level, exact(0.0, budget, rarity), rtol=1e-10)
    default = float(bounds.path_budget(-40.0))
    agree(1e-4, exact(0.0, default, 40.0), rtol=1e-10)
    assert bounds.path_budget(-1.0, 1e-4) == 0.0
    assert bounds.path_budget(-1.0, 1.999) > 0.0


@covers(bounds.stopped_probability)
def stopped():
    for p, divergence in _CASES[2:6]:
        value = bounds.stopped_probability(divergence, 1e-3, math.log(p))
        exact_p = mpmath.exp(mpmath.mpf(math.log(p)))
        inverse = _closest(_kl, exact_p, mpmath.mpf(divergence), exact_p, 1)
        agree(value, min(inverse + mpmath.mpf(1e-3), mpmath.mpf(1)), rtol=1e-11)
    assert bounds.stopped_probability(50.0, 0.5, -2.0) == 1.0


@covers(bounds.bounded_mean_limit)
def mean_limit():
    for share, size, count, miss in ((0.2, 3.0, 50, 1e-3), (0.0, 2.0, 7, 0.05), (0.9, 1.0, 9, 0.3)):
        value = bounds.bounded_mean_limit(share * size, size, count, miss)
        share_of = mpmath.mpf(share * size) / size
        target = mpmath.log(1 / mpmath.mpf(miss)) / count

        def kl(m, x=share_of):
            if x == 0:
                return -mpmath.log(1 - m)
            return _kl(x, m)

        exact = _closest(lambda m, _: kl(m), None, target, share_of, 1 - mpmath.mpf(10) ** -45)
        agree(value, exact * size, rtol=1e-11)
    assert bounds.bounded_mean_limit(2.0, 2.0, 5, 0.1) == 2.0
    assert np.isfinite(bounds.bounded_mean_limit(0.0, 1e-9, 1, 1e-9))
