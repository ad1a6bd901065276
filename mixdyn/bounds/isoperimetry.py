"""X18: what a map of N(0, I) must leave in a gap, by its Lipschitz constant there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from mixdyn.support.checks import Array

from .inputs import nonnegative, positive, real

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


def gap_probability(quantile: ArrayLike, width: ArrayLike, lipschitz: ArrayLike) -> Array:
    """P(a < f < a + width) >= Phi(q + width/L) - Phi(q) for f = <T(z), n>, z ~ N(0, I).

    quantile: q = Phi^-1(P(f <= a)); width >= 0 of the gap; lipschitz > 0: L, at least |grad f|
    wherever a < f < a + width. They broadcast. Of a gap in parts the sum is a bound again. Own
    result, by the Gaussian isoperimetric inequality (Borell 1975).
    """
    q, reach = np.broadcast_arrays(
        real(quantile, "quantile"), nonnegative(width, "width") / positive(lipschitz, "lipschitz")
    )
    # On a short stretch the difference cancels: quadrature of the density there.
    short = np.minimum(reach, 1.0)
    places = q[..., None] + short[..., None] * (1 + _NODES) / 2
    density = np.exp(-np.square(places) / 2) / np.sqrt(2 * np.pi)
    fine = short * (density @ _WEIGHTS) / 2
    side = np.where(q > 0.0, -1.0, 1.0)
    far = np.abs(ndtr(side * (q + reach)) - ndtr(side * q))
    return np.where(reach < 1.0, fine, far)
