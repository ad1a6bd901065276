"""The mixture in symbols: N modes in d dimensions, both symbolic, as indexed sums.

Static coordinates y = x/alpha, effective variance v: responsibilities gamma_k proportional to
w_k exp(-|y - mu_k|^2/(2 v)). Indices run from 0. A single index of a mode or a coordinate that is
not summed over (i, j, e, f) is any index of the range.
"""

from __future__ import annotations

import sympy as sp

from .formula import Formula
from .rewriting import SUMS, Rewriting
from .sums import normal_form

N, d = sp.symbols("N d", integer=True, positive=True)
i, j, k, q = sp.symbols("i j k q", integer=True, nonnegative=True)  # modes
c, e, f = sp.symbols("c e f", integer=True, nonnegative=True)  # coordinates
w = sp.IndexedBase("w", positive=True)
mu = sp.IndexedBase("mu", real=True)
x = sp.IndexedBase("x", real=True)
y = sp.IndexedBase("y", real=True)
S = sp.IndexedBase("S", positive=True)  # variances of the modes in x
g = sp.IndexedBase("gamma", nonnegative=True)  # responsibilities as such: any convex weights
alpha, nu, v, sigma = sp.symbols("alpha nu v sigma", positive=True)


def over_modes(term: sp.Expr, index: sp.Symbol = k) -> sp.Expr:
    """sum over all modes."""
    return sp.Sum(term, (index, 0, N - 1))


def over_coordinates(term: sp.Expr, index: sp.Symbol = c) -> sp.Expr:
    """sum over all coordinates."""
    return sp.Sum(term, (index, 0, d - 1))


def distance2(point: sp.IndexedBase, mode: sp.Symbol, scale: sp.Expr = sp.S.One) -> sp.Expr:
    """|point - scale mu_mode|^2."""
    return over_coordinates((point[c] - scale * mu[mode, c]) ** 2)


def share(mode: sp.Symbol) -> sp.Expr:
    """w_k exp(-|y - mu_k|^2/(2 v)), static coordinates."""
    return w[mode] * sp.exp(-distance2(y, mode) / (2 * v))


def gamma(mode: sp.Symbol) -> sp.Expr:
    """Responsibility of a mode, static coordinates."""
    return share(mode) / over_modes(share(q), q)


def mean_field(coordinate: sp.Symbol) -> sp.Expr:
    """m = sum_k gamma_k mu_k, static coordinates."""
    return over_modes(gamma(k) * mu[k, coordinate])


def share_x(mode: sp.Symbol) -> sp.Expr:
    """w_k S_k^(-d/2) exp(-|x - alpha mu_k|^2/(2 S_k)): one variance S_k per mode."""
    return w[mode] * S[mode] ** (-d / 2) * sp.exp(-distance2(x, mode, alpha) / (2 * S[mode]))


def share_atom(mode: sp.Symbol) -> sp.Expr:
    """w_k exp(-|x - alpha mu_k|^2/(2 nu)): data on atoms mu_k, noise variance nu."""
    return w[mode] * sp.exp(-distance2(x, mode, alpha) / (2 * nu))


def gamma_x(mode: sp.Symbol) -> sp.Expr:
    """Responsibility of a mode in x, one variance per mode."""
    return share_x(mode) / over_modes(share_x(q), q)


def static_formula(expr: sp.Expr, *extra: sp.Symbol) -> Formula:
    """A formula of y (d,), w (N,), mu (N, d), v, N, d and further arguments."""
    return Formula(expr, (y, w, mu, v, N, d, *extra))


def x_formula(expr: sp.Expr, *extra: sp.Symbol) -> Formula:
    """A formula of x (d,), w (N,), mu (N, d), S (N,), alpha, N, d and further arguments."""
    return Formula(expr, (x, w, mu, S, alpha, N, d, *extra))


def _unit_sum(expr: sp.Expr) -> sp.Expr:
    one = {normal_form(over_modes(g[k])): sp.S.One}
    return sp.expand(SUMS(expr).xreplace(one))


CONVEX = Rewriting("linearity of sums, responsibilities sum to one", _unit_sum)
