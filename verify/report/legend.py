"""What the words of a row mean, and the marks that stand for verdicts: for every rendering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ledger.relations import Outcome
from ..ledger.verdict import NARROW, Basis, Origin

MARKS = {
    Outcome.HOLDS: "✓",
    Outcome.FAILS: "✗",
    Outcome.VACUOUS: "∅",
    Outcome.NOT_APPLICABLE: "–",
    Outcome.INCONCLUSIVE: "?",
    Outcome.ERROR: "!",
}
VERDICTS = {
    Outcome.HOLDS: "the relation holds at every point checked, or the counts decide for it",
    Outcome.FAILS: "a stored, reproducible counterexample exists, or the counts decide against it",
    Outcome.VACUOUS: "true, but it says nothing here: a probability bound above one, say",
    Outcome.NOT_APPLICABLE: "its hypotheses are never met on this problem, or the row says what "
    "it lacks",
    Outcome.INCONCLUSIVE: "the evidence does not decide",
    Outcome.ERROR: "our tool broke; it never means that the paper is wrong",
}
BASES = {
    Basis.DERIVED: "exact algebra in SymPy",
    Basis.EXACT: "a closed form",
    Basis.CERTIFIED: "proved over a continuum, in balls or intervals that round outward",
    Basis.SAMPLED: "trajectories or draws, with their count and interval",
    Basis.LEARNED: "a trained model",
}
ORIGINS = {
    Origin.KEPT: "a row of an earlier run of the same code, found in the output folder",
    Origin.STORED: "counted in a training run of hours, whose counts the repository stores",
}

Row = Mapping[str, Any]


def summarise_controls(rows: Sequence[Row]) -> dict[str, Any]:
    """How fine the checks are: rows with negative controls, those of them with one that fails
    within `NARROW` tolerances, and the others by name."""
    judged = [row for row in rows if row["controls"] is not None]
    without = [row for row in judged if not any(m["narrow"] for m in row["mutants"])]
    cases: dict[str, list[str]] = {}
    for row in without:
        cases.setdefault(f"{row['id']} {row['basis']}", []).append(row["case"])
    return {
        "tolerances": NARROW,
        "rows": len(judged),
        "narrow": len(judged) - len(without),
        "none": {name: list(dict.fromkeys(found)) for name, found in cases.items()},
    }


def words_on_controls(controls: Mapping[str, Any]) -> str:
    """The same in one sentence."""
    text = (
        f"Rows with a negative control that fails within {controls['tolerances']:g} tolerances: "
        f"{controls['narrow']:,} of {controls['rows']:,}"
    )
    if not controls["none"]:
        return f"{text}."
    return f"{text}; none: {', '.join(controls['none'])}."
