"""A normal form for indexed sums of any, symbolic, length.

Every term of an expanded expression is opened into one multiple sum of products; Kronecker deltas
sift; factors that share no index separate; indices get canonical names. Two expressions that are
equal by linearity, exchange of sums and renaming alone then become the same expression.
Denominators and arguments of functions are brought to the form inside and stay closed factors.
"""

from __future__ import annotations

import itertools
from typing import Any

import sympy as sp

Limits = dict[sp.Symbol, tuple[Any, Any]]


def normal_form(expr: sp.Expr) -> sp.Expr:
    """`expr` as a polynomial in canonical sums."""
    inner = expr.replace(_is_closed, _normalise_inside)
    terms = sp.Add.make_args(sp.expand(inner))
    return sp.Add(*[_term(term) for term in terms])


def _is_closed(node: sp.Basic) -> bool:
    """Functions, denominators and exponentials: nothing is pulled out of them."""
    if isinstance(node, sp.Pow):
        return not (node.exp.is_Integer and node.exp > 0)
    return isinstance(node, sp.Function) and not isinstance(node, sp.KroneckerDelta)


def _normalise_inside(node: sp.Basic) -> sp.Basic:
    return node.func(*[normal_form(a) if a.has(sp.Sum) else a for a in node.args])


def _term(term: sp.Expr) -> sp.Expr:
    """One product, sums opened, as a sum of products of canonical sums."""
    opened = _open(term)
    if isinstance(opened, list):  # a summand was itself a sum of terms: expand and start again
        return sp.Add(*[_term(part) for part in opened])
    factors, limits = opened
    product, limits = _sift(sp.Mul(*factors), limits)
    pieces = sp.Mul.make_args(product)
    outer = [f for f in pieces if not f.free_symbols & set(limits)]
    result = sp.Mul(*outer)
    rest = [f for f in pieces if f.free_symbols & set(limits)]
    used: set[sp.Symbol] = set()
    for group, indices in _components(rest, set(limits)):
        result *= _canonical(group, {k: limits[k] for k in indices})
        used |= indices
    for k in set(limits) - used:
        low, high = limits[k]
        result *= high - low + 1
    return sp.expand(result)


def _open(term: sp.Expr) -> tuple[list[sp.Expr], Limits] | list[sp.Expr]:
    """Factors and open indices of a product; a list of terms where a summand has several."""
    factors: list[sp.Expr] = []
    limits: Limits = {}
    queue = list(sp.Mul.make_args(term))
    while queue:
        factor = queue.pop()
        if isinstance(factor, sp.Pow) and factor.base.has(sp.Sum) and not _is_closed(factor):
            queue += [factor.base] * int(factor.exp)
        elif isinstance(factor, sp.Sum):
            body = factor.function
            for k, low, high in factor.limits:
                fresh = sp.Dummy(k.name, integer=True)
                body = (
                    body.xreplace({k: fresh}) if not body.has(sp.Sum) else _rename(body, k, fresh)
                )
                limits[fresh] = (low, high)
            body = sp.expand(body)
            if body.is_Add:
                closed = sp.Mul(*factors, *queue)
                return [sp.expand(_close(closed * part, limits)) for part in sp.Add.make_args(body)]
            queue += list(sp.Mul.make_args(body))
        else:
            factors.append(factor)
    return factors, limits


def _rename(body: sp.Expr, k: sp.Symbol, fresh: sp.Dummy) -> sp.Expr:
    """Replace the free occurrences of an index, not those bound again inside."""
    return body.subs(k, fresh)


def _close(product: sp.Expr, limits: Limits) -> sp.Expr:
    for k, (low, high) in limits.items():
        product = sp.Sum(product, (k, low, high))
    return product


def _sift(product: sp.Expr, limits: Limits) -> tuple[sp.Expr, Limits]:
    """Use up each Kronecker delta that contains an open index (taken to lie within its range)."""
    remaining = dict(limits)
    for delta in sorted(product.atoms(sp.KroneckerDelta), key=sp.default_sort_key):
        present = [a for a in delta.args if a in remaining]
        if not present or not product.has(delta):
            continue
        k = present[0]
        other = delta.args[1] if delta.args[0] == k else delta.args[0]
        product = product.xreplace({delta: sp.Integer(1)}).subs(k, other)
        del remaining[k]
    return product, remaining


def _components(
    factors: list[sp.Expr], indices: set[sp.Symbol]
) -> list[tuple[list[sp.Expr], set[sp.Symbol]]]:
    """Groups of factors that share indices."""
    groups: list[tuple[list[sp.Expr], set[sp.Symbol]]] = []
    for factor in factors:
        members, shared = [factor], factor.free_symbols & indices
        apart = []
        for group, used in groups:
            if used & shared:
                members, shared = group + members, shared | used
            else:
                apart.append((group, used))
        groups = [*apart, (members, shared)]
    return groups


def _canonical(factors: list[sp.Expr], limits: Limits) -> sp.Expr:
    """The sum with the first, in SymPy's order, of all namings of its indices."""
    body = sp.Mul(*factors)
    depth = _depth(body)
    candidates = []
    for order in itertools.permutations(limits):
        ranges = [limits[k] for k in order]
        names = [sp.Symbol(f"i{depth}{n}", integer=True) for n in range(len(order))]
        renamed = body.xreplace(dict(zip(order, names, strict=True)))
        bounds = [(name, *span) for name, span in zip(names, ranges, strict=True)]
        candidates.append(sp.Sum(renamed, *bounds))
    return min(candidates, key=sp.default_sort_key)


def _depth(expr: sp.Expr) -> int:
    """How many sums are nested in an expression."""
    below = max((_depth(a) for a in expr.args), default=0)
    return below + 1 if isinstance(expr, sp.Sum) else below
