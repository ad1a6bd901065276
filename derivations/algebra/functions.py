"""Elementary functions that several derivations share."""

from __future__ import annotations

import sympy as sp

HALF = sp.Rational(1, 2)


def logistic(x: sp.Expr) -> sp.Expr:
    """1/(1 + e^(-x))."""
    return 1 / (1 + sp.exp(-x))


def Phi(x: sp.Expr) -> sp.Expr:
    """Distribution function of the standard normal law."""
    return (1 + sp.erf(x / sp.sqrt(2))) / 2


def normal_density(x: sp.Expr, mean: sp.Expr, variance: sp.Expr) -> sp.Expr:
    """Density of N(mean, variance)."""
    return sp.exp(-((x - mean) ** 2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)
