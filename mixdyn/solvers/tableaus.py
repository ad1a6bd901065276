"""Explicit Runge-Kutta methods as coefficient data, their algebra checked on construction."""

from __future__ import annotations

import dataclasses
import operator
from fractions import Fraction

import numpy as np

from ..support.checks import Array, check_integer
from ..support.errors import InputError

Row = tuple[Fraction, ...]


@dataclasses.dataclass(frozen=True)
class ButcherTableau:
    """An explicit Runge-Kutta method: stages a (strictly lower triangular rows), weights b, order,
    and for an embedded pair the weights of the lower-order companion.

    Exact fractions; construction checks c_i = sum_j a_ij and the order conditions of every rooted
    tree up to `order` (at most 5 trees deep; orders up to 5 are supported).
    """

    name: str
    order: int
    a: tuple[Row, ...]
    b: Row
    b_low: Row | None = None

    def __post_init__(self) -> None:
        stages = len(self.b)
        check_integer(self.order, "order", 1, 5)
        if self.b_low is not None and len(self.b_low) != stages:
            raise InputError(
                f"the embedded companion has a weight for each of the {stages} stages",
                f"{len(self.b_low)} weights",
                "Fill up with zeros.",
            )
        if [len(row) for row in self.a] != list(range(stages)):
            raise InputError(
                "stage i of an explicit method has i coefficients",
                [len(row) for row in self.a],
                "List a as strictly lower triangular rows, the first one empty.",
            )
        failed = [name for name, gap in order_gaps(self.a, self.b, self.order) if gap]
        if self.b_low is not None:
            failed += [name for name, gap in order_gaps(self.a, self.b_low, self.order - 1) if gap]
        if failed:
            raise InputError(
                f"a method of order {self.order} satisfies the order conditions",
                f"{self.name} failing {failed}",
                "Correct the coefficients.",
            )

    @property
    def c(self) -> tuple[Fraction, ...]:
        """Stage times as shares of the step."""
        return tuple(sum(row, Fraction(0)) for row in self.a)

    def arrays(self) -> tuple[list[Array], Array, Array, Array]:
        """(a, b, c, b - b_low) as doubles; the last is 0 without an embedded companion."""
        companion = self.b if self.b_low is None else self.b_low
        error = [high - low for high, low in zip(self.b, companion, strict=True)]
        rows = [np.array(row, dtype=np.float64) for row in self.a]
        return (rows, *(np.array(part, dtype=np.float64) for part in (self.b, self.c, error)))  # type: ignore[return-value]


def order_gaps(a: tuple[Row, ...], b: Row, order: int) -> list[tuple[str, Fraction]]:
    """(tree, b . Phi(tree) - 1/density) for every rooted tree with at most `order` vertices."""
    stages = range(len(b))

    def apply(values: list[Fraction]) -> list[Fraction]:
        return [sum((x * values[j] for j, x in enumerate(row)), Fraction(0)) for row in a]

    def times(*factors: list[Fraction]) -> list[Fraction]:
        out = [Fraction(1)] * len(b)
        for factor in factors:
            out = [p * q for p, q in zip(out, factor, strict=True)]
        return out

    one = [Fraction(1) for _ in stages]
    c = apply(one)
    ac, ac2, ac3 = apply(c), apply(times(c, c)), apply(times(c, c, c))
    aac, acac, aac2 = apply(ac), apply(times(c, ac)), apply(ac2)
    trees = [
        (1, "1", one, 1),
        (2, "c", c, 2),
        (3, "c^2", times(c, c), 3),
        (3, "Ac", ac, 6),
        (4, "c^3", times(c, c, c), 4),
        (4, "c Ac", times(c, ac), 8),
        (4, "A c^2", ac2, 12),
        (4, "AAc", aac, 24),
        (5, "c^4", times(c, c, c, c), 5),
        (5, "c^2 Ac", times(c, c, ac), 10),
        (5, "(Ac)^2", times(ac, ac), 20),
        (5, "c A c^2", times(c, ac2), 15),
        (5, "A c^3", ac3, 20),
        (5, "c AAc", times(c, aac), 30),
        (5, "A(c Ac)", acac, 40),
        (5, "AA c^2", aac2, 60),
        (5, "AAAc", apply(aac), 120),
    ]
    return [
        (name, sum(map(operator.mul, b, phi), Fraction(0)) - Fraction(1, density))
        for size, name, phi, density in trees
        if size <= order
    ]


def _rows(*texts: str) -> tuple[Row, ...]:
    return tuple(tuple(Fraction(entry) for entry in text.split()) for text in texts)


EULER = ButcherTableau("Euler", 1, _rows(""), _rows("1")[0])
HEUN = ButcherTableau("Heun", 2, _rows("", "1"), _rows("1/2 1/2")[0])
RK4 = ButcherTableau("RK4", 4, _rows("", "1/2", "0 1/2", "0 0 1"), _rows("1/6 1/3 1/3 1/6")[0])
# Dormand and Prince (1980), the 5(4) pair with an extra stage shared with the next step.
DORMAND_PRINCE = ButcherTableau(
    "Dormand-Prince 5(4)",
    5,
    _rows(
        "",
        "1/5",
        "3/40 9/40",
        "44/45 -56/15 32/9",
        "19372/6561 -25360/2187 64448/6561 -212/729",
        "9017/3168 -355/33 46732/5247 49/176 -5103/18656",
        "35/384 0 500/1113 125/192 -2187/6784 11/84",
    ),
    _rows("35/384 0 500/1113 125/192 -2187/6784 11/84 0")[0],
    _rows("5179/57600 0 7571/16695 393/640 -92097/339200 187/2100 1/40")[0],
)
