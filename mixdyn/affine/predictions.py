"""What a model is asked for, as multiples of the two predictions that every level has.

At a level x = a x_0 + b eps, and a prediction is c_eps eps_hat + c_x0 x0_hat with a x0_hat + b
eps_hat = x. Both are finite at the ends too: without noise x0_hat = x/a, without signal eps_hat =
x/b.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from ..support.checks import Array, check_choice

# (c_eps, c_x0) from (a, b). v as in arXiv 2202.00512; velocity is that of flow matching, eps - x_0.
_SHARES: Mapping[str, Callable[[Array, Array], tuple[Array, Array]]] = {
    "eps": lambda a, b: (np.ones_like(a), np.zeros_like(a)),
    "x0": lambda a, b: (np.zeros_like(a), np.ones_like(a)),
    "v": lambda a, b: (a, -b),
    "score": lambda a, b: (-1.0 / b, np.zeros_like(a)),
    "velocity": lambda a, b: (np.ones_like(a), -np.ones_like(a)),
}


def check_asked(predicts: str) -> str:
    """`predicts`, which must name a prediction."""
    remedy = "Say what the sampler asks the model for."
    name: str = check_choice(predicts, _SHARES, "predicts", remedy)
    return name


def shares(predicts: str, alpha: Array, noise_std: Array) -> tuple[Array, Array]:
    """(c_eps, c_x0), each (K,), at levels (K,)."""
    with np.errstate(divide="ignore"):
        return _SHARES[predicts](alpha, noise_std)


def in_eps(predicts: str, alpha: Array, noise_std: Array) -> tuple[Array, Array]:
    """(f, h), each (K,): the prediction is f x + h eps_hat; not finite where alpha = 0 and x0_hat
    takes part."""
    c_eps, c_x0 = shares(predicts, alpha, noise_std)
    with np.errstate(divide="ignore", invalid="ignore"):
        f = np.where(c_x0 == 0.0, 0.0, c_x0 / alpha)
        return f, np.where(c_x0 == 0.0, c_eps, c_eps - f * noise_std)


Reference = Literal["mean", "consistency"]


def on_gaussian(
    predicts: str,
    alpha: Array,
    noise_std: Array,
    variances: Array,
    reference: Reference = "mean",
) -> tuple[Array, Array]:
    """(slope (K, k), c_x0 (K,)): on N(m, variance) the exact prediction at x is slope (x - a m) +
    c_x0 m. Variance 0 is a point, whose prediction without noise is the limit of wide data.

    reference : what x0_hat is: the posterior mean, or where the probability flow takes x, which is
    m + sqrt(variance/Var x) (x - a m): the consistency map of arXiv 2303.01469.
    """
    c_eps, c_x0 = (part[:, None] for part in shares(predicts, alpha, noise_std))
    a, b = alpha[:, None], noise_std[:, None]
    var = a**2 * variances + b**2
    with np.errstate(divide="ignore", invalid="ignore"):
        if reference == "consistency":
            kept = np.sqrt(variances / var)
            return c_eps * b / (var * (1.0 + a * kept)) + c_x0 * kept, c_x0[:, 0]
        slope = np.where(var > 0.0, (c_eps * b + c_x0 * a * variances) / var, c_x0 / a)
    return slope, c_x0[:, 0]
