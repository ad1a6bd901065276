"""Random numbers that respect the assumptions of a derivation's symbols."""

from __future__ import annotations

import random
from typing import Any

import mpmath
import sympy as sp
from sympy.core.function import AppliedUndef

from derivations.algebra.chain import Chain
from derivations.algebra.rewriting import AT, DERIVATIVES

DIGITS = 50
LENGTHS = {
    "N": 3,
    "d": 2,
    "M": 2,
    "r": 2,
    "p": 2,
    "w": 2,
    "n": 1,
}  # lengths of sums; n counts series terms
INDICES = {"i": 0, "j": 1, "k": 2, "q": 2, "e": 1, "f": 0, "c": 0, "l": 1}


class Table:
    """An indexed base: a random number for each index, drawn once."""

    def __init__(self, base: sp.IndexedBase, rng: random.Random) -> None:
        self.base, self.rng, self.values = base, rng, {}

    def __getitem__(self, index: Any) -> mpmath.mpf:
        if self.base.label.name == "gamma":  # convex weights over the modes
            raw = [self._draw(k) for k in range(LENGTHS["N"])]
            return raw[index] / sum(raw)
        return self._draw(index)

    def _draw(self, index: Any) -> mpmath.mpf:
        if index not in self.values:
            self.values[index] = draw(self.base[(0,) * _rank(index)], self.rng)
        return self.values[index]


def _rank(index: Any) -> int:
    return len(index) if isinstance(index, tuple) else 1


def draw(symbol: sp.Expr, rng: random.Random, scale: float = 1.0) -> Any:
    """One number with the sign that the assumptions give; `scale` stretches positive ones."""
    if symbol.is_integer:
        name = symbol.name
        return LENGTHS[name] if name in LENGTHS else INDICES[name]
    if symbol.is_nonnegative:
        return mpmath.mpf(scale * rng.uniform(0.3, 1.5))
    return mpmath.mpf(rng.uniform(-1.0, 1.0))


def is_numeric(chain: Chain) -> bool:
    """Whether both ends are formulas of numbers (no undefined functions, no cited step)."""
    return not chain.citations and not any(e.has(AppliedUndef) for e in written_out(chain))


def evaluate(expr: sp.Expr, values: dict[Any, Any]) -> Any:
    """An expression at 50 digits; the keys of `values` are symbols and indexed bases."""
    labels = [key.label if isinstance(key, sp.IndexedBase) else key for key in values]
    with mpmath.workdps(DIGITS + 10):
        f = sp.lambdify(labels, expr, "mpmath")
        return mpmath.mpmathify(f(*values.values()))


def written_out(chain: Chain) -> tuple[sp.Expr, sp.Expr]:
    """Both ends of a chain with definitions inserted and derivatives carried out."""
    start, end = (chain.inserted(sp.sympify(side)) for side in (chain.start, chain.end))
    return (DERIVATIVES >> AT)(start), (DERIVATIVES >> AT)(end)


def ends(chain: Chain, rng: random.Random, scale: float = 1.0) -> tuple[Any, Any]:
    """Both ends of a chain at one random point."""
    start, end = written_out(chain)
    both = sp.Tuple(start, end)
    bases = both.atoms(sp.IndexedBase)
    taken = {base.label for base in bases}
    symbols = {s for s in both.free_symbols if isinstance(s, sp.Symbol)} - taken
    with mpmath.workdps(DIGITS + 10):
        values: dict[Any, Any] = {
            s: draw(s, rng, scale) for s in sorted(symbols, key=sp.default_sort_key)
        }
        values |= {b: Table(b, rng) for b in sorted(bases, key=sp.default_sort_key)}
    return evaluate(start, values), evaluate(end, values)
