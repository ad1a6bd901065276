"""A proved expression as a function of numbers, at 50 digits or in doubles."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp

DIGITS = 50


def _labels(arguments: Sequence[Any]) -> tuple[Any, ...]:
    """What stands for each argument in the generated function."""
    return tuple(a.label if isinstance(a, sp.IndexedBase) else a for a in arguments)


def _exact(value: Any) -> Any:
    """mpmath numbers from numbers and nested sequences; doubles are taken as exact, ints stay."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, int | mpmath.mpf):
        return value
    if isinstance(value, Sequence):
        return mpmath.matrix([list(row) if isinstance(row, Sequence) else row for row in value])
    return mpmath.mpf(value)


@dataclass(frozen=True, eq=False)
class Formula:
    """expr as a function of `arguments`: symbols, or indexed bases given as (nested) sequences.

    A call evaluates at 50 digits, or at more where mpmath is set to more, with doubles taken as
    exact; `doubles` evaluates the same expression in double precision.
    """

    expr: sp.Expr
    arguments: tuple[Any, ...]

    @functools.cached_property
    def _at_high_precision(self) -> Callable[..., Any]:
        return sp.lambdify(_labels(self.arguments), self.expr, "mpmath")

    @functools.cached_property
    def _in_doubles(self) -> Callable[..., Any]:
        return sp.lambdify(_labels(self.arguments), self.expr, ["math", "mpmath"])

    def prepare(self) -> None:
        """Generate the code now rather than on the first call."""
        _ = self._at_high_precision

    def __call__(self, *values: Any) -> Any:
        """The value as an mpmath number of 50 digits (a few are lost to cancellation)."""
        with mpmath.workdps(max(DIGITS + 10, mpmath.mp.dps)):
            return self._at_high_precision(*[_exact(v) for v in values])

    def doubles(self, *values: Any) -> float:
        """The value in double precision."""
        with mpmath.workprec(53):
            return float(self._in_doubles(*[_exact(v) for v in values]))
