"""X3: the exact set of starts between two modes that the probability-flow ODE fails to leave.

The flow is monotone along an axis, so the starts that end within a fraction of the midpoint form
an interval: the flow run backwards from its two ends, in ball arithmetic, since its half-width can
lie thousands of orders of magnitude below the smallest double.

Where it does, no digits are spent on the ends themselves. The flow conserves probability, so with G
the distribution function minus the weight of the modes below the separatrix y_0 (G(y_0) = 0, O2),
an interval of mass m whose ends have G = g_1, g_2 came from one of mass m whose ends lie within
2 delta of y_0, delta = max|g|/p(y_0), p the density at v_from: its width is

    m/p(y_0) to within a factor e^(+-4 delta S),    S >= |p'/p| there,  if 2 delta S <= 1,

since p changes by at most e^(2 delta S) on 2 delta, and so reaches g before. This is used as soon
as 4 delta S is below the accuracy of the balls. Own result; it makes arXiv 2605.06831 v1,
Proposition 4.7 (2) exact for separable mixtures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mixdyn.problem.checks import check_mixture
from mixdyn.support.checks import check_integer, check_positive
from mixdyn.support.errors import NotApplicableError

from .flow_arb import WIDTH_BITS, as_arb, flow_interval_arb, interval_levels_arb, separatrix_arb
from .separable import Axis, separate

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_LEAST = 5e-324  # the smallest double: an offset below it still has a sign
_CENTER_BITS = 1 << 14  # spent at most on telling a separatrix from the midpoint
_SPARE_BITS = 10  # by which a separatrix is known better than what else is uncertain of the centre


@dataclass(frozen=True)
class Trap:
    """The trapped interval at v_from, in units of the pair's distance l.

    log10_radius: log10 of its half-width over l; radius: the same as a float (0 if it underflows).
    center_offset: its centre minus the midpoint, positive towards mode i (the separatrix of an
    asymmetric pair is not the midpoint), at least the smallest double. NaN where it is so far below
    the radius, or below 1e-4900, that its sign is not known; 0 means that the mixture is symmetric
    about the midpoint.
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
    symmetric = _is_symmetric(axis, lower)
    found = _around_separatrix(axis, lower, ends, end, start, middle if symmetric else None)
    center, width = found or flow_interval_arb(axis, ends, end, start)
    with ctx.workprec(2 * _CENTER_BITS):
        log10_radius = float((width / (2 * length)).log().mid()) / math.log(10.0)
        offset = (center - middle) / length
    if symmetric:
        shift = 0.0
    else:
        sign = orientation * (1.0 if offset > 0 else -1.0)
        size = max(abs(float(offset.mid())), _LEAST)
        shift = math.nan if offset.contains(0) else sign * size
    return Trap(log10_radius, 10.0**log10_radius, shift)


def _around_separatrix(
    axis: Axis, lower: int, ends: tuple[Any, Any], v_to: float, v_from: float, known: Any | None
) -> tuple[Any, Any] | None:
    """(centre, width) at v_from of what ends between `ends` at v_to, as balls: the module's
    asymptote, or None where its error is above the accuracy of `flow_interval_arb`. known: the
    separatrix at v_from where symmetry gives it."""
    from flint import arb, ctx

    with ctx.workprec(256):
        low, high = interval_levels_arb(axis, lower, ends, v_to)
    bits = 128
    while True:
        with ctx.workprec(2 * bits):
            place, density = separatrix_arb(axis, lower, v_from, bits, known)
            reach = 2 * abs(low).max(abs(high)) / density  # 2 delta
            steepest = max((abs(place - as_arb(m)).upper() for m in axis.values), key=float)
            error = (2 * reach * (steepest + reach) / as_arb(v_from)).upper()
            if not error < arb(2) ** -(WIDTH_BITS + 2):
                return None
            # Each end is y_0 + g/p(y_0) to within that share of delta.
            shift = (low + high) / (2 * density) + arb(0, (reach * error).upper())
            center = place + shift
            width = (high - low) / density * (1 + arb(0, (2 * error).upper()))
            middle = (as_arb(axis.values[lower]) + as_arb(axis.values[lower + 1])) / 2
            # What is uncertain of the levels and of the asymptote, more bits do not mend.
            told = known is not None or not center.overlaps(middle)
            exhausted = place.rad() * 2**_SPARE_BITS < shift.rad()
            if told or exhausted or bits >= _CENTER_BITS:
                return center, width
        bits *= 2


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
    i, j = (check_integer(k, "a mode of the pair", 0, check_mixture(mixture).N - 1) for k in pair)
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
