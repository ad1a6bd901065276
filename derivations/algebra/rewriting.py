"""Named rewritings: the only means by which a residual may be brought to zero.

Each is an identity transformation on the domain that the symbols' assumptions declare, so a
residual that it sends to zero is zero. None searches: every one is a fixed, finite recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .sums import normal_form


@dataclass(frozen=True)
class Rewriting:
    """A named transformation of expressions; `a >> b` applies a, then b."""

    name: str
    apply: Callable[[sp.Expr], sp.Expr]

    def __call__(self, expr: Any) -> Any:
        """The rewritten expression; matrices entry by entry."""
        if isinstance(expr, sp.MatrixBase):
            return expr.applyfunc(self.apply)
        return self.apply(sp.sympify(expr))

    def __rshift__(self, other: Rewriting) -> Rewriting:
        return Rewriting(f"{self.name}, {other.name}", lambda e: other.apply(self.apply(e)))


def _merge_exponentials(expr: sp.Expr) -> sp.Expr:
    """Per term one exponential, its exponent over a common denominator."""
    merged = []
    for term in sp.Add.make_args(sp.expand(expr)):
        exponent, rest = sp.Integer(0), []
        for factor in sp.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if base == sp.E:
                exponent += power
            else:
                rest.append(factor)
        merged.append(sp.Mul(*rest, sp.exp(sp.cancel(exponent))) if exponent != 0 else term)
    return sp.Add(*merged)


def _numerator(expr: sp.Expr) -> sp.Expr:
    return _merge_exponentials(sp.fraction(sp.together(expr))[0])


def _to_exponentials(expr: sp.Expr) -> sp.Expr:
    return expr.rewrite((sp.tanh, sp.sinh, sp.cosh, sp.coth), sp.exp)


def _differentiate(expr: sp.Expr) -> sp.Expr:
    return expr.replace(
        lambda node: isinstance(node, sp.Derivative), lambda node: node.doit(deep=False)
    )


def _insert_values(expr: sp.Expr) -> sp.Expr:
    return expr.replace(lambda node: isinstance(node, sp.Subs), lambda node: node.doit(deep=False))


def _sums(expr: sp.Expr) -> sp.Expr:
    numerator = sp.fraction(sp.together(normal_form(expr)))[0]
    return normal_form(sp.expand(numerator))


def _expand_logs(expr: sp.Expr) -> sp.Expr:
    factored = expr.replace(sp.log, lambda arg: sp.log(sp.factor(arg)))
    return sp.expand(sp.expand_log(factored))


CANCEL = Rewriting("cancel common factors", lambda e: sp.expand(sp.cancel(e)))
EXPAND = Rewriting("expand", sp.expand)
RATIONAL = Rewriting("common denominator", _numerator)
EXPONENTIALS = Rewriting("hyperbolic functions as exponentials", _to_exponentials) >> RATIONAL
DERIVATIVES = Rewriting("differentiate", _differentiate)
AT = Rewriting("insert the value", _insert_values)
SUMS = Rewriting("linearity of sums", _sums)
LOGARITHMS = Rewriting("logarithm of a product", _expand_logs)


def insert(definitions: Mapping[Any, Any], name: str = "insert the definitions") -> Rewriting:
    """Replace symbols by what they stand for."""
    return Rewriting(name, lambda e: e.subs(dict(definitions)))


def distinct(i: sp.Symbol, j: sp.Symbol) -> Rewriting:
    """Two fixed indices are different."""
    zero = {sp.KroneckerDelta(i, j): sp.Integer(0), sp.KroneckerDelta(j, i): sp.Integer(0)}
    return Rewriting(f"{i} and {j} differ", lambda e: e.xreplace(zero))
