r"""X15: how often a clone of one of n data comes back to it, from the law of the data alone.

With i = log p(y | x) - log p_rho(y), of y = x + sqrt(rho) xi and p_rho the law of y for data of the
whole law, whose mean is the mutual information I(x_0; x_rho), n independent data have

    E 1/(1 + (n - 1) e^{-i}) <= E gamma_own <= P(i > log n - a) + e^{-a}, any a >= 0:

the convexity of s -> 1/(1 + s), and the converse of Verdu and Han, IEEE Trans. Inf. Theory 40
(1994), of a code of n words. So the transition sits at I = log n, as sharp as i is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from mixdyn.support.checks import Array, check_array, check_integer


def return_at_least(density: ArrayLike, n: int) -> Array:
    """1/(1 + (n - 1) e^-i) of information densities i, nats, any shape: its mean is at most the
    mean of gamma_own over data sets of n >= 2."""
    i = check_array(density, "density", ndim=np.ndim(density))
    others = check_integer(n, "n", 2) - 1
    return np.asarray(expit(i - np.log(others)))


def return_at_most(density: ArrayLike, n: int, margin: ArrayLike) -> Array:
    """1{i > log n - a} + e^-a of information densities i at margins a >= 0, any shapes that
    broadcast: its mean over i is at least the mean of gamma_own over data sets of n."""
    i = check_array(density, "density", ndim=np.ndim(density))
    a = check_array(margin, "margin", ndim=np.ndim(margin))
    return (i > np.log(check_integer(n, "n", 2)) - a) + np.exp(-a)
