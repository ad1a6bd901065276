"""One step of the exponential Adams-Bashforth method for dy/du = m - y.

Variation of constants gives y_s = e^-h y + int_0^h e^(w - h) m(w) dw with h the step in u; m is
replaced by the polynomial through its last values.
"""

from __future__ import annotations

import math

import numpy as np

from ..support.checks import Array

# The (v, m) of the nodes before the present one, the latest first.
Past = list[tuple[float, Array]]

# An extrapolation through q nodes is used where the sum of its weights' sizes is at most so many
# times their sum, by which it may amplify what m is not a polynomial in: equal short steps have 2,
# 3.7, 6.7 at q = 2, 3, 4, long or uneven ones many times that.
_AMPLIFIES = (1.0, 3.5, 4.5, 8.0)
_SMOOTH = (
    1.0  # in u: m bends on that scale, and a polynomial of order three or four on a longer one
)
HIGHEST = len(_AMPLIFIES)


def multistep_weights(h: float, nodes: Array) -> Array:
    """Weights (q,) of m at `nodes` (q,), distinct and <= 0, so that sum_j weights_j p(nodes_j) =
    int_0^h e^(w - h) p(w) dw for every polynomial p of degree q - 1 (h > 0).

    The equations are those of w^k in units of h. Their right-hand sides, int_0^1 h e^(h(x - 1)) x^k
    dx, follow from one another; for small h they cancel in that and come from their series.
    """
    order = len(nodes)
    moments = np.array([_moment(h, k) for k in range(order)])
    return np.linalg.solve(np.vander(nodes / h, order, increasing=True).T, moments)


def _moment(h: float, k: int) -> float:
    """int_0^1 h e^(h(x - 1)) x^k dx = k! sum_j (-1)^j h^(j + 1)/(k + 1 + j)!."""
    if h > 1.0:
        value = -math.expm1(-h)
        for i in range(1, k + 1):
            value = 1.0 - i * value / h
        return value
    term = total = h / (k + 1)
    j = 1
    while abs(term) > 1e-18 * total:
        term *= -h / (k + 1 + j)
        total += term
        j += 1
    return total


def chosen_weights(h: float, nodes: Array) -> Array:
    """The weights (q,) of `multistep_weights` at the first q of the nodes, for the largest q that
    the length h of the step and the distances of the nodes allow."""
    weights = multistep_weights(h, nodes[:1])
    for q in range(2, min(len(nodes), HIGHEST) + 1):
        more = multistep_weights(h, nodes[:q])
        too_far = q > 2 and h - nodes[q - 1] > _SMOOTH
        if too_far or np.abs(more).sum() > _AMPLIFIES[q - 1] * more.sum():
            break
        weights = more
    return weights


def multistep(
    y: Array, pull: Array, step: tuple[float, float], past: Past, order: int | None
) -> Array:
    """y (n, d) at v_s from y and pull = m - y at v_t, step = (v_t, v_s), v_t > v_s >= 0.

    order (1..4) is that of the extrapolation, None the one that suits this step and the last ones
    (`chosen_weights`). `past` takes up (v_t, m) and drops what the next step will not need. v_s = 0
    gives m, the fixed point of an infinite step.
    """
    v_t, v_s = step
    m = y + pull
    if v_s == 0.0:
        return m
    h, nodes = (
        0.5 * math.log(v_t / v_s),
        np.array([0.0, *(-0.5 * math.log(v / v_t) for v, _ in past)]),
    )
    weights = chosen_weights(h, nodes) if order is None else multistep_weights(h, nodes)
    out = y + weights[0] * pull
    for weight, (_, m_before) in zip(weights[1:], past, strict=False):
        out += weight * (m_before - y)
    past.insert(0, (v_t, m))
    del past[(HIGHEST if order is None else order) - 1 :]
    return out
