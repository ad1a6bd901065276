"""X3: the exact set of starts between two modes that the probability-flow ODE fails to leave.

The flow is monotone along an axis, so the starts that end within a fraction of the midpoint form
an interval: the flow run backwards from its two ends. It is found in ball arithmetic, since its
half-width can lie hundreds of orders of magnitude below the smallest double. Own result; it makes
arXiv 2605.06831 v1, Proposition 4.7 (2) exact for separable mixtures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mixdyn.errors import NotApplicableError
from mixdyn.validation import check_integer, check_positive

from .flow_arb import as_arb, flow_interval_arb
from .separable import Axis, separate

if TYPE_CHECKING:
    from mixdyn.mixture import GaussianMixture


@dataclass(frozen=True)
class Trap:
    """The trapped interval at v_from, in units of the pair's distance l.

    log10_radius: log10 of its half-width over l; radius: the same as a float (0 if it underflows).
    center_offset: its centre minus the midpoint, positive towards mode i (the separatrix of an
    asymmetric pair is not the midpoint). NaN where it is so far below the radius that its sign is
    not known; 0 means that the mixture is symmetric about the midpoint.
    """

    log10_radius: float
    radius: float
    center_offset: float


def trap_radius(
    mixture: GaussianMixture, pair: tuple[int, int], fraction: float, v_from: float, v_to: float
) -> Trap:
    """Starts at v_from that end at v_to within `fraction` of l of the midpoint of modes i, j.

    pair: two modes adjacent on one axis of a separable mixture; 0 < fraction < 1/2;
    v_from > v_to > 0 effective variances. Raises NotApplicableError for other pairs.
    """
    from flint import ctx

    part = check_positive(fraction, "fraction")
    start, end = check_positive(v_from, "v_from"), check_positive(v_to, "v_to")
    if part >= 0.5 or not start > end:
        raise NotApplicableError(
            "a trap needs fraction < 1/2 and v_from > v_to",
            f"fraction {part}, v_from {start}, v_to {end}",
            "Take a smaller fraction, or swap the variances.",
        )
    axis, lower, orientation = _pair_axis(mixture, pair)
    with ctx.workprec(256):  # sums and products of a few doubles are exact
        low, high = (as_arb(m) for m in axis.values[lower : lower + 2])
        middle, length = (low + high) / 2, high - low
        reach = as_arb(part) * length
        ends = middle - reach, middle + reach
    center, width = flow_interval_arb(axis, ends, end, start)
    with ctx.workprec(1 << 16):
        log10_radius = float((width / (2 * length)).log().mid()) / math.log(10.0)
        offset = (center - middle) / length
    if _is_symmetric(axis, lower):
        shift = 0.0
    else:
        shift = math.nan if offset.contains(0) else orientation * float(offset.mid())
    return Trap(log10_radius, 10.0**log10_radius, shift)


def _is_symmetric(axis: Axis, lower: int) -> bool:
    """Whether the axis is its own mirror image in the midpoint of values lower and lower + 1."""
    from flint import ctx

    if (axis.weights != axis.weights[::-1]).any():
        return False
    with ctx.workprec(4096):  # every sum of two doubles is exact
        values = [as_arb(m) for m in axis.values]
        middle = values[lower] + values[lower + 1]
        return all(a + b == middle for a, b in zip(values, reversed(values), strict=True))


def _pair_axis(mixture: GaussianMixture, pair: tuple[int, int]) -> tuple[Axis, int, int]:
    """The axis that joins the pair, the index of its lower mode there, and +1 if i is upper."""
    i, j = (check_integer(k, "a mode of the pair", 0, mixture.N - 1) for k in pair)
    separation = separate(mixture, "the exact trap")
    ends = separation.enter(mixture.means[[i, j]])
    places = [
        [int(np.argmin(np.abs(axis.values - value))) for value in column]
        for axis, column in zip(separation.axes, ends.T, strict=True)
    ]
    moved = [k for k, (a, b) in enumerate(places) if a != b]
    if len(moved) != 1 or abs(places[moved[0]][0] - places[moved[0]][1]) != 1:
        raise NotApplicableError(
            "the exact trap needs two modes adjacent on one axis of a separable mixture",
            f"modes {i} and {j}",
            "Choose nearest neighbours along an axis.",
        )
    a, b = places[moved[0]]
    return separation.axes[moved[0]], min(a, b), int(math.copysign(1, a - b))
