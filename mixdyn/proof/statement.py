"""Statements about a mixture, as data: a term that is positive all over a box of (z, v).

A term is a tree of nested tuples, so that it can be kept in a file and be evaluated by anybody's
arithmetic. Its leaves are numbers and
    z(k), v                    the coordinates of the box
    mean(a), field(a)          components of the mean field from the centre, and of m - y
    covariance(a, b), jacobian(a, b)      of Cov_gamma, and of Cov_gamma/v - I
    log_ratio(q, r)            log(gamma_q/gamma_r)
    log_powers(q, n, r, m, ...)           log(gamma_q^n gamma_r^m ...), where n + m + ... = 0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array

from .interval import Interval
from .law import Law, Local
from .search import Budget, Decision, Watch, decide, hexed

FORMAT = 1  # of certificates
_TWO = {"add": "__add__", "sub": "__sub__", "mul": "__mul__", "div": "__truediv__"}
_TWO |= {"min": "minimum", "max": "maximum"}
_ONE = {"neg": "__neg__", "abs": "abs", "exp": "exp", "log": "log", "tanh": "tanh", "sqrt": "sqrt"}
_OF_LAW = ("mean", "field", "covariance", "jacobian", "log_ratio", "log_powers")


@dataclass(frozen=True)
class Term:
    """A term; arithmetic with numbers and terms makes larger ones."""

    tree: tuple[Any, ...]

    @classmethod
    def of(cls, value: Term | float) -> Term:
        """Numbers are exact."""
        return value if isinstance(value, Term) else cls(("number", float(value)))

    def _with(self, name: str, other: Term | float) -> Term:
        return Term((name, self.tree, Term.of(other).tree))

    def __add__(self, other: Term | float) -> Term:
        return self._with("add", other)

    def __sub__(self, other: Term | float) -> Term:
        return self._with("sub", other)

    def __mul__(self, other: Term | float) -> Term:
        return self._with("mul", other)

    def __truediv__(self, other: Term | float) -> Term:
        return self._with("div", other)

    def __rsub__(self, other: float) -> Term:
        return Term.of(other) - self

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Term:
        return self.apply("neg")

    def apply(self, name: str) -> Term:
        """neg, abs, exp, log, tanh or sqrt of it."""
        return Term((name, self.tree))


def least(terms: Sequence[Term]) -> Term:
    """The smallest of several."""
    return _joined("min", terms)


def most(terms: Sequence[Term]) -> Term:
    """The largest of several."""
    return _joined("max", terms)


def _joined(name: str, terms: Sequence[Term]) -> Term:
    total = terms[0]
    for term in terms[1:]:
        total = total._with(name, term)
    return total


def z(k: int) -> Term:
    """Coordinate along axis k."""
    return Term(("z", k))


v = Term(("v",))


def of_law(name: str, *at: int) -> Term:
    """mean, field, covariance, jacobian, log_ratio or log_powers at axes or modes."""
    return Term((name, *at))


@dataclass(frozen=True, eq=False)
class Statement:
    """`term` > 0 for all (z, v) of the box (k + 1, 2), v > 0 last.

    scale (k + 1,): see `search.decide`; it steers the search, and no proof rests on it.
    """

    name: str
    law: Law
    term: Term
    box: Array
    scale: ArrayLike | None = None

    @classmethod
    def over(
        cls, name: str, law: Law, term: Term, *sides: ArrayLike, scale: ArrayLike | None = None
    ) -> Statement:
        """Sides (lo, hi), one for each axis and for v; a number for a side of width 0."""
        box = [np.broadcast_to(np.asarray(side, dtype=np.float64), 2) for side in sides]
        return cls(name, law, term, np.array(box), scale)

    def bound(self, boxes: Interval) -> Interval:
        """The term over boxes (n, k + 1)."""
        low, high = np.empty((2, len(boxes)))
        for rows in self.law.batches(boxes):
            part = _evaluated(self.term.tree, self.law.over(boxes[rows]))
            low[rows], high[rows] = part.lo, part.hi
        return Interval(low, high)

    def decide(self, budget: Budget | None = None, watch: Watch | None = None) -> Decision:
        """Whether it is true, see `search.decide`."""
        return decide(self.bound, self.box, budget, scale=self.scale, watch=watch)

    def data(self, decision: Decision) -> dict[str, Any]:
        """A certificate of it."""
        return {"name": self.name, "term": _plain(self.term.tree), **decision.data()}


def certificate(statements: Sequence[Statement], decisions: Sequence[Decision]) -> dict[str, Any]:
    """What a checker needs to replay proofs, as plain data: doubles are hexadecimal text."""
    laws = list({id(one.law): one.law for one in statements}.values())
    places = {id(law): k for k, law in enumerate(laws)}
    rows = [
        {"law": places[id(one.law)], **one.data(found)}
        for one, found in zip(statements, decisions, strict=True)
        if found
    ]
    return {
        "format": FORMAT,
        "proves": [one.name for one in statements],
        "laws": [law.data() for law in laws],
        "statements": rows,
    }


def _plain(tree: Any) -> Any:
    if isinstance(tree, tuple):
        return [_plain(part) for part in tree]
    return hexed(tree) if isinstance(tree, float) else tree


def _evaluated(tree: tuple[Any, ...], at: Local) -> Interval:
    name, *rest = tree
    if name == "number":
        return Interval.of(np.full(len(at.boxes), rest[0]))
    if name == "z":
        return at.z[:, rest[0]]
    if name == "v":
        return at.v
    if name in _OF_LAW:
        return getattr(at, name)(*rest)
    parts = [_evaluated(part, at) for part in rest]
    return getattr(parts[0], (_TWO | _ONE)[name])(*parts[1:])
