"""What a claim is, and how it is judged.

A claim is a file of `verify/papers/PAPER/claims`: a docstring that states the result, a `CLAIM`
header, functions that measure it, and negative controls that must not hold; docs/your_claim.md
shows one. A verdict is one row of the ledger, for a claim, a case and a kind of evidence.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.errors import InputError
from mixdyn.support.numbers import show_share

from .case import Case
from .needs import Need, lost_digits
from .relations import Comparison, Outcome
from .verdict import Basis, Finding, Verdict

PARTS = ("Statement", "Hypotheses", "Measured", "Predicted", "Evidence", "Source")
# A paper, or a subject: library==version:sampler(settings).
_SOURCE = re.compile(r"arXiv \d{4}\.\d{5} v\d+, \S|\w+==\d\S*:\w+\(.*\)")


def parse_docstring(doc: str) -> dict[str, str]:
    """The title and the fixed parts of a claim's docstring.

    A part starts at the margin as `Statement: ...` and runs to the next one. Raises InputError for
    a part that is missing, empty, repeated or out of order, and for a source that is neither of a
    paper (arXiv id, version, number) nor a subject, library==version:sampler(settings).
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
            "a source is arXiv id, version and number, as in 'arXiv 2605.06831 v1, Lemma G.1', or "
            "library==version:sampler(settings)",
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
    proof_needs: tuple[Need, ...] = ()
    no_narrow_control: Mapping[Basis, str] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    controls: list[Control | Callable[[Case], Iterable[Control]]] = field(default_factory=list)

    @classmethod
    def from_docstring(cls, doc: str | None, **header: Any) -> Claim:
        """A claim whose words come from its file's docstring."""
        return cls(doc=parse_docstring(doc or ""), **header)

    def obstacle(self, mixture: GaussianMixture) -> str | None:
        """Why the claim cannot be stated for this mixture, or judged on it, or None."""
        wants = (*(need.obstacle for need in self.needs), lost_digits)
        return next((why for want in wants if (why := want(mixture))), None)

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
            if any(other.basis is basis for other in self.measurements):
                raise InputError(
                    f"{self.id} has one row on each kind of evidence",
                    f"{measure.__name__}, another one that is {basis}",
                    "Make it a side of the other, or a claim of its own.",
                )
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
        self._controls(measure, Control(self.measured_by(measure), name, changed, when))

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
        if "{}" not in name:
            raise InputError(
                f"the name of a narrow control of {self.id} has a place {{}} for the size",
                repr(name),
                "Write it as in '(1 - {}) of the error'.",
            )
        self._controls(measure, Control(self.measured_by(measure), name, changed, when, gross))

    def must_fail_each(
        self, measure: Measure, controls: Callable[[Case], Mapping[str, Mapping[str, Any]]], /
    ) -> None:
        """The same of controls that depend on the case: changed keywords by name."""
        row = self.measured_by(measure)

        def every(case: Case) -> Iterable[Control]:
            return [Control(row, name, changed) for name, changed in controls(case).items()]

        self.controls.append(every)

    def _controls(self, measure: Measure, control: Control) -> None:
        """Register a control whose keywords the function has, under a name of its own."""
        known = inspect.signature(measure).parameters
        every = any(word.kind is word.VAR_KEYWORD for word in known.values())
        unknown = [word for word in control.changed if word not in known and not every]
        taken = [c.name for c in self.controls if isinstance(c, Control)]
        if unknown or control.name in taken:
            raise InputError(
                f"a control of {self.id} changes keywords of {measure.__name__}, under a new name",
                f"{control.name!r} with {', '.join(control.changed)}",
                f"The function takes {', '.join(known)}.",
            )
        self.controls.append(control)

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
