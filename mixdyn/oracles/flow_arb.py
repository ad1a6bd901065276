"""O2 in ball arithmetic: the flow of a 1-D mixture to any accuracy, with certified enclosures.

Same equation as `flow` (G_j conserved), solved by bisection and interval Newton in python-flint;
the working precision doubles until the enclosure is as narrow as asked. Doubles handed over
(means, weights, y, v) count as exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mixdyn.problem.checks import check_common_sigma
from mixdyn.support.checks import check_integer, check_positive, describe
from mixdyn.support.errors import ConvergenceError, InputError, NotApplicableError

from .separable import Axis, product_grid

if TYPE_CHECKING:
    from mixdyn.problem.mixture import GaussianMixture

_FIRST_BITS = 128
_MAX_BITS = 1 << 17
WIDTH_BITS = 40  # to which the width of an image is known


def flow_map_arb(
    mixture: GaussianMixture,
    y: Sequence[Sequence[Any]] | Any,
    v_from: Any,
    v_to: Any,
    prec: int = 128,
) -> list[list[Any]]:
    """End points of the probability-flow ODE as certified balls (flint.arb), n lists of d.

    y is (n, d): floats, or flint.arb where a double cannot hold the start (1e-265 from a
    separatrix). v_from, v_to > 0: floats or arb. Each ball encloses the exact end point with a
    radius of at most 2^-prec (extent of the means + |y'|). `prec` is the accuracy of the result,
    not the working precision, which starts at 128 bits and rises as far as that takes; 32 is the
    fast setting, for comparisons with doubles. Points whose own radius does not allow the accuracy
    raise ConvergenceError.

    Raises NotApplicableError unless the mixture is a product grid with one sigma.
    """
    check_common_sigma(mixture, "the closed-form flow")
    axes = product_grid(mixture)
    if axes is None:
        raise NotApplicableError(
            "the certified flow needs a product grid with product weights",
            f"{mixture.N} modes in {mixture.d} dimensions that are none",
            "Integrate the ODE numerically for this mixture.",
        )
    bits = check_integer(prec, "prec", 8, _MAX_BITS)
    rows = [list(row) for row in y]
    if not rows or any(len(row) != mixture.d for row in rows):
        raise InputError(
            f"y must have shape (n, {mixture.d}) with n >= 1",
            describe(y),
            "Pass one row per point, one column per coordinate of the mixture.",
        )
    return [
        [
            flow_axis_arb(axis, value, v_from, v_to, bits)
            for axis, value in zip(axes, row, strict=True)
        ]
        for row in rows
    ]


def flow_axis_arb(axis: Axis, y: Any, v_from: Any, v_to: Any, bits: int) -> Any:
    """The flow of one coordinate as a ball of radius <= 2^-bits (extent + |y'|)."""
    from flint import ctx

    work = _FIRST_BITS
    while work < 2 * bits:
        work *= 2
    bracket: tuple[Any, Any] | None = None
    while work <= _MAX_BITS:
        with ctx.workprec(work):
            solver = _AxisSolver(axis, y, v_from, v_to)
            bracket = solver.shrink(bracket or solver.first_bracket(), bits)
            ball = bracket[0].union(bracket[1])
            if ball.rad() <= solver.goal(ball, bits):
                return ball
        work *= 2
    raise ConvergenceError(
        f"the flow did not reach 2^-{bits} with {_MAX_BITS} bits: the start is known to "
        "too few digits for its distance from a separatrix"
    )


def flow_interval_arb(axis: Axis, ends: tuple[Any, Any], v_from: Any, v_to: Any) -> tuple[Any, Any]:
    """The image of an interval: (centre, width) as balls, the width to 40 bits or better.

    The width may lie hundreds of orders of magnitude below the spacing of doubles.
    """
    from flint import ctx

    bits = _FIRST_BITS
    while bits <= _MAX_BITS // 2:
        with ctx.workprec(2 * bits):
            low, high = (flow_axis_arb(axis, as_arb(y), v_from, v_to, bits) for y in ends)
            width = high - low
            if width.rel_accuracy_bits() >= WIDTH_BITS:
                return (low + high) / 2, width
        bits *= 2
    raise ConvergenceError(f"the image of the interval is narrower than 2^-{_MAX_BITS // 2}")


def interval_levels_arb(axis: Axis, lower: int, ends: tuple[Any, Any], v: Any) -> tuple[Any, Any]:
    """G at two places at v, of the cut between the values `lower` and `lower` + 1 of the axis.

    Their difference, the probability between the places, is known to WIDTH_BITS and more.
    """
    from flint import ctx

    bits = int(ctx.prec)
    while bits <= _MAX_BITS:
        with ctx.workprec(bits):
            low, high = (_conserved(axis, lower + 1, as_arb(y), as_arb(v)) for y in ends)
            if (high - low).rel_accuracy_bits() >= WIDTH_BITS + 4:
                return low, high
        bits *= 2
    raise ConvergenceError(f"the interval is narrower than 2^-{_MAX_BITS}")


def separatrix_arb(
    axis: Axis, lower: int, v: float, bits: int, known: Any | None = None
) -> tuple[Any, Any]:
    """(place, density) at v: where G of the cut between the values `lower` and `lower` + 1
    vanishes, as a ball of radius <= 2^-bits (extent + |y|), and the density there. known: the place
    itself, where symmetry gives it."""
    solver = _CutSolver(axis, lower + 1, v)
    if known is None:
        low, high = solver.shrink(solver.first_bracket(), bits)
        known = low.union(high)
    return known, solver.density(known)


def _variances(axis: Axis, v: Any) -> list[Any]:
    """Of each mode, or the one that all share."""
    if isinstance(axis.excess, np.ndarray):
        return [v + as_arb(excess) for excess in axis.excess]
    return [v]


def _repeats(axis: Axis) -> int:
    return 1 if isinstance(axis.excess, np.ndarray) else len(axis.values)


def _conserved(axis: Axis, j: int, y: Any, v: Any) -> Any:
    """G_j: weight of the modes above j that lies below y, minus its mirror image."""
    from flint import arb

    scales = [(2 * one).rsqrt() for one in _variances(axis, v)] * _repeats(axis)
    total = arb(0)
    for k, (m, w, scale) in enumerate(zip(axis.values, axis.weights, scales, strict=True)):
        z = (y - as_arb(m)) * scale
        total += -as_arb(w) * z.erfc() if k < j else as_arb(w) * (-z).erfc()
    return total / 2


class _CutSolver:
    """Where G_cut = target at v, at the working precision of the moment."""

    def __init__(self, axis: Axis, cut: int, v: Any) -> None:
        from flint import arb

        self.axis, self.cut, self.v_to = axis, cut, as_arb(v)
        self.values = [as_arb(m) for m in axis.values]
        self.weights = [as_arb(w) for w in axis.weights]
        self.target = arb(0)

    def first_bracket(self) -> tuple[Any, Any]:
        """The outermost values, and as many standard deviations further as the weights ask for."""
        step = self.v_to.sqrt()
        low, high = self.values[0], self.values[-1]
        while not self.value(low) < self.target:
            low, step = (low - step).mid(), 2 * step
        while not self.value(high) > self.target:
            high, step = (high + step).mid(), 2 * step
        return low, high

    def value(self, y: Any) -> Any:
        """G_cut at v."""
        return _conserved(self.axis, self.cut, y, self.v_to)

    def density(self, y: Any) -> Any:
        """Its derivative."""
        from flint import arb

        total = arb(0)
        variances = _variances(self.axis, self.v_to)
        halves = [(2 * v, (2 * arb.pi() * v).rsqrt()) for v in variances] * _repeats(self.axis)
        for m, w, (twice, scale) in zip(self.values, self.weights, halves, strict=True):
            z = y - m
            total += w * (-(z * z) / twice).exp() * scale
        return total

    def goal(self, ball: Any, bits: int) -> Any:
        """The radius asked for: 2^-bits of the means' size plus |y'|."""
        extent = max(abs(self.values[0]).upper(), abs(self.values[-1]).upper())
        return ((extent + abs(ball).upper()) * as_arb(2.0) ** (-bits)).lower()

    def shrink(self, bracket: tuple[Any, Any], bits: int) -> tuple[Any, Any]:
        """Narrow a certified bracket until it meets the goal or this precision is exhausted."""
        low, high = bracket
        while True:
            ball = low.union(high)
            if ball.rad() <= self.goal(ball, bits):
                return low, high
            step = self._newton(low, high) or self._bisect(low, high)
            if step is None:
                return low, high
            low, high = step

    def _newton(self, low: Any, high: Any) -> tuple[Any, Any] | None:
        """Interval Newton; None unless it at least quarters the bracket."""
        ball = low.union(high)
        density = self.density(ball)
        if not density > 0:
            return None
        center = ball.mid()
        root = center - (self.value(center) - self.target) / density
        if not root.rad() * 4 < ball.rad():
            return None
        return max(low, root.lower()), min(high, root.upper())

    def _bisect(self, low: Any, high: Any) -> tuple[Any, Any] | None:
        """Certified sign at an inner point; None if no tried point has one."""
        for fraction in (0.5, 0.4375, 0.59375):
            point = (low + (high - low) * fraction).mid()
            value = self.value(point) - self.target
            if value > 0:
                return low, point
            if value < 0:
                return point, high
        return None


class _AxisSolver(_CutSolver):
    """The flow of one start: the cut at which |G| is smallest there, and G as the target."""

    def __init__(self, axis: Axis, y: Any, v_from: Any, v_to: Any) -> None:
        super().__init__(axis, 0, v_to)
        self.y, self.v_from = as_arb(y), as_arb(v_from)
        for name, v in (("v_from", self.v_from), ("v_to", self.v_to)):
            check_positive(float(v.mid()), name)
        count = len(self.values) + 1
        values = [_conserved(axis, j, self.y, self.v_from) for j in range(count)]
        self.cut = min(range(count), key=lambda j: abs(values[j].mid()))
        self.target = values[self.cut]

    def first_bracket(self) -> tuple[Any, Any]:
        """Between the ends r y + (1 - r) mu of the flows of single modes, see `flow`."""
        both = (_variances(self.axis, v) for v in (self.v_from, self.v_to))
        rates = [(to / start).sqrt() for start, to in zip(*both, strict=True)]
        rates *= _repeats(self.axis)
        ends = [r * self.y + (1 - r) * m for m, r in zip(self.values, rates, strict=True)]
        low = high = ends[0]
        for end in ends[1:]:
            low, high = low.min(end), high.max(end)
        return low.lower(), high.upper()


def as_arb(value: Any) -> Any:
    """A float or arb as a flint.arb; doubles are taken as exact."""
    from flint import arb

    if isinstance(value, arb):
        return value
    try:
        number = arb(float(value))
    except (TypeError, ValueError):
        number = arb("nan")
    if not number.is_finite():
        raise InputError(
            "values must be finite real numbers or flint.arb", describe(value), "Pass floats."
        )
    return number
