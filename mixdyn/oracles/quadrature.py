"""The rule of Gauss and Legendre."""

from __future__ import annotations

import functools

import numpy as np

from mixdyn.support.checks import Array, frozen


@functools.cache  # its nodes are eigenvalues, found anew at every call
def legendre(n: int) -> tuple[Array, Array]:
    """n nodes in (-1, 1) and their weights, which sum to 2."""
    x, weights = np.polynomial.legendre.leggauss(n)
    return frozen(x), frozen(weights)
