"""Sign of an expression from the assumptions of its symbols alone: no numerics, no search."""

from __future__ import annotations

from typing import Any

import sympy as sp


def is_manifestly_nonnegative(expr: Any) -> bool:
    """Whether `expr` >= 0 follows from assumptions, with sums and integrals of such terms allowed.

    Sums and integrals are taken over ranges that run upwards; sums have at least one term.
    """
    return bool(_opaque(sp.sympify(expr)).is_nonnegative)


def _opaque(expr: sp.Expr) -> sp.Expr:
    """Replace every sum and integral by a symbol with the sign of its summand or integrand."""
    if isinstance(expr, sp.Sum | sp.Integral):
        inside = _opaque(expr.function)
        if inside.is_positive and isinstance(expr, sp.Sum):
            return sp.Dummy(positive=True)
        if inside.is_nonnegative:
            return sp.Dummy(nonnegative=True)
        return sp.Dummy(real=True) if inside.is_real else sp.Dummy()
    if not expr.args or not expr.has(sp.Sum, sp.Integral):
        return expr
    return expr.func(*[_opaque(a) for a in expr.args])
