"""Helpers of the comparisons between derived formulas (50 digits) and mixdyn (doubles).

A comparison is a function without arguments that raises AssertionError where the two differ, marked
with the functions it covers. The doubles handed to mixdyn are exact inputs of the derived formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath
import numpy as np

from derivations import catalogue
from derivations.algebra.formula import Formula
from mixdyn.problem.mixture import GaussianMixture

RTOL = 1e-12
Comparison = Callable[[], None]


def covers(*functions: Callable[..., Any]) -> Callable[[Comparison], Comparison]:
    """Mark which functions of mixdyn a comparison holds against their derivation."""

    def mark(comparison: Comparison) -> Comparison:
        comparison.covers = functions  # type: ignore[attr-defined]
        return comparison

    return mark


def collect(namespace: Mapping[str, Any]) -> list[Comparison]:
    """The comparisons of a module, in the order of the file."""
    return [f for f in namespace.values() if callable(f) and hasattr(f, "covers")]


def formula(name: str, key: str) -> Formula:
    """A proved formula by derivation and name."""
    return catalogue.load(name).numeric()[key]


def agree(value: Any, exact: Any, rtol: float = RTOL, scale: float = 0.0) -> None:
    """value (double) against exact (50 digits), relative to the larger of |exact| and scale."""
    with mpmath.workdps(50):
        error = abs(mpmath.mpf(float(value)) - exact)
        limit = rtol * max(abs(exact), mpmath.mpf(scale))
    assert error <= limit, f"{float(value)!r} against {mpmath.nstr(exact, 20)}"


def agree_all(
    values: Any, exact: Callable[..., Any], rtol: float = RTOL, scale: float = 0.0
) -> None:
    """Every entry of an array against exact(*index)."""
    array = np.asarray(values)
    assert array.size
    for index in np.ndindex(array.shape):
        agree(array[index], exact(*index), rtol, scale)


def numbers(seed: int, shape: Any, low: float, high: float) -> np.ndarray:
    """Uniform doubles."""
    return np.random.default_rng(seed).uniform(low, high, shape)


def random_mixture(
    seed: int, N: int = 3, d: int = 2, sigma: float | Sequence[float] = 0.4
) -> GaussianMixture:
    """Modes a few sigma apart with unequal weights."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, N)
    return GaussianMixture(rng.uniform(-1.0, 1.0, (N, d)), sigma, weights / weights.sum())


def data(mixture: GaussianMixture) -> tuple[list, list]:
    """Weights and means as the formulas take them."""
    return mixture.weights.tolist(), mixture.means.tolist()
