"""What was found of a claim on a case, and the verdict on it: one row of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import numpy as np

from mixdyn.support.errors import InputError
from mixdyn.support.numbers import Number, plain

from .relations import AnyRelation, Comparison, Outcome


class Basis(StrEnum):
    """The kind of evidence behind a verdict."""

    DERIVED = "derived"
    EXACT = "exact"
    CERTIFIED = "certified"
    SAMPLED = "sampled"
    LEARNED = "learned"


class Origin(StrEnum):
    """Where the numbers of a row come from: this run, an earlier run of the same code in the same
    output folder, or a measurement of hours that the repository stores."""

    COMPUTED = "computed"
    KEPT = "kept"
    STORED = "stored measurement"


@dataclass(frozen=True)
class Hypothesis:
    """How far a hypothesis of a claim held.

    held_share: share of the points (trajectories, pairs, ...) at which it held. worst_gap: by how
    much it was missed at the worst of them, in the hypothesis's own units; 0.0 where it always
    held, None where a distance means nothing.
    """

    name: str
    held_share: float
    worst_gap: float | None = None

    @classmethod
    def from_slack(cls, name: str, slack: np.ndarray) -> Hypothesis:
        """From the slack at every point: the hypothesis holds where it is >= 0."""
        held = float(np.mean(np.asarray(slack) >= 0.0))
        return cls(name, held, float(max(0.0, -np.min(slack))))


NARROW = 100.0  # tolerances by which a control may fail and still show how fine the check is


@dataclass(frozen=True)
class NegativeControl:
    """A mutant of a claim and the outcome of its check, which must be `fails`.

    excess: by how many tolerances it failed, at the worst of its comparisons. A control that fails
    by a mile shows that the check can fail, a narrow one that it would see a small fault.
    """

    name: str
    verdict: Outcome
    excess: float | None = None

    @classmethod
    def of(cls, name: str, mutant: Verdict) -> NegativeControl:
        """The control that a mutant's verdict is."""
        failing = [c.excess for c in mutant.comparisons if c.outcome is Outcome.FAILS]
        known = [excess for excess in failing if excess is not None]
        return cls(name, mutant.verdict, max(known, default=None))

    @property
    def caught(self) -> bool:
        """Whether the check rejected the mutant; not having decided is no rejection."""
        return self.verdict is Outcome.FAILS

    @property
    def narrow(self) -> bool:
        """Whether it failed by at most `NARROW` tolerances."""
        return self.caught and self.excess is not None and self.excess <= NARROW

    def as_row(self) -> dict[str, Any]:
        """The control as data of a ledger row."""
        facts = {"name": self.name, "verdict": self.verdict, "excess": self.excess}
        return {**facts, "narrow": self.narrow}


@dataclass(frozen=True)
class Table:
    """Further measurements for the report: a caption, column heads and rows of numbers or words."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Number | str | None]]

    def as_row(self) -> dict[str, Any]:
        """The table as data of a ledger row; a cell is an object with `value`."""
        cells = [[{"value": cell} for cell in row] for row in self.rows]
        return {"caption": self.caption, "columns": self.columns, "rows": cells}


_SHARE_ROUNDING = 1e-12  # two means of the same points, summed in another order

Witness = Callable[[Comparison], Mapping[str, Any]]


@dataclass(frozen=True)
class Finding:
    """What a check measured, before it is judged.

    comparisons: the sides compared, most telling first. hypotheses: those of what is compared, all
    of them. applicable_share: share of the points at which all held together, never above the
    smallest held_share, which it is when omitted; a reading more favourable to the statement is one
    of the `numbers`, with its name. nonvacuous_share: share of
    those at which the bound says something. unit: what n counts. witness: describes the deciding
    comparison's worst point so that it can be reproduced. numbers, tables: further values for the
    report. model: the names of the trained models measured, in place of the exact score. seed,
    origin: of a stored measurement.
    """

    comparisons: Sequence[Comparison] = ()
    hypotheses: Sequence[Hypothesis] = ()
    applicable_share: float | None = None
    nonvacuous_share: float | None = None
    truth: Number | None = None
    sharper_bound: Number | None = None
    witness: Witness | None = None
    note: str = ""
    numbers: Mapping[str, Number | None] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    unit: str = "points"
    model: str = "exact score"
    seed: int | None = None
    origin: Origin = Origin.COMPUTED

    def __post_init__(self) -> None:
        least = self._least_held()
        if self.applicable_share is not None and self.applicable_share > least + _SHARE_ROUNDING:
            shares = {h.name: h.held_share for h in self.hypotheses}
            raise InputError(
                "a row applies at most where the hypothesis that held least often did",
                f"applicable_share {self.applicable_share} with {shares}",
                "Count the points at which all held; another reading is one of the `numbers`.",
            )

    def _least_held(self) -> float:
        return min((h.held_share for h in self.hypotheses), default=1.0)

    def share(self) -> float:
        """The share of points at which the claim applies."""
        return self._least_held() if self.applicable_share is None else self.applicable_share

    def deciding(self) -> Comparison:
        """The first comparison with the worst outcome."""
        for outcome in (Outcome.FAILS, Outcome.INCONCLUSIVE):
            for comparison in self.comparisons:
                if comparison.outcome is outcome:
                    return comparison
        return self.comparisons[0]


@dataclass(frozen=True)
class Verdict:
    """One row of the ledger: a claim on a case by one kind of evidence."""

    id: str
    case: str
    title: str
    statement: str
    source: str
    verdict: Outcome
    basis: Basis
    relation: AnyRelation | None = None
    quantity: str | None = None
    measured: Number | None = None
    bound: Number | None = None
    truth: Number | None = None
    sharper_bound: Number | None = None
    tightness: Number | None = None
    hypotheses: tuple[Hypothesis, ...] = ()
    applicable_share: float | None = None
    nonvacuous_share: float | None = None
    n: int | None = None
    n_held: int | None = None
    unit: str = "points"
    seed: int | None = None
    interval: tuple[float, float] | None = None
    excess: float | None = None
    resolution: float | None = None
    seconds: float | None = None
    witness: Mapping[str, Any] | None = None
    figure: str | None = None
    derivation: str | None = None
    mutants: tuple[NegativeControl, ...] = ()
    controls: str | None = None
    model: str | None = None
    origin: Origin = Origin.COMPUTED
    does_not_show: str = ""
    note: str = ""
    comparisons: tuple[Comparison, ...] = ()
    numbers: Mapping[str, Number | None] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()

    def as_row(self) -> dict[str, Any]:
        """The verdict as strict JSON data."""
        row: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        row["relation"] = None if self.relation is None else self.relation.as_row()
        row["hypotheses"] = [vars(h) for h in self.hypotheses]
        row["mutants"] = [m.as_row() for m in self.mutants]
        row["comparisons"] = [c.as_row() for c in self.comparisons]
        row["tables"] = [t.as_row() for t in self.tables]
        row["numbers"] = [{"name": k, "value": v} for k, v in self.numbers.items()]
        return plain(row)
