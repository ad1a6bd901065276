"""Clones against their derived formulas at 50 digits."""

import math

import mpmath
import numpy as np

from mixdyn import bounds, oracles

from .comparing import agree, covers, formula


@covers(oracles.log_two_mode_parting, oracles.two_mode_return)
def parting():
    terms = formula("agreement", "parting_terms")
    for k, ratio in ((0.7, 0.0), (4.0, 0.0), (9.0, 1.5), (40.0, -2.0)):
        with mpmath.workdps(50):
            bias = mpmath.mpf(ratio)
            root = 1 / (mpmath.exp(bias / 2) + mpmath.exp(-bias / 2))
            far = 16 * mpmath.sqrt(k)
            ends = mpmath.linspace(bias - far, bias + far, 25)
            exact = root * mpmath.quad(lambda a, k=k, bias=bias: terms(a, k, bias), ends)
        agree(oracles.log_two_mode_parting(k, ratio), mpmath.log(exact), rtol=1e-11)
        agree(oracles.two_mode_return(k, ratio), 1 - exact, rtol=1e-13)


@covers(bounds.return_at_least, bounds.return_at_most)
def sides():
    for i, n in ((0.5, 3), (9.0, 5000), (-4.0, 2)):
        agree(bounds.return_at_least(i, n), formula("recall", "at_least")(i, n - 1), rtol=1e-12)
    with mpmath.workdps(50):
        for i, n, a in ((7.0, 1000, 0.3), (7.0, 1000, 0.0), (6.0, 1000, 2.0), (3.0, 1000, 1.0)):
            beyond = mpmath.mpf(i) > mpmath.log(n) - mpmath.mpf(a)
            agree(bounds.return_at_most(i, n, a), int(beyond) + mpmath.exp(-mpmath.mpf(a)))


@covers(oracles.information_rho, oracles.gaussian_return)
def collapse():
    exact = formula("recall", "collapse")
    for n, d in ((20, 3), (5000, 64), (7, 500)):
        agree(oracles.information_rho(np.ones(d), math.log(n)), exact(n, d), rtol=1e-11)
    # Far above the collapse every y tells the same, and the bound from below is the return itself.
    low, high = (oracles.gaussian_return(50, 4, rho) for rho in (1e-6, 1e9))
    agree(low, mpmath.mpf(1), rtol=1e-4)
    agree(high, mpmath.mpf(1) / 50, rtol=1e-6)


OF_ORACLES, OF_BOUNDS = [parting, collapse], [sides]
