"""mmse and information gained along a list of levels, with what draws leave open.

Where the two are integrals they are taken at the levels themselves. Where they are means over draws
only the mmse is drawn, on a lattice of levels, evenly spaced in log g: a spline through them gives
the mmse at the nodes and, by I-MMSE, the information that each step gains. All of that is linear
in the draws, so standard errors of sums are exact; and as all levels share their draws, the error
of a difference of mmse is as small as the difference.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from ..problem.mixture import GaussianMixture
from ..support.checks import Array
from .information import Information, information, is_integral

_SPACING = 0.11  # of the levels, in log rho
_POINTS = 4  # of the Gauss-Legendre rule between two neighbouring levels or nodes


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """Along nodes rho (K + 1,), falling, the first perhaps infinite: mmse (K + 1,), first = I at
    the first, gained (K,) = what I grows by from node to node."""

    rho: Array
    mmse: Array
    first: float
    gained: Array
    drawn: _Drawn | None = None

    @classmethod
    def of(cls, mixture: GaussianMixture, rho: Array, n: int | None = None, seed: int = 0) -> Curve:
        """n, seed : draws, where there are any."""
        if is_integral(mixture):
            found = information(mixture, rho, n=n, seed=seed)
            if found.drawn is None:
                return cls(rho, found.mmse, float(found.nats[0]), np.diff(found.nats))
        return _drawn_curve(mixture, rho, n, seed)

    def error(self, on_mmse: Array, on_gained: Array, on_first: float = 0.0) -> float:
        """Standard error of on_mmse @ mmse + on_gained @ gained + on_first * first."""
        if self.drawn is None:
            return 0.0
        return self.drawn.error(on_mmse, on_gained, on_first)


@dataclasses.dataclass(frozen=True, eq=False)
class _Drawn:
    """What was drawn on levels of its own, and the curve as combinations of it: mmse at the nodes
    nodes @ mmse, information gained steps @ mmse, and at the first node with signal lead @ mmse
    plus that at the first level. blind: whether that node is the second."""

    found: Information
    nodes: Array
    steps: Array
    lead: Array
    blind: bool

    @property
    def draws(self) -> int:
        """How many."""
        return 0 if self.found.drawn is None else self.found.drawn.shape[2]

    def error(self, on_mmse: Array, on_gained: Array, on_first: float) -> float:
        held = float(on_gained[0]) if self.blind else on_first
        on_nats = np.zeros(len(self.found.rho))
        on_nats[0] = held
        factors = on_mmse @ self.nodes + on_gained @ self.steps + held * self.lead
        return self.found.error(factors, on_nats)


def _drawn_curve(mixture: GaussianMixture, rho: Array, n: int | None, seed: int) -> Curve:
    blind = bool(np.isinf(rho[0]))
    finite = rho[int(blind) :]
    variance = information(mixture, [math.inf], n=2).mmse
    if len(finite) == 0:
        return Curve(rho, variance, 0.0, np.empty(0))
    top, bottom = (math.log(level) / _SPACING for level in (finite[0], finite[-1]))
    found = _on_lattice(mixture, math.ceil(top), math.floor(bottom), n, seed)
    at, half = _combinations(found.rho, np.concatenate([found.rho[:1], finite]))
    none = np.zeros((int(blind), len(found.rho)))
    nodes, steps = np.vstack([none, at[1:]]), np.vstack([none, half[1:]])
    told = float(found.nats[0] + half[0] @ found.mmse)
    mmse, gained = nodes @ found.mmse, steps @ found.mmse
    if blind:
        mmse[0], gained[0] = variance[0], told
    return Curve(
        rho, mmse, 0.0 if blind else told, gained, _Drawn(found, nodes, steps, half[0], blind)
    )


@functools.lru_cache(maxsize=4)
def _on_lattice(
    mixture: GaussianMixture, top: int, bottom: int, n: int | None, seed: int
) -> Information:
    """At the levels exp(k spacing), k from top down to bottom and one more on both sides: grids of
    one mixture share them."""
    levels = np.exp(_SPACING * np.arange(top + 1, bottom - 2, -1))
    return information(mixture, levels, n=n, seed=seed)


def _combinations(levels: Array, nodes: Array) -> tuple[Array, Array]:
    """mmse at the nodes (m, k) and half its integral over g between them (m - 1, k), as factors on
    the mmse at the levels: of a spline of g mmse in log g."""
    from scipy.interpolate import CubicSpline

    x = -np.log(levels)
    spline = CubicSpline(x, np.eye(len(x)) / levels[:, None])
    ends = -np.log(nodes)
    step = (x[-1] - x[0]) / (len(x) - 1)
    pieces = np.maximum(np.ceil(np.diff(ends) / step).astype(int), 1)
    edges = np.concatenate(
        [
            a + (b - a) * np.arange(p) / p
            for a, b, p in zip(ends[:-1], ends[1:], pieces.tolist(), strict=True)
        ]
    )
    width = np.repeat(np.diff(ends) / pieces, pieces)
    z, w = np.polynomial.legendre.leggauss(_POINTS)
    at = edges[:, None] + width[:, None] * (z + 1.0) / 2.0
    each = np.einsum("ip,ipk->ik", 0.5 * width[:, None] * w, spline(at))
    first = np.concatenate([[0], np.cumsum(pieces)[:-1]])
    half = 0.5 * np.add.reduceat(each, first, axis=0)
    return nodes[:, None] * spline(ends), half
