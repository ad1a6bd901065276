"""Products of 1-D mixtures, axis by axis: evaluation costs the sum of the axes' sizes.

Of equally spaced modes all responsibilities come from one exponential. On an axis of modes a_k =
a_0 + k g, k = 0..M-1, of one variance and weights w_k, with y = x minus the centre of the axis, j =
k - (M-1)/2 and h = log2(e)/(2 var),

    w_k 2^{-h (x - a_k)^2} = 2^{-h y^2} C_k E^j,   C_k = w_k 2^{-h g^2 j^2},   E = 2^{2 h g y}.

Count the modes as i = 0, 1, .. from the edge on the sample's side and drop the factor that all
share: their weights are C_i F^i with F = 2^{-|2 h g y|} <= 1, and the mean mode lies
(sum_i i C_i F^i)/(sum_i C_i F^i) spacings from that edge, two polynomials in F. This form,
`POLYNOMIAL`, needs C_i and F to fit the range of the number type. Where modes are too narrow for it
and the weights are equal, a sample feels no third mode, and the nearest and the next on its side
are left, again with one exponential (`NEAREST`). Else the axis is summed mode by mode (`MODES`).

No form differences large numbers: each errs by a few roundings of |x| + max|a_k|, and of the
exponents of modes that share a sample.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from ... import kernels
from ...kernels import BLOCK, HEAD, NEAREST, POLYNOMIAL
from ...problem.mixture import GaussianMixture
from ...support.checks import Array
from ..precision import Real, check_resolved, rounded
from ..protocol import Level
from . import Rollout, StepTable

_SPACING_ULPS = 4.0  # of the farthest mode: how far a mode may lie from its place on the lattice
_SAME_WEIGHT = 1e-14  # bits between weights that are equal to rounding
_KEPT = 4096  # levels whose row is kept: making one takes longer than evaluating a few states


class SpacedAxes:
    """A product of 1-D mixtures with one sigma; on a line every mixture with one sigma is."""

    name: ClassVar[str] = "spaced_axes"
    order: ClassVar[int] = 10

    def __init__(
        self, mixture: GaussianMixture, dtype: Real, axes: list[tuple[Array, Array]]
    ) -> None:
        check_resolved(mixture, dtype)
        self.mixture, self.dtype = mixture, dtype
        self._data_var = float(np.square(mixture.sigmas[0]))
        bits = [(values, kernels.bits(np.log(weights))) for values, weights in axes]
        self._axes = [(values, weights) for values, weights in bits if len(values) > 1]
        self._values, log_weights = _padded(bits)
        self._log_weights = log_weights.astype(dtype)
        # Of equal mixtures, as one score after another is made of the same.
        self._kept = _rows_of(str(np.dtype(dtype)), *(a.tobytes() for axis in bits for a in axis))

    @classmethod
    def fits(cls, mixture: GaussianMixture, dtype: Real) -> Self | None:
        """Where the mixture is such a product."""
        axes = mixture.product_axes()
        return None if axes is None else cls(mixture, dtype, axes)

    def pull(self, x: Array, at: Level, scale: float) -> Array:
        """See `Route`."""
        states, kind = rounded(x, self.dtype), self.dtype
        var = at.signal_var * self._data_var + at.noise_var
        h, row = kind(kernels.bits(0.5 / var)), self._row(at.alpha, var)
        axes = (self._values, at.alpha, h, self._log_weights)
        return kernels.product_pull(states, scale, *axes, row).astype(np.float64, copy=False)

    def rollout(self, steps: StepTable) -> Rollout | None:
        """One kernel call for the whole grid."""
        if not steps.holds(self.mixture):
            return None
        var = steps.signal_var * self._data_var + steps.noise_var
        h, rows = kernels.bits(0.5 / var).astype(self.dtype), self.rows(steps.alpha, var)
        plan = steps.with_scale(self._data_var).astype(self.dtype)
        tables = plan, steps.times.astype(np.uint64), self._values, steps.alpha, h

        def run(x: Array, first: int, seed: int) -> None:
            states = rounded(x, self.dtype)
            counters = np.uint64(first), np.uint64(seed)
            kernels.rollout_product(states, *counters, *tables, self._log_weights, rows)
            if states is not x:
                x[...] = states

        return run

    def rows(self, alpha: Array, var: Array) -> Any:
        """The rows (S, axes of two modes or more, W) of `lattice_rows` at levels (S,)."""
        return lattice_rows(self._axes, alpha, kernels.bits(0.5 / var), self.dtype)

    def _row(self, alpha: float, var: float) -> Any:
        key = alpha, var
        if key not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[key] = self.rows(np.array([alpha]), np.array([var]))[0]
        return self._kept[key]


@functools.lru_cache(maxsize=16)
def _rows_of(*_: Any) -> dict[tuple[float, float], Any]:
    """What is kept of a mixture's rows, by amplitude and variance."""
    return {}


