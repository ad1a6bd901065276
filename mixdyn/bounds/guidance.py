"""X17: how far guidance carries the end of a path of two modes, in standard deviations.

With kappa = l/sqrt(v) and xi = (y - mu_c)/sqrt(v) the guided flow of two modes is dxi/dkappa =
w/(1 + exp(L)), L = kappa^2/2 + kappa xi + log(w_c/w_other): neither sigma nor l is left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfcx, expit

from mixdyn.support.checks import Array

from .inputs import nonnegative, real

Range = tuple[float, float]


def guidance_shift_limits(
    xi: ArrayLike,
    weight: ArrayLike,
    log_odds: float = 0.0,
    reach: Range = (0.0, np.inf),
) -> tuple[Array, Array]:
    """Least and most of xi_end - xi, for a start xi at kappa = reach[0] and an end at reach[1].

    xi and weight (>= 0) broadcast; log_odds = log(w_c/w_other). The most is w G(xi), the least the
    solution of x = w G(xi + x), G(xi) = int dkappa/(1 + exp(L)) at fixed xi, since the slope falls
    as xi rises; as w -> 0 they meet. Own result.
    """
    from scipy.optimize import brentq

    start, strength = np.broadcast_arrays(real(xi, "xi"), nonnegative(weight, "weight"))
    most = np.array(
        [w * _rise(x, log_odds, reach) for x, w in zip(start.flat, strength.flat, strict=True)]
    )
    least = [
        brentq(lambda s, x=x, w=w: s - w * _rise(x + s, log_odds, reach), 0.0, top) if top else 0.0
        for x, w, top in zip(start.flat, strength.flat, most, strict=True)
    ]
    return np.reshape(least, start.shape), most.reshape(start.shape)


def _rise(xi: float, log_odds: float, reach: Range) -> float:
    from scipy.integrate import quad

    def slope(kappa: float) -> float:
        return float(expit(-kappa * (kappa / 2 + xi) - log_odds))

    return float(quad(slope, *reach, limit=200)[0])


def guidance_shift_far(xi: ArrayLike, weight: ArrayLike, log_odds: float = 0.0) -> Array:
    """At most xi_end - xi <= w (w_other/w_c) (1 - Phi(xi))/phi(xi), Mills' ratio: closed, and near
    the truth where xi is large. Own result."""
    ratio = np.sqrt(np.pi / 2) * erfcx(real(xi, "xi") / np.sqrt(2))
    return np.asarray(nonnegative(weight, "weight") * np.exp(-log_odds) * ratio)
