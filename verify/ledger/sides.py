"""The parts of which a measuring function makes a row.

A function that a claim registers yields or returns, in any order,

* `Side`: a measured side against a predicted one, most telling first; or a ready `Comparison`,
* `Hypothesis`: how far one that the docstring states held,
* `Table`, and mappings of names to numbers, for the report,
* strings, which make the note,
* `Facts`: whatever else a row says,
* a function without arguments that gives such parts (no sides, no hypotheses): what only the report
  shows, and so is not asked for by a negative control,
* `NotApplicable`: a reason, in place of all the others.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixdyn.support.checks import Array
from mixdyn.support.errors import InputError
from mixdyn.support.numbers import Number
from mixdyn.support.statistics import Proportion

from .relations import (
    Comparison,
    Equality,
    Lower,
    Rate,
    Relation,
    Statistical,
    Upper,
    compare,
    compare_rate,
)
from .verdict import Hypothesis, Origin, Table, Witness


@dataclass(frozen=True)
class Tolerance:
    """The rounding error of two sides, see `relations.Relation`: atol * scale + rtol * |predicted|,
    or with `log`, of natural logarithms, rtol * scale."""

    rtol: float = 0.0
    atol: float = 0.0
    log: bool = False

    def of(self, kind: Callable[..., Relation]) -> Relation:
        """The relation of a kind with this tolerance."""
        return kind(rtol=self.rtol, atol=self.atol, log=self.log)


Where = Mapping[str, Any] | Callable[..., Mapping[str, Any]]


class Side:
    """A measured side against a predicted one, compared at the worst of its points.

    left, and one of at_most, at_least, equals, fits (an order or exponent): arrays that broadcast.
    tolerance: of rounding; of a counted `Proportion`, whose bound is one number, none. scale: see
    `Tolerance`. among: compare at the points where this mask holds; where it holds nowhere there is
    no comparison. telling: the points at which the prediction says something, which give the row's
    nonvacuous_share. where: what reproduces the worst point: an array is taken there, broadcast as
    the sides are or with further axes behind theirs; anything else is the same everywhere; or a
    function of that point's index, one integer an axis. The side's name goes without saying.
    """

    def __init__(
        self,
        name: str,
        left: ArrayLike | Proportion,
        *,
        at_most: ArrayLike | Number | None = None,
        at_least: ArrayLike | Number | None = None,
        equals: ArrayLike | None = None,
        fits: ArrayLike | None = None,
        tolerance: Tolerance | None = None,
        scale: ArrayLike = 1.0,
        among: ArrayLike | None = None,
        telling: ArrayLike | None = None,
        where: Where | None = None,
    ) -> None:
        given = ((Upper, at_most), (Lower, at_least), (Equality, equals), (Rate, fits))
        stated: list[Any] = [each for each in given if each[1] is not None]
        if len(stated) != 1 or isinstance(left, Proportion) != (tolerance is None):
            raise InputError(
                "a side states one of at_most, at_least, equals and fits, with a tolerance unless "
                "it is a count",
                name,
                "State one.",
            )
        ((kind, right),) = stated
        self.name, self._where = name, where
        self._counted = (left, kind, right) if isinstance(left, Proportion) else None
        if self._counted is not None:
            left = right = 0.0
        self._relation = (tolerance or Tolerance(rtol=1.0)).of(kind)
        sides = [np.asarray(x, float) for x in (left, right, scale)]
        mask = np.asarray(True if among is None else among, bool)
        try:
            points = np.broadcast_arrays(*sides)
            self._shape = points[0].shape
            self._mask = np.broadcast_to(mask, self._shape)
        except ValueError as fault:
            shapes = ", ".join(str(x.shape) for x in (*sides, mask))
            raise InputError(
                "the sides, the scale and the mask of a comparison broadcast",
                f"{name}: {shapes}",
                "Give them one shape, or axes of length 1.",
            ) from fault
        self._points = [x[self._mask] for x in points]
        self._pieces: Sequence[Side] = ()
        self.asked = among is None or bool(self._mask.any())
        self.telling = (
            None if telling is None else np.broadcast_to(telling, self._shape)[self._mask]
        )

    @classmethod
    def joined(cls, sides: Sequence[Side]) -> Side:
        """One side of the points of several of the same name and relation, such as one a group."""
        whole = copy.copy(sides[0])
        vars(whole).pop("comparison", None)
        whole._pieces = sides
        points = zip(*(side._points for side in sides), strict=True)
        whole._points = [np.concatenate(part) for part in points]
        told = [s.telling for s in sides if s.telling is not None]
        whole.telling = np.concatenate(told) if told else None
        whole.asked = whole.left.size > 0
        return whole

    @functools.cached_property
    def comparison(self) -> Comparison:
        """The two sides compared."""
        if self._counted is not None:
            count, kind, bound = self._counted
            side = Statistical("upper" if kind is Upper else "lower")
            return compare_rate(self.name, side, count, bound)
        left, right, scale = self._points
        return compare(self.name, self._relation, left, right, scale=scale)

    @property
    def left(self) -> Array:
        """The measured values that are compared, flat."""
        return self._points[0]

    @property
    def worst(self) -> tuple[int, ...]:
        """The worst point's index in the shape of the sides, one integer an axis; not of joined
        ones."""
        return self._place(self.comparison.index)

    def _place(self, index: int) -> tuple[int, ...]:
        flat = np.flatnonzero(self._mask)[index]
        return tuple(int(k) for k in np.unravel_index(flat, self._shape))

    def witness(self) -> Mapping[str, Any] | None:
        """What reproduces the worst point, None where the side does not say."""
        return self._at(self.comparison.index)

    def _at(self, index: int) -> Mapping[str, Any] | None:
        for piece in self._pieces:
            size = piece._points[0].size
            if index < size:
                return piece._at(index)
            index -= size
        if self._where is None:
            return None
        place = self._place(index)
        if not isinstance(self._where, Mapping):
            return self._where(*place)
        return {key: self._taken(key, value, place) for key, value in self._where.items()}

    def _taken(self, key: str, value: Any, place: tuple[int, ...]) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        try:
            return np.broadcast_to(value, self._shape + value.shape[len(self._shape) :])[place]
        except ValueError:
            raise InputError(
                f"what is known of the points of {self.name!r} has their shape, {self._shape}, or "
                "further axes",
                f"{key} of shape {value.shape}",
                "Add axes of length 1.",
            ) from None


@dataclass(frozen=True)
class NotApplicable:
    """Why there is nothing to measure."""

    reason: str


@dataclass(frozen=True)
class Facts:
    """What else a row says; see `Finding`. applicable, nonvacuous: a share, or a mask of points, in
    place of what hypotheses and sides say. witness: of the comparisons without a `where`."""

    applicable: float | Array | None = None
    nonvacuous: float | Array | None = None
    truth: Number | None = None
    sharper_bound: Number | None = None
    witness: Witness | None = None
    model: str | None = None
    unit: str | None = None
    seed: int | None = None
    origin: Origin | None = None


Shown = Table | Mapping[str, Number | None] | str | Facts
Part = Side | Comparison | Hypothesis | NotApplicable | Shown | Callable[[], Any]


def each_part(parts: Any) -> Iterator[Any]:
    """The parts that a function returned: one, or several."""
    single = isinstance(parts, (Mapping, str)) or not isinstance(parts, Iterable)
    known = (Side, Comparison, Hypothesis, NotApplicable, Table, Mapping, str, Facts)
    for part in [parts] if single else parts:
        if not isinstance(part, known) and not callable(part):
            raise InputError(
                "a row is made of sides, hypotheses, numbers by name, tables, sentences and facts",
                repr(part),
                "See docs/your_claim.md.",
            )
        yield part