def _padded(axes: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """(values, log2 weights), each (d, M); short axes end in weight zero."""
    width = max(len(values) for values, _ in axes)
    values = np.zeros((len(axes), width))
    log_weights = np.full((len(axes), width), -np.inf)
    for j, (axis, weights) in enumerate(axes):
        values[j, : len(axis)] = axis
        log_weights[j, : len(axis)] = weights
    return values, log_weights


class _Axis(NamedTuple):
    """M equally spaced modes at S noise levels: values (M,), log2 weights (M,); alpha_t, spacing g,
    h and bits = h g^2 (S,)."""

    values: Array
    log_weights: Array
    alpha: Array
    g: Array
    h: Array
    bits: Array


def common_spacing(values: Array) -> float | None:
    """The spacing of sorted values (M,), M >= 2, if they are equally spaced to rounding."""
    spacing = float(values[-1] - values[0]) / (len(values) - 1)
    places = values[0] + spacing * np.arange(len(values))
    allowed = _SPACING_ULPS * np.spacing(np.abs(values).max())
    return spacing if (np.abs(values - places) <= allowed).all() else None


@functools.lru_cache(maxsize=256)
def _spacing_of(values: bytes) -> float | None:
    """`common_spacing`, which every level asks for again."""
    return common_spacing(np.frombuffer(values))


def lattice_rows(
    axes: list[tuple[Array, Array]], alpha: Array, h: Array, dtype: type[np.floating[Any]]
) -> Any:
    """What the kernels need of each axis at each noise level: rows (S, axes, W).

    axes: per coordinate (values (M_j,) sorted, log2 weights (M_j,)), M_j >= 2; alpha, h (S,): the
    amplitude and log2(e)/(2 var) of each level. A row begins with its form. After it come

    POLYNOMIAL: centre, g, rate 2 h g, largest |exponent| of F, whether the weights are symmetric,
        (M - 1)/2; from HEAD on C_i for a sample on the right, zeros up to a whole block, and the
        same for one on the left.
    NEAREST: first mode, g, 1/g, M - 1, h, 1.
    """
    longest = max((len(values) for values, _ in axes), default=1)
    rows = np.zeros((len(alpha), len(axes), HEAD + 2 * BLOCK * -(-longest // BLOCK)))
    known: dict[bytes, int] = {}  # axes often repeat
    for q, (values, log_weights) in enumerate(axes):
        first = known.setdefault(values.tobytes() + log_weights.tobytes(), q)
        if first < q:
            rows[:, q] = rows[:, first]
            continue
        spacing = _spacing_of(values.tobytes())
        if spacing is not None:
            g = alpha * spacing
            _fill(rows[:, q], _Axis(values, log_weights, alpha, g, h, h * g**2), np.finfo(dtype))
    return rows.astype(dtype)


def _fill(rows: Array, axis: _Axis, limits: Any) -> None:
    """The rows (S, W) of one axis."""
    # Bits that a product of powers can span, and of a term too small to be felt.
    reach, unfelt = 0.97 * limits.maxexp, limits.nmant + 8
    last, spread = len(axis.values) - 1, float(np.ptp(axis.log_weights))
    exponents = _exponents(axis)
    # Beyond this exponent of F the outermost mode is alone.
    largest = unfelt + (last - 1) * axis.bits + spread
    polynomial = largest - exponents.min(axis=1) <= reach
    if polynomial.any():
        numbers = _polynomial(axis, largest, exponents, (rows.shape[1] - HEAD) // 2)
        rows[polynomial] = numbers[polynomial]
    nearest = ~polynomial & (axis.bits >= unfelt) & (spread <= _SAME_WEIGHT)
    if nearest.any():
        numbers = _columns(
            NEAREST, axis.alpha * axis.values[0], axis.g, 1 / axis.g, last, axis.h, 1
        )
        rows[nearest, : numbers.shape[1]] = numbers[nearest]


def _exponents(axis: _Axis) -> Array:
    """log2 C_k (S, M), the largest 0."""
    j = np.arange(len(axis.values)) - (len(axis.values) - 1) / 2
    exponents = axis.log_weights - axis.bits[:, None] * j**2
    return np.asarray(exponents - exponents.max(axis=1, keepdims=True))


def _polynomial(axis: _Axis, largest: Array, exponents: Array, width: int) -> Array:
    last = len(axis.values) - 1
    centre = axis.alpha * (axis.values[0] + axis.values[-1]) / 2
    symmetric = float(np.abs(axis.log_weights - axis.log_weights[::-1]).max() <= _SAME_WEIGHT)
    head = (POLYNOMIAL, centre, axis.g, 2 * axis.h * axis.g, largest, symmetric, last / 2, 1)
    with np.errstate(under="ignore"):
        c = np.exp2(exponents).T
    zeros = [0.0] * (width - len(c))
    return _columns(*head, *c[::-1], *zeros, *c, *zeros)


def _columns(*columns: Any) -> Array:
    """(S, columns) of arrays (S,) and of numbers, at least one array among them."""
    out = np.empty((max(np.size(column) for column in columns), len(columns)))
    for k, column in enumerate(columns):
        out[:, k] = column
    return out
