"""Coordinates along and across the line through modes i and j, in symbols.

point = mu_j + a (mu_i - mu_j) + xi with xi across the line; l = |mu_i - mu_j|.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from .mixture import c, i, j, mu, over_coordinates

Vector = Callable[[sp.Symbol], sp.Expr]  # component of a point by coordinate


def mode(index: sp.Symbol) -> Vector:
    """The mean of a mode as a point."""
    return lambda coordinate: mu[index, coordinate]


def along(coordinate: sp.Symbol) -> sp.Expr:
    """mu_i - mu_j."""
    return mu[i, coordinate] - mu[j, coordinate]


LENGTH2 = over_coordinates(along(c) ** 2)


def parallel(point: Vector) -> sp.Expr:
    """a: 0 at mode j, 1 at mode i."""
    return over_coordinates((point(c) - mu[j, c]) * along(c)) / LENGTH2


def orthogonal(point: Vector, coordinate: sp.Symbol) -> sp.Expr:
    """One component of xi."""
    return point(coordinate) - mu[j, coordinate] - parallel(point) * along(coordinate)


def orthogonal2(point: Vector) -> sp.Expr:
    """|xi|^2, the squared distance to the line, by Pythagoras."""
    offset2 = over_coordinates((point(c) - mu[j, c]) ** 2)
    return offset2 - parallel(point) ** 2 * LENGTH2


def other(index: sp.Symbol) -> sp.Expr:
    """1 for modes other than i and j, else 0."""
    return (1 - sp.KroneckerDelta(index, i)) * (1 - sp.KroneckerDelta(index, j))
