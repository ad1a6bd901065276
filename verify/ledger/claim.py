"""What a claim, a case and a verdict are.

A claim is a file of `verify/papers/PAPER/claims`: a docstring that states the result, a `CLAIM`
header, functions that measure it, and negative controls that must not hold; docs/your_claim.md
shows one. A verdict is one row of the ledger, for a claim, a case and a kind of evidence.
"""

from __future__ import annotations

import functools
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.errors import InputError
from mixdyn.support.references import model_digest

from .needs import Need, lost_digits
from .quantities import Number, plain, show_share
from .relations import AnyRelation, Comparison, Outcome

Result = TypeVar("Result")


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


class Profile(StrEnum):
    """Sample sizes and numbers of cases; never what is checked."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True)
class Case:
    """One problem on which claims are checked.

    origin says in words where the problem comes from. random: drawn, not chosen by anyone. model: a
    score model of the user's, as `mixdyn.learned.loading` takes it, in place of the shipped ones;
    predicts, index_base: what it is told of a model, None for its defaults.
    workspace memoises what several claims measure on this case; folder keeps measurements from run
    to run (`verify.measure.measurement`), none if None. Neither is part of the case's identity.
    """

    name: str
    mixture: GaussianMixture
    schedule: NoiseSchedule
    seed: int = 0
    profile: Profile = Profile.QUICK
    origin: str = ""
    random: bool = False
    model: str | None = None
    predicts: str | None = None
    index_base: int | None = None
    workspace: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    folder: Path | None = field(default=None, compare=False, repr=False)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the mixture, the schedule and the user's model if there is one."""
        text = f"verify.case.1:{self.mixture.digest}:{self.schedule.digest}"
        if self.model is not None:
            text += f":{model_digest(self.model)}"
        told = (self.predicts, self.index_base)
        if told != (None, None):
            text += f":{told}"
        return hashlib.sha256(text.encode()).hexdigest()

    def pick(self, quick: int, full: int) -> int:
        """The profile's choice of a sample size."""
        return full if self.profile is Profile.FULL else quick

    def stream(self, label: str) -> int:
        """A 64-bit seed of its own for the use named `label`, whatever else runs."""
        entropy = np.random.SeedSequence([self.seed, zlib.crc32(label.encode())])
        return int(entropy.generate_state(1, np.uint64)[0])

    def rng(self, label: str) -> np.random.Generator:
        """A generator of its own for the use named `label`, whatever else runs."""
        return np.random.default_rng(self.stream(label))

    def memo(self, key: str, build: Callable[[], Result]) -> Result:
        """The value under `key` of the workspace, built on the first call."""
        if key not in self.workspace:
            self.workspace[key] = build()
        return self.workspace[key]


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


PARTS = ("Statement", "Hypotheses", "Measured", "Predicted", "Evidence", "Source")
_SOURCE = re.compile(r"arXiv \d{4}\.\d{5} v\d+, \S")


def parse_docstring(doc: str) -> dict[str, str]:
    """The title and the fixed parts of a claim's docstring.

    A part starts at the margin as `Statement: ...` and runs to the next one. Raises InputError for
    a part that is missing, empty, repeated or out of order, and for a source without an arXiv id,
    version and number.
    """
    title, _, body = doc.strip().partition("\n")
    found = re.findall(rf"^({'|'.join(PARTS)}):", body, flags=re.MULTILINE)
    chunks = re.split(rf"^(?:{'|'.join(PARTS)}):", body, flags=re.MULTILINE)[1:]
    texts = [" ".join(chunk.split()) for chunk in chunks]
    if tuple(found) != PARTS or not all(texts) or not title:
        raise InputError(
            f"a claim's docstring has a title and the parts {', '.join(PARTS)}, in this order",
            f"{found} under {title!r}",
            "Write every part once.",
        )
    parts = dict(zip(PARTS, texts, strict=True))
    if not _SOURCE.search(parts["Source"]):
        raise InputError(
            "a source names arXiv id, version and number, as in 'arXiv 2605.06831 v1, Lemma G.1'",
            parts["Source"],
            "Complete the source.",
        )
    return {"Title": title.strip().rstrip("."), **parts}


def parse_hypotheses(text: str) -> dict[str, str]:
    """The named hypotheses of a part written as `- name: text - name: text`, else none."""
    pieces = re.split(r"(?:^| )- (\w+): ", text)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Source = Callable[[Case], Any] | None
