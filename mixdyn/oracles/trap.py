"""X3: the exact set of starts between two modes that the probability-flow ODE fails to leave.

The flow is monotone along an axis, so the starts that end within a fraction of the midpoint form
an interval: the flow run backwards from its two ends. It is found in ball arithmetic, since its
half-width can lie hundreds of orders of magnitude below the smallest double. Own result; it makes
arXiv 2605.06831 v1, Proposition 4.7 (2) exact for separable mixtures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConvergenceError, NotApplicableError
from ..validation import check_integer, check_positive
from .flow_arb import as_arb, flow_axis_arb
from .separable import Axis, separate

if TYPE_CHECKING:
    from ..mixture import GaussianMixture


@dataclass(frozen=True)
class Trap:
    """The trapped interval at v_from, in units of the pair's distance l.

    log10_radius: log10 of its half-width over l; radius: the same as a float (0 if it underflows).
    center_offset: its centre minus the midpoint, positive towards mode i (the separatrix of an
    asymmetric pair is not the midpoint).
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
    part = check_positive(fraction, "fraction")
    start, end = check_positive(v_from, "v_from"), check_positive(v_to, "v_to")
    if part >= 0.5 or not start > end:
        raise NotApplicableError(
            "a trap needs fraction < 1/2 and v_from > v_to",
            f"fraction {part}, v_from {start}, v_to {end}",
            "Take a smaller fraction, or swap the variances.",
        )
    axis, lower, orientation = _pair_axis(mixture, pair)
    low, high = (as_arb(m) for m in axis.values[lower : lower + 2])
    bits = 128
    while bits <= 1 << 16:
        trap = _measure(axis, (low, high), (part, start, end), bits)
        if trap is not None:
            return Trap(trap[0], 10.0 ** trap[0], orientation * trap[1] + 0.0)
        bits *= 2
    raise ConvergenceError("the trap is narrower than 2^-65536 of the distance between the modes")


def _measure(
    axis: Axis, modes: tuple[Any, Any], request: tuple[float, float, float], bits: int
) -> tuple[float, float] | None:
    """(log10 of half-width, centre offset) over l, None if `bits` are too few for 8 digits."""
    from flint import ctx

    part, start, end = request
    with ctx.workprec(2 * bits):
        middle, length = (modes[0] + modes[1]) / 2, modes[1] - modes[0]
        edges = [
            flow_axis_arb(axis, middle + sign * as_arb(part) * length, end, start, bits)
            for sign in (-1, 1)
        ]
        half = (edges[1] - edges[0]) / (2 * length)
        if not half.rel_accuracy_bits() > 27:
            return None
        center = ((edges[0] + edges[1]) / 2 - middle) / length
        offset = 0.0 if center.contains(0) else float(center.mid())
        return float((half.log() / as_arb(10.0).log()).mid()), offset


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
