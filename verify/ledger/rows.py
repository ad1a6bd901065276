"""The rows of a claim that registers its measurements: the one place where they are judged."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from mixdyn.support.errors import InputError, MissingExtraError, NotApplicableError

from .case import Case
from .claim import Claim, Control, Measure, Measurement, parse_hypotheses
from .controls import narrowest
from .relations import Comparison, Outcome
from .sides import Facts, NotApplicable, Side, each_part
from .verdict import Finding, Hypothesis, Table, Verdict

Given = tuple[Any, ...] | Verdict | None


def check(claim: Claim, case: Case) -> list[Verdict]:
    """One row a measurement, in the order in which they were registered.

    Raises InputError where, on the standard problem, every measurement is judged and none takes up
    one of the hypotheses that the claim states: it would stand there as if it had been met. On
    others some are never asked.
    """
    found = [_row(claim, case, row, _given(claim, case, row)) for row in claim.measurements]
    rows = [row for row in found if row is not None]
    taken = {hypothesis.name for row in rows for hypothesis in row.hypotheses}
    idle = parse_hypotheses(claim.doc["Hypotheses"]).keys() - taken
    unjudged = (Outcome.NOT_APPLICABLE, Outcome.ERROR)
    judged = len(rows) == len(found) and not any(row.verdict in unjudged for row in rows)
    if idle and judged and case.name == "standard":
        raise InputError(
            "a hypothesis that a claim states is one of its needs or is measured beside its sides",
            f"{', '.join(sorted(idle))} of {claim.id} in no row",
            "Give Hypothesis.from_slack(name, slack) among a row's parts, or state it no more.",
        )
    return rows


def controls(claim: Claim, case: Case) -> dict[str, Verdict]:
    """The rows of the negative controls by name."""
    found: dict[str, Verdict] = {}
    for control, given in _controls(claim, case):
        if control.gross is not None:
            gross = control.gross(case) if callable(control.gross) else control.gross
            of_size = functools.partial(_of_size, claim, case, control, given)
            found |= narrowest(control.name, of_size, gross)
            continue
        row = _row(claim, case, control.row, given, control.changed)
        if row is not None:
            found[control.name] = row
    return found


def row_of(claim: Claim, case: Case, measure: Measure, /, *given: Any, **changed: Any) -> Verdict:
    """The row that one of a claim's functions measures. given: in place of what its source gives;
    changed: its keywords."""
    return _judged(claim, case, claim.measured_by(measure), given, changed, whole=True)


def _controls(claim: Claim, case: Case) -> Iterable[tuple[Control, Given]]:
    """Those that say something here and whose row has something to measure, which is beside it."""
    for registered in claim.controls:
        for control in [registered] if isinstance(registered, Control) else registered(case):
            given = _given(claim, case, control.row)
            if isinstance(given, tuple) and (control.when is None or control.when(case)):
                yield control, given


def _of_size(claim: Claim, case: Case, control: Control, given: Given, size: float) -> Verdict:
    changed = {name: change(size) for name, change in control.changed.items()}
    found = _row(claim, case, control.row, given, changed)
    assert found is not None  # `_controls` has seen that there is something to measure
    return found


def _given(claim: Claim, case: Case, row: Measurement) -> Given:
    """What is measured besides the case; a row that says why nothing is; None for no row."""
    if row.of is None:
        return ()
    try:
        found = row.of(case)
    except (MissingExtraError, NotApplicableError) as refusal:
        return claim.not_applicable(case, str(refusal), row.basis)
    except InputError as fault:
        return claim.broken(case, str(fault), row.basis)
    if isinstance(found, NotApplicable):
        return claim.not_applicable(case, found.reason, row.basis)
    return None if found is None else (found,)


def _row(
    claim: Claim,
    case: Case,
    row: Measurement,
    given: Given,
    changed: Mapping[str, Any] | None = None,
) -> Verdict | None:
    """The verdict on a measurement, or on one with changed keywords, without what only the report
    shows.

    Where a measurement is given something (a trained model), what that does wrong is said in its
    own row and leaves the others unharmed.
    """
    if not isinstance(given, tuple):
        return given
    try:
        return _judged(claim, case, row, given, changed or {}, whole=changed is None)
    except (MissingExtraError, NotApplicableError) as refusal:
        if row.of is None:
            raise
        return claim.not_applicable(case, str(refusal), row.basis)
    except InputError as fault:  # such as NaN from a user's model
        if row.of is None:
            raise
        return claim.broken(case, str(fault), row.basis)


def _judged(
    claim: Claim,
    case: Case,
    row: Measurement,
    given: tuple[Any, ...],
    changed: Mapping[str, Any],
    *,
    whole: bool,
) -> Verdict:
    """The verdict on the parts of a row."""
    parts = [*each_part(row.measure(case, *given, **changed))]
    refused = [part for part in parts if isinstance(part, NotApplicable)]
    if refused:
        return claim.not_applicable(case, refused[0].reason, row.basis)
    return claim.judge(case, _finding(claim, row, parts, whole=whole), row.basis)


def _finding(claim: Claim, row: Measurement, parts: Sequence[Any], *, whole: bool) -> Finding:
    """The parts of a row put together."""
    shown = [part for part in parts if callable(part)]
    parts = [part for part in parts if not callable(part)]
    if whole:
        parts += [part for later in shown for part in each_part(later())]
    sides = [part for part in parts if isinstance(part, Side) and part.asked]
    facts = _merged([part for part in parts if isinstance(part, Facts)])
    compared = {id(s.comparison): s for s in sides}
    comparisons = [
        part.comparison if isinstance(part, Side) else part
        for part in parts
        if isinstance(part, Comparison) or (isinstance(part, Side) and part.asked)
    ]

    def witness(deciding: Comparison) -> Mapping[str, Any]:
        side = compared.get(id(deciding))
        place = None if side is None else side.witness()
        if place is None and facts.witness is not None:
            place = facts.witness(deciding)
        return {"quantity": deciding.name, **(place or {})}

    return Finding(
        comparisons=comparisons,
        hypotheses=_hypotheses(claim, parts),
        applicable_share=_share(facts.applicable),
        nonvacuous_share=_telling(sides) if facts.nonvacuous is None else _share(facts.nonvacuous),
        truth=facts.truth,
        sharper_bound=facts.sharper_bound,
        witness=witness,
        note=" ".join(part for part in parts if isinstance(part, str) and part),
        numbers={k: v for part in parts if isinstance(part, Mapping) for k, v in part.items()},
        tables=[part for part in parts if isinstance(part, Table)],
        unit=facts.unit or row.unit,
        **{k: v for k in ("model", "seed", "origin") if (v := getattr(facts, k)) is not None},
    )


def _merged(facts: Sequence[Facts]) -> Facts:
    """What several say together, the later ones last."""
    told = [{f.name: getattr(one, f.name) for f in fields(one)} for one in facts]
    return Facts(**{k: v for one in told for k, v in one.items() if v is not None})


def _hypotheses(claim: Claim, parts: Sequence[Any]) -> list[Hypothesis]:
    """Those that the claim's needs decided and its docstring states, then those measured."""
    measured = [part for part in parts if isinstance(part, Hypothesis)]
    stated = parse_hypotheses(claim.doc["Hypotheses"])
    names = {need.hypothesis for need in claim.needs} & stated.keys()
    return [*(Hypothesis(name, 1.0, 0.0) for name in sorted(filter(None, names))), *measured]


def _telling(sides: Sequence[Side]) -> float:
    """The share of points at which a prediction says something, 1 where no side asks."""
    masks = [side.telling for side in sides if side.telling is not None]
    return float(np.mean(np.concatenate(masks))) if masks else 1.0


def _share(held: Any) -> float | None:
    return None if held is None else float(np.mean(held))
