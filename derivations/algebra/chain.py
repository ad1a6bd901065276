"""Chains of equalities and inequalities in which every link is checked.

A chain starts from an expression and reaches another by links. A link is an equality that a named
rewriting closes, an inequality whose gap is manifestly nonnegative, an inequality that grows from
a point where it holds (by its derivative), or a cited theorem. What a chain states is its first
and last expression, so the statement cannot drift from what is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from .rewriting import DERIVATIVES, Rewriting
from .signs import is_manifestly_nonnegative

Tex = Callable[[Any], str]  # typesets an expression


@dataclass(frozen=True)
class Check:
    """One thing that had to vanish: a residual, or a gap whose sign is not manifest."""

    what: str
    residual: Any

    @property
    def closed(self) -> bool:
        """Whether the residual is exactly zero."""
        if isinstance(self.residual, sp.MatrixBase):
            return all(entry == 0 for entry in self.residual)
        return bool(self.residual == 0)


def _sign_check(gap: Any) -> Check:
    return Check("sign of the gap", sp.S.Zero if is_manifestly_nonnegative(gap) else gap)


@dataclass(frozen=True)
class Gap:
    """difference = gap, and gap >= 0 by the symbols' assumptions."""

    gap: Any
    by: Rewriting

    def checks(self, difference: Any) -> Iterator[Check]:
        """The identity and the sign."""
        yield Check(self.by.name, self.by(difference - self.gap))
        yield _sign_check(self.gap)

    def words(self, tex: Tex) -> str:
        """How the reader can see it."""
        return f"gap ${tex(self.gap)} \\ge 0$; {self.by.name}"


@dataclass(frozen=True)
class Growth:
    """difference >= 0 for variable >= origin: it is `at_origin` >= 0 there and its slope is >= 0.

    `slope` proves the derivative nonnegative with variable = origin + offset, offset a symbol >= 0.
    """

    variable: sp.Symbol
    origin: Any
    offset: sp.Symbol
    slope: Gap | Growth | Scaled
    by: Rewriting
    at_origin: Any = sp.S.Zero

    def checks(self, difference: Any) -> Iterator[Check]:
        """Value at the origin, then the derivative."""
        start = difference.subs(self.variable, self.origin)
        yield Check(f"value at the origin, {self.by.name}", self.by(start - self.at_origin))
        yield _sign_check(self.at_origin)
        yield Check("the offset is nonnegative", 0 if self.offset.is_nonnegative else self.offset)
        slope = DERIVATIVES(sp.Derivative(difference, self.variable))
        yield from self.slope.checks(slope.subs(self.variable, self.origin + self.offset))

    def words(self, tex: Tex) -> str:
        """How the reader can see it."""
        x = tex(self.variable)
        return (
            f"the gap is ${tex(self.at_origin)}$ at ${x} = {tex(self.origin)}$ and grows: "
            f"derivative at ${x} = {tex(self.origin + self.offset)}$, {self.slope.words(tex)}"
        )


@dataclass(frozen=True)
class Scaled:
    """difference = factor times something that `rest` proves nonnegative, factor >= 0."""

    factor: Any
    rest: Gap | Growth
    by: Rewriting

    def checks(self, difference: Any) -> Iterator[Check]:
        """The sign of the factor, and the proof of the quotient."""
        yield _sign_check(self.factor)
        yield from self.rest.checks(self.by(difference / self.factor))

    def words(self, tex: Tex) -> str:
        """How the reader can see it."""
        return f"factor ${tex(self.factor)} \\ge 0$ times a term: {self.rest.words(tex)}"


@dataclass(frozen=True)
class Theorem:
    """A link that algebra does not settle: an exact citation of what does."""

    citation: str

    def checks(self, difference: Any) -> Iterator[Check]:
        """Nothing to compute."""
        yield from ()

    def words(self, tex: Tex) -> str:
        """The citation."""
        return f"cited: {self.citation}"


@dataclass(frozen=True)
class Same:
    """difference = 0 under a named rewriting."""

    by: Rewriting

    def checks(self, difference: Any) -> Iterator[Check]:
        """The residual."""
        yield Check(self.by.name, self.by(difference))

    def words(self, tex: Tex) -> str:
        """The rewriting's name."""
        return self.by.name


Evidence = Same | Gap | Growth | Theorem


@dataclass(frozen=True)
class Link:
    """One step of a chain: the relation to the expression before, and why it holds."""

    relation: str
    target: Any
    evidence: Evidence
    why: str


@dataclass(frozen=True)
class Chain:
    """A named calculation; `states` is its first and last expression.

    where: what symbols of the calculation stand for; inserted before anything is checked.
    """

    name: str
    start: Any
    links: tuple[Link, ...] = ()
    where: Mapping[Any, Any] = field(default_factory=dict, kw_only=True)

    def _then(self, relation: str, target: Any, evidence: Evidence, why: str) -> Chain:
        link = Link(relation, target, evidence, why)
        return Chain(self.name, self.start, (*self.links, link), where=self.where)

    def equals(self, target: Any, by: Rewriting, why: str) -> Chain:
        """Continue with an equal expression."""
        return self._then("=", target, Same(by), why)

    def at_most(self, target: Any, gap: Any, by: Rewriting, why: str) -> Chain:
        """Continue with a larger expression, target - before = gap >= 0."""
        return self._then("<=", target, Gap(gap, by), why)

    def at_most_growing(self, target: Any, growth: Growth, why: str) -> Chain:
        """Continue with a larger expression: the gap starts nonnegative and grows."""
        return self._then("<=", target, growth, why)

    def by_theorem(self, relation: str, target: Any, citation: str, why: str) -> Chain:
        """Continue by a cited theorem, relation `=` or `<=`."""
        return self._then(relation, target, Theorem(citation), why)

    @property
    def end(self) -> Any:
        """The last expression."""
        return self.links[-1].target if self.links else self.start

    @property
    def relation(self) -> str:
        """`<=` if any link is an inequality."""
        return "<=" if any(link.relation == "<=" for link in self.links) else "="

    @property
    def states(self) -> sp.Basic:
        """What the chain proves, as a SymPy relation."""
        kind = sp.Le if self.relation == "<=" else sp.Eq
        return kind(self.start, self.end, evaluate=False)

    @property
    def citations(self) -> tuple[str, ...]:
        """Theorems on which the chain rests."""
        found = (link.evidence for link in self.links)
        return tuple(e.citation for e in found if isinstance(e, Theorem))

    def inserted(self, expr: Any) -> Any:
        """An expression of the chain with the definitions inserted."""
        return expr.subs(self.where) if self.where else expr

    def checks(self) -> Iterator[tuple[Link, Check]]:
        """Every check of every link."""
        source = self.start
        for link in self.links:
            for check in link.evidence.checks(self.inserted(link.target - source)):
                yield link, check
            source = link.target

    def residual(self) -> Any:
        """Exactly zero, or the first residual that is not."""
        for _, check in self.checks():
            if not check.closed:
                return check.residual
        return sp.S.Zero