Measure = Callable[..., Any]  # of a case, what `of` gives, and keywords that controls change


@dataclass(frozen=True)
class Measurement:
    """A function of a claim that measures one row.

    measure : yields or returns parts of a row, see `sides`. of : gives it what is measured besides
    the case, such as trained models: None where there is no row at all, a `sides.NotApplicable`
    where there is nothing to measure.
    """

    basis: Basis
    measure: Measure
    unit: str
    of: Source


@dataclass(frozen=True)
class Control:
    """A negative control of one measurement, as data.

    changed : keywords of the measuring function; with `gross` functions of a size, of which the
    smallest that fails is looked for, see `controls`. when : whether it says anything on a case.
    """

    row: Measurement
    name: str
    changed: Mapping[str, Any]
    when: Callable[[Case], bool] | None = None
    gross: float | Callable[[Case], float] | None = None


@dataclass(eq=False)
class Claim:
    """The header of a claim file, and what the file registers with it: measurements and controls.

    basis: the kinds of evidence its rows have; those of its measurements are added. short: a few
    words for a box of the graph. rests_on, sharpens: ids of claims and closed forms it rests on, or
    published ones that it sharpens or replaces, each with a word why. needs: what a mixture must
    offer for the claim to be stated at all; otherwise every row is `not applicable`. derivation:
    the SymPy file that derives it, from the root of the repository.
    """

    id: str
    doc: Mapping[str, str]
    does_not_show: str
    basis: tuple[Basis, ...] = ()
    short: str = ""
    rests_on: Mapping[str, str] = field(default_factory=dict)
    sharpens: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    derivation: str | None = None
    no_narrow_control: Mapping[Basis, str] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    controls: list[Control | Callable[[Case], Iterable[Control]]] = field(default_factory=list)

    @classmethod
    def from_docstring(cls, doc: str | None, **header: Any) -> Claim:
        """A claim whose words come from its file's docstring."""
        return cls(doc=parse_docstring(doc or ""), **header)

    def obstacle(self, mixture: GaussianMixture) -> str | None:
        """Why the claim cannot be stated for this mixture, or judged on it, or None."""
        found = (need.obstacle(mixture) for need in self.needs)
        return next((reason for reason in found if reason), None) or lost_digits(mixture)

    # -- what a claim file registers -------------------------------------------------------------

    def exact(self, *, unit: str = "points", of: Source = None) -> Decorator:
        """Register a function that measures exactly."""
        return self._registers(Basis.EXACT, unit, of)

    def certified(self, *, unit: str = "points", of: Source = None) -> Decorator:
        """Register a function that encloses what it measures in certified bounds."""
        return self._registers(Basis.CERTIFIED, unit, of)

    def sampled(self, *, unit: str = "points", of: Source = None) -> Decorator:
        """Register a function that measures at sampled points or counts samples."""
        return self._registers(Basis.SAMPLED, unit, of)

    def learned(self, *, unit: str = "points", of: Source = None) -> Decorator:
        """Register a function that measures what trained models, given by `of`, do."""
        return self._registers(Basis.LEARNED, unit, of)

    def _registers(self, basis: Basis, unit: str, of: Source) -> Decorator:
        def register(measure: Measure) -> Measure:
            self.measurements.append(Measurement(basis, measure, unit, of))
            self.basis = tuple(dict.fromkeys([*self.basis, basis]))
            return measure

        return register

    def must_fail(
        self,
        measure: Measure,
        name: str,
        /,
        *,
        when: Callable[[Case], bool] | None = None,
        **changed: Any,
    ) -> None:
        """A row measured with changed keywords must not hold. when: on which cases it is false."""
        self.controls.append(Control(self.measured_by(measure), name, changed, when))

    def must_fail_narrowly(
        self,
        measure: Measure,
        name: str,
        gross: float | Callable[[Case], float],
        /,
        *,
        when: Callable[[Case], bool] | None = None,
        **changed: Callable[[float], Any],
    ) -> None:
        """The same of the smallest fault that still fails: keywords as functions of its size, which
        is looked for below `gross` and stands in the name's {}."""
        self.controls.append(Control(self.measured_by(measure), name, changed, when, gross))

    def must_fail_each(
        self, measure: Measure, controls: Callable[[Case], Mapping[str, Mapping[str, Any]]], /
    ) -> None:
        """The same of controls that depend on the case: changed keywords by name."""
        row = self.measured_by(measure)

        def every(case: Case) -> Iterable[Control]:
            return [Control(row, name, changed) for name, changed in controls(case).items()]

        self.controls.append(every)

    def measured_by(self, measure: Measure) -> Measurement:
        """What is registered of a function."""
        found = next((m for m in self.measurements if m.measure is measure), None)
        if found is None:
            raise InputError(
                f"a control of {self.id} is of a function that it registers",
                getattr(measure, "__name__", measure),
                "Write @CLAIM.exact, @CLAIM.sampled, ... above it.",
            )
        return found

    # -- rows ------------------------------------------------------------------------------------

    def not_applicable(self, case: Case, reason: str, basis: Basis | None = None) -> Verdict:
        """The row of a claim whose hypotheses cannot hold on this case."""
        return self.row(case, Outcome.NOT_APPLICABLE, basis, applicable_share=0.0, note=reason)

    def broken(self, case: Case, fault: str, basis: Basis | None = None) -> Verdict:
        """The row of a check that broke: it says nothing about the claim."""
        return self.row(case, Outcome.ERROR, basis, note=fault)

    def judge(self, case: Case, finding: Finding, basis: Basis | None = None) -> Verdict:
        """The verdict on what was measured: the one place where an outcome is decided."""
        self._check_hypotheses(finding)
        share = finding.share()
        if share == 0.0 or not finding.comparisons:
            shares = [
                f"{h.name.replace('_', ' ')} on {show_share(h.held_share)}"
                for h in finding.hypotheses
                if h.held_share < 1.0
            ]
            reason = finding.note or f"The hypotheses never held together: {', '.join(shares)}."
            return self.row(
                case,
                Outcome.NOT_APPLICABLE,
                basis,
                hypotheses=tuple(finding.hypotheses),
                applicable_share=0.0,
                note=reason,
                numbers=dict(finding.numbers),
                model=finding.model,
            )
        deciding = finding.deciding()
        outcome = deciding.outcome
        if outcome is Outcome.HOLDS and finding.nonvacuous_share == 0.0:
            outcome = Outcome.VACUOUS
        return self.row(
            case,
            outcome,
            basis,
            **_decided(deciding),
            truth=finding.truth,
            sharper_bound=finding.sharper_bound,
            hypotheses=tuple(finding.hypotheses),
            applicable_share=share,
            nonvacuous_share=finding.nonvacuous_share,
            witness=None if finding.witness is None else dict(finding.witness(deciding)),
            note=finding.note,
            comparisons=tuple(finding.comparisons),
            numbers=dict(finding.numbers),
            tables=tuple(finding.tables),
            unit=finding.unit,
            model=finding.model,
            origin=finding.origin,
            **({} if finding.seed is None else {"seed": finding.seed}),
        )

    def _check_hypotheses(self, finding: Finding) -> None:
        stated = parse_hypotheses(self.doc["Hypotheses"])
        for hypothesis in finding.hypotheses:
            if hypothesis.name not in stated:
                raise InputError(
                    f"the hypotheses of {self.id} are those its docstring states, {sorted(stated)}",
                    hypothesis.name,
                    "State it there as '- name: text'.",
                )

    def row(self, case: Case, outcome: Outcome, basis: Basis | None, **values: Any) -> Verdict:
        """A verdict of this claim with the fields that every row shares."""
        common: dict[str, Any] = {"model": "exact score", "seed": case.seed}
        return Verdict(
            id=self.id,
            case=case.name,
            title=self.doc["Title"],
            statement=self.doc["Statement"],
            source=self.doc["Source"],
            verdict=outcome,
            basis=basis or self.basis[0],
            derivation=self.derivation,
            does_not_show=self.does_not_show,
            **common | values,
        )


def _decided(comparison: Comparison) -> dict[str, Any]:
    return {
        "relation": comparison.relation,
        "quantity": comparison.name,
        "measured": comparison.measured,
        "bound": comparison.bound,
        "tightness": comparison.tightness,
        "n": comparison.n,
        "n_held": comparison.n_held,
        "interval": comparison.interval,
        "excess": comparison.excess,
        "resolution": comparison.resolution,
    }
