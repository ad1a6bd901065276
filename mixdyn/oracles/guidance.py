"""X17: the guided flow of a line, in a clock and in coordinates of its own.

With one sigma, a class of one mode c, s = 1/sqrt(v) and xi = s (y - mu_c) the flow towards it,
dy/du = mu_c + w (mu_c - m) - y, is

    dxi/ds = w sum_k gamma_k (mu_c - mu_k),   gamma_k ~ w_k exp(-(xi + s (mu_c - mu_k))^2/2),

whose right-hand side is 0 for w = 0 and, for w = -1, conserves the distribution function (O2). A
product of lines flows coordinate by coordinate, since both scores do. (Own derivation.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.problem.checks import check_mixture
from mixdyn.support.checks import Array, check_integer, check_points, check_positive, check_real
from mixdyn.support.errors import ConvergenceError

from .separable import Axis, separate

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_RTOL = 1e-10  # of the solver, in standard deviations of a mode


def guided_flow(
    mixture: GaussianMixture, mode: int, weight: float, y: ArrayLike, v_from: float, v_to: float
) -> Array:
    """End points (n, d) of the flow guided towards one mode with this weight, from y (n, d) at
    effective variance v_from to v_to (v = sigma^2 + rho, both > 0, either way).

    Solved to 1e-9 of a mode's standard deviation by the eighth-order method of SciPy, in s.
    NotApplicableError for no separable mixture or a sigma per mode.
    """
    chosen = check_integer(mode, "mode", 0, check_mixture(mixture).N - 1)
    strength = check_real(weight, "weight")
    points = check_points(y, mixture.d, "y")
    separation = separate(mixture, "the guided flow of a line")
    inside = separation.enter(points)
    centre = separation.enter(mixture.means[chosen][None])[0]
    start, end = (check_positive(v, name) for v, name in ((v_from, "v_from"), (v_to, "v_to")))
    columns = [
        _axis_flow(axis, float(c), strength, column, start, end)
        for axis, c, column in zip(separation.axes, centre, inside.T, strict=True)
    ]
    return separation.leave(np.column_stack(columns))


def _axis_flow(
    axis: Axis, centre: float, weight: float, y: Array, v_from: float, v_to: float
) -> Array:
    """The flow of one axis: y (n,) -> (n,)."""
    from scipy.integrate import solve_ivp

    own = axis.values[np.argmin(np.abs(axis.values - centre))]
    gaps, log_weights = own - axis.values, np.log(axis.weights)

    def slope(s: float, xi: Array) -> Array:
        log_gamma = log_weights - np.square(xi[:, None] + s * gaps) / 2
        gamma = np.exp(log_gamma - log_gamma.max(axis=1, keepdims=True))
        return np.asarray(weight * (gamma @ gaps) / gamma.sum(axis=1))

    s_from, s_to = 1.0 / math.sqrt(v_from), 1.0 / math.sqrt(v_to)
    xi = s_from * (y - own)
    if weight != 0.0 and len(gaps) > 1 and s_from != s_to:
        with np.errstate(invalid="ignore"):  # where both of its error estimates are 0
            path = solve_ivp(slope, (s_from, s_to), xi, "DOP853", (s_to,), rtol=_RTOL, atol=_RTOL)
        if not path.success:
            raise ConvergenceError(f"the guided flow did not settle: {path.message}")
        xi = path.y[:, -1]
    return np.asarray(own + xi / s_to)
